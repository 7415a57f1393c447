//! The rules: is each shipped group loaded, and does every rule evaluate?

use serde_json::Value;

use super::Evidence;
use super::service::{list, text};
use crate::model::checkup::{Finding, Link, Status};
use crate::wording::plural;

/// The groups in `monitoring/prometheus/rules/`; a test compares.
pub const GROUPS: &[&str] = &["lab", "lab-probe"];

const LOAD: &str =
    "copy monitoring/prometheus/rules/*.yml to a directory named in rule_files, then sudo systemctl reload prometheus";

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let Some(prometheus) = evidence.prometheus.facts() else {
        return vec![Link::Rules.skip("not looked at: no Prometheus answers", LOAD)];
    };
    let Some(groups) = &prometheus.groups else {
        let fix = "journalctl --unit prometheus --lines 50";
        return vec![Link::Rules.fail("Prometheus does not tell its rules", fix)];
    };
    let loaded = |name: &str| groups.iter().find(|group| group["name"] == name);
    // None of them may be a choice; where alerts would have a way to a person, or some are loaded, it is a gap.
    let wanted = evidence.alertmanager.result.is_ok() || GROUPS.iter().any(|name| loaded(name).is_some());
    let ours = GROUPS.iter().map(|name| match loaded(name) {
        None => Link::Rules.fail_if(wanted, format!("the rule group {name} is not loaded"), LOAD),
        Some(group) => of_group(group),
    });
    let others = groups.iter().filter(|group| !GROUPS.iter().any(|name| group["name"] == *name)).map(of_group);
    let failing = others.filter(|finding| finding.status != Status::Ok);
    ours.chain(failing.map(|finding| Finding { status: Status::Warn, ..finding })).collect()
}

/// What is to be said of one group of the answer of `/api/v1/rules`.
fn of_group(group: &Value) -> Finding {
    let (name, rules) = (text(group, "/name"), list(group, "/rules"));
    let failing: Vec<&Value> = rules.iter().filter(|rule| rule["health"] == "err").collect();
    let Some(first) = failing.first() else {
        let rules = plural(rules.len(), "rule");
        return Link::Rules.ok(format!("the group {name} is loaded: {rules}, none failing"));
    };
    let more = if failing.len() > 1 { format!(" (and {} more)", failing.len() - 1) } else { String::new() };
    let (rule, error) = (text(first, "/name"), text(first, "/lastError"));
    let what = format!("in the group {name} the rule {rule} does not evaluate: {error}{more}");
    let fix = "see what the rule asks for with promtool query instant, and the labels of the series that it joins";
    Link::Rules.fail(what, fix)
}
