//! Where a plan is made from: home, working directory, environment and platform. Everything that comes from outside
//! stands in one value, so a test puts a tree of its own in its place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The platforms whose client configs are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux, and whatever else follows the XDG base directories.
    Linux,
    /// macOS.
    MacOs,
}

/// Everything discovery asks of the world besides the files themselves.
#[derive(Clone)]
pub struct HostEnvironment {
    /// The probed user's home: `HOME`, else the password database; `None` for a user without one.
    pub home: Option<PathBuf>,
    /// The working directory, if it still exists.
    pub cwd: Option<PathBuf>,
    /// What absolute system paths (`/etc/…`) are relative to: `/` outside tests.
    pub root: PathBuf,
    /// Whose paths apply.
    pub platform: Platform,
    /// Where a command looked up by name would be searched, and what `${VAR}` expands to.
    pub env: BTreeMap<OsString, OsString>,
}

/// The environment holds tokens, so it is only counted.
impl fmt::Debug for HostEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostEnvironment { home, cwd, root, platform, env } = self;
        write!(f, "HostEnvironment({home:?}, {cwd:?}, {root:?}, {platform:?}, {} variables)", env.len())
    }
}

impl HostEnvironment {
    /// What this process sees.
    pub fn of_process() -> Self {
        let env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        HostEnvironment {
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            cwd: std::env::current_dir().ok(),
            root: PathBuf::from("/"),
            platform: if cfg!(target_os = "macos") { Platform::MacOs } else { Platform::Linux },
            env,
        }
    }

    /// A variable's value; `None` if it is unset or not valid UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(&OsString::from(name)).and_then(|value| value.to_str())
    }

    /// A variable that holds a path: `None` if it is unset, empty or relative (the XDG specification says to ignore
    /// those).
    pub fn path_var(&self, name: &str) -> Option<PathBuf> {
        self.env.get(&OsString::from(name)).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// `path` with a leading `~` replaced by the home.
    pub fn tilde(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(path),
        }
    }
}
