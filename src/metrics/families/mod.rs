//! Snapshot → families: one file a kind, each filling only families of the catalogue.

mod age;
mod mcp;
mod probe;
mod service;
mod thunes;
mod worktree;

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as ProtoHistogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::catalogue::{self, Declared, Family, Type};
use crate::model::observation::{Facts, Memory};
use crate::model::snapshot::{Entry, Snapshot};

/// Every family that has at least one sample, in the catalogue's order.
pub fn collect(snapshot: &Snapshot) -> Vec<MetricFamily> {
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

/// Gathers samples of declared families and adds the config's labels to each.
#[derive(Debug)]
pub struct Samples<'a> {
    common: &'a BTreeMap<String, String>,
    counting: bool,
    families: Vec<(&'static Family, Vec<Metric>)>,
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
        if !value.is_finite() {
            return;
        }
        let mut metric = Metric::default();
        match declared.kind {
            Type::Gauge | Type::Histogram(_) => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            Type::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
        }
        self.push(declared, &labels, metric);
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

    /// Adds a histogram. The encoder adds `+Inf` by itself.
    pub fn add_histogram<const LABELS: usize, const BOUNDS: usize>(
        &mut self,
        declared: &'static Declared<LABELS, BOUNDS>,
        labels: [&str; LABELS],
        buckets: &Buckets<BOUNDS>,
    ) {
        let Type::Histogram(bounds) = declared.kind else { return };
        if !buckets.sum.is_finite() {
            return;
        }
        let filled = bounds.iter().zip(buckets.cumulative).map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut histogram = ProtoHistogram::default();
        histogram.set_bucket(filled.collect());
        histogram.set_sample_sum(buckets.sum);
        histogram.set_sample_count(buckets.count);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.push(declared, &labels, metric);
    }

    fn push(&mut self, family: &'static Family, labels: &[&str], mut metric: Metric) {
        if !self.counting && !matches!(family.kind, Type::Gauge) {
            return;
        }
        let own = family.labels.iter().copied().zip(labels.iter().copied());
        let common = self.common.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        metric.set_label(own.chain(common).map(|(name, value)| pair(name, value)).collect());
        // Families are constants: comparing where they are is enough, and cheaper than their names.
        match self.families.iter_mut().find(|(known, _)| std::ptr::eq(*known, family)) {
            Some((_, metrics)) => metrics.push(metric),
            None => self.families.push((family, vec![metric])),
        }
    }

    fn finish(mut self) -> Vec<MetricFamily> {
        self.families.sort_by_key(|(family, _)| catalogue::ALL.iter().position(|known| std::ptr::eq(*known, *family)));
        self.families
            .into_iter()
            .map(|(family, mut metrics)| {
                drop_repeated(&mut metrics);
                let mut proto = MetricFamily::default();
                proto.set_name(family.name.to_owned());
                proto.set_help(family.help.to_owned());
                proto.set_field_type(match family.kind {
                    Type::Gauge => MetricType::GAUGE,
                    Type::Counter => MetricType::COUNTER,
                    Type::Histogram(_) => MetricType::HISTOGRAM,
                });
                proto.set_metric(metrics);
                proto
            })
            .collect()
    }
}

/// Takes out what has the labels of an earlier one. What is remembered may come from a damaged state: one series too few
/// beats a file that nobody reads.
fn drop_repeated(metrics: &mut Vec<Metric>) {
    let values = |index: usize| metrics[index].get_label().iter().map(LabelPair::value);
    let mut sorted: Vec<usize> = (0..metrics.len()).collect();
    // A stable sort: of equals the first one stays in front.
    sorted.sort_by(|a, b| values(*a).cmp(values(*b)));
    let same = sorted.windows(2).filter(|pair| values(pair[0]).eq(values(pair[1])));
    let repeated: BTreeSet<usize> = same.map(|pair| pair[1]).collect();
    let mut index = 0..;
    metrics.retain(|_| index.next().is_some_and(|index| !repeated.contains(&index)));
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
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
        let text = text::encode(&samples.finish()).expect("sound");
        let infinite = "thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"+Inf\"} 3";
        assert_eq!(text.lines().filter(|line| line.to_lowercase().contains("inf\"")).collect::<Vec<_>>(), [infinite]);
        assert!(text.contains("thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"0.5\"} 1\n"), "{text}");
        assert!(!text.contains("lab_probe"), "{text}");
    }

    #[test]
    fn of_series_with_the_same_labels_the_first_one_stays() {
        let none = BTreeMap::new();
        let mut samples = Samples::new(&none, true);
        for (number, name) in ["c", "a", "b", "a", "c", "a", "d"].into_iter().enumerate() {
            samples.add(&catalogue::LAB_SERVICE_UP, [name], number as f64);
        }
        let text = text::encode(&samples.finish()).expect("sound");
        let values: Vec<&str> = text.lines().skip(2).filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(values, ["0", "1", "2", "6"], "{text}");
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
