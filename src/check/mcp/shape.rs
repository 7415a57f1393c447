//! Reads JSON without keeping it, and says where it is not what was expected.

use std::fmt;
use std::marker::PhantomData;

use anyhow::anyhow;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::redact::{quoted, shortened};

const QUOTED: usize = 200;

/// Reads an object as something.
/// Errors: Where it is not what was expected, with the path of keys that leads there.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> anyhow::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let FromObject(read) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let what = complaint(error.inner());
        match error.path().to_string().as_str() {
            "." => anyhow!(what),
            path => anyhow!("{path}: {what}"),
        }
    })?;
    Ok(read)
}

/// A complaint of the parser without its place, and with the value it quotes as a quotation.
fn complaint(error: &serde_json::Error) -> String {
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
    match (what.find(['"', '`']), what.rfind(['"', '`'])) {
        (Some(from), Some(to)) if from < to && what.starts_with("invalid") => {
            format!("{}{}{}", &what[..from], quoted(&what[from + 1..to], QUOTED), &what[to + 1..])
        }
        _ if what.starts_with("unknown variant") => {
            let expected = what.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
            format!("no such value is known, expected {expected}")
        }
        _ => shortened(what, QUOTED),
    }
}

/// For an optional key: absent or a value, never null.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Structures: the keys that must be there; the keys that may be absent, but are never null.
macro_rules! shapes {
    ($($name:ident $(<$life:lifetime>)? {
        $($(#[$attr:meta])* $key:ident: $type:ty),*; $($(#[$with:meta])* $optional:ident: $given:ty),*
    })*) => {
        $(#[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code, reason = "most is read only so that a wrong type is refused")]
        pub(crate) struct $name $(<$life>)? {
            $($(#[$attr])* pub(crate) $key: $type,)*
            $(#[serde(default, deserialize_with = "given")] $(#[$with])* pub(crate) $optional: Option<$given>,)*
        })*
    };
}
pub(crate) use shapes;

/// An object with whatever in it; anything else is an error.
pub(crate) type Object = FromObject<IgnoredAny>;

/// A structure read from an object only. A derived one alone would also take a list of its fields.
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

/// A list whose items are read as `T` and not kept: a hostile server may send millions.
pub(crate) struct ListOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items("a list", |_: T| Ok(()), PhantomData)).map(|()| ListOf(PhantomData))
    }
}

/// The same for an object of any keys.
pub(crate) struct MapOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MapOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Items("an object", |_: T| Ok(()), PhantomData)).map(|()| MapOf(PhantomData))
    }
}

/// Hands every item of a list to `take`.
/// Errors: What `take` says of one, or that it is no such list.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    list: &'a RawValue,
    take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let items = Items("a list", take, PhantomData);
    serde_json::Deserializer::from_str(list.get()).deserialize_seq(items).map_err(|error| anyhow!(complaint(&error)))
}

/// What is expected, and what takes each item.
struct Items<T, F>(&'static str, F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> anyhow::Result<()>> Visitor<'de> for Items<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            (self.1)(item).map_err(|why| A::Error::custom(format!("{why:#}")))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((_, item)) = map.next_entry::<String, T>()? {
            (self.1)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
