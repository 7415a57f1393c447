//! Rules and dashboards for a Prometheus with names of its own.

use std::path::Path;
use std::process::Command;

use regex_lite::Regex;
use tempfile::TempDir;

use super::tools::{files, monitoring, root, run, succeed, text, tool};

fn mixin(options: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root().join("monitoring/mixin.py")).args(options);
    command
}

fn made(options: &[&str]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    succeed(mixin(options).arg(directory.path()));
    directory
}

#[test]
fn without_options_they_are_the_shipped_files() {
    let made = made(&[]);
    for (kind, shipped) in [("rules", "prometheus/rules"), ("dashboards", "grafana/dashboards")] {
        for file in files(monitoring(shipped), if kind == "rules" { "yml" } else { "json" }) {
            let name = Path::new(kind).join(file.file_name().expect("a name"));
            assert_eq!(text(made.path().join(&name)), text(&file), "{}", name.display());
        }
    }
}

/// Own and foreign series of one fleet; the host is in the label `node`, and the jobs have other names.
const CASE: &str = r#"
rule_files: [rules/lab.yml, rules/self.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {series: 'thunes_kill_switch_active{environment="live",team="ai",node="desk",instance="10.0.0.1:9100"}', values: '1x40'}
      - {series: 'thunes_kill_switch_active{environment="live",team="other",node="lap",instance="10.0.0.2:9100"}', values: '1x40'}
      - {series: 'up{job="node-exporter",node="desk",instance="10.0.0.1:9100"}', values: '0x40'}
      - {series: 'up{job="node",node="lap",instance="10.0.0.2:9100"}', values: '0x40'}
    promql_expr_test:
      - expr: count by (host) (ALERTS{alertname="KillSwitchActive",alertstate="firing"})
        eval_time: 15m
        exp_samples: [{labels: '{host="desk"}', value: 1}]
      - expr: count by (host) (ALERTS{alertname="LabProbeNodeExporterDown",alertstate="firing"})
        eval_time: 15m
        exp_samples: [{labels: '{host="desk"}', value: 1}]
"#;

#[test]
fn with_names_of_its_own_a_prometheus_alerts_on_its_own_series_only() {
    let jobs = ["node=node-exporter", "prometheus=prom", "lab_probe=lab.pushed"];
    let options = ["--selector", r#"team="ai""#, "--instance-label", "node", "--jobs"];
    let made = made(&[&options[..], &jobs[..], &["--"]].concat());
    succeed(tool("promtool").args(["check", "rules"]).args(files(made.path().join("rules"), "yml")));
    std::fs::write(made.path().join("case.yml"), CASE).expect("written");
    succeed(tool("promtool").args(["test", "rules"]).arg(made.path().join("case.yml")));
    assert!(text(made.path().join("rules/self.yml")).contains(r#"push_time_seconds{job=~"lab[.]pushed.*""#));
    let fleet = text(made.path().join("dashboards/mcp-fleet.json"));
    for part in [
        r#"lab_mcp_server_health{$host_label=~\"$host(:[0-9]+)?\",server_name=~\"$server\",team=\"ai\"}"#,
        r#"label_values(lab_probe_last_pass_timestamp_seconds{team=\"ai\"}, $host_label)"#,
        r#"label_replace(vector(1), \"label\", \"node\""#,
    ] {
        assert!(fleet.contains(part), "{part}");
    }
    assert!(!Regex::new(r#":min\{[^}]*team"#).expect("a pattern").is_match(&fleet), "a recording has no label team");
}

#[test]
fn what_would_break_a_query_is_refused() {
    for options in [["--selector", "team=ai"], ["--selector", r#"a="b"} or x{c="d""#], ["--instance-label", "a b"]] {
        let (ok, said) = run(mixin(&options).arg("unused"));
        assert!(!ok && said.contains(options[0]), "{options:?}: {said}");
    }
    let (ok, said) = run(&mut mixin(&["unused", "--jobs", "nodes=x"]));
    assert!(!ok && said.contains("OURS one of node"), "{said}");
}
