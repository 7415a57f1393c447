//! Untracked paths: which of them git does not ignore, and which directories have to be watched, because an empty one
//! shows in no answer, but a file in it would.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::beside::{self, Beside};
use super::index::Index;
use super::porcelain::DECLARATION;
use super::walk::Walk;
use super::{Git, GitError};

/// More than this many directories are not watched: the worktree is asked of git every time.
const MAX: usize = 2_000;

/// Deeper than this nobody keeps untracked files on purpose.
const MAX_DEPTH: usize = 64;

/// What is untracked and not ignored, relative to the worktree. Other worktrees are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Untracked {
    /// Files and links directly in a tracked directory.
    pub(super) files: Vec<Vec<u8>>,
    /// Directories directly in a tracked one: what git shows of them depends on what they hold.
    pub(super) directories: Vec<Vec<u8>>,
    /// These and every directory in them that git looks into.
    pub(super) watched: Vec<Vec<u8>>,
}

/// Finds out what git ignores of `beside`, and looks into the rest; `None` if they are too many directories or one
/// cannot be read.
///
/// # Errors
/// What git said when asked which are ignored.
pub(super) fn find(git: &Git, beside: Beside, index: &Index, nested: &[&Path]) -> Result<Option<Untracked>, GitError> {
    let Beside { directories: mut level, mut files } = beside;
    files.retain(|path| path != DECLARATION);
    let mut known: HashSet<Vec<u8>> = nested.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
    if !level.is_empty() && !index.is_plain() {
        index.for_each(|entry| {
            if entry.is_submodule() {
                known.insert(entry.path().to_owned());
            }
        });
    }
    level.retain(|path| !known.contains(path));
    if !level.is_empty() || !files.is_empty() {
        let Some(ignored) = ignored(git, level.iter().chain(&files))? else { return Ok(None) };
        level.retain(|path| !ignored.contains(path));
        files.retain(|path| !ignored.contains(path));
    }
    let mut found = Untracked { files, directories: level.clone(), watched: Vec::new() };
    for _ in 0..MAX_DEPTH {
        if level.is_empty() {
            return Ok(Some(found));
        }
        if found.watched.len() + level.len() > MAX {
            return Ok(None);
        }
        found.watched.extend(level.iter().cloned());
        let Some(mut below) = below(&git.work_tree, &level) else { return Ok(None) };
        below.retain(|path| !known.contains(path));
        if !below.is_empty() {
            let Some(ignored) = ignored(git, &below)? else { return Ok(None) };
            below.retain(|path| !ignored.contains(path));
        }
        level = below;
    }
    Ok(None)
}

/// The directories to be watched, for an answer about the whole worktree; `None` as above.
///
/// # Errors
/// As above.
pub(super) fn directories(
    git: &Git,
    walk: &Walk,
    index: &Index,
    nested: &[&Path],
) -> Result<Option<Vec<Vec<u8>>>, GitError> {
    let Some(beside) = Beside::directories_of(&git.work_tree, &walk.tracked) else { return Ok(None) };
    Ok(find(git, beside, index, nested)?.map(|found| found.watched))
}

/// The subdirectories of all of these, except in other repositories.
fn below(work_tree: &Path, directories: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let mut below = Vec::new();
    for path in directories {
        if work_tree.join(OsStr::from_bytes(path)).join(".git").symlink_metadata().is_err() {
            below.extend(beside::subdirectories(work_tree, path)?);
        }
    }
    Some(below)
}

/// Which of these paths git ignores; `None` if one has changed its nature meanwhile.
fn ignored<'a>(git: &Git, paths: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<Option<HashSet<Vec<u8>>>, GitError> {
    // A path that begins with a colon would be read as a pattern.
    let input: Vec<u8> = paths.into_iter().flat_map(|path| [b"./", path.as_slice(), b"\0"].concat()).collect();
    // Exit 1 says that none is.
    let output = match git.run_accepting(&["check-ignore", "-z", "--stdin", "--no-index"], &input, &[0, 1]) {
        Ok(output) => output,
        // A path behind a symbolic link is refused.
        Err(GitError::Failed { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let paths = output.split(|&b| b == 0).filter_map(|path| path.strip_prefix(b"./"));
    Ok(Some(paths.map(<[u8]>::to_vec).collect()))
}
