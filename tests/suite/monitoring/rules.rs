//! Every rule is proven to fire and not to fire, and says what a person needs.

use std::collections::{BTreeMap, BTreeSet};

use lab_probe::metrics::catalogue;
use regex_lite::Regex;

use super::rule_files::{alerts, cases, rules, test_files};
use super::tools::{files, monitoring, root, run, succeed, text, tool};

/// The alerts the project promises: name, severity, `for`, and what the expression must hold literally.
const PROMISED: &[(&str, &str, &str, &str)] = &[
    ("KillSwitchActive", "critical", "5m", "== 1"),
    ("CircuitBreakerOpen", "warning", "10m", "== 1"),
    ("WebSocketDisconnected", "warning", "2m", "== 0"),
    ("HighOrderLatency", "warning", "5m", "> 500"),
    ("DailyPnLLimitApproaching", "info", "5m", "> 0.8"),
    ("MaxPositionsReached", "info", "2m", ">= 3"),
    ("ThunesBlockedWithMCPFailure", "critical", "2m", "server_name=\"rag-query\""),
    ("CriticalSystemsDown", "critical", "5m", ">= 3"),
    ("CircuitBreakerWithInfraIssues", "warning", "5m", ">= 3"),
    ("WorktreeBlockedDuringTrading", "warning", "5m", "worktree_name=\"thunes\""),
    ("InfrastructureDegradation", "warning", "10m", ">= 5"),
    ("DailyPnLLimitReached", "critical", "2m", "> 1"),
    ("LabMcpServerDown", "warning", "15m", "== 1"),
    ("LabWorktreeTestsFailing", "info", "1h", "== 2"),
    ("LabCertificateExpiring", "warning", "5m", "14 * 86400"),
    ("LabCertificateExpired", "critical", "1m", "<= 0"),
    ("LabOrphanedServers", "warning", "30m", ">= 10"),
];

#[test]
fn promtool_has_nothing_to_say_about_rules_and_configuration() {
    let rules = succeed(tool("promtool").args(["check", "rules"]).args(files(monitoring("prometheus/rules"), "yml")));
    let config = succeed(tool("promtool").args(["check", "config"]).arg(monitoring("prometheus/prometheus.yml")));
    for line in rules.lines().chain(config.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        assert!(line.starts_with("Checking") || line.starts_with("SUCCESS"), "promtool says: {line}");
    }
}

#[test]
fn every_case_of_the_rule_tests_holds() {
    succeed(tool("promtool").args(["test", "rules"]).args(test_files()));
}

#[test]
fn the_promised_alerts_have_their_severity_threshold_and_duration() {
    let alerts: BTreeMap<_, _> = alerts().into_iter().collect();
    for (name, severity, hold, condition) in PROMISED {
        let alert = alerts.get(*name).unwrap_or_else(|| panic!("no alert {name}"));
        assert_eq!(alert.labels.get("severity").map(String::as_str), Some(*severity), "{name}");
        assert_eq!(alert.hold.as_deref(), Some(*hold), "{name}");
        assert!(alert.expr.contains(condition), "{name} lacks {condition}: {}", alert.expr);
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for check in cases().into_iter().flat_map(|case| case.alert_rule_test) {
        if check.exp_alerts.is_empty() {
            silent.insert(check.alertname)
        } else {
            fires.insert(check.alertname)
        };
    }
    // The proof of life has no state in which it is silent.
    silent.insert("LabProbeAlertPathAlive".to_owned());
    for (name, _) in alerts() {
        assert!(fires.contains(&name), "no test proves that {name} fires");
        assert!(silent.contains(&name), "no test proves that {name} stays silent");
    }
}

#[test]
fn every_correlation_is_tested_with_two_hosts() {
    let correlated = ["ThunesBlocked", "CriticalSystems", "CircuitBreakerWith", "WorktreeBlocked", "InfrastructureDeg"];
    for name in correlated {
        let found = cases().iter().any(|case| case.name.starts_with(name) && case.name.contains("host"));
        assert!(found, "no case of {name} has two hosts");
    }
}

#[test]
fn every_alert_that_fires_carries_the_labels_that_routing_and_inhibition_need() {
    for case in cases() {
        for alert in case.alert_rule_test.iter().flat_map(|check| &check.exp_alerts) {
            for label in ["severity", "environment", "host"] {
                assert!(alert.exp_labels.contains_key(label), "{}: an alert without {label}", case.name);
            }
        }
    }
}

#[test]
fn every_alert_says_what_is_wrong_by_how_much_and_what_to_do() {
    let readme = text(monitoring("README.md"));
    let sections: BTreeSet<String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|title| title.trim().to_lowercase().replace(' ', "-"))
        .collect();
    for (name, alert) in alerts() {
        let annotation = |key: &str| {
            alert
                .annotations
                .get(key)
                .filter(|text| !text.trim().is_empty())
                .unwrap_or_else(|| panic!("{name}: no {key}"))
        };
        let description = annotation("description");
        let is_constant = name == "LabProbeAlertPathAlive";
        assert!(is_constant || description.contains("{{"), "{name}: nothing of this alert in {description}");
        assert!(!description.contains("(value") && !description.contains("http"), "{name}: {description}");
        annotation("summary");
        annotation("action");
        assert!(sections.contains(&name.to_lowercase()), "monitoring/README.md has no section {name}");
        let severity = alert.labels.get("severity").map_or("", String::as_str);
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: severity {severity:?}");
    }
}

#[test]
fn the_docs_list_every_alert_with_what_to_do() {
    let (begin, end) = ("<!-- alerts -->\n", "<!-- /alerts -->");
    let path = root().join("docs/alerts.md");
    let page = text(&path);
    let (before, rest) = page.split_once(begin).expect("the opening marker");
    let (table, after) = rest.split_once(end).expect("the closing marker");
    let label = Regex::new(r"\{\{ \$labels\.\w+ \}\}").expect("a pattern");
    let mut made = String::from("| alert | severity | after | first step |\n|---|---|---|---|\n");
    for (name, alert) in alerts() {
        let (severity, after) = (&alert.labels["severity"], alert.hold.as_deref().unwrap_or("at once"));
        let runbook = format!("../monitoring/README.md#{}", name.to_lowercase());
        let action = label.replace_all(&alert.annotations["action"], "NAME");
        made += &format!("| [{name}]({runbook}) | {severity} | {after} | {action} |\n");
    }
    if std::env::var_os("LAB_PROBE_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{made}{end}{after}")).expect("written");
    } else {
        assert_eq!(table, made, "run this test with LAB_PROBE_BLESS=1 to bring docs/alerts.md up to date");
    }
}

#[test]
fn rules_ask_only_for_series_that_exist() {
    let recorded: BTreeSet<String> = rules().into_iter().filter_map(|rule| rule.record).collect();
    let recording = Regex::new(r"\b[a-z_]+:[a-zA-Z0-9_]+:[a-z0-9_]+\b").expect("a pattern");
    let family = Regex::new(r"\b(thunes|lab)_[a-z0-9_]+").expect("a pattern");
    for rule in rules() {
        for name in recording.find_iter(&rule.expr) {
            assert!(recorded.contains(name.as_str()), "{} is recorded by no rule", name.as_str());
        }
        for name in family.find_iter(&recording.replace_all(&rule.expr, "")) {
            let name = name.as_str();
            let base = name.strip_suffix("_bucket").unwrap_or(name);
            let known = catalogue::find(base).is_some() || base == "lab_probe";
            assert!(known, "{name} is no family of `lab-probe metrics`");
        }
    }
}

/// The tests must notice an alert that fires too early, too late, or under another severity. Alerts do not depend on each
/// other, so all are changed at once, and each must be among the failures.
#[test]
fn the_rule_tests_notice_each_alert_that_is_changed() {
    for seconds in [-30, 30] {
        let failures = failures_with(|rule| with_hold_moved(rule, seconds));
        for (alert, _) in alerts().into_iter().filter(|(_, rule)| rule.hold.is_some()) {
            assert!(failures.contains(&alert), "no test notices {alert} with `for` moved by {seconds} seconds");
        }
    }
    let failures = failures_with(|rule| rule.replace("severity: ", "severity: un"));
    for (alert, _) in alerts() {
        assert!(failures.contains(&alert), "no test notices {alert} with another severity");
    }
}

/// The alerts whose tests fail when the text of all rules is changed.
fn failures_with(change: impl Fn(&str) -> String) -> BTreeSet<String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (room, changed) in [("rules", true), ("tests", false)] {
        std::fs::create_dir(directory.path().join(room)).expect("a directory");
        for path in files(monitoring("prometheus").join(room), "yml") {
            let source = text(&path);
            let content = if changed { change(&source) } else { source };
            std::fs::write(directory.path().join(room).join(path.file_name().expect("a name")), content)
                .expect("a file");
        }
    }
    let (ok, said) = run(tool("promtool").args(["test", "rules"]).args(files(directory.path().join("tests"), "yml")));
    assert!(!ok, "no test notices the change at all");
    let named = Regex::new(r#"alertname(?:: |=\\")(\w+)"#).expect("a pattern");
    named.captures_iter(&said).map(|found| found[1].to_owned()).collect()
}

fn with_hold_moved(rules: &str, seconds: i64) -> String {
    let pattern = Regex::new(r"(?m)^        for: (\d+)([smh])$").expect("a pattern");
    let moved = pattern.replace_all(rules, |found: &regex_lite::Captures<'_>| {
        let number: i64 = found[1].parse().expect("a number");
        let now = number
            * match &found[2] {
                "h" => 3600,
                "m" => 60,
                _ => 1,
            };
        format!("        for: {}s", now + seconds)
    });
    moved.into_owned()
}
