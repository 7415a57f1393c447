//! The tests' verdict: the newest one that still counts.
//!
//! A verdict counts while what was tested is what is there. Where the content is known (`record` keeps a digest of it, and
//! so does the memory of an earlier look) that is compared; else nothing tracked may have changed since by its times.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::declared::Declared;
use super::git::inspect::Inspection;
use super::git::{GitError, content, names};
use super::parts::Parts;
use super::record::{Recorded, Verdict};
use super::reports::{self, Report};
use crate::fs::stamp::Stamp;
use crate::model::worktree::{
    Since, TestCounts, TestSource, TestStatus, Tests, WorktreeFacts, WorktreeMemory, WorktreeTarget,
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
    let mut reports = reports::junit_reports(target, &memory.reports, parts.outer.git.deadline);
    reports.extend(reports::pytest::last_run(&target.path, &memory.reports));
    memory.reports = reports.iter().map(|report| (reports::key(&report.path), report.said.clone())).collect();
    reports.retain(Report::is_verdict);
    if recorded.verdict.is_none() && reports.is_empty() {
        memory.content = None;
        return Ok(());
    }
    let committed = committed(parts)?;
    reports.retain(|report| {
        let path = report.path.strip_prefix(&target.path).unwrap_or(&report.path);
        !committed.contains(path.as_os_str().as_bytes())
    });
    memory.content = parts.digest().map(|digest| Since::renewed(memory.content.take(), digest, started_at, started_at));

    let latest = crate::clock::now() + CLOCK_SLACK;
    let freshness = Freshness { parts, content: memory.content.as_ref(), latest_ns: latest.as_nanosecond() };
    let recorded = recorded.verdict.as_ref().map(|verdict| from_record(verdict, freshness.content));
    let judged = [TestSource::Junit, TestSource::Pytest].map(|source| {
        let mut reports: Vec<&mut Report> = reports.iter_mut().filter(|report| report.source == source).collect();
        (!reports.is_empty()).then(|| from_reports(&mut reports, source, &freshness))
    });
    memory.reports.extend(reports.iter().map(|report| (reports::key(&report.path), report.said.clone())));
    // Of two at the same instant the first wins: `record` knows more than the report its command left.
    let verdicts: Vec<Option<Tests>> = [recorded].into_iter().chain(judged).flatten().rev().collect();
    let ignored = verdicts.contains(&None);
    // One of the future was made under a wrong clock: it must not win over every newer one until that time comes.
    facts.tests = verdicts.into_iter().flatten().max_by_key(|tests| tests.tested_at.filter(|at| *at <= latest));
    let contradicts = facts.test_status() == TestStatus::Unknown && facts.tests.is_some();
    facts.notes.extend(contradicts.then(|| UNEXPLAINED.to_owned()));
    facts.tests_ignored = (facts.tests.is_none() && ignored).then(|| CHANGED.to_owned());
    Ok(())
}

/// Paths that are tracked and as committed: what stands there was written by no run of this worktree.
fn committed(parts: &Parts) -> Result<HashSet<&[u8]>, GitError> {
    let changed: HashSet<&[u8]> = parts.outer.porcelain.changes.iter().map(|change| change.path.as_slice()).collect();
    let tracked = parts.outer.tracked()?.entries().map(|entry| entry.path);
    Ok(tracked.filter(|path| !changed.contains(path)).collect())
}

/// `None` if what was tested is not what is there.
fn from_record(verdict: &Verdict, content: Option<&Since>) -> Option<Tests> {
    let tested = verdict.content_after.as_ref()?;
    // What changed while the tests ran was tested by half.
    let counts = content.is_some_and(|now| now.digest == *tested) && verdict.content_before == verdict.content_after;
    counts.then_some(Tests {
        status: if verdict.passed { TestStatus::Passing } else { TestStatus::Failing },
        source: TestSource::Record,
        counts: verdict.counts,
        duration: Some(verdict.duration),
        tested_at: Some(verdict.ended_at),
    })
}

/// All reports that count, summed; `None` if none does.
fn from_reports(reports: &mut [&mut Report], source: TestSource, freshness: &Freshness<'_>) -> Option<Tests> {
    let mut sum = TestCounts::default();
    let mut unexplained = false;
    let mut duration = None;
    let mut newest = None;
    for report in reports.iter_mut().filter_map(|report| freshness.counts(report).then_some(report)) {
        sum = sum.plus(report.said.counts.unwrap_or_default());
        unexplained |= report.said.unexplained > 0;
        duration = duration.into_iter().chain(report.said.duration).reduce(Duration::saturating_add);
        newest = newest.max(Some(report.written_ns));
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
    /// The digest of what is there now.
    content: Option<&'a Since>,
    /// Times after this one are none of the past.
    latest_ns: i128,
}

impl Freshness<'_> {
    /// Whether a report counts; if so, under which content is kept in it.
    fn counts(&self, report: &mut Report) -> bool {
        if let (Some(tested), Some(now)) = (&report.said.content, self.content) {
            return *tested == now.digest;
        }
        // A time that is still to come, from a clock that was wrong, does not tell what came after it.
        if report.written_ns > self.latest_ns {
            return false;
        }
        let seen_before = self.content.is_some_and(|content| content.since.as_nanosecond() <= report.written_ns);
        let counts = seen_before || self.untouched_since(report.written_ns);
        if counts {
            report.said.content = self.content.map(|content| content.digest.clone());
        }
        counts
    }

    /// By times: if the index is older than the tests, only files that differ from it can have changed since; else any
    /// tracked file may have been changed and committed.
    fn untouched_since(&self, tested_ns: i128) -> bool {
        self.parts.all().all(|part| {
            content::newest_edit(part).is_none_or(|edit| edit <= tested_ns)
                && no_file_changed_since(tested_ns, part).unwrap_or(false)
        })
    }
}

/// Whether no file has changed but those that differ from the index, as far as times can tell.
fn no_file_changed_since(tested_ns: i128, part: &Inspection) -> Result<bool, GitError> {
    let git = &part.git;
    if Stamp::of(&git.git_dir.join("index")).is_none_or(|index| index.mtime_ns <= tested_ns) {
        return Ok(true);
    }
    let is_newer = |path: &[u8]| {
        let metadata = git.file(path).symlink_metadata();
        // One that is gone is a difference from the index; a directory is a submodule, looked at by itself.
        metadata.is_ok_and(|file| !file.is_dir() && Stamp::from(file).changed_ns() > tested_ns)
    };
    let tracked = part.tracked()?;
    Ok(!tracked.entries().any(|entry| is_newer(entry.path)) && !names::changed_since(git, tracked, tested_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::model::worktree::ReportMemory;

    #[test]
    fn what_was_there_before_and_after_the_tests_was_tested_unless_their_time_is_still_to_come() {
        let now = clock::now();
        let directory = tempfile::tempdir().expect("a directory");
        let parts = Parts::with_edit(directory.path());
        let content = Since { digest: "content".to_owned(), since: now - SignedDuration::from_secs(60) };
        let latest_ns = (now + CLOCK_SLACK).as_nanosecond();
        let freshness = Freshness { parts: &parts, content: Some(&content), latest_ns };
        let counts = |seconds| {
            let written_ns = (now + SignedDuration::from_secs(seconds)).as_nanosecond();
            let said = ReportMemory::default();
            freshness.counts(&mut Report { source: TestSource::Junit, path: "r.xml".into(), written_ns, said })
        };
        assert_eq!([-90, -30, 0, 86_400].map(counts), [false, true, true, false]);
    }
}
