//! What git's configuration says that matters here: filter drivers to blank, files whose change could change an answer,
//! remotes. Asked of git itself, because only git follows every include.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::{Git, GitError};
use crate::fs::read_capped;

/// More filter drivers than this are no configuration but an attack on the size of the environment.
const MAX_FILTERS: usize = 1_000;

/// Repository configuration larger than this is not scanned but always asked of git.
const MAX_SCANNED_BYTES: u64 = 1 << 20;

/// Words without which a repository's own file can neither define a filter nor pull in another file.
const TELLING_WORDS: &[&[u8]] = &[b"filter", b"include", b"excludesfile", b"attributesfile"];

/// The part of the configuration that matters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Config {
    /// Names of filter drivers.
    pub(super) filters: Vec<Vec<u8>>,
    /// Files that were read or would be read if they existed.
    pub(super) files: BTreeSet<PathBuf>,
    /// Names of remotes, in the order of the files.
    pub(super) remotes: Vec<String>,
    /// Branches with settings of their own, an upstream perhaps; `None` if they cannot be told.
    pub(super) branches: Option<BTreeSet<Vec<u8>>>,
    /// Whether something is said of `core.ignoreCase`: tracked names are then not known by their bytes alone.
    pub(super) ignores_case: bool,
    /// `safe.directory` of the user and the system, in order.
    pub(super) safe_directories: Vec<Vec<u8>>,
    /// Whether some file includes another one.
    includes: bool,
}

/// The configuration for `git`'s worktree.
///
/// Git is asked only where its answer can differ from the user's and system's configuration (asked once a pass): a
/// repository whose own files hold none of [`TELLING_WORDS`] adds only remotes.
///
/// # Errors
/// What git said.
pub(super) fn read(git: &Git) -> Result<Config, GitError> {
    let global = global(git)?;
    let own_files = [git.common_dir.join("config"), git.git_dir.join("config.worktree")];
    let mut plain = !global.includes;
    let mut remotes = Vec::new();
    let mut branches = global.branches.clone();
    let mut ignores_case = global.ignores_case;
    for path in &own_files {
        match read_capped(path, MAX_SCANNED_BYTES) {
            Ok(bytes) => {
                let lower = bytes.to_ascii_lowercase();
                ignores_case |= contains(&lower, b"ignorecase");
                plain &= !TELLING_WORDS.iter().any(|word| contains(&lower, word));
                remotes.extend(remote_names(&bytes));
                branches =
                    branches.zip(branch_names(&bytes, &lower)).map(|(all, more)| all.into_iter().chain(more).collect());
            }
            Err(e) => plain &= e.kind() == std::io::ErrorKind::NotFound,
        }
    }
    let mut config = if plain {
        Config { remotes, branches, ignores_case, ..(*global).clone() }
    } else {
        parse(&git.run(&["config", "-z", "--list", "--show-origin"], b"")?, &git.work_tree)
            .ok_or_else(|| GitError::Malformed { command: "config".to_owned() })?
    };
    config.files.extend(own_files);
    config.files.extend(global.files.iter().cloned());
    config.safe_directories.clone_from(&global.safe_directories);
    if config.filters.len() > MAX_FILTERS {
        let message = format!(
            "{} filter drivers are configured; at most {MAX_FILTERS} can be kept from running",
            config.filters.len()
        );
        return Err(GitError::Failed { command: "config".to_owned(), message });
    }
    Ok(config)
}

/// The user's and the system's configuration, read once a pass.
fn global(git: &Git) -> Result<Arc<Config>, GitError> {
    static KNOWN: Mutex<Option<(Timestamp, Arc<Config>)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((pass, config)) = &*known
        && *pass == git.pass
    {
        return Ok(Arc::clone(config));
    }
    // A directory that is no repository: git then knows only the user's and the system's files.
    let nowhere = Git {
        git_dir: PathBuf::from("/nonexistent"),
        work_tree: PathBuf::from("/"),
        common_dir: PathBuf::new(),
        ..git.clone()
    };
    let listed = nowhere.run(&["config", "-z", "--list", "--show-origin"], b"")?;
    let mut config =
        parse(&listed, Path::new("/")).ok_or_else(|| GitError::Malformed { command: "config".to_owned() })?;
    config.files.extend(standard_files());
    let config = Arc::new(config);
    *known = Some((git.pass, Arc::clone(&config)));
    Ok(config)
}

/// Where git looks for the user's configuration, exclude and attribute files whether they exist or not.
fn standard_files() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let xdg = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let xdg = xdg.or_else(|| Some(home.as_ref()?.join(".config")));
    let mut files = vec![PathBuf::from("/etc/gitconfig"), PathBuf::from("/usr/local/etc/gitconfig")];
    files.extend(home.map(|home| home.join(".gitconfig")));
    if let Some(xdg) = xdg {
        files.extend(["config", "ignore", "attributes"].map(|name| xdg.join("git").join(name)));
    }
    files
}

/// Reads `git config -z --list --show-origin`: origin, NUL, key, newline, value, NUL.
fn parse(listed: &[u8], work_tree: &Path) -> Option<Config> {
    let mut config = Config { branches: Some(BTreeSet::new()), ..Config::default() };
    let mut filters = BTreeSet::new();
    let mut fields = listed.split(|&b| b == 0);
    while let Some(origin) = fields.next() {
        if origin.is_empty() {
            break;
        }
        let entry = fields.next()?;
        let (key, value) = match entry.iter().position(|&b| b == b'\n') {
            Some(at) => (&entry[..at], &entry[at + 1..]),
            None => (entry, b"".as_slice()),
        };
        // Our own overrides come from the command line.
        let Some(file) = origin.strip_prefix(b"file:") else { continue };
        let file = work_tree.join(OsStr::from_bytes(file));
        config.take(key, value, &file, work_tree, &mut filters);
        config.files.insert(file);
    }
    config.filters = filters.into_iter().collect();
    Some(config)
}

impl Config {
    fn take(&mut self, key: &[u8], value: &[u8], file: &Path, work_tree: &Path, filters: &mut BTreeSet<Vec<u8>>) {
        let (section, name) = match key.iter().position(|&b| b == b'.') {
            Some(at) => (&key[..at], &key[at + 1..]),
            None => return,
        };
        let subsection = name.iter().rposition(|&b| b == b'.').map(|at| (&name[..at], &name[at + 1..]));
        match (section, subsection) {
            (b"filter", Some((driver, _))) => {
                filters.insert(driver.to_owned());
            }
            (b"branch", Some((branch, _))) => {
                self.branches.get_or_insert_default().insert(branch.to_owned());
            }
            (b"remote", Some((remote, b"url"))) => {
                if let Ok(remote) = std::str::from_utf8(remote)
                    && !self.remotes.iter().any(|known| known == remote)
                {
                    self.remotes.push(remote.to_owned());
                }
            }
            (b"include", None) | (b"includeif", Some((_, b"path"))) => {
                self.includes = true;
                self.files.insert(resolved(value, file.parent().unwrap_or(Path::new("/"))));
            }
            (b"core", None) if name == b"excludesfile" || name == b"attributesfile" => {
                self.files.insert(resolved(value, work_tree));
            }
            (b"core", None) if name == b"ignorecase" => self.ignores_case = true,
            (b"safe", None) if name == b"directory" => self.safe_directories.push(value.to_owned()),
            _ => {}
        }
    }
}

/// A path of the configuration: `~` is the user's home, a relative one is relative to `base`.
fn resolved(value: &[u8], base: &Path) -> PathBuf {
    if let Some(rest) = value.strip_prefix(b"~/")
        && let Some(home) = std::env::var_os("HOME")
    {
        return Path::new(&home).join(OsStr::from_bytes(rest));
    }
    base.join(OsStr::from_bytes(value))
}

/// The names in `[remote "…"]` headers.
fn remote_names(config: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for line in config.split(|&b| b == b'\n') {
        let line = line.trim_ascii_start();
        let name = line.strip_prefix(b"[remote \"").and_then(|rest| rest.split(|&b| b == b'"').next());
        if let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The names in `[branch "…"]` headers; `None` if one is written in another way. `lower` is the same in lower case.
fn branch_names(config: &[u8], lower: &[u8]) -> Option<BTreeSet<Vec<u8>>> {
    let word = b"[branch";
    let places = (0..lower.len().saturating_sub(word.len())).filter(|&at| lower[at..].starts_with(word));
    let names = places.map(|at| match &config[at + word.len()..] {
        // Settings for all branches; an upstream is none of them.
        [b']', ..] => Some(None),
        [b' ', b'"', rest @ ..] => {
            let name = rest.split(|&b| b == b'"').next()?;
            (rest.get(name.len()..name.len() + 2) == Some(b"\"]") && !name.contains(&b'\\'))
                .then(|| Some(name.to_owned()))
        }
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().map(|names| names.into_iter().flatten().collect())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_remotes_includes_and_exclude_files_are_found_whatever_their_names() {
        let listed = b"file:/etc/gitconfig\0filter.lfs.clean\ngit-lfs clean -- %f\0\
            file:.git/config\0filter.e=vil.x.process\nrun me\0\
            file:.git/config\0filter.bare.clean\0\
            file:.git/config\0branch.a.b.merge\nrefs/heads/x\0\
            file:.git/config\0branch.autosetupmerge\nalways\0\
            file:.git/config\0remote.up.stream.url\nhttps://x\0\
            file:/home/u/.gitconfig\0include.path\nmore\nlines\0\
            file:/home/u/.gitconfig\0includeif.onbranch:a.b.path\n/abs\0\
            file:/home/u/.gitconfig\0core.excludesfile\n/x/ignore\0\
            file:/home/u/.gitconfig\0core.ignorecase\ntrue\0\
            file:/home/u/.gitconfig\0safe.directory\n*\0\
            command line:\0filter.ours.clean\n\0";
        let config = parse(listed, Path::new("/w")).expect("parsed");
        assert_eq!(config.filters, [b"bare".to_vec(), b"e=vil.x".to_vec(), b"lfs".to_vec()]);
        assert_eq!(config.remotes, ["up.stream"]);
        assert_eq!(config.branches, Some(BTreeSet::from([b"a.b".to_vec()])));
        assert_eq!(config.safe_directories, [b"*".to_vec()]);
        assert!(config.includes && config.ignores_case);
        for file in ["/etc/gitconfig", "/w/.git/config", "/home/u/more\nlines", "/abs", "/x/ignore"] {
            assert!(config.files.contains(Path::new(file)), "{file}");
        }
    }

    #[test]
    fn output_that_breaks_off_is_no_configuration() {
        assert_eq!(parse(b"file:/etc/gitconfig", Path::new("/")), None);
        let empty = Config { branches: Some(BTreeSet::new()), ..Config::default() };
        assert_eq!(parse(b"", Path::new("/")), Some(empty));
    }

    #[test]
    fn branches_with_settings_are_found_where_their_names_can_be_told() {
        let names = |text: &str| {
            let names = branch_names(text.as_bytes(), text.to_ascii_lowercase().as_bytes())?;
            Some(names.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names("[core]\n\tbare = false\n"), Some(vec![]));
        let text = "[branch \"main\"]\nmerge = x\n[core] [BRANCH \"a/b c\"]\n[branch]\n";
        assert_eq!(names(text), Some(vec!["a/b c".to_owned(), "main".to_owned()]));
        for odd in ["[branch.main]", "[branch \"a\\\"b\"]", "[branch  \"a\"]", "[branch \"a", "[branch \"a\" ]x"] {
            assert_eq!(names(&format!("{odd}\nmerge = x\n")), None, "{odd}");
        }
    }
}
