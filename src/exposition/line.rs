//! The parts of one line.

use std::collections::BTreeSet;

use super::{Fault, Kind};

/// The labels of one sample line, with `le` or `quantile` taken out.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) point: Option<f64>,
}

impl Labels {
    /// Reads `{…}` and the blanks behind it; the cursor stands at the brace.
    pub(super) fn read(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Self, Fault> {
        let point_label = match kind {
            Kind::Histogram => Some("le"),
            Kind::Summary => Some("quantile"),
            Kind::Counter | Kind::Gauge | Kind::Untyped => None,
        };
        let mut read = Labels::default();
        let mut seen = BTreeSet::new();
        *cursor = cursor.after(1);
        loop {
            cursor.skip_blanks();
            if cursor.take(b'}') {
                break;
            }
            let (name, value) = pair(cursor)?;
            if point_label == Some(name) {
                let point = number_of(value.as_bytes()).ok_or(Fault::Bound(value))?;
                // NaN is how the format's own parser says "none".
                read.point = Some(point).filter(|point| !point.is_nan());
            } else if seen.insert(name) {
                read.pairs.push((name.to_owned(), value));
            } else {
                return Err(Fault::SecondLabel(name.to_owned()));
            }
            cursor.skip_blanks();
            if !cursor.take(b',') {
                if cursor.take(b'}') {
                    break;
                }
                return Err(Fault::Expected("',' or '}' after a label value"));
            }
        }
        cursor.skip_blanks();
        Ok(read)
    }
}

fn pair<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, String), Fault> {
    let name = cursor.label_name();
    match name {
        "" if cursor.peek() == Some(b'"') => return Err(Fault::QuotedLabel),
        "" => return Err(Fault::LabelName),
        "__name__" => return Err(Fault::ReservedLabel),
        _ => {}
    }
    cursor.skip_blanks();
    if !cursor.take(b'=') {
        return Err(Fault::Expected("'=' after a label name"));
    }
    cursor.skip_blanks();
    if !cursor.take(b'"') {
        return Err(Fault::Expected("'\"' before a label value"));
    }
    Ok((name, cursor.label_value()?))
}

/// What is wrong with a sample line that does not begin with a metric name.
pub(super) fn no_name(mut cursor: Cursor<'_>) -> Fault {
    if !cursor.take(b'{') {
        return Fault::MetricName;
    }
    cursor.skip_blanks();
    if !cursor.take(b'"') {
        return Fault::NamelessSample;
    }
    let name = cursor.metric_name();
    Fault::QuotedName { plain: !name.is_empty() && cursor.peek() == Some(b'"') }
}

/// Reads the timestamp behind a value; the cursor stands at the blank before it.
pub(super) fn timestamp(mut cursor: Cursor<'_>) -> Result<i64, Fault> {
    cursor.skip_blanks();
    let word = String::from_utf8_lossy(cursor.word()).into_owned();
    if word.is_empty() {
        return Err(Fault::Blanks);
    }
    let timestamp = word.parse().map_err(|_not_a_number| Fault::Timestamp(word))?;
    if cursor.peek().is_some() { Err(Fault::AfterTimestamp) } else { Ok(timestamp) }
}

/// A number as Go's `strconv.ParseFloat` takes it in this format: no sign before NaN, no overflow to infinity.
pub(super) fn number_of(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let number: f64 = text.parse().ok()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    let letter = |c: char| unsigned.starts_with([c, c.to_ascii_uppercase()]);
    let overflowed = number.is_infinite() && !letter('i');
    let signed_nan = number.is_nan() && unsigned.len() != text.len();
    (!overflowed && !signed_nan).then_some(number)
}

/// Undoes the escapes of HELP: `\\` and `\n`.
pub(super) fn unescape_help(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'\\') => out.push(b'\\'),
            Some(b'n') => out.push(b'\n'),
            other => return Err(Fault::Escape(char::from(other.copied().unwrap_or(b'\n')))),
        }
    }
    Ok(out)
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn after(self, bytes: usize) -> Self {
        Cursor { rest: &self.rest[bytes..] }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            *self = self.after(1);
        }
        there
    }

    fn take_while(&mut self, wanted: impl Fn(usize, u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().enumerate().position(|(i, b)| !wanted(i, *b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(|_, b| is_blank(b));
    }

    pub(super) fn word(&mut self) -> &'a [u8] {
        self.take_while(|_, b| !is_blank(b))
    }

    pub(super) fn metric_name(&mut self) -> &'a str {
        self.name(|i, b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || (i > 0 && b.is_ascii_digit()))
    }

    fn label_name(&mut self) -> &'a str {
        self.name(|i, b| b.is_ascii_alphabetic() || b == b'_' || (i > 0 && b.is_ascii_digit()))
    }

    fn name(&mut self, wanted: impl Fn(usize, u8) -> bool) -> &'a str {
        // Only ASCII is taken, so this is always UTF-8.
        std::str::from_utf8(self.take_while(wanted)).unwrap_or_default()
    }

    /// Reads up to and including the closing quote, and undoes the escapes.
    fn label_value(&mut self) -> Result<String, Fault> {
        let mut value = Vec::new();
        loop {
            value.extend_from_slice(self.take_while(|_, b| !matches!(b, b'"' | b'\\')));
            if self.take(b'"') {
                return String::from_utf8(value).map_err(|_not_utf8| Fault::NotUtf8);
            }
            value.push(match self.rest.get(1) {
                Some(b'n') => b'\n',
                Some(&escaped @ (b'"' | b'\\')) => escaped,
                Some(other) => return Err(Fault::Escape(char::from(*other))),
                None => return Err(Fault::Expected("'\"' after a label value")),
            });
            *self = self.after(2);
        }
    }
}
