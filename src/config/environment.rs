//! What the configuration takes from the process around it: variables, home and current directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The process environment as values, so that a test can say what it is.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
    directory: PathBuf,
}

impl Environment {
    /// This process's own. The home comes from `$HOME`, else from the user database.
    pub fn of_process() -> Self {
        Environment {
            variables: std::env::vars_os().collect(),
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            // A current directory that has been removed holds no configuration and no repository.
            directory: std::env::current_dir().unwrap_or_else(|_removed| PathBuf::from("/")),
        }
    }

    /// One made up for a test.
    pub fn new(home: Option<&Path>, directory: &Path, variables: &[(&str, &str)]) -> Self {
        Environment {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            home: home.map(Path::to_owned),
            directory: directory.to_owned(),
        }
    }

    /// The value of a variable, empty or not.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A directory named by one of the XDG variables. Empty and relative values count as unset, as the XDG base
    /// directory specification asks.
    pub fn xdg(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The user's home.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The current directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
