//! The catalogue and everything that must agree with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use lab_probe::metrics::catalogue::{self, Type};
use lab_probe::model::reason::Reason;

use crate::harness::Lab;

#[test]
fn the_docs_list_the_catalogue() {
    let (begin, end) = ("<!-- metrics -->\n", "<!-- /metrics -->");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).expect("docs/metrics.md");
    let (before, rest) = page.split_once(begin).expect("the opening marker");
    let (table, after) = rest.split_once(end).expect("the closing marker");
    let mut made = String::from("| metric | type | labels | unit | meaning |\n|---|---|---|---|---|\n");
    for family in catalogue::ALL {
        let labels = family.labels.join(", ");
        let (name, kind, unit, help) = (family.name, family.kind.as_str(), family.unit, family.help);
        made += &format!("| `{name}` | {kind} | {labels} | {unit} | {help} |\n");
    }
    if std::env::var_os("LAB_PROBE_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{made}{end}{after}")).expect("written");
    } else {
        assert_eq!(table, made, "run this test with LAB_PROBE_BLESS=1 to bring docs/metrics.md up to date");
    }
}

#[test]
fn the_contracts_families_are_declared_as_it_has_them() {
    for (name, kind, labels) in [
        ("thunes_kill_switch_active", "gauge", &["environment"][..]),
        ("thunes_daily_pnl_used", "gauge", &["environment"]),
        ("thunes_open_positions", "gauge", &["environment"]),
        ("thunes_circuit_breaker_state", "gauge", &["environment", "breaker_name"]),
        ("thunes_orders_placed_total", "counter", &["environment", "venue", "order_type", "side"]),
        ("thunes_order_latency_ms", "histogram", &["environment"]),
        ("thunes_ws_connected", "gauge", &["environment", "symbol"]),
        ("thunes_ws_gap_seconds", "histogram", &["environment"]),
        ("lab_mcp_server_health", "gauge", &["server_name"]),
        ("lab_worktree_status", "gauge", &["worktree_name"]),
        ("lab_worktree_test_status", "gauge", &["worktree_name"]),
    ] {
        let family = catalogue::find(name).expect(name);
        assert_eq!((family.kind.as_str(), &family.labels), (kind, labels), "{name}");
    }
    let bounds = |name| match catalogue::find(name).map(|family| family.kind) {
        Some(Type::Histogram(bounds)) => bounds,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(bounds("thunes_order_latency_ms"), [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0]);
    assert_eq!(bounds("thunes_ws_gap_seconds"), [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0]);
}

#[test]
fn names_and_help_keep_prometheus_rules() {
    let mut names = BTreeSet::new();
    for family in catalogue::ALL {
        let name = family.name;
        assert!(names.insert(name), "{name} is declared twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Type::Counter, "{name}");
        assert!(family.help.ends_with('.') && !family.help.contains(". "), "one sentence: {name}");
        assert!(!family.help.contains(['\\', '\n', '|']), "{name}");
        let labels: BTreeSet<_> = family.labels.iter().collect();
        assert_eq!(labels.len(), family.labels.len(), "{name} has a label twice");
        assert!(
            !family.labels.iter().any(|l| ["job", "instance", "le", "quantile"].contains(l) || l.starts_with('_')),
            "{name}"
        );
    }
}

#[test]
fn metrics_prints_every_family_as_table_and_as_json() {
    let lab = Lab::new();
    let table = lab.run(["metrics"]).expect_code(0).stdout();
    let json = lab.run(["metrics", "--format", "json"]).expect_code(0).stdout();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema"], "lab-probe.metrics/1");
    let listed = json["metrics"].as_array().expect("a list");
    assert_eq!(listed.len(), catalogue::ALL.len());
    for (family, entry) in catalogue::ALL.iter().zip(listed) {
        assert_eq!((&entry["name"], &entry["type"]), (&family.name.into(), &family.kind.as_str().into()));
        assert!(table.contains(family.name) && table.contains(family.help), "{}", family.name);
    }
    let latency = listed.iter().find(|entry| entry["name"] == "thunes_order_latency_ms").expect("the histogram");
    assert_eq!(latency["buckets"].as_array().map(Vec::len), Some(8));
}

#[test]
fn explain_knows_every_reason_and_metric_and_names_the_nearest_of_what_it_does_not_know() {
    let lab = Lab::new();
    for reason in Reason::ALL {
        let text = lab.run(["explain", reason.as_str()]).expect_code(0).stdout();
        assert!(text.contains(reason.remedy()), "{text}");
    }
    let text = lab.run(["explain", "lab_mcp_server_health{server_name=\"x\"}"]).expect_code(0).stdout();
    assert!(text.contains("2: not configured"), "{text}");
    let unknown = lab.run(["explain", "tiemout"]).expect_code(2);
    assert!(unknown.stderr().contains("did you mean \"timeout\"?"), "{}", unknown.stderr());
    assert_eq!(unknown.stdout(), "");
}

#[test]
fn promtool_objects_to_nothing_but_the_two_names_that_were_given() {
    use std::io::Write;
    // Every family with one sample, so that each name is judged.
    let mut text = String::new();
    for family in catalogue::ALL {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("{label}=\"x\"")).collect();
        let (name, labels) = (family.name, labels.join(","));
        text += &format!("# HELP {name} {}\n# TYPE {name} {}\n", family.help, family.kind.as_str());
        text += &match family.kind {
            Type::Gauge | Type::Counter => format!("{name}{{{labels}}} 1\n"),
            Type::Histogram(_) => format!(
                "{name}_bucket{{{labels},le=\"+Inf\"}} 1\n{name}_sum{{{labels}}} 1\n{name}_count{{{labels}}} 1\n"
            ),
        };
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; tests/deps.sh installs it");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let names: BTreeSet<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, BTreeSet::from(["thunes_order_latency_ms", "thunes_order_latency_expected_ms"]), "{said}");
}
