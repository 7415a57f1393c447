//! Untracked directories that have to be watched: an empty one shows in no answer, but a file in it would.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::index::Index;
use super::walk::TrackedDirectory;
use super::{Git, GitError};

/// More than this many are not watched: the worktree is asked of git every time.
const MAX: usize = 2_000;

/// Deeper than this nobody keeps untracked files on purpose.
const MAX_DEPTH: usize = 64;

/// Every untracked directory that git looks into, relative to the worktree; `None` if they are too many or one cannot
/// be read. Ignored ones, other repositories and other worktrees are left out, as git leaves them out.
///
/// # Errors
/// What git said when asked which are ignored.
pub(super) fn find(
    git: &Git,
    tracked: &[TrackedDirectory],
    index: &Index,
    nested: &[&Path],
) -> Result<Option<Vec<Vec<u8>>>, GitError> {
    let tracked_paths: HashSet<&[u8]> = tracked.iter().map(|directory| directory.path.as_slice()).collect();
    let mut level = Vec::new();
    for directory in tracked.iter().filter(|directory| directory.may_hold_others()) {
        match subdirectories(&git.work_tree, &directory.path) {
            Some(found) => level.extend(found.into_iter().filter(|path| !tracked_paths.contains(path.as_slice()))),
            None => return Ok(None),
        }
    }
    if level.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut known: HashSet<Vec<u8>> = nested.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
    index.for_each(|entry| {
        if entry.is_submodule() {
            known.insert(entry.path().to_owned());
        }
    });
    level.retain(|path| !known.contains(path));
    let mut watched = Vec::new();
    for _ in 0..MAX_DEPTH {
        if level.is_empty() {
            return Ok(Some(watched));
        }
        let ignored = ignored(git, &level)?;
        level.retain(|path| !ignored.contains(path));
        if watched.len() + level.len() > MAX {
            return Ok(None);
        }
        watched.extend(level.iter().cloned());
        let mut below = Vec::new();
        for path in &level {
            if git.work_tree.join(OsStr::from_bytes(path)).join(".git").symlink_metadata().is_ok() {
                continue;
            }
            match subdirectories(&git.work_tree, path) {
                Some(found) => below.extend(found.into_iter().filter(|path| !known.contains(path))),
                None => return Ok(None),
            }
        }
        level = below;
    }
    Ok(None)
}

impl TrackedDirectory {
    /// Whether there can be a subdirectory besides the tracked ones. Most file systems count each as a link of its
    /// parent, which spares reading the directory; btrfs and others always say one.
    fn may_hold_others(&self) -> bool {
        match self.links {
            None => false,
            Some(links) => self.path.is_empty() || links < 2 || links - 2 != self.children,
        }
    }
}

fn subdirectories(work_tree: &Path, directory: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in work_tree.join(OsStr::from_bytes(directory)).read_dir().ok()? {
        let entry = entry.ok()?;
        if entry.file_name() == ".git" || !entry.file_type().ok()?.is_dir() {
            continue;
        }
        let name = entry.file_name();
        found.push(match directory {
            b"" => name.as_bytes().to_vec(),
            directory => [directory, b"/", name.as_bytes()].concat(),
        });
    }
    Some(found)
}

/// Which of these directories git ignores.
fn ignored(git: &Git, directories: &[Vec<u8>]) -> Result<HashSet<Vec<u8>>, GitError> {
    let input: Vec<u8> = directories.iter().flat_map(|path| [path.as_slice(), b"/\0"].concat()).collect();
    // Exit 1 says that none is.
    let output = git.run_accepting(&["check-ignore", "-z", "--stdin", "--no-index"], &input, &[0, 1])?;
    let paths = output.split(|&b| b == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| path.strip_suffix(b"/").unwrap_or(path).to_owned()).collect())
}
