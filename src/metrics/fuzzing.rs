//! Any bytes as an exposition, and any remembered facts in one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::check::{Inspector, Textfile};
use super::text::{encode, render};
use crate::exposition::{self, Distribution, Family, Kind, Series, Value};
use crate::model::mcp::{McpTarget, Reach};
use crate::model::observation::{Memory, Remembered};
use crate::model::reason::{Failure, Reason};
use crate::model::snapshot::{Entry, LastPass, Outcome, Snapshot};
use crate::model::target::{Probe, Schedule, Target};

/// What is refused has a finding; what our writer makes of the rest reads back as it was.
pub(crate) fn exposition(bytes: &[u8]) {
    let file = Textfile { path: PathBuf::from("a.prom"), mode: Some(0o644), contents: Ok(bytes.to_vec()) };
    let mut inspector = Inspector::default();
    inspector.add(&file);
    let report = inspector.finish();
    match exposition::parse(bytes) {
        Ok(families) => written(&families),
        Err(error) => assert!(!report.is_clean(), "{error}"),
    }
}

/// What the writer takes, it writes so that it reads back the same, lines apart.
fn written(families: &[Family]) {
    let Ok(text) = encode(&families.iter().filter_map(written_family).collect::<Vec<_>>()) else { return };
    let read = exposition::parse(text.as_bytes()).expect("our own");
    let originals = families.iter().filter(|family| written_family(family).is_some());
    assert_eq!(read.len(), originals.clone().count());
    for (own, original) in read.iter().zip(originals) {
        assert_eq!((&own.name, own.kind), (&original.name, original.kind));
        let series = |family: &Family| -> Vec<_> {
            family.series.iter().map(|s| (s.labels.clone(), format!("{:?}", s.value))).collect()
        };
        assert_eq!(series(own), series(original));
    }
}

/// The family in the writer's form; `None` for what it has no form for, or what it would write in another one.
fn written_family(family: &Family) -> Option<MetricFamily> {
    let mut written = MetricFamily::default();
    written.set_name(family.name.clone());
    written.set_help(family.help.clone().unwrap_or("x".into()));
    written.set_field_type(match family.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
        Kind::Summary | Kind::Untyped => return None,
    });
    let metrics: Option<Vec<Metric>> = family.series.iter().map(|series| metric(family.kind, series)).collect();
    written.set_metric(metrics?);
    Some(written)
}

fn metric(kind: Kind, series: &Series) -> Option<Metric> {
    let mut metric = Metric::default();
    match (&series.value, kind) {
        (Value::Number(value), Kind::Counter) => {
            let mut counter = Counter::default();
            counter.set_value(*value);
            metric.set_counter(counter);
        }
        (Value::Number(value), _) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            metric.set_gauge(gauge);
        }
        (Value::Histogram(distribution), _) => metric.set_histogram(histogram(distribution)?),
        (Value::Summary(_), _) => return None,
    }
    let pairs = series.labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value(value.clone());
        pair
    });
    metric.set_label(pairs.collect());
    Some(metric)
}

/// Counts as the writer knows them: whole, with `+Inf` last, sum and count there once.
fn histogram(distribution: &Distribution) -> Option<Histogram> {
    let Distribution { points, sum: Some(sum), count: Some(count), repeated: false, below_zero: false } = distribution
    else {
        return None;
    };
    let (last, _) = points.last().filter(|(bound, all)| *bound == f64::INFINITY && all == count)?;
    let finite = points.iter().filter(|(bound, _)| bound != last);
    let mut buckets = Vec::new();
    for (bound, value) in finite {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(whole(*value)?);
        buckets.push(bucket);
    }
    if buckets.len() + 1 != points.len() {
        return None;
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_sum(*sum);
    histogram.set_sample_count(whole(*count)?);
    Some(histogram)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range and whole, by the condition")]
fn whole(value: f64) -> Option<u64> {
    ((0.0..1e15).contains(&value) && value.fract() == 0.0 && value.is_sign_positive()).then_some(value as u64)
}

/// Whatever a state holds, the exposition of a pass that remembers it is sound.
pub(crate) fn remembered(targets: &BTreeMap<String, Remembered>, now: Timestamp) {
    let entries = targets.iter().map(|(id, remembered)| entry(id, remembered)).collect();
    let pass = LastPass { started_at: now, duration: Duration::from_secs(1), deadline_exceeded: false };
    let snapshot = Snapshot { pass, entries, ..Snapshot::default() };
    if let Err(unsound) = render(&snapshot) {
        panic!("{unsound:#}");
    }
}

/// An entry that the kind of its facts decides; how its target would be reached does not matter here.
fn entry(id: &str, remembered: &Remembered) -> Entry {
    let reach = Reach::Unreachable(Failure::new(Reason::NotConfigured, "not needed"));
    let ttl = Duration::from_secs(30);
    let target = Target {
        only_here: false,
        name: id.to_owned(),
        probe: Probe::Mcp(McpTarget { reach, list_tools: true }),
        schedule: Schedule { ttl, retry_after: ttl, timeout: ttl },
        fingerprint: remembered.fingerprint.clone(),
        origins: Vec::new(),
    };
    let memory: Option<Memory> = Some(remembered.memory.clone());
    let observation = remembered.observation.clone();
    Entry { target, outcome: Outcome::Cached, observation, memory, next_due: None, processes: None, trouble: None }
}
