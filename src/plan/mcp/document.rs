//! A client's config file as a tree of values: JSON with or without comments, TOML or YAML.
//!
//! The files are foreign, and a project's file may be hostile: nothing in one may cost more than reading it. Sizes are
//! capped before this, nesting is capped here, and no message ever quotes the file, which may hold tokens.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde_json::{Map, Value};

use crate::config::diagnose::{Lines, Position};
use crate::yaml::SyntaxError;

pub(super) type Table = Map<String, Value>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// JSON; comments and trailing commas are tolerated, because most clients do.
    Json,
    Toml,
    Yaml,
}

impl Syntax {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Syntax::Toml,
            Some("yaml" | "yml") => Syntax::Yaml,
            _ => Syntax::Json,
        }
    }
}

/// Files hold tokens, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Document {
    /// The table at its root; empty for an empty file.
    pub(super) root: Table,
    /// Set for JSON that has comments or trailing commas.
    pub(super) relaxed: bool,
}

/// Reads a document.
/// Errors: [`SyntaxError`] with the place for anything that is not a table in this syntax.
pub(super) fn parse(bytes: &[u8], syntax: Syntax) -> Result<Document, SyntaxError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let valid = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
        at_offset(&valid, valid.len(), "not UTF-8 text")
    })?;
    if text.trim().is_empty() {
        return Ok(Document { root: Table::new(), relaxed: false });
    }
    let (value, relaxed) = match syntax {
        Syntax::Json => json(text)?,
        Syntax::Toml => (toml(text)?, false),
        Syntax::Yaml => (crate::yaml::read(text)?, false),
    };
    match value {
        Value::Object(root) => Ok(Document { root, relaxed }),
        Value::Null => Ok(Document { root: Table::new(), relaxed }),
        _ => Err(SyntaxError { line: 1, column: 1, message: "expected a table of settings at the top".into() }),
    }
}

/// Strict JSON first: it is the common case. What it refuses is tried with comments and trailing commas; the error
/// shown is the tolerant parser's. Both stop at a nesting depth of their own (128 and 512).
fn json(text: &str) -> Result<(Value, bool), SyntaxError> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok((value, false));
    }
    let text = &*without_lone_surrogates(text);
    if let Ok(value) = serde_json::from_str(text) {
        return Ok((value, false));
    }
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match jsonc_parser::parse_to_serde_value(text, &options) {
        Ok(value) => Ok((value, true)),
        Err(e) => {
            let message = lower_first(&e.kind().to_string());
            // It is said to be where the file begins.
            if message.starts_with("unexpected end") {
                return Err(at_offset(text, text.trim_end().len(), &message));
            }
            Err(SyntaxError { line: e.line_display(), column: e.column_display(), message })
        }
    }
}

/// With U+FFFD for every lone surrogate: an escape that stands for no character, but which JavaScript writes where it has cut a
/// text in the middle of one (histories in `~/.claude.json`).
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
        let (pair, lone) = (r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..", r"\\u[dD][89a-fA-F]..");
        Regex::new(&format!(r"{pair}|({lone})|\\.")).unwrap_or_else(|error| unreachable!("{error}"))
    });
    if !text.contains(r"\u") {
        return Cow::Borrowed(text);
    }
    ESCAPE.replace_all(text, |escape: &Captures<'_>| {
        let is_lone = escape.get(1).is_some();
        if is_lone { r"\ufffd".to_owned() } else { escape[0].to_owned() }
    })
}

fn toml(text: &str) -> Result<Value, SyntaxError> {
    toml::from_str::<Value>(text)
        .map_err(|e| at_offset(text, e.span().map_or(0, |span| span.start), &lower_first(e.message())))
}

fn at_offset(text: &str, offset: usize, message: &str) -> SyntaxError {
    let Position { line, column } = Lines::new(text).position(offset);
    SyntaxError { line, column, message: message.to_owned() }
}

fn lower_first(message: &str) -> String {
    message.split_at_checked(1).map_or_else(|| message.to_owned(), |(first, rest)| first.to_lowercase() + rest)
}

/// What stands at a key; of a key with dots that is not there as it stands, what stands in the tables it names.
pub(super) fn find<'v>(table: &'v Table, key: &str) -> Option<&'v Value> {
    table.get(key).or_else(|| {
        let (first, rest) = key.split_once('.')?;
        find(table.get(first)?.as_object()?, rest)
    })
}

/// Puts `over` on top of `under`: tables key by key, anything else as a whole.
pub(super) fn merged(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(mut all), Value::Object(over)) => {
            for (key, value) in over {
                let value = match all.remove(&key) {
                    Some(below) => merged(below, value),
                    None => value,
                };
                all.insert(key, value);
            }
            Value::Object(all)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str, syntax: Syntax) -> (usize, usize) {
        let error = parse(text.as_bytes(), syntax).err().expect(text);
        (error.line, error.column)
    }

    #[test]
    fn comments_trailing_commas_and_a_byte_order_mark_are_tolerated() {
        let text = "\u{feff}{ // one\n \"mcp\": [1, 2,], /* two */\n}";
        let document = parse(text.as_bytes(), Syntax::Json).expect("tolerated");
        assert!(document.relaxed);
        assert_eq!(document.root["mcp"], serde_json::json!([1, 2]));
        assert!(!parse(b"{\"mcp\": 1}", Syntax::Json).expect("strict").relaxed);
    }

    #[test]
    fn a_lone_surrogate_stands_for_no_character_and_costs_no_file() {
        let text =
            r#"{"cut": "x\ud83d", "low": "\uDE00 \ude00y", "pair": "\ud83d\uDE00", "text": "\\ud83d", "mcp": 1}"#;
        for text in [text.to_owned(), format!("{text} // and a comment")] {
            let root = parse(text.as_bytes(), Syntax::Json).expect("tolerated").root;
            let expected = serde_json::json!({
                "cut": "x\u{fffd}", "low": "\u{fffd} \u{fffd}y", "pair": "\u{1f600}", "text": "\\ud83d", "mcp": 1
            });
            assert_eq!(Value::Object(root), expected);
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_table_and_anything_but_a_table_an_error() {
        for (text, syntax) in
            [("", Syntax::Json), (" \n", Syntax::Yaml), ("# c\n", Syntax::Toml), ("null", Syntax::Json)]
        {
            assert!(parse(text.as_bytes(), syntax).expect(text).root.is_empty(), "{text:?}");
        }
        assert_eq!(error("[1]", Syntax::Json), (1, 1));
        assert_eq!(error("- 1", Syntax::Yaml), (1, 1));
    }

    #[test]
    fn errors_have_the_place_and_never_quote_the_file() {
        assert_eq!(error("{\n  \"a\": 1\n  \"s3cr3t\": 2\n}", Syntax::Json), (2, 9));
        assert_eq!(error("{\n  \"a\":\n\n", Syntax::Json), (2, 7), "where it ends");
        assert_eq!(error("a = 1\nb = s3cr3t\n", Syntax::Toml), (2, 5));
        assert_eq!(parse(b"{\"a\":\n\xff}", Syntax::Json).err().expect("not text").line, 2);
        for (text, syntax) in [
            ("{\"a\": s3cr3t}", Syntax::Json),
            ("{\"a\": \"s3cr3t", Syntax::Json),
            ("a = s3cr3t", Syntax::Toml),
            ("a = 's3cr3t", Syntax::Toml),
            ("[s3cr3t", Syntax::Toml),
            ("a: 's3cr3t", Syntax::Yaml),
            ("a: [s3cr3t", Syntax::Yaml),
            ("a: *s3cr3t", Syntax::Yaml),
            ("s3cr3t: 1\ns3cr3t: 2", Syntax::Yaml),
        ] {
            let error = parse(text.as_bytes(), syntax).err().expect(text);
            assert!(!error.message.contains("s3cr3t"), "{}", error.message);
        }
    }

    #[test]
    fn nesting_a_hundred_thousand_deep_is_an_error_and_not_a_crash() {
        for (open, syntax) in [
            ("[", Syntax::Json),
            ("{\"a\":", Syntax::Json),
            ("//\n[", Syntax::Json),
            ("[", Syntax::Yaml),
            ("{a: ", Syntax::Yaml),
            ("- ", Syntax::Yaml),
        ] {
            assert!(parse(open.repeat(100_000).as_bytes(), syntax).is_err(), "{open:?}");
        }
        for open in ["[", "{a="] {
            assert!(parse(format!("a = {}", open.repeat(100_000)).as_bytes(), Syntax::Toml).is_err(), "{open:?}");
        }
        assert!(parse(format!("{}a = 1", "a.".repeat(100_000)).as_bytes(), Syntax::Toml).is_err());
        assert!(parse(format!("[{}a]", "a.".repeat(100_000)).as_bytes(), Syntax::Toml).is_err());
    }

    #[test]
    fn yaml_that_multiplies_itself_through_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let items = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{items}]\n"));
        }
        assert!(parse(text.as_bytes(), Syntax::Yaml).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for syntax in [Syntax::Json, Syntax::Toml, Syntax::Yaml] {
                let _ = parse(&bytes, syntax);
            }
        }

        #[test]
        fn no_text_of_the_syntaxes_own_signs_makes_it_panic(text in "[\\[\\]{}:,\"'#/*&!|>~=a1\\- \n\t.\\\\]{0,200}") {
            for syntax in [Syntax::Json, Syntax::Toml, Syntax::Yaml] {
                let _ = parse(text.as_bytes(), syntax);
            }
        }
    }
}
