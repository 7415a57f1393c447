//! Any bytes as what an MCP server says.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;

use super::eras::Dialect;
use super::events::Events;
use super::jsonrpc::{self, Id, Incoming, Lines, Message, Text};
use super::tools::Peer;
use super::{eras, tools};
use crate::clock::Deadline;
use crate::http::ErrorKind;
use crate::model::mcp::{Era, McpFacts};
use crate::model::reason::{Failure, Reason};

/// The id of our request.
const OURS: i64 = 7;

/// A stream cut anywhere holds the same messages; a general parser sees the same in each.
pub(crate) fn json_rpc(cut: usize, stream: &[u8]) {
    let cut = cut.min(stream.len());
    let whole = messages(&[stream]);
    assert_eq!(whole, messages(&[&stream[..cut], &stream[cut..]]));
    for (line, message) in stream.split(|byte| *byte == b'\n').zip(&whole) {
        compare(line, &message.0);
    }
    answers(stream);
}

/// Every line's message, and its result's text where it has one.
fn messages(pieces: &[&[u8]]) -> Vec<(Message, Option<String>)> {
    let mut lines = Lines::default();
    let mut messages = Vec::new();
    let mut drain = |lines: &mut Lines| {
        while let Some(line) = lines.next_line() {
            let message = jsonrpc::parse(&line.bytes);
            let place = match &message {
                Message::Response(_, Ok(place)) => Some(place.clone()),
                _ => None,
            };
            let result = place.map(|place| format!("{:?}", line.cut(place)));
            messages.push((message, result));
        }
    };
    for piece in pieces {
        if lines.push(piece).is_err() {
            return messages;
        }
        drain(&mut lines);
    }
    lines.finish();
    drain(&mut lines);
    messages
}

fn compare(line: &[u8], message: &Message) {
    let general: Option<Value> = serde_json::from_slice(line).ok();
    match message {
        Message::Response(id, Ok(place)) => {
            let result = &line[place.clone()];
            assert!(serde_json::from_slice::<&serde_json::value::RawValue>(result).is_ok(), "no value");
            // Of a key that is there twice the general parser keeps the last; ours has refused it.
            if let Some(general) = general {
                assert_eq!(serde_json::from_slice::<Value>(result).ok().as_ref(), Some(&general["result"]));
                assert_eq!(matches!(id, Id::Null), general["id"].is_null());
            }
        }
        Message::Request(id, method) => {
            if let Some(general) = general {
                assert_eq!(general["method"], Value::from(method.as_str()));
            }
            if let Some(reply) = jsonrpc::reply(id, method) {
                assert!(reply.len() < 1024, "{reply}");
                let reply: Value = serde_json::from_str(&reply).expect("JSON");
                assert_eq!(Some(&reply["id"]), serde_json::from_str(id).ok().as_ref());
            }
        }
        Message::Response(_, Err(error)) => {
            assert!(error.message.chars().count() <= 320, "{error:?}");
            let tried = vec![eras::MODERN.to_owned()];
            if let Some(eras::Next::Open(Era::Modern, version)) = eras::retry(error, &tried) {
                assert!(version.len() <= 40 && tried.iter().filter(|t| **t == version).count() <= 1);
            }
        }
        Message::Broken(what) => assert!(!what.is_empty()),
        Message::Notification | Message::Embedded(_) | Message::Noise => {}
    }
}

/// The stream as the one answer that is awaited, to whichever request.
fn answers(text: &[u8]) {
    let Incoming::Answer(Ok(answer)) = jsonrpc::sort(Text::new(text.to_vec(), None), OURS) else { return };
    let discovered = match eras::read_discover(&answer, eras::MODERN) {
        Ok(eras::Next::Opened(greeting)) => Some(greeting),
        Ok(eras::Next::Open(..)) | Err(_) => None,
    };
    for greeting in eras::read_initialize(&answer).ok().into_iter().chain(discovered) {
        let texts = [&greeting.server_name, &greeting.server_version];
        assert!(texts.iter().all(|text| text.as_ref().is_none_or(|text| text.chars().count() <= 121)));
    }
    let dialect = Dialect { era: Era::Legacy, version: eras::LEGACY.into() };
    let listed = || {
        let mut facts = McpFacts::default();
        tools::list(&mut Once(text, false), &dialect, Deadline::after(Duration::from_secs(20)), &mut facts)
            .map(|()| facts)
    };
    if let (Ok(first), Ok(second)) = (listed(), listed()) {
        assert_eq!(first, second);
        assert!(first.tools.unwrap_or(0) as usize <= text.len(), "more tools than bytes");
    }
}

/// A peer that answers once.
struct Once<'a>(&'a [u8], bool);

impl Peer for Once<'_> {
    fn call(&mut self, _: &str, _: &Value, _: Deadline) -> Result<Text, Failure> {
        if std::mem::replace(&mut self.1, true) {
            return Err(Failure::new(Reason::RpcError, ""));
        }
        match jsonrpc::sort(Text::new(self.0.to_vec(), None), OURS) {
            Incoming::Answer(Ok(answer)) => Ok(answer),
            _ => Err(Failure::new(Reason::ProtocolError, "")),
        }
    }
}

/// Small, so that the fuzzer meets it.
const LIMIT: usize = 4096;

/// A stream cut anywhere holds the same events, and those of a plain reading of the standard.
pub(crate) fn sse(cut: usize, stream: &[u8]) {
    let cut = cut.min(stream.len());
    let whole = events(stream);
    assert_eq!(whole, events(stream[..cut].chain(&stream[cut..])));
    match whole {
        Ok(events) => assert_eq!(events, plainly(stream)),
        Err(kind) => assert!(kind == ErrorKind::TooLarge && stream.len() > LIMIT),
    }
}

type Event = (String, Vec<u8>);

fn events(stream: impl Read) -> Result<Vec<Event>, ErrorKind> {
    let mut events = Events::new(stream, LIMIT);
    let mut read = Vec::new();
    let deadline = Deadline::after(Duration::from_secs(20));
    while let Some((name, data)) = events.next(deadline).map_err(|error| error.kind)? {
        assert!(data.bytes.len() <= LIMIT);
        read.push((name, data.bytes));
    }
    Ok(read)
}

/// The standard's algorithm, with everything in memory.
fn plainly(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), Vec::<&[u8]>::new());
    for line in ended_lines(stream) {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            _ if line.is_empty() => {
                if !data.is_empty() {
                    let name = if name.is_empty() { "message".into() } else { String::from_utf8_lossy(&name).into() };
                    events.push((name, data.join(&b'\n')));
                }
                (name, data) = (Vec::new(), Vec::new());
            }
            b"event" => name = value.to_vec(),
            b"data" => data.push(value),
            _ => {}
        }
    }
    events
}

/// Every line that CR, LF or CRLF ends.
fn ended_lines(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let width = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        lines.push(&rest[..end]);
        rest = &rest[end + width..];
    }
    lines
}
