//! From a pass to what a real node_exporter serves.

use std::process::{Command, Stdio};

use lab_probe::exposition::{self, Value};

use crate::harness::Lab;
use crate::harness::daemon::{Daemon, open_to_all};

/// Names that escaping, cutting or sorting could spoil.
const NAMES: &[&str] = &["plain", "with \"quotes\"", "with\nnewline", "back\\slash\\n", "emoji 🦀 é", "{a=\"b\"} 1 #"];

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[test]
fn node_exporter_serves_what_a_pass_has_found() {
    let lab = Lab::new();
    open_to_all(lab.path());
    let long = "n".repeat(1024);
    let names: Vec<&str> = NAMES.iter().copied().chain([long.as_str()]).collect();
    let list: Vec<String> = names.iter().map(|name| toml_string(name)).collect();
    let labels = "[probe.labels]\nhost = \"the \\\"lab\\\"\"\n";
    lab.config(&format!("{labels}[mcp]\ndiscover = false\nexpected = [{}]\n[worktree]\nrepos = []\n", list.join(", ")));
    lab.run(["--once"]).expect_code(0);

    let directory = format!("--collector.textfile.directory={}", lab.textfile_dir().display());
    let node_exporter = Daemon::start(
        "prometheus-node-exporter",
        &["--collector.disable-defaults", "--collector.textfile", &directory],
    );
    let scraped = node_exporter.get("/metrics");
    assert!(scraped.contains("\nnode_textfile_scrape_error 0\n"), "{scraped}");
    let delivered = std::fs::read(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    let served = exposition::parse(scraped.as_bytes()).expect("an exposition");
    let mut series = 0;
    for family in exposition::parse(&delivered).expect("an exposition") {
        let same =
            served.iter().find(|f| f.name == family.name).unwrap_or_else(|| panic!("{} is not served", family.name));
        assert_eq!((&same.help, same.kind), (&family.help, family.kind));
        assert_eq!(same.series.len(), family.series.len(), "{}", family.name);
        for own in &family.series {
            let labels = sorted(&own.labels);
            let found = same.series.iter().find(|other| sorted(&other.labels) == labels);
            assert_eq!(found.map(|other| &other.value), Some(&own.value), "{} {labels:?}", family.name);
            series += 1;
        }
    }
    assert!(series > 60, "{series} series");
    let health = served.iter().find(|f| f.name == "lab_mcp_server_health").expect("served");
    for name in names {
        // Control characters are no part of a label value; they are shown as escapes.
        let shown: String = name
            .chars()
            .map(|c| if c.is_control() { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() })
            .collect();
        let found = health.series.iter().find(|series| series.label("server_name") == Some(&shown));
        let own = found.unwrap_or_else(|| panic!("{shown:?}"));
        assert_eq!((&own.value, own.label("host")), (&Value::Number(2.0), Some("the \"lab\"")), "{name:?}");
    }
    let second = node_exporter.get("/metrics");
    assert!(
        second.contains("promhttp_metric_handler_errors_total{cause=\"gathering\"} 0\n"),
        "{}",
        node_exporter.log()
    );
}

/// Labels in one order, those with an empty value left out: node_exporter adds and drops such.
fn sorted(labels: &[(String, String)]) -> Vec<&(String, String)> {
    let mut labels: Vec<_> = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    labels.sort();
    labels
}

#[test]
fn promtool_is_silent_on_a_pass() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\nexpected = [\"fetch\"]\n[worktree]\nrepos = []\n");
    lab.run(["--once"]).expect_code(0);
    let file = std::fs::File::open(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    let output = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::from(file)).output();
    let output = output.expect("promtool; tests/deps.sh installs it");
    assert_eq!(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()), "");
    assert!(output.status.success());
}

#[test]
fn a_thousand_servers_are_one_good_file() {
    let lab = Lab::new();
    open_to_all(lab.path());
    let list: Vec<String> = (0..1000).map(|i| format!("\"server-{i}\"")).collect();
    lab.config(&format!("[mcp]\ndiscover = false\nexpected = [{}]\n[worktree]\nrepos = []\n", list.join(", ")));
    lab.run(["--once"]).expect_code(0);
    let said = lab.run(["verify", "textfile"]).expect_code(0).stdout();
    assert!(said.contains("node_exporter takes them whole"), "{said}");
}
