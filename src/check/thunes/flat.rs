//! Validates one line of JSON and notes where its top-level members lie, in one walk and without allocating.
//!
//! Every line of a journal has to be judged (`ok` or `malformed`), but the values of only a few matter. A general parser
//! would build what is thrown away; this one remembers spans. It takes what Python's `json` writes: RFC 8259, and also
//! `NaN`, `Infinity` and `-Infinity` as numbers, because an activated kill switch whose `daily_pnl` is not a number is
//! still an activated kill switch.

use std::borrow::Cow;

/// Deeper nesting is refused: nothing of ours nests past three, and the walk recurses.
const MAX_DEPTH: u32 = 64;

/// The line is no JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What kind of value a member has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A string; the span lies between the quotes.
    Text,
    Number,
    /// Object, array, `true`, `false`, `null`.
    Other,
}

/// Bytes `from..to` of the line, and whether they hold backslash escapes.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u32,
    to: u32,
    escaped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    key: Span,
    value: Span,
    shape: Shape,
}

/// The members of the object last scanned. Kept between lines so that its memory is.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
}

/// The object last scanned, with the line it lies in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    line: &'a str,
    members: &'a Members,
}

impl Members {
    /// Scans one line, without its line end.
    ///
    /// # Errors
    /// [`Malformed`] unless the line is valid UTF-8 and one JSON object with nothing but white space around it.
    pub(super) fn scan<'a>(&'a mut self, line: &'a [u8]) -> Result<Object<'a>, Malformed> {
        self.list.clear();
        let Ok(line) = std::str::from_utf8(line) else { return Err(Malformed) };
        if u32::try_from(line.len()).is_err() {
            return Err(Malformed);
        }
        let mut walk = Walk { bytes: line.as_bytes(), at: 0 };
        walk.space();
        walk.object(0, Some(&mut self.list))?;
        walk.space();
        if walk.at != line.len() {
            return Err(Malformed);
        }
        Ok(Object { line, members: self })
    }
}

impl<'a> Object<'a> {
    /// The string under this key; `None` if there is none or it is no string. Of repeated keys the last one counts, as
    /// in every common parser.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let member = self.member(key).filter(|member| member.shape == Shape::Text)?;
        unescape(self.line, member.value)
    }

    /// The finite number under this key.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        let member = self.member(key).filter(|member| member.shape == Shape::Number)?;
        self.raw_span(member.value).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The JSON text of the value under this key, if it is no string.
    pub(super) fn raw(&self, key: &str) -> Option<&'a [u8]> {
        let member = self.member(key).filter(|member| member.shape != Shape::Text)?;
        Some(self.raw_span(member.value).as_bytes())
    }

    fn raw_span(&self, span: Span) -> &'a str {
        &self.line[span.from as usize..span.to as usize]
    }

    fn member(&self, key: &str) -> Option<&'a Member> {
        self.members.list.iter().rev().find(|member| {
            let raw = self.raw_span(member.key);
            if member.key.escaped { unescape(self.line, member.key).as_deref() == Some(key) } else { raw == key }
        })
    }
}

/// A string's text. Escapes are rare, so they are left to the general parser.
fn unescape(line: &str, span: Span) -> Option<Cow<'_, str>> {
    let (from, to) = (span.from as usize, span.to as usize);
    if !span.escaped {
        return line.get(from..to).map(Cow::Borrowed);
    }
    // The quotes lie just outside the span.
    serde_json::from_str::<String>(line.get(from - 1..=to)?).ok().map(Cow::Owned)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The same byte eight times over.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Bytes of a string before the first that ends it, escapes or is not allowed: a quote, a backslash, a control character.
///
/// Eight at a time, in the arithmetic of a word: subtracting borrows through the high bit of exactly those bytes that are
/// below, or equal to, what is looked for. A borrow may also mark bytes behind the first such byte, never one before it.
fn plain_bytes(bytes: &[u8]) -> usize {
    const HIGH: u64 = eight(0x80);
    let is_zero = |word: u64| word.wrapping_sub(eight(1)) & !word & HIGH;
    let mut at = 0;
    while let Some((chunk, _)) = bytes[at..].split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(eight(0x20)) & !word & HIGH;
        let found = is_zero(word ^ eight(b'"')) | is_zero(word ^ eight(b'\\')) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes[at..].iter().take_while(|byte| **byte >= 0x20 && **byte != b'"' && **byte != b'\\');
    at + rest.count()
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: u32, mut members: Option<&mut Vec<Member>>) -> Result<(), Malformed> {
        self.expect(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            let (value, shape) = self.value(depth)?;
            if let Some(members) = &mut members {
                members.push(Member { key, value, shape });
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), Malformed> {
        self.expect(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn value(&mut self, depth: u32) -> Result<(Span, Shape), Malformed> {
        let from = self.at;
        let shape = match self.peek().ok_or(Malformed)? {
            b'"' => return Ok((self.string()?, Shape::Text)),
            b'{' | b'[' if depth == MAX_DEPTH => return Err(Malformed),
            b'{' => self.object(depth + 1, None).map(|()| Shape::Other)?,
            b'[' => self.array(depth + 1).map(|()| Shape::Other)?,
            b't' => self.word(b"true").map(|()| Shape::Other)?,
            b'f' => self.word(b"false").map(|()| Shape::Other)?,
            b'n' => self.word(b"null").map(|()| Shape::Other)?,
            b'N' => self.word(b"NaN").map(|()| Shape::Number)?,
            b'I' => self.word(b"Infinity").map(|()| Shape::Number)?,
            _ => self.number().map(|()| Shape::Number)?,
        };
        Ok((self.span(from, self.at, false), shape))
    }

    #[expect(clippy::cast_possible_truncation, reason = "`scan` refuses lines whose length does not fit")]
    fn span(&self, from: usize, to: usize, escaped: bool) -> Span {
        Span { from: from as u32, to: to as u32, escaped }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// Skips a string and gives the span between its quotes.
    fn string(&mut self) -> Result<Span, Malformed> {
        self.expect(b'"')?;
        let from = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(&self.bytes[self.at..]);
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    let span = self.span(from, self.at, escaped);
                    self.at += 1;
                    return Ok(span);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = match rest.first().ok_or(Malformed)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return Err(Malformed),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.word(b"Infinity");
            }
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Malformed),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err(Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_ok(line: &[u8]) -> bool {
        Members::default().scan(line).is_ok()
    }

    #[test]
    fn members_are_found_whatever_they_hold() {
        let mut members = Members::default();
        let line = br#" {"a":"x\u00e4\n","n":-1.5e3,"o":{"a":"inner","b":[1,{}]},"\u0062":"escaped key","a2":null,"d":1,"d":2} "#;
        let object = members.scan(line).expect("an object");
        assert_eq!(object.text("a").as_deref(), Some("xä\n"));
        assert_eq!(object.text("b").as_deref(), Some("escaped key"));
        assert_eq!((object.number("n"), object.number("d"), object.number("a")), (Some(-1500.0), Some(2.0), None));
        assert_eq!(object.raw("o"), Some(&br#"{"a":"inner","b":[1,{}]}"#[..]));
        assert_eq!((object.text("a2"), object.raw("a2")), (None, Some(&b"null"[..])));
    }

    #[test]
    fn what_python_writes_for_no_number_is_a_number_without_a_value() {
        let mut members = Members::default();
        let object = members.scan(br#"{"a":NaN,"b":-Infinity,"c":Infinity,"d":1e999}"#).expect("an object");
        assert!(["a", "b", "c", "d"].iter().all(|key| object.number(key).is_none()));
    }

    #[test]
    fn only_one_whole_object_is_a_record() {
        for bad in [
            &b""[..],
            b" ",
            b"null",
            b"1",
            b"[]",
            b"\"x\"",
            b"{",
            b"{}}",
            b"{} {}",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":1,}",
            b"{,}",
            b"{a:1}",
            b"{\"a\":01}",
            b"{\"a\":1.}",
            b"{\"a\":+1}",
            b"{\"a\":.5}",
            b"{\"a\":tru}",
            b"{\"a\":\"\x01\"}",
            b"{\"a\":\"\\x\"}",
            b"{\"a\":\"\\u12g4\"}",
            b"{\"a\":\"\xff\"}",
            b"\0{}",
            b"{\"a\":\0}",
            b"{\"a\":-}",
            b"{\"a\":1e}",
            b"{\"a\":[1,]}",
            b"{\"a\":[1 2]}",
            b"{\"a\":\"unfinished",
            b"{\"a\":\"unfinished\\",
        ] {
            assert!(!is_ok(bad), "{:?}", String::from_utf8_lossy(bad));
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!is_ok(deep.as_bytes()));
    }

    /// JSON text and near-misses of it.
    fn json_like() -> impl Strategy<Value = String> {
        let atom = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<f64>().prop_map(|f| serde_json::json!(f).to_string()),
            any::<i64>().prop_map(|i| i.to_string()),
            ".{0,12}".prop_map(|s| serde_json::json!(s).to_string()),
            "[-+.0-9eE]{1,6}",
            "\"[^\"]{0,6}\"",
        ];
        let value = atom.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(" , "))),
                prop::collection::vec((".{0,6}", inner), 0..4).prop_map(|v| {
                    let members: Vec<String> =
                        v.iter().map(|(k, v)| format!("{}\t:{v}", serde_json::json!(k))).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        });
        prop::collection::vec((".{0,6}", value), 0..5).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{}: {v}", serde_json::json!(k))).collect();
            format!("{{{}}}", members.join(", "))
        })
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_a_general_parser(text in json_like(), damage in any::<Option<(prop::sample::Index, u8)>>()) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let general = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes);
            // Numbers too large for a float are grammatical all the same, and lone surrogates are left to whoever reads
            // the string.
            let excused = |e: &serde_json::Error| ["out of range", "surrogate", "hex escape"].iter().any(|w| e.to_string().contains(w));
            match general {
                Ok(map) => {
                    let mut members = Members::default();
                    let object = members.scan(&bytes);
                    prop_assert!(object.is_ok());
                    for (key, value) in &map {
                        let object = object.expect("checked");
                        let text = object.text(key);
                        prop_assert_eq!(text.as_deref(), value.as_str());
                        // The general parser may be off by the last bit.
                        let (ours, theirs) = (object.number(key), value.as_f64());
                        prop_assert_eq!(ours.is_some(), theirs.is_some());
                        prop_assert!((ours.unwrap_or(0.0) - theirs.unwrap_or(0.0)).abs() <= theirs.unwrap_or(0.0).abs() * 1e-14);
                    }
                }
                Err(e) if !excused(&e) => prop_assert!(!is_ok(&bytes), "{}", e),
                Err(_) => {}
            }
        }
    }
}
