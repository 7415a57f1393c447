//! Snapshot → families: one file a kind, each filling only families of the catalogue.

mod age;
mod mcp;
mod probe;
mod service;
mod thunes;
mod unusual;
mod worktree;

use prometheus::proto::MetricFamily;

use super::vectors::Samples;
use crate::model::observation::{Facts, Memory};
use crate::model::snapshot::{Entry, Snapshot};

/// Every family that has at least one sample.
pub fn collect(snapshot: &Snapshot) -> prometheus::Result<Vec<MetricFamily>> {
    let mut samples = Samples::new(&snapshot.labels, !snapshot.counters_lost)?;
    for entry in snapshot.delivered() {
        add_entry(entry, &mut samples);
    }
    if let Some(unusual) = &snapshot.unusual {
        unusual::add(unusual, snapshot.pass.started_at.as_second(), &mut samples);
    }
    probe::add(snapshot, &mut samples);
    samples.gather()
}

fn add_entry(entry: &Entry, samples: &mut Samples) {
    let name = entry.target.name.as_str();
    if let Some(observation) = &entry.observation {
        age::add(&entry.target, observation, samples);
    }
    if let Some(processes) = &entry.processes {
        mcp::add_processes(name, processes, samples);
    }
    if let Some(Memory::Mcp(memory)) = &entry.memory {
        mcp::add_remembered(name, memory, samples);
    }
    match entry.facts() {
        Some(Facts::Mcp(facts)) => mcp::add_observed(name, facts, samples),
        Some(Facts::Worktree(facts)) => worktree::add(name, facts, samples),
        Some(Facts::Thunes(facts)) => thunes::add(name, facts, samples),
        Some(Facts::Service(facts)) => service::add(name, facts, samples),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::metrics::catalogue::LAB_MCP_SERVER_INFO;
    use crate::metrics::text;
    use crate::model::cardinality::LabelSets;
    use crate::model::mcp::{McpFacts, McpMemory, McpTarget, Reach, Transport};
    use crate::model::observation::Observation;
    use crate::model::reason::{Failure, Reason};
    use crate::model::snapshot::{LastPass, Outcome};
    use crate::model::target::{Probe, Schedule, Target};
    use crate::model::thunes::{BreakerState, OrderCount, ThunesFacts};
    use crate::model::worktree::{Status, StatusSource, WorktreeFacts};

    fn server(name: &str, facts: Option<McpFacts>) -> Entry {
        entry(name, facts.map(Facts::Mcp))
    }

    fn entry(name: &str, facts: Option<Facts>) -> Entry {
        let unreachable = Reach::Unreachable(Failure::new(Reason::NotConfigured, "nowhere"));
        let observation = facts.map(|facts| Observation {
            checked_at: Timestamp::from_second(1_700_000_000).expect("a time"),
            duration: Duration::from_millis(5),
            facts,
        });
        Entry {
            target: Target {
                only_here: false,
                name: name.into(),
                probe: Probe::Mcp(McpTarget { reach: unreachable, list_tools: true }),
                schedule: Schedule {
                    ttl: Duration::from_secs(300),
                    retry_after: Duration::from_secs(30),
                    timeout: Duration::ZERO,
                },
                fingerprint: String::new(),
                origins: Vec::new(),
            },
            outcome: Outcome::Fresh,
            observation,
            memory: Some(Memory::Mcp(McpMemory { checks: [("down".to_owned(), 3)].into(), ..McpMemory::default() })),
            next_due: None,
            processes: None,
            trouble: None,
        }
    }

    fn snapshot(entries: Vec<Entry>) -> Snapshot {
        Snapshot {
            pass: LastPass {
                started_at: Timestamp::from_second(1_700_000_000).expect("a time"),
                duration: Duration::from_millis(1500),
                deadline_exceeded: false,
            },
            output_failures: [("textfile".to_owned(), 0)].into(),
            pass_failures: 2,
            entries,
            labels: [("host".to_owned(), "lab".to_owned())].into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn without_what_was_counted_before_no_counter_is_shown() {
        let mut snapshot = snapshot(vec![server("a", Some(McpFacts::default()))]);
        assert!(text::render(&snapshot).expect("sound").contains(" counter\n"));
        snapshot.counters_lost = true;
        let text = text::render(&snapshot).expect("sound");
        assert!(text.contains("lab_mcp_server_health{") && !text.contains(" counter\n"), "{text}");
    }

    #[test]
    fn a_server_that_is_up_and_one_that_is_down_become_these_lines() {
        let up = McpFacts {
            transport: Some(Transport::Stdio),
            server_version: Some("1.0".into()),
            handshake: Some(Duration::from_millis(250)),
            tools: Some(14),
            ..McpFacts::default()
        };
        let down = McpFacts::failed(Failure::new(Reason::Timeout, "no answer"));
        let text = text::render(&snapshot(vec![server("a", Some(up)), server("b", Some(down)), server("c", None)]))
            .expect("sound");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("lab_mcp_")).collect();
        assert_eq!(
            lines,
            [
                "lab_mcp_server_checked_timestamp_seconds{server_name=\"a\",host=\"lab\"} 1700000000",
                "lab_mcp_server_checked_timestamp_seconds{server_name=\"b\",host=\"lab\"} 1700000000",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"not_configured\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"not_configured\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"not_configured\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_failure{server_name=\"b\",reason=\"timeout\",host=\"lab\"} 1",
                "lab_mcp_server_handshake_seconds{server_name=\"a\",host=\"lab\"} 0.25",
                "lab_mcp_server_health{server_name=\"a\",host=\"lab\"} 1",
                "lab_mcp_server_health{server_name=\"b\",host=\"lab\"} 0",
                "lab_mcp_server_info{server_name=\"a\",transport=\"stdio\",era=\"\",protocol_version=\"\",server_version=\"1.0\",host=\"lab\"} 1",
                "lab_mcp_server_tools{server_name=\"a\",host=\"lab\"} 14",
                "lab_mcp_server_ttl_seconds{server_name=\"a\",host=\"lab\"} 300",
                "lab_mcp_server_ttl_seconds{server_name=\"b\",host=\"lab\"} 30",
            ]
        );
    }

    #[test]
    fn the_pass_counts_every_kind_and_result_and_every_output() {
        let text = text::render(&snapshot(vec![server("a", None)])).expect("sound");
        assert_eq!(text.lines().filter(|line| line.starts_with("lab_probe_targets{")).count(), 16);
        for line in [
            "lab_probe_targets{kind=\"mcp\",result=\"fresh\",host=\"lab\"} 1",
            "lab_probe_targets{kind=\"thunes\",result=\"timed_out\",host=\"lab\"} 0",
            "lab_probe_output_failures_total{output=\"textfile\",host=\"lab\"} 0",
            "lab_probe_pass_failures_total{host=\"lab\"} 2",
            "lab_probe_pass_duration_seconds{host=\"lab\"} 1.5",
            "lab_probe_last_pass_timestamp_seconds{host=\"lab\"} 1700000000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_server_cannot_grow_the_exposition_with_its_version() {
        let facts = McpFacts {
            transport: Some(Transport::Http),
            server_version: Some("é".repeat(100_000)),
            ..McpFacts::default()
        };
        let text = text::render(&snapshot(vec![server("a", Some(facts))])).expect("sound");
        let info =
            text.lines().find(|line| line.starts_with(&format!("{}{{", LAB_MCP_SERVER_INFO.name))).expect("info");
        assert!(info.len() < 500, "{info}");
    }

    /// A server with a `ttl` of five minutes is checked 2,016 times a week. One that says another version each time makes
    /// as many label sets of its info metric and no more, one of them at a time; nothing else of it changes.
    #[test]
    fn in_a_week_a_hostile_server_makes_one_series_a_check_and_never_two_at_a_time() {
        const CHECKS: usize = 7 * 24 * 12;
        let series = |check: usize| -> Vec<String> {
            let facts = McpFacts {
                transport: Some(Transport::Http),
                server_version: Some(format!("{check}-{}", "x".repeat(1000))),
                protocol_version: Some(format!("{check}")),
                tools: Some(check as u64),
                ..McpFacts::default()
            };
            let text = text::render(&snapshot(vec![server("a", Some(facts))])).expect("sound");
            let named = text.lines().filter(|line| line.contains("server_name=\"a\""));
            named.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
        };
        let at_a_time = series(0).len();
        let mut ever = std::collections::BTreeSet::new();
        for check in 0..CHECKS {
            let series = series(check);
            assert_eq!(series.len(), at_a_time);
            ever.extend(series);
        }
        assert_eq!(ever.len(), at_a_time - 1 + CHECKS);
        assert!(ever.iter().all(|series| series.len() < 500));
    }

    /// A server, a branch and an endpoint that say something else in each of the 20,160 passes of a week; the first of them
    /// make all that they ever make.
    #[test]
    fn in_a_hostile_week_a_target_makes_a_thousand_series_a_family_and_no_more() {
        let mut label_sets = LabelSets::default();
        let mut ever: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
        let mut said = 0;
        for pass in 0..1_010 {
            let name = |number: usize| format!("{pass}.{number}");
            let server =
                McpFacts { transport: Some(Transport::Http), server_version: Some(name(0)), ..McpFacts::default() };
            let order = |number| OrderCount { venue: name(number), order_type: "x".into(), side: "y".into(), count: 1 };
            let thunes = ThunesFacts {
                ws_connected: Some((0..20).map(|number| (name(number), true)).collect()),
                breakers: Some((0..20).map(|number| (name(number), BreakerState::Open)).collect()),
                orders: Some((0..20).map(order).collect()),
                ..ThunesFacts::default()
            };
            let worktree = WorktreeFacts {
                status: Some((Status::Complete, StatusSource::Clean)),
                branch: Some(name(0)),
                ..WorktreeFacts::default()
            };
            let mut snapshot = snapshot(vec![
                entry("a", Some(Facts::Mcp(server))),
                entry("b", Some(Facts::Worktree(worktree))),
                entry("c", Some(Facts::Thunes(thunes))),
            ]);
            snapshot.pass.started_at = Timestamp::from_second(600 * pass).expect("a time");
            let (text, sentences) = text::render_limited(&snapshot, &mut label_sets).expect("sound");
            said = sentences.len();
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (series, _) = line.rsplit_once(' ').expect("a sample");
                let family = series.split('{').next().expect("a name");
                ever.entry(family.to_owned()).or_default().insert(series.to_owned());
            }
        }
        let grown: Vec<(&str, usize)> = ever
            .iter()
            .filter(|(_, series)| series.len() > 100)
            .map(|(family, series)| (family.as_str(), series.len()))
            .collect();
        let most = crate::model::cardinality::MOST;
        assert_eq!(
            grown,
            [
                ("lab_mcp_server_info", most),
                ("lab_worktree_info", most),
                ("thunes_circuit_breaker_state", most),
                ("thunes_orders_placed_total", most),
                ("thunes_ws_connected", most)
            ]
        );
        assert_eq!(said, grown.len(), "and what is left out is said");
    }
}
