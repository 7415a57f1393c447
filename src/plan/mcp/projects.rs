//! The directories that clients list as projects: `projects` in Claude Code's and Codex's own files, by absolute path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::{self, Syntax};
use super::places::{self, Project};
use crate::config::environment::HostEnvironment;
use crate::fs;

/// Such a file keeps histories and grows to several MiB.
const MOST_BYTES: u64 = 16 << 20;

/// One directory for each git repository among them, its main worktree where it is known. Files that cannot be read
/// list nothing.
pub fn repositories(environment: &HostEnvironment) -> Vec<PathBuf> {
    let mut repositories = BTreeMap::new();
    for file in places::own(environment) {
        let Ok(bytes) = fs::read_capped(&file.path, MOST_BYTES) else { continue };
        let Ok(document) = document::parse(&bytes, Syntax::of(&file.path)) else { continue };
        let listed = document.root.get("projects").and_then(|projects| projects.as_object());
        for directory in listed.into_iter().flatten().map(|(path, _)| Path::new(path)).filter(|path| path.is_absolute())
        {
            let Project { directory, repository, .. } = places::project_at(directory);
            // Its common git directory, unless it is in no repository.
            if repository != directory {
                let main = repository.parent().filter(|_| repository.ends_with(".git")).map(Path::to_owned);
                repositories.insert(repository, main.unwrap_or(directory));
            }
        }
    }
    repositories.into_values().collect()
}
