//! Asking git about those paths only that it can have something to say of.
//!
//! `git status` looks at every file again. The walk has done that already, which leaves three kinds of paths: tracked
//! files that differ from what the index recorded of them, untracked ones, and those staged. A file that is gone or of
//! another size has changed, whatever it holds, and an untracked one is a change unless it is ignored, which git says
//! without reading the index: only for the rest a status is needed. That nothing is staged is known where the index has
//! noted the tree of HEAD's commit as its own; else git compares the two, which takes no look at a file. Whatever is out
//! of the ordinary (submodules, conflicts, a sparse checkout, more paths than a few) is left to the whole status.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::ask::{Asked, Scope, changes};
use super::beside::Beside;
use super::config::Config;
use super::head::{self, Head};
use super::index::Index;
use super::look::{Subject, path_of, unescape};
use super::porcelain::{DECLARATION, Porcelain};
use super::refs::{self, Wanted};
use super::untracked::{self, Untracked};
use super::walk::{Change, MAX_ODD, Odd, Walk};
use super::{Git, GitError};
use crate::model::worktree::{Answer, Seen};

/// Git compares every tracked path with every path that it is asked about: with more of them the whole status is as
/// cheap.
pub(super) const MAX_PATHS: usize = MAX_ODD;

/// Never tracked and never shown: asked about it, git says only what is checked out.
const NOTHING: &[u8] = b".git";

/// What a narrow question is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'a> {
    pub(super) git: &'a Git,
    pub(super) subject: &'a Subject<'a>,
    pub(super) config: &'a Config,
    pub(super) index: &'a Index,
    /// An earlier answer under the same HEAD, index, refs and configuration.
    pub(super) known: Option<&'a Seen>,
}

/// What an answer rests on besides the worktree's files.
#[derive(Debug)]
pub(super) struct Basis {
    /// As in [`Asked`]; HEAD's object id, branch and upstream besides.
    refs: Answer,
    /// Whether branch and upstream are known.
    named: bool,
    files: BTreeSet<PathBuf>,
    /// Paths in which index and HEAD differ.
    staged: Vec<Vec<u8>>,
}

impl Narrow<'_> {
    /// What does not take a look at the worktree; `None` where git has to be asked about the whole of it.
    ///
    /// # Errors
    /// Why git gave no answer at all.
    pub(super) fn basis(&self) -> Result<Option<Basis>, GitError> {
        if !self.index.is_plain() {
            return Ok(None);
        }
        match self.known_basis() {
            Some(known) => Ok(Some(known)),
            None => answered(self.new_basis()),
        }
    }

    fn known_basis(&self) -> Option<Basis> {
        let seen = self.known?;
        seen.answer.head.as_ref()?;
        let files = seen.deciding_paths.iter().map(|path| path_of(path)).chain(self.config.files.iter().cloned());
        Some(Basis {
            refs: seen.answer.clone(),
            named: true,
            files: files.collect(),
            staged: seen.staged.as_ref()?.iter().map(|path| unescape(path)).collect(),
        })
    }

    fn new_basis(&self) -> Result<Option<Basis>, GitError> {
        let Narrow { git, config, .. } = self;
        let tips = refs::read(git, Wanted { head: Some("HEAD"), ..self.subject.wanted(&config.remotes) })?;
        let Some(head) = tips.head.clone() else { return Ok(None) };
        let staged = match self.index.tree() {
            Some(tree) if head.tree.as_deref() == Some(tree.as_str()) => Vec::new(),
            _ => staged(git, &head.oid)?,
        };
        if staged.len() > MAX_PATHS {
            return Ok(None);
        }
        let without_settings =
            |branch: &str| config.branches.as_ref().is_some_and(|names| !names.contains(branch.as_bytes()));
        let (branch, named) = match head::read(git) {
            Head::Branch(branch) => (Some(branch.clone()), without_settings(&branch)),
            // Of a branch that was detached git shows the upstream.
            Head::Detached => (None, config.branches.as_ref().is_some_and(BTreeSet::is_empty)),
            Head::Unclear => (None, false),
        };
        let files = tips.files.iter().cloned().chain(config.files.iter().cloned()).collect();
        let refs = Answer { head: Some(head.oid), branch, ..Answer::from(tips) };
        Ok(Some(Basis { refs, named, files, staged }))
    }

    /// Asks; `None` where git has to be asked about the whole worktree.
    ///
    /// # Errors
    /// Why git gave no answer at all.
    pub(super) fn ask(&self, basis: Basis, walk: &Walk) -> Result<Option<Asked>, GitError> {
        answered(self.try_to_ask(basis, walk))
    }

    fn try_to_ask(&self, basis: Basis, walk: &Walk) -> Result<Option<Asked>, GitError> {
        let Narrow { git, subject, config, .. } = self;
        let Some(odd) = &walk.odd_files else { return Ok(None) };
        let Some((mut untracked, known_count)) = self.untracked(walk)? else { return Ok(None) };
        if config.ignores_case {
            // A tracked file may be known to git under this name too.
            untracked.directories.append(&mut untracked.files);
        }
        let staged: HashSet<&[u8]> = basis.staged.iter().map(Vec::as_slice).collect();
        let (evident, unclear): (Vec<&Odd>, Vec<&Odd>) =
            odd.iter().partition(|odd| !staged.contains(odd.path.as_slice()) && is_evident(git, odd));
        let unclear = unclear.into_iter().map(|odd| &odd.path);
        let paths = roots(unclear.chain(&untracked.directories).chain(&basis.staged).cloned());
        if paths.len() > MAX_PATHS {
            return Ok(None);
        }
        let (mut porcelain, mut changed) = if paths.is_empty() && basis.named {
            let Answer { head, branch, upstream, .. } = basis.refs.clone();
            (Porcelain::clean(head, branch, upstream), 0)
        } else {
            let paths = if paths.is_empty() { vec![NOTHING.to_vec()] } else { paths };
            changes(git, &subject.nested, &Scope::Paths { paths, untracked: !untracked.directories.is_empty() })?
        };
        for odd in evident {
            if porcelain.changed.contains(&odd.path) {
                // It lies below a path that git was asked about.
                continue;
            }
            changed += u64::from(odd.path != DECLARATION);
            porcelain.add(odd.path.clone(), odd.change == Change::Gone, odd.mode);
        }
        let Some((refs, files)) = self.agreed(basis, &porcelain)? else { return Ok(None) };
        // A staged deletion whose file is still there can be in both.
        let shown: HashSet<&Vec<u8>> = porcelain.untracked.iter().chain(&untracked.files).collect();
        let untracked_count = shown.len() as u64 + known_count;
        let watched = Some(untracked.watched);
        Ok(Some(Asked { porcelain, changed, untracked: untracked_count, refs, files, watched }))
    }

    /// What is untracked, or only how much. It stays what it was while no directory and no rule has changed. `None` where
    /// that cannot be found out here.
    fn untracked(&self, walk: &Walk) -> Result<Option<(Untracked, u64)>, GitError> {
        if let Some(seen) = self.known
            && seen.directories_settled
            && seen.directories == walk.directories
            && let Some(watched) = &seen.untracked_directories
        {
            let watched = watched.iter().map(|path| unescape(path)).collect();
            return Ok(Some((Untracked { watched, ..Untracked::default() }, seen.answer.untracked)));
        }
        let Some(beside) = Beside::find(&self.git.work_tree, walk, self.index) else { return Ok(None) };
        let found = untracked::find(self.git, beside, self.index, &self.subject.nested)?;
        Ok(found.map(|untracked| (untracked, 0)))
    }

    /// The basis, with what the status has added to it; `None` if they are not of one moment.
    fn agreed(&self, basis: Basis, porcelain: &Porcelain) -> Result<Option<(Answer, BTreeSet<PathBuf>)>, GitError> {
        let Basis { refs, named, mut files, .. } = basis;
        if porcelain.head != refs.head {
            return Ok(None);
        }
        if named {
            let agreed = porcelain.branch == refs.branch && porcelain.upstream == refs.upstream;
            return Ok(agreed.then_some((refs, files)));
        }
        if porcelain.upstream.is_none() {
            return Ok(Some((refs, files)));
        }
        // The base may depend on it as well.
        let (head, upstream) = (porcelain.head.as_deref(), porcelain.upstream.as_deref());
        let wanted = Wanted { head, upstream, ..self.subject.wanted(&self.config.remotes) };
        let tips = refs::read(self.git, wanted)?;
        files.extend(tips.files.iter().cloned());
        Ok(Some((Answer::from(tips), files)))
    }
}

/// Whether git can only say that this file has changed.
fn is_evident(git: &Git, odd: &Odd) -> bool {
    match odd.change {
        Change::Resized => true,
        Change::Unclear => false,
        // Not what merely could not be looked at.
        Change::Gone => git
            .work_tree
            .join(OsStr::from_bytes(&odd.path))
            .symlink_metadata()
            .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)),
    }
}

/// A git that refuses may still give its reason, or even an answer, when asked about the whole worktree.
fn answered<T>(answer: Result<Option<T>, GitError>) -> Result<Option<T>, GitError> {
    match answer {
        Err(GitError::Failed { .. } | GitError::Malformed { .. }) => Ok(None),
        other => other,
    }
}

/// The paths in which the index differs from a commit.
fn staged(git: &Git, commit: &str) -> Result<Vec<Vec<u8>>, GitError> {
    let kind = ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--no-ext-diff"];
    let args = kind.into_iter().chain(["--ignore-submodules=dirty", commit, "--"]).collect::<Vec<_>>();
    let output = git.run(&args, b"")?;
    Ok(output.split(|&b| b == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Without repetition, and without what lies below another one: asked about a path in an untracked directory, git would
/// show that path in the directory's place.
fn roots(paths: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let all: HashSet<Vec<u8>> = paths.collect();
    let is_below = |path: &[u8]| {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.into_iter().any(|(at, _)| all.contains(&path[..at]))
    };
    let mut roots: Vec<Vec<u8>> = all.iter().filter(|path| !is_below(path)).cloned().collect();
    roots.sort_unstable();
    roots
}

#[cfg(test)]
mod tests;
