//! The parts of one line.

use std::collections::BTreeSet;

use super::{Fault, Kind, Labels, malformed};

pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// Reads `{…}` and the blanks behind it, if there is a brace: the labels of a sample, and apart from them the number of `le` or
/// `quantile`.
pub(super) fn labels(cursor: &mut Cursor<'_>, kind: Kind) -> Result<(Labels, Option<f64>), Fault> {
    let point_label = match kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        Kind::Counter | Kind::Gauge | Kind::Untyped => "",
    };
    let (mut labels, mut point, mut seen) = (Vec::new(), None, BTreeSet::new());
    if !cursor.take('{') {
        return Ok((labels, point));
    }
    loop {
        cursor.skip_blanks();
        if cursor.take('}') {
            break;
        }
        let (name, value) = pair(cursor)?;
        if name == point_label {
            let no_bound = || malformed(format!("{value:?} is no number for le or quantile"));
            // NaN is how the format's own parser says "none".
            point = Some(number_of(&value).ok_or_else(no_bound)?).filter(|point| !point.is_nan());
        } else if seen.insert(name) {
            labels.push((name.to_owned(), value));
        } else {
            return Err(malformed(format!("the label {name:?} is there twice")));
        }
        cursor.skip_blanks();
        if !cursor.take(',') && !cursor.0.starts_with('}') {
            return Err(malformed("',' or '}' after a label value expected"));
        }
    }
    cursor.skip_blanks();
    Ok((labels, point))
}

fn pair<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, String), Fault> {
    let name = cursor.name(false);
    match name {
        "" if cursor.0.starts_with('"') => return Err(Fault::QuotedLabel),
        "" => return Err(malformed("no label name where one belongs")),
        "__name__" => return Err(malformed("the label name \"__name__\" is reserved")),
        _ => {}
    }
    for (sign, what) in [('=', "'=' after a label name"), ('"', "'\"' before a label value")] {
        cursor.skip_blanks();
        if !cursor.take(sign) {
            return Err(malformed(format!("{what} expected")));
        }
    }
    Ok((name, cursor.unescaped(true)?))
}

/// What is wrong with a sample line that does not begin with a metric name.
pub(super) fn no_name(mut cursor: Cursor<'_>) -> Fault {
    if !cursor.take('{') {
        return malformed("the sample does not begin with a metric name");
    }
    cursor.skip_blanks();
    if !cursor.take('"') {
        return Fault::NamelessSample;
    }
    let name = cursor.name(true);
    Fault::QuotedName { plain: !name.is_empty() && cursor.0.starts_with('"') }
}

/// Reads the timestamp behind a value, if anything is there; the cursor stands at the blank before it.
pub(super) fn timestamp(mut cursor: Cursor<'_>) -> Result<Option<i64>, Fault> {
    if cursor.0.is_empty() {
        return Ok(None);
    }
    cursor.skip_blanks();
    let word = cursor.word();
    match word.parse() {
        _ if word.is_empty() => Err(malformed("blanks after the value")),
        Err(_) => Err(malformed(format!("{word:?} after the value is no timestamp"))),
        Ok(_) if !cursor.0.is_empty() => Err(malformed("something follows the timestamp")),
        Ok(timestamp) => Ok(Some(timestamp)),
    }
}

/// A number as Go's `strconv.ParseFloat` takes it in this format: no sign before NaN, no overflow to infinity.
pub(super) fn number_of(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    let letter = |c: char| unsigned.starts_with([c, c.to_ascii_uppercase()]);
    let overflowed = number.is_infinite() && !letter('i');
    let signed_nan = number.is_nan() && unsigned.len() != text.len();
    (!overflowed && !signed_nan).then_some(number)
}

/// What is left of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a str);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, sign: char) -> bool {
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.0.split_at(self.0.find(|c| !wanted(c)).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches(BLANKS);
    }

    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(|c| !BLANKS.contains(&c))
    }

    /// The name of a metric, which may have colons, or of a label; empty if there is none.
    pub(super) fn name(&mut self, is_metric: bool) -> &'a str {
        if self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return "";
        }
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || is_metric && c == ':')
    }

    /// Reads a label's value up to and including its closing quote, or the text of HELP to the end of the line, and
    /// undoes the escapes.
    pub(super) fn unescaped(&mut self, is_label: bool) -> Result<String, Fault> {
        let mut text = String::new();
        let mut rest = self.0.chars();
        let unclosed = || malformed("'\"' after a label value expected");
        loop {
            match rest.next() {
                None if is_label => return Err(unclosed()),
                None => break,
                Some('"') if is_label => break,
                Some('\\') => match rest.next() {
                    None if is_label => return Err(unclosed()),
                    Some('n') => text.push('\n'),
                    Some('\\') => text.push('\\'),
                    Some('"') if is_label => text.push('"'),
                    other => return Err(Fault::Escape(other.unwrap_or('\n'))),
                },
                Some(plain) => text.push(plain),
            }
        }
        self.0 = rest.as_str();
        Ok(text)
    }
}
