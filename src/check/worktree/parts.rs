//! A worktree and its submodules, each asked of git.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;

use super::git::content::{self, Tracked};
use super::git::inspect::{Inspection, inspect};
use super::git::porcelain::Porcelain;
use super::git::submodules::{self, Ignore};
use super::git::{Git, GitError};
use crate::clock;
use crate::fs::stamp::Stamp;
use crate::model::digest::Digest;
use crate::model::worktree::{IndexMemory, WorktreeFacts};

/// Submodules beyond this many are not looked into.
const MAX_SUBMODULES: usize = 500;

/// Submodules in submodules beyond this depth are not looked into.
const MAX_DEPTH: usize = 8;

/// Changed and untracked paths beyond this many are not asked for their times.
const MAX_TIMES: usize = 2_000;

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) git: Git,
    pub(super) outer: Inspection,
    inner: Vec<(Git, Inspection)>,
    /// Submodules with changes of their own that the worktree does not count already.
    pub(super) changed_submodules: u64,
    /// What could not be compared or read, a sentence each.
    pub(super) notes: Vec<String>,
    complete: bool,
}

impl Parts {
    /// Asks git. A submodule that cannot be read costs only itself.
    pub(super) fn inspect(
        mut git: Git,
        nested: &[&Path],
        known: &mut BTreeMap<String, IndexMemory>,
    ) -> Result<Parts, GitError> {
        let mut old = std::mem::take(known);
        let mut index = old.remove("").unwrap_or_default();
        let outer = inspect(&mut git, nested, true, &mut index)?;
        known.insert(String::new(), index);
        let notes = outer.note.iter().cloned().collect();
        let mut parts = Parts { git, outer, inner: Vec::new(), changed_submodules: 0, notes, complete: true };
        let git = parts.git.clone();
        let submodules: Vec<_> = parts.outer.submodules.iter().take(MAX_SUBMODULES).cloned().collect();
        for (path, ignore) in submodules {
            let key = path.escape_ascii().to_string();
            let changed = parts.look_into(&git, (&path, ignore), &key, (&mut old, known), 1);
            let counted = parts.outer.porcelain.changes.iter().any(|change| change.submodule && change.path == path);
            parts.changed_submodules += u64::from(changed && !counted);
        }
        Ok(parts)
    }

    /// Whether the submodule at `path` has changes that count.
    fn look_into(
        &mut self,
        outer: &Git,
        (path, ignore): (&[u8], Ignore),
        key: &str,
        (old, known): (&mut BTreeMap<String, IndexMemory>, &mut BTreeMap<String, IndexMemory>),
        depth: usize,
    ) -> bool {
        if ignore >= Ignore::Dirty {
            return false;
        }
        let Some(mut git) = submodules::open(outer, path) else { return false };
        let mut index = old.remove(key).unwrap_or_default();
        let inspection = match inspect(&mut git, &[], ignore == Ignore::Nothing, &mut index) {
            Ok(inspection) => inspection,
            Err(error) => {
                self.complete = false;
                self.notes.push(format!("the submodule {key} could not be read: {error}"));
                return false;
            }
        };
        known.insert(key.to_owned(), index);
        self.notes.extend(inspection.note.clone());
        let mut changed = inspection.porcelain.changed() + inspection.porcelain.conflicted > 0;
        let below = if depth < MAX_DEPTH { inspection.submodules.clone() } else { Vec::new() };
        self.inner.push((git.clone(), inspection));
        for (path, ignore) in below {
            let key = format!("{key}/{}", path.escape_ascii());
            changed |= self.look_into(&git, (&path, ignore), &key, (&mut *old, &mut *known), depth + 1);
        }
        changed
    }

    fn all(&self) -> impl Iterator<Item = (&Git, &Porcelain)> {
        let inner = self.inner.iter().map(|(git, inspection)| (git, &inspection.porcelain));
        std::iter::once((&self.git, &self.outer.porcelain)).chain(inner)
    }

    /// Worktree and git directory of each part, the worktree's own first.
    pub(super) fn directories(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.all().map(|(git, _)| (git.work_tree.as_path(), git.git_dir.as_path()))
    }

    /// What is tracked in each part, in the same order; `None` if git did not say.
    pub(super) fn tracked(&self) -> Option<Vec<Tracked>> {
        self.all().map(|(git, _)| Tracked::read(git).ok()).collect()
    }

    /// One digest over everything tracked in every part as it is on disk; `None` where that cannot be had.
    pub(super) fn digest(&self, tracked: &[Tracked]) -> Option<String> {
        if !self.complete {
            return None;
        }
        let mut digest = Digest::default();
        for ((git, porcelain), tracked) in self.all().zip(tracked) {
            digest.part(content::digest(git, tracked, porcelain).ok()??.as_bytes());
        }
        Some(digest.finish())
    }

    /// The newest change of a file that differs from the index, nanoseconds since 1970.
    pub(super) fn newest_edit_ns(&self) -> Option<i128> {
        self.all().filter_map(|(git, porcelain)| content::newest_edit(&git.work_tree, porcelain)).max()
    }

    /// A digest of all that was found and of the times of what is changed, and the newest of these times.
    pub(super) fn state(&self, facts: &WorktreeFacts) -> (String, Timestamp) {
        let mut digest = Digest::default();
        digest.part(format!("{:?} {:?} {:?}", facts.head, facts.branch, facts.status).as_bytes());
        let index = Stamp::of(&self.git.git_dir.join("index")).map(|stamp| stamp.mtime_ns);
        let head = Stamp::of(&self.git.git_dir.join("HEAD")).map(|stamp| stamp.mtime_ns);
        let mut newest_ns = index.max(head).unwrap_or(0);
        for (git, porcelain) in self.all() {
            let tracked = porcelain.changes.iter().map(|change| change.path.as_slice());
            let paths = tracked.chain(porcelain.untracked.iter().map(Vec::as_slice));
            digest.part(&porcelain.changed().to_le_bytes());
            for path in paths.take(MAX_TIMES) {
                digest.part(path);
                let changed = git.work_tree.join(OsStr::from_bytes(path)).symlink_metadata().ok();
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
    use crate::clock::Deadline;

    impl Parts {
        /// Of a worktree that is not there.
        pub(crate) fn none() -> Parts {
            let nowhere = Path::new("/nowhere");
            let git = Git::new(nowhere, nowhere, nowhere, Deadline::after(Duration::from_secs(1)), clock::now());
            let outer = Inspection::default();
            Parts { git, outer, inner: Vec::new(), changed_submodules: 0, notes: Vec::new(), complete: true }
        }
    }

    #[test]
    fn without_a_list_of_what_is_tracked_there_is_no_digest() {
        let parts = Parts::none();
        assert!(parts.tracked().is_none());
        assert_eq!(parts.newest_edit_ns(), None);
        assert!(Parts { complete: false, ..parts }.digest(&[Tracked::default()]).is_none());
    }
}
