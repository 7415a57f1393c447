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

#[derive(Debug, Clone, Default)]
pub(crate) struct Inspection {
    pub(crate) porcelain: Porcelain,
    pub(crate) tracked: Tracked,
    /// Its submodules, and what of their own files counts.
    pub(crate) submodules: Vec<(Vec<u8>, Ignore)>,
    pub(crate) remotes: Vec<String>,
    /// A sentence about what could not be compared.
    pub(crate) note: Option<String>,
}

/// Asks git. `nested` are other worktrees inside this one (relative).
pub(crate) fn inspect(git: &mut Git, nested: &[&Path], untracked: bool) -> Result<Inspection, GitError> {
    let stranger = owner::stranger(git);
    let config = config::read(git)?;
    if let Some(sentence) = stranger.filter(|_| !owner::is_safe(&git.work_tree, &config.safe_directories)) {
        return Err(GitError::Refused(sentence));
    }
    git.blank(&config);
    git.index = PrivateIndex::of(git)?.map(Rc::new);
    let tracked = Tracked::read(git)?;
    let submodules = submodules::settings(git, &config, tracked.submodules())?;
    let mut porcelain = match status(git, nested, untracked, None) {
        // In a partial clone the contents that renames are told by may not be there.
        Err(GitError::Failed { .. }) => status(git, nested, untracked, Some("--no-renames"))?,
        answer => answer?,
    };
    porcelain.unmodified(|change| {
        change.submodule && submodules.iter().any(|(path, ignore)| *ignore == Ignore::All && *path == change.path)
    });
    let note = filters::correct(git, &config, &mut porcelain)?;
    Ok(Inspection { porcelain, tracked, submodules, remotes: config.remotes, note })
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
