//! Submodules of a worktree: which there are, what the user wants to know of each, and where their repositories lie.
//!
//! Git would look into each with a second git that knows nothing of the filters there, so it is told to leave their files
//! alone (`submodule.<name>.ignore=dirty`), and each is looked at afterwards like a worktree of its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::{Config, key_and_value, split_key};
use super::{Git, GitError};
use crate::fs::read_capped;

/// A `.git` file longer than this is none.
const MAX_BYTES: u64 = 64 << 10;

/// What of a submodule's own files counts as a change of the worktree (gitmodules(5), `ignore`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check::worktree) enum Ignore {
    /// `none`: tracked and untracked files count.
    Nothing,
    /// `untracked`: tracked files count.
    Untracked,
    /// `dirty` and `all`: none does.
    Files,
}

impl Ignore {
    fn of(word: Option<&[u8]>) -> Ignore {
        match word {
            Some(b"untracked") => Ignore::Untracked,
            Some(b"dirty" | b"all") => Ignore::Files,
            _ => Ignore::Nothing,
        }
    }
}

/// Path and setting of each submodule, and configuration for git.
type Settings = (Vec<(Vec<u8>, Ignore)>, Vec<(OsString, &'static str)>);

/// Settings of the submodules at `paths`, and the overrides that keep git from looking into them.
///
/// # Errors
/// What git said.
pub(super) fn settings(git: &Git, config: &Config, paths: Vec<Vec<u8>>) -> Result<Settings, GitError> {
    if paths.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let modules = gitmodules(git)?;
    let default = config.ignore_submodules.as_deref();
    let mut overrides = Vec::new();
    if Ignore::of(default) != Ignore::Files {
        overrides.push((OsString::from("diff.ignoreSubmodules"), "dirty"));
    }
    for (name, module) in &modules {
        let word = config.submodule_ignore.get(name).or(module.ignore.as_ref());
        if word.is_some_and(|word| Ignore::of(Some(word)) != Ignore::Files) {
            let key = [b"submodule.", name.as_slice(), b".ignore"].concat();
            overrides.push((OsStr::from_bytes(&key).to_owned(), "dirty"));
        }
    }
    let by_path: BTreeMap<&[u8], &Vec<u8>> = modules
        .iter()
        .filter_map(|(name, module)| {
            let word = config.submodule_ignore.get(name).or(module.ignore.as_ref())?;
            Some((module.path.as_slice(), word))
        })
        .collect();
    let with_ignore = paths.into_iter().map(|path| {
        let word = by_path.get(path.as_slice()).map(|word| word.as_slice()).or(default);
        (path, Ignore::of(word))
    });
    Ok((with_ignore.collect(), overrides))
}

/// What `.gitmodules` says of one submodule.
#[derive(Debug, Default)]
struct Module {
    path: Vec<u8>,
    ignore: Option<Vec<u8>>,
}

/// Reads `.gitmodules`: the file, or what the index has of it.
fn gitmodules(git: &Git) -> Result<BTreeMap<Vec<u8>, Module>, GitError> {
    let file = git.work_tree.join(".gitmodules");
    let output = match file.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => git.run(&["config", "-z", "--list", "--file", ".gitmodules"], b""),
        Ok(_) => return Ok(BTreeMap::new()),
        Err(_) => git.run(&["config", "-z", "--list", "--blob", ":.gitmodules"], b""),
    };
    let output = match output {
        Ok(output) => output,
        // There is none, or it cannot be read: then git knows no names either.
        Err(GitError::Failed { .. }) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
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
pub(in crate::check::worktree) fn open(outer: &Git, path: &[u8]) -> Option<Git> {
    let work_tree = outer.work_tree.join(OsStr::from_bytes(path));
    let git_dir = git_dir(&work_tree)?;
    Some(outer.elsewhere(&git_dir, &git_dir, &work_tree))
}
