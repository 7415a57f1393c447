//! Submodules of a worktree: which there are, where their repositories lie, and what tells which commit is checked out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::index::Index;
use super::{Git, head};
use crate::fs::read_capped;

/// A `.git` file longer than this is none.
const MAX_BYTES: u64 = 64 << 10;

/// Their paths in the worktree, checked out or not.
pub(in crate::check::worktree) fn paths(index: &Index) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    index.for_each(|entry| {
        if entry.is_submodule() && entry.stage == 0 {
            paths.push(entry.path().to_owned());
        }
    });
    paths
}

/// The git directory of the one at `work_tree`, if it is checked out.
pub(in crate::check::worktree) fn git_dir(work_tree: &Path) -> Option<PathBuf> {
    let dot_git = work_tree.join(".git");
    if dot_git.is_dir() {
        return Some(dot_git);
    }
    let bytes = read_capped(&dot_git, MAX_BYTES).ok()?;
    let target = bytes.strip_prefix(b"gitdir: ")?;
    let target = target.strip_suffix(b"\n").unwrap_or(target);
    work_tree.join(OsStr::from_bytes(target)).canonicalize().ok()
}

/// Calls git for the one at `path` in the worktree of `outer`, if it is checked out.
pub(in crate::check::worktree) fn open(outer: &Git, path: &[u8]) -> Option<Git> {
    let work_tree = outer.work_tree.join(OsStr::from_bytes(path));
    let git_dir = git_dir(&work_tree)?;
    Some(Git::new(&git_dir, &git_dir, &work_tree, outer.deadline, outer.pass))
}

/// The files that say which commit is checked out in each: another one than the index has is a change of the outer
/// worktree, and is written nowhere in it.
pub(super) fn head_files(outer: &Git, index: &Index) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths(index) {
        let Some(git) = open(outer, &path) else {
            files.push(outer.work_tree.join(OsStr::from_bytes(&path)).join(".git"));
            continue;
        };
        files.extend(["HEAD", "packed-refs", "reftable/tables.list"].map(|name| git.git_dir.join(name)));
        files.extend(head::ref_files(&git));
    }
    files
}
