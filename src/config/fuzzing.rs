//! Any bytes as a configuration.

use std::path::Path;

use super::environment::Environment;
use super::settings::Settings;
use super::show::written_out;
use super::{file, judge};
use crate::config::diagnose::ConfigError;

/// Every problem has its place in the file; what is taken is shown as a configuration that means the same.
pub(crate) fn config(bytes: &[u8]) {
    let path = Path::new("/lab/lab-probe.toml");
    let environment = Environment::new(Some(Path::new("/lab/home")), Path::new("/lab"), &[("TOKEN", "t0ken")]);
    let load = |bytes: &[u8]| {
        let text = file::decode(path, bytes.to_vec())?;
        let settings = judge(path, &text, &environment, || Ok(None))?;
        Ok::<_, ConfigError>((settings, text))
    };
    match load(bytes) {
        Err(error) => placed(&error, bytes),
        Ok((settings, text)) => {
            let shown = written_out(&settings, path, &text).expect("what was read is shown");
            let (again, _) = load(shown.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{shown}"));
            let shown_again = written_out(&again, path, &shown).expect("shown again");
            assert_eq!(table(&shown), table(&shown_again));
            // A default that is written out is no default any more; the rest is the same.
            let of =
                |settings: &Settings| (settings.probe.deadline, settings.probe.labels.clone(), settings.mcp.schedule);
            assert_eq!(of(&again), of(&settings));
        }
    }
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
