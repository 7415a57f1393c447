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
pub mod reports;
mod runners;
mod status;
#[cfg(test)]
mod tests;
mod verdict;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use self::git::inspect::Inspection;
use self::git::porcelain::Change;
use self::git::{Git, GitError, merge, refs};
use self::parts::Parts;
use self::reports::Report;
use self::status::Evidence;
use super::Context;
use crate::clock::{self, Deadline};
use crate::model::observation::NotReached;
use crate::model::worktree::{
    MergeMemory, Since, Standing, Status, StatusSource, TestCounts, WorktreeFacts, WorktreeMemory, WorktreeTarget,
};

/// Errors: [`NotReached`] where git hangs in another worktree of the repository, and where the pass left it less than its
/// own time: neither says anything of this one.
pub fn check(
    target: &WorktreeTarget,
    mut memory: WorktreeMemory,
    context: &Context,
) -> Result<(WorktreeFacts, WorktreeMemory), NotReached> {
    let begun = clock::instant();
    let hung = || context.shared.hung.lock();
    let facts = match &target.standing {
        Standing::Unreadable(reason) => WorktreeFacts { error: Some(reason.clone()), ..known_without_git(target) },
        Standing::Gone(reason) => return Ok((gone(target, reason.clone()), WorktreeMemory::default())),
        Standing::Present if hung().contains(&target.repository) => return Err(NotReached::Postponed),
        Standing::Present => match present(target, context, &mut memory) {
            Ok(facts) => facts,
            Err(error) if is_cut_off(&error, context) => return Err(NotReached::CutOff(begun.elapsed())),
            // The directory can go between the plan and the look.
            Err(_) if !target.path.exists() => gone(target, format!("{} is gone", target.path.display())),
            Err(error) => {
                if matches!(error, GitError::TimedOut { .. }) {
                    hung().insert(target.repository.clone());
                }
                let remedy = error.remedy().map(str::to_owned);
                WorktreeFacts { error: Some(error.to_string()), remedy, ..known_without_git(target) }
            }
        },
    };
    Ok((facts, memory))
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
pub fn contents(target: &WorktreeTarget, deadline: Deadline) -> anyhow::Result<Contents> {
    let parts = Parts::inspect(Git::of(target, deadline), &[], &mut None)?;
    Ok(Contents { digest: parts.digest(), commit: parts.outer.porcelain.head })
}

/// The JUnit reports of a worktree at one moment, to tell later which a command has written. By their stamps and not
/// by the clock: a file's time may lie some milliseconds before the moment it was written.
#[derive(Debug)]
pub struct Reports(Vec<Report>);

impl Reports {
    pub fn of(target: &WorktreeTarget, deadline: Deadline) -> Reports {
        Reports(reports::junit_reports(target, &BTreeMap::new(), deadline))
    }

    /// The tests in those that are not as they were `before`; `None` if there is none.
    pub fn tests_since(&self, before: &Reports) -> Option<TestCounts> {
        let known: HashSet<_> = before.0.iter().map(|report| (&report.path, &report.said.stamp)).collect();
        let fresh = self.0.iter().filter(|report| !known.contains(&(&report.path, &report.said.stamp)));
        fresh.filter_map(|report| report.said.counts).reduce(TestCounts::plus).filter(|counts| counts.total() > 0)
    }
}

fn gone(target: &WorktreeTarget, reason: String) -> WorktreeFacts {
    WorktreeFacts {
        status: Some((Status::Blocked, StatusSource::Missing)),
        evidence: Some(reason),
        prunable: target.id.is_some() && target.lock.is_none(),
        ..known_without_git(target)
    }
}

fn known_without_git(target: &WorktreeTarget) -> WorktreeFacts {
    WorktreeFacts {
        path: target.path.to_string_lossy().into_owned(),
        locked: target.lock.is_some(),
        lock_reason: target.lock.clone().filter(|reason| !reason.is_empty()),
        ..WorktreeFacts::default()
    }
}

fn present(target: &WorktreeTarget, context: &Context, memory: &mut WorktreeMemory) -> Result<WorktreeFacts, GitError> {
    let git = Git::of(target, context.deadline);
    let processes = &context.shared.processes;
    // Before git is asked: what changes meanwhile makes the worktree due again.
    memory.watched = watched::stamps(target, &git, memory);
    let inside = processes.standing_in(|directory| target.holds(directory));
    memory.processes = inside.map(|process| (process.stat.pid, process.stat.start_ticks)).collect();
    let nested: Vec<&Path> = target.nested.iter().filter_map(|path| path.strip_prefix(&target.path).ok()).collect();
    let parts = Parts::inspect(git, &nested, &mut memory.without_submodules)?;
    let Inspection { git, porcelain, .. } = &parts.outer;
    let count = |wanted: fn(&Change) -> bool| porcelain.changes.iter().filter(|change| wanted(change)).count() as u64;
    let mut facts = WorktreeFacts {
        branch: porcelain.branch.clone(),
        head: porcelain.head.clone(),
        changed_files: Some(parts.changed()),
        conflicted_files: Some(porcelain.conflicted),
        staged_files: Some(count(|change| change.staged)),
        modified_files: Some(count(|change| change.modified) + parts.changed_submodules),
        untracked_files: Some(porcelain.untracked.len() as u64),
        agents: agents::in_worktree(target, processes, context.started_at, &mut memory.agents),
        notes: parts.notes.clone(),
        ..known_without_git(target)
    };
    let committed = compare(&parts.outer, target.base.as_deref(), &mut facts, &mut memory.merge)?;
    let here = porcelain.paths().take(merge::MAX_PATHS).map(|path| path.escape_ascii().to_string());
    facts.changed_paths = here.chain(committed).collect::<BTreeSet<_>>().into_iter().collect();
    memory.watched.extend(watched::base_stamps(git, facts.base.as_deref()));

    let declared = declared::read(&target.path);
    facts.notes.extend(declared.notes.iter().cloned());
    let recorded = record::read(&target.records, &target.path);
    let evidence = Evidence {
        declared: declared.status,
        operation: operation::stopped(git),
        recording: recorded.running,
        runner: runners::in_worktree(target, processes),
        removable: target.id.is_some() && !facts.locked,
    };
    let (status, source, evidence) = status::decide(&facts, evidence);
    (facts.status, facts.evidence) = (Some((status, source)), evidence);
    verdict::decide(&parts, target, &declared, &recorded, context.started_at, &mut facts, memory)?;
    let (digest, newest) = parts.state(&facts);
    facts.last_change_at = Some(newest);
    memory.state = Some(Since::renewed(memory.state.take(), digest, context.started_at, newest));
    memory.cost = git.cpu();
    Ok(facts)
}

/// Ahead and behind the upstream, or else the base; whether the base has the commits, or at least their content. Returns
/// the paths that these change.
fn compare(
    part: &Inspection,
    base: Option<&str>,
    facts: &mut WorktreeFacts,
    known: &mut Option<MergeMemory>,
) -> Result<Vec<String>, GitError> {
    let (committed_at, tip) = refs::read(part, base)?;
    facts.last_commit_at = committed_at;
    facts.base = tip.as_ref().map(|tip| tip.name.clone());
    if let (None, Some(base)) = (&tip, base) {
        facts.notes.push(format!("the base {base:?} is no branch, remote branch or tag of this repository"));
    }
    let Inspection { git, porcelain, .. } = part;
    let Some(head) = &porcelain.head else { return Ok(Vec::new()) };
    let from_base = tip.as_ref().map(|tip| refs::distance(git, head, &tip.oid)).transpose()?;
    facts.unmerged = from_base.map(|(ahead, _)| ahead);
    let (distance, name) = match porcelain.ahead_behind {
        Some(distance) => (Some(distance), &porcelain.upstream),
        None => (from_base, &facts.base),
    };
    facts.ahead = distance.map(|(ahead, _)| ahead);
    facts.behind = distance.map(|(_, behind)| behind);
    facts.compared_with = distance.and(name.clone());
    let Some(base) = &tip else { return Ok(Vec::new()) };
    if facts.unmerged == Some(0) {
        facts.integrated = Some(true);
        return Ok(Vec::new());
    }
    let commits = (head.clone(), base.oid.clone());
    let merge = match known.take().filter(|merge| merge.commits == commits) {
        Some(merge) => merge,
        None => merge::compare(git, head, base)?,
    };
    (facts.integrated, facts.merge_conflict) = (merge.integrated, merge.conflict);
    Ok(known.insert(merge).paths.clone())
}
