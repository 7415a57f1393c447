//! Files that two worktrees of one repository change at once: whoever merges second will meet them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::observation::Facts;
use crate::model::snapshot::Entry;
use crate::model::target::Probe;
use crate::model::worktree::WorktreeFacts;

const MAX_PATHS: usize = 50;

/// Notes in every worktree which of its changed paths others change too.
pub(super) fn note(entries: &mut [Entry]) {
    let mut changed: BTreeMap<(PathBuf, String), Vec<String>> = BTreeMap::new();
    for entry in entries.iter_mut() {
        let name = entry.target.name.clone();
        let Some((repository, facts)) = worktree(entry) else { continue };
        for path in &facts.changed_paths {
            changed.entry((repository.clone(), path.clone())).or_default().push(name.clone());
        }
    }
    changed.retain(|_, names| names.len() > 1);
    for entry in entries {
        let name = entry.target.name.clone();
        let Some((repository, facts)) = worktree(entry) else { continue };
        let shared = facts.changed_paths.iter().filter_map(|path| {
            let names = changed.get(&(repository.clone(), path.clone()))?;
            Some((path.clone(), names.iter().filter(|other| **other != name).cloned().collect()))
        });
        facts.changed_elsewhere = shared.take(MAX_PATHS).collect();
    }
}

fn worktree(entry: &mut Entry) -> Option<(PathBuf, &mut WorktreeFacts)> {
    match (&entry.target.probe, &mut entry.observation.as_mut()?.facts) {
        (Probe::Worktree(target), Facts::Worktree(facts)) => Some((target.repository.clone(), facts)),
        _ => None,
    }
}
