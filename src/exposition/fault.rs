//! What can be wrong with an exposition.

use std::io;

/// Why a text is no exposition; lines count from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ReadError {
    pub line: usize,
    pub fault: Fault,
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the last line does not end in a line feed")]
    NoFinalLineFeed,
    #[error("the sample does not begin with a metric name")]
    MetricName,
    /// `plain` if the name has only characters that need no quotes.
    #[error("the metric name stands in quotes between the braces")]
    QuotedName { plain: bool },
    #[error("the sample has labels, but no metric name")]
    NamelessSample,
    #[error("no metric name after HELP or TYPE")]
    CommentName,
    #[error("no label name where one belongs")]
    LabelName,
    #[error("a label name stands in quotes")]
    QuotedLabel,
    #[error("the label name \"__name__\" is reserved")]
    ReservedLabel,
    #[error("the label {0:?} is there twice")]
    SecondLabel(String),
    #[error("{0} expected")]
    Expected(&'static str),
    #[error("unknown escape \"\\{}\"", .0.escape_debug())]
    Escape(char),
    #[error("a label value is not UTF-8")]
    NotUtf8,
    #[error("{0:?} is no number")]
    Number(String),
    #[error("{0:?} is no number for le or quantile")]
    Bound(String),
    #[error("blanks after the value")]
    Blanks,
    #[error("{0:?} after the value is no timestamp")]
    Timestamp(String),
    #[error("something follows the timestamp")]
    AfterTimestamp,
    #[error("second HELP for {0:?}")]
    SecondHelp(String),
    #[error("TYPE of {0:?} given twice or after its samples")]
    LateType(String),
    #[error("unknown type {0:?}")]
    UnknownType(String),
    /// More than [`super::Limits`] allow.
    #[error("more {0} than are read")]
    TooLarge(&'static str),
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}
