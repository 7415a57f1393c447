//! JSON-RPC 2.0 as MCP uses it: reading one message without trusting it, and writing ours.
//!
//! A message is never turned into a tree of values: it may be 16 MiB large, and a tree of it ten times that. Only the
//! envelope is read; the result stays text, found by its place in the message.

use std::fmt;
use std::io::{BufRead, Cursor};
use std::ops::Range;
use std::time::Duration;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::limits::{CHECK_BYTES, CHECK_TOO_LARGE, MESSAGE_BYTES, MESSAGE_TOO_LARGE, MemoryPermit, SMALL_BYTES};
use super::shape::{self, given, shapes};
use crate::clock::Deadline;
use crate::mcp::{self, RpcError, code};
use crate::model::reason::{Failure, Reason};
use crate::redact::{quoted, shortened};

/// The key by which a message shows that it is meant as JSON-RPC.
const PROTOCOL: &[u8] = b"\"jsonrpc\"";

/// Bytes at the beginning of a message that is no valid JSON in which it is looked for.
const HEAD: usize = 4096;

/// Braces in front of a message on the same line that are tried as its beginning.
const MOST_STARTS: usize = 8;

const QUOTED: usize = 300;

/// Bytes of an error's `data` that are read: a list of versions. As a tree of values it takes up to sixteen times that.
const MOST_ERROR_DATA: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    /// A whole number; all of ours are.
    Number(i64),
    /// `null`: the sender could not read the id it answers.
    Null,
    /// Anything else, as it was written.
    Other(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Null => f.write_str("null"),
            Id::Other(text) => f.write_str(&quoted(text, 40)),
        }
    }
}

/// One line, or one HTTP body, or one event's data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// An answer: where in the text its result stands, or its error.
    Response(Id, Result<Range<usize>, RpcError>),
    /// A request of the server's: its id as it was written, for the answer, and its method.
    Request(String, String),
    Notification,
    /// Meant as JSON-RPC, but not valid; what is wrong with it.
    Broken(String),
    /// An answer to the request with this id, behind other text on its line: no client finds it there.
    Embedded(Id),
    /// Something else: a banner, a log line, an empty line.
    Noise,
}

shapes! {
    Envelope<'a> {
        ; #[serde(borrow)] jsonrpc: &'a RawValue, #[serde(borrow)] id: &'a RawValue, #[serde(borrow)] method: &'a RawValue,
        #[serde(borrow)] result: &'a RawValue, #[serde(borrow)] error: &'a RawValue
    }
    ErrorObject<'a> {
        ; #[serde(borrow)] code: &'a RawValue, #[serde(borrow)] message: &'a RawValue, #[serde(borrow)] data: &'a RawValue
    }
}

/// Reads one message. Nesting of any depth is harmless: what is not needed is skipped without recursion.
pub(crate) fn parse(text: &[u8]) -> Message {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return parse_other(text);
    }
    let envelope: Envelope<'_> = match serde_json::from_slice(text) {
        Ok(envelope) => envelope,
        // A log line may be an object too; only what names the protocol is held to it.
        Err(error) if memmem::find(&text[..text.len().min(HEAD)], PROTOCOL).is_some() => {
            return Message::Broken(error.to_string());
        }
        Err(_) => return Message::Noise,
    };
    let versioned = envelope.jsonrpc.is_some_and(|v| v.get() == "\"2.0\"");
    match (envelope.method, envelope.id, envelope.result, envelope.error) {
        (_, _, None, None) if !versioned => Message::Noise,
        _ if !versioned => Message::Broken("it lacks \"jsonrpc\":\"2.0\"".into()),
        (Some(method), id, None, None) => match (serde_json::from_str::<String>(method.get()), id) {
            (Ok(method), Some(id)) => Message::Request(id.get().to_owned(), method),
            (Ok(_), None) => Message::Notification,
            (Err(_), _) => Message::Broken("its method is no string".into()),
        },
        (None, Some(id), Some(result), None) => Message::Response(id_of(id), Ok(place_in(text, result))),
        (None, id, None, Some(error)) => Message::Response(id.map_or(Id::Null, id_of), Err(error_of(error))),
        (None, None, Some(_), None) => Message::Broken("a result without an id".into()),
        (None, _, None, None) => Message::Broken("neither method nor result nor error".into()),
        (None, _, Some(_), Some(_)) => Message::Broken("both a result and an error".into()),
        (Some(_), ..) => Message::Broken("both a method and a result or an error".into()),
    }
}

fn parse_other(text: &[u8]) -> Message {
    let Some(named) = memmem::find(text, PROTOCOL) else { return Message::Noise };
    if text[..named].trim_ascii().is_empty() {
        return Message::Broken("it is spread over several lines (pretty-printed); a message is one line".into());
    }
    let starts = memchr::memchr_iter(b'{', &text[..named]).take(MOST_STARTS);
    let answers = starts.filter_map(|start| match parse(&text[start..]) {
        Message::Response(id, _) => Some(id),
        _ => None,
    });
    answers.last().map_or(Message::Noise, Message::Embedded)
}

fn place_in(text: &[u8], part: &RawValue) -> Range<usize> {
    // The part borrows from the text, so its address is inside it.
    let start = part.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.get().len()
}

fn id_of(raw: &RawValue) -> Id {
    let text = raw.get();
    if text == "null" {
        return Id::Null;
    }
    // Some servers give the number back as a string; the official SDKs take that for the number, too. 1.0 is the same
    // number as 1, and some languages write it so.
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    match digits.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => Id::Number(number as i64),
        _ => Id::Other(shortened(text, 80)),
    }
}

fn error_of(raw: &RawValue) -> RpcError {
    let Ok(object) = serde_json::from_str::<ErrorObject<'_>>(raw.get()) else {
        return RpcError::new(0, format!("(malformed) {}", shortened(raw.get(), QUOTED)));
    };
    let text = object.message.map_or("", RawValue::get);
    let message = serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned());
    let small = object.data.filter(|data| data.get().len() <= MOST_ERROR_DATA);
    RpcError {
        code: object.code.and_then(|code| code.get().parse().ok()).unwrap_or(0),
        message: shortened(&message, QUOTED),
        data: small.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or(Value::Null),
    }
}

#[derive(Debug)]
pub(super) enum Incoming {
    Answer(Result<Text, RpcError>),
    /// An error that names no request: of a server that could not read one.
    Anonymous(RpcError),
    /// A request of the server's: its id as it was written, and its method.
    Request(String, String),
    /// Something valid that needs no attention: a notification.
    Other,
    /// Anything else, and what is wrong with it, for people.
    Unusable(String),
}

pub(super) fn sort(message: Text, id: i64) -> Incoming {
    match parse(&message.bytes) {
        Message::Response(Id::Number(number), outcome) if number == id => {
            Incoming::Answer(outcome.map(|place| message.cut(place)))
        }
        Message::Response(Id::Null, Err(error)) => Incoming::Anonymous(error),
        Message::Response(other, _) => {
            Incoming::Unusable(format!("it answers the request {other}, which was not asked"))
        }
        Message::Request(id, method) => Incoming::Request(id, method),
        Message::Notification => Incoming::Other,
        Message::Broken(what) => Incoming::Unusable(what),
        Message::Noise | Message::Embedded(_) => match answer_in_batch(&message.bytes, id) {
            Some(answer) => sort(Text { bytes: answer, ..message }, id),
            None => Incoming::Unusable("it is no JSON-RPC message".into()),
        },
    }
}

/// Of a batch, which the revision of 2025-03-26 allowed, the answer.
fn answer_in_batch(message: &[u8], id: i64) -> Option<Vec<u8>> {
    let mut answer = None;
    let find = |item: &RawValue| {
        if matches!(parse(item.get().as_bytes()), Message::Response(Id::Number(number), _) if number == id) {
            answer = Some(item.get().into());
        }
        Ok(())
    };
    shape::each(serde_json::from_slice(message).ok()?, find).ok()?;
    answer
}

/// What a client that serves nothing answers to a server's request: `ping` is alive, all else is not found.
///
/// `None` where the id is no string or number, or longer than anybody needs: it would be sent back.
pub(crate) fn reply(id: &str, method: &str) -> Option<String> {
    let id: Value = if id.len() <= 256 { serde_json::from_str(id).ok()? } else { return None };
    if !(id.is_string() || id.is_number()) {
        return None;
    }
    let refusal = RpcError::new(code::METHOD_NOT_FOUND, "this client serves no requests");
    let reply = if method == mcp::PING { mcp::success(&id, json!({})) } else { mcp::failure(&id, &refusal) };
    Some(reply.to_string())
}

/// A message, or the result in it, as JSON text; holds its permit while it is large.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    pub(super) _permit: Option<MemoryPermit>,
}

impl Text {
    pub(crate) fn new(bytes: Vec<u8>, permit: Option<MemoryPermit>) -> Text {
        Text { bytes, _permit: permit }
    }

    pub(crate) fn cut(mut self, part: Range<usize>) -> Text {
        self.bytes.truncate(part.end);
        self.bytes.drain(..part.start);
        self
    }

    /// Reads it, which has to be an object, as something.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> anyhow::Result<T> {
        shape::read(&self.bytes)
    }
}

/// Cuts a stream into lines, holding no more than one message and one read.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    chunk: Cursor<Vec<u8>>,
    /// A line whose end has not been read.
    unfinished: Vec<u8>,
    read: u64,
    permit: Option<MemoryPermit>,
}

impl Lines {
    /// Takes what was read. By then [`Lines::next_line`] has handed out everything of the last read.
    /// Errors: When a line, or everything so far, is too large.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.read += bytes.len() as u64;
        let line = self.unfinished.len() + memchr(b'\n', bytes).unwrap_or(bytes.len());
        if self.read > CHECK_BYTES || line > MESSAGE_BYTES {
            let what = if line > MESSAGE_BYTES { MESSAGE_TOO_LARGE } else { CHECK_TOO_LARGE };
            return Err(Failure::new(Reason::TooLarge, what));
        }
        self.chunk = Cursor::new(bytes.to_vec());
        Ok(())
    }

    /// Whether more may be read: a large line grows no further before it has the permit.
    pub(crate) fn may_grow(&mut self) -> bool {
        let is_large = self.unfinished.len() > SMALL_BYTES;
        if is_large && self.permit.is_none() {
            self.permit = MemoryPermit::take(Deadline::after(Duration::ZERO));
        }
        !is_large || self.permit.is_some()
    }

    /// By when an unfinished large line has to have grown.
    pub(crate) fn until(&mut self) -> Option<Deadline> {
        self.permit.as_mut().map(|permit| permit.until(self.unfinished.len()))
    }

    pub(crate) fn next_line(&mut self) -> Option<Text> {
        // What is in memory is read without an error.
        self.chunk.read_until(b'\n', &mut self.unfinished).ok()?;
        self.unfinished.pop_if(|last| *last == b'\n')?;
        Some(Text::new(std::mem::take(&mut self.unfinished), self.permit.take()))
    }

    /// The stream has ended: what came after the last line break counts as a line too.
    pub(crate) fn finish(&mut self) {
        self.chunk.get_mut().push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(text: &str) -> (Id, Result<String, RpcError>) {
        match parse(text.as_bytes()) {
            Message::Response(id, outcome) => (id, outcome.map(|place| text[place].to_owned())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_told_from_errors_requests_notifications_and_noise() {
        assert_eq!(
            response(r#"{"jsonrpc":"2.0","id":7,"result":{"a":[1]}}"#),
            (Id::Number(7), Ok(r#"{"a":[1]}"#.into()))
        );
        assert_eq!(response(r#" {"id":1.0,"result":null,"jsonrpc":"2.0"}"#), (Id::Number(1), Ok("null".into())));
        assert_eq!(response(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#).0, Id::Number(1));
        assert_eq!(response(r#"{"jsonrpc":"2.0","id":"a1","result":{}}"#).0, Id::Other("\"a1\"".into()));
        let (id, error) = response(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"bad"}}"#);
        assert_eq!((id, error.map_err(|e| e.to_string())), (Id::Null, Err("JSON-RPC error -32700: “bad”".into())));
        assert_eq!(
            parse(br#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#),
            Message::Request("\"x\"".into(), "ping".into())
        );
        assert_eq!(parse(br#"{"jsonrpc":"2.0","method":"notifications/message"}"#), Message::Notification);
        for noise in ["", "Starting…", "[1]", "{'a': 1}", r#"{"level":"info","msg":"up"}"#, r#"{"id":3,"method":"x"}"#]
        {
            assert_eq!(parse(noise.as_bytes()), Message::Noise, "{noise}");
        }
    }

    #[test]
    fn what_claims_to_be_json_rpc_and_is_not_is_broken() {
        for broken in [
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
            r#"{"id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"#,
        ] {
            assert!(matches!(parse(broken.as_bytes()), Message::Broken(_)), "{broken}");
        }
        let invalid_utf8 = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xff\"}}";
        assert!(matches!(parse(invalid_utf8), Message::Broken(_)));
    }

    #[test]
    fn an_answer_behind_a_banner_and_one_over_several_lines_are_told_from_noise() {
        let answer = r#"{"result":{"a":{}},"jsonrpc":"2.0","id":7}"#;
        for banner in ["Loading... ", "ready {x} ", "\u{1b}[32mok\u{1b}[0m"] {
            assert_eq!(parse(format!("{banner}{answer}").as_bytes()), Message::Embedded(Id::Number(7)), "{banner}");
        }
        assert!(matches!(parse(br#"  "jsonrpc": "2.0","#), Message::Broken(what) if what.contains("several lines")));
        for noise in ["sent {\"jsonrpc\":\"2.0\",\"method\":\"x\"}", "[\"jsonrpc\"]", "\"jsonrpcs\": 1"] {
            assert_eq!(parse(noise.as_bytes()), Message::Noise, "{noise}");
        }
    }

    #[test]
    fn a_hundred_thousand_levels_of_nesting_are_skipped() {
        let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(parse(deep.as_bytes()), Message::Response(Id::Number(1), Ok(_))));
        let open = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}"#, "[".repeat(100_000));
        assert!(matches!(parse(open.as_bytes()), Message::Broken(_)));
    }

    #[test]
    fn malformed_errors_are_still_errors_and_long_ones_are_cut() {
        for (text, code) in [("\"x\"", 0), ("{\"code\":\"x\"}", 0), ("{\"code\":-32000,\"message\":5}", -32000)] {
            let (_, outcome) = response(&format!(r#"{{"jsonrpc":"2.0","id":1,"error":{text}}}"#));
            assert_eq!(outcome.map_err(|e| e.code), Err(code), "{text}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"message":"{}"}}}}"#, "é".repeat(10_000));
        let (_, outcome) = response(&long);
        assert!(outcome.is_err_and(|e| e.message.chars().count() == QUOTED + 1));
    }

    #[test]
    fn a_client_that_serves_nothing_still_answers() {
        assert_eq!(reply("3", "ping").as_deref(), Some(r#"{"id":3,"jsonrpc":"2.0","result":{}}"#));
        assert!(reply("\"a\"", "roots/list").is_some_and(|r| r.contains("-32601")));
        assert_eq!(reply("{}", "ping"), None);
        assert_eq!(reply(&"1".repeat(300), "ping"), None);
    }

    #[test]
    fn a_line_or_a_stream_that_is_too_large_is_refused() {
        let chunk = vec![b'x'; 1 << 20];
        let mut lines = Lines::default();
        let refused = (0..40).find_map(|n| {
            let refused = lines.push(&chunk).err().map(|e| (n, e));
            assert!(lines.next_line().is_none(), "no line ends");
            refused
        });
        assert_eq!(refused, Some((16, Failure::new(Reason::TooLarge, MESSAGE_TOO_LARGE))));
        let mut lines = Lines::default();
        let short = b"0123456789abcde\n".repeat(4096);
        let refused = (0..2000).find_map(|n| {
            let refused = lines.push(&short).err().map(|e| (n, e));
            while lines.next_line().is_some() {}
            refused
        });
        assert_eq!(refused, Some((1024, Failure::new(Reason::TooLarge, CHECK_TOO_LARGE))));
    }

    #[test]
    fn a_large_answer_is_cut_out_and_the_lines_after_it_are_still_there() {
        let long = "y".repeat(SMALL_BYTES);
        let text = format!("hello\n{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"a\":\"{long}\"}}}}\nnext\nrest");
        let mut lines = Lines::default();
        lines.push(text.as_bytes()).expect("small enough");
        let next = |lines: &mut Lines| lines.next_line().map(|line| String::from_utf8_lossy(&line.bytes).into_owned());
        assert_eq!(next(&mut lines).as_deref(), Some("hello"));
        let line = lines.next_line().expect("a line");
        let Message::Response(_, Ok(place)) = parse(&line.bytes) else { panic!("no answer") };
        let result = line.cut(place).read::<std::collections::BTreeMap<String, String>>();
        assert_eq!(result.expect("read")["a"], long);
        assert_eq!(next(&mut lines).as_deref(), Some("next"));
        assert_eq!(next(&mut lines), None);
        lines.push(b"!").expect("small enough");
        lines.finish();
        assert_eq!(next(&mut lines).as_deref(), Some("rest!"));
        assert_eq!(next(&mut lines), None);
    }

    fn kind(message: &str) -> String {
        match sort(Text::new(message.as_bytes().to_vec(), None), 7) {
            Incoming::Answer(Ok(answer)) => format!("result {}", answer.read::<Value>().unwrap_or_default()),
            Incoming::Answer(Err(error)) => format!("error {}", error.code),
            Incoming::Anonymous(error) => format!("anonymous {}", error.code),
            Incoming::Request(id, method) => format!("request {id} {method}"),
            Incoming::Other => "other".into(),
            Incoming::Unusable(_) => "unusable".into(),
        }
    }

    #[test]
    fn the_answer_is_told_from_everything_else() {
        for (message, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#, r#"result {"a":1}"#),
            (r#" {"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"x"}} "#, "error -1"),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-2,"message":"x"}}"#, "anonymous -2"),
            (r#"{"jsonrpc":"2.0","id":8,"result":{}}"#, "unusable"),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, "result {}"),
            (r#"{"jsonrpc":"2.0","id":"x7","result":{}}"#, "unusable"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, r#"request "a" ping"#),
            (r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "other"),
            (
                r#"[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":7,"result":{"b":2}}]"#,
                r#"result {"b":2}"#,
            ),
            (r#"[{"jsonrpc":"2.0","id":8,"result":{}}]"#, "unusable"),
            ("<html>", "unusable"),
            ("", "unusable"),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
            parse(&[&b"{\"jsonrpc\":\"2.0\","[..], &bytes].concat());
        }

        #[test]
        fn lines_come_out_as_they_went_in_however_they_are_cut(
            lines_in in proptest::collection::vec("[a-z{}]{0,40}", 0..30),
            cuts in proptest::collection::vec(1_usize..50, 1..40),
        ) {
            let text = lines_in.iter().map(|l| format!("{l}\n")).collect::<String>();
            let mut rest = text.as_bytes();
            let mut lines = Lines::default();
            let mut lines_out = Vec::new();
            for cut in cuts.iter().cycle() {
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                lines.push(head).expect("small enough");
                while let Some(line) = lines.next_line() {
                    lines_out.push(String::from_utf8_lossy(&line.bytes).into_owned());
                }
                rest = tail;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(lines_out, lines_in);
        }
    }
}
