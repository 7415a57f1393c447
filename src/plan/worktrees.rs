//! Repositories → worktrees → names, read from git's own files without starting git.
//!
//! A repository that cannot be read becomes a target that says so: its series stay, with `lab_worktree_up 0`.

pub(super) mod layout;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Plan, timeout};
use crate::clock::Deadline;
use crate::config::settings::WorktreeSettings;
use crate::fs::stamp::Stamp;
use crate::model::digest;
use crate::model::target::{Origin, Probe, Target};
use crate::model::worktree::{Standing, WorktreeMemory, WorktreeTarget};
use crate::proc::{ProcessTable, hung};

/// The worktree that `directory` lies in.
pub fn containing(directory: &Path) -> anyhow::Result<WorktreeTarget> {
    let layout::Repository { common_dir, entrance } = layout::find(directory, true)?;
    let (path, git_dir) =
        entrance.with_context(|| format!("{} lies in a bare repository, not in a worktree", directory.display()))?;
    let id = git_dir.file_name().filter(|_| git_dir != common_dir).map(OsStr::to_owned);
    Ok(WorktreeTarget { repository: common_dir, id, path, ..WorktreeTarget::default() })
}

/// Every worktree of every configured repository, named; `records` is where `record` keeps its verdicts.
pub fn plan(settings: &WorktreeSettings, records: &Path, deadline: Deadline) -> Plan {
    let mut plan = Plan::default();
    let mut found = discover(settings, records, deadline);
    let (mut git_dirs, mut places) = (BTreeSet::new(), BTreeSet::new());
    found.retain(|one| git_dirs.insert(one.git_dir()) && places.insert(one.path.clone()));
    let real = |(path, _): &(PathBuf, _)| path.canonicalize().unwrap_or_else(|_| path.clone());
    let real = timeout::each(settings.named.clone(), timeout::LIMIT, deadline, |(path, _)| vec![path.clone()], real);
    let given = settings.named.iter().zip(real).map(|((path, name), real)| (real.unwrap_or(path.clone()), &**name));
    let given: BTreeMap<PathBuf, &str> = given.collect();
    let names = names::choose(&found, &given);
    for (path, name) in given.iter().filter(|(path, _)| !places.contains(*path)) {
        let none = "no worktree of a configured repository lies at";
        let why = match hung::is_noted(path) {
            true => hung::does_not_answer(path),
            false => format!("{none} {}; add its repository to [worktree] repos", path.display()),
        };
        plan.warnings.push(format!("[[worktree.named]] {name:?}: {why}"));
    }
    for one in &mut found {
        // In the order of paths what lies in a directory stands right behind it.
        let behind = places.range::<PathBuf, _>((Bound::Excluded(&one.path), Bound::Unbounded));
        one.nested = behind.take_while(|path| path.starts_with(&one.path)).cloned().collect();
    }
    plan.targets = found.into_iter().zip(names).map(|(one, name)| target(one, name, settings)).collect();
    plan
}

/// Every worktree of every repository. One that hangs costs itself and no other.
fn discover(settings: &WorktreeSettings, records: &Path, deadline: Deadline) -> Vec<WorktreeTarget> {
    let template = WorktreeTarget {
        base: settings.base.clone(),
        test_reports: settings.test_reports.clone(),
        test_runners: settings.test_runners.clone(),
        records: records.to_owned(),
        idle_ttl: settings.idle_ttl,
        ..WorktreeTarget::default()
    };
    let (files, limit) = (timeout::files_of_repository, timeout::FOR_REPOSITORY);
    let (upwards, each) = (settings.discovered, template.clone());
    let answers = timeout::each(settings.repos.clone(), limit, deadline, files, move |path| {
        layout::find(path, upwards).map(|repository| layout::worktrees(&repository, &each, deadline))
    });
    let mut found = Vec::new();
    for (path, answer) in settings.repos.iter().zip(answers) {
        let reason = match answer {
            Some(Ok(worktrees)) => {
                found.extend(worktrees);
                continue;
            }
            Some(Err(_)) if settings.discovered => continue,
            Some(Err(reason)) => format!("{reason:#}"),
            None => hung::does_not_answer(path),
        };
        let (repository, standing) = (path.clone(), Standing::Unreadable(reason));
        found.push(WorktreeTarget { repository, path: path.clone(), standing, ..template.clone() });
    }
    found
}

fn target(one: WorktreeTarget, name: String, settings: &WorktreeSettings) -> Target {
    let origin = PathBuf::from(one.git_dir().to_string_lossy().into_owned());
    // What decides the outcome. Whether the directory is there is an observation, not configuration.
    let configured = format!("{:?} {:?} {:?}", one.base, one.test_reports, one.test_runners);
    let decisive = [one.path.as_os_str(), one.repository.as_os_str(), configured.as_ref()].map(OsStrExt::as_bytes);
    Target {
        name,
        schedule: settings.schedule,
        only_here: settings.discovered,
        fingerprint: digest::of(decisive),
        origins: vec![Origin::own(origin, "git")],
        probe: Probe::Worktree(one),
    }
}

/// Whether something has changed since the last look that makes the worktree due before its time: a file that git, a person
/// or `record` writes, or somebody who has come to stand in it. A handful of `stat` calls and the walk over the processes.
pub(crate) fn changed_since_last_look(
    worktree: &WorktreeTarget,
    memory: &WorktreeMemory,
    processes: &ProcessTable,
) -> bool {
    let mut inside = processes.standing_in(|directory| worktree.holds(directory));
    memory.watched.iter().any(|(path, known)| Stamp::text_of(path.as_ref()) != *known)
        || inside.any(|process| !memory.processes.contains(&(process.stat.pid, process.stat.start_ticks)))
}
