//! YAML as a tree of JSON values: a document of others, which may be hostile, read at a cost bounded by its length.
//!
//! Scalars are resolved by YAML 1.2's core schema: what only YAML 1.1 takes for a number or a truth value stays text. `<<` merges.

use serde_json::Value;
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Error, Location};

/// Where a text is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, without quoting the text, which may hold secrets.
    pub message: String,
}

/// Reads one document; an empty text is `null`.
/// Errors: [`SyntaxError`] for what is no YAML, keys that are given twice or are no scalars, aliases to what was not seen, a
/// second document, and trees beyond the library's limits of depth (64) and size (250,000 values, those that aliases repeat included).
pub fn read(text: &str) -> Result<Value, SyntaxError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = |of: fn(&Location) -> u64| error.location().map_or(1, |place| of(&place).max(1)) as usize;
        let (line, column) = (place(Location::line), place(Location::column));
        // The library may say it of the line before.
        let mut near = text.lines().skip(line - 1).take(2).map(|line| line.trim_start_matches(' '));
        // The library's own words may quote the text.
        let message = match &error {
            Error::DuplicateMappingKey { .. } => "a key that is there already",
            Error::MultipleDocuments { .. } => "a second document",
            Error::Budget { .. } => "nested too deep, or too many values",
            _ if near.any(|line| line.starts_with('\t')) => {
                "a tab at the beginning of a line, where YAML takes only blanks"
            }
            _ => "not valid YAML",
        };
        SyntaxError { line, column, message: message.into() }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_resolved_by_the_core_schema() {
        let text = "a: 1\nb: '1'\nc: 0x1F\nd: 0o17\ne: 1.5e3\nf: ~\ng:\nh: yes\ni: True\nj: .inf\nk: -7\nl: !!str 5\nm: |\n  two\n  lines\nn: nan\no: \"a\\tb\"\n7: seven\n";
        let expected = json!({
            "a": 1, "b": "1", "c": 31, "d": 15, "e": 1500.0, "f": null, "g": null, "h": "yes", "i": true, "j": ".inf",
            "k": -7, "l": "5", "m": "two\nlines\n", "n": "nan", "o": "a\tb", "7": "seven"
        });
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn collections_nest_and_aliases_repeat() {
        let text = "list: &l\n- {a: [1, 2]}\n- &t text\nagain: *l\ntext: *t\nempty: []\n";
        let expected = json!({
            "list": [{"a": [1, 2]}, "text"], "again": [{"a": [1, 2]}, "text"], "text": "text", "empty": []
        });
        assert_eq!(read(text), Ok(expected));
        let text = "base: &b {command: run, env: {A: 1}}\ns: {<<: *b, env: {B: 2}}\n";
        assert_eq!(read(text).expect("merged")["s"], json!({"command": "run", "env": {"B": 2}}));
        assert_eq!(read(""), Ok(Value::Null));
        assert_eq!(read("# nothing\n"), Ok(Value::Null));
    }

    #[test]
    fn what_cannot_be_a_tree_is_refused_with_its_place() {
        for (text, line, column) in [
            ("a: 1\nb: [1\n", 2, 4),
            ("a: 1\na: 2\n", 2, 1),
            ("a: &x [1, *x]\n", 1, 11),
            ("a: 1\n---\nb: 2\n", 3, 1),
            ("? [1]\n: 2\n", 1, 3),
        ] {
            let misread = read(text).expect_err(text);
            assert_eq!((misread.line, misread.column), (line, column), "{text:?}: {}", misread.message);
        }
    }

    #[test]
    fn a_line_that_begins_with_a_tab_is_told() {
        for text in ["a:\n  b:\n\tc: 1\n", "a:\n  b: 1\n  \tc: 1\n"] {
            let message = read(text).expect_err(text).message;
            assert!(message.starts_with("a tab at the beginning"), "{text:?}: {message}");
        }
    }

    proptest! {
        /// JSON is YAML: whatever JSON can say is read as the same.
        #[test]
        fn json_is_read_as_json(texts in proptest::collection::vec("[ -~\\n\u{e9}]{0,12}", 0..6), number in any::<i64>()) {
            let value = json!({ "texts": texts, "number": number, "deep": [{ "of": { "texts": texts } }] });
            prop_assert_eq!(read(&value.to_string()), Ok(value));
        }
    }
}
