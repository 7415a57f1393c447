//! What can be wrong with an exposition.

use std::fmt;
use std::io;

/// Why a text is no exposition.
#[derive(Debug)]
pub struct ReadError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// What can be wrong with a line.
#[derive(Debug)]
pub enum Fault {
    /// The text ends in the middle of a line.
    NoFinalLineFeed,
    /// A sample does not begin with a metric name.
    MetricName,
    /// A sample begins with a brace and a quoted name; `plain` if the name would do without the quotes.
    QuotedName {
        /// Whether the name has only characters that need no quotes.
        plain: bool,
    },
    /// A sample begins with a brace and labels: it has no name at all.
    NamelessSample,
    /// HELP or TYPE is followed by something that is no metric name.
    CommentName,
    /// Something that is no label name stands where one belongs.
    LabelName,
    /// A label name in quotes.
    QuotedLabel,
    /// The label `__name__`.
    ReservedLabel,
    /// A label that the series already has.
    SecondLabel(String),
    /// This was expected at this place between the braces.
    Expected(&'static str),
    /// A backslash before something else than `\`, `n` and, in a label value, `"`.
    Escape(char),
    /// A label value that is not UTF-8.
    NotUtf8,
    /// Not a number.
    Number(String),
    /// `le` or `quantile` is not a number.
    Bound(String),
    /// Not a whole number after the value; empty for blanks at the end of the line.
    Timestamp(String),
    /// Something after the timestamp.
    AfterTimestamp,
    /// HELP given twice.
    SecondHelp(String),
    /// TYPE given twice, or after a sample of the family.
    LateType(String),
    /// Not a type of this format.
    UnknownType(String),
    /// More than [`Limits`] allow.
    TooLarge(&'static str),
    /// The input could not be read.
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoFinalLineFeed => f.write_str("the last line does not end in a line feed"),
            Fault::MetricName => f.write_str("the sample does not begin with a metric name"),
            Fault::QuotedName { .. } => f.write_str("the metric name stands in quotes between the braces"),
            Fault::NamelessSample => f.write_str("the sample has labels, but no metric name"),
            Fault::CommentName => f.write_str("no metric name after HELP or TYPE"),
            Fault::LabelName => f.write_str("no label name where one belongs"),
            Fault::QuotedLabel => f.write_str("a label name stands in quotes"),
            Fault::ReservedLabel => f.write_str("the label name \"__name__\" is reserved"),
            Fault::SecondLabel(name) => write!(f, "the label {name:?} is there twice"),
            Fault::Expected(what) => write!(f, "{what} expected"),
            Fault::Escape(c) => write!(f, "unknown escape \"\\{}\"", c.escape_debug()),
            Fault::NotUtf8 => f.write_str("a label value is not UTF-8"),
            Fault::Number(text) => write!(f, "{text:?} is no number"),
            Fault::Bound(text) => write!(f, "{text:?} is no number for le or quantile"),
            Fault::Timestamp(text) if text.is_empty() => f.write_str("blanks after the value"),
            Fault::Timestamp(text) => write!(f, "{text:?} after the value is no timestamp"),
            Fault::AfterTimestamp => f.write_str("something follows the timestamp"),
            Fault::SecondHelp(name) => write!(f, "second HELP for {name:?}"),
            Fault::LateType(name) => write!(f, "TYPE of {name:?} given twice or after its samples"),
            Fault::UnknownType(word) => write!(f, "unknown type {word:?}"),
            Fault::TooLarge(what) => write!(f, "more {what} than are read"),
            Fault::Io(error) => write!(f, "cannot be read: {error}"),
        }
    }
}
