//! Files that two worktrees of one repository change at once: whoever merges second will meet them.

use std::collections::BTreeMap;

use crate::model::observation::Facts;
use crate::model::snapshot::Entry;
use crate::model::target::Probe;

const MAX_PATHS: usize = 50;

/// Notes in every worktree which of its changed paths others change too.
pub(super) fn note(entries: &mut [Entry]) {
    let mut changed: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for entry in entries.iter() {
        if let (Some(facts), Some(repository)) = (facts(entry), repository(entry)) {
            for path in facts {
                changed.entry((repository.clone(), path.clone())).or_default().push(entry.target.name.clone());
            }
        }
    }
    changed.retain(|_, names| names.len() > 1);
    for entry in entries {
        let Some(repository) = repository(entry) else { continue };
        let name = entry.target.name.clone();
        let Some(Facts::Worktree(facts)) = entry.observation.as_mut().map(|observation| &mut observation.facts) else {
            continue;
        };
        let shared = facts.changed_paths.iter().filter_map(|path| {
            let names = changed.get(&(repository.clone(), path.clone()))?;
            Some((path.clone(), names.iter().filter(|other| **other != name).cloned().collect()))
        });
        facts.changed_elsewhere = shared.take(MAX_PATHS).collect();
    }
}

fn facts(entry: &Entry) -> Option<&Vec<String>> {
    match &entry.observation.as_ref()?.facts {
        Facts::Worktree(facts) => Some(&facts.changed_paths),
        _ => None,
    }
}

fn repository(entry: &Entry) -> Option<String> {
    match &entry.target.probe {
        Probe::Worktree(target) => Some(target.repository.to_string_lossy().into_owned()),
        _ => None,
    }
}
