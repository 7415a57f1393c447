//! MCP servers behind a URL: honest ones of both eras and both transports, and everything that can be wrong with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_probe::check::mcp;
use lab_probe::clock::{self, Deadline};
use lab_probe::model::mcp::{
    Era, HttpServer, HttpTransport, McpFacts, McpMemory, McpTarget, McpVerdict, Reach, Transport,
};
use lab_probe::model::reason::Reason;
use lab_probe::redact::Secret;
use serde_json::{Value, json};

use crate::harness::context;
use crate::harness::http::{Certificates, Duplex, Fake, Seen, Then, answer};
use crate::harness::mcp_http::{
    LEGACY, MODERN, Sessions, SseServer, answer_events, answer_json, begin_events, error, event, legacy, legacy_result,
    method, modern, modern_result, result, say, tool,
};
use crate::harness::servers::{Listening, node, npm_server, python};

/// Long enough for a machine with nothing to spare; tests that wait for a deadline set a short one themselves.
const AMPLE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(800);

/// A check to be made.
struct Asking {
    server: HttpServer,
    memory: McpMemory,
    timeout: Duration,
    list_tools: bool,
}

fn asking(url: &str) -> Asking {
    let server = HttpServer {
        url: Secret::new(url),
        transport: HttpTransport::Auto,
        headers: Vec::new(),
        ca_file: None,
        login: None,
    };
    Asking { server, memory: McpMemory::default(), timeout: AMPLE, list_tools: true }
}

impl Asking {
    fn token(mut self) -> Self {
        self.server.headers.push(("Authorization".into(), Secret::new("Bearer canary-token")));
        self
    }

    fn transport(mut self, transport: HttpTransport) -> Self {
        self.server.transport = transport;
        self
    }

    fn ca_file(mut self, path: PathBuf) -> Self {
        self.server.ca_file = Some(path);
        self
    }

    fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn remembering(mut self, era: Option<Era>, transport: Option<Transport>) -> Self {
        self.memory.era = era;
        self.memory.transport = transport;
        self
    }

    fn check(self) -> (McpFacts, McpMemory) {
        let target = McpTarget { reach: Reach::Http(self.server), list_tools: self.list_tools };
        let context = context(self.timeout, Deadline::after(self.timeout * 4));
        let began = clock::instant();
        let found = mcp::check(&target, self.memory, &context).expect("nothing has to be started");
        assert!(began.elapsed() < self.timeout + Duration::from_secs(5), "took {:?}", began.elapsed());
        found
    }

    #[track_caller]
    fn expect_up(self) -> McpFacts {
        let facts = self.check().0;
        assert_eq!(facts.failure, None);
        facts
    }

    #[track_caller]
    fn expect(self, reason: Reason) -> McpFacts {
        let facts = self.check().0;
        let failure = facts.failure.as_ref().unwrap_or_else(|| panic!("up instead of {reason:?}"));
        assert_eq!(failure.reason, reason, "{}", failure.detail);
        assert!(!failure.detail.contains("canary"), "{}", failure.detail);
        facts
    }
}

/// A modern server whose answers to `tools/list` are somebody else's.
fn modern_but(tools: impl Fn(&Seen, &mut dyn Duplex) -> Then + Send + Sync + 'static) -> Fake {
    Fake::serve(move |seen, stream| match method(seen).as_str() {
        "tools/list" => tools(seen, stream),
        _ => modern(seen, stream),
    })
}

#[test]
fn a_modern_server_is_up_and_every_request_says_who_asks() {
    let server = Fake::serve(modern);
    let (facts, memory) = asking(&server.url("/mcp")).check();
    assert_eq!(facts.failure, None);
    assert_eq!((facts.era, facts.transport), (Some(Era::Modern), Some(Transport::Http)));
    assert_eq!((facts.protocol_version.as_deref(), facts.tools), (Some(MODERN), Some(2)));
    assert_eq!((facts.server_name.as_deref(), facts.server_version.as_deref()), (Some("fake"), Some("1.2.3")));
    assert!(facts.handshake.is_some());
    assert_eq!((memory.era, memory.transport), (Some(Era::Modern), Some(Transport::Http)));
    let seen = server.seen();
    assert_eq!(seen.iter().map(method).collect::<Vec<_>>(), ["server/discover", "tools/list"]);
    for seen in seen {
        assert_eq!(seen.header("mcp-protocol-version"), Some(MODERN));
        assert_eq!(seen.header("mcp-method"), Some(method(&seen).as_str()));
        assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        let meta = &seen.json()["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], MODERN);
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "lab-probe");
    }
}

#[test]
fn a_modern_answer_may_come_as_an_event_stream_behind_other_things() {
    let server = Fake::serve(|seen, stream| {
        begin_events(stream);
        say(stream, ": comment\n\nid: 1\nretry: 100\ndata:\n\n");
        say(stream, &event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} })));
        say(stream, &event(&json!({ "jsonrpc": "2.0", "id": "someone else's", "result": {} })));
        say(stream, "event: custom\ndata: {}\n\ndata: no JSON\n\n");
        say(stream, &event(&modern_result(seen)));
        // The stream stays open: a client that reads to its end would wait for ever.
        while say(stream, ": still here\n\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
        Then::Close
    });
    assert_eq!(asking(&server.url("/mcp")).expect_up().tools, Some(2));
}

#[test]
fn a_legacy_server_without_sessions_is_up() {
    let server = Fake::serve(legacy);
    let (facts, memory) = asking(&server.url("/mcp")).check();
    assert_eq!(facts.failure, None);
    assert_eq!((facts.era, facts.tools), (Some(Era::Legacy), Some(2)));
    assert_eq!(facts.protocol_version.as_deref(), Some(LEGACY));
    let methods: Vec<_> = server.seen().iter().map(method).collect();
    assert_eq!(methods, ["server/discover", "initialize", "notifications/initialized", "tools/list"]);
    assert_eq!(server.seen()[3].header("mcp-protocol-version"), Some(LEGACY));
    assert_eq!(server.seen()[3].header("mcp-method"), None);
    let again = asking(&server.url("/mcp")).remembering(memory.era, memory.transport);
    again.expect_up();
    assert_eq!(method(&server.seen()[4]), "initialize", "the remembered era is tried first");
}

#[test]
fn every_answer_to_discover_that_is_not_modern_means_legacy() {
    let answers: &[(&str, &str, &str)] = &[
        ("200 OK", "application/json", r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no"}}"#),
        ("200 OK", "application/json", r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"no"}}"#),
        ("200 OK", "application/json", r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#),
        ("200 OK", "text/html", "<html>"),
        ("202 Accepted", "text/plain", ""),
        ("204 No Content", "text/plain", ""),
        (
            "400 Bad Request",
            "application/json",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#,
        ),
        ("404 Not Found", "text/html", "<html>"),
        ("405 Method Not Allowed", "text/plain", "no"),
        ("406 Not Acceptable", "text/plain", "no"),
        ("422 Unprocessable Content", "application/json", r#"{"detail":"no"}"#),
        ("500 Internal Server Error", "text/plain", "no"),
    ];
    for &(status, media_type, body) in answers {
        let server = Fake::serve(move |seen, stream| match method(seen).as_str() {
            "server/discover" => {
                let body = body.replace("ID", &seen.json()["id"].to_string());
                answer(stream, status, &[("Content-Type", media_type)], body.as_bytes())
            }
            _ => legacy(seen, stream),
        });
        let facts = asking(&server.url("/mcp")).check().0;
        assert_eq!((facts.failure, facts.era), (None, Some(Era::Legacy)), "{status} {body}");
    }
}

#[test]
fn a_modern_server_that_wants_another_version_is_asked_again_with_that() {
    let server = Fake::serve(|seen, stream| {
        if seen.header("mcp-protocol-version") == Some("2027-01-01") {
            let mut answer = modern_result(seen);
            if method(seen) == "server/discover" {
                answer["result"]["supportedVersions"] = json!(["2027-01-01"]);
            }
            return answer_json(stream, "200 OK", &answer);
        }
        let mut refusal = error(seen, -32022, "unsupported protocol version");
        refusal["error"]["data"] = json!({ "supported": ["2027-01-01"], "requested": MODERN });
        answer_json(stream, "400 Bad Request", &refusal)
    });
    let facts = asking(&server.url("/mcp")).expect_up();
    assert_eq!((facts.era, facts.protocol_version.as_deref()), (Some(Era::Modern), Some("2027-01-01")));
}

#[test]
fn a_server_that_discovers_only_legacy_versions_is_opened_with_initialize() {
    let server = Fake::serve(|seen, stream| match method(seen).as_str() {
        "server/discover" => {
            let mut answer = modern_result(seen);
            answer["result"]["supportedVersions"] = json!(["2025-06-18"]);
            answer_json(stream, "200 OK", &answer)
        }
        _ if seen.header("mcp-method").is_some() => {
            answer_json(stream, "400 Bad Request", &error(seen, -32022, "unsupported protocol version"))
        }
        _ => legacy(seen, stream),
    });
    assert_eq!(asking(&server.url("/mcp")).expect_up().era, Some(Era::Legacy));
}

#[test]
fn json_that_begins_with_a_byte_order_mark_is_read() {
    let server = Fake::serve(|seen, stream| {
        let answer_text = format!("\u{feff}{}", modern_result(seen));
        answer(stream, "200 OK", &[("Content-Type", "application/json")], answer_text.as_bytes())
    });
    asking(&server.url("/mcp")).expect_up();
}

#[test]
fn a_modern_server_that_refuses_for_another_reason_is_not_asked_in_legacy() {
    let server =
        Fake::serve(|seen, stream| answer_json(stream, "400 Bad Request", &error(seen, -32021, "needs roots")));
    asking(&server.url("/mcp")).expect(Reason::RpcError);
    assert!(server.seen().iter().all(|seen| method(seen) == "server/discover"));
}

#[test]
fn a_remembered_era_or_transport_that_no_longer_works_is_found_anew() {
    let server = Fake::serve(modern);
    for (era, transport) in [
        (Some(Era::Legacy), Some(Transport::Http)),
        (Some(Era::Legacy), Some(Transport::Sse)),
        (Some(Era::Modern), None),
    ] {
        let (facts, memory) = asking(&server.url("/mcp")).remembering(era, transport).check();
        assert_eq!((facts.failure, facts.era), (None, Some(Era::Modern)), "{era:?} {transport:?}");
        assert_eq!((memory.era, memory.transport), (Some(Era::Modern), Some(Transport::Http)));
    }
    let server = Fake::serve(legacy);
    let (facts, memory) = asking(&server.url("/mcp")).remembering(Some(Era::Modern), Some(Transport::Http)).check();
    assert_eq!((facts.failure, memory.era), (None, Some(Era::Legacy)));
}

#[test]
fn every_session_is_ended_however_the_check_went() {
    type Inside = fn(&Seen, &mut dyn Duplex) -> Option<Then>;
    let ways: &[(&str, Option<Reason>, Inside)] = &[
        ("honest", None, |_, _| None),
        ("tools refused", Some(Reason::RpcError), |seen, stream| {
            (method(seen) == "tools/list").then(|| answer_json(stream, "200 OK", &error(seen, -32603, "broken")))
        }),
        ("tools unauthorized", Some(Reason::AuthRequired), |seen, stream| {
            (method(seen) == "tools/list").then(|| answer(stream, "401 Unauthorized", &[], b""))
        }),
        ("tools silent", Some(Reason::Timeout), |seen, _| {
            (method(seen) == "tools/list").then(|| {
                std::thread::sleep(SHORT * 2);
                Then::Close
            })
        }),
        ("initialized hangs up", None, |seen, _| (method(seen) == "notifications/initialized").then_some(Then::Close)),
        ("initialized refused", None, |seen, stream| {
            (method(seen) == "notifications/initialized").then(|| answer(stream, "400 Bad Request", &[], b""))
        }),
    ];
    for (name, expected, inside) in ways {
        let sessions = Arc::new(Sessions::default());
        let server = sessions.serve(*inside);
        let facts = asking(&server.url("/mcp")).within(if *name == "tools silent" { SHORT } else { AMPLE }).check().0;
        let failure = facts.failure.clone();
        assert_eq!(failure.as_ref().map(|failure| failure.reason), *expected, "{name}: {failure:?}");
        assert_eq!((sessions.opened(), sessions.ended()), (1, 1), "{name}");
    }
}

#[test]
fn a_session_named_by_an_initialize_that_never_finishes_is_ended_too() {
    let server = Fake::serve(|seen, stream| match (seen.method.as_str(), method(seen).as_str()) {
        ("DELETE", _) => answer(stream, "204 No Content", &[], b""),
        (_, "initialize") => {
            say(stream, "HTTP/1.1 200 OK\r\nMcp-Session-Id: s\r\nContent-Type: text/event-stream\r\n\r\n: wait\n\n");
            std::thread::sleep(SHORT * 2);
            Then::Close
        }
        _ => answer_json(stream, "400 Bad Request", &error(seen, -32000, "no session")),
    });
    asking(&server.url("/mcp")).within(SHORT).expect(Reason::Timeout);
    assert_eq!(server.count("DELETE"), 1);
}

#[test]
fn a_server_that_opens_a_session_for_discover_gets_it_ended() {
    let server = Fake::serve(|seen, stream| match (seen.method.as_str(), method(seen).as_str()) {
        ("POST", "server/discover") => {
            answer(stream, "400 Bad Request", &[("Mcp-Session-Id", "stray"), ("Content-Type", "text/plain")], b"no")
        }
        _ => legacy(seen, stream),
    });
    asking(&server.url("/mcp")).expect_up();
    let deleted: Vec<_> = server.seen().into_iter().filter(|seen| seen.method == "DELETE").collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].header("mcp-session-id"), Some("stray"));
    assert!(
        server.seen().iter().filter(|seen| seen.method == "POST").all(|seen| seen.header("mcp-session-id").is_none())
    );
}

#[test]
fn requests_of_a_legacy_server_are_answered_before_its_own_answer_comes() {
    let (sender, receiver) = std::sync::mpsc::channel::<Value>();
    let (sender, receiver) = (std::sync::Mutex::new(sender), std::sync::Mutex::new(receiver));
    let sessions = Arc::new(Sessions::default());
    let server = sessions.serve(move |seen, stream| match method(seen).as_str() {
        "tools/list" => {
            begin_events(stream);
            say(stream, &event(&json!({ "jsonrpc": "2.0", "id": "p1", "method": "ping" })));
            say(stream, &event(&json!({ "jsonrpc": "2.0", "id": 7, "method": "roots/list" })));
            let answers: Vec<Value> = (0..2)
                .map(|_| receiver.lock().expect("not poisoned").recv_timeout(AMPLE).expect("an answer"))
                .collect();
            assert_eq!(answers[0], json!({ "jsonrpc": "2.0", "id": "p1", "result": {} }));
            assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(7), &json!(-32601)));
            say(stream, &event(&legacy_result(seen)));
            Some(Then::Close)
        }
        "" => {
            let _ = sender.lock().expect("not poisoned").send(seen.json());
            Some(answer(stream, "202 Accepted", &[], b""))
        }
        _ => None,
    });
    asking(&server.url("/mcp")).expect_up();
}

#[test]
fn the_deprecated_transport_is_found_behind_a_post_that_is_refused() {
    let server = SseServer::honest().serve();
    let (facts, memory) = asking(&server.url("/sse")).check();
    assert_eq!(facts.failure, None);
    assert_eq!((facts.era, facts.transport, facts.tools), (Some(Era::Legacy), Some(Transport::Sse), Some(2)));
    assert_eq!(memory.transport, Some(Transport::Sse));
    let before = server.seen().len();
    asking(&server.url("/sse")).remembering(memory.era, memory.transport).expect_up();
    assert_eq!(server.seen()[before].method, "GET", "the remembered transport is tried first");
    let before = server.seen().len();
    asking(&server.url("/sse")).transport(HttpTransport::Sse).expect_up();
    assert_eq!(server.seen()[before].method, "GET");
    asking(&server.url("/sse")).transport(HttpTransport::Http).expect(Reason::HttpStatus);
}

#[test]
fn no_bare_get_reaches_a_server_that_speaks_streamable_http() {
    for handler in [modern, legacy] {
        let server = Fake::serve(handler);
        asking(&server.url("/mcp")).expect_up();
        assert_eq!(server.count("GET"), 0);
    }
}

#[test]
fn an_endpoint_of_another_origin_is_refused_and_gets_nothing() {
    let other = Fake::serve(modern);
    let foreign = [other.url("/messages"), "//example.invalid/m".into(), "file:///etc/passwd".into()];
    for endpoint in foreign {
        let server = SseServer { endpoint: endpoint.clone(), ..SseServer::honest() }.serve();
        let facts = asking(&server.url("/sse")).token().transport(HttpTransport::Sse).expect(Reason::ProtocolError);
        assert!(facts.failure.is_some_and(|failure| failure.detail.contains("endpoint")), "{endpoint}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn a_connection_closed_before_any_byte_of_the_first_answer_is_tried_once_more() {
    let closing_first = |connections: usize| {
        let seen_so_far = AtomicUsize::new(0);
        Fake::serve(move |seen, stream| match seen_so_far.fetch_add(1, Ordering::SeqCst) {
            before if before < connections => Then::Close,
            _ => modern(seen, stream),
        })
    };
    asking(&closing_first(1).url("/mcp")).expect_up();
    asking(&closing_first(usize::MAX).url("/mcp")).expect(Reason::ProtocolError);
}

#[test]
fn a_big_answer_on_the_stream_before_the_post_is_answered_is_no_trouble() {
    let reply = |seen: &Seen| match method(seen).as_str() {
        "notifications/initialized" => Vec::new(),
        "tools/list" => {
            let tools: Vec<Value> = (0..40)
                .map(|n| json!({ "name": n.to_string(), "description": "x".repeat(200_000), "inputSchema": { "type": "object" } }))
                .collect();
            vec![event(&result(seen, json!({ "tools": tools })))]
        }
        _ => vec![event(&legacy_result(seen))],
    };
    let server = SseServer { reply, ..SseServer::honest() }.serve();
    assert_eq!(asking(&server.url("/sse")).expect_up().tools, Some(40));
}

#[test]
fn trouble_on_the_deprecated_stream_has_its_reason() {
    let never = Fake::serve(|seen, stream| match seen.method.as_str() {
        "GET" => {
            begin_events(stream);
            while say(stream, ": no endpoint yet\n\n") {
                std::thread::sleep(Duration::from_millis(20));
            }
            Then::Close
        }
        _ => answer(stream, "405 Method Not Allowed", &[], b""),
    });
    asking(&never.url("/sse")).within(SHORT).expect(Reason::Timeout);
    let ends = Fake::serve(|seen, stream| match seen.method.as_str() {
        "GET" => answer_events(stream, &[], "event: endpoint\ndata: /messages\n\n"),
        _ if seen.target == "/messages" => answer(stream, "202 Accepted", &[], b""),
        _ => answer(stream, "404 Not Found", &[], b""),
    });
    asking(&ends.url("/sse")).expect(Reason::ProtocolError);
    let reply = |_: &Seen| Vec::new();
    let mute = SseServer { reply, ..SseServer::honest() }.serve();
    asking(&mute.url("/sse")).transport(HttpTransport::Sse).within(SHORT).expect(Reason::Timeout);
    let login = Fake::serve(|_, stream| answer(stream, "401 Unauthorized", &[], b""));
    asking(&login.url("/sse")).transport(HttpTransport::Sse).expect(Reason::AuthRequired);
    let broken = SseServer { endpoint: "/nowhere".into(), ..SseServer::honest() }.serve();
    asking(&broken.url("/sse")).transport(HttpTransport::Sse).expect(Reason::HttpStatus);
}

#[test]
fn refused_credentials_and_missing_ones_are_told_apart_at_every_step() {
    let challenge = ("WWW-Authenticate", "Bearer resource_metadata=\"https://auth.example/meta\"");
    for status in ["401 Unauthorized", "403 Forbidden"] {
        for step in ["server/discover", "tools/list"] {
            let server = Fake::serve(move |seen, stream| match method(seen) {
                name if name == step => answer(stream, status, &[challenge], b"this token is not good"),
                _ => modern(seen, stream),
            });
            let facts = asking(&server.url("/mcp")).expect(Reason::AuthRequired);
            assert_eq!(facts.verdict(), McpVerdict::NotConfigured);
            let detail = facts.failure.expect("a failure").detail;
            assert!(detail.contains(&status[..3]) && detail.contains("resource_metadata"), "{detail}");
            let facts = asking(&server.url("/mcp")).token().expect(Reason::Unauthorized);
            assert_eq!(facts.verdict(), McpVerdict::Down);
        }
        for step in ["initialize", "notifications/initialized", "tools/list"] {
            let server = Fake::serve(move |seen, stream| match method(seen) {
                name if name == step => answer(stream, status, &[challenge], b""),
                _ => legacy(seen, stream),
            });
            asking(&server.url("/mcp")).expect(Reason::AuthRequired);
            asking(&server.url("/mcp")).token().expect(Reason::Unauthorized);
        }
    }
    let server = Fake::serve(|_, stream| answer(stream, "401 Unauthorized", &[], b""));
    asking(&server.url("/mcp").replace("http://", "http://user:canary@")).expect(Reason::Unauthorized);
}

#[test]
fn a_server_quoting_its_credentials_does_not_get_them_into_the_evidence() {
    let server = Fake::serve(|seen, stream| {
        let quoted = format!("{:?} {} {:?}", seen.header("authorization"), seen.target, seen.header("x-key"));
        answer_json(stream, "418 No", &json!({ "message": quoted }))
    });
    let url = server.url("/canary-path-0123456789/mcp?key=canary-query%20x&v=1");
    let mut asking = asking(&url.replace("http://", "http://canary-user:canary-password@"));
    asking.server.headers.push(("X-Key".into(), Secret::new("canary key with words")));
    let facts = asking.expect(Reason::HttpStatus);
    assert!(facts.failure.expect("a failure").detail.contains("418"));
}

/// A page of a modern list.
fn page(tools: &[Value], cursor: &str) -> Value {
    json!({ "resultType": "complete", "tools": tools, "nextCursor": cursor, "ttlMs": 0, "cacheScope": "private" })
}

#[test]
fn a_refusal_is_quoted_and_its_hint_says_what_to_do() {
    type Refusal = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let refusals: [(Refusal, &str, &str); 10] = [
        (("503 Service Unavailable", &[], "starting"), "HTTP 503: “starting”", "not ready"),
        (("502 Bad Gateway", &[("Content-Type", "text/html")], "<html>"), "HTTP 502", "not ready"),
        (("429 Too Many Requests", &[("Retry-After", "120")], ""), "HTTP 429", "it asks to wait “120”"),
        (("403 Forbidden", &[], "Invalid Host header"), "HTTP 403: “Invalid Host header”", "refuses the host"),
        (
            ("403 Forbidden", &[("Content-Type", "application/json")], r#"{"error":"Origin not allowed"}"#),
            "HTTP 403",
            "refuses the host",
        ),
        (
            (
                "421 Misdirected Request",
                &[("Content-Type", "application/json")],
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Invalid Host: x"},"id":1}"#,
            ),
            "Invalid Host: x",
            "refuses the host",
        ),
        (("400 Bad Request", &[], "no such tenant\x1b[2J”"), "HTTP 400: “no such tenant\\u{1b}[2J\"”", "check the URL"),
        (
            ("301 Moved Permanently", &[("Location", "/mcp/")], ""),
            "after a redirect to the same address with a slash",
            "the same address with a slash",
        ),
        (("302 Found", &[("Location", "/login")], ""), "/login", "if it is a page to log in, configure"),
        (("307 Temporary Redirect", &[("Location", "/busy")], ""), "after a redirect to http://127.0.0.1", "not ready"),
    ];
    for ((status, headers, body), said, hint) in refusals {
        let server = Fake::serve(move |seen, stream| match (seen.method.as_str(), seen.target.as_str()) {
            (_, "/busy") => answer(stream, "503 Service Unavailable", &[], b""),
            ("GET", _) => answer(stream, "405 Method Not Allowed", &[], b""),
            _ => answer(stream, status, headers, body.as_bytes()),
        });
        let failure = asking(&server.url("/mcp")).expect(Reason::HttpStatus).failure.expect("a failure");
        assert!(failure.detail.contains(said), "{status}: {}", failure.detail);
        assert!(failure.hint().contains(hint), "{status}: {}", failure.hint());
    }
}

#[test]
fn a_page_that_a_redirect_led_to_is_named() {
    let server = Fake::serve(|seen, stream| match seen.target.as_str() {
        "/login" => answer(stream, "200 OK", &[("Content-Type", "text/html")], b"<html>Sign in</html>"),
        _ => answer(stream, "302 Found", &[("Location", "/login")], b""),
    });
    let failure = asking(&server.url("/mcp")).expect(Reason::ProtocolError).failure.expect("a failure");
    assert!(failure.detail.contains("HTTP 200 to GET after a redirect to http://127.0.0.1"), "{}", failure.detail);
    assert!(failure.detail.contains("/login with “text/html” instead"), "{}", failure.detail);
}

#[test]
fn a_header_that_is_no_credential_and_an_empty_one_are_none() {
    let refuses = Fake::serve(|_, stream| answer(stream, "401 Unauthorized", &[], b""));
    for (name, value) in [
        ("Accept", "application/json"),
        ("accept-language", "en"),
        ("Cache-Control", "no-cache"),
        ("Content-Type", "application/json"),
        ("User-Agent", "lab"),
        ("X-MCP-Toolsets", "repos"),
        ("Authorization", "Bearer "),
        ("Authorization", ""),
        ("X-Key", "  "),
    ] {
        let mut asking = asking(&refuses.url("/mcp"));
        asking.server.headers.push((name.into(), Secret::new(value)));
        assert_eq!(asking.expect(Reason::AuthRequired).verdict(), McpVerdict::NotConfigured, "{name}: {value}");
    }
    let mut keyed = asking(&refuses.url("/mcp"));
    keyed.server.headers.push(("X-Key".into(), Secret::new("canary")));
    keyed.expect(Reason::Unauthorized);
}

#[test]
fn an_error_that_names_no_request_is_not_the_answer_on_a_shared_stream() {
    let reply = |seen: &Seen| match method(seen).as_str() {
        "notifications/initialized" => {
            vec![event(&json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32601, "message": "no" } }))]
        }
        _ => vec![event(&legacy_result(seen))],
    };
    let server = SseServer { reply, ..SseServer::honest() }.serve();
    assert_eq!(asking(&server.url("/sse")).expect_up().tools, Some(2));
}

#[test]
fn later_pages_that_fail_or_never_end_do_not_make_a_server_down() {
    let endless = modern_but(|seen, stream| {
        let cursor = format!("{}x", seen.json()["params"]["cursor"].as_str().unwrap_or_default());
        answer_json(stream, "200 OK", &result(seen, page(&[tool(&cursor)], &cursor)))
    });
    let facts = asking(&endless.url("/mcp")).expect_up();
    assert!(facts.tools_truncated && facts.tools.is_some_and(|tools| tools > 0), "{:?}", facts.tools);
    let failing = modern_but(|seen, stream| match seen.json()["params"].get("cursor") {
        None => answer_json(stream, "200 OK", &result(seen, page(&[tool("a")], "2"))),
        Some(_) => answer(stream, "500 Internal Server Error", &[], b""),
    });
    let facts = asking(&failing.url("/mcp")).expect_up();
    assert_eq!((facts.tools, facts.tools_truncated), (Some(1), true));
}

#[test]
fn redirects_are_followed_within_the_rules() {
    let target = Fake::serve(modern);
    let there = target.url("/mcp");
    let server = Fake::serve(move |_, stream| answer(stream, "308 Permanent Redirect", &[("Location", &there)], b""));
    asking(&server.url("/old")).expect_up();
    assert_eq!(server.seen().len(), 1, "further requests go straight to the new address");
    let before = target.seen().len();
    asking(&server.url("/old")).token().expect(Reason::HttpStatus);
    assert_eq!(target.seen().len(), before, "nothing reaches another origin with a credential set");
    let local = Fake::serve(|seen, stream| match seen.target.as_str() {
        "/mcp" => answer(stream, "307 Temporary Redirect", &[("Location", "/mcp/")], b""),
        _ => modern(seen, stream),
    });
    asking(&local.url("/mcp")).token().expect_up();
    assert!(local.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer canary-token")));
}

#[test]
fn tls_troubles_are_tls_errors_and_a_ca_file_mends_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, &certificates.ca_pem).expect("written");
    let server = Fake::serve_tls(Arc::clone(&certificates.server), modern);
    asking(&server.named_url("/mcp")).expect(Reason::TlsError);
    asking(&server.named_url("/mcp")).ca_file(ca_file.clone()).expect_up();
    asking(&server.url("/mcp")).ca_file(ca_file).expect(Reason::TlsError);
    let plain = Fake::serve(modern);
    asking(&plain.url("/mcp").replace("http:", "https:")).expect(Reason::TlsError);
}

#[test]
fn the_real_everything_server_is_up_over_both_http_transports() {
    let script = npm_server("server-everything");
    let everything = |transport: &'static str| {
        let script = script.clone();
        Listening::start(move |port| {
            let mut command = node();
            command.arg(script).arg(transport).env("PORT", port.to_string());
            command
        })
    };
    let server = everything("streamableHttp");
    let (facts, memory) = asking(&server.url("/mcp")).check();
    assert_eq!(facts.failure, None);
    assert_eq!((facts.era, facts.transport), (Some(Era::Legacy), Some(Transport::Http)));
    assert!(facts.tools.is_some_and(|tools| tools > 5), "{facts:?}");
    let again = asking(&server.url("/mcp")).remembering(memory.era, memory.transport).expect_up();
    assert_eq!((again.tools_digest, again.server_version), (facts.tools_digest, facts.server_version));

    let server = everything("sse");
    let (facts, memory) = asking(&server.url("/sse")).check();
    assert_eq!(facts.failure, None);
    assert_eq!((facts.era, facts.transport), (Some(Era::Legacy), Some(Transport::Sse)));
    assert!(facts.tools.is_some_and(|tools| tools > 5), "{facts:?}");
    asking(&server.url("/sse")).remembering(memory.era, memory.transport).expect_up();
    asking(&server.url("/nowhere")).expect(Reason::HttpStatus);
}

#[test]
fn the_real_fastmcp_server_is_up_in_the_modern_era() {
    let server = Listening::start(|port| {
        let mut command = python();
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/fastmcp_http.py")).arg(port.to_string());
        command
    });
    let facts = asking(&server.url("/mcp")).expect_up();
    assert_eq!((facts.era, facts.transport, facts.tools), (Some(Era::Modern), Some(Transport::Http), Some(1)));
    // Its framework redirects one to the other.
    assert_eq!(asking(&server.url("/mcp/")).token().expect_up().tools, Some(1));
}
