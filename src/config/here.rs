//! `./lab-probe.toml`, which can come with a cloned repository: there it holds only as `lab-probe trust` has allowed it.

use std::path::{Path, PathBuf};

use super::diagnose::ConfigError;
use super::environment::HostEnvironment;
use super::locate::{self, HERE};
use super::settings::Settings;
use super::{file, read};
use crate::trust::{self, TrustStore};

#[derive(Debug)]
pub struct Inspection {
    /// What is allowed: the real directory of the file, and its name.
    pub canonical: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    pub settings: Settings,
}

pub fn is_one(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == HERE)
}

/// Where it is kept which of them are allowed: the state directory that holds without them.
pub fn trust_directory() -> Result<PathBuf, ConfigError> {
    elsewhere(&HostEnvironment::of_process()).map(|settings| settings.probe.state_dir)
}

/// Reads a file for `lab-probe trust`.
pub fn inspect(path: &Path) -> Result<Inspection, ConfigError> {
    let environment = HostEnvironment::of_process();
    let (canonical, digest) = identity(path, &environment)?;
    let settings = read(Some(path), &environment)?;
    Ok(Inspection { canonical, digest, settings })
}

/// Why the file of the current directory is not used, with what to do; `None` where it lies in no repository or has been
/// allowed as it stands.
pub(super) fn refusal(path: &Path, environment: &HostEnvironment) -> Option<String> {
    let real = environment.directory().join(path);
    let resolved = real.canonicalize().unwrap_or_else(|_| real.clone());
    if !is_in_repository(&real) && !is_in_repository(&resolved) {
        return None;
    }
    let store = elsewhere(environment).map(|settings| TrustStore::load(&settings.probe.state_dir).0);
    let (canonical, digest) = match identity(path, environment) {
        Ok(identity) => identity,
        Err(error) => return Some(format!("{error}; it is not used")),
    };
    let unknown = "lies in a git repository, and nobody has allowed it to be used";
    let (why, hint) = store.unwrap_or_default().refusal(&canonical, &digest, unknown)?;
    Some(format!("{why}, so it is left out; {hint}"))
}

/// The settings that hold without the file of the current directory.
fn elsewhere(environment: &HostEnvironment) -> Result<Settings, ConfigError> {
    read(locate::elsewhere(environment, &mut Vec::new())?.as_deref(), environment)
}

/// The directory without symbolic links, the name, and the digest of the bytes: a link to an allowed file elsewhere is
/// not that file, because what is relative in it starts at the link.
fn identity(path: &Path, environment: &HostEnvironment) -> Result<(PathBuf, String), ConfigError> {
    let real = environment.directory().join(path);
    let (text, _) = file::read(path, &real)?;
    let directory = real.parent().unwrap_or(Path::new("/"));
    let directory = directory.canonicalize().map_err(|error| ConfigError::whole(path, error.to_string()))?;
    Ok((directory.join(path.file_name().unwrap_or_default()), trust::digest(text.as_bytes())))
}

fn is_in_repository(file: &Path) -> bool {
    file.ancestors().skip(1).any(|directory| directory.join(".git").symlink_metadata().is_ok())
}
