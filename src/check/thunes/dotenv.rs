//! The daily loss limit, from the config or from the application's `.env`; nothing else of that file is kept.
//!
//! The file is read as python-dotenv reads it, which the application uses: values may span lines in quotes, and a line of
//! such a value is no setting whatever it says.

use std::io;
use std::path::Path;

use crate::fs::read_capped;
use crate::model::thunes::ThunesTarget;

/// The limit where nobody states one, in quote currency.
const DEFAULT_LIMIT: f64 = 20.0;

/// A larger `.env` is none.
const MAX_BYTES: u64 = 1 << 20;

const KEY: &str = "MAX_DAILY_LOSS";

/// The limit in force. `was_stated`: the file has stated it before, and does so now.
///
/// # Errors
/// A sentence if `.env` is there and cannot be read, or states no positive number, or has ceased to state one: then no ratio
/// to any limit is right.
pub(super) fn max_daily_loss(target: &ThunesTarget, was_stated: &mut bool) -> Result<f64, String> {
    if let Some(limit) = target.max_daily_loss {
        return Ok(limit);
    }
    let path = target.root.join(".env");
    let stated = match read_capped(&path, MAX_BYTES) {
        Ok(bytes) => stated(&bytes)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(format!("cannot read {} for {KEY}: {e}; set max_daily_loss", shown(&path))),
    };
    *was_stated |= stated.is_some();
    match stated {
        Some(limit) => Ok(limit),
        None if *was_stated => Err(format!(".env does not state {KEY} any more; restore it or set max_daily_loss")),
        None => Ok(DEFAULT_LIMIT),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The limit that the file states. The value itself is never repeated: it comes from a file full of secrets.
fn stated(bytes: &[u8]) -> Result<Option<f64>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| format!(".env is no UTF-8: {e}; correct it or set max_daily_loss"))?;
    match value(text) {
        Value::Absent => Ok(None),
        Value::Text(text) => match text.trim().parse() {
            Ok(limit) if limit > 0.0 && f64::is_finite(limit) => Ok(Some(limit)),
            _ => Err(format!("{KEY} in .env is no positive number; correct it or set max_daily_loss")),
        },
        Value::Unclear => Err(format!("the line of .env with {KEY} cannot be read; correct it or set max_daily_loss")),
    }
}

/// What a file says of the key.
#[derive(Debug, PartialEq)]
enum Value {
    Absent,
    Text(String),
    /// It is there, and nobody can say what the application makes of it.
    Unclear,
}

fn value(text: &str) -> Value {
    let mut found = Value::Absent;
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        match binding(rest) {
            // A reference to a variable means that of the application's environment, which is not known.
            Ok((KEY, Some(value), after)) => {
                found = if value.contains("${") { Value::Unclear } else { Value::Text(value) };
                rest = after;
            }
            Ok((KEY, None, after)) => (found, rest) = (Value::Unclear, after),
            Ok((key, _, after)) => {
                // python-dotenv takes a byte order mark for a part of the first key.
                if key.trim_start_matches('\u{feff}') == KEY {
                    found = Value::Unclear;
                }
                rest = after;
            }
            Err(at) => {
                let after = &at[line_end(at)..];
                if rest[..rest.len() - after.len()].contains(KEY) {
                    found = Value::Unclear;
                }
                rest = after;
            }
        }
    }
}

fn line_end(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}

/// One line, or more where the value has more: its key, its value, and what follows. A comment has the key ``.
///
/// # Errors
/// From where on python-dotenv cannot parse it: it leaves the rest of that line out.
fn binding(text: &str) -> Result<(&str, Option<String>, &str), &str> {
    let mut rest = text;
    if let Some(exported) = rest.strip_prefix("export").filter(|after| after.starts_with(is_blank)) {
        rest = exported.trim_start_matches(is_blank);
    }
    let mut key = "";
    if let Some(quoted) = rest.strip_prefix('\'') {
        (key, rest) = quoted.split_once('\'').filter(|(key, _)| !key.is_empty()).ok_or(rest)?;
    } else if !rest.starts_with('#') {
        let end = rest.find(|c: char| c == '=' || c == '#' || c.is_whitespace()).unwrap_or(rest.len());
        (key, rest) = rest.split_at(end);
        if key.is_empty() {
            return Err(rest);
        }
    }
    rest = rest.trim_start_matches(is_blank);
    let mut value = None;
    if let Some(after) = rest.strip_prefix('=').filter(|_| !key.is_empty()) {
        let after = after.trim_start_matches(is_blank);
        let (text, after) = value_of(after).ok_or(after)?;
        (value, rest) = (Some(text), after);
    }
    rest = rest.trim_start_matches(is_blank);
    if rest.starts_with('#') {
        rest = &rest[line_end(rest)..];
    }
    if rest.is_empty() || rest.starts_with(['\n', '\r']) { Ok((key, value, rest)) } else { Err(rest) }
}

fn value_of(text: &str) -> Option<(String, &str)> {
    if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        return quoted(&text[1..], quote);
    }
    let (line, rest) = text.split_at(line_end(text));
    // A comment begins with a blank and `#`.
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with(char::is_whitespace));
    Some((line[..comment.unwrap_or(line.len())].trim_end().to_owned(), rest))
}

/// The text up to the closing quote, which a backslash escapes. What other escapes mean is no number anyway.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let is_end = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    let (end, _) = end?;
    Some((text[..end].to_owned(), &text[end + 1..]))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_python_dotenv_reads() {
        let text = |value: &str| Value::Text(value.to_owned());
        for (file, expected) in [
            ("MAX_DAILY_LOSS=50", text("50")),
            ("A=1\nexport MAX_DAILY_LOSS = \"12.5\" # quote currency\r\nB=2", text("12.5")),
            ("export\tMAX_DAILY_LOSS=\t7\t# x", text("7")),
            ("MAX_DAILY_LOSS=1\nMAX_DAILY_LOSS='2'", text("2")),
            ("'MAX_DAILY_LOSS'=2", text("2")),
            ("MAX_DAILY_LOSS=30 # per day", text("30")),
            ("MAX_DAILY_LOSS=30#per day", text("30#per day")),
            ("#MAX_DAILY_LOSS=30\nMAX_DAILY_LOSSES=3", Value::Absent),
            ("KEY=\"first\nMAX_DAILY_LOSS=999\nlast\"\nMAX_DAILY_LOSS=5\n", text("5")),
            ("KEY='a\\'\nMAX_DAILY_LOSS=999\n'\n", Value::Absent),
            ("KEY=\"a\nMAX_DAILY_LOSS=9\n\" x\nB=1", Value::Unclear),
            ("MAX_DAILY_LOSS=\"4\n0\"", text("4\n0")),
            ("MAX_DAILY_LOSS=", text("")),
            ("MAX_DAILY_LOSS\n", Value::Unclear),
            ("MAX_DAILY_LOSS=\"50\nB=1", Value::Unclear),
            ("MAX_DAILY_LOSS='50' 60", Value::Unclear),
            ("MAX_DAILY_LOSS 50", Value::Unclear),
            ("MAX_DAILY_LOSS=${LIMIT}", Value::Unclear),
            ("\u{feff}MAX_DAILY_LOSS=7", Value::Unclear),
            ("=x\nMAX_DAILY_LOSS=7", text("7")),
        ] {
            assert_eq!(value(file), expected, "{file:?}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_refused_without_being_repeated() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = |max_daily_loss| ThunesTarget {
            environment: "testnet".into(),
            root: directory.path().into(),
            positions_db: "positions.db".into(),
            journals: Vec::new(),
            logs: Vec::new(),
            metrics_url: None,
            max_daily_loss,
            unreachable: None,
        };
        let limit = |limit: Option<f64>, was_stated: bool| max_daily_loss(&target(limit), &mut { was_stated });
        assert_eq!(limit(None, false), Ok(20.0));
        assert!(limit(None, true).is_err(), "gone, and the application may still use it");
        for bad in ["s3cr3t", "0", "-5", "inf", "NaN", "", "1e999", "'5"] {
            std::fs::write(directory.path().join(".env"), format!("MAX_DAILY_LOSS={bad}\n")).expect("written");
            let refused = limit(None, false).expect_err("refused");
            assert!(!refused.contains("s3cr3t"), "{refused}");
            assert_eq!(limit(Some(5.0), false), Ok(5.0));
        }
        std::fs::write(directory.path().join(".env"), "API_KEY=x\nMAX_DAILY_LOSS=35.5\n").expect("written");
        assert_eq!(limit(None, false), Ok(35.5));
        std::fs::write(directory.path().join(".env"), "").expect("written");
        assert!(limit(None, true).is_err(), "emptied while it is rewritten");
    }
}
