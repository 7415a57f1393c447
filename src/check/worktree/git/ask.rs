//! Asking git what has changed, about the whole worktree or about some paths of it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::look::{Subject, path_of};
use super::porcelain::Porcelain;
use super::refs::{self, Tips, Wanted};
use super::{Git, GitError};
use crate::model::worktree::{Answer, Seen};

/// Git's answer, and what it rested on.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) porcelain: Porcelain,
    /// Tracked paths that differ from HEAD; a rename is one.
    pub(super) changed: u64,
    /// Untracked paths.
    pub(super) untracked: u64,
    /// HEAD's time, upstream and base; the rest of it is not filled in.
    pub(super) refs: Answer,
    /// Files that were read for it, besides those of every repository.
    pub(super) files: BTreeSet<PathBuf>,
    /// Untracked directories to be watched, where they were found on the way.
    pub(super) watched: Option<Vec<Vec<u8>>>,
}

/// What git is asked about.
#[derive(Debug)]
pub(super) enum Scope {
    /// Everything.
    Worktree,
    /// These paths, relative to the worktree, and what lies below them.
    Paths {
        /// At least one.
        paths: Vec<Vec<u8>>,
        /// Whether one of them may be untracked.
        untracked: bool,
    },
}

/// Asks about the whole worktree. HEAD's time, upstream and base are taken from `known`, an earlier answer since which no
/// ref can have moved.
///
/// # Errors
/// What git said.
pub(super) fn whole(
    git: &Git,
    subject: &Subject<'_>,
    config: &Config,
    known: Option<&Seen>,
) -> Result<Asked, GitError> {
    let (porcelain, changed) = changes(git, &subject.nested, &Scope::Worktree)?;
    let (head, upstream) = (porcelain.head.as_deref(), porcelain.upstream.as_deref());
    let (refs, more_files) = match known {
        Some(seen) if seen.answer.head.as_deref() == head && seen.answer.upstream.as_deref() == upstream => {
            (seen.answer.clone(), seen.deciding_paths.iter().map(|path| path_of(path)).collect())
        }
        _ if !subject.compare => (Answer::default(), Vec::new()),
        _ => {
            let tips = refs::read(git, Wanted { head, upstream, ..subject.wanted(&config.remotes) })?;
            let files = tips.files.clone();
            (Answer::from(tips), files)
        }
    };
    let files = config.files.iter().cloned().chain(more_files).collect();
    let untracked = porcelain.untracked.len() as u64;
    Ok(Asked { porcelain, changed, untracked, refs, files, watched: None })
}

/// Git's status, and how many tracked paths have changed.
///
/// # Errors
/// What git said.
pub(super) fn changes(git: &Git, nested: &[&Path], scope: &Scope) -> Result<(Porcelain, u64), GitError> {
    let mut porcelain = status(git, nested, scope, "--no-renames")?;
    porcelain.forget(nested);
    let mut changed = porcelain.changed_count();
    // In a partial clone the contents to compare may not be there; then each counts for itself.
    if porcelain.may_hold_further_renames()
        && let Ok(mut renamed) = status(git, nested, scope, "--find-renames")
    {
        renamed.forget(nested);
        changed = renamed.changed_count();
    }
    Ok((porcelain, changed))
}

fn status(git: &Git, nested: &[&Path], scope: &Scope, renames: &str) -> Result<Porcelain, GitError> {
    let untracked = match scope {
        Scope::Paths { untracked: false, .. } => "--untracked-files=no",
        _ => "--untracked-files=normal",
    };
    let mut args: Vec<Vec<u8>> = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--no-ahead-behind",
        untracked,
        // Not "all": a submodule whose commit differs from the recorded one is a change. Its own files are looked at
        // afterwards, with its own configuration made harmless; git itself would start a second git that is not.
        "--ignore-submodules=dirty",
        renames,
        "--",
    ]
    .map(|arg| arg.as_bytes().to_vec())
    .to_vec();
    match scope {
        Scope::Paths { paths, .. } => {
            args.extend(paths.iter().map(|path| [b":(top,literal)", path.as_slice()].concat()));
        }
        Scope::Worktree if nested.is_empty() => {}
        Scope::Worktree => args.push(b":(top)".to_vec()),
    }
    // Without this a directory that holds nothing but worktrees would count as untracked.
    args.extend(nested.iter().map(|path| [b":(top,exclude,literal)", path.as_os_str().as_bytes()].concat()));
    let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    Porcelain::parse(&git.run(&args, b"")?).ok_or_else(|| GitError::Malformed { command: "status".to_owned() })
}

impl From<Tips> for Answer {
    fn from(tips: Tips) -> Answer {
        Answer {
            last_commit_at: tips.head.and_then(|head| head.committed_at),
            upstream_head: tips.upstream.map(|tip| tip.oid),
            base: tips.base.as_ref().map(|tip| tip.name.clone()),
            base_head: tips.base.map(|tip| tip.oid),
            ..Answer::default()
        }
    }
}
