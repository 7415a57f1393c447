//! MCP servers behind a URL that break every rule there is, and a few odd ones that are still usable.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::CLOSED;
use super::http::{Certificates, Duplex, Fake, Seen, Then, answer};
use super::mcp_http::{
    LEGACY, Sessions, SseServer, answer_events, answer_json, begin_events, error, event, legacy, legacy_result, method,
    modern, modern_result, result, say, tool,
};

/// The header that a server with a credential is configured with.
pub(crate) const TOKEN: (&str, &str) = ("Authorization", "Bearer canary-token");

/// A server to be checked and what must come of it.
pub(crate) struct Player {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    /// Whether [`TOKEN`] is configured for it.
    pub(crate) token: bool,
    /// The reasons that may be given; none means up. Where a flood may also end by the clock, both stand here.
    pub(crate) reasons: &'static [&'static str],
    server: Fake,
    /// Another server that must not be asked anything.
    forbidden: Option<Fake>,
    sessions: Option<Arc<Sessions>>,
}

impl Player {
    fn new(name: &'static str, server: Fake, reasons: &'static [&'static str]) -> Player {
        let url = server.url("/mcp");
        Player { name, url, token: false, reasons, server, forbidden: None, sessions: None }
    }

    fn at(mut self, path: &str) -> Player {
        self.url = self.server.url(path);
        self
    }

    fn with_token(mut self) -> Player {
        self.token = true;
        self
    }

    fn over_tls(mut self) -> Player {
        self.url = self.url.replace("http://", "https://");
        self
    }

    fn keeping_away_from(mut self, forbidden: Fake) -> Player {
        self.forbidden = Some(forbidden);
        self
    }

    /// Fails unless everything but the verdict is as it must be too.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        if let Some(forbidden) = &self.forbidden {
            assert_eq!(forbidden.seen().len(), 0, "{}: another origin was asked", self.name);
        }
        if let Some(sessions) = &self.sessions {
            assert_eq!(sessions.ended() as u64, sessions.opened(), "{}: a session was left behind", self.name);
        }
    }
}

/// All of them, each on a port of its own.
pub(crate) fn players() -> Vec<Player> {
    [usable(), wrong(), refusing(), breaking_off(), slow(), too_much(), leading_astray()]
        .into_iter()
        .flatten()
        .collect()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A server whose handler needs nothing of its own.
type Plain = (&'static str, &'static [&'static str], fn(&Seen, &mut dyn Duplex) -> Then);

fn plain(table: &[Plain]) -> Vec<Player> {
    table.iter().map(|(name, reasons, handler)| Player::new(name, Fake::serve(*handler), reasons)).collect()
}

/// A modern server with another answer to `tools/list`: `list` is what it says besides what every modern one says.
fn lists(seen: &Seen, stream: &mut dyn Duplex, list: impl FnOnce() -> Value) -> Then {
    match method(seen).as_str() {
        "tools/list" => {
            let mut page = list();
            for (key, value) in
                [("resultType", "complete".into()), ("ttlMs", 0.into()), ("cacheScope", "public".into())]
            {
                page[key] = value;
            }
            answer_json(stream, "200 OK", &result(seen, page))
        }
        _ => modern(seen, stream),
    }
}

fn usable() -> Vec<Player> {
    let sessions = Arc::new(Sessions::default());
    let mut with_sessions = Player::new("sessions", sessions.serve(|_, _| None), &[]);
    with_sessions.sessions = Some(sessions);
    let mut players = vec![with_sessions, Player::new("deprecated", SseServer::honest().serve(), &[]).at("/sse")];
    players.extend(plain(&[
        ("modern", &[], modern),
        ("legacy", &[], legacy),
        ("stream stays open", &[], |seen, stream| {
            begin_events(stream);
            say(stream, &format!("data:\n\n: comment\n\n{}", event(&modern_result(seen))));
            while say(stream, ": still here\n\n") {
                std::thread::sleep(Duration::from_millis(50));
            }
            Then::Close
        }),
        ("closes every connection", &[], |seen, stream| {
            modern(seen, stream);
            Then::Close
        }),
        ("empty result to discover", &[], |seen, stream| match method(seen).as_str() {
            "server/discover" => answer_json(stream, "200 OK", &result(seen, json!({}))),
            _ => legacy(seen, stream),
        }),
        ("silent on discover", &[], |seen, stream| match method(seen).as_str() {
            "server/discover" => {
                while say(stream, "HTTP/1.1 103 Early Hints\r\n\r\n") {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Then::Close
            }
            _ => legacy(seen, stream),
        }),
        ("batch", &[], |seen, stream| {
            let noise = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} });
            answer_json(stream, "200 OK", &json!([noise, modern_result(seen)]))
        }),
        ("huge list", &[], |seen, stream| {
            let big =
                || json!({ "name": "big", "description": "x".repeat(300_000), "inputSchema": { "type": "object" } });
            lists(seen, stream, || json!({ "tools": (0..20).map(|_| big()).collect::<Vec<_>>() }))
        }),
        ("pages without end", &[], |seen, stream| {
            let next = seen.body.len().to_string();
            lists(seen, stream, || json!({ "tools": [tool("a")], "nextCursor": next }))
        }),
        ("second page fails", &[], |seen, stream| match seen.json()["params"].get("cursor") {
            None => lists(seen, stream, || json!({ "tools": [tool("a")], "nextCursor": "2" })),
            Some(_) => answer(stream, "500 Internal Server Error", &[], b""),
        }),
    ]));
    players
}

fn wrong() -> Vec<Player> {
    const WRONG: &[&str] = &["protocol_error"];
    plain(&[
        ("HTML", WRONG, |_, stream| answer(stream, "200 OK", &[("Content-Type", "text/html")], b"<html>")),
        ("no content", WRONG, |_, stream| answer(stream, "204 No Content", &[], b"")),
        ("accepted only", WRONG, |_, stream| answer(stream, "202 Accepted", &[], b"")),
        ("wrong content type", WRONG, |seen, stream| {
            answer(stream, "200 OK", &[("Content-Type", "text/plain")], modern_result(seen).to_string().as_bytes())
        }),
        ("no content type", WRONG, |seen, stream| {
            answer(stream, "200 OK", &[], modern_result(seen).to_string().as_bytes())
        }),
        ("cut JSON", WRONG, |_, stream| answer(stream, "200 OK", &[JSON], b"{\"jsonrpc\": ")),
        ("empty JSON", WRONG, |_, stream| answer(stream, "200 OK", &[JSON], b"")),
        ("invalid UTF-8", WRONG, |_, stream| {
            answer(stream, "200 OK", &[JSON], b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":\"\xff\xfe\"}}")
        }),
        ("deep JSON", WRONG, |_, stream| {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            answer(stream, "200 OK", &[JSON], format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{deep}}}").as_bytes())
        }),
        ("another id", WRONG, |_, stream| {
            answer_json(stream, "200 OK", &json!({ "jsonrpc": "2.0", "id": 4711, "result": {} }))
        }),
        ("wrong types", WRONG, |seen, stream| answer_json(stream, "200 OK", &result(seen, json!([1, 2])))),
        ("unknown version", WRONG, |seen, stream| {
            let version = json!({ "protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {} });
            answer_json(stream, "200 OK", &result(seen, version))
        }),
        ("its own request instead", WRONG, |_, stream| {
            answer_json(stream, "200 OK", &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
        }),
        ("stream ends", WRONG, |_, stream| answer_events(stream, &[], ": nothing\n\n")),
        ("stream without an answer", WRONG, |_, stream| {
            answer_events(stream, &[], &event(&json!({ "jsonrpc": "2.0", "id": 4711, "result": {} })))
        }),
        ("list is no list", WRONG, |seen, stream| lists(seen, stream, || json!({ "tools": { "a": 1 } }))),
        ("plain body called gzip", WRONG, |seen, stream| {
            let headers = [JSON, ("Content-Encoding", "gzip")];
            answer(stream, "200 OK", &headers, modern_result(seen).to_string().as_bytes())
        }),
    ])
}

fn refusing() -> Vec<Player> {
    let unauthorized: fn(&Seen, &mut dyn Duplex) -> Then = |seen, stream| {
        let quoted = seen.header("authorization").unwrap_or("nothing");
        let challenge = format!("Bearer resource_metadata=\"https://auth.example/\", error_description=\"{quoted}\"");
        let headers = [("WWW-Authenticate", challenge.as_str()), ("Content-Type", "text/plain")];
        answer(stream, "401 Unauthorized", &headers, format!("{quoted} is no good").as_bytes())
    };
    let forbidden: fn(&Seen, &mut dyn Duplex) -> Then = |seen, stream| match method(seen).as_str() {
        "tools/list" => answer(stream, "403 Forbidden", &[], b""),
        _ => modern(seen, stream),
    };
    let mut players = plain(&[
        ("wants a login", &["auth_required"], unauthorized),
        ("wants a login for its tools", &["auth_required"], forbidden),
        ("RPC error", &["rpc_error"], |seen, stream| answer_json(stream, "200 OK", &error(seen, -32603, "broken"))),
        ("RPC error with a status", &["rpc_error"], |seen, stream| {
            answer_json(stream, "500 Internal Server Error", &error(seen, -32603, "broken"))
        }),
        ("wants a capability", &["rpc_error"], |seen, stream| {
            answer_json(stream, "400 Bad Request", &error(seen, -32021, "needs sampling"))
        }),
        ("never the right version", &["rpc_error"], |seen, stream| {
            let mut refusal = error(seen, -32022, "another one");
            let asked = seen.header("mcp-protocol-version").unwrap_or_default().to_owned();
            refusal["error"]["data"] = json!({ "supported": [format!("{asked}1")] });
            answer_json(stream, "400 Bad Request", &refusal)
        }),
        ("list refused", &["rpc_error"], |seen, stream| match method(seen).as_str() {
            "tools/list" => answer_json(stream, "200 OK", &error(seen, -32603, "token expired")),
            _ => modern(seen, stream),
        }),
        ("broken", &["http_status"], |_, stream| answer(stream, "500 Internal Server Error", &[], b"")),
        ("gone", &["http_status"], |_, stream| answer(stream, "404 Not Found", &[], b"")),
        ("teapot", &["http_status"], |_, stream| answer(stream, "418 I'm a teapot", &[], b"short and stout")),
        ("too many requests", &["http_status"], |_, stream| {
            answer(stream, "429 Too Many Requests", &[("Retry-After", "1")], b"")
        }),
        ("refuses without an end", &["http_status"], |_, stream| {
            drip(stream, "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno", " no")
        }),
        ("session is gone", &["http_status"], |seen, stream| match method(seen).as_str() {
            "tools/list" => answer(stream, "404 Not Found", &[], b""),
            _ => legacy(seen, stream),
        }),
    ]);
    let quoting = Fake::serve(|seen, stream| {
        let quoted = format!("{} {:?}", seen.target, seen.header("authorization"));
        answer(stream, "418 I'm a teapot", &[("Content-Type", "text/plain")], quoted.as_bytes())
    });
    let mut quoting = Player::new("quotes its URL", quoting, &["http_status"])
        .at("/canary-path-0123456789/mcp?key=canary-query%20x&v=1");
    quoting.url = quoting.url.replace("http://", "http://canary-user:canary-password@");
    players.push(quoting);
    players.push(Player::new("refuses the token", Fake::serve(unauthorized), &["unauthorized"]).with_token());
    players.push(Player::new("refuses the token late", Fake::serve(forbidden), &["unauthorized"]).with_token());
    players
}

fn breaking_off() -> Vec<Player> {
    const BROKEN: &[&str] = &["protocol_error"];
    let mut players = plain(&[
        ("hangs up on the request", BROKEN, |_, _| Then::Close),
        ("hangs up in the headers", BROKEN, |_, stream| {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Ty");
            Then::Close
        }),
        ("hangs up in the body", BROKEN, |_, stream| {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
            Then::Close
        }),
        ("hangs up on the list", BROKEN, |seen, stream| match method(seen).as_str() {
            "tools/list" => Then::Close,
            _ => modern(seen, stream),
        }),
        ("chunks of garbage", BROKEN, |_, stream| {
            say(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            );
            Then::Close
        }),
        ("two lengths", BROKEN, |_, stream| {
            say(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}",
            );
            Then::Close
        }),
    ]);
    players.push(Player::new("hangs up at once", Fake::raw(|_| ()), BROKEN));
    players.push(Player::new("speaks something else", Fake::raw(|stream| _ = say(stream, "SSH-2.0-x\r\n")), BROKEN));
    let mut nobody = Player::new("nobody there", Fake::raw(|_| ()), &["connect_failed"]);
    nobody.url = format!("http://{CLOSED}/mcp");
    players.push(nobody);
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    players.push(Player::new("unknown authority", Fake::serve_tls(certificates.server, modern), &["tls_error"]));
    players.push(Player::new("no TLS", Fake::serve(modern), &["tls_error"]).over_tls());
    players.push(Player::new("hangs up in TLS", Fake::raw(|_| ()), &["tls_error"]).over_tls());
    players
}

/// Writes the same for ever, slowly.
fn drip(stream: &mut dyn Duplex, start: &str, dripped: &str) -> Then {
    say(stream, start);
    while say(stream, dripped) {
        std::thread::sleep(Duration::from_millis(30));
    }
    Then::Close
}

/// Writes the same for ever, as fast as it is taken.
fn flood(stream: &mut dyn Duplex, start: &str, repeated: &str) -> Then {
    say(stream, start);
    while stream.write_all(repeated.as_bytes()).is_ok() {}
    Then::Close
}

const JSON_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
const EVENTS_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

fn slow() -> Vec<Player> {
    const SLOW: &[&str] = &["timeout"];
    let mut players = plain(&[
        ("drips headers", SLOW, |_, stream| drip(stream, "HTTP/1.1 200 OK\r\nX: ", "x")),
        ("drips interim answers", SLOW, |_, stream| drip(stream, "", "HTTP/1.1 103 Early Hints\r\n\r\n")),
        ("drips a body", SLOW, |_, stream| drip(stream, JSON_HEAD, " ")),
        ("drips a large body", SLOW, |_, stream| drip(stream, &format!("{JSON_HEAD}{}", " ".repeat(400_000)), " ")),
        ("drips a very large body", SLOW, |_, stream| {
            drip(stream, &format!("{JSON_HEAD}{}", " ".repeat(3 << 20)), " ")
        }),
        ("stops in a very large event", SLOW, |_, stream| {
            say(stream, &format!("{EVENTS_HEAD}data: {}", " ".repeat(3 << 20)));
            // Comes back when the client has left.
            let _ = stream.read(&mut [0]);
            Then::Close
        }),
        ("drips comments", SLOW, |_, stream| drip(stream, EVENTS_HEAD, ":\n")),
        ("drips an event", SLOW, |_, stream| drip(stream, EVENTS_HEAD, "data: x\n")),
        ("drips chunks", SLOW, |_, stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            drip(stream, head, "1\r\n \r\n")
        }),
        ("no endpoint event", SLOW, |seen, stream| match seen.method.as_str() {
            "GET" => drip(stream, EVENTS_HEAD, ": not yet\n\n"),
            _ => answer(stream, "405 Method Not Allowed", &[], b""),
        }),
        ("lists in silence", SLOW, |seen, stream| match method(seen).as_str() {
            "tools/list" => drip(stream, EVENTS_HEAD, ": thinking\n\n"),
            _ => modern(seen, stream),
        }),
    ]);
    let silent = || {
        Fake::raw(|stream| {
            let mut into = [0; 1024];
            while stream.read(&mut into).is_ok_and(|amount| amount > 0) {}
        })
    };
    players.push(Player::new("silent", silent(), SLOW));
    players.push(Player::new("silent in TLS", silent(), SLOW).over_tls());
    let sessions = Arc::new(Sessions::default());
    let lists_never = sessions
        .serve(|seen, stream| (method(seen) == "tools/list").then(|| drip(stream, EVENTS_HEAD, ": thinking\n\n")));
    let mut session = Player::new("silent in a session", lists_never, SLOW);
    session.sessions = Some(sessions);
    players.push(session);
    players.push(
        Player::new("deprecated and mute", SseServer { reply: |_| Vec::new(), ..SseServer::honest() }.serve(), SLOW)
            .at("/sse"),
    );
    players
}

/// A usable server whose only tool would take ten times its own length if its icons were kept.
pub(crate) fn a_million_icons() -> Vec<Player> {
    plain(&[("a tool with a million icons", &[], |seen, stream| {
        lists(seen, stream, || {
            let icons = vec![json!({ "src": "" }); 1_000_000];
            json!({ "tools": [{ "name": "a", "inputSchema": { "type": "object" }, "icons": icons }] })
        })
    })])
}

fn too_much() -> Vec<Player> {
    /// A flood that the machine is too slow for ends by the clock.
    const MUCH: &[&str] = &["too_large", "timeout"];
    let mut players = plain(&[
        ("one header without end", MUCH, |_, stream| flood(stream, "HTTP/1.1 200 OK\r\nX: ", &"x".repeat(8192))),
        ("headers without end", MUCH, |_, stream| flood(stream, "HTTP/1.1 200 OK\r\n", &"A: b\r\n".repeat(1000))),
        ("a body without end", MUCH, |_, stream| flood(stream, JSON_HEAD, &" ".repeat(65_536))),
        ("an event without end", MUCH, |_, stream| flood(stream, &format!("{EVENTS_HEAD}data: "), &"x".repeat(65_536))),
        ("data lines without end", MUCH, |_, stream| flood(stream, EVENTS_HEAD, &"data: x\n".repeat(8192))),
        ("comments without end", MUCH, |_, stream| flood(stream, EVENTS_HEAD, &": nothing\n".repeat(6500))),
        ("events without end", MUCH, |_, stream| {
            let one = event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }));
            flood(stream, EVENTS_HEAD, &one.repeat(600))
        }),
        ("too large an answer", MUCH, |seen, stream| {
            lists(seen, stream, || json!({ "tools": [], "_meta": { "x": "x".repeat(17 << 20) } }))
        }),
        ("an endless error", &["http_status"], |_, stream| {
            flood(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n", &"x".repeat(65_536))
        }),
    ]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b' '; 1 << 20]).expect("compressed");
    }
    let bomb = encoder.finish().expect("compressed");
    let bomb = Fake::serve(move |_, stream| answer(stream, "200 OK", &[JSON, ("Content-Encoding", "gzip")], &bomb));
    players.push(Player::new("decompression bomb", bomb, MUCH));
    let asking = Fake::serve(|seen, stream| match (seen.method.as_str(), method(seen).as_str()) {
        ("POST", "tools/list") => {
            let ping = event(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }));
            flood(stream, EVENTS_HEAD, &ping.repeat(1000))
        }
        _ => legacy(seen, stream),
    });
    players.push(Player::new("requests without end", asking, MUCH));
    let flooding = SseServer { reply: |_| vec![": flood\n\n".repeat(1 << 20); 16], ..SseServer::honest() };
    players.push(Player::new("deprecated and flooding", flooding.serve(), MUCH).at("/sse"));
    players
}

fn leading_astray() -> Vec<Player> {
    const ASTRAY: &[&str] = &["http_status"];
    let mut players = plain(&[
        ("redirects in a circle", ASTRAY, |seen, stream| {
            answer(stream, "307 Temporary Redirect", &[("Location", &seen.target)], b"")
        }),
        ("redirects in a circle of GETs", ASTRAY, |seen, stream| {
            answer(stream, "302 Found", &[("Location", &seen.target)], b"")
        }),
        ("redirects to a file", ASTRAY, |_, stream| {
            answer(stream, "307 Temporary Redirect", &[("Location", "file:///etc/passwd")], b"")
        }),
    ]);
    let other = Fake::serve(modern);
    let target = other.url("/mcp");
    let redirecting = move |_: &Seen, stream: &mut dyn Duplex| {
        answer(stream, "308 Permanent Redirect", &[("Location", &target)], b"")
    };
    let server = Fake::serve(redirecting);
    players.push(Player::new("redirects the token away", server, ASTRAY).with_token().keeping_away_from(other));
    let other = Fake::serve(modern);
    let foreign = SseServer { endpoint: other.url("/messages"), ..SseServer::honest() }.serve();
    let foreign = Player::new("foreign endpoint event", foreign, &["protocol_error"]).at("/sse").with_token();
    players.push(foreign.keeping_away_from(other));
    let version = Fake::serve(|seen, stream| match method(seen).as_str() {
        "initialize" => {
            let mut answer = legacy_result(seen);
            answer["result"]["protocolVersion"] = Value::from(format!("{LEGACY}\r\nX-Injected: 1"));
            answer_json(stream, "200 OK", &answer)
        }
        _ => legacy(seen, stream),
    });
    players.push(Player::new("line break in its version", version, &["protocol_error"]));
    players
}
