//! YAML as a tree of JSON values: a document of others, which may be hostile, read at a cost bounded by its length.
//!
//! A parser crate tells what stands there; the tree is built here, because aliases can make a small file stand for an
//! endless tree. Scalars are resolved by YAML 1.2's core schema. Tags beyond it are ignored; `<<` is a key like others.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

/// How deep values may be nested.
const MAX_DEPTH: usize = 128;

/// How many values the tree may have, those that aliases repeat included.
const MAX_VALUES: usize = 250_000;

/// Where a text is not the YAML that was expected. It never quotes the text, which may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YamlError {
    pub line: usize,
    pub column: usize,
    pub message: &'static str,
}

impl YamlError {
    fn at(mark: &Marker, message: &'static str) -> YamlError {
        YamlError { line: mark.line().max(1), column: mark.col() + 1, message }
    }
}

impl From<ScanError> for YamlError {
    // The parser's own words may quote the text.
    fn from(error: ScanError) -> YamlError {
        YamlError::at(error.marker(), "not valid YAML")
    }
}

/// Reads one document; an empty text is `null`.
/// Errors: [`YamlError`] for what is no YAML, keys that are given twice or are no scalars, aliases to what was not seen, a second
/// document, and trees beyond the limits of depth (128) and size (250,000 values).
pub fn read(text: &str) -> Result<Value, YamlError> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event?;
        tree.take(event).map_err(|message| YamlError::at(&span.start, message))?;
    }
    Ok(tree.root.unwrap_or(Value::Null))
}

/// A value and how many it holds, itself included.
type Sized = (Value, usize);

struct Open {
    items: Items,
    values: usize,
    anchor: usize,
}

enum Items {
    List(Vec<Value>),
    /// The entries so far, and the key whose value comes next.
    Table(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Sized>,
    root: Option<Value>,
    values: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_ref()),
            Event::SequenceStart(anchor, _) => self.start(Items::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.start(Items::Table(Map::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("an alias within what it stands for")?;
                self.values += value.1;
                if self.values > MAX_VALUES {
                    return Err("aliases repeat more than 250,000 values");
                }
                let value = value.clone();
                self.put(value)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err("a second document"),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Cow<'_, Tag>>,
    ) -> Result<(), &'static str> {
        self.values += 1;
        // A key is text, however it looks.
        if let Some(Open { items: Items::Table(entries, key @ None), .. }) = self.open.last_mut() {
            if entries.contains_key(text) {
                return Err("a key that is there already");
            }
            *key = Some(text.to_owned());
            return Ok(());
        }
        let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        let value = if style == ScalarStyle::Plain && !is_text { plain(text) } else { Value::from(text) };
        self.remember(anchor, || (value.clone(), 1));
        self.put((value, 1))
    }

    fn start(&mut self, items: Items, anchor: usize) -> Result<(), &'static str> {
        self.values += 1;
        if self.open.len() >= MAX_DEPTH {
            return Err("nested too deep");
        }
        if self.values > MAX_VALUES {
            return Err("too many values");
        }
        if let Some(Open { items: Items::Table(_, None), .. }) = self.open.last() {
            return Err("a key that is no text");
        }
        self.open.push(Open { items, values: 1, anchor });
        Ok(())
    }

    fn end(&mut self) -> Result<(), &'static str> {
        let Some(Open { items, values, anchor }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::List(list) => Value::Array(list),
            Items::Table(table, _) => Value::Object(table),
        };
        self.remember(anchor, || (value.clone(), values));
        self.put((value, values))
    }

    fn remember(&mut self, anchor: usize, value: impl FnOnce() -> Sized) {
        // The parser counts anchors from 1.
        if anchor != 0 {
            let value = value();
            self.anchors.insert(anchor, value);
        }
    }

    fn put(&mut self, (value, values): Sized) -> Result<(), &'static str> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        open.values += values;
        match &mut open.items {
            Items::List(list) => list.push(value),
            Items::Table(table, key) => {
                let key = key.take().ok_or("an alias as a key")?;
                table.insert(key, value);
            }
        }
        Ok(())
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2). Numbers that JSON cannot hold stay text.
fn plain(text: &str) -> Value {
    let radix =
        |digits: &str, radix| i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = text.strip_prefix("0x").and_then(|digits| radix(digits, 16)) {
        return Value::from(number);
    }
    if let Some(number) = text.strip_prefix("0o").and_then(|digits| radix(digits, 8)) {
        return Value::from(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    // Rust also reads "inf", "nan" and "infinity", which are text here.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text.parse::<f64>().ok().filter(|_| is_number).and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
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
        assert_eq!(read(""), Ok(Value::Null));
        assert_eq!(read("# nothing\n"), Ok(Value::Null));
    }

    #[test]
    fn what_cannot_be_a_tree_is_refused_with_its_place() {
        for (text, line, column) in [
            ("a: 1\nb: [1\n", 3, 1),
            ("a: 1\na: 2\n", 2, 1),
            ("a: &x [1, *x]\n", 1, 11),
            ("a: 1\n---\nb: 2\n", 2, 1),
            ("? [1]\n: 2\n", 1, 3),
            ("x: &k a\n*k : b\n", 2, 1),
        ] {
            let misread = read(text).expect_err(text);
            assert_eq!((misread.line, misread.column), (line, column), "{text:?}: {}", misread.message);
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
