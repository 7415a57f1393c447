//! One look at a worktree or submodule: what git said last time if nothing can have changed it, else git.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::{self, Config};
use super::index::Index;
use super::porcelain::Porcelain;
use super::refs::{self, Tips, Wanted};
use super::stamp::{self, Horizon};
use super::walk::{self, Depth, Walk};
use super::{Git, GitError, content, owner, untracked};
use crate::model::worktree::{Answer, Seen};

/// Why a worktree could not be read.
#[derive(Debug)]
pub(in crate::check::worktree) enum LookError {
    /// It belongs to another user.
    Refused(String),
    /// Git gave no answer.
    Git(GitError),
}

impl std::fmt::Display for LookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LookError::Refused(sentence) => f.write_str(sentence),
            LookError::Git(error) => error.fmt(f),
        }
    }
}

impl From<GitError> for LookError {
    fn from(error: GitError) -> Self {
        LookError::Git(error)
    }
}

/// What to look at.
#[derive(Debug)]
pub(in crate::check::worktree) struct Subject<'a> {
    /// What "complete" is merged into, if configured; for a submodule nothing is compared.
    pub(in crate::check::worktree) base: Option<&'a str>,
    /// Other worktrees inside this one, relative.
    pub(in crate::check::worktree) nested: Vec<&'a Path>,
    /// Whether upstream and base matter.
    pub(in crate::check::worktree) compare: bool,
}

/// Looks; `seen` is what the last look left. Returns what this one leaves, and the index it went by, if that is one
/// that can be read here.
///
/// # Errors
/// [`LookError`] when git gave no answer.
pub(in crate::check::worktree) fn look(
    git: &mut Git,
    subject: &Subject<'_>,
    seen: Option<&Seen>,
) -> Result<(Seen, Option<Index>), LookError> {
    if let Some(sentence) = owner::stranger(git)
        && !owner::is_safe(&git.work_tree, &config::read(git)?.safe_directories)
    {
        return Err(LookError::Refused(sentence));
    }
    let horizon = Horizon::now();
    let old_paths: Vec<PathBuf> =
        seen.map_or_else(Vec::new, |seen| seen.deciding_paths.iter().map(|path| path_of(path)).collect());
    let before = deciding(git, subject, &old_paths, horizon);
    let same = seen.filter(|seen| seen.deciding == before.digest);
    let mut walked = None;
    if let Some(seen) = same.filter(|seen| seen.settled)
        && let Some(untracked) = &seen.untracked_directories
        && let Ok(index) = Index::read(&git.git_dir)
    {
        let untracked: Vec<Vec<u8>> = untracked.iter().map(|path| unescape(path)).collect();
        let walk = walk::walk(&git.work_tree, &index, &untracked, Depth::Files, horizon);
        if walk.directories == seen.directories && walk.odd == seen.odd {
            return Ok((seen.clone(), Some(index)));
        }
        walked = Some(walk);
    }
    let asked = ask(git, subject, same, &old_paths)?;
    let index = Index::read(&git.git_dir).ok();
    let seen = remember(git, subject, asked, index.as_ref(), walked.as_ref(), (&before, &old_paths), horizon)?;
    Ok((seen, index))
}

struct Deciding {
    digest: String,
    settled: bool,
}

/// The stamps of everything but the worktree's own files that git decides by.
fn deciding(git: &Git, subject: &Subject<'_>, more: &[PathBuf], horizon: Horizon) -> Deciding {
    let own = ["HEAD", "index", "config.worktree", "info/sparse-checkout", "reftable/tables.list"];
    let shared = ["config", "packed-refs", "info/exclude", "info/attributes", "reftable/tables.list", "shallow"];
    let fixed: Vec<PathBuf> = own
        .iter()
        .map(|name| git.git_dir.join(name))
        .chain(shared.iter().map(|name| git.common_dir.join(name)))
        .collect();
    let (mut digest, settled) = stamp::digest(fixed.iter().chain(more).map(PathBuf::as_path), horizon);
    digest.part(subject.base.unwrap_or_default().as_bytes());
    for nested in &subject.nested {
        digest.part(nested.as_os_str().as_bytes());
    }
    Deciding { digest: digest.finish(), settled }
}

/// Git's answer, and what it rested on.
struct Asked {
    porcelain: Porcelain,
    changed: u64,
    /// HEAD's time, upstream and base; the rest of it is not filled in.
    refs: Answer,
    /// Files that were read for it, besides those of every repository.
    files: BTreeSet<PathBuf>,
}

/// Asks git. HEAD's time, upstream and base are taken from `same` where no ref can have moved since.
fn ask(git: &mut Git, subject: &Subject<'_>, same: Option<&Seen>, old_paths: &[PathBuf]) -> Result<Asked, LookError> {
    let config = config::read(git)?;
    git.blank_filters(config.filters.clone());
    let mut porcelain = status(git, &subject.nested, "--no-renames")?;
    porcelain.forget(&subject.nested);
    let changed = match porcelain.may_hold_further_renames() {
        // In a partial clone the contents to compare may not be there; then each counts for itself.
        true => status(git, &subject.nested, "--find-renames").map_or(porcelain.changed_count(), |mut renamed| {
            renamed.forget(&subject.nested);
            renamed.changed_count()
        }),
        false => porcelain.changed_count(),
    };
    let Config { remotes, mut files, .. } = config;
    let refs = match same.map(|seen| &seen.answer) {
        Some(answer) if answer.head == porcelain.head && answer.upstream == porcelain.upstream => {
            files.extend(old_paths.iter().cloned());
            answer.clone()
        }
        _ if !subject.compare => Answer::default(),
        _ => {
            let upstream = porcelain.upstream.as_deref();
            let head = porcelain.head.as_deref();
            let tips = refs::read(git, Wanted { head, upstream, base: subject.base, remotes: &remotes })?;
            files.extend(tips.files.iter().cloned());
            Answer::from(tips)
        }
    };
    Ok(Asked { porcelain, changed, refs, files })
}

fn status(git: &Git, nested: &[&Path], renames: &str) -> Result<Porcelain, GitError> {
    let mut args: Vec<Vec<u8>> = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--no-ahead-behind",
        "--untracked-files=normal",
        // Not "all": a submodule whose commit differs from the recorded one is a change. Its own files are looked at
        // afterwards, with its own configuration made harmless; git itself would start a second git that is not.
        "--ignore-submodules=dirty",
        renames,
    ]
    .map(|arg| arg.as_bytes().to_vec())
    .to_vec();
    if !nested.is_empty() {
        // Without this a directory that holds nothing but worktrees would count as untracked.
        args.push(b"--".to_vec());
        args.push(b":(top)".to_vec());
        args.extend(nested.iter().map(|path| [b":(top,exclude,literal)", path.as_os_str().as_bytes()].concat()));
    }
    let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    Porcelain::parse(&git.run(&args, b"")?).ok_or_else(|| GitError::Malformed { command: "status".to_owned() })
}

/// Puts together what has to be the same next time for this answer to hold.
fn remember(
    git: &Git,
    subject: &Subject<'_>,
    asked: Asked,
    index: Option<&Index>,
    walked: Option<&Walk>,
    (before, old_paths): (&Deciding, &[PathBuf]),
    horizon: Horizon,
) -> Result<Seen, LookError> {
    let Asked { porcelain, changed, refs, files } = asked;
    let paths: Vec<PathBuf> = files.into_iter().collect();
    // What changed between the first stamps and git's answer would otherwise be stamped as if git had seen it.
    let undisturbed = deciding(git, subject, old_paths, horizon).digest == before.digest;
    let now = deciding(git, subject, &paths, horizon);
    let edited: Vec<Vec<u8>> = porcelain.edited.iter().map(|edit| edit.path.clone()).collect();
    let mut seen = Seen {
        deciding: now.digest,
        deciding_paths: paths.iter().map(|path| escape(path.as_os_str().as_bytes())).collect(),
        settled: undisturbed && now.settled,
        ..Seen::default()
    };
    seen.answer = Answer {
        head: porcelain.head.clone(),
        branch: porcelain.branch.clone(),
        upstream: porcelain.upstream.clone(),
        changed,
        conflicted: porcelain.conflicted,
        changed_submodules: porcelain.submodules.iter().map(|path| escape(path)).collect(),
        newest_edit_ns: content::newest_edit(&git.work_tree, &porcelain.edited),
        content: match index {
            Some(index) => content::digest(git, index, &porcelain.edited)?,
            None => None,
        },
        ..refs
    };
    if let Some(index) = index {
        let directories = walk::walk(&git.work_tree, index, &[], Depth::Directories, horizon);
        let untracked = untracked::find(git, &directories.tracked, index, &subject.nested)?;
        if let Some(untracked) = untracked {
            let all = match untracked.is_empty() {
                true => directories,
                false => walk::walk(&git.work_tree, index, &untracked, Depth::Directories, horizon),
            };
            let (odd, odd_settled) = match walked {
                Some(walk) => (walk.odd.clone(), walk.settled),
                None => walk::odd_if_only(&git.work_tree, edited, horizon),
            };
            seen.directories = all.directories;
            seen.odd = odd;
            seen.settled &= all.settled && odd_settled;
            seen.untracked_directories = Some(untracked.iter().map(|path| escape(path)).collect());
        }
    }
    Ok(seen)
}

impl From<Tips> for Answer {
    fn from(tips: Tips) -> Answer {
        Answer {
            last_commit_at: tips.committed_at,
            upstream_head: tips.upstream.map(|tip| tip.oid),
            base: tips.base.as_ref().map(|tip| tip.name.clone()),
            base_head: tips.base.map(|tip| tip.oid),
            ..Answer::default()
        }
    }
}

/// Any bytes as text for the state, and back.
fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn path_of(escaped: &str) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&unescape(escaped)))
}

/// Undoes [`escape`]; what is no escape stays as it is.
fn unescape(escaped: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [byte, tail @ ..] = rest {
        let (value, used) = match (byte, tail) {
            (b'\\', [b'x', high, low, ..]) => {
                let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
                (digit(*high) << 4 | digit(*low), 4)
            }
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [other, ..]) => (*other, 2),
            (other, _) => (*other, 1),
        };
        out.push(value);
        rest = &rest[used..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_state() {
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(unescape(&escape(&all)), all);
    }
}
