//! The configuration: which file, what it says, whether it may be believed, and what follows from it.
//!
//! Stages, each with types of its own: which file holds ([`locate`]); the file as written, with every problem placed
//! at its line and key ([`file`], [`schema`]); typed values by key, `~` and `${VAR}` expanded ([`block`],
//! [`expand`]); and validated [`settings`], the only thing other rooms see ([`validate`]).
//! May read files and the environment; never the network, never the state.

mod block;
pub mod command_line;
pub mod diagnose;
pub mod duration;
pub mod environment;
mod expand;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod here;
mod locate;
mod schema;
pub mod settings;
pub mod show;
pub mod starter;
mod validate;

use std::path::{Path, PathBuf};

use block::Context;
use diagnose::{ConfigError, Problem};
use environment::HostEnvironment;
use settings::Settings;

use crate::fs::access;
use crate::fs::explained;

/// Finds the configuration and reads it; without one, the defaults. `explicit` is what `--config` names.
/// Errors: everything that is wrong with the file, each at its place; a named file that is missing.
pub fn load(explicit: Option<&Path>) -> Result<Settings, ConfigError> {
    load_in(explicit, &HostEnvironment::of_process())
}

pub fn load_in(explicit: Option<&Path>, environment: &HostEnvironment) -> Result<Settings, ConfigError> {
    let mut warnings = Vec::new();
    let path = locate::locate(explicit, environment, &mut warnings)?;
    let mut settings = read(path.as_deref(), environment)?;
    settings.warnings.splice(0..0, warnings);
    Ok(settings)
}

/// Where a new configuration is found by everything that comes after: the file that `$LAB_PROBE_CONFIG` names, else the
/// user's own; `None` for a user without a home.
pub fn place_for_new() -> Option<PathBuf> {
    let environment = HostEnvironment::of_process();
    locate::by_variable(&environment).map(Path::to_owned).or_else(|| locate::user_file(&environment))
}

pub fn usual_places() -> Vec<PathBuf> {
    locate::usual_places(&HostEnvironment::of_process())
}

/// Reads one file, or the defaults. What others could change is not believed, whatever it says: it names files to read,
/// addresses to send to and programs to run.
fn read(path: Option<&Path>, environment: &HostEnvironment) -> Result<Settings, ConfigError> {
    let Some(path) = path else { return judge(Path::new("(no configuration file)"), false, "", environment) };
    let real = environment.directory().join(path);
    let (text, file) = file::read(path, &real)?;
    match access::exposure(&real, &file) {
        Ok(None) => judge(path, true, &text, environment),
        Ok(Some(exposure)) => Err(ConfigError::whole(path, format!("others could change it: {exposure}"))),
        Err(error) => Err(ConfigError::whole(path, format!("cannot ask who may write it: {}", explained(&error)))),
    }
}

/// What a text says, which messages call `path`, and which has lines only if it stands in a file.
fn judge(path: &Path, is_file: bool, text: &str, environment: &HostEnvironment) -> Result<Settings, ConfigError> {
    let table = file::parse(path, text)?;
    let context = Context::new(is_file.then_some(path), environment, text);
    let settings = validate::settings(&context, table.get_ref());
    let mut problems = context.problems.take();
    if problems.is_empty() {
        return Ok(settings);
    }
    problems.sort();
    problems.dedup();
    let placed = |(at, message)| Problem { position: is_file.then(|| context.lines.position(at)), message };
    Err(ConfigError { path: path.to_owned(), problems: problems.into_iter().map(placed).collect() })
}

#[cfg(test)]
mod tests;
