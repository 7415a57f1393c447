//! What git's configuration says that matters here: drivers to blank, remotes, submodule settings. Asked of git itself,
//! because only git follows every include.

use std::collections::BTreeMap;

use super::{Git, GitError};

/// More filter drivers than this are no configuration but an attack on the size of the environment.
const MAX_FILTERS: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Config {
    /// Filter drivers (gitattributes(5), `filter`), and whether they change content on its way into the repository.
    pub(super) filters: BTreeMap<Vec<u8>, bool>,
    pub(super) remotes: Vec<String>,
    /// `diff.ignoreSubmodules`.
    pub(super) ignore_submodules: Option<Vec<u8>>,
    /// `index.sparse`.
    pub(super) sparse_index: bool,
    pub(super) submodule_ignore: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `safe.directory` of the user and the system, in order.
    pub(super) safe_directories: Vec<Vec<u8>>,
}

pub(super) fn read(git: &Git) -> Result<Config, GitError> {
    let listed = git.run(&["config", "-z", "--list", "--show-scope"], b"")?;
    let config = parse(&listed).ok_or_else(|| GitError::malformed("config"))?;
    let filters = config.filters.len();
    if filters > MAX_FILTERS {
        let message =
            format!("{filters} filter drivers are configured; at most {MAX_FILTERS} can be kept from running");
        return Err(GitError::failed("config", message));
    }
    Ok(config)
}

/// Reads `git config -z --list --show-scope`: scope, NUL, key, newline, value, NUL.
fn parse(listed: &[u8]) -> Option<Config> {
    let mut config = Config::default();
    let mut fields = listed.split(|&b| b == 0);
    while let Some(scope) = fields.next().filter(|scope| !scope.is_empty()) {
        let entry = fields.next()?;
        // Our own overrides.
        if scope != b"command" {
            let (key, value) = key_and_value(entry);
            config.take(scope, key, value);
        }
    }
    Some(config)
}

/// Splits an entry of `git config -z --list`; a key without a value is true.
pub(super) fn key_and_value(entry: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = entry.splitn(2, |&b| b == b'\n');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or(b"true"))
}

type Key<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// Takes a key apart; a subsection may hold dots.
pub(super) fn split_key(key: &[u8]) -> Option<Key<'_>> {
    let first = key.iter().position(|&b| b == b'.')?;
    let last = key.iter().rposition(|&b| b == b'.')?;
    let subsection = (first < last).then(|| &key[first + 1..last]);
    Some((&key[..first], subsection, &key[last + 1..]))
}

impl Config {
    fn take(&mut self, scope: &[u8], key: &[u8], value: &[u8]) {
        let Some((section, subsection, name)) = split_key(key) else { return };
        match (section, subsection, name) {
            (b"filter", Some(driver), _) => {
                *self.filters.entry(driver.to_owned()).or_default() |= matches!(name, b"clean" | b"process");
            }
            (b"remote", Some(remote), b"url") => {
                if let Ok(remote) = std::str::from_utf8(remote)
                    && !self.remotes.iter().any(|known| known == remote)
                {
                    self.remotes.push(remote.to_owned());
                }
            }
            (b"index", None, b"sparse") => self.sparse_index = value == b"true",
            (b"diff", None, b"ignoresubmodules") => self.ignore_submodules = Some(value.to_owned()),
            (b"submodule", Some(submodule), b"ignore") => {
                self.submodule_ignore.insert(submodule.to_owned(), value.to_owned());
            }
            // Git takes it from no file that comes with a repository (git-config(1)).
            (b"safe", None, b"directory") if matches!(scope, b"system" | b"global") => {
                self.safe_directories.push(value.to_owned());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_remotes_and_submodule_settings_are_found_whatever_their_names() {
        let listed = b"system\0filter.lfs.clean\ngit-lfs clean -- %f\0\
            local\0filter.e=vil.x.process\nrun me\0\
            local\0filter.bare.smudge\0\
            local\0remote.up.stream.url\nhttps://x\0\
            local\0diff.ignoresubmodules\ndirty\0\
            worktree\0submodule.a.b.ignore\nall\0\
            global\0safe.directory\n*\0\
            local\0safe.directory\n/own/word\0\
            command\0filter.ours.clean\n\0";
        let config = parse(listed).expect("parsed");
        let filters = config.filters.iter().map(|(name, cleans)| (name.as_slice(), *cleans)).collect::<Vec<_>>();
        assert_eq!(filters, [(b"bare".as_slice(), false), (b"e=vil.x", true), (b"lfs", true)]);
        assert_eq!(config.remotes, ["up.stream"]);
        assert_eq!(config.ignore_submodules.as_deref(), Some(b"dirty".as_slice()));
        assert_eq!(config.submodule_ignore, BTreeMap::from([(b"a.b".to_vec(), b"all".to_vec())]));
        assert_eq!(config.safe_directories, [b"*".to_vec()]);
    }

    #[test]
    fn output_that_breaks_off_is_no_configuration() {
        assert_eq!(parse(b"local"), None);
        assert_eq!(parse(b""), Some(Config::default()));
    }
}
