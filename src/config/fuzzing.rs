//! Any bytes as a configuration.

use std::path::Path;

use super::environment::Environment;
use super::settings::{ServerReach, Settings};
use super::show::written_out;
use super::{file, judge};
use crate::config::diagnose::ConfigError;
use crate::model::service::ServiceLook;

/// Every problem has its place in the file; what is taken is shown as a configuration that means the same.
pub(crate) fn config(bytes: &[u8]) {
    if let Err(error) = shown_and_read_back(bytes) {
        placed(&error, bytes);
    }
}

/// What is shown of a configuration that is taken, once that has been read back.
pub(crate) fn shown_and_read_back(bytes: &[u8]) -> Result<String, ConfigError> {
    let path = Path::new("/lab/lab-probe.toml");
    let variables = [("TOKEN", "t0ken"), ("BASE", "http://127.0.0.1:80")];
    let environment = Environment::new(Some(Path::new("/lab/home")), Path::new("/lab"), &variables);
    let load = |bytes: &[u8]| {
        let text = file::decode(path, bytes.to_vec())?;
        let settings = judge(path, &text, &environment)?;
        Ok::<_, ConfigError>((settings, text))
    };
    let (settings, text) = load(bytes)?;
    let shown = written_out(&settings, path, &text, &environment).expect("what was read is shown");
    let (again, _) = load(shown.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let shown_again = written_out(&again, path, &shown, &environment).expect("shown again");
    assert_eq!(table(&shown), table(&shown_again));
    assert_eq!(spoiled(&again), spoiled(&settings), "{shown}");
    // A default that is written out is no default any more; the rest is the same.
    let of = |settings: &Settings| (settings.probe.deadline, settings.probe.labels.clone(), settings.mcp.schedule);
    assert_eq!(of(&again), of(&settings));
    Ok(shown)
}

/// Whether the environment spoils each server, environment and service, and how many outputs.
fn spoiled(settings: &Settings) -> (Vec<bool>, usize) {
    let servers = settings.mcp.servers.iter().map(|server| matches!(server.reach, ServerReach::Unreachable(_)));
    let environments = settings.thunes.iter().map(|environment| environment.unreachable.is_some());
    let services = settings.services.iter().map(|service| matches!(service.look, ServiceLook::Unreachable(_)));
    (servers.chain(environments).chain(services).collect(), settings.output.broken.len())
}

fn table(text: &str) -> toml::Table {
    text.parse().expect("TOML")
}

fn placed(error: &ConfigError, bytes: &[u8]) {
    assert!(!error.problems.is_empty());
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    for place in error.problems.iter().filter_map(|problem| problem.place) {
        assert!((1..=lines).contains(&place.line), "{error}");
        assert!((1..=bytes.len() + 1).contains(&place.column), "{error}");
    }
    for line in error.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
