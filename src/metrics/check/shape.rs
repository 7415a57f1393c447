//! One family by itself: what node_exporter serves as it stands, but nobody can have meant; and names that make it crash.

use super::{Effects, Report};
use crate::exposition::{Distribution, Family, Kind, Series, Value};

/// Names of Prometheus' own target labels: it renames a scraped label of that name.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

pub(super) fn judge(family: &Family, report: &mut Report) {
    if family.help.is_none() {
        report.warning(Some(family.line), format!("{} has no HELP", family.name), Effects::SERVED);
    }
    if family.kind == Kind::Untyped {
        report.warning(Some(family.line), format!("{} has no TYPE", family.name), Effects::SERVED);
    }
    for series in &family.series {
        judge_labels(family, series, report);
        match &series.value {
            Value::Number(number) if number.is_nan() => {
                report.warning(Some(series.line), format!("{} is NaN", family.name), Effects::SERVED);
            }
            Value::Number(_) => {}
            Value::Histogram(histogram) => judge_histogram(&family.name, series.line, histogram, report),
            Value::Summary(summary) => judge_summary(&family.name, series.line, summary, report),
        }
    }
}

fn judge_labels(family: &Family, series: &Series, report: &mut Report) {
    for (label, _) in &series.labels {
        if label.starts_with("__") {
            // client_golang refuses to describe such a metric, and the collector insists.
            let what = format!("label {label:?} of {} is reserved for Prometheus itself", family.name);
            report.error(Some(series.line), what, Effects::CRASH);
        } else if TARGET_LABELS.contains(&label.as_str()) {
            let what = format!("Prometheus renames label {label:?} of {} to \"exported_{label}\"", family.name);
            report.warning(Some(series.line), what, Effects::SERVED);
        }
    }
}

fn judge_histogram(name: &str, line: usize, histogram: &Distribution, report: &mut Report) {
    let Distribution { points, sum, count, .. } = histogram;
    let counts = points.iter().map(|(_, n)| *n).chain(*count);
    let mut sorted = points.clone();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let infinite = sorted.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, n)| *n);
    let broken = |what: &str| format!("histogram {name}: {what}");

    if histogram.below_zero {
        report.error(Some(line), broken("a count below zero"), Effects::NEGATIVE_COUNT);
    } else if counts.clone().any(|n| n.fract() != 0.0) {
        report.error(Some(line), broken("a count that is no whole number is cut or lost"), Effects::SERVED);
    }
    if histogram.repeated || sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        report.error(Some(line), broken("a part given twice; the last one counts"), Effects::SERVED);
    } else if sorted.windows(2).any(|pair| pair[0].1 > pair[1].1) {
        report.error(Some(line), broken("its bucket counts decrease; they must be cumulative"), Effects::SERVED);
    }
    let count_of_last = sorted.last().map_or(0.0, |(_, n)| *n);
    match (infinite, count) {
        (_, None) => report.error(Some(line), broken("no _count; 0 is served for it"), Effects::SERVED),
        (Some(infinite), Some(count)) if infinite != *count => {
            report.error(Some(line), broken("its +Inf bucket differs from _count"), Effects::SERVED);
        }
        (None, Some(count)) if count_of_last > *count => {
            report.error(Some(line), broken("its last bucket is above _count"), Effects::SERVED);
        }
        (None, Some(_)) => {
            report.warning(Some(line), broken("no +Inf bucket; _count is served for it"), Effects::SERVED)
        }
        (Some(_), Some(_)) => {}
    }
    if sum.is_none() {
        report.error(Some(line), broken("no _sum; 0 is served for it"), Effects::SERVED);
    }
}

fn judge_summary(name: &str, line: usize, summary: &Distribution, report: &mut Report) {
    let broken = |what: &str| format!("summary {name}: {what}");
    if summary.points.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile)) {
        report.error(Some(line), broken("a quantile outside 0 to 1"), Effects::SERVED);
    }
    if summary.repeated {
        report.error(Some(line), broken("a part given twice; the last one counts"), Effects::SERVED);
    }
    if summary.count.is_none() || summary.sum.is_none() {
        report.error(Some(line), broken("no _count or no _sum; 0 is served for it"), Effects::SERVED);
    }
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
            ("gauge", "h NaN\n".into(), "W h is NaN"),
            ("untyped", "h 1\n".into(), "W h has no TYPE"),
        ] {
            let said = said(kind, &lines);
            assert!(said.iter().any(|s| s.starts_with(what)), "{what:?} not in {said:?} for\n{lines}");
            assert!(said.len() <= 2, "{said:?} for\n{lines}");
        }
    }
}
