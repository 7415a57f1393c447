//! Types that check what JSON looks like without keeping it: a hostile result may be 16 MiB of anything.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// An object with whatever in it; anything else is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Check;
        impl<'de> Visitor<'de> for Check {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_map(Check)
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
