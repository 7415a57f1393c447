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

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RuleGroup {
    name: String,
    rules: usize,
    /// Rules that do not evaluate, and why.
    failing: Vec<(String, String)>,
}

impl RuleGroup {
    /// All groups of an answer of `/api/v1/rules`.
    pub(super) fn all(answer: &Value) -> Vec<RuleGroup> {
        let of = |group: &Value| {
            let rules = list(group, "/rules");
            let failing = rules.iter().filter(|rule| text(rule, "/health") == "err");
            RuleGroup {
                name: text(group, "/name"),
                rules: rules.len(),
                failing: failing.map(|rule| (text(rule, "/name"), text(rule, "/lastError"))).collect(),
            }
        };
        list(answer, "/data/groups").iter().map(of).collect()
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let Some(prometheus) = evidence.prometheus.facts() else {
        return vec![Link::Rules.skip("not looked at: no Prometheus answers", LOAD)];
    };
    let Some(groups) = &prometheus.groups else {
        let fix = "journalctl --unit prometheus --lines 50";
        return vec![Link::Rules.fail("Prometheus does not tell its rules", fix)];
    };
    let loaded = |name: &str| groups.iter().find(|group| group.name == name);
    // None of them may be a choice; where alerts would have a way to a person, or some are loaded, it is a gap.
    let wanted = evidence.alertmanager.result.is_ok() || GROUPS.iter().any(|name| loaded(name).is_some());
    let mut findings: Vec<Finding> = GROUPS
        .iter()
        .map(|name| match loaded(name) {
            None => Link::Rules.fail_if(wanted, format!("the rule group {name} is not loaded"), LOAD),
            Some(group) => of_group(group),
        })
        .collect();
    let others = groups.iter().filter(|group| !GROUPS.contains(&group.name.as_str()) && !group.failing.is_empty());
    findings.extend(others.map(|group| Finding { status: Status::Warn, ..of_group(group) }));
    findings
}

fn of_group(group: &RuleGroup) -> Finding {
    let rules = plural(group.rules, "rule");
    match group.failing.first() {
        None => Link::Rules.ok(format!("the group {} is loaded: {rules}, none failing", group.name)),
        Some((rule, error)) => {
            let more = if group.failing.len() > 1 {
                format!(" (and {} more)", group.failing.len() - 1)
            } else {
                String::new()
            };
            let what = format!("in the group {} the rule {rule} does not evaluate: {error}{more}", group.name);
            Link::Rules.fail(
                what,
                "see what the rule asks for with promtool query instant, and the labels of the series it joins",
            )
        }
    }
}
