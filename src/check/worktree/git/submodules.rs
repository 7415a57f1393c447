//! Submodules of a worktree: which there are, what the user wants to know of each, and where their repositories lie.
//!
//! Git would look into each with a second git that knows nothing of the filters there, so it is told to leave their files
//! alone (`--ignore-submodules=dirty`), and each is looked at afterwards like a worktree of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::config::{Config, key_and_value, split_key};
use super::{Git, GitError};
use crate::fs::read_capped;

/// A `.git` file longer than this is none.
const MAX_BYTES: u64 = 64 << 10;

/// What of a submodule's own files counts as a change of the worktree (gitmodules(5), `ignore`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ignore {
    /// `none`: tracked and untracked files count.
    Nothing,
    /// `untracked`: tracked files count.
    Untracked,
    /// Its commit counts.
    Dirty,
    All,
}

/// Path and setting of each of the submodules at `paths`.
pub(super) fn settings(git: &Git, config: &Config, paths: Vec<Vec<u8>>) -> Result<Vec<(Vec<u8>, Ignore)>, GitError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let modules = gitmodules(git)?;
    let setting = |path: Vec<u8>| {
        let module = modules.iter().find(|(_, module)| module.path == path);
        let word = module.and_then(|(name, module)| config.submodule_ignore.get(name).or(module.ignore.as_ref()));
        let ignore = match word.or(config.ignore_submodules.as_ref()).map(Vec::as_slice) {
            Some(b"untracked") => Ignore::Untracked,
            Some(b"dirty") => Ignore::Dirty,
            Some(b"all") => Ignore::All,
            _ => Ignore::Nothing,
        };
        (path, ignore)
    };
    Ok(paths.into_iter().map(setting).collect())
}

#[derive(Debug, Default)]
struct Module {
    path: Vec<u8>,
    ignore: Option<Vec<u8>>,
}

/// Reads `.gitmodules`: the file, or what the index has of it.
fn gitmodules(git: &Git) -> Result<BTreeMap<Vec<u8>, Module>, GitError> {
    let source = match git.file(b".gitmodules").symlink_metadata() {
        Ok(metadata) if metadata.is_file() => ["--file", ".gitmodules"],
        Ok(_) => return Ok(BTreeMap::new()),
        Err(_) => ["--blob", ":.gitmodules"],
    };
    let output = match git.run(&[&["config", "-z", "--list"], source.as_slice()].concat(), b"") {
        // There is none, or it cannot be read: then git knows no names either.
        Err(GitError::Failed { .. }) => return Ok(BTreeMap::new()),
        output => output?,
    };
    let mut modules: BTreeMap<Vec<u8>, Module> = BTreeMap::new();
    for entry in output.split(|&b| b == 0) {
        let (key, value) = key_and_value(entry);
        if let Some((b"submodule", Some(name), key @ (b"path" | b"ignore"))) = split_key(key) {
            let module = modules.entry(name.to_owned()).or_default();
            match key {
                b"path" => module.path = value.to_owned(),
                _ => module.ignore = Some(value.to_owned()),
            }
        }
    }
    Ok(modules)
}

/// The git directory of the one at `work_tree`, if it is checked out.
fn git_dir(work_tree: &Path) -> Option<PathBuf> {
    let dot_git = work_tree.join(".git");
    if dot_git.is_dir() {
        return Some(dot_git);
    }
    let bytes = read_capped(&dot_git, MAX_BYTES).ok()?;
    let target = bytes.strip_prefix(b"gitdir: ")?;
    let target = target.strip_suffix(b"\n").unwrap_or(target);
    work_tree.join(OsStr::from_bytes(target)).canonicalize().ok()
}

/// Calls git for the one at `path` in the worktree of `outer`, if it is checked out.
pub(crate) fn open(outer: &Git, path: &[u8]) -> Option<Git> {
    let work_tree = outer.file(path);
    let git_dir = git_dir(&work_tree)?;
    // With its own configuration, and one account of what is used.
    Some(Git { cpu: Rc::clone(&outer.cpu), ..Git::new(&git_dir, &git_dir, &work_tree, outer.deadline) })
}
