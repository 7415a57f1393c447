//! MCP servers over HTTP: honest ones of both eras and both transports, from which hostile ones are made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Duplex, Fake, Seen, Then, answer};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";
const JSON: (&str, &str) = ("Content-Type", "application/json");
/// So that a stream whose client has left notices it.
const HEARTBEAT: Duration = Duration::from_millis(100);
const EVENTS: (&str, &str) = ("Content-Type", "text/event-stream");

/// Answers with a JSON body.
pub(crate) fn answer_json(stream: &mut dyn Duplex, status: &str, body: &Value) -> Then {
    answer(stream, status, &[JSON], body.to_string().as_bytes())
}

/// Answers 200 with an event stream that ends after `events`.
pub(crate) fn answer_events(stream: &mut dyn Duplex, headers: &[(&str, &str)], events: &str) -> Then {
    let headers: Vec<_> = headers.iter().copied().chain([EVENTS]).collect();
    answer(stream, "200 OK", &headers, events.as_bytes())
}

/// Begins an event stream without an end.
pub(crate) fn begin_events(stream: &mut dyn Duplex) -> bool {
    say(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
}

/// Writes some text; false once the client has left.
pub(crate) fn say(stream: &mut dyn Duplex, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}

/// A message as an event.
pub(crate) fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// The answer to a request.
pub(crate) fn result(seen: &Seen, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": seen.json()["id"], "result": result })
}

/// A JSON-RPC error in answer to a request.
pub(crate) fn error(seen: &Seen, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": seen.json()["id"], "error": { "code": code, "message": message } })
}

/// The JSON-RPC method of a request.
pub(crate) fn method(seen: &Seen) -> String {
    seen.json()["method"].as_str().unwrap_or_default().to_owned()
}

/// One tool.
pub(crate) fn tool(name: &str) -> Value {
    json!({ "name": name, "description": "does it", "inputSchema": { "type": "object" } })
}

/// What an honest modern server says.
pub(crate) fn modern_result(seen: &Seen) -> Value {
    match method(seen).as_str() {
        "server/discover" => result(
            seen,
            json!({
                "resultType": "complete",
                "supportedVersions": [MODERN],
                "capabilities": { "tools": {} },
                "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "fake", "version": "1.2.3" } },
            }),
        ),
        "tools/list" => result(
            seen,
            json!({ "resultType": "complete", "tools": [tool("a"), tool("b")], "ttlMs": 0, "cacheScope": "public" }),
        ),
        _ => error(seen, -32601, "Method not found"),
    }
}

/// What an honest legacy server says.
pub(crate) fn legacy_result(seen: &Seen) -> Value {
    match method(seen).as_str() {
        "initialize" => result(
            seen,
            json!({
                "protocolVersion": LEGACY,
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "fake", "version": "1.2.3" },
            }),
        ),
        "tools/list" => result(seen, json!({ "tools": [tool("a"), tool("b")] })),
        _ => error(seen, -32601, "Method not found"),
    }
}

/// An honest modern server's handler.
pub(crate) fn modern(seen: &Seen, stream: &mut dyn Duplex) -> Then {
    answer_json(stream, "200 OK", &modern_result(seen))
}

/// An honest legacy server's handler, without sessions.
pub(crate) fn legacy(seen: &Seen, stream: &mut dyn Duplex) -> Then {
    match (seen.method.as_str(), method(seen).as_str()) {
        ("POST", "notifications/initialized" | "") => answer(stream, "202 Accepted", &[], b""),
        ("POST", "server/discover") => answer_json(stream, "400 Bad Request", &error(seen, -32000, "no session")),
        ("POST", _) => answer_json(stream, "200 OK", &legacy_result(seen)),
        _ => answer(stream, "405 Method Not Allowed", &[], b""),
    }
}

/// The sessions of a legacy server.
#[derive(Default)]
pub(crate) struct Sessions {
    opened: AtomicU64,
    ended: Mutex<Vec<String>>,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Sessions {
    /// How many were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// How many different ones were ended.
    pub(crate) fn ended(&self) -> usize {
        let mut ended = self.ended.lock().expect("not poisoned").clone();
        ended.sort();
        ended.dedup();
        ended.len()
    }

    /// A legacy server with sessions that answers as an event stream, as the TypeScript SDK does. `then` may take
    /// over for requests inside a session.
    pub(crate) fn serve(
        self: &Arc<Self>,
        then: impl Fn(&Seen, &mut dyn Duplex) -> Option<Then> + Send + Sync + 'static,
    ) -> Fake {
        let sessions = Arc::clone(self);
        Fake::serve(move |seen, stream| {
            let session = seen.header("mcp-session-id").map(str::to_owned);
            match (seen.method.as_str(), method(seen).as_str(), session) {
                ("POST", "initialize", None) => {
                    let id = format!("session-{}", sessions.opened.fetch_add(1, Ordering::SeqCst));
                    let events = format!("id: 1\ndata: \n\n{}", event(&legacy_result(seen)));
                    answer_events(stream, &[("Mcp-Session-Id", &id)], &events)
                }
                (_, _, None) => answer_json(stream, "400 Bad Request", &error(seen, -32000, "No valid session ID")),
                ("DELETE", _, Some(id)) => {
                    sessions.ended.lock().expect("not poisoned").push(id);
                    answer(stream, "200 OK", &[], b"")
                }
                (_, _, Some(_)) if seen.header("mcp-protocol-version") != Some(LEGACY) => {
                    answer_json(stream, "400 Bad Request", &error(seen, -32000, "wrong protocol version"))
                }
                (_, name, Some(_)) => match then(seen, stream) {
                    Some(then) => then,
                    None if name.starts_with("notifications/") => answer(stream, "202 Accepted", &[], b""),
                    None => answer_events(stream, &[], &event(&legacy_result(seen))),
                },
            }
        })
    }
}

/// Events for a stream, and where to say that they have been written: the POST behind them is answered after that.
type ToWrite = (String, Sender<()>);

/// The deprecated HTTP+SSE transport: a stream, and an address to post to.
pub(crate) struct SseServer {
    /// What the `endpoint` event says.
    pub(crate) endpoint: String,
    /// Makes the answer to a posted message: events for the stream.
    pub(crate) reply: fn(&Seen) -> Vec<String>,
}

impl SseServer {
    /// An honest one.
    pub(crate) fn honest() -> Self {
        let reply = |seen: &Seen| match method(seen).as_str() {
            "" | "notifications/initialized" => Vec::new(),
            _ => vec![event(&legacy_result(seen))],
        };
        SseServer { endpoint: "/messages?session=7".into(), reply }
    }

    /// Serves at `/sse`.
    pub(crate) fn serve(self) -> Fake {
        let line: Mutex<Option<Sender<ToWrite>>> = Mutex::new(None);
        Fake::serve(move |seen, stream| match (seen.method.as_str(), seen.target.as_str()) {
            ("GET", "/sse") => {
                let (sender, events) = channel();
                *line.lock().expect("not poisoned") = Some(sender);
                let mut open = begin_events(stream);
                open &= say(stream, &format!("event: endpoint\ndata: {}\n\n", self.endpoint));
                while open {
                    match events.recv_timeout(HEARTBEAT) {
                        Ok((events, written)) => {
                            open = say(stream, &events);
                            let _ = written.send(());
                        }
                        Err(RecvTimeoutError::Timeout) => open = say(stream, ": still here\n\n"),
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
                Then::Close
            }
            ("POST", target) if target.starts_with("/messages") => {
                let line = line.lock().expect("not poisoned").clone();
                for events in (self.reply)(seen) {
                    let (written, wait) = channel();
                    let _ = line.as_ref().map(|line| line.send((events, written)));
                    let _ = wait.recv();
                }
                answer(stream, "202 Accepted", &[], b"Accepted")
            }
            ("POST", _) => answer(stream, "404 Not Found", &[("Content-Type", "text/html")], b"Cannot POST /sse"),
            _ => answer(stream, "404 Not Found", &[], b""),
        })
    }
}
