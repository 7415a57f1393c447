//! The parts of one line.

use std::collections::BTreeSet;

use super::{Fault, Kind, malformed};

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
                let no_bound = || malformed(format!("{value:?} is no number for le or quantile"));
                let point = number_of(value.as_bytes()).ok_or_else(no_bound)?;
                // NaN is how the format's own parser says "none".
                read.point = Some(point).filter(|point| !point.is_nan());
            } else if seen.insert(name) {
                read.pairs.push((name.to_owned(), value));
            } else {
                return Err(malformed(format!("the label {name:?} is there twice")));
            }
            cursor.skip_blanks();
            if !cursor.take(b',') && cursor.peek() != Some(b'}') {
                return Err(malformed("',' or '}' after a label value expected"));
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
        "" => return Err(malformed("no label name where one belongs")),
        "__name__" => return Err(malformed("the label name \"__name__\" is reserved")),
        _ => {}
    }
    for (byte, what) in [(b'=', "'=' after a label name"), (b'"', "'\"' before a label value")] {
        cursor.skip_blanks();
        if !cursor.take(byte) {
            return Err(malformed(format!("{what} expected")));
        }
    }
    let value =
        String::from_utf8(cursor.unescaped(true)?).map_err(|_not_utf8| malformed("a label value is not UTF-8"))?;
    Ok((name, value))
}

/// What is wrong with a sample line that does not begin with a metric name.
pub(super) fn no_name(mut cursor: Cursor<'_>) -> Fault {
    if !cursor.take(b'{') {
        return malformed("the sample does not begin with a metric name");
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
        return Err(malformed("blanks after the value"));
    }
    let timestamp =
        word.parse().map_err(|_no_number| malformed(format!("{word:?} after the value is no timestamp")))?;
    if cursor.peek().is_some() { Err(malformed("something follows the timestamp")) } else { Ok(timestamp) }
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

    /// Reads a label's value up to and including its closing quote, or the text of HELP to the end of the line, and
    /// undoes the escapes.
    pub(super) fn unescaped(&mut self, is_label: bool) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.take_while(|_, b| b != b'\\' && !(is_label && b == b'"')));
            match (self.rest, is_label) {
                ([], false) => return Ok(text),
                ([] | [b'\\'], true) => return Err(malformed("'\"' after a label value expected")),
                ([b'"', rest @ ..], _) => {
                    self.rest = rest;
                    return Ok(text);
                }
                ([_, b'n', ..], _) => text.push(b'\n'),
                ([_, b'\\', ..], _) => text.push(b'\\'),
                ([_, b'"', ..], true) => text.push(b'"'),
                (rest, _) => return Err(Fault::Escape(char::from(*rest.get(1).unwrap_or(&b'\n')))),
            }
            *self = self.after(2);
        }
    }
}
