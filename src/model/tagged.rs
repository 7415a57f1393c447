//! Values whose first key, `kind`, says what the others are.
//!
//! serde's own way to read them (`#[serde(tag = "kind")]`) makes a tree of each before it looks at the tag. The state is
//! full of them and read in every pass.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::target::Kind;

/// A value with one variant a kind.
pub(super) trait Tagged<'de>: Sized {
    /// Reads the variant of a kind from the other keys.
    fn of_kind<D: Deserializer<'de>>(kind: Kind, others: D) -> Result<Self, D::Error>;
}

/// Reads a value, wherever its tag stands.
pub(super) fn read<'de, T: Tagged<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(TagFirst(PhantomData))
}

struct TagFirst<T>(PhantomData<T>);

impl<'de, T: Tagged<'de>> Visitor<'de> for TagFirst<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with a kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<T, A::Error> {
        let Some(first) = entries.next_key::<String>()? else { return Err(A::Error::missing_field("kind")) };
        if first == "kind" {
            return T::of_kind(entries.next_value()?, MapAccessDeserializer::new(entries));
        }
        // Somebody else has written it.
        let mut all = Map::from_iter([(first, entries.next_value::<Value>()?)]);
        while let Some((key, value)) = entries.next_entry()? {
            all.insert(key, value);
        }
        let kind = all.remove("kind").ok_or_else(|| A::Error::missing_field("kind"))?;
        let kind = serde_json::from_value(kind).map_err(A::Error::custom)?;
        T::of_kind(kind, Value::Object(all)).map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::mcp::McpFacts;
    use crate::model::observation::{Facts, Memory};

    #[test]
    fn the_tag_may_stand_anywhere_and_must_be_known() {
        let facts = Facts::Mcp(McpFacts { tools: Some(3), ..McpFacts::default() });
        let text = serde_json::to_string(&facts).expect("written");
        assert!(text.starts_with(r#"{"kind":"mcp","#), "{text}");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("read"), facts);
        let last = text.replacen(r#""kind":"mcp","#, "", 1).replacen('}', r#","kind":"mcp"}"#, 1);
        assert_eq!(serde_json::from_str::<Facts>(&last).expect("read"), facts, "{last}");
        assert_eq!(serde_json::from_str::<Memory>(r#"{"kind":"service","later":[1]}"#).expect("read"), Memory::Service);
        for bad in [
            "{}",
            "[]",
            r#"{"kind":"other"}"#,
            r#"{"tools":3}"#,
            r#"{"tools":3,"kind":5}"#,
            r#"{"kind":"mcp","tools":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Facts>(bad).is_err(), "{bad}");
        }
    }
}
