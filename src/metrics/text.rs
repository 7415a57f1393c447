//! Families → exposition text, read back before it leaves.

use anyhow::{Context, Result, bail};
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::{cardinality, check, families};
use crate::model::cardinality::LabelSets;
use crate::model::snapshot::Snapshot;

const BUG: &str = "cannot make the exposition (a bug in lab-probe; please report it)";

/// The exposition of a snapshot.
/// Errors: Always a bug in this program: node_exporter would not take the text, so nothing may be delivered.
pub fn render(snapshot: &Snapshot) -> Result<String> {
    encode(&families::collect(snapshot).context(BUG)?).context(BUG)
}

/// The same for a delivery: without the series by which a target would make more than its share. Returns a sentence on
/// each target of which something is left out.
/// Errors: As [`render`].
pub fn render_limited(snapshot: &Snapshot, label_sets: &mut LabelSets) -> Result<(String, Vec<String>)> {
    let mut families = families::collect(snapshot).context(BUG)?;
    let left_out = cardinality::limit(&mut families, label_sets, snapshot.pass.started_at);
    Ok((encode(&families).context(BUG)?, left_out))
}

/// Writes families, each with at least one sample, and reads the text as node_exporter would.
pub fn encode(families: &[MetricFamily]) -> Result<String> {
    let text = TextEncoder::new().encode_to_string(families)?;
    match check::first_error(&text) {
        Some(error) => bail!("{error}"),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricType};
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::{self, Distribution, Family, Kind, Series, Value};

    /// A metric of a type by its number, with the same value in every place.
    fn metric(kind: MetricType, labels: &[(String, String)], value: f64) -> Metric {
        let mut metric = Metric::default();
        match kind {
            MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            MetricType::HISTOGRAM => {
                let mut histogram = Histogram::default();
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(0.25);
                bucket.set_cumulative_count(3);
                histogram.set_bucket(vec![bucket]);
                histogram.set_sample_sum(value);
                histogram.set_sample_count(7);
                metric.set_histogram(histogram);
            }
            _ => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        let pairs = labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.clone());
            pair
        });
        metric.set_label(pairs.collect());
        metric
    }

    fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        family
    }

    /// Any text, with the characters that matter for escaping well represented, up to 1 KB and more.
    fn any_text() -> impl Strategy<Value = String> {
        let piece =
            prop_oneof![Just("\\"), Just("\""), Just("\n"), Just("\\n"), Just("🦀"), Just("{}=,# "), Just("\u{0}\r\t")];
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat()),
            "[a-z\"\\\\\n]{1024}",
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,80}",
            help in any_text().prop_filter(
                "the encoder leaves an empty HELP out, the format blanks before one",
                |help| !help.is_empty() && !help.starts_with([' ', '\t']),
            ),
            label_names in proptest::collection::btree_set("x[a-zA-Z0-9_]{0,20}", 0..4),
            values in proptest::collection::vec((proptest::collection::vec(any_text(), 4), proptest::num::f64::ANY), 1..5),
            kind in prop_oneof![Just(MetricType::COUNTER), Just(MetricType::GAUGE), Just(MetricType::HISTOGRAM)],
        ) {
            let rows: Vec<(Vec<(String, String)>, f64)> = values
                .iter()
                .enumerate()
                // The index keeps the rows apart, as the label sets of one family must be.
                .map(|(i, (texts, value))| {
                    let own = ("i".to_owned(), i.to_string());
                    let labels = label_names.iter().cloned().zip(texts.iter().cloned()).chain([own]).collect();
                    (labels, if value.is_nan() { f64::INFINITY } else { *value })
                })
                .collect();
            let metrics = rows.iter().map(|(labels, value)| metric(kind, labels, *value)).collect();
            let text = encode(&[family(&name, &help, kind, metrics)]).expect("sound");
            let read_kind = match kind {
                MetricType::COUNTER => Kind::Counter,
                MetricType::HISTOGRAM => Kind::Histogram,
                _ => Kind::Gauge,
            };
            let lines = if kind == MetricType::HISTOGRAM { 4 } else { 1 };
            let series = rows.iter().enumerate().map(|(i, (labels, value))| Series {
                labels: labels.clone(),
                value: match read_kind {
                    Kind::Histogram => Value::Histogram(Distribution {
                        points: vec![(0.25, 3.0), (f64::INFINITY, 7.0)],
                        sum: Some(*value),
                        count: Some(7.0),
                        ..Distribution::default()
                    }),
                    _ => Value::Number(*value),
                },
                timestamp_ms: None,
                line: 3 + i * lines,
            });
            let expected = Family { name, help: Some(help), kind: read_kind, line: 1, series: series.collect() };
            prop_assert_eq!(exposition::parse(text.as_bytes()).expect("read back"), vec![expected]);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any_text(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = exposition::parse(text.as_bytes());
            let _ = exposition::parse(&bytes);
            let _ = exposition::parse(format!("# TYPE a histogram\na_bucket{{{text}}} 1\n").as_bytes());
        }
    }

    #[test]
    fn what_node_exporter_would_not_take_whole_does_not_leave() {
        let labels = |value: &str| vec![("a".to_owned(), value.to_owned())];
        let gauge = |value: &str, number| metric(MetricType::GAUGE, &labels(value), number);
        let refused = |families: &[MetricFamily]| encode(families).expect_err("refused").to_string();
        let mut stamped = gauge("x", 1.0);
        stamped.set_timestamp_ms(5);
        for (families, part) in [
            (vec![family("a", "x", MetricType::GAUGE, vec![])], "no metrics"),
            (vec![family("a-b", "x", MetricType::GAUGE, vec![gauge("x", 1.0)])], "no metric name after HELP"),
            (vec![family("a", "x", MetricType::GAUGE, vec![gauge("x", 1.0), gauge("x", 2.0)])], "is a duplicate"),
            (vec![family("a", "x", MetricType::GAUGE, vec![stamped])], "timestamp"),
            (vec![family("a", "x", MetricType::GAUGE, vec![gauge("x", 1.0)]); 2], "second HELP"),
        ] {
            let sentence = refused(&families);
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
