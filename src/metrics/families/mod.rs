//! Snapshot → families: one file a kind, each filling only families of the catalogue.

mod age;
mod mcp;
mod probe;
mod service;
mod thunes;
mod worktree;

use std::collections::BTreeMap;

use super::catalogue::{self, Declared, Family, Type};
use crate::exposition::{FamilyText, Kind};
use crate::model::observation::{Facts, Memory};
use crate::model::snapshot::{Entry, Snapshot};

/// Every family that has at least one sample, in the catalogue's order.
pub fn collect(snapshot: &Snapshot) -> Vec<FamilyText<'static>> {
    let mut samples = Samples::new(&snapshot.labels, snapshot.pass.counting);
    for entry in &snapshot.entries {
        add_entry(entry, &mut samples);
    }
    probe::add(snapshot, &mut samples);
    samples.finish()
}

/// The samples of one target. A kind is told by its facts or, before a first observation, by its memory alone.
fn add_entry(entry: &Entry, samples: &mut Samples<'_>) {
    let name = entry.target.name.as_str();
    if let Some(observation) = &entry.observation {
        age::add(&entry.target, observation, samples);
    }
    match (&entry.observation, &entry.memory) {
        (Some(observation), memory) => match (&observation.facts, memory) {
            (Facts::Mcp(facts), Some(Memory::Mcp(memory))) => {
                mcp::add_observed(name, facts, samples);
                mcp::add_remembered(name, memory, samples);
            }
            (Facts::Mcp(facts), _) => mcp::add_observed(name, facts, samples),
            (Facts::Worktree(facts), _) => worktree::add(name, facts, samples),
            (Facts::Thunes(facts), Some(Memory::Thunes(memory))) => thunes::add(name, facts, memory, samples),
            (Facts::Thunes(facts), _) => thunes::add(name, facts, &Default::default(), samples),
            (Facts::Service(facts), _) => service::add(name, facts, samples),
        },
        (None, Some(Memory::Mcp(memory))) => mcp::add_remembered(name, memory, samples),
        (None, _) => {}
    }
}

/// Cumulative buckets of one histogram, in the order of the declared bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Buckets<const BOUNDS: usize> {
    /// Observations at or below each bound.
    pub cumulative: [u64; BOUNDS],
    /// Sum of all observations.
    pub sum: f64,
    /// All observations, those above the last bound included.
    pub count: u64,
}

/// Writes samples of declared families, each with the config's labels.
#[derive(Debug)]
pub struct Samples<'a> {
    common: &'a BTreeMap<String, String>,
    counting: bool,
    families: Vec<(&'static Family, FamilyText<'static>)>,
}

impl<'a> Samples<'a> {
    fn new(common: &'a BTreeMap<String, String>, counting: bool) -> Self {
        Samples { common, counting, families: Vec::with_capacity(catalogue::ALL.len()) }
    }

    /// Adds a gauge or counter; a value that is no finite number is left out: absent beats wrong.
    pub fn add<const LABELS: usize>(
        &mut self,
        declared: &'static Declared<LABELS, 0>,
        labels: [&str; LABELS],
        value: f64,
    ) {
        let labels = self.labels(declared, labels);
        if value.is_finite()
            && let Some(family) = self.family(declared)
        {
            family.add(labels, value);
        }
    }

    /// Adds a value that may not have been measured.
    pub fn add_some<const LABELS: usize>(
        &mut self,
        declared: &'static Declared<LABELS, 0>,
        labels: [&str; LABELS],
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.add(declared, labels, value);
        }
    }

    /// Adds a histogram; `+Inf` comes by itself.
    pub fn add_histogram<const LABELS: usize, const BOUNDS: usize>(
        &mut self,
        declared: &'static Declared<LABELS, BOUNDS>,
        labels: [&str; LABELS],
        buckets: &Buckets<BOUNDS>,
    ) {
        let Type::Histogram(bounds) = declared.kind else { return };
        let labels = self.labels(declared, labels);
        if buckets.sum.is_finite()
            && let Some(family) = self.family(declared)
        {
            let below = bounds.iter().copied().zip(buckets.cumulative);
            family.add_histogram(labels, below, buckets.sum, buckets.count);
        }
    }

    /// The labels of a series: those of its family, then the config's.
    fn labels<'l, const LABELS: usize>(
        &self,
        family: &'static Family,
        values: [&'l str; LABELS],
    ) -> impl Iterator<Item = (&'l str, &'l str)> + Clone + use<'a, 'l, LABELS>
    where
        'a: 'l,
    {
        let common = self.common.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        family.labels.iter().copied().zip(values).chain(common)
    }

    /// Where the samples of a family go; `None` for what counts, while what was counted before is not known.
    fn family(&mut self, family: &'static Family) -> Option<&mut FamilyText<'static>> {
        if !self.counting && !matches!(family.kind, Type::Gauge) {
            return None;
        }
        // Names are constants: comparing where they are is enough, and cheaper.
        let known = self.families.iter().position(|(known, _)| std::ptr::eq(*known, family));
        let index = known.unwrap_or_else(|| {
            let kind = match family.kind {
                Type::Gauge => Kind::Gauge,
                Type::Counter => Kind::Counter,
                Type::Histogram(_) => Kind::Histogram,
            };
            self.families.push((family, FamilyText::new(family.name, kind, family.help)));
            self.families.len() - 1
        });
        Some(&mut self.families[index].1)
    }

    fn finish(mut self) -> Vec<FamilyText<'static>> {
        self.families.sort_by_key(|(family, _)| catalogue::ALL.iter().position(|known| std::ptr::eq(*known, *family)));
        let mut texts: Vec<_> = self.families.into_iter().map(|(_, text)| text).collect();
        // What is remembered may come from a damaged state: one series too few beats a file that nobody reads.
        texts.iter_mut().for_each(FamilyText::drop_repeated);
        texts
    }
}

/// 1 for true, 0 for false.
pub(crate) fn bool_value(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// At most `limit` characters of foreign text: a label that a server may choose freely must not be able to grow the
/// exposition at will.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::metrics::catalogue::{LAB_MCP_SERVER_INFO, THUNES_WS_GAP_SECONDS};
    use crate::metrics::text;
    use crate::model::mcp::{McpFacts, McpMemory, McpTarget, Reach, Transport};
    use crate::model::observation::Observation;
    use crate::model::reason::{Failure, Reason};
    use crate::model::snapshot::{Outcome, PassFacts};
    use crate::model::target::{Probe, Schedule, Target};

    fn server(name: &str, facts: Option<McpFacts>) -> Entry {
        let unreachable = Reach::Unreachable(Failure::new(Reason::NotConfigured, "nowhere"));
        let observation = facts.map(|facts| Observation {
            checked_at: Timestamp::from_second(1_700_000_000).expect("a time"),
            duration: Duration::from_millis(5),
            facts: Facts::Mcp(facts),
        });
        Entry {
            target: Target {
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
            trouble: None,
        }
    }

    fn snapshot(entries: Vec<Entry>) -> Snapshot {
        Snapshot {
            pass: PassFacts {
                started_at: Timestamp::from_second(1_700_000_000).expect("a time"),
                duration: Duration::from_millis(1500),
                deadline_exceeded: false,
                output_failures: [("textfile".to_owned(), 0)].into(),
                pass_failures: 2,
                counting: true,
            },
            entries,
            labels: [("host".to_owned(), "lab".to_owned())].into(),
        }
    }

    #[test]
    fn without_what_was_counted_before_no_counter_is_shown() {
        let mut snapshot = snapshot(vec![server("a", Some(McpFacts::default()))]);
        assert!(text::render(&snapshot).expect("sound").contains(" counter\n"));
        snapshot.pass.counting = false;
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
                "lab_mcp_server_health{server_name=\"a\",host=\"lab\"} 1",
                "lab_mcp_server_health{server_name=\"b\",host=\"lab\"} 0",
                "lab_mcp_server_failure{server_name=\"b\",reason=\"timeout\",host=\"lab\"} 1",
                "lab_mcp_server_handshake_seconds{server_name=\"a\",host=\"lab\"} 0.25",
                "lab_mcp_server_tools{server_name=\"a\",host=\"lab\"} 14",
                "lab_mcp_server_info{server_name=\"a\",transport=\"stdio\",era=\"\",protocol_version=\"\",server_version=\"1.0\",host=\"lab\"} 1",
                "lab_mcp_server_checked_timestamp_seconds{server_name=\"a\",host=\"lab\"} 1700000000",
                "lab_mcp_server_checked_timestamp_seconds{server_name=\"b\",host=\"lab\"} 1700000000",
                "lab_mcp_server_ttl_seconds{server_name=\"a\",host=\"lab\"} 300",
                "lab_mcp_server_ttl_seconds{server_name=\"b\",host=\"lab\"} 30",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"a\",result=\"not_configured\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"b\",result=\"not_configured\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"down\",host=\"lab\"} 3",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"up\",host=\"lab\"} 0",
                "lab_mcp_server_checks_total{server_name=\"c\",result=\"not_configured\",host=\"lab\"} 0",
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
    fn what_is_no_number_is_absent_and_a_histogram_has_one_infinite_bucket() {
        let none = BTreeMap::new();
        let mut samples = Samples::new(&none, true);
        samples.add(&catalogue::LAB_PROBE_PASS_DURATION_SECONDS, [], f64::NAN);
        samples.add(&catalogue::LAB_PROBE_DEADLINE_EXCEEDED, [], f64::INFINITY);
        let buckets = Buckets { cumulative: [0, 1, 1, 1, 1, 1, 1, 2], sum: 60.5, count: 3 };
        samples.add_histogram(&THUNES_WS_GAP_SECONDS, ["testnet"], &buckets);
        let text = text::join(&samples.finish()).expect("sound");
        let infinite = "thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"+Inf\"} 3";
        assert_eq!(text.lines().filter(|line| line.to_lowercase().contains("inf\"")).collect::<Vec<_>>(), [infinite]);
        assert!(text.contains("thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"0.5\"} 1\n"), "{text}");
        assert!(!text.contains("lab_probe"), "{text}");
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
}
