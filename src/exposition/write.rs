//! A family's text, written as the reader reads it.

use std::fmt::Write;
use std::ops::Range;

use super::Kind;

/// One family as it is written: HELP, TYPE, then its series.
///
/// Names and labels are written as they are given; whether the text is one that may be delivered says
/// [`super::orderly::check`].
#[derive(Debug, Clone)]
pub struct FamilyText<'a> {
    name: &'a str,
    text: String,
    series: Vec<Span>,
}

/// Where a series stands in the text.
#[derive(Debug, Clone)]
struct Span {
    /// Its first line.
    start: usize,
    /// Its labels, braces included; empty where it has none.
    labels: Range<usize>,
}

impl<'a> FamilyText<'a> {
    /// A family without a series.
    pub fn new(name: &'a str, kind: Kind, help: &str) -> Self {
        let mut family = FamilyText { name, text: String::with_capacity(1024), series: Vec::new() };
        family.push(&["# HELP ", name, " "]);
        family.push_escaped(help, |byte| matches!(byte, b'\\' | b'\n'));
        family.push(&["\n# TYPE ", name, " ", kind.as_str(), "\n"]);
        family
    }

    /// Adds a counter's or a gauge's series.
    pub fn add<'l>(&mut self, labels: impl Iterator<Item = (&'l str, &'l str)>, value: f64) {
        let start = self.text.len();
        let labels = self.push_sample("", labels, None, value);
        self.series.push(Span { start, labels });
    }

    /// Adds a histogram's series from its cumulative buckets, each a bound and a count; `+Inf` comes by itself.
    pub fn add_histogram<'l>(
        &mut self,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        let start = self.text.len();
        for (bound, below) in buckets {
            self.push_sample("_bucket", labels.clone(), Some(&bound.to_string()), as_float(below));
        }
        self.push_sample("_bucket", labels.clone(), Some("+Inf"), as_float(count));
        let named = self.push_sample("_sum", labels.clone(), None, sum);
        self.push_sample("_count", labels, None, as_float(count));
        self.series.push(Span { start, labels: named });
    }

    /// Takes out every series that has the labels of an earlier one, written in the same order. To be called last.
    pub fn drop_repeated(&mut self) {
        let labels = |series: &Span| &self.text[series.labels.clone()];
        let mut sorted: Vec<&Span> = self.series.iter().collect();
        // A stable sort: of equals the first one stays in front.
        sorted.sort_by_key(|series| labels(series));
        let repeated = sorted.windows(2).filter(|pair| labels(pair[0]) == labels(pair[1]));
        let mut starts: Vec<usize> = repeated.map(|pair| pair[1].start).collect();
        // From behind, so that what stands in front stays where it is.
        starts.sort_unstable();
        for start in starts.into_iter().rev() {
            let end = self.series.iter().map(|series| series.start).find(|&next| next > start);
            self.text.replace_range(start..end.unwrap_or(self.text.len()), "");
        }
        self.series.clear();
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    /// Writes one line and says where its labels stand.
    fn push_sample<'l>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        bound: Option<&str>,
        value: f64,
    ) -> Range<usize> {
        self.push(&[self.name, suffix]);
        let start = self.text.len();
        labels.for_each(|(name, value)| self.push_label(start, name, value));
        if let Some(bound) = bound {
            self.push_label(start, "le", bound);
        }
        if self.text.len() > start {
            self.text.push('}');
        }
        let end = self.text.len();
        // A string takes everything.
        let _ = writeln!(self.text, " {value}");
        start..end
    }

    /// Writes one label of those that begin at `start`.
    fn push_label(&mut self, start: usize, name: &str, value: &str) {
        let separator = if self.text.len() == start { "{" } else { "," };
        self.push(&[separator, name, "=\""]);
        self.push_escaped(value, |byte| matches!(byte, b'\\' | b'\n' | b'"'));
        self.text.push('"');
    }

    /// Writes text with a backslash before each of the ASCII characters that need one.
    fn push_escaped(&mut self, text: &str, special: impl Fn(u8) -> bool) {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(&special) {
            self.text.push_str(&rest[..at]);
            self.text.push_str(match rest.as_bytes()[at] {
                b'\n' => "\\n",
                b'"' => "\\\"",
                _ => "\\\\",
            });
            rest = &rest[at + 1..];
        }
        self.text.push_str(rest);
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format knows only floats; exact up to 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_line_by_line_and_what_is_special_is_escaped() {
        let mut family = FamilyText::new("a", Kind::Gauge, "one \\ two\n\"three\"");
        family.add([("x", "\\ \n \""), ("y", "é")].into_iter(), 0.5);
        family.add(std::iter::empty(), 1e6);
        let expected =
            "# HELP a one \\\\ two\\n\"three\"\n# TYPE a gauge\na{x=\"\\\\ \\n \\\"\",y=\"é\"} 0.5\na 1000000\n";
        assert_eq!(family.as_str(), expected);
        let mut family = FamilyText::new("h", Kind::Histogram, "x");
        family.add_histogram([("x", "y")].into_iter(), [(0.25, 1), (10.0, 2)].into_iter(), -1.5, 3);
        let lines: Vec<&str> = family.as_str().lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "h_bucket{x=\"y\",le=\"0.25\"} 1",
                "h_bucket{x=\"y\",le=\"10\"} 2",
                "h_bucket{x=\"y\",le=\"+Inf\"} 3",
                "h_sum{x=\"y\"} -1.5",
                "h_count{x=\"y\"} 3",
            ]
        );
    }

    #[test]
    fn of_series_with_the_same_labels_the_first_one_stays() {
        let mut family = FamilyText::new("a", Kind::Gauge, "x");
        for (number, label) in ["c", "a", "b", "a", "c", "a", "d"].into_iter().enumerate() {
            family.add([("x", label)].into_iter(), as_float(number as u64));
        }
        family.drop_repeated();
        let lines: Vec<&str> = family.as_str().lines().skip(2).collect();
        assert_eq!(lines, ["a{x=\"c\"} 0", "a{x=\"a\"} 1", "a{x=\"b\"} 2", "a{x=\"d\"} 6"]);
        let mut family = FamilyText::new("h", Kind::Histogram, "x");
        for _ in 0..2 {
            family.add_histogram(std::iter::empty(), [(1.0, 1)].into_iter(), 2.0, 2);
        }
        family.drop_repeated();
        assert_eq!(family.as_str().lines().count(), 2 + 4);
    }
}
