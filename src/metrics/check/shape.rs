//! One family by itself: what node_exporter serves as it stands, but nobody can have meant; and names that make it crash.

use super::Severity::{self, Error, Warning};
use super::{Effects, Report};
use crate::exposition::{Distribution, Family, Kind, Series, Value};

/// Names of Prometheus' own target labels: it renames a scraped label of that name.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// Whether it is there, how bad it is, what it is, and what becomes of it.
type Fault = (bool, Severity, &'static str, Effects);

pub(super) fn judge(family: &Family, report: &mut Report) {
    if family.help.is_none() {
        report.warning(family.line, format!("{} has no HELP", family.name), Effects::SERVED);
    }
    if family.kind == Kind::Untyped {
        report.warning(family.line, format!("{} has no TYPE", family.name), Effects::SERVED);
    }
    for series in &family.series {
        judge_labels(family, series, report);
        let faults = match &series.value {
            Value::Number(number) => vec![(number.is_nan(), Warning, "the value is NaN", Effects::SERVED)],
            Value::Histogram(histogram) => faults_of_histogram(histogram),
            Value::Summary(summary) => faults_of_summary(summary),
        };
        for (_, severity, fault, effects) in faults.into_iter().filter(|(is_there, ..)| *is_there) {
            let what = format!("{} {}: {fault}", family.kind.as_str(), family.name);
            report.keep(severity, series.line, what, effects, None);
        }
    }
}

fn judge_labels(family: &Family, series: &Series, report: &mut Report) {
    for (label, _) in &series.labels {
        if label.starts_with("__") {
            // client_golang refuses to describe such a metric, and the collector insists.
            let what = format!("label {label:?} of {} is reserved for Prometheus itself", family.name);
            report.error(series.line, what, Effects::CRASH);
        } else if TARGET_LABELS.contains(&label.as_str()) {
            let what = format!("Prometheus renames label {label:?} of {} to \"exported_{label}\"", family.name);
            report.warning(series.line, what, Effects::SERVED);
        }
    }
}

const REPEATED: &str = "a part given twice; the last one counts";

fn faults_of_histogram(histogram: &Distribution) -> Vec<Fault> {
    let Distribution { points, sum, count, repeated, below_zero } = histogram;
    let mut sorted = points.clone();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let broken = points.iter().map(|(_, n)| *n).chain(*count).any(|n| n.fract() != 0.0);
    let repeated = *repeated || sorted.windows(2).any(|pair| pair[0].0 == pair[1].0);
    let decreasing = sorted.windows(2).any(|pair| pair[0].1 > pair[1].1);
    let (bound, last) = sorted.last().copied().unwrap_or_default();
    let infinite = bound == f64::INFINITY;
    let above = count.is_some_and(|count| last > count);
    vec![
        (*below_zero, Error, "a count below zero", Effects::NEGATIVE_COUNT),
        (broken && !below_zero, Error, "a count that is no whole number is cut or lost", Effects::SERVED),
        (repeated, Error, REPEATED, Effects::SERVED),
        (decreasing && !repeated, Error, "its bucket counts decrease; they must be cumulative", Effects::SERVED),
        (count.is_none(), Error, "no _count; 0 is served for it", Effects::SERVED),
        (infinite && count.is_some_and(|n| n != last), Error, "its +Inf bucket differs from _count", Effects::SERVED),
        (above && !infinite, Error, "its last bucket is above _count", Effects::SERVED),
        (count.is_some() && !above && !infinite, Warning, "no +Inf bucket; _count is served for it", Effects::SERVED),
        (sum.is_none(), Error, "no _sum; 0 is served for it", Effects::SERVED),
    ]
}

fn faults_of_summary(summary: &Distribution) -> Vec<Fault> {
    let outside = summary.points.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile));
    let incomplete = summary.count.is_none() || summary.sum.is_none();
    vec![
        (outside, Error, "a quantile outside 0 to 1", Effects::SERVED),
        (summary.repeated, Error, REPEATED, Effects::SERVED),
        (incomplete, Error, "no _count or no _sum; 0 is served for it", Effects::SERVED),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{Report, Severity};
    use super::*;
    use crate::exposition;

    /// What is said about a text with HELP and TYPE in front, errors first.
    fn said(kind: &str, lines: &str) -> Vec<String> {
        let text = format!("# HELP h x\n# TYPE h {kind}\n{lines}");
        let mut report = Report::default();
        for family in exposition::parse(text.as_bytes()).expect(lines) {
            judge(&family, &mut report);
        }
        let mark = |s| if s == Severity::Error { "E" } else { "W" };
        report.findings.iter().map(|f| format!("{} {}", mark(f.severity), f.what)).collect()
    }

    #[test]
    fn a_whole_histogram_is_fine() {
        let whole = "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 9\nh_count 3\n";
        assert_eq!(said("histogram", whole), [""; 0]);
        // Buckets may come in any order, and the mean may be negative.
        assert_eq!(said("histogram", "h_bucket{le=\"+Inf\"} 3\nh_bucket{le=\"1\"} 1\nh_sum -9\nh_count 3\n"), [""; 0]);
    }

    #[test]
    fn each_way_to_break_a_histogram_or_summary_is_named() {
        let rest = "h_bucket{le=\"+Inf\"} 3\nh_sum 9\nh_count 3\n";
        for (kind, lines, what) in [
            ("histogram", format!("h_bucket{{le=\"1\"}} 4\n{rest}"), "E histogram h: its bucket counts decrease"),
            (
                "histogram",
                format!("h_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"1.0\"}} 1\n{rest}"),
                "E histogram h: a part given twice",
            ),
            (
                "histogram",
                format!("h_bucket{{le=\"1\"}} 1.5\n{rest}"),
                "E histogram h: a count that is no whole number",
            ),
            (
                "histogram",
                format!("h_bucket{{le=\"1\"}} NaN\n{rest}"),
                "E histogram h: a count that is no whole number",
            ),
            ("histogram", format!("h_bucket{{le=\"1\"}} -1\n{rest}"), "E histogram h: a count below zero"),
            (
                "histogram",
                "h_bucket{le=\"+Inf\"} 3\nh_sum 9\nh_count 4\n".into(),
                "E histogram h: its +Inf bucket differs",
            ),
            (
                "histogram",
                "h_bucket{le=\"1\"} 5\nh_sum 9\nh_count 4\n".into(),
                "E histogram h: its last bucket is above",
            ),
            ("histogram", "h_bucket{le=\"1\"} 1\nh_sum 9\nh_count 4\n".into(), "W histogram h: no +Inf bucket"),
            ("histogram", "h_bucket{le=\"+Inf\"} 3\nh_count 3\n".into(), "E histogram h: no _sum"),
            ("histogram", "h_bucket{le=\"+Inf\"} 3\nh_sum 3\n".into(), "E histogram h: no _count"),
            ("summary", "h{quantile=\"50\"} 3\nh_sum 3\nh_count 3\n".into(), "E summary h: a quantile outside"),
            ("summary", "h{quantile=\"0.5\"} 3\nh_sum 3\n".into(), "E summary h: no _count"),
            ("summary", "h_sum 3\nh_count 3\nh_sum 3\n".into(), "E summary h: a part given twice"),
            ("histogram", format!("h_count -3\n{rest}"), "E histogram h: a count below zero"),
            ("histogram", format!("h_count 3\n{rest}"), "E histogram h: a part given twice"),
            ("gauge", "h{__x=\"\"} 3\n".into(), "E label \"__x\" of h is reserved"),
            ("gauge", "h{job=\"a\"} 3\n".into(), "W Prometheus renames label \"job\" of h to \"exported_job\""),
            ("gauge", "h NaN\n".into(), "W gauge h: the value is NaN"),
            ("untyped", "h 1\n".into(), "W h has no TYPE"),
        ] {
            let said = said(kind, &lines);
            assert!(said.iter().any(|s| s.starts_with(what)), "{what:?} not in {said:?} for\n{lines}");
            assert!(said.len() <= 2, "{said:?} for\n{lines}");
        }
    }
}
