//! The text exposition format 0.0.4, read as strictly as node_exporter 1.5 reads a textfile.
//!
//! What this reader refuses, the parser inside node_exporter (`expfmt` of prometheus/common 0.37) refuses too, and the
//! other way round, odd corners included: blanks after a value, a missing last line feed, a second HELP. Later versions
//! also take quoted names in braces; those are refused here, because a file must do for every version in use.

mod line;

use std::borrow::Cow;
use std::collections::BTreeMap;

use self::line::{BLANKS, Cursor, labels, no_name, number_of, timestamp};
use crate::model::words;

/// A series takes a few hundred bytes of memory, and four of the text.
const MAX_SERIES: usize = 1_000_000;

words! {
    Kind {
        Counter = "counter",
        Gauge = "gauge",
        Summary = "summary",
        /// Also where no type is stated.
        Untyped = "untyped",
        Histogram = "histogram",
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Name, without `_bucket`, `_sum`, `_count` for histograms and summaries.
    pub name: String,
    /// HELP unescaped; `None` if there was none. Bytes that are no UTF-8 are replaced.
    pub help: Option<String>,
    pub kind: Kind,
    /// Line on which the family is first named, from 1.
    pub line: usize,
    pub series: Vec<Series>,
}

/// Names and values as written.
pub type Labels = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Without `le` of a histogram and `quantile` of a summary.
    pub labels: Labels,
    pub value: Value,
    /// A timestamp in milliseconds on any of its lines; the last one counts.
    pub timestamp_ms: Option<i64>,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Histogram(Distribution),
    Summary(Distribution),
}

/// A histogram's cumulative buckets (bound, count), or a summary's quantiles (quantile, value).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// In the order of the lines, `+Inf` included if it is written.
    pub points: Vec<(f64, f64)>,
    pub sum: Option<f64>,
    pub count: Option<f64>,
    /// Whether `_sum` or `_count` was given more than once; the last one counts.
    pub repeated: bool,
    /// Whether a bucket or a count was below zero, the repeated ones included.
    pub below_zero: bool,
}

impl Distribution {
    fn add(&mut self, part: Part, point: Option<f64>, value: f64) {
        match (part, point) {
            (Part::Sum, _) => self.repeated |= self.sum.replace(value).is_some(),
            (Part::Count, _) => self.repeated |= self.count.replace(value).is_some(),
            (Part::Point, Some(point)) => self.points.push((point, value)),
            // A bucket without `le` says nothing; the format lets it pass.
            (Part::Point, None) => return,
        }
        self.below_zero |= part != Part::Sum && value < 0.0;
    }
}

impl Series {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why a text is no exposition; lines count from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ReadError {
    pub line: usize,
    pub fault: Fault,
}

/// What is wrong with a line; those of which node_exporter's versions make different things have a variant of their own.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// `plain` if the name has only characters that need no quotes.
    #[error("the metric name stands in quotes between the braces")]
    QuotedName { plain: bool },
    #[error("the sample has labels, but no metric name")]
    NamelessSample,
    #[error("a label name stands in quotes")]
    QuotedLabel,
    #[error("unknown escape \"\\{}\"", .0.escape_debug())]
    Escape(char),
    #[error("unknown type {0:?}")]
    UnknownType(String),
    #[error("more than {MAX_SERIES} series, too many to be read")]
    TooManySeries,
    #[error("{0}")]
    Malformed(String),
}

fn malformed(sentence: impl Into<String>) -> Fault {
    Fault::Malformed(sentence.into())
}

/// Reads an exposition; families without a sample are left out.
/// Errors: [`ReadError`] with the first line that node_exporter would refuse, or that has a series too many.
pub fn parse(text: &[u8]) -> Result<Vec<Family>, ReadError> {
    let mut reader = Reader::default();
    for (line, bytes) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        let read = match bytes.strip_suffix(b"\n") {
            Some(bytes) => reader.line(line, bytes),
            // Blanks at the very end are no line; anything else must be ended.
            None if bytes.iter().all(|byte| b" \t".contains(byte)) => Ok(()),
            None => Err(malformed("the last line does not end in a line feed")),
        };
        read.map_err(|fault| ReadError { line, fault })?;
    }
    reader.families.retain(|family| !family.family.series.is_empty());
    Ok(reader.families.into_iter().map(|open| open.family).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Point,
    Sum,
    Count,
}

#[derive(Debug)]
struct Open {
    family: Family,
    /// Whether the type is settled, by a TYPE line or by a first sample.
    typed: bool,
    /// Series of histograms and summaries by their sorted labels.
    by_labels: BTreeMap<Labels, usize>,
}

#[derive(Debug, Default)]
struct Reader {
    families: Vec<Open>,
    by_name: BTreeMap<String, usize>,
    series: usize,
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(line);
        let mut cursor = Cursor(&text);
        cursor.skip_blanks();
        match &text {
            _ if cursor.0.is_empty() => Ok(()),
            _ if cursor.take('#') => self.comment(number, cursor),
            Cow::Borrowed(_) => self.sample(number, cursor),
            Cow::Owned(_) => Err(malformed("the sample is not UTF-8")),
        }
    }

    fn comment(&mut self, number: usize, mut cursor: Cursor<'_>) -> Result<(), Fault> {
        cursor.skip_blanks();
        let keyword = cursor.word();
        if cursor.0.is_empty() || !["HELP", "TYPE"].contains(&keyword) {
            return Ok(());
        }
        cursor.skip_blanks();
        let name = cursor.name(true);
        if cursor.0.is_empty() {
            return Ok(());
        }
        if name.is_empty() || !cursor.0.starts_with(BLANKS) {
            return Err(malformed("no metric name after HELP or TYPE"));
        }
        let (index, _) = self.family(number, name);
        let open = &mut self.families[index];
        cursor.skip_blanks();
        match keyword {
            _ if cursor.0.is_empty() => {}
            "HELP" if open.family.help.is_some() => {
                return Err(malformed(format!("second HELP for {:?}", open.family.name)));
            }
            "HELP" => open.family.help = Some(cursor.unescaped(false)?),
            _ if open.typed => {
                return Err(malformed(format!("TYPE of {:?} given twice or after its samples", open.family.name)));
            }
            _ => {
                // Any mixture of upper and lower case is taken, as `expfmt` does.
                let known = Kind::ALL.iter().find(|kind| kind.as_str().eq_ignore_ascii_case(cursor.0));
                open.family.kind = *known.ok_or_else(|| Fault::UnknownType(cursor.0.to_owned()))?;
                open.typed = true;
            }
        }
        Ok(())
    }

    fn sample(&mut self, number: usize, mut cursor: Cursor<'_>) -> Result<(), Fault> {
        let name = cursor.name(true);
        if name.is_empty() {
            return Err(no_name(cursor));
        }
        let (index, part) = self.family(number, name);
        self.families[index].typed = true;
        cursor.skip_blanks();
        let (labels, point) = labels(&mut cursor, self.families[index].family.kind)?;
        let word = cursor.word();
        let value = number_of(word).ok_or_else(|| malformed(format!("{word:?} is no number")))?;
        let timestamp_ms = timestamp(cursor)?;

        let series = self.series(index, number, labels)?;
        series.timestamp_ms = timestamp_ms.or(series.timestamp_ms);
        match &mut series.value {
            Value::Number(number) => *number = value,
            Value::Histogram(distribution) | Value::Summary(distribution) => distribution.add(part, point, value),
        }
        Ok(())
    }

    /// The family that a name belongs to, made if it is new, and the part of it that the name means.
    fn family(&mut self, line: usize, name: &str) -> (usize, Part) {
        if let Some(index) = self.by_name.get(name) {
            return (*index, Part::Point);
        }
        for (suffix, part) in [("_count", Part::Count), ("_sum", Part::Sum), ("_bucket", Part::Point)] {
            let Some(&index) = name.strip_suffix(suffix).and_then(|base| self.by_name.get(base)) else { continue };
            let kind = self.families[index].family.kind;
            if kind == Kind::Histogram || kind == Kind::Summary && part != Part::Point {
                return (index, part);
            }
        }
        let index = self.families.len();
        self.by_name.insert(name.to_owned(), index);
        let family = Family { name: name.to_owned(), help: None, kind: Kind::Untyped, line, series: Vec::new() };
        self.families.push(Open { family, typed: false, by_labels: BTreeMap::new() });
        (index, Part::Point)
    }

    /// The series a sample adds to: a new one for plain numbers, the one with the same labels for distributions.
    fn series(&mut self, index: usize, line: usize, labels: Labels) -> Result<&mut Series, Fault> {
        let open = &mut self.families[index];
        let value = match open.family.kind {
            Kind::Histogram => Value::Histogram(Distribution::default()),
            Kind::Summary => Value::Summary(Distribution::default()),
            Kind::Counter | Kind::Gauge | Kind::Untyped => Value::Number(0.0),
        };
        let next = open.family.series.len();
        let mut position = next;
        if !matches!(value, Value::Number(_)) {
            let mut key = labels.clone();
            key.sort();
            position = *open.by_labels.entry(key).or_insert(next);
        }
        if position == next {
            self.series += 1;
            if self.series > MAX_SERIES {
                return Err(Fault::TooManySeries);
            }
            open.family.series.push(Series { labels, value, timestamp_ms: None, line });
        }
        Ok(&mut open.family.series[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentence of the error, or the families as `name kind series`.
    fn judged(text: &str) -> Result<String, String> {
        let families = parse(text.as_bytes()).map_err(|e| e.to_string())?;
        let shown = families.iter().map(|f| format!("{} {} {}", f.name, f.kind.as_str(), f.series.len()));
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_the_format_allows_is_read() {
        for (text, families) in [
            ("", ""),
            ("  \t", ""),
            ("\n\n# a comment\n#\n# EOF\n", ""),
            ("# HELP a_metric only help\n# TYPE b gauge\n", ""),
            ("a 1\n", "a untyped 1"),
            ("  a\t{} \t1\n", "a untyped 1"),
            ("a{x=\"1\",}1\na{x=\"2\"} 0x\n".replace("0x", "+Inf").as_str(), "a untyped 2"),
            ("#HELP a b\n#TYPE a CoUnTer\na .5\n", "a counter 1"),
            ("# TYPE a gauge\na -1\na-1\n", "a gauge 2"),
            ("# HELP a\n# HELP a \n# HELP a text\na 1\n", "a untyped 1"),
            ("a 1 -5\n", "a untyped 1"),
            ("a{le=\"x\",quantile=\"y\"} nan\n", "a untyped 1"),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\nh_total 1\n",
                "h histogram 1, h_total untyped 1",
            ),
            ("# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_bucket 1\n", "s summary 1, s_bucket untyped 1"),
        ] {
            assert_eq!(judged(text).as_deref(), Ok(families), "{text:?}");
        }
    }

    #[test]
    fn what_node_exporter_refuses_is_refused_with_its_line() {
        for (text, sentence) in [
            ("a 1", "line 1: the last line does not end in a line feed"),
            ("a 1\n# no end", "line 2: the last line does not end in a line feed"),
            ("a 1\n{x=\"y\"} 1\n", "line 2: the sample has labels, but no metric name"),
            ("{\"a\",x=\"y\"} 1\n", "line 1: the metric name stands in quotes between the braces"),
            ("1a 1\n", "line 1: the sample does not begin with a metric name"),
            ("# HELP 1a x\n", "line 1: no metric name after HELP or TYPE"),
            ("# TYPE a! gauge\n", "line 1: no metric name after HELP or TYPE"),
            ("a{1=\"\"} 1\n", "line 1: no label name where one belongs"),
            ("a{,} 1\n", "line 1: no label name where one belongs"),
            ("a{\"x\"=\"\"} 1\n", "line 1: a label name stands in quotes"),
            ("a{x:y=\"\"} 1\n", "line 1: '=' after a label name expected"),
            ("a{x=y} 1\n", "line 1: '\"' before a label value expected"),
            ("a{x=\"y} 1\n", "line 1: '\"' after a label value expected"),
            ("a{x=\"y\\\n", "line 1: '\"' after a label value expected"),
            ("a{x=\"y\"z=\"\"} 1\n", "line 1: ',' or '}' after a label value expected"),
            ("a{__name__=\"y\"} 1\n", "line 1: the label name \"__name__\" is reserved"),
            ("a{x=\"\",x=\"\"} 1\n", "line 1: the label \"x\" is there twice"),
            ("a{x=\"\\t\"} 1\n", "line 1: unknown escape \"\\t\""),
            ("# HELP a \\\"\n", "line 1: unknown escape \"\\\\\"\""),
            ("# HELP a x\\\n", "line 1: unknown escape \"\\\\n\""),
            ("a\n", "line 1: \"\" is no number"),
            ("a 1e999\n", "line 1: \"1e999\" is no number"),
            ("a +nan\n", "line 1: \"+nan\" is no number"),
            ("a 1_0\n", "line 1: \"1_0\" is no number"),
            ("a 0x1p3\n", "line 1: \"0x1p3\" is no number"),
            ("a 1\r\n", "line 1: \"1\\r\" is no number"),
            ("a 1 \n", "line 1: blanks after the value"),
            ("a 1 1.5\n", "line 1: \"1.5\" after the value is no timestamp"),
            ("a 1 1 \n", "line 1: something follows the timestamp"),
            ("# HELP a x\n# HELP a x\n", "line 2: second HELP for \"a\""),
            ("# TYPE a gauge\n# TYPE a gauge\n", "line 2: TYPE of \"a\" given twice or after its samples"),
            ("a 1\n# TYPE a gauge\n", "line 2: TYPE of \"a\" given twice or after its samples"),
            ("# TYPE a info\n", "line 1: unknown type \"info\""),
            ("# TYPE a gauge \n", "line 1: unknown type \"gauge \""),
            ("# TYPE a histogram\na_bucket{le=\"x\"} 1\n", "line 2: \"x\" is no number for le or quantile"),
            ("# TYPE a histogram\n# HELP a x\n# HELP a_sum x\n", "line 3: second HELP for \"a\""),
        ] {
            assert_eq!(judged(text).as_ref().map_err(String::as_str), Err(sentence), "{text:?}");
        }
        let not_utf8 = parse(b"a{x=\"\xff\"} 1\n").expect_err("refused");
        assert_eq!(not_utf8.to_string(), "line 1: the sample is not UTF-8");
    }

    #[test]
    fn a_histogram_is_one_series_of_bounds_sum_and_count() {
        let text = "# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 3\nh_sum{a=\"b\"} 2.5\nh_count{a=\"b\"} 3 7\n";
        let families = parse(text.as_bytes()).expect("valid");
        let expected = Distribution {
            points: vec![(1.0, 1.0), (f64::INFINITY, 3.0)],
            sum: Some(2.5),
            count: Some(3.0),
            ..Distribution::default()
        };
        let [series] = families[0].series.as_slice() else { panic!("one series: {families:?}") };
        assert_eq!(series.value, Value::Histogram(expected));
        assert_eq!((series.label("a"), series.label("le"), series.timestamp_ms), (Some("b"), None, Some(7)));
    }

    #[test]
    fn more_series_than_memory_is_there_for_are_refused() {
        let refused = parse(&b"a 1\n".repeat(MAX_SERIES + 1));
        assert!(matches!(refused, Err(ReadError { line: 1_000_001, fault: Fault::TooManySeries })));
    }
}
