//! Whether a text of ours is one that node_exporter takes whole: one look, with the reader's own rules, that keeps
//! nothing but where the series begin.
//!
//! It asks for more than the reader does. Families come one after the other, HELP and TYPE before their series; all series
//! of a family name the same labels in the same order; and there is no blank that need not be. So two series have the
//! same labels where their text is the same.

use std::fmt;

use super::line::{Cursor, labels, number_of, timestamp, unescape_help};
use super::{Fault, Kind};

/// Why a text must not be delivered.
#[derive(Debug)]
pub enum Disorder {
    /// node_exporter would refuse a line of this family.
    Refused(String, Fault),
    /// The family has no HELP, or it is empty.
    NoHelp(String),
    /// A line stands where it does not belong (a second TYPE, a series of another family), or has blanks to spare.
    Misplaced(String),
    /// The family is there, but no series of it.
    Empty(String),
    /// The family is there twice, or is named like a part of a histogram.
    Twice(String),
    /// Two series of this family have the same labels.
    Duplicate(String),
    /// The series of this family do not name the same labels.
    Uneven(String),
    /// A series of this family carries a timestamp.
    Timestamp(String),
    /// A series of this family is not a number.
    NotANumber(String),
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disorder::Refused(name, fault) => write!(f, "{name}: {fault}"),
            Disorder::NoHelp(name) => write!(f, "{name} has no HELP"),
            Disorder::Misplaced(name) => write!(f, "{name} has a line that is out of place"),
            Disorder::Empty(name) => write!(f, "{name} has no series"),
            Disorder::Twice(name) => write!(f, "{name} is there twice"),
            Disorder::Duplicate(name) => write!(f, "{name} has two series with the same labels"),
            Disorder::Uneven(name) => write!(f, "the series of {name} do not have the same labels"),
            Disorder::Timestamp(name) => write!(f, "{name} carries a timestamp"),
            Disorder::NotANumber(name) => write!(f, "{name} is not a number"),
        }
    }
}

impl std::error::Error for Disorder {}

/// Looks through a text.
///
/// # Errors
/// The first [`Disorder`].
pub fn check(text: &str) -> Result<(), Disorder> {
    let mut look = Look::default();
    let lines = text.strip_suffix('\n').unwrap_or(text);
    if text.len() == lines.len() && !text.is_empty() {
        return Err(Disorder::Refused("the end".into(), Fault::NoFinalLineFeed));
    }
    for line in lines.split('\n').filter(|_| !text.is_empty()) {
        match line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) {
            Some(("HELP", rest)) => look.help(rest)?,
            Some(("TYPE", rest)) => look.kind(rest)?,
            _ => look.sample(line)?,
        }
    }
    look.end_family()?;
    look.histograms_alone()
}

/// What is known of the family at hand, and which there have been.
#[derive(Debug, Default)]
struct Look<'a> {
    names: Vec<&'a str>,
    kind: Option<Kind>,
    /// What its series name, `le` apart; `None` before the first.
    labels: Option<Vec<&'a str>>,
    /// Its samples, each up to the blank before its value.
    series: Vec<&'a str>,
    /// The histograms among the names.
    histograms: Vec<&'a str>,
}

/// What was found between a sample's braces.
struct Labels {
    /// Whether it names the labels of its family.
    even: bool,
    /// How long the text is from brace to brace where no blank stands between the parts.
    bytes: usize,
}

impl<'a> Look<'a> {
    fn name(&self) -> &'a str {
        self.names.last().copied().unwrap_or_default()
    }

    fn fail<T>(&self, what: impl FnOnce(String) -> Disorder) -> Result<T, Disorder> {
        Err(what(self.name().to_owned()))
    }

    /// HELP begins a family.
    fn help(&mut self, rest: &'a str) -> Result<(), Disorder> {
        self.end_family()?;
        let mut cursor = Cursor { rest: rest.as_bytes() };
        let name = cursor.metric_name();
        let twice = self.names.contains(&name);
        self.names.push(name);
        let Some(help) = rest[name.len()..].strip_prefix(' ').filter(|_| !name.is_empty()) else {
            return self.fail(|name| Disorder::Refused(name, Fault::CommentName));
        };
        if twice {
            return self.fail(Disorder::Twice);
        }
        if help.trim_start_matches([' ', '\t']).is_empty() {
            return self.fail(Disorder::NoHelp);
        }
        unescape_help(help.as_bytes()).map(drop).or_else(|fault| self.fail(|name| Disorder::Refused(name, fault)))
    }

    fn kind(&mut self, rest: &str) -> Result<(), Disorder> {
        let Some((name, word)) = rest.split_once(' ') else { return self.fail(Disorder::Misplaced) };
        if self.kind.is_some() || self.names.is_empty() || name != self.name() {
            return Err(Disorder::Misplaced(name.to_owned()));
        }
        self.kind = Kind::parse(word);
        let Some(_) = self.kind else {
            return self.fail(|name| Disorder::Refused(name, Fault::UnknownType(word.to_owned())));
        };
        Ok(())
    }

    fn sample(&mut self, line: &'a str) -> Result<(), Disorder> {
        let family = self.name();
        let mut cursor = Cursor { rest: line.as_bytes() };
        let name = cursor.metric_name();
        let part = name.strip_prefix(family);
        match (self.kind, part) {
            (Some(Kind::Counter | Kind::Gauge), Some("")) => {}
            (Some(Kind::Histogram), Some("_bucket" | "_sum" | "_count")) => {}
            _ => return Err(Disorder::Misplaced(name.to_owned())),
        }
        let refused = |fault| Disorder::Refused(family.to_owned(), fault);
        let labels = self.labels(&mut cursor, part == Some("_bucket")).map_err(refused)?;
        let series = line.split_at_checked(name.len() + labels.bytes);
        let Some((series, word)) = series.and_then(|(series, rest)| Some((series, rest.strip_prefix(' ')?))) else {
            return self.fail(Disorder::Misplaced);
        };
        if !labels.even {
            return self.fail(Disorder::Uneven);
        }
        let mut cursor = Cursor { rest: word.as_bytes() };
        let value = cursor.word();
        match number_of(value) {
            Some(number) if number.is_nan() => return self.fail(Disorder::NotANumber),
            Some(_) => {}
            None => return Err(refused(Fault::Number(String::from_utf8_lossy(value).into_owned()))),
        }
        if cursor.peek().is_some() {
            timestamp(cursor).map_err(refused)?;
            return self.fail(Disorder::Timestamp);
        }
        self.series.push(series);
        Ok(())
    }

    /// Reads the labels of a sample, if it has any; those of the first one are the family's.
    fn labels(&mut self, cursor: &mut Cursor<'a>, bucket: bool) -> Result<Labels, Fault> {
        let first = self.labels.is_none();
        let known = self.labels.get_or_insert_default();
        let (mut place, mut even, mut bytes) = (0, true, 0);
        if cursor.peek() == Some(b'{') {
            bytes = 1;
            labels(cursor, |name, value| {
                // A quote on either side, `=` before them, a comma or the closing brace behind.
                bytes += name.len() + value.0.len() + 4;
                if bucket && name == "le" {
                    return value.bound().map(drop);
                }
                if first {
                    if known.contains(&name) {
                        return Err(Fault::SecondLabel(name.to_owned()));
                    }
                    known.push(name);
                }
                even &= known.get(place) == Some(&name);
                place += 1;
                Ok(())
            })?;
        }
        even &= place == known.len();
        Ok(Labels { even, bytes })
    }

    fn end_family(&mut self) -> Result<(), Disorder> {
        if self.series.is_empty() && !self.names.is_empty() {
            return self.fail(Disorder::Empty);
        }
        self.series.sort_unstable();
        if self.series.windows(2).any(|pair| pair[0] == pair[1]) {
            return self.fail(Disorder::Duplicate);
        }
        self.series.clear();
        if self.kind == Some(Kind::Histogram) {
            self.histograms.push(self.name());
        }
        self.kind = None;
        self.labels = None;
        Ok(())
    }

    /// A histogram takes its name with `_bucket`, `_sum` and `_count` from every other family.
    fn histograms_alone(&self) -> Result<(), Disorder> {
        let is_part = |name: &str, whole: &str| matches!(name.strip_prefix(whole), Some("_bucket" | "_sum" | "_count"));
        let clash = self.names.iter().find(|name| self.histograms.iter().any(|whole| is_part(name, whole)));
        clash.map_or(Ok(()), |name| Err(Disorder::Twice((*name).to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Value, parse};
    use super::*;

    fn said(text: &str) -> String {
        check(text).map_or_else(|disorder| disorder.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_written_as_ours_is_passes() {
        let histogram = "# HELP h x\n# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 1\n\
                         h_bucket{a=\"b\",le=\"+Inf\"} 3\nh_sum{a=\"b\"} 2.5\nh_count{a=\"b\"} 3\n";
        for text in [
            "",
            "# HELP a x\n# TYPE a gauge\na 1\n",
            "# HELP a \\\\\n# TYPE a counter\na{x=\"\\n} 1\"} 1e9\n",
            histogram,
        ] {
            assert_eq!(said(text), "", "{text}");
        }
    }

    #[test]
    fn every_disorder_is_named() {
        for (lines, sentence) in [
            ("a 1", "the end: the last line does not end in a line feed"),
            ("a 1 5\n", "a carries a timestamp"),
            ("a 1 x\n", "a: \"x\" after the value is no timestamp"),
            ("a NaN\n", "a is not a number"),
            ("a 1e999\n", "a: \"1e999\" is no number"),
            ("a 1\na 2\n", "a has two series with the same labels"),
            ("a{x=\"1\"} 1\na{x=\"2\"} 1\na{x=\"1\"} 1\n", "a has two series with the same labels"),
            ("a{x=\"\"} 1\na 1\n", "the series of a do not have the same labels"),
            ("a{x=\"1\",y=\"1\"} 1\na{y=\"1\",x=\"1\"} 1\n", "the series of a do not have the same labels"),
            ("a{x=\"1\",x=\"2\"} 1\n", "a: the label \"x\" is there twice"),
            ("a{x=\"\\t\"} 1\n", "a: unknown escape \"\\t\""),
            ("a{x=\"1\", y=\"1\"} 1\n", "a has a line that is out of place"),
            ("a{x=\"1\",} 1\n", "a has a line that is out of place"),
            ("a {x=\"1\"} 1\n", "a: \"{x=\\\"1\\\"}\" is no number"),
            ("a  1\n", "a: \"\" is no number"),
            ("b 1\n", "b has a line that is out of place"),
            ("a_sum 1\n", "a_sum has a line that is out of place"),
            ("# comment\na 1\n", " has a line that is out of place"),
            ("# TYPE a gauge\na 1\n", "a has a line that is out of place"),
            ("a 1\n# HELP a x\n# TYPE a gauge\na 1\n", "a is there twice"),
            ("a 1\n# HELP b x\n", "b has no series"),
            ("a 1\n# HELP b \n# TYPE b gauge\nb 1\n", "b has no HELP"),
            ("a 1\n# HELP b x\nb 1\n", "b has a line that is out of place"),
            ("a 1\n# HELP b x\n# TYPE b info\nb 1\n", "b: unknown type \"info\""),
            ("a 1\n# HELP b x\n# TYPE b histogram\nb 1\n", "b has a line that is out of place"),
            ("a 1\n# HELP b \\x\n# TYPE b gauge\nb 1\n", "b: unknown escape \"\\x\""),
            (
                "a 1\n# HELP b_sum x\n# TYPE b_sum gauge\nb_sum 1\n# HELP b x\n# TYPE b histogram\nb_sum 1\n",
                "b_sum is there twice",
            ),
        ] {
            assert_eq!(said(&format!("# HELP a x\n# TYPE a gauge\n{lines}")), sentence, "{lines}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_read_whole_and_has_nothing_twice(
            kind in prop_oneof![Just("gauge"), Just("histogram")],
            lines in proptest::collection::vec(
                (
                    prop_oneof![Just("a"), Just("a_sum"), Just("b"), Just("a_bucket"), Just("# HELP a x"), Just("# HELP a_sum x"),
                        Just("# TYPE a gauge"), Just("# TYPE a histogram"), Just("# TYPE a_sum counter")],
                    prop_oneof![Just(""), Just("{x=\"1\"}"), Just("{x=\"\"}"), Just("{x=\"2\",y=\"\"}"), Just("{le=\"1\"}"), Just("{x=\"1\", }")],
                    prop_oneof![Just(" 1"), Just(" 2"), Just("  1"), Just(" NaN"), Just(" 1 2"), Just("")],
                ),
                0..8,
            ),
        ) {
            let line = |(head, labels, value): &(&str, &str, &str)| match head.starts_with('#') {
                true => format!("{head}\n"),
                false => format!("{head}{labels}{value}\n"),
            };
            let text = format!("# HELP a x\n# TYPE a {kind}\n{}", lines.iter().map(line).collect::<String>());
            if check(&text).is_ok() {
                for family in parse(text.as_bytes()).expect("the reader takes it, too") {
                    prop_assert!(family.help.is_some());
                    let mut labels: Vec<Vec<_>> = family.series.iter().map(|series| {
                        let mut labels: Vec<_> = series.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
                        labels.sort();
                        labels
                    }).collect();
                    labels.sort();
                    let all = labels.len();
                    labels.dedup();
                    prop_assert_eq!(labels.len(), all);
                    for series in &family.series {
                        prop_assert!(series.timestamp_ms.is_none());
                        prop_assert!(!matches!(series.value, Value::Number(number) if number.is_nan()));
                        prop_assert!(!matches!(&series.value, Value::Histogram(parts) if parts.repeated));
                    }
                }
            }
        }
    }
}
