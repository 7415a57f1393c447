//! The few values of a JSON file that discovery wants. `~/.claude.json` keeps histories and grows to megabytes: what is
//! not wanted is skipped as it is read; only its key is kept, with nothing behind it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What is wanted of a value.
#[derive(Debug, Clone, Copy)]
enum Pick {
    /// All of it.
    All,
    /// Of a table, these keys.
    Keys(&'static [(&'static str, Pick)]),
    /// Of a table, whatever its keys are, this of each value.
    Each(&'static Pick),
}

/// Every key that any client gives a meaning to.
const WANTED: Pick = Pick::Keys(&[
    ("mcpServers", Pick::All),
    ("servers", Pick::All),
    ("context_servers", Pick::All),
    ("mcp_servers", Pick::All),
    ("mcp", Pick::All),
    ("extensions", Pick::All),
    ("disabledMcpjsonServers", Pick::All),
    (
        "projects",
        Pick::Each(&Pick::Keys(&[
            ("mcpServers", Pick::All),
            ("disabledMcpjsonServers", Pick::All),
            ("disabledMcpServers", Pick::All),
        ])),
    ),
]);

/// Reads strict JSON and keeps what is wanted. With it comes where the values stand that were skipped and are at least
/// `stretch` bytes long; `null` in the place of each would give the same.
///
/// # Errors
/// What the parser says.
pub(super) fn wanted(text: &str, stretch: usize) -> serde_json::Result<(Value, Vec<Range<usize>>)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let reading = Reading { text, stretch, skipped: RefCell::default() };
    let value = Picker { pick: WANTED, reading: &reading }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, reading.skipped.into_inner()))
}

/// A text that is being read, and what has been skipped of it.
struct Reading<'t> {
    text: &'t str,
    stretch: usize,
    skipped: RefCell<Vec<Range<usize>>>,
}

impl Reading<'_> {
    fn skip(&self, value: &RawValue) {
        let value = value.get();
        // A slice of the text: how far it is from its beginning.
        let start = value.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        if value.len() >= self.stretch {
            self.skipped.borrow_mut().push(start..start + value.len());
        }
    }
}

/// What is wanted of the next value of a text.
#[derive(Clone, Copy)]
struct Picker<'r, 't> {
    pick: Pick,
    reading: &'r Reading<'t>,
}

/// Whether discovery would see this key at the top of a file.
#[cfg(test)]
pub(super) fn sees(key: &str) -> bool {
    WANTED.of(key).is_some()
}

impl Pick {
    fn of(self, key: &str) -> Option<Pick> {
        match self {
            Pick::All => Some(Pick::All),
            Pick::Keys(keys) => keys.iter().find(|(wanted, _)| *wanted == key).map(|(_, pick)| *pick),
            Pick::Each(pick) => Some(*pick),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Picker<'_, 'de> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.pick {
            Pick::All => serde::Deserialize::deserialize(deserializer),
            Pick::Keys(_) | Pick::Each(_) => deserializer.deserialize_any(self),
        }
    }
}

/// Of anything but a table nothing is wanted; its kind is kept, so that it can be told what is wrong.
impl<'de> Visitor<'de> for Picker<'_, 'de> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match self.pick.of(&key) {
                Some(pick) => drop(table.insert(key, entries.next_value_seed(Picker { pick, ..self })?)),
                None => {
                    self.reading.skip(entries.next_value::<&RawValue>()?);
                    table.insert(key, Value::Null);
                }
            }
        }
        Ok(Value::Object(table))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, _value: &str) -> Result<Value, E> {
        Ok(Value::String(String::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::mcp::clients::CLIENTS;

    #[test]
    fn what_is_wanted_is_kept_whole_and_the_rest_skipped() {
        let text = json!({
            "history": [{"mcpServers": {"no": 1}}],
            "mcpServers": {"a": {"command": "x", "other": [1]}},
            "projects": {"/p": {"mcpServers": {"b": 1}, "history": ["x"]}, "/q": 5, "/r": [1]},
            "mcp": [1, 2],
        });
        let expected = json!({
            "history": null,
            "mcpServers": {"a": {"command": "x", "other": [1]}},
            "projects": {"/p": {"mcpServers": {"b": 1}, "history": null}, "/q": 5, "/r": []},
            "mcp": [1, 2],
        });
        let text = text.to_string();
        assert_eq!(wanted(&text, usize::MAX).expect("JSON"), (expected.clone(), Vec::new()));
        let (_, skipped) = wanted(&text, 6).expect("JSON");
        let shown: Vec<&str> = skipped.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(shown, ["[{\"mcpServers\":{\"no\":1}}]"]);
        let (_, skipped) = wanted(&text, 0).expect("JSON");
        let excerpt = skipped.iter().rev().fold(text.clone(), |mut excerpt, range| {
            excerpt.replace_range(range.clone(), "null");
            excerpt
        });
        assert_eq!(wanted(&excerpt, usize::MAX).expect("JSON").0, expected);
        for (text, kind) in [("[1]", json!([])), ("5", json!(5)), ("null", json!(null)), ("\"x\"", json!(""))] {
            assert_eq!(wanted(text, 0).expect(text), (kind, Vec::new()));
        }
        for text in ["", "{", "{\"history\": [}", "{} {}", "{\"history\": nul}"] {
            assert!(wanted(text, 0).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_clients_list_is_skipped() {
        for client in CLIENTS {
            assert!(sees(client.keys().container), "{}", client.name);
        }
    }
}
