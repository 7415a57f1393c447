//! One JSON object, its members as they stand in the text.
//!
//! Every line of a journal is judged (`ok` or `malformed`), but the values of a few members only matter. So members stay
//! text until they are asked for, and a part is read again by the same rules as the whole: whatever the whole accepts, a
//! part does too. Accepted is what Python's `json` writes: RFC 8259, numbers too large for a float, lone surrogates, and
//! `NaN` and `Infinity` as numbers without a value.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_bytes::Bytes;
use serde_json::value::RawValue;

/// A JSON object, its members in the order of the text: sorted into a map, a line takes a quarter longer.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

/// A string, asked for as bytes: a lone surrogate is an error in a string only.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow, with = "serde_bytes")] Cow<'a, Bytes>);

impl<'a> Text<'a> {
    /// A lone surrogate is replaced.
    fn lossy(self) -> Cow<'a, str> {
        match self.0 {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => String::from_utf8_lossy(&text).into_owned().into(),
        }
    }
}

impl<'a> Object<'a> {
    /// Parses a text that is one object and nothing else. `spare` keeps the text where it had to be changed for it.
    pub(super) fn parse(text: &'a [u8], spare: &'a mut String) -> Option<Object<'a>> {
        let text = std::str::from_utf8(text).ok()?;
        serde_json::from_str(text).ok().or_else(|| {
            *spare = without_python_numbers(text)?;
            serde_json::from_str(spare).ok()
        })
    }

    /// The string under this key; `None` if there is none or it is no string.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let raw = self.member(key).filter(|value| value.starts_with('"'))?;
        serde_json::from_str::<Text<'a>>(raw).ok().map(Text::lossy)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        let value = self.member(key).filter(|value| value.starts_with(|c: char| c == '-' || c.is_ascii_digit()))?;
        value.parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        serde_json::from_str(self.member(key)?).ok()
    }

    pub(super) fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Option<Object<'a>>)> {
        self.0.into_iter().map(|(key, value)| (key.lossy(), serde_json::from_str(value.get()).ok()))
    }

    /// The value under this key; of repeated keys the last one counts, as in every common parser.
    fn member(&self, key: &str) -> Option<&'a str> {
        let last = self.0.iter().rev().find(|(known, _)| &**known.0 == key.as_bytes());
        last.map(|(_, value)| value.get())
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(12);
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// The text with `null` for every `NaN`, `Infinity` and `-Infinity` outside of strings; `None` if it has none.
fn without_python_numbers(text: &str) -> Option<String> {
    static STRING_OR_NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?s)"(?:[^"\\]|\\.)*"?|NaN|-?Infinity"#).expect("a regular expression"));
    if !text.contains("NaN") && !text.contains("Infinity") {
        return None;
    }
    let replaced =
        |found: &Captures<'_>| if found[0].starts_with('"') { found[0].to_owned() } else { "null".to_owned() };
    Some(STRING_OR_NUMBER.replace_all(text, replaced).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_they_hold() {
        let line = br#" {"a":"x\u00e4\n","n":-1.5e3,"o":{"a":"inner","b":[1,{}]},"\u0062":"escaped key","a2":null,"d":1,"d":2} "#;
        let mut spare = String::new();
        let object = Object::parse(line, &mut spare).expect("an object");
        assert_eq!(object.text("a").as_deref(), Some("xä\n"));
        assert_eq!(object.text("b").as_deref(), Some("escaped key"));
        assert_eq!((object.number("n"), object.number("d"), object.number("a")), (Some(-1500.0), Some(2.0), None));
        assert_eq!(object.object("o").expect("an object").text("a").as_deref(), Some("inner"));
        assert!(object.text("a2").is_none() && object.object("a2").is_none() && object.object("n").is_none());
    }

    #[test]
    fn what_python_writes_is_accepted_in_the_whole_and_in_its_parts() {
        let digits = "9".repeat(400);
        for odd in ["NaN", "-Infinity", "Infinity", "1e999", &digits, r#""\ud800""#, r#""NaN \" Infinity""#] {
            let line =
                format!(r#"{{"x":{odd},"s":{{"A":{{"state":"open","x":{odd}}},"\ud800":{{}}}},"\udfff":1,"e":"E\\"}}"#);
            let mut spare = String::new();
            let object = Object::parse(line.as_bytes(), &mut spare).expect(odd);
            assert_eq!((object.number("x"), object.text("e").as_deref()), (None, Some("E\\")), "{odd}");
            let status = object.object("s").expect(odd);
            let states: Vec<_> = status.members().map(|(name, o)| (name, o.and_then(|o| o.text("state")))).collect();
            assert_eq!(states[0], ("A".into(), Some("open".into())), "{odd}");
            assert_eq!(object.text("x").is_some(), odd.starts_with('"'), "{odd}");
        }
    }

    #[test]
    fn only_one_whole_object_is_a_record() {
        for bad in [
            "", " ", "null", "1", "[]", "\"x\"", "{", "{}}", "{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
            "{a:1}", "{\"a\":01}", "{\"a\":.5}", "{\"a\":tru}", "{\"a\":\"\x01\"}", "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}", "\0{}", "{\"a\":[1,]}", "{\"a\":\"unfinished", "{\"a\":\"unfinished\\",
            "{\"a\":NaNs}", "{NaN:1}", "{\"a\":\"NaN\\",
        ] {
            assert!(Object::parse(bad.as_bytes(), &mut String::new()).is_none(), "{bad:?}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}", &mut String::new()).is_none());
        // In time proportional to its length, or this takes hours.
        let unfinished = format!("{{\"a\":\"{}", r#"\"NaN"#.repeat(20_000));
        assert!(Object::parse(unfinished.as_bytes(), &mut String::new()).is_none());
    }
}
