//! Repositories → worktrees → names, read from git's own files without starting git.
//!
//! A repository that cannot be read becomes a target that says so: its series stay, with `lab_worktree_up 0`.

pub(super) mod layout;
mod names;

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use self::layout::Found;
use super::{Plan, timeout};
use crate::clock::Deadline;
use crate::config::settings::WorktreeSettings;
use crate::fs::stamp::Stamp;
use crate::model::digest;
use crate::model::target::{Origin, Probe, Target};
use crate::model::worktree::{Standing, WorktreeMemory, WorktreeTarget};
use crate::proc::{Process, ProcessTable, hung};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    pub path: PathBuf,
    pub git_dir: PathBuf,
    /// The directory shared by all worktrees of the repository.
    pub common_dir: PathBuf,
}

/// The worktree that `directory` lies in.
pub fn containing(directory: &Path) -> anyhow::Result<Worktree> {
    let repository = layout::find(directory, true)?;
    let (path, git_dir) = repository
        .entrance
        .with_context(|| format!("{} lies in a bare repository, not in a worktree", directory.display()))?;
    Ok(Worktree { path, git_dir, common_dir: repository.common_dir })
}

/// Every worktree of every configured repository, named; `records` is where `record` keeps its verdicts.
pub fn plan(settings: &WorktreeSettings, records: &Path, deadline: Deadline) -> Plan {
    let mut plan = Plan::default();
    let mut found = discover(settings, deadline);
    let mut known = HashSet::new();
    found.retain(|one| known.insert(one.path.clone()));
    let names = names::choose(&found, &settings.named);
    for (path, name) in &settings.named {
        if !found.iter().any(|one| names::same_place(path, &one.path)) {
            plan.warnings.push(format!(
                "[[worktree.named]] {name:?}: no worktree of a configured repository lies at {}; add its repository to [worktree] repos",
                path.display()
            ));
        }
    }
    let paths: Vec<PathBuf> = found.iter().map(|one| one.path.clone()).collect();
    plan.targets =
        found.into_iter().zip(names).map(|(one, name)| target(one, name, &paths, settings, records)).collect();
    plan
}

/// Every worktree of every repository. One that hangs costs itself and no other.
fn discover(settings: &WorktreeSettings, deadline: Deadline) -> Vec<Found> {
    let upwards = settings.discovered;
    let files = |path: &PathBuf| timeout::files_of_repository(path);
    let answers = timeout::each(settings.repos.clone(), timeout::FOR_REPOSITORY, deadline, files, move |path| {
        layout::find(path, upwards).map(|repository| {
            let found = layout::worktrees(&repository, deadline);
            (repository, found)
        })
    });
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for (path, answer) in settings.repos.iter().zip(answers) {
        match answer {
            Some(Ok((repository, worktrees))) => {
                if known.insert(repository.common_dir) {
                    found.extend(worktrees);
                }
            }
            Some(Err(_)) if settings.discovered => {}
            Some(Err(reason)) => found.push(Found::unreadable(path, format!("{reason:#}"))),
            None => found.push(Found::unreadable(path, hung::does_not_answer(path))),
        }
    }
    found
}

fn target(one: Found, name: String, all: &[PathBuf], settings: &WorktreeSettings, records: &Path) -> Target {
    let nested = all.iter().filter(|path| **path != one.path && path.starts_with(&one.path)).cloned().collect();
    let origin = match &one.standing {
        Standing::Present { git_dir } => git_dir.clone(),
        Standing::Gone { .. } | Standing::Unreadable { .. } => one.repository.clone(),
    };
    Target {
        name,
        schedule: settings.schedule,
        only_here: settings.discovered,
        fingerprint: fingerprint(&one, settings),
        origins: vec![Origin::own(PathBuf::from(origin.to_string_lossy().into_owned()), "git")],
        probe: Probe::Worktree(WorktreeTarget {
            linked: !one.main,
            lock: layout::lock(&one),
            repository: one.repository,
            path: one.path,
            standing: one.standing,
            nested,
            base: settings.base.clone(),
            test_reports: settings.test_reports.clone(),
            test_runners: settings.test_runners.clone(),
            records: records.to_owned(),
            idle_ttl: settings.idle_ttl,
        }),
    }
}

/// What decides the outcome. Whether the directory is there is an observation, not configuration.
fn fingerprint(one: &Found, settings: &WorktreeSettings) -> String {
    let settings = format!("{:?} {:?} {:?}", settings.base, settings.test_reports, settings.test_runners);
    digest::of([one.path.as_os_str().as_bytes(), one.repository.as_os_str().as_bytes(), settings.as_bytes()])
}

/// Whether something has changed since the last look that makes the worktree due before its time: a file that git, a person
/// or `record` writes, or somebody who has come to stand in it. A handful of `stat` calls and the walk over the processes.
pub(crate) fn changed_since_last_look(
    worktree: &WorktreeTarget,
    memory: &WorktreeMemory,
    processes: &ProcessTable,
) -> bool {
    let is_newcomer = |process: &Process| {
        process.directory.as_deref().is_some_and(|directory| worktree.holds(directory))
            && !memory.processes.contains(&(process.stat.pid, process.stat.start_ticks))
            && !processes.is_own(process)
    };
    memory.watched.iter().any(|(path, known)| Stamp::text_of(path.as_ref()) != *known)
        || processes.all().into_iter().flatten().any(is_newcomer)
}
