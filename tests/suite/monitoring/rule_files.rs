//! The rule files and their tests, as data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::tools::{files, monitoring, text};

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// One rule: a recording or an alert.
#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) record: Option<String>,
    pub(super) alert: Option<String>,
    pub(super) expr: String,
    #[serde(rename = "for")]
    pub(super) hold: Option<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<Case>,
}

/// One case of a promtool test file.
#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    #[serde(default)]
    pub(super) alert_rule_test: Vec<Check>,
}

/// What must fire at one moment.
#[derive(Deserialize)]
pub(super) struct Check {
    pub(super) alertname: String,
    pub(super) exp_alerts: Vec<Expected>,
}

/// One alert that must fire.
#[derive(Deserialize)]
pub(super) struct Expected {
    pub(super) exp_labels: BTreeMap<String, String>,
}

fn read<T: DeserializeOwned>(path: &PathBuf) -> T {
    let value = lab_probe::yaml::read(&text(path)).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every shipped rule.
pub(super) fn rules() -> Vec<Rule> {
    let files = files(monitoring("prometheus/rules"), "yml");
    files.iter().flat_map(|path| read::<RuleFile>(path).groups).flat_map(|group| group.rules).collect()
}

/// Every shipped alert, with its name.
pub(super) fn alerts() -> Vec<(String, Rule)> {
    rules().into_iter().filter_map(|rule| Some((rule.alert.clone()?, rule))).collect()
}

/// The files of promtool tests.
pub(super) fn test_files() -> Vec<PathBuf> {
    files(monitoring("prometheus/tests"), "yml")
}

/// Every case of every promtool test.
pub(super) fn cases() -> Vec<Case> {
    test_files().iter().flat_map(|path| read::<TestFile>(path).tests).collect()
}
