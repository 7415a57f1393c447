//! Any bytes as a configuration.

use std::path::Path;

use super::environment::HostEnvironment;
use super::show::show;
use super::{file, judge};
use crate::config::diagnose::ConfigError;

/// Every problem has its place in the file; what is taken is shown as TOML.
pub(crate) fn config(bytes: &[u8]) {
    let path = Path::new("/lab/lab-probe.toml");
    let variables = [("TOKEN", "t0ken"), ("BASE", "http://127.0.0.1:80")];
    let environment = HostEnvironment::new(Some(Path::new("/lab/home")), Path::new("/lab"), &variables);
    let loaded = file::decode(path, bytes).and_then(|text| judge(path, true, &text, &environment));
    match loaded {
        Ok(settings) => {
            let shown = show(&settings).expect("what was read is shown");
            shown.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}\n{shown}"));
        }
        Err(error) => placed(&error, bytes),
    }
}

fn placed(error: &ConfigError, bytes: &[u8]) {
    assert!(!error.problems.is_empty());
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    for place in error.problems.iter().filter_map(|problem| problem.position) {
        assert!((1..=lines).contains(&place.line), "{error}");
        assert!((1..=bytes.len() + 1).contains(&place.column), "{error}");
    }
    for line in error.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
