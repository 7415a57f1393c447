//! A textfile with a sample of every family in the catalogue, for a LAB of any size, in any state.
//!
//! It stands in for passes where a test needs a state that is hard to bring about for real, or a size.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lab_probe::metrics::catalogue::{self, Family, Type};

/// A LAB and the state it is in.
pub(super) struct Synthetic {
    /// MCP servers.
    pub(super) servers: usize,
    /// Git worktrees; the first is `thunes`.
    pub(super) worktrees: usize,
    /// Trading environments.
    pub(super) environments: Vec<&'static str>,
    /// Samples that differ from a healthy LAB: `name{label="value"}` to value.
    changed: BTreeMap<String, f64>,
}

impl Synthetic {
    /// The LAB that figures are given for: nothing is wrong but one server that is down and one that is not configured.
    pub(super) fn healthy() -> Synthetic {
        let (servers, worktrees) = (18, 5);
        let health = |number: usize| format!("lab_mcp_server_health{{server_name={:?}}}", Synthetic::server(number));
        Synthetic { servers, worktrees, environments: vec!["testnet", "live"], changed: BTreeMap::new() }
            .with(&health(servers - 2), 0.0)
            .with(&health(servers - 1), 2.0)
    }

    /// One sample that is not as in a healthy LAB.
    pub(super) fn with(mut self, series: &str, value: f64) -> Synthetic {
        self.changed.insert(series.to_owned(), value);
        self
    }

    /// The exposition at a time; counters have grown for `steps`.
    pub(super) fn exposition(&self, now: f64, steps: u64) -> String {
        self.exposition_without(&BTreeSet::new(), now, steps)
    }

    /// The same without some families: what has to be added to a pass that delivers those.
    pub(super) fn exposition_without(&self, families: &BTreeSet<String>, now: f64, steps: u64) -> String {
        let mut out = String::new();
        let mut used = 0;
        for family in catalogue::ALL.iter().filter(|family| !families.contains(family.name)) {
            let _ = writeln!(out, "# HELP {} {}", family.name, family.help);
            let _ = writeln!(out, "# TYPE {} {}", family.name, family.kind.as_str());
            for labels in self.label_sets(family) {
                let text = join(family, &labels);
                let series =
                    if text.is_empty() { family.name.to_owned() } else { format!("{}{{{text}}}", family.name) };
                if let Type::Histogram(bounds) = family.kind {
                    histogram(&mut out, family.name, &text, bounds, steps, self.changed.get(&series).copied());
                } else {
                    let value =
                        self.changed.get(&series).copied().unwrap_or_else(|| usual(family, &labels, now, steps));
                    let _ = writeln!(out, "{series} {value}");
                }
                used += usize::from(self.changed.contains_key(&series));
            }
        }
        assert!(
            !families.is_empty() || used == self.changed.len(),
            "a changed sample is of no series: {:?}",
            self.changed.keys()
        );
        out
    }

    /// Name of a server; `rag-query` is always among them.
    pub(super) fn server(number: usize) -> String {
        if number == 0 { "rag-query".to_owned() } else { format!("server-{number:02}") }
    }

    fn label_sets(&self, family: &Family) -> Vec<Vec<String>> {
        let environments = || self.environments.iter().map(|name| vec![(*name).to_owned()]).collect::<Vec<_>>();
        let servers = || (0..self.servers).map(|n| vec![Synthetic::server(n)]).collect::<Vec<_>>();
        let worktrees = || {
            let name = |n| if n == 0 { "thunes".to_owned() } else { format!("worktree-{n}") };
            (0..self.worktrees).map(|n| vec![name(n)]).collect::<Vec<_>>()
        };
        match &family.labels {
            [] => vec![vec![]],
            ["environment"] => environments(),
            ["environment", "breaker_name"] => times(environments(), &[&["BinanceAPI"], &["Database"]]),
            ["environment", "venue", "order_type", "side"] => {
                times(environments(), &[&["binance", "MARKET", "BUY"], &["binance", "MARKET", "SELL"]])
            }
            ["environment", "symbol"] => times(environments(), &[&["BTCUSDT"], &["ETHUSDT"]]),
            ["environment", "decision", "reason"] => times(
                environments(),
                &[&["approved", ""], &["rejected", "kill_switch_active"], &["rejected", "max_position_limit_reached"]],
            ),
            ["environment", "journal", "result"] => times(
                times(environments(), &[&["logs/audit_trail.jsonl"], &["logs/metrics_events.jsonl"]]),
                &[&["ok"], &["malformed"], &["too_long"]],
            ),
            ["environment", "source"] => times(
                environments(),
                &[
                    &["positions_db"],
                    &["logs/audit_trail.jsonl"],
                    &["logs/metrics_events.jsonl"],
                    &["logs/scheduler.log"],
                ],
            ),
            ["server_name"] => servers(),
            // Only servers that are not up have a reason: the last two.
            ["server_name", "reason"] => vec![
                vec![Synthetic::server(self.servers - 2), "timeout".to_owned()],
                vec![Synthetic::server(self.servers - 1), "not_configured".to_owned()],
            ],
            ["server_name", "transport", "era", "protocol_version", "server_version"] => {
                times(servers(), &[&["stdio", "legacy", "2025-06-18", "1.2.3"]])
            }
            ["server_name", "state"] => times(servers(), &[&["attached"], &["orphaned"]]),
            ["server_name", "result"] => times(servers(), &[&["up"], &["down"], &["not_configured"]]),
            ["worktree_name"] => worktrees(),
            ["worktree_name", "branch", "status_source", "test_source"] => {
                times(worktrees(), &[&["feature", "git", "junit"]])
            }
            ["worktree_name", "result"] => times(worktrees(), &[&["passed"], &["failed"], &["skipped"]]),
            ["service_name"] => vec![vec!["prometheus".to_owned()], vec!["grafana".to_owned()]],
            ["version", "revision"] => vec![vec!["0.1.0".to_owned(), "abcdef0".to_owned()]],
            ["kind", "result"] => times(
                ["mcp", "worktree", "thunes", "service"].map(|kind| vec![kind.to_owned()]).to_vec(),
                &[&["fresh"], &["cached"], &["timed_out"], &["error"]],
            ),
            ["server_name", "bound"] => times(servers(), &[&["lower"], &["upper"]]),
            ["environment", "bound"] => times(environments(), &[&["lower"], &["upper"]]),
            ["service_name", "bound"] => {
                times(vec![vec!["prometheus".to_owned()], vec!["grafana".to_owned()]], &[&["lower"], &["upper"]])
            }
            ["state"] => vec![vec!["learning".to_owned()], vec!["watching".to_owned()]],
            ["metric", "kind"] => {
                times(vec![vec!["lab_mcp_server_handshake_seconds".to_owned()]], &[&["level"], &["trend"]])
            }
            // Nothing of trading: its environment would be one of the dashboards'.
            ["metric", "kind", "direction", "server_name", "environment", "service_name"] => {
                let labels = ["lab_mcp_server_handshake_seconds", "level", "above", "rag-query", "", ""];
                vec![labels.map(str::to_owned).to_vec()]
            }
            ["output"] => vec![vec!["textfile".to_owned()], vec!["pushgateway".to_owned()]],
            // Nothing is wrong with a service.
            ["service_name", "reason"] => vec![],
            // A family that came later: one series, until it is said here what values its labels take.
            other => vec![other.iter().map(|label| format!("some-{label}")).collect()],
        }
    }
}

fn times(left: Vec<Vec<String>>, right: &[&[&str]]) -> Vec<Vec<String>> {
    let one = |left: &Vec<String>, right: &&[&str]| {
        left.iter().cloned().chain(right.iter().map(|text| (*text).to_owned())).collect()
    };
    left.iter().flat_map(|left| right.iter().map(move |right| one(left, right))).collect()
}

fn join(family: &Family, values: &[String]) -> String {
    let pairs = family.labels.iter().zip(values).map(|(name, value)| format!("{name}={value:?}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// A value that a healthy LAB has.
fn usual(family: &Family, labels: &[String], now: f64, steps: u64) -> f64 {
    if family.kind == Type::Counter {
        let trouble = ["down", "malformed", "too_long", "textfile", "pushgateway"];
        let rests = family.name.ends_with("failures_total") || labels.iter().any(|l| trouble.contains(&l.as_str()));
        return if rests { 0.0 } else { 10.0 + steps as f64 };
    }
    if family.name.ends_with("_timestamp_seconds") {
        return now - if family.name.contains("last_commit") { 86_400.0 } else { 1.0 };
    }
    match family.name {
        "thunes_ws_connected"
        | "thunes_source_up"
        | "lab_service_up"
        | "lab_worktree_up"
        | "lab_worktree_status"
        | "lab_worktree_test_status"
        | "lab_mcp_server_health"
        | "lab_mcp_server_failure"
        | "lab_mcp_server_info"
        | "lab_worktree_info"
        | "lab_anomaly_active"
        | "lab_probe_build_info" => 1.0,
        "thunes_kill_switch_active"
        | "thunes_circuit_breaker_state"
        | "lab_probe_deadline_exceeded"
        | "lab_anomaly_widespread"
        | "lab_worktree_conflicted_files" => 0.0,
        "thunes_daily_pnl_used" => 0.25,
        "lab_mcp_server_ttl_seconds" => 300.0,
        "lab_mcp_server_max_rss_bytes" => 9.0e7,
        _ => 2.0,
    }
}

/// Observations of 40 milliseconds or so; with a value, of that value.
fn histogram(out: &mut String, name: &str, labels: &str, bounds: &[f64], steps: u64, value: Option<f64>) {
    let value = value.unwrap_or(0.4 * bounds[bounds.len() / 2]);
    let count = 10 * (steps + 1);
    let comma = if labels.is_empty() { "" } else { "," };
    for bound in bounds {
        let below = if value <= *bound { count } else { 0 };
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", value * count as f64);
    let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
}

#[test]
fn the_synthetic_textfile_holds_every_family_and_is_taken_by_promtool() {
    let text = Synthetic::healthy().exposition(1.7e9, 3);
    for family in catalogue::ALL {
        assert!(text.contains(&format!("# TYPE {} {}\n", family.name, family.kind.as_str())), "{}", family.name);
    }
    assert!(lab_probe::exposition::parse(text.as_bytes()).is_ok(), "{text}");
}
