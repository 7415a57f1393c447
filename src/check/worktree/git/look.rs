//! One look at a worktree or submodule: what git said last time if nothing can have changed it, else git, asked about as
//! few paths as will do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ask::{self, Asked};
use super::index::Index;
use super::narrow::{MAX_PATHS, Narrow};
use super::refs::Wanted;
use super::walk::{self, Depth, Walk};
use super::{Git, GitError, config, content, head, owner, submodules, untracked};
use crate::fs::stamp::{self, Horizon};
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

impl Subject<'_> {
    /// What the refs are asked for: HEAD, upstream and the remotes' names are to be added.
    pub(super) fn wanted<'b>(&'b self, remotes: &'b [String]) -> Wanted<'b> {
        Wanted { head: None, compare: self.compare, upstream: None, base: self.base, remotes }
    }
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
    let index = Index::read(&git.git_dir).ok();
    let same = seen.filter(|seen| seen.deciding == before.digest);
    let watched = same.and_then(|seen| seen.untracked_directories.as_ref());
    let walk = |git: &Git, index: &Index| {
        let watched: Vec<Vec<u8>> = watched.into_iter().flatten().map(|path| unescape(path)).collect();
        walk::walk(&git.work_tree, index, &watched, Depth::Files, horizon)
    };
    let mut walked = None;
    if let (Some(seen), Some(_)) = (same.filter(|seen| seen.settled), watched) {
        walked = index.as_ref().map(|index| walk(git, index));
        if walked.as_ref().is_some_and(|walk| walk.directories == seen.directories && walk.odd == seen.odd) {
            return Ok((seen.clone(), index));
        }
    }
    let config = config::read(git)?;
    git.blank_filters(config.filters.clone());
    let known = same.filter(|seen| seen.deciding_settled);
    let mut asked = None;
    if let Some(index) = &index {
        let narrow = Narrow { git, subject, config: &config, index, known };
        if let Some(basis) = narrow.basis()? {
            asked = narrow.ask(basis, walked.get_or_insert_with(|| walk(git, index)))?;
        }
    }
    // The parts of a narrow answer are of one moment only if nothing that git decides by has changed meanwhile.
    let asked = match asked.filter(|_| deciding(git, subject, &old_paths, horizon).digest == before.digest) {
        Some(asked) => asked,
        None => ask::whole(git, subject, &config, known)?,
    };
    let seen = remember(git, subject, asked, index.as_ref(), walked, (&before, &old_paths), horizon)?;
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
        .chain(head::ref_files(git))
        .collect();
    let (mut digest, settled) = stamp::digest(fixed.iter().chain(more).map(PathBuf::as_path), horizon);
    digest.part(subject.base.unwrap_or_default().as_bytes());
    for nested in &subject.nested {
        digest.part(nested.as_os_str().as_bytes());
    }
    Deciding { digest: digest.finish(), settled }
}

/// Puts together what has to be the same next time for this answer to hold.
fn remember(
    git: &Git,
    subject: &Subject<'_>,
    asked: Asked,
    index: Option<&Index>,
    walked: Option<Walk>,
    (before, old_paths): (&Deciding, &[PathBuf]),
    horizon: Horizon,
) -> Result<Seen, LookError> {
    let Asked { porcelain, changed, untracked, refs, mut files, watched } = asked;
    files.extend(index.into_iter().flat_map(|index| submodules::head_files(git, index)));
    let paths: Vec<PathBuf> = files.into_iter().collect();
    // What changed between the first stamps and git's answer would otherwise be stamped as if git had seen it.
    let undisturbed = deciding(git, subject, old_paths, horizon).digest == before.digest;
    let now = deciding(git, subject, &paths, horizon);
    let mut seen = Seen {
        deciding: now.digest,
        deciding_paths: paths.iter().map(|path| escape(path.as_os_str().as_bytes())).collect(),
        deciding_settled: undisturbed && now.settled,
        staged: (porcelain.staged.len() <= MAX_PATHS)
            .then(|| porcelain.staged.iter().map(|path| escape(path)).collect()),
        ..Seen::default()
    };
    seen.answer = Answer {
        head: porcelain.head.clone(),
        branch: porcelain.branch.clone(),
        upstream: porcelain.upstream.clone(),
        changed: changed + untracked,
        untracked,
        conflicted: porcelain.conflicted,
        changed_submodules: porcelain.submodules.iter().map(|path| escape(path)).collect(),
        newest_edit_ns: content::newest_edit(&git.work_tree, &porcelain.edited),
        content: match index {
            Some(index) => content::digest(git, index, &porcelain.edited)?,
            None => None,
        },
        ..refs
    };
    let Some(index) = index else { return Ok(seen) };
    let odd = walked.as_ref().map(|walk| (walk.odd.clone(), walk.odd_settled));
    let mut walk = walked.unwrap_or_else(|| walk::walk(&git.work_tree, index, &[], Depth::Directories, horizon));
    let watched = match watched {
        Some(watched) => Some(watched),
        None => untracked::directories(git, &walk, index, &subject.nested)?,
    };
    if let Some(watched) = watched {
        walk.watch(&git.work_tree, &watched);
        let (odd, odd_settled) = odd.unwrap_or_else(|| {
            let edited = porcelain.edited.iter().map(|edit| edit.path.clone()).collect();
            walk::odd_if_only(&git.work_tree, edited, horizon)
        });
        seen.odd = odd;
        seen.directories = walk.directories;
        seen.directories_settled = walk.directories_settled;
        seen.settled = seen.deciding_settled && seen.directories_settled && odd_settled;
        seen.untracked_directories = Some(watched.iter().map(|path| escape(path)).collect());
    }
    Ok(seen)
}

/// Any bytes as text for the state, and back.
pub(super) fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Undoes [`escape`] for a path.
pub(in crate::check::worktree) fn path_of(escaped: &str) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&unescape(escaped)))
}

/// Undoes [`escape`]; what is no escape stays as it is.
pub(super) fn unescape(escaped: &str) -> Vec<u8> {
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
