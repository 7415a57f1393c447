//! Where a repository keeps its worktrees: `.git`, `commondir` and `worktrees/*/gitdir` (gitrepository-layout(5)).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

use crate::clock::Deadline;
use crate::fs::{if_there, read_capped};
use crate::model::worktree::{Standing, WorktreeTarget};
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

/// Finds the repository at `path`: a worktree, a bare repository or a git directory; with `upwards`, also the one that
/// `path` lies in. Without it only `path` itself counts, or an outer repository would be watched by mistake.
pub(crate) fn find(path: &Path, upwards: bool) -> anyhow::Result<Repository> {
    let start = path.canonicalize().with_context(|| cannot_read(path))?;
    for directory in start.ancestors().take(if upwards { usize::MAX } else { 1 }) {
        if let Some(repository) = repository_at(directory)? {
            return Ok(repository);
        }
    }
    let where_none_is = if upwards { "lies in" } else { "is" };
    bail!("{} {where_none_is} no git repository", path.display())
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn repository_at(directory: &Path) -> anyhow::Result<Option<Repository>> {
    let dot_git = directory.join(".git");
    let (git_dir, work_tree) = match if_there(dot_git.metadata()).with_context(|| cannot_read(&dot_git))? {
        Some(_) => (read_dot_git(&dot_git).with_context(|| cannot_read(&dot_git))?, Some(directory)),
        None if is_git_dir(directory) => {
            (directory.to_owned(), directory.parent().filter(|_| directory.ends_with(".git")))
        }
        None => return Ok(None),
    };
    let common_dir = common_dir_of(&git_dir).with_context(|| cannot_read(&git_dir))?;
    Ok(Some(Repository { common_dir, entrance: work_tree.map(|path| (path.to_owned(), git_dir)) }))
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
    let common_dir = if_there(read_capped(&git_dir.join("commondir"), MAX_LINE_BYTES))?.unwrap_or_default();
    git_dir.join(line(&common_dir)).canonicalize()
}

/// The path on the one line of one of git's files. A path may itself end in blanks, so only line ends and the blank
/// after the colon go.
fn line(bytes: &[u8]) -> &Path {
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
    let end = bytes.iter().rposition(|&b| b != b'\n' && b != b'\r').map_or(0, |last| last + 1);
    Path::new(OsStr::from_bytes(&bytes[..end]))
}

/// Every worktree of `repository`, each as `template` with its own place: the main one first unless it is bare, then the
/// linked ones by git's names for them. These may lie in other file systems than the repository: one that hangs costs
/// itself.
pub(crate) fn worktrees(repository: &Repository, template: &WorktreeTarget, deadline: Deadline) -> Vec<WorktreeTarget> {
    let template = WorktreeTarget { repository: repository.common_dir.clone(), ..template.clone() };
    let entries = repository.common_dir.join("worktrees").read_dir().into_iter().flatten().flatten();
    let mut ids: Vec<OsString> = entries.map(|entry| entry.file_name()).take(MAX_WORKTREES).collect();
    ids.sort();
    let linked: Vec<WorktreeTarget> = ids.into_iter().filter_map(|id| on_file(id, &template)).collect();
    let files = |one: &WorktreeTarget| vec![one.path.clone(), one.path.join(".git")];
    let entrance = repository.entrance.clone();
    let inspected =
        timeout::each(linked.clone(), timeout::LIMIT, deadline, files, move |one| inspect(one, entrance.as_ref()));
    let linked = linked.into_iter().zip(inspected).map(|(on_file, inspected)| inspected.unwrap_or(on_file));
    main_worktree(repository, template).into_iter().chain(linked).collect()
}

fn main_worktree(repository: &Repository, template: WorktreeTarget) -> Option<WorktreeTarget> {
    let common_dir = &repository.common_dir;
    let core = Core::read(common_dir);
    let path = match (core.worktree, &repository.entrance) {
        _ if core.bare => return None,
        // A submodule's git directory says where its worktree is.
        (Some(worktree), _) => normal(&common_dir.join(worktree)),
        (None, Some((path, git_dir))) if git_dir == common_dir => path.clone(),
        (None, _) if common_dir.ends_with(".git") => common_dir.parent()?.to_owned(),
        // `git init --separate-git-dir`, reached through a linked worktree: nothing says where the main one is.
        (None, _) => return None,
    };
    let path = path.canonicalize().unwrap_or(path);
    let standing = if path.is_dir() { Standing::Present } else { gone(&path) };
    Some(WorktreeTarget { path, standing, ..template })
}

/// A linked worktree as its repository has it on file, and what is to be said of it if its directory does not answer.
fn on_file(id: OsString, template: &WorktreeTarget) -> Option<WorktreeTarget> {
    let linked = WorktreeTarget { id: Some(id), ..template.clone() };
    let git_dir = linked.git_dir();
    let lock = lock(&git_dir);
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
    Some(WorktreeTarget { path, lock, standing: Standing::Unreadable(reason), ..linked })
}

/// The reason for which a linked worktree is locked (git-worktree(1), `lock`), whether its directory is there or not.
fn lock(git_dir: &Path) -> Option<String> {
    let file = git_dir.join("locked");
    let reason = file.exists().then(|| read_capped(&file, MAX_LINE_BYTES).unwrap_or_default())?;
    Some(String::from_utf8_lossy(&reason).trim().to_owned())
}

/// The same with what is there.
fn inspect(on_file: &WorktreeTarget, entrance: Option<&(PathBuf, PathBuf)>) -> WorktreeTarget {
    let git_dir = on_file.git_dir();
    let (path, standing) = match entrance {
        // Where its directory is could not be read.
        _ if on_file.path == git_dir => return on_file.clone(),
        // A worktree moved by hand and configured by its new place: git still has the old one on file.
        Some((path, own)) if *own == git_dir => (path.clone(), Standing::Present),
        _ => (on_file.path.canonicalize().unwrap_or_else(|_| on_file.path.clone()), standing(on_file, &git_dir)),
    };
    WorktreeTarget { path, standing, ..on_file.clone() }
}

fn standing(on_file: &WorktreeTarget, git_dir: &Path) -> Standing {
    let unreadable = |what: &Path, e: &io::Error| Standing::Unreadable(format!("{}: {e}", cannot_read(what)));
    let dot_git = on_file.path.join(".git");
    match on_file.path.metadata() {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return gone(&on_file.path);
        }
        Err(e) => return unreadable(&on_file.path, &e),
        Ok(_) => {}
    }
    match read_dot_git(&dot_git) {
        Ok(own) if own == git_dir => Standing::Present,
        Ok(other) => Standing::Gone(format!("{} belongs to {} now", on_file.path.display(), other.display())),
        Err(_) if dot_git.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => gone(&dot_git),
        // The repository was moved by hand: git itself no longer finds its way from here.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Standing::Unreadable(format!(
            "{} names a git directory that is not there; run `git worktree repair` in {}",
            dot_git.display(),
            on_file.repository.display()
        )),
        Err(e) => unreadable(&dot_git, &e),
    }
}

fn gone(what: &Path) -> Standing {
    Standing::Gone(format!("{} is gone", what.display()))
}

/// Takes `x/..` out of an absolute path by its text, as the directory itself may be gone.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, component| {
        if component == Component::ParentDir {
            out.pop();
        } else {
            out.push(component);
        }
        out
    })
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
            let mut halves = line.splitn(2, |&b| b == b'=').map(<[u8]>::trim_ascii);
            let key = halves.next().unwrap_or_default().to_ascii_lowercase();
            match (key.as_slice(), halves.next()) {
                (b"bare", value) if in_core => self.bare = is_true(value),
                (b"worktree", Some(value)) if in_core => {
                    let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
                    self.worktree = Some(PathBuf::from(OsStr::from_bytes(value)));
                }
                _ => {}
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
