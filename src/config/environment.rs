//! What comes from the process around us: variables, home, current directory and platform, as values, so that a test puts
//! a tree of its own in their place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux, and whatever else follows the XDG base directories.
    Linux,
    MacOs,
}

#[derive(Clone)]
pub struct HostEnvironment {
    pub home: Option<PathBuf>,
    pub cwd: Option<PathBuf>,
    /// What absolute system paths of clients (`/etc/…`) are relative to: `/` outside tests.
    pub root: PathBuf,
    pub platform: Platform,
    pub env: BTreeMap<OsString, OsString>,
}

/// The variables hold tokens, so they are only counted.
impl fmt::Debug for HostEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostEnvironment { home, cwd, root, platform, env } = self;
        write!(f, "HostEnvironment({home:?}, {cwd:?}, {root:?}, {platform:?}, {} variables)", env.len())
    }
}

impl HostEnvironment {
    /// This process's own. The home comes from `$HOME`, else from the user database.
    pub fn of_process() -> Self {
        HostEnvironment {
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            cwd: std::env::current_dir().ok(),
            root: PathBuf::from("/"),
            platform: if cfg!(target_os = "macos") { Platform::MacOs } else { Platform::Linux },
            env: std::env::vars_os().collect(),
        }
    }

    pub fn new(home: Option<&Path>, cwd: &Path, variables: &[(&str, &str)]) -> Self {
        HostEnvironment {
            home: home.map(Path::to_owned),
            cwd: Some(cwd.to_owned()),
            root: PathBuf::from("/"),
            platform: Platform::Linux,
            env: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    pub fn var_os(&self, name: &str) -> Option<&OsStr> {
        self.env.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable's value; `None` if it is unset or not valid UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.var_os(name)?.to_str()
    }

    /// A variable that holds a path: `None` if it is unset, empty or relative, as the XDG base directory specification
    /// asks.
    pub fn path_var(&self, name: &str) -> Option<PathBuf> {
        self.var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The current directory. One that has been removed holds no configuration and no repository.
    pub fn directory(&self) -> &Path {
        self.cwd.as_deref().unwrap_or(Path::new("/"))
    }

    pub fn tilde(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(path),
        }
    }
}
