//! One look at a worktree or submodule: git's own status, corrected for what git cannot know because nothing is run.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;

use super::content::Tracked;
use super::porcelain::Porcelain;
use super::private_index::PrivateIndex;
use super::submodules::{self, Ignore};
use super::{Git, GitError, config, filters, owner};
use crate::clock;
use crate::fs::stamp::Stamp;

#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) git: Git,
    pub(crate) porcelain: Porcelain,
    pub(crate) tracked: OnceCell<Tracked>,
    /// Its submodules, and what of their own files counts.
    pub(crate) submodules: Vec<(Vec<u8>, Ignore)>,
    pub(crate) remotes: Vec<String>,
    /// A sentence about what could not be compared.
    pub(crate) note: Option<String>,
}

/// The coarsest times that a file system keeps, nanoseconds. A file as young as that may be written once more without
/// another stamp (gitformat-index(5), "racy git").
const COARSEST_NS: i128 = 2_000_000_000;

impl Inspection {
    /// What is tracked: asked once, and only where something is judged by it, since a long list costs half of a status.
    pub(crate) fn tracked(&self) -> Result<&Tracked, GitError> {
        if let Some(tracked) = self.tracked.get() {
            return Ok(tracked);
        }
        let tracked = Tracked::read(&self.git)?;
        Ok(self.tracked.get_or_init(|| tracked))
    }
}

/// Asks git. `nested` are other worktrees inside this one (relative); `without_submodules` is the stamp of the last index in
/// which there was no submodule.
pub(crate) fn inspect(
    mut git: Git,
    nested: &[&Path],
    untracked: bool,
    without_submodules: &mut Option<String>,
) -> Result<Inspection, GitError> {
    let config = config::read(&git)?;
    if let Some(sentence) = owner::refusal(&git, &config.safe_directories) {
        return Err(GitError::Refused(sentence));
    }
    git.blank(&config);
    // Before it is copied: what is written to it from here on gives it another stamp.
    let index = Stamp::of(&git.git_dir.join("index"));
    let index = index.filter(|index| index.changed_ns() + COARSEST_NS < clock::now().as_nanosecond());
    let index = index.map(|index| index.text());
    git.index = PrivateIndex::of(&git)?.map(Rc::new);
    let porcelain = match status(&git, nested, untracked, None) {
        // In a partial clone the contents that renames are told by may not be there.
        Err(GitError::Failed { .. }) => status(&git, nested, untracked, Some("--no-renames"))?,
        answer => answer?,
    };
    let (tracked, submodules, remotes) = (OnceCell::new(), Vec::new(), config.remotes.clone());
    let mut inspection = Inspection { git, porcelain, tracked, submodules, remotes, note: None };
    if index.is_none() || index != *without_submodules {
        let paths = inspection.tracked()?.submodules();
        *without_submodules = index.filter(|_| paths.is_empty());
        inspection.submodules = submodules::settings(&inspection.git, &config, paths)?;
    }
    let submodules = &inspection.submodules;
    inspection.porcelain.unmodified(|change| {
        change.submodule && submodules.iter().any(|(path, ignore)| *ignore == Ignore::All && *path == change.path)
    });
    inspection.note = filters::correct(&inspection.git, &config, &mut inspection.porcelain)?;
    Ok(inspection)
}

fn status(git: &Git, nested: &[&Path], untracked: bool, renames: Option<&str>) -> Result<Porcelain, GitError> {
    let args = ["status", "--porcelain=v2", "--branch", "-z", "--ahead-behind", "--ignore-submodules=dirty"];
    let args = args.into_iter().chain(renames).chain((!untracked).then_some("--untracked-files=no"));
    let mut args: Vec<OsString> = args.map(OsString::from).collect();
    if !nested.is_empty() {
        // Without this a directory that holds nothing but worktrees would count as untracked.
        args.extend(["--", ":(top)"].map(OsString::from));
        let excluded = |path: &&Path| [b":(top,exclude,literal)".as_slice(), path.as_os_str().as_bytes()].concat();
        args.extend(nested.iter().map(excluded).map(OsString::from_vec));
    }
    Porcelain::parse(&git.run(&args, b"")?).ok_or_else(|| GitError::malformed("status"))
}
