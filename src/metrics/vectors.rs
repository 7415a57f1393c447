//! One vector of the prometheus crate for each family of the catalogue, in a registry that adds the configuration's labels.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use prometheus::core::{Collector, Desc, Describer};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{CounterVec, Error, GaugeVec, Opts, Registry};

use super::catalogue::{self, Family, Type};
use crate::log::is_invisible;
use crate::model::thunes::Histogram;

/// Ends each label value until the families are gathered. The crate's vectors know a series by a hash of its label
/// values, one written behind the other: without an end, ("ab", "c") and ("a", "bc") would be one series. No label value
/// holds it, see [`label_value`].
const END: char = '\u{0}';

#[derive(Debug)]
pub struct Samples {
    registry: Registry,
    /// Those that have a sample.
    vectors: HashMap<&'static str, Vector>,
    counting: bool,
    /// What Prometheus does not allow, kept until the families are gathered.
    refused: prometheus::Result<()>,
}

#[derive(Debug)]
enum Vector {
    Gauge(GaugeVec),
    Counter(CounterVec),
}

impl Samples {
    /// No samples. `common` are the labels of every series; without `counting` there are gauges only, because what was
    /// counted before is not known.
    pub fn new(common: &BTreeMap<String, String>, counting: bool) -> prometheus::Result<Self> {
        let common = common.iter().map(|(name, value)| (name.clone(), label_value(value))).collect();
        let registry = Registry::new_custom(None, Some(common))?;
        Ok(Samples { registry, vectors: HashMap::new(), counting, refused: Ok(()) })
    }

    /// Sets a gauge or counter, if there is a value; one that is no finite number is left out: absent beats wrong.
    pub fn add<const LABELS: usize>(
        &mut self,
        family: &Family<[&'static str; LABELS]>,
        labels: [&str; LABELS],
        value: impl Into<Option<f64>>,
    ) {
        let Some(value) = value.into().filter(|value| value.is_finite()) else { return };
        let labels = labels.map(|value| format!("{}{END}", label_value(value)));
        match self.vector(family) {
            Ok(Some(Vector::Gauge(vector))) => vector.with_label_values(&labels).set(value),
            Ok(Some(Vector::Counter(vector))) => {
                let counter = vector.with_label_values(&labels);
                counter.reset();
                counter.inc_by(value);
            }
            Ok(None) => {}
            Err(error) => self.refused = Err(error),
        }
    }

    /// The vector of a family, made and registered where it is the first sample; `None` for what is not shown.
    fn vector(&mut self, family: &Family) -> prometheus::Result<Option<&Vector>> {
        let new = match self.vectors.entry(family.name) {
            Entry::Occupied(vector) => return Ok(Some(vector.into_mut())),
            Entry::Vacant(new) => new,
        };
        let opts = Opts::new(family.name, family.help);
        let vector = match family.kind {
            Type::Gauge => {
                let vector = GaugeVec::new(opts, &family.labels)?;
                self.registry.register(Box::new(vector.clone()))?;
                Vector::Gauge(vector)
            }
            Type::Counter if self.counting => {
                let vector = CounterVec::new(opts, &family.labels)?;
                self.registry.register(Box::new(vector.clone()))?;
                Vector::Counter(vector)
            }
            Type::Counter | Type::Histogram(_) => return Ok(None),
        };
        Ok(Some(new.insert(vector)))
    }

    /// Adds a series of a histogram whose observations were counted elsewhere; the crate's own can only be observed into.
    pub fn add_histogram<const LABELS: usize>(
        &mut self,
        family: &Family<[&'static str; LABELS]>,
        labels: [&str; LABELS],
        histogram: &Histogram,
    ) {
        let Type::Histogram(bounds) = family.kind else { return };
        if !self.counting || !histogram.sum.is_finite() {
            return;
        }
        let labels = family.labels.iter().zip(labels).map(|(name, value)| ((*name).to_owned(), label_value(value)));
        let desc = Opts::new(family.name, family.help).const_labels(labels.collect()).describe();
        let histogram = cumulative(bounds, histogram);
        match desc.and_then(|desc| self.registry.register(Box::new(Counted { desc, histogram }))) {
            // Names may become the same when what steers a terminal is escaped; the first stays.
            Ok(()) | Err(Error::AlreadyReg) => {}
            Err(error) => self.refused = Err(error),
        }
    }

    /// Every family that has a sample, by name; its labels as declared, then the common ones by name.
    /// Errors: A family or label that Prometheus does not allow, which is a bug in the catalogue or in the configuration's checks.
    pub fn gather(self) -> prometheus::Result<Vec<MetricFamily>> {
        self.refused?;
        let mut families = self.registry.gather();
        for family in &mut families {
            let declared = catalogue::find(family.name()).map_or(&[][..], |family| &family.labels);
            // The vectors sort labels, and the registry keeps its own in a hash map: equal passes make equal text only
            // if all have a place of their own.
            let place =
                |label: &LabelPair| declared.iter().position(|name| *name == label.name()).unwrap_or(usize::MAX);
            for metric in family.mut_metric() {
                let mut labels = metric.take_label();
                for label in &mut labels {
                    let value = label.value().trim_end_matches(END).to_owned();
                    label.set_value(value);
                }
                labels.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.name().cmp(b.name())));
                metric.set_label(labels);
            }
        }
        Ok(families)
    }
}

/// Foreign text as a label value: control characters and marks of direction become `\u{…}`, because label values are
/// printed on terminals too.
pub fn label_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + END.len_utf8());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// One series of a histogram.
#[derive(Debug)]
struct Counted {
    desc: Desc,
    histogram: proto::Histogram,
}

/// Buckets up to each bound; the encoder adds the one to `+Inf` from the count.
fn cumulative(bounds: &[f64], histogram: &Histogram) -> proto::Histogram {
    let mut below = 0_u64;
    let buckets = bounds.iter().zip(&histogram.counts).map(|(bound, count)| {
        below = below.saturating_add(*count);
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut counted = proto::Histogram::default();
    counted.set_bucket(buckets.collect());
    counted.set_sample_sum(histogram.sum);
    counted.set_sample_count(histogram.count());
    counted
}

impl Collector for Counted {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut metric = proto::Metric::from_label(self.desc.const_label_pairs.clone());
        metric.set_histogram(self.histogram.clone());
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue::{
        LAB_MCP_SERVER_FAILURE, LAB_PROBE_DEADLINE_EXCEEDED, LAB_PROBE_PASS_DURATION_SECONDS, LAB_SERVICE_UP,
        THUNES_WS_GAP_SECONDS,
    };
    use crate::metrics::text;

    fn samples(common: &[(&str, &str)]) -> Samples {
        let common = common.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Samples::new(&common, true).expect("a sound catalogue")
    }

    fn lines(samples: Samples) -> Vec<String> {
        let text = text::encode(&samples.gather().expect("sound")).expect("sound");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn what_is_no_number_is_absent_and_a_histogram_has_one_infinite_bucket() {
        let mut samples = samples(&[]);
        samples.add(&LAB_PROBE_PASS_DURATION_SECONDS, [], f64::NAN);
        samples.add(&LAB_PROBE_DEADLINE_EXCEEDED, [], f64::INFINITY);
        let histogram = Histogram { counts: vec![0, 1, 0, 0, 0, 0, 0, 1, 1], sum: 60.5 };
        samples.add_histogram(&THUNES_WS_GAP_SECONDS, ["testnet"], &histogram);
        let lines = lines(samples);
        let infinite = "thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"+Inf\"} 3";
        assert_eq!(lines.iter().filter(|line| line.to_lowercase().contains("inf\"")).collect::<Vec<_>>(), [infinite]);
        let half = "thunes_ws_gap_seconds_bucket{environment=\"testnet\",le=\"0.5\"} 1";
        assert!(lines.iter().any(|line| line == half), "{lines:?}");
        assert_eq!(lines.len(), 9 + 2, "{lines:?}");
    }

    #[test]
    fn a_series_set_twice_has_the_later_value() {
        let mut samples = samples(&[]);
        for (number, name) in ["b", "a", "b"].into_iter().enumerate() {
            samples.add(&LAB_SERVICE_UP, [name], number as f64);
        }
        assert_eq!(lines(samples), [r#"lab_service_up{service_name="a"} 1"#, r#"lab_service_up{service_name="b"} 2"#]);
    }

    #[test]
    fn label_values_that_are_the_same_when_joined_are_two_series() {
        let mut samples = samples(&[]);
        samples.add(&LAB_MCP_SERVER_FAILURE, ["ab", "c"], 1.0);
        samples.add(&LAB_MCP_SERVER_FAILURE, ["a", "bc"], 2.0);
        let expected = [
            r#"lab_mcp_server_failure{server_name="a",reason="bc"} 2"#,
            r#"lab_mcp_server_failure{server_name="ab",reason="c"} 1"#,
        ];
        assert_eq!(lines(samples), expected);
    }

    #[test]
    fn no_label_value_steers_a_terminal_and_equal_samples_make_equal_text() {
        let made = || {
            let mut samples = samples(&[("z", "1"), ("host", "l\u{1b}ab"), ("c", "\u{0}"), ("y", "2")]);
            samples.add(&LAB_SERVICE_UP, ["a\u{1b}[2J\n\u{202e}\u{0}"], 1.0);
            lines(samples)
        };
        let expected = r#"lab_service_up{service_name="a\\u{1b}[2J\\u{a}\\u{202e}\\u{0}",c="\\u{0}",host="l\\u{1b}ab",y="2",z="1"} 1"#;
        for _ in 0..10 {
            assert_eq!(made(), [expected]);
        }
    }
}
