//! A worktree and its submodules, each asked of git.

use std::path::Path;

use jiff::Timestamp;

use super::git::content;
use super::git::inspect::{Inspection, inspect};
use super::git::submodules::{self, Ignore};
use super::git::{Git, GitError};
use crate::clock;
use crate::fs::stamp::Stamp;
use crate::model::digest::Digest;
use crate::model::worktree::WorktreeFacts;

/// Submodules beyond this many are not looked into.
const MAX_SUBMODULES: usize = 500;

/// Submodules in submodules beyond this depth are not looked into.
const MAX_DEPTH: usize = 8;

/// Changed and untracked paths beyond this many are not asked for their times.
const MAX_TIMES: usize = 2_000;

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) outer: Inspection,
    /// Its submodules, and theirs.
    inner: Vec<Inspection>,
    /// Submodules with changes of their own that the worktree does not count already.
    pub(super) changed_submodules: u64,
    /// What could not be compared or read, a sentence each.
    pub(super) notes: Vec<String>,
    complete: bool,
}

impl Parts {
    /// Asks git. A submodule that cannot be read costs only itself.
    pub(super) fn inspect(
        git: Git,
        nested: &[&Path],
        without_submodules: &mut Option<String>,
    ) -> Result<Parts, GitError> {
        let outer = inspect(git.clone(), nested, true, without_submodules)?;
        let notes = outer.note.iter().cloned().collect();
        let submodules: Vec<_> = outer.submodules.iter().take(MAX_SUBMODULES).cloned().collect();
        let mut parts = Parts { outer, inner: Vec::new(), changed_submodules: 0, notes, complete: true };
        for (path, ignore) in submodules {
            let name = path.escape_ascii().to_string();
            let changed = parts.inspect_submodule(&git, (&path, ignore), &name, 1);
            let counted = parts.outer.porcelain.changes.iter().any(|change| change.submodule && change.path == path);
            parts.changed_submodules += u64::from(changed && !counted);
        }
        Ok(parts)
    }

    /// Whether the submodule at `path` has changes that count.
    fn inspect_submodule(&mut self, outer: &Git, (path, ignore): (&[u8], Ignore), name: &str, depth: usize) -> bool {
        if ignore >= Ignore::Dirty {
            return false;
        }
        let Some(git) = submodules::open(outer, path) else { return false };
        let inspection = match inspect(git.clone(), &[], ignore == Ignore::Nothing, &mut None) {
            Ok(inspection) => inspection,
            Err(error) => {
                self.complete = false;
                self.notes.push(format!("the submodule {name} could not be read: {error}"));
                return false;
            }
        };
        self.notes.extend(inspection.note.clone());
        let mut changed = inspection.porcelain.changed() + inspection.porcelain.conflicted > 0;
        let below = if depth < MAX_DEPTH { inspection.submodules.clone() } else { Vec::new() };
        self.inner.push(inspection);
        for (path, ignore) in below {
            let name = format!("{name}/{}", path.escape_ascii());
            changed |= self.inspect_submodule(&git, (&path, ignore), &name, depth + 1);
        }
        changed
    }

    /// Changed and untracked paths, conflicted ones not counted.
    pub(super) fn changed(&self) -> u64 {
        self.outer.porcelain.changed() + self.changed_submodules
    }

    /// The worktree itself, and its submodules.
    pub(super) fn all(&self) -> impl Iterator<Item = &Inspection> {
        std::iter::once(&self.outer).chain(&self.inner)
    }

    /// One digest over everything tracked in every part as it is on disk; `None` where that cannot be had.
    pub(super) fn digest(&self) -> Option<String> {
        let mut digest = Digest::default();
        for inspection in self.all() {
            digest.part(content::digest(inspection)?.as_bytes());
        }
        self.complete.then(|| digest.finish())
    }

    /// A digest of all that was found and of the times of what is changed, and the newest of these times.
    pub(super) fn state(&self, facts: &WorktreeFacts) -> (String, Timestamp) {
        let mut digest = Digest::default();
        digest.part(format!("{:?} {:?} {:?}", facts.head, facts.branch, facts.status).as_bytes());
        let own = ["index", "HEAD"].map(|name| Stamp::of(&self.outer.git.git_dir.join(name)));
        let mut newest_ns = own.into_iter().flatten().map(|stamp| stamp.mtime_ns).max().unwrap_or(0);
        for Inspection { git, porcelain, .. } in self.all() {
            digest.part(&porcelain.changed().to_le_bytes());
            for path in porcelain.paths().take(MAX_TIMES) {
                digest.part(path);
                let changed = git.file(path).symlink_metadata().ok();
                let changed_ns = changed.map_or(0, |file| Stamp::from(file).changed_ns());
                digest.part(&changed_ns.to_le_bytes());
                newest_ns = newest_ns.max(changed_ns);
            }
        }
        (digest.finish(), Timestamp::from_nanosecond(newest_ns).unwrap_or_else(|_| clock::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::worktree::git::porcelain::{Change, Porcelain};
    use crate::clock::Deadline;

    impl Parts {
        /// Of a worktree in which one file is edited.
        pub(crate) fn with_edit(work_tree: &Path) -> Parts {
            std::fs::write(work_tree.join("edited"), "x").expect("written");
            let edit = Change { path: b"edited".to_vec(), modified: true, ..Change::default() };
            let outer = Inspection {
                git: Git::new(work_tree, work_tree, work_tree, Deadline::after(Duration::from_secs(1))),
                porcelain: Porcelain { changes: vec![edit], ..Porcelain::default() },
                tracked: content::Tracked::default().into(),
                submodules: Vec::new(),
                remotes: Vec::new(),
                note: None,
            };
            Parts { outer, inner: Vec::new(), changed_submodules: 0, notes: Vec::new(), complete: true }
        }
    }

    #[test]
    fn what_could_not_be_read_whole_has_no_digest() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut parts = Parts::with_edit(directory.path());
        assert!(content::newest_edit(&parts.outer).is_some());
        assert!(parts.digest().is_none(), "there is no index to write the edit down in");
        parts.outer.porcelain.changes.clear();
        assert!(parts.digest().is_some());
        assert!(Parts { complete: false, ..parts }.digest().is_none());
    }
}
