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

#[derive(Debug, Clone, Default)]
pub(crate) struct Inspection {
    pub(crate) porcelain: Porcelain,
    /// Its submodules, and what of their own files counts.
    pub(crate) submodules: Vec<(Vec<u8>, Ignore)>,
    pub(crate) remotes: Vec<String>,
    /// A sentence about what could not be compared.
    pub(crate) note: Option<String>,
}

/// Asks git. `nested` are other worktrees inside this one (relative); `index` is what the last look has learnt of the
/// index, and takes what this one learns.
pub(crate) fn inspect(
    git: &mut Git,
    nested: &[&Path],
    untracked: bool,
    index: &mut IndexMemory,
) -> Result<Inspection, GitError> {
    let stranger = owner::stranger(git);
    let config = config::read(git)?;
    if let Some(sentence) = stranger.filter(|_| !owner::is_safe(&git.work_tree, &config.safe_directories)) {
        return Err(GitError::Refused(sentence));
    }
    git.blank(&config);
    git.index = PrivateIndex::of(git)?.map(Rc::new);
    let paths = submodule_paths(git, index)?;
    let submodules = submodules::settings(git, &config, paths)?;
    let mut porcelain = match status(git, nested, untracked, None) {
        // In a partial clone the contents that renames are told by may not be there.
        Err(GitError::Failed { .. }) => status(git, nested, untracked, Some("--no-renames"))?,
        answer => answer?,
    };
    porcelain.unmodified(|change| {
        change.submodule && submodules.iter().any(|(path, ignore)| *ignore == Ignore::All && *path == change.path)
    });
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
    let mut args: Vec<Vec<u8>> =
        ["status", "--porcelain=v2", "--branch", "-z", "--ahead-behind", "--ignore-submodules=dirty"]
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
    Porcelain::parse(&git.run(&args, b"")?).ok_or_else(|| GitError::malformed("status"))
}
