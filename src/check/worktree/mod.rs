//! Git worktrees: what work is where, and do its tests pass.
//!
//! Git is asked ([`git`]) only where something may have changed, and only about that; the rest is read from files:
//! `.worktree` ([`declared`]), stopped operations, live test runners ([`runners`]), what `record` left ([`record`]), test
//! reports ([`reports`]). [`status`] and [`verdict`] apply the rules. Nothing in a watched repository is written, locked
//! or run.

pub mod declared;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod git;
mod operation;
pub mod record;
mod reports;
mod runners;
mod status;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use self::git::index::Index;
use self::git::look::{LookError, Subject, look};
use self::git::{Git, submodules};
use self::status::Evidence;
use super::Context;
use crate::clock::Deadline;
use crate::model::digest::Digest;
use crate::model::worktree::{
    Answer, Content, ReportMemory, Seen, Standing, TestCounts, WorktreeFacts, WorktreeMemory, WorktreeTarget,
};

/// Submodules beyond this many are not looked into.
const MAX_SUBMODULES: usize = 500;

/// Submodules in submodules beyond this depth are not looked into.
const MAX_DEPTH: usize = 8;

/// How many tests a JUnit report holds; for the benchmarks.
#[doc(hidden)]
pub fn tests_in(report: &[u8]) -> Option<u64> {
    reports::junit::parse(report).map(|report| report.counts.total())
}

/// Looks at one worktree.
pub fn check(target: &WorktreeTarget, memory: WorktreeMemory, context: &Context) -> (WorktreeFacts, WorktreeMemory) {
    let path = target.path.to_string_lossy().into_owned();
    match &target.standing {
        Standing::Unreadable { reason } => (WorktreeFacts::unreadable(path, reason.clone()), memory),
        Standing::Gone { reason } => (gone(path, reason), WorktreeMemory::default()),
        Standing::Present { git_dir, common_dir } => {
            let mut facts = WorktreeFacts { path: path.clone(), ..WorktreeFacts::default() };
            let mut memory = memory;
            let git = Git::new(git_dir, common_dir, &target.path, context.deadline, context.started_at);
            match present(target, git, context, &mut facts, &mut memory) {
                Ok(()) => (facts, memory),
                // The directory can go between the plan and the look.
                Err(_) if !target.path.exists() => (gone(path.clone(), &format!("{path} is gone")), memory),
                Err(error) => (WorktreeFacts::unreadable(path, error.to_string()), memory),
            }
        }
    }
}

/// What is checked out in a worktree right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// HEAD's commit; `None` on a branch without commits.
    pub commit: Option<String>,
    /// Digest of everything tracked as it is in the worktree; `None` if too much has changed to read it.
    pub digest: Option<String>,
}

/// Looks at what is checked out, without any memory. The digest is the one that a pass compares.
///
/// # Errors
/// A sentence, where the worktree cannot be read.
pub fn contents(path: &Path, git_dir: &Path, common_dir: &Path, deadline: Deadline) -> Result<Contents, String> {
    let mut git = Git::new(git_dir, common_dir, path, deadline, crate::clock::now());
    let subject = Subject { base: None, nested: Vec::new(), compare: false };
    let (seen, index) = look(&mut git, &subject, None).map_err(|e| e.to_string())?;
    let inner = look_into_all(&git, &seen, index.as_ref(), &BTreeMap::new(), &mut BTreeMap::new());
    let digest = whole_digest(seen.answer.content.as_deref(), &inner.contents);
    Ok(Contents { commit: seen.answer.head, digest })
}

/// The JUnit reports of a worktree at one moment, to tell later which a command has written. By their stamps and not
/// by the clock: a file's time may lie some milliseconds before the moment it was written.
#[derive(Debug, Clone, Default)]
pub struct Reports(BTreeMap<String, ReportMemory>);

impl Reports {
    /// Reads them.
    pub fn of(path: &Path, globs: &[String], deadline: Deadline) -> Reports {
        let mut known = BTreeMap::new();
        reports::junit_reports(path, globs, &[], &mut known, deadline);
        Reports(known)
    }

    /// The tests in those that are not as they were `before`; `None` if there is none.
    pub fn tests_since(&self, before: &Reports) -> Option<TestCounts> {
        let stamp = |reports: &Reports, key: &String| reports.0.get(key).map(|report| report.stamp.clone());
        let fresh = self.0.iter().filter(|(key, report)| stamp(before, key).as_ref() != Some(&report.stamp));
        fresh.filter_map(|(_, report)| report.counts).reduce(TestCounts::plus).filter(|counts| counts.total() > 0)
    }
}

fn gone(path: String, reason: &str) -> WorktreeFacts {
    let (status, source, evidence) =
        status::decide(Evidence { missing: Some(reason.to_owned()), ..Evidence::default() });
    WorktreeFacts { path, status: Some((status, source)), evidence, ..WorktreeFacts::default() }
}

fn present(
    target: &WorktreeTarget,
    mut git: Git,
    context: &Context,
    facts: &mut WorktreeFacts,
    memory: &mut WorktreeMemory,
) -> Result<(), LookError> {
    let nested = target.nested.iter().filter_map(|path| path.strip_prefix(&target.path).ok()).collect();
    let subject = Subject { base: target.base.as_deref(), nested, compare: true };
    let old = std::mem::take(&mut memory.seen);
    let (seen, index) = look(&mut git, &subject, old.get(""))?;
    let mut seen_now = BTreeMap::new();
    let inner = look_into_all(&git, &seen, index.as_ref(), &old, &mut seen_now);
    let answer = seen.answer.clone();
    seen_now.insert(String::new(), seen);
    memory.seen = seen_now;

    facts.branch.clone_from(&answer.branch);
    facts.head.clone_from(&answer.head);
    facts.base.clone_from(&answer.base);
    facts.last_commit_at = answer.last_commit_at;
    facts.changed_files = Some(answer.changed + inner.changed);
    facts.conflicted_files = Some(answer.conflicted);
    facts.locked = git.git_dir.join("locked").exists();
    compare(&git, &answer, facts, memory)?;
    if let (None, Some(base)) = (&answer.base, &target.base) {
        facts.notes.push(format!("the base {base:?} is no branch, remote branch or tag of this repository"));
    }
    remember_content(memory, answer.content.as_deref(), &inner.contents, context);

    let declared = declared::read(&target.path);
    facts.notes.extend(declared.notes.iter().cloned());
    let recorded = record::read(&target.records, &target.path);
    let evidence = Evidence {
        declared: declared.status,
        missing: None,
        conflicted: answer.conflicted,
        operation: operation::stopped(&git.git_dir),
        recording: recorded.running,
        runner: runners::in_worktree(target, &context.processes),
        changed: answer.changed + inner.changed,
        unmerged: facts.unmerged,
    };
    let (status, source, evidence) = status::decide(evidence);
    facts.status = Some((status, source));
    facts.evidence = evidence;
    verdict::decide(&git, target, &declared, &recorded, index.as_ref(), &answer, facts, memory);
    Ok(())
}

/// Ahead and behind the upstream, or else the base; commits that the base does not have.
fn compare(
    git: &Git,
    answer: &Answer,
    facts: &mut WorktreeFacts,
    memory: &mut WorktreeMemory,
) -> Result<(), LookError> {
    let Some(head) = &answer.head else { return Ok(()) };
    let mut to = |other: &Option<String>| match other {
        Some(other) => git::refs::distance(git, head, other, &mut memory.distances).map(Some),
        None => Ok(None),
    };
    let base = to(&answer.base_head)?;
    let upstream = to(&answer.upstream_head)?;
    facts.unmerged = base.map(|(ahead, _)| ahead);
    let (distance, name) = match upstream {
        Some(distance) => (Some(distance), &answer.upstream),
        None => (base, &answer.base),
    };
    facts.ahead = distance.map(|(ahead, _)| ahead);
    facts.behind = distance.map(|(_, behind)| behind);
    facts.compared_with = distance.and(name.clone());
    Ok(())
}

/// What is in the submodules.
#[derive(Debug, Default)]
struct Submodules {
    /// Those with changes of their own that the worktree does not count already.
    changed: u64,
    /// Digest of what is tracked in each; `None` if one could not be read.
    contents: Option<Vec<String>>,
}

/// Looks into every submodule that is checked out. One that cannot be read costs only itself.
fn look_into_all(
    git: &Git,
    seen: &Seen,
    index: Option<&Index>,
    old: &BTreeMap<String, Seen>,
    seen_now: &mut BTreeMap<String, Seen>,
) -> Submodules {
    let mut found = Submodules { changed: 0, contents: Some(Vec::new()) };
    let mut paths = index.map_or_else(Vec::new, submodules::paths);
    paths.truncate(MAX_SUBMODULES);
    for path in paths {
        let key = path.escape_ascii().to_string();
        let changed = look_into(git, &path, &key, old, seen_now, &mut found.contents, 1);
        if changed && !seen.answer.changed_submodules.contains(&key) {
            found.changed += 1;
        }
    }
    found
}

fn look_into(
    outer: &Git,
    path: &[u8],
    key: &str,
    old: &BTreeMap<String, Seen>,
    seen_now: &mut BTreeMap<String, Seen>,
    contents: &mut Option<Vec<String>>,
    depth: usize,
) -> bool {
    let Some(mut git) = submodules::open(outer, path) else { return false };
    let subject = Subject { base: None, nested: Vec::new(), compare: false };
    let Ok((seen, index)) = look(&mut git, &subject, old.get(key)) else {
        *contents = None;
        return false;
    };
    match (&mut *contents, &seen.answer.content) {
        (Some(all), Some(content)) => all.push(content.clone()),
        _ => *contents = None,
    }
    let mut changed = seen.answer.changed + seen.answer.conflicted > 0;
    seen_now.insert(key.to_owned(), seen);
    if depth < MAX_DEPTH {
        for path in index.as_ref().map_or_else(Vec::new, submodules::paths) {
            let key = format!("{key}/{}", path.escape_ascii());
            changed |= look_into(&git, &path, &key, old, seen_now, contents, depth + 1);
        }
    }
    changed
}

/// Keeps the digest of everything tracked, and since when it has been that.
fn remember_content(
    memory: &mut WorktreeMemory,
    own: Option<&str>,
    submodules: &Option<Vec<String>>,
    context: &Context,
) {
    let digest = whole_digest(own, submodules);
    memory.content = digest.map(|digest| match memory.content.take() {
        Some(known) if known.digest == digest => known,
        _ => Content { digest, since: context.started_at },
    });
}

/// One digest over the worktree's own and its submodules' content.
fn whole_digest(own: Option<&str>, submodules: &Option<Vec<String>>) -> Option<String> {
    let mut digest = Digest::default();
    digest.part(own?.as_bytes());
    submodules.as_ref()?.iter().for_each(|content| digest.part(content.as_bytes()));
    Some(digest.finish())
}
