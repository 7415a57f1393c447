//! The tests' verdict: the newest one that still counts.
//!
//! A verdict counts while what was tested is what is there. Where the content is known (`record` keeps a digest of it, and
//! so does the memory of an earlier look) that is compared; else nothing tracked may have changed since by its times.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::declared::Declared;
use super::git::inspect::Inspection;
use super::git::{Git, GitError, names};
use super::parts::Parts;
use super::record::Recorded;
use super::reports::{self, Report};
use crate::fs::stamp::Stamp;
use crate::model::worktree::{
    ReportMemory, Since, TestCounts, TestSource, TestStatus, Tests, WorktreeFacts, WorktreeMemory, WorktreeTarget,
};

/// Clocks of this machine and of a file server differ by less.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// A verdict that does not count, in a few words.
const CHANGED: &str = "files changed since the tests ran";

/// A report that contradicts itself, and what knows better.
const UNEXPLAINED: &str =
    "a test report claims failures that no test in it shows; `lab-probe record -- COMMAND` goes by the exit code";

/// Decides, and keeps in `memory` under which content each report counts.
pub(super) fn decide(
    parts: &Parts,
    target: &WorktreeTarget,
    declared: &Declared,
    recorded: &Recorded,
    started_at: Timestamp,
    facts: &mut WorktreeFacts,
    memory: &mut WorktreeMemory,
) -> Result<(), GitError> {
    if let Some(status) = declared.test_status {
        facts.tests =
            Some(Tests { status, source: TestSource::Declared, counts: None, duration: None, tested_at: None });
        return Ok(());
    }
    let old = std::mem::take(&mut memory.reports);
    let (mut found, known) =
        reports::junit_reports(&target.path, &target.test_reports, &target.nested, &old, parts.git.deadline);
    memory.reports = known;
    let pytest = reports::pytest::last_run(&target.path).map(|(run, mut now)| {
        now.content = old.get(&run.key).filter(|before| before.stamp == now.stamp).and_then(|old| old.content.clone());
        memory.reports.insert(run.key.clone(), now);
        run
    });
    if recorded.verdict.is_none() && pytest.is_none() && found.is_empty() {
        memory.content = None;
        return Ok(());
    }
    let committed = committed(parts)?;
    let is_evidence = |report: &Report| {
        let path = report.path.strip_prefix(&target.path).unwrap_or(&report.path);
        !committed.contains(path.as_os_str().as_bytes())
    };
    found.retain(is_evidence);
    let pytest = pytest.filter(is_evidence);
    memory.content = parts.digest().map(|digest| Since::renewed(memory.content.take(), digest, started_at, started_at));

    let latest = crate::clock::now() + CLOCK_SLACK;
    let freshness = Freshness { parts, latest_ns: latest.as_nanosecond() };
    let mut candidates = Vec::new();
    let mut ignored = false;
    match from_record(recorded, memory) {
        Some(Some(tests)) => candidates.push(tests),
        Some(None) => ignored = true,
        None => {}
    }
    for (reports, source) in [(found.as_slice(), TestSource::Junit), (pytest.as_slice(), TestSource::Pytest)] {
        let tests = from_reports(reports, source, &freshness, memory);
        ignored |= tests.is_none() && !reports.is_empty();
        candidates.extend(tests);
    }
    // Of two at the same instant the first wins: `record` knows more than the report its command left.
    candidates.reverse();
    // One of the future was made under a wrong clock: it must not win over every newer one until that time comes.
    facts.tests = candidates.into_iter().max_by_key(|tests| tests.tested_at.filter(|at| *at <= latest));
    let contradicts = facts.tests.as_ref().is_some_and(|tests| tests.status == TestStatus::Unknown);
    facts.notes.extend(contradicts.then(|| UNEXPLAINED.to_owned()));
    facts.tests_ignored = (facts.tests.is_none() && ignored).then(|| CHANGED.to_owned());
    Ok(())
}

/// Paths that are tracked and as committed: what stands there was written by no run of this worktree.
fn committed(parts: &Parts) -> Result<HashSet<&[u8]>, GitError> {
    let changed: HashSet<&[u8]> = parts.outer.porcelain.changes.iter().map(|change| change.path.as_slice()).collect();
    let tracked = parts.outer.tracked(&parts.git)?.entries().map(|entry| entry.path);
    Ok(tracked.filter(|path| !changed.contains(path)).collect())
}

/// `None`: there is no verdict. `Some(None)`: there is one, and it does not count.
fn from_record(recorded: &Recorded, memory: &WorktreeMemory) -> Option<Option<Tests>> {
    let verdict = recorded.verdict.as_ref()?;
    let now = memory.content.as_ref().map(|content| &content.digest);
    let tested = verdict.content_after.as_ref();
    // What changed while the tests ran was tested by half.
    let counts = tested.is_some() && tested == now && verdict.content_before == verdict.content_after;
    Some(counts.then_some(Tests {
        status: if verdict.passed { TestStatus::Passing } else { TestStatus::Failing },
        source: TestSource::Record,
        counts: verdict.counts,
        duration: Some(verdict.duration),
        tested_at: Some(verdict.ended_at),
    }))
}

/// All reports that count, summed; pytest's cache does not say how many passed.
fn from_reports(
    reports: &[Report],
    source: TestSource,
    freshness: &Freshness<'_>,
    memory: &mut WorktreeMemory,
) -> Option<Tests> {
    let mut sum = TestCounts::default();
    let mut unexplained = false;
    let mut duration = None;
    let mut newest = None;
    for report in reports {
        let Some(mut known) = memory.reports.remove(&report.key) else { continue };
        if freshness.counts(report.written_ns, &mut known, memory) {
            sum = sum.plus(known.counts.unwrap_or_default());
            unexplained |= known.unexplained > 0;
            duration = duration.into_iter().chain(known.duration).reduce(Duration::saturating_add);
            newest = newest.max(Some(report.written_ns));
        }
        memory.reports.insert(report.key.clone(), known);
    }
    Some(Tests {
        status: match sum.failed {
            1.. => TestStatus::Failing,
            0 if unexplained => TestStatus::Unknown,
            0 => TestStatus::Passing,
        },
        source,
        counts: (source == TestSource::Junit).then_some(sum),
        duration,
        tested_at: Timestamp::from_nanosecond(newest?).ok(),
    })
}

/// What tells whether something tracked has changed since an instant.
struct Freshness<'a> {
    parts: &'a Parts,
    /// Times after this one are none of the past.
    latest_ns: i128,
}

impl Freshness<'_> {
    /// Whether a verdict of this instant counts; if so, under which content is kept in `known`.
    fn counts(&self, tested_ns: i128, known: &mut ReportMemory, memory: &WorktreeMemory) -> bool {
        let now = memory.content.as_ref();
        if let (Some(tested), Some(now)) = (&known.content, now) {
            return *tested == now.digest;
        }
        // A time that is still to come, from a clock that was wrong, does not tell what came after it.
        if tested_ns > self.latest_ns {
            return false;
        }
        let seen_before = now.is_some_and(|content| content.since.as_nanosecond() <= tested_ns);
        let counts = seen_before || self.untouched_since(tested_ns);
        if counts {
            known.content = now.map(|content| content.digest.clone());
        }
        counts
    }

    /// By times: if the index is older than the tests, only files that differ from it can have changed since; else any
    /// tracked file may have been changed and committed.
    fn untouched_since(&self, tested_ns: i128) -> bool {
        self.parts.newest_edit_ns().is_none_or(|edit| edit <= tested_ns)
            && self.parts.all().all(|(git, part)| no_file_changed_since(tested_ns, git, part).unwrap_or(false))
    }
}

/// Whether no file has changed but those that differ from the index, as far as times can tell.
fn no_file_changed_since(tested_ns: i128, git: &Git, part: &Inspection) -> Result<bool, GitError> {
    if Stamp::of(&git.git_dir.join("index")).is_none_or(|index| index.mtime_ns <= tested_ns) {
        return Ok(true);
    }
    let is_newer = |path: &[u8]| {
        let metadata = git.work_tree.join(OsStr::from_bytes(path)).symlink_metadata();
        // One that is gone is a difference from the index; a directory is a submodule, looked at by itself.
        metadata.is_ok_and(|file| !file.is_dir() && Stamp::from(file).changed_ns() > tested_ns)
    };
    let tracked = part.tracked(git)?;
    Ok(!tracked.entries().any(|entry| is_newer(entry.path))
        && !names::changed_since(&git.work_tree, tracked, tested_ns))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock;

    #[test]
    fn what_was_there_before_and_after_the_tests_was_tested_unless_their_time_is_still_to_come() {
        let now = clock::now();
        let directory = tempfile::tempdir().expect("a directory");
        let parts = Parts::with_edit(directory.path());
        let freshness = Freshness { parts: &parts, latest_ns: (now + CLOCK_SLACK).as_nanosecond() };
        let content = Since { digest: "content".to_owned(), since: now - SignedDuration::from_secs(60) };
        let memory = WorktreeMemory { content: Some(content), reports: BTreeMap::new(), ..WorktreeMemory::default() };
        let counts = |seconds| {
            let tested = now + SignedDuration::from_secs(seconds);
            freshness.counts(tested.as_nanosecond(), &mut ReportMemory::default(), &memory)
        };
        assert_eq!([-90, -30, 0, 86_400].map(counts), [false, true, true, false]);
    }
}
