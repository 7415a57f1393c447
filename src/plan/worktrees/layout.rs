//! Where a repository keeps its worktrees: `.git`, `commondir` and `worktrees/*/gitdir` (gitrepository-layout(5)).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

use crate::clock::Deadline;
use crate::fs::read_capped;
use crate::model::worktree::Standing;
use crate::plan::timeout;
use crate::proc::hung;

/// Longest of git's one-line files that is read; a path cannot be longer.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Longest `config` that is looked through for `core.bare`.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Worktrees of one repository beyond this many are left out: something creates them without end.
const MAX_WORKTREES: usize = 5_000;

#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// What all its worktrees share, canonical.
    pub(crate) common_dir: PathBuf,
    /// The worktree through which it was found, if it was found through one: its directory and its own git directory.
    pub(crate) entrance: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Canonical where it exists.
    pub(crate) path: PathBuf,
    /// The shared directory of its repository, or the configured path where that could not be read.
    pub(super) repository: PathBuf,
    pub(super) main: bool,
    /// Git's own name for a linked one, unique in the repository.
    pub(super) id: Vec<u8>,
    pub(super) standing: Standing,
}

impl Found {
    /// The stand-in for a repository that could not be read.
    pub(super) fn unreadable(path: &Path, reason: String) -> Found {
        Found {
            path: path.to_owned(),
            repository: path.to_owned(),
            main: true,
            id: Vec::new(),
            standing: Standing::Unreadable { reason },
        }
    }
}

/// Finds the repository at `path`: a worktree, a bare repository or a git directory; with `upwards`, also the one that
/// `path` lies in. Without it only `path` itself counts, or an outer repository would be watched by mistake.
pub(crate) fn find(path: &Path, upwards: bool) -> anyhow::Result<Repository> {
    let start = path.canonicalize().with_context(|| cannot_read(path))?;
    let mut directory = Some(start.as_path());
    while let Some(here) = directory {
        if let Some(repository) = repository_at(here)? {
            return Ok(repository);
        }
        directory = here.parent().filter(|_| upwards);
    }
    let where_none_is = if upwards { "lies in" } else { "is" };
    bail!("{} {where_none_is} no git repository", path.display())
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn repository_at(directory: &Path) -> anyhow::Result<Option<Repository>> {
    let dot_git = directory.join(".git");
    match std::fs::metadata(&dot_git) {
        Ok(_) => {
            let git_dir = read_dot_git(&dot_git).with_context(|| cannot_read(&dot_git))?;
            let common_dir = common_dir_of(&git_dir).with_context(|| cannot_read(&git_dir))?;
            Ok(Some(Repository { common_dir, entrance: Some((directory.to_owned(), git_dir)) }))
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| cannot_read(&dot_git)),
        Err(_) if is_git_dir(directory) => {
            let common_dir = common_dir_of(directory).with_context(|| cannot_read(directory))?;
            let parent = directory.parent().filter(|_| directory.file_name() == Some(OsStr::new(".git")));
            Ok(Some(Repository {
                entrance: parent.map(|parent| (parent.to_owned(), directory.to_owned())),
                common_dir,
            }))
        }
        Err(_) => Ok(None),
    }
}

/// What git itself takes for a repository: HEAD, objects and refs.
fn is_git_dir(directory: &Path) -> bool {
    directory.join("HEAD").symlink_metadata().is_ok()
        && (directory.join("commondir").is_file()
            || directory.join("objects").is_dir() && directory.join("refs").is_dir())
}

/// The git directory behind `.git`: the directory itself, or the one that the file names.
fn read_dot_git(dot_git: &Path) -> io::Result<PathBuf> {
    if dot_git.is_dir() {
        return dot_git.canonicalize();
    }
    let bytes = read_capped(dot_git, MAX_LINE_BYTES)?;
    let target = bytes
        .strip_prefix(b"gitdir:")
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file does not begin with \"gitdir:\""))?;
    let base = dot_git.parent().unwrap_or(Path::new("/"));
    base.join(line(target)).canonicalize()
}

fn common_dir_of(git_dir: &Path) -> io::Result<PathBuf> {
    match read_capped(&git_dir.join("commondir"), MAX_LINE_BYTES) {
        Ok(bytes) => git_dir.join(line(&bytes)).canonicalize(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => git_dir.canonicalize(),
        Err(e) => Err(e),
    }
}

/// The path on the one line of one of git's files. A path may itself end in blanks, so only line ends and the blank
/// after the colon go.
fn line(bytes: &[u8]) -> &Path {
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
    let end = bytes.iter().rposition(|&b| b != b'\n' && b != b'\r').map_or(0, |last| last + 1);
    Path::new(OsStr::from_bytes(&bytes[..end]))
}

/// Every worktree of `repository`: the main one first unless it is bare, then the linked ones by git's names for them.
/// These may lie in other file systems than the repository: one that hangs costs itself.
pub(crate) fn worktrees(repository: &Repository, deadline: Deadline) -> Vec<Found> {
    let mut found: Vec<Found> = main_worktree(repository).into_iter().collect();
    let mut ids: Vec<_> = match std::fs::read_dir(repository.common_dir.join("worktrees")) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.file_name())).take(MAX_WORKTREES).collect(),
        Err(_) => Vec::new(),
    };
    ids.sort();
    let linked: Vec<Found> = ids.iter().filter_map(|id| on_file(repository, id)).collect();
    let files = |one: &Found| vec![one.path.clone(), one.path.join(".git")];
    let repository = repository.clone();
    let looked = timeout::each(linked.clone(), timeout::LIMIT, deadline, files, move |one| look(one, &repository));
    found.extend(linked.into_iter().zip(looked).map(|(on_file, looked)| looked.unwrap_or(on_file)));
    found
}

fn main_worktree(repository: &Repository) -> Option<Found> {
    let common_dir = &repository.common_dir;
    let core = Core::read(common_dir);
    if core.bare {
        return None;
    }
    let through_entrance =
        repository.entrance.as_ref().filter(|(_, git_dir)| git_dir == common_dir).map(|(path, _)| path.clone());
    let path = match (core.worktree, through_entrance) {
        // A submodule's git directory says where its worktree is.
        (Some(worktree), _) => normal(&common_dir.join(worktree)),
        (None, Some(path)) => path,
        (None, None) if common_dir.file_name() == Some(OsStr::new(".git")) => common_dir.parent()?.to_owned(),
        // `git init --separate-git-dir`, reached through a linked worktree: nothing says where the main one is.
        (None, None) => return None,
    };
    let path = path.canonicalize().unwrap_or(path);
    let standing = if path.is_dir() {
        Standing::Present { git_dir: common_dir.clone() }
    } else {
        Standing::Gone { reason: format!("{} is gone", path.display()) }
    };
    Some(Found { path, repository: common_dir.clone(), main: true, id: Vec::new(), standing })
}

/// A linked worktree as its repository has it on file, and what is to be said of it if its directory does not answer.
fn on_file(repository: &Repository, id: &OsStr) -> Option<Found> {
    let git_dir = repository.common_dir.join("worktrees").join(id);
    let file = git_dir.join("gitdir");
    let (path, reason) = match read_capped(&file, MAX_LINE_BYTES) {
        Ok(bytes) => {
            let dot_git = normal(&git_dir.join(line(&bytes)));
            let directory = dot_git.parent().unwrap_or(&dot_git).to_owned();
            let reason = hung::does_not_answer(&directory);
            (directory, reason)
        }
        // `git worktree add` or `remove` is at work, or something that is no worktree lies there.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return None,
        Err(e) => (git_dir, format!("{}: {e}", cannot_read(&file))),
    };
    let (repository, id) = (repository.common_dir.clone(), id.as_bytes().to_owned());
    Some(Found { path, repository, main: false, id, standing: Standing::Unreadable { reason } })
}

/// The same with what is there.
fn look(on_file: &Found, repository: &Repository) -> Found {
    let git_dir = repository.common_dir.join("worktrees").join(OsStr::from_bytes(&on_file.id));
    let (path, standing) = match &repository.entrance {
        // Where its directory is could not be read.
        _ if on_file.path == git_dir => return on_file.clone(),
        // A worktree moved by hand and configured by its new place: git still has the old one on file.
        Some((path, own)) if *own == git_dir => (path.clone(), Standing::Present { git_dir }),
        _ => {
            let path = on_file.path.canonicalize().unwrap_or_else(|_| on_file.path.clone());
            (path, standing(&on_file.path, &git_dir, repository))
        }
    };
    Found { path, standing, ..on_file.clone() }
}

/// The reason for which a linked worktree is locked (git-worktree(1), `lock`), whether its directory is there or not.
pub(super) fn lock(one: &Found) -> Option<String> {
    let file = one.repository.join("worktrees").join(OsStr::from_bytes(&one.id)).join("locked");
    let reason = (!one.main && file.exists()).then(|| read_capped(&file, MAX_LINE_BYTES).unwrap_or_default())?;
    Some(String::from_utf8_lossy(&reason).trim().to_owned())
}

fn standing(path: &Path, git_dir: &Path, repository: &Repository) -> Standing {
    let dot_git = path.join(".git");
    match path.metadata() {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Standing::Gone { reason: format!("{} is gone", path.display()) };
        }
        Err(e) => return Standing::Unreadable { reason: format!("{}: {e}", cannot_read(path)) },
        Ok(_) => {}
    }
    match read_dot_git(&dot_git) {
        Ok(own) if own == git_dir => Standing::Present { git_dir: own },
        Ok(other) => Standing::Gone { reason: format!("{} belongs to {} now", path.display(), other.display()) },
        Err(_) if dot_git.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => {
            Standing::Gone { reason: format!("{} is gone", dot_git.display()) }
        }
        // The repository was moved by hand: git itself no longer finds its way from here.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Standing::Unreadable {
            reason: format!(
                "{} names a git directory that is not there; run `git worktree repair` in {}",
                dot_git.display(),
                repository.common_dir.display()
            ),
        },
        Err(e) => Standing::Unreadable { reason: format!("{}: {e}", cannot_read(&dot_git)) },
    }
}

/// Takes `.` and `x/..` out of a path by its text, as the directory itself may be gone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// The two settings that say where the main worktree is, if there is one.
#[derive(Debug, Default, PartialEq)]
struct Core {
    bare: bool,
    worktree: Option<PathBuf>,
}

impl Core {
    /// Reads `config` and, where the main worktree has its own, `config.worktree`.
    fn read(common_dir: &Path) -> Core {
        let mut core = Core::default();
        for name in ["config", "config.worktree"] {
            if let Ok(bytes) = read_capped(&common_dir.join(name), MAX_CONFIG_BYTES) {
                core.take(&bytes);
            }
        }
        core
    }

    /// Takes over `bare` and `worktree` of every `[core]` section. Includes are not followed: git ignores neither key
    /// there, but nobody puts them there either.
    fn take(&mut self, config: &[u8]) {
        let mut in_core = false;
        for line in config.split(|&b| b == b'\n') {
            let mut line = line.trim_ascii();
            if let Some(rest) = line.strip_prefix(b"[") {
                let Some(end) = rest.iter().position(|&b| b == b']') else { continue };
                in_core = rest[..end].trim_ascii().eq_ignore_ascii_case(b"core");
                line = rest[end + 1..].trim_ascii();
            }
            if !in_core {
                continue;
            }
            let mut halves = line.splitn(2, |&b| b == b'=');
            let key = halves.next().unwrap_or_default().trim_ascii();
            let value = halves.next().map(|value| value.trim_ascii());
            if key.eq_ignore_ascii_case(b"bare") {
                self.bare = is_true(value);
            } else if let (true, Some(value)) = (key.eq_ignore_ascii_case(b"worktree"), value) {
                let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
                self.worktree = Some(PathBuf::from(OsStr::from_bytes(value)));
            }
        }
    }
}

/// Git's booleans; a key without a value is true.
fn is_true(value: Option<&[u8]>) -> bool {
    let Some(value) = value else { return true };
    let end = value.iter().position(|&b| b == b'#' || b == b';').unwrap_or(value.len());
    let word = value[..end].trim_ascii();
    [b"true".as_slice(), b"yes", b"on", b"1"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_worktree_are_read_as_git_writes_and_people_edit_them() {
        for (config, bare, worktree) in [
            ("[core]\n\trepositoryformatversion = 0\n\tbare = false\n", false, None),
            ("[core]\n\tbare = true # said so\n", true, None),
            ("[CORE] Bare\n", true, None),
            ("[core]\n\tworktree = ../../../sub\n", false, Some("../../../sub")),
            ("[core \"x\"]\n\tbare = true\n", false, None),
            ("[branch \"core\"]\nbare = true\n", false, None),
        ] {
            let mut core = Core::default();
            core.take(config.as_bytes());
            assert_eq!(core, Core { bare, worktree: worktree.map(PathBuf::from) }, "{config:?}");
        }
    }

    #[test]
    fn a_path_on_a_line_keeps_its_own_blanks() {
        assert_eq!(line(b" /a/b c \r\n"), Path::new("/a/b c "));
        assert_eq!(line(b"\n"), Path::new(""));
        assert_eq!(normal(Path::new("/a/./b/../c")), Path::new("/a/c"));
    }
}
