//! Git worktrees: what work is where, and do its tests pass.
//!
//! Git is asked ([`git`]) what has changed; the rest is read from files: `.worktree` ([`declared`]), stopped operations,
//! live test runners ([`runners`]), what `record` left ([`record`]), test reports ([`reports`]). [`status`] and
//! [`verdict`] apply the rules. Nothing in a watched repository is written, locked or run.

mod agents;
pub mod declared;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod git;
mod operation;
mod parts;
pub mod record;
mod reports;
mod runners;
mod status;
#[cfg(test)]
mod tests;
mod verdict;
mod watched;

use std::collections::BTreeMap;
use std::path::Path;

use self::git::porcelain::{Change, Porcelain};
use self::git::{Git, GitError, merge, refs};
use self::parts::Parts;
use self::status::Evidence;
use super::Context;
use crate::clock::{self, Deadline};
use crate::model::observation::NotReached;
use crate::model::worktree::{
    ReportMemory, Since, Standing, TestCounts, WorktreeFacts, WorktreeMemory, WorktreeTarget,
};

/// How many tests a JUnit report holds; for the benchmarks.
#[doc(hidden)]
pub fn tests_in(report: &[u8]) -> Option<u64> {
    reports::junit::parse(report).map(|report| report.counts.total())
}

/// Errors: [`NotReached`] where git hangs in another worktree of the repository, and where the pass left it less than its
/// own time: neither says anything of this one.
pub fn check(
    target: &WorktreeTarget,
    memory: WorktreeMemory,
    context: &Context,
) -> Result<(WorktreeFacts, WorktreeMemory), NotReached> {
    let begun = clock::instant();
    let hung = || context.shared.hung.lock();
    let path = target.path.to_string_lossy().into_owned();
    Ok(match &target.standing {
        Standing::Unreadable { reason } => (WorktreeFacts::unreadable(path, reason.clone()), memory),
        Standing::Gone { reason } => (gone(target, reason), WorktreeMemory::default()),
        Standing::Present { .. } if hung().contains(&target.repository) => return Err(NotReached::Postponed),
        Standing::Present { git_dir } => {
            let mut facts = known_without_git(target);
            let mut memory = memory;
            let git = Git::new(git_dir, &target.repository, &target.path, context.deadline);
            match present(target, git, context, &mut facts, &mut memory) {
                Ok(()) => (facts, memory),
                Err(error) if is_cut_off(&error, context) => return Err(NotReached::CutOff(begun.elapsed())),
                // The directory can go between the plan and the look.
                Err(_) if !target.path.exists() => (gone(target, &format!("{path} is gone")), memory),
                Err(error) => {
                    if matches!(error, GitError::TimedOut { .. }) {
                        hung().insert(target.repository.clone());
                    }
                    let remedy = error.remedy().map(str::to_owned);
                    (WorktreeFacts { remedy, ..WorktreeFacts::unreadable(path, error.to_string()) }, memory)
                }
            }
        }
    })
}

/// Whether it was the end of the pass and not its own time that kept git from an answer.
fn is_cut_off(error: &GitError, context: &Context) -> bool {
    let ran_out = matches!(error, GitError::TimedOut { .. }) || context.deadline.passed();
    ran_out && context.deadline == context.pass_deadline
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    pub commit: Option<String>,
    /// Digest of everything tracked as it is in the worktree; `None` if too much has changed to read it.
    pub digest: Option<String>,
}

/// Looks at what is checked out, without any memory. The digest is the one that a pass compares.
pub fn contents(path: &Path, git_dir: &Path, common_dir: &Path, deadline: Deadline) -> anyhow::Result<Contents> {
    let git = Git::new(git_dir, common_dir, path, deadline);
    let parts = Parts::inspect(git, &[], &mut None)?;
    Ok(Contents { digest: parts.digest(), commit: parts.outer.porcelain.head })
}

/// The JUnit reports of a worktree at one moment, to tell later which a command has written. By their stamps and not
/// by the clock: a file's time may lie some milliseconds before the moment it was written.
#[derive(Debug, Clone, Default)]
pub struct Reports(BTreeMap<String, ReportMemory>);

impl Reports {
    pub fn of(path: &Path, globs: &[String], deadline: Deadline) -> Reports {
        Reports(reports::junit_reports(path, globs, &[], &BTreeMap::new(), deadline).1)
    }

    /// The tests in those that are not as they were `before`; `None` if there is none.
    pub fn tests_since(&self, before: &Reports) -> Option<TestCounts> {
        let stamp = |reports: &Reports, key: &String| reports.0.get(key).map(|report| report.stamp.clone());
        let fresh = self.0.iter().filter(|(key, report)| stamp(before, key).as_ref() != Some(&report.stamp));
        fresh.filter_map(|(_, report)| report.counts).reduce(TestCounts::plus).filter(|counts| counts.total() > 0)
    }
}

fn gone(target: &WorktreeTarget, reason: &str) -> WorktreeFacts {
    let (status, source, evidence) =
        status::decide(Evidence { missing: Some(reason.to_owned()), ..Evidence::default() });
    let prunable = target.linked && target.lock.is_none();
    WorktreeFacts { status: Some((status, source)), evidence, prunable, ..known_without_git(target) }
}

fn known_without_git(target: &WorktreeTarget) -> WorktreeFacts {
    WorktreeFacts {
        path: target.path.to_string_lossy().into_owned(),
        locked: target.lock.is_some(),
        lock_reason: target.lock.clone().filter(|reason| !reason.is_empty()),
        ..WorktreeFacts::default()
    }
}

fn present(
    target: &WorktreeTarget,
    git: Git,
    context: &Context,
    facts: &mut WorktreeFacts,
    memory: &mut WorktreeMemory,
) -> Result<(), GitError> {
    // Before git is asked: what changes meanwhile makes the worktree due again.
    memory.watched = watched::stamps(target, &git, memory);
    memory.processes = watched::processes_in(target, &context.shared.processes);
    let nested: Vec<&Path> = target.nested.iter().filter_map(|path| path.strip_prefix(&target.path).ok()).collect();
    let parts = Parts::inspect(git, &nested, &mut memory.without_submodules)?;
    let porcelain = &parts.outer.porcelain;
    facts.branch.clone_from(&porcelain.branch);
    facts.head.clone_from(&porcelain.head);
    facts.changed_files = Some(porcelain.changed() + parts.changed_submodules);
    facts.conflicted_files = Some(porcelain.conflicted);
    let count = |wanted: fn(&Change) -> bool| porcelain.changes.iter().filter(|change| wanted(change)).count() as u64;
    facts.staged_files = Some(count(|change| change.staged));
    facts.modified_files = Some(count(|change| change.modified) + parts.changed_submodules);
    facts.untracked_files = Some(porcelain.untracked.len() as u64);
    facts.agents = agents::in_worktree(target, &context.shared.processes, context.started_at, &mut memory.agents);
    facts.notes.extend(parts.notes.iter().cloned());
    let merge = compare(&parts, target.base.as_deref(), facts, memory)?;
    facts.changed_paths = changed_paths(porcelain, merge);
    memory.watched.extend(watched::base_stamps(&parts.git, facts.base.as_deref()));

    let declared = declared::read(&target.path);
    facts.notes.extend(declared.notes.iter().cloned());
    let recorded = record::read(&target.records, &target.path);
    let evidence = Evidence {
        declared: declared.status,
        missing: None,
        conflicted: porcelain.conflicted,
        operation: operation::stopped(&parts.git),
        recording: recorded.running,
        runner: runners::in_worktree(target, &context.shared.processes),
        changed: porcelain.changed() + parts.changed_submodules,
        unmerged: facts.unmerged,
        integrated: facts.base.as_ref().filter(|_| facts.integrated == Some(true)).map(|base| {
            let removable = if target.linked && !facts.locked { "; the worktree may be removed" } else { "" };
            format!("its content is in {base}{removable}")
        }),
    };
    let (status, source, evidence) = status::decide(evidence);
    facts.status = Some((status, source));
    facts.evidence = evidence;
    verdict::decide(&parts, target, &declared, &recorded, context.started_at, facts, memory)?;
    let (digest, newest) = parts.state(facts);
    facts.last_change_at = Some(newest);
    memory.state = Some(Since::renewed(memory.state.take(), digest, context.started_at, newest));
    memory.cost = parts.git.cpu();
    Ok(())
}

/// Paths that differ from the base, committed or not.
fn changed_paths(porcelain: &Porcelain, committed: Vec<String>) -> Vec<String> {
    let tracked = porcelain.changes.iter().map(|change| change.path.as_slice());
    let here = tracked.chain(porcelain.untracked.iter().map(Vec::as_slice));
    let mut paths: Vec<String> = here.take(merge::MAX_PATHS).map(|path| path.escape_ascii().to_string()).collect();
    paths.extend(committed);
    paths.sort();
    paths.dedup();
    paths
}

/// Ahead and behind the upstream, or else the base; whether the base has the commits, or at least their content. Returns
/// the paths that these change.
fn compare(
    parts: &Parts,
    base: Option<&str>,
    facts: &mut WorktreeFacts,
    memory: &mut WorktreeMemory,
) -> Result<Vec<String>, GitError> {
    let porcelain = &parts.outer.porcelain;
    let (head, upstream) = (porcelain.head.as_deref(), porcelain.upstream.as_deref());
    let tips = refs::read(&parts.git, head, upstream, base, &parts.outer.remotes)?;
    facts.last_commit_at = tips.committed_at;
    facts.base = tips.base.as_ref().map(|tip| tip.name.clone());
    if let (None, Some(base)) = (&tips.base, base) {
        facts.notes.push(format!("the base {base:?} is no branch, remote branch or tag of this repository"));
    }
    let Some(head) = head else { return Ok(Vec::new()) };
    let from_base = tips.base.as_ref().map(|tip| refs::distance(&parts.git, head, &tip.oid)).transpose()?;
    facts.unmerged = from_base.map(|(ahead, _)| ahead);
    let (distance, name) = match porcelain.ahead_behind {
        Some(distance) => (Some(distance), &porcelain.upstream),
        None => (from_base, &facts.base),
    };
    facts.ahead = distance.map(|(ahead, _)| ahead);
    facts.behind = distance.map(|(_, behind)| behind);
    facts.compared_with = distance.and(name.clone());
    let Some(base) = &tips.base else { return Ok(Vec::new()) };
    if facts.unmerged == Some(0) {
        facts.integrated = Some(true);
        return Ok(Vec::new());
    }
    let commits = (head.to_owned(), base.oid.clone());
    let merge = match memory.merge.take().filter(|merge| merge.commits == commits) {
        Some(merge) => merge,
        None => merge::compare(&parts.git, head, base)?,
    };
    (facts.integrated, facts.merge_conflict) = (merge.integrated, merge.conflict);
    Ok(memory.merge.insert(merge).paths.clone())
}
