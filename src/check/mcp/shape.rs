//! Reads JSON without keeping it, and says where it is not what was expected.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::redact::{quoted, shortened};

const QUOTED: usize = 200;

/// Reads an object as something.
/// Errors: Where it is not what was expected, with the path of keys that leads there.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let FromObject(read) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let what = error.inner().to_string();
        let what = with_quotation(what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what));
        if path == "." { what } else { format!("{path}: {what}") }
    })?;
    Ok(read)
}

/// A complaint of the parser with the value it quotes as a quotation.
fn with_quotation(what: &str) -> String {
    match (what.find(['"', '`']), what.rfind(['"', '`'])) {
        (Some(from), Some(to)) if from < to && what.starts_with("invalid") => {
            format!("{}{}{}", &what[..from], quoted(&what[from + 1..to], QUOTED), &what[to + 1..])
        }
        (Some(_), _) if what.starts_with("unknown variant") => "no such value is known".into(),
        _ => shortened(what, QUOTED),
    }
}

/// For an optional key: absent or a value, never null.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An object with whatever in it; anything else is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FromObject::<IgnoredAny>::deserialize(deserializer).map(|_| Object)
    }
}

/// A structure read from an object only. A derived one alone would also take a list of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FromObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FromObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = FromObject<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FromObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(FromObject)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Versions a server lists: strings, of which the first few are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions(pub(crate) Vec<String>);

/// There have been six revisions in two years.
const MOST_VERSIONS: usize = 64;

/// `2026-07-28`, perhaps with a suffix.
const LONGEST_VERSION: usize = 40;

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;
        impl<'de> Visitor<'de> for Keep {
            type Value = Versions;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of versions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Versions, A::Error> {
                let mut kept = Vec::new();
                let mut seen = false;
                while let Some(version) = seq.next_element::<String>()? {
                    seen = true;
                    if kept.len() < MOST_VERSIONS && version.len() <= LONGEST_VERSION {
                        kept.push(version);
                    }
                }
                if seen { Ok(Versions(kept)) } else { Err(A::Error::custom("the list of versions is empty")) }
            }
        }
        deserializer.deserialize_seq(Keep)
    }
}
