//! One look at a worktree or submodule: git's own status, corrected for what git cannot know because nothing is run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::content::Tracked;
use super::porcelain::Porcelain;
use super::private_index::PrivateIndex;
use super::submodules::{self, Ignore};
use super::{Git, GitError, config, filters, owner};
use crate::fs::stamp::Stamp;
use crate::model::worktree::IndexMemory;

/// Why a worktree could not be read.
#[derive(Debug)]
pub(in crate::check::worktree) enum InspectError {
    /// It belongs to another user.
    Refused(String),
    /// Git gave no answer.
    Git(GitError),
}

impl std::fmt::Display for InspectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InspectError::Refused(sentence) => f.write_str(sentence),
            InspectError::Git(error) => error.fmt(f),
        }
    }
}

impl InspectError {
    /// What to do, where that is not to ask git by hand.
    pub(in crate::check::worktree) fn remedy(&self) -> Option<&'static str> {
        match self {
            InspectError::Git(GitError::Spawn(_)) => {
                Some("install git, or extend PATH (for the timer: in the unit's environment file)")
            }
            InspectError::Git(GitError::TimedOut { .. } | GitError::Hung) => Some(
                "see whether its file system answers; raise `timeout` in [worktree], if the repository is so large",
            ),
            InspectError::Git(_) | InspectError::Refused(_) => None,
        }
    }
}

impl From<GitError> for InspectError {
    fn from(error: GitError) -> Self {
        InspectError::Git(error)
    }
}

/// What git says of one worktree or submodule.
#[derive(Debug, Clone, Default)]
pub(in crate::check::worktree) struct Inspection {
    /// Its status.
    pub(in crate::check::worktree) porcelain: Porcelain,
    /// Its submodules, and what of their own files counts.
    pub(in crate::check::worktree) submodules: Vec<(Vec<u8>, Ignore)>,
    /// Names of its remotes.
    pub(in crate::check::worktree) remotes: Vec<String>,
    /// A sentence about what could not be compared.
    pub(in crate::check::worktree) note: Option<String>,
}

/// Asks git. `nested` are other worktrees inside this one (relative); `index` is what the last look has learnt of the
/// index, and takes what this one learns.
///
/// # Errors
/// [`InspectError`] when git gave no answer.
pub(in crate::check::worktree) fn inspect(
    git: &mut Git,
    nested: &[&Path],
    untracked: bool,
    index: &mut IndexMemory,
) -> Result<Inspection, InspectError> {
    let stranger = owner::stranger(git);
    let config = config::read(git)?;
    if let Some(sentence) = stranger.filter(|_| !owner::is_safe(&git.work_tree, &config.safe_directories)) {
        return Err(InspectError::Refused(sentence));
    }
    git.blank(&config);
    git.index = PrivateIndex::of(git)?.map(Rc::new);
    let paths = submodule_paths(git, index)?;
    let (submodules, overrides) = submodules::settings(git, &config, paths)?;
    git.overrides.extend(overrides);
    let mut porcelain = match status(git, nested, untracked, None) {
        // In a partial clone the contents that renames are told by may not be there.
        Err(GitError::Failed { .. }) => status(git, nested, untracked, Some("--no-renames"))?,
        answer => answer?,
    };
    porcelain.forget(nested);
    let note = filters::correct(git, &config, &mut porcelain)?;
    Ok(Inspection { porcelain, submodules, remotes: config.remotes, note })
}

/// Paths of the submodules. Only another index can have others.
fn submodule_paths(git: &Git, known: &mut IndexMemory) -> Result<Vec<Vec<u8>>, GitError> {
    let stamp = Stamp::of(&git.git_dir.join("index")).map_or_else(String::new, |stamp| stamp.text());
    if stamp.is_empty() {
        return Ok(Vec::new());
    }
    if known.stamp != stamp {
        *known = IndexMemory { stamp, submodules: Tracked::read(git)?.submodules() };
    }
    Ok(known.submodules.clone())
}

fn status(git: &Git, nested: &[&Path], untracked: bool, renames: Option<&str>) -> Result<Porcelain, GitError> {
    let mut args: Vec<Vec<u8>> = ["status", "--porcelain=v2", "--branch", "-z", "--ahead-behind"]
        .into_iter()
        .chain(renames)
        .chain((!untracked).then_some("--untracked-files=no"))
        .map(|arg| arg.as_bytes().to_vec())
        .collect();
    if !nested.is_empty() {
        // Without this a directory that holds nothing but worktrees would count as untracked.
        args.extend([b"--".to_vec(), b":(top)".to_vec()]);
        args.extend(nested.iter().map(|path| [b":(top,exclude,literal)", path.as_os_str().as_bytes()].concat()));
    }
    let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    Porcelain::parse(&git.run(&args, b"")?).ok_or_else(|| GitError::Malformed { command: "status".to_owned() })
}
