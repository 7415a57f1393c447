//! Acts that only speak: eras, odd and wrong messages, floods, silence, ends at each stage.

use std::io::Write;

use serde_json::{Value, json};

use crate::server::{
    Answer, DISCOVER, MODERN, discovered, initialized, initializes, legacy, lists, modern, raw, read_line, result,
    serve, serve_line, sleep, tool, unknown, write, write_line,
};

/// Every act of this file.
pub(crate) const ACTS: &[(&str, fn())] = &[
    // Usable.
    ("modern", || serve(modern)),
    ("legacy", || serve(legacy)),
    ("dual", || serve(|method, params| if method == "initialize" { initialized() } else { modern(method, params) })),
    ("another-modern-version", another_modern_version),
    ("only-legacy-version-listed", only_legacy_version_listed),
    ("only-legacy-version-opens", only_legacy_version_opens),
    ("only-legacy-version-discovered", only_legacy_version_discovered),
    ("refuses-its-own-version-once", refuses_its_own_version_once),
    ("discover-answered-with-nonsense", || serve(nonsense_to_discover)),
    ("hostile-words", || {
        let words = "\u{1b}]0;pwn\u{7}\u{1b}[2J\u{202e}\u{200b}<script>\nOBEY \u{9b}31m\u{2028}”\u{201c}\"\\";
        serve(move |method, _| match method {
            "initialize" => result(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": words, "version": words}})),
            "tools/list" => Some(Answer::Error(-32000, words, Value::Null)),
            _ => unknown(),
        })
    }),
    ("lost-to-unknown", || {
        serve(|method, params| match method {
            DISCOVER => {
                sleep(600_000);
                None
            }
            _ => legacy(method, params),
        })
    }),
    ("gives-up-unread", || {
        count_start();
        sleep(1_500);
        eprintln!("Fatal: connect ECONNREFUSED 127.0.0.1:6399");
        std::process::exit(1)
    }),
    ("reads-and-gives-up-once", || {
        if count_start() > 1 {
            sleep(600_000)
        }
        let _ = read_line();
        eprintln!("Fatal: the first words");
        std::process::exit(4)
    }),
    ("silent-on-unknown", || serve(|method, params| if method == DISCOVER { None } else { legacy(method, params) })),
    ("dies-on-unknown", dies_on_unknown),
    ("banner", banner),
    ("asks-first", asks_first),
    ("chatty", chatty),
    ("floods-stderr", floods_stderr),
    ("large-list", || {
        lists(|_| result(json!({"tools": (0..60_000).map(|n| tool(&format!("tool-{n}"))).collect::<Vec<_>>()})))
    }),
    ("deep-schemas", deep_schemas),
    ("three-pages", three_pages),
    ("endless-pages", endless_pages),
    ("repeating-cursor", || lists(|_| result(json!({"tools": [tool("a"), tool("b")], "nextCursor": "again"})))),
    ("second-page-fails", || lists(|cursor| if cursor.is_some() { unknown() } else { first_page() })),
    ("second-page-silent", || lists(|cursor| if cursor.is_some() { None } else { first_page() })),
    ("no-tools", || {
        initializes(|| {
            result(
                json!({"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {"name": "n", "version": "v"}}),
            )
        })
    }),
    ("byte-by-byte", byte_by_byte),
    ("carriage-returns", carriage_returns),
    ("starts-slowly", || {
        sleep(1_500);
        serve(legacy)
    }),
    ("float-id", || serve(float_id)),
    ("text-id", || serve(text_id)),
    // Silent.
    ("silent", || while read_line().is_some() {}),
    ("deaf", || sleep(600_000)),
    ("half-a-line", || {
        write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"resu");
        sleep(600_000)
    }),
    ("drips", drips),
    ("lists-silently", || lists(|_| None)),
    // Wrong.
    ("wrong-id", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{}}\n"))),
    ("other-text-id", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":\"x-ID\",\"result\":{}}\n"))),
    ("result-is-text", || serve(|_, _| result(json!("yes")))),
    ("result-is-empty", || serve(|_, _| result(json!({})))),
    ("result-is-null", || serve(|_, _| result(Value::Null))),
    ("result-and-error", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{},\"error\":{}}\n"))),
    ("neither-result-nor-error", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":ID}\n"))),
    ("no-version", || serve(|_, _| raw("{\"id\":ID,\"result\":{}}\n"))),
    ("invalid-utf-8", || serve(|_, _| raw(&b"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"a\":\"\xff\xfe\"}}\n"[..]))),
    ("deep", || {
        serve(|_, _| {
            raw(format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}{}}}\n",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))
        })
    }),
    ("deep-and-open", || {
        serve(|_, _| raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}\n", "{\"a\":".repeat(100_000))))
    }),
    ("cut-json", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"a\"\n"))),
    ("unknown-version", || {
        initializes(|| {
            result(
                json!({"protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {"name": "n", "version": "v"}}),
            )
        })
    }),
    ("wrong-types", || initializes(|| result(json!({"protocolVersion": 5, "capabilities": [], "serverInfo": "me"})))),
    ("echo", || {
        while let Some(line) = read_line() {
            write(line.as_bytes())
        }
    }),
    ("glued", || {
        write(b"Loading... ");
        serve(legacy)
    }),
    ("pretty", || {
        serve(|method, params| match legacy(method, params) {
            Some(Answer::Result(result)) => {
                let text = serde_json::to_string_pretty(&json!({"jsonrpc": "2.0", "id": 4711, "result": result}));
                raw(text.expect("JSON").replace("4711", "ID") + "\n")
            }
            other => other,
        })
    }),
    ("answers-notifications", || {
        while let Some(line) = read_line() {
            if line.contains("notifications/") {
                let error = json!({"code": -32601, "message": "Method not found"});
                write_line(&json!({"jsonrpc": "2.0", "id": null, "error": error}).to_string());
            }
            serve_line(&line, &legacy);
        }
    }),
    ("schema-without-type", || lists(|_| result(json!({"tools": [tool("good"), {"name": "bad", "inputSchema": {}}]})))),
    ("description-is-null", || {
        lists(|_| result(json!({"tools": [{"name": "a", "description": null, "inputSchema": {"type": "object"}}]})))
    }),
    ("cursor-is-null", || lists(|_| result(json!({"tools": [tool("a")], "nextCursor": null})))),
    ("tools-are-null", || {
        initializes(|| {
            result(json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": null},
                "serverInfo": {"name": "n", "version": "v"}}))
        })
    }),
    ("modern-list-without-ttl", || {
        serve(|method, params| match method {
            "tools/list" => result(json!({"resultType": "complete", "tools": [tool("a")], "cacheScope": "private"})),
            _ => modern(method, params),
        })
    }),
    ("invalid-discovery", || {
        serve(|method, _| match method {
            DISCOVER => result(json!({"supportedVersions": [MODERN], "capabilities": {"tools": null}})),
            _ => unknown(),
        })
    }),
    ("list-is-no-list", || lists(|_| result(json!({"tools": {"a": 1}})))),
    ("list-of-numbers", || lists(|_| result(json!({"tools": [1, 2]})))),
    ("tool-without-schema", || lists(|_| result(json!({"tools": [{"name": "a"}]})))),
    ("list-wants-input", || lists(|_| result(json!({"resultType": "input_required", "tools": []})))),
    // Refusing.
    ("refuses", || initializes(|| Some(Answer::Error(-32603, "no backend", Value::Null)))),
    ("refuses-without-id", || {
        serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"parse error\"}}\n"))
    }),
    ("malformed-error", || serve(|_, _| raw("{\"jsonrpc\":\"2.0\",\"id\":ID,\"error\":\"no\"}\n"))),
    ("wants-a-capability", || serve(|_, _| Some(Answer::Error(-32021, "needs sampling", Value::Null)))),
    ("never-the-right-version", never_the_right_version),
    ("list-refused", || lists(|_| Some(Answer::Error(-32603, "token expired", Value::Null)))),
    // Ending.
    ("exits-at-once", || std::process::exit(0)),
    ("exits-with-a-reason", || {
        eprintln!("Error: API_TOKEN is not set");
        std::process::exit(1)
    }),
    ("exits-on-the-opening", || {
        read_line();
        std::process::exit(7)
    }),
    ("exits-after-the-opening", || {
        serve_one();
        std::process::exit(8)
    }),
    ("exits-on-the-list", || lists(|_| std::process::exit(9))),
    ("aborts", || std::process::abort()),
    ("closes-stdout", || {
        close(1);
        sleep(600_000)
    }),
    ("closes-stdin", || {
        close(0);
        sleep(600_000)
    }),
    ("closes-everything", || {
        (0..3).for_each(close);
        sleep(600_000)
    }),
    // Too much.
    ("floods-lines", || {
        loop {
            write(&b"not json\n".repeat(4096))
        }
    }),
    ("floods-without-lines", || {
        loop {
            write(&[b'x'; 65536])
        }
    }),
    ("floods-notifications", || {
        loop {
            write(&b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n".repeat(1024))
        }
    }),
    ("floods-requests", || {
        loop {
            write(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n".repeat(1024))
        }
    }),
    ("floods-answers", || {
        loop {
            write(&b"{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n".repeat(1024))
        }
    }),
    ("long-line", long_line),
    ("too-long-an-answer", || {
        serve(|_, _| {
            raw([b"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"a\":\"", &vec![b'x'; 17 << 20][..], b"\"}}\n"].concat())
        })
    }),
    ("floods-both", || {
        std::thread::spawn(|| {
            loop {
                let _ = std::io::stderr().write_all(&[b'e'; 65536]);
            }
        });
        loop {
            write(&[b'o'; 65536])
        }
    }),
];

/// Counts the starts of this act in the file that PLAYER_STARTS names.
fn count_start() -> usize {
    let Some(path) = std::env::var_os("PLAYER_STARTS") else { return 1 };
    let starts = std::fs::read_to_string(&path).unwrap_or_default() + "x";
    std::fs::write(&path, &starts).expect("written");
    starts.len()
}

fn first_page() -> Option<Answer> {
    result(json!({"tools": [tool("a")], "nextCursor": "2"}))
}

fn another_modern_version() {
    serve(|method, params| match params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str() {
        Some("2027-03-01") if method == DISCOVER => discovered(&["2027-03-01"]),
        Some("2027-03-01") => modern(method, params),
        _ => Some(Answer::Error(-32022, "unsupported version", json!({"supported": ["2027-03-01"]}))),
    });
}

fn only_legacy_version_listed() {
    serve(|method, params| match method {
        DISCOVER => Some(Answer::Error(-32022, "unsupported version", json!({"supported": ["2025-06-18", "1.0"]}))),
        _ => legacy(method, params),
    });
}

fn only_legacy_version_opens() {
    serve(|method, params| match (method, params["protocolVersion"].as_str()) {
        (DISCOVER, _) => Some(Answer::Error(-32022, "unsupported version", json!({"supported": ["2025-06-18"]}))),
        ("initialize", Some("2025-11-25")) => Some(Answer::Error(-32602, "unsupported version", json!({}))),
        _ => legacy(method, params),
    });
}

fn only_legacy_version_discovered() {
    serve(|method, params| match (method, params["_meta"].is_object()) {
        (DISCOVER, _) => discovered(&["2025-06-18"]),
        (_, true) => Some(Answer::Error(-32022, "unsupported version", json!({"supported": ["2025-06-18"]}))),
        (_, false) => legacy(method, params),
    });
}

fn refuses_its_own_version_once() {
    let refused = std::cell::Cell::new(false);
    serve(|method, params| match refused.replace(true) {
        false => Some(Answer::Error(-32022, "unsupported version", json!({"supported": ["2026-07-28"]}))),
        true => modern(method, params),
    });
}

fn never_the_right_version() {
    let asked = std::cell::Cell::new(2030);
    serve(|_, _| {
        asked.set(asked.get() + 1);
        Some(Answer::Error(-32022, "unsupported version", json!({"supported": [format!("{}-01-01", asked.get())]})))
    });
}

fn nonsense_to_discover(method: &str, params: &Value) -> Option<Answer> {
    if method == DISCOVER { result(json!({"hello": "world"})) } else { legacy(method, params) }
}

fn dies_on_unknown() {
    serve(|method, params| match method {
        DISCOVER => {
            eprintln!("expected initialize");
            std::process::exit(1)
        }
        _ => legacy(method, params),
    });
}

fn banner() {
    write("Welcome!\n\n[info] starting\n".as_bytes());
    write(b"\xff\xfe binary\n{\"level\":\"info\",\"msg\":\"ready\"}\n{not json}\n[1,2]\n");
    serve(legacy);
}

/// Asks the client three things and serves only once each is answered as it should be.
fn asks_first() {
    let mut requests = Vec::new();
    for (id, method) in [(json!(1), "ping"), (json!("x"), "roots/list"), (json!(3), "sampling/createMessage")] {
        write_line(&json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string());
        let answer = loop {
            let Some(line) = read_line() else { return };
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            if message["method"].is_null() && message["id"] == id {
                break message;
            }
            requests.push(line);
        };
        let right = if method == "ping" { answer["result"] == json!({}) } else { answer["error"]["code"] == -32601 };
        assert!(right, "{answer}");
    }
    requests.iter().for_each(|line| serve_line(line, &legacy));
    serve(legacy);
}

fn chatty() {
    serve(|method, params| {
        for n in 0..50 {
            write_line(
                &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": n}}).to_string(),
            );
        }
        write(b"{\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{}}\n");
        legacy(method, params)
    });
}

fn floods_stderr() {
    let flood = || {
        for _ in 0..320 {
            let _ = std::io::stderr().write_all(&[b'e'; 65536]);
        }
    };
    flood();
    serve(|method, params| {
        flood();
        legacy(method, params)
    });
}

fn three_pages() {
    lists(|cursor| match cursor {
        None => result(json!({"tools": [tool("a"), tool("b")], "nextCursor": "two"})),
        Some("two") => result(json!({"tools": [tool("c")], "nextCursor": "three"})),
        _ => result(json!({"tools": [tool("d")]})),
    });
}

/// Schemas nested as deeply as a parser may follow, and far more deeply.
fn deep_schemas() {
    lists(|_| {
        let tool = |levels: usize| {
            let (open, close) = ("{\"items\":".repeat(levels), "}".repeat(levels));
            format!("{{\"name\":\"deep-{levels}\",\"inputSchema\":{{\"type\":\"object\",\"not\":{open}{{}}{close}}}}}")
        };
        let tools = [50, 100, 120, 126, 127, 128, 200, 50_000].map(tool).join(",");
        raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{{\"tools\":[{tools}]}}}}\n"))
    });
}

fn endless_pages() {
    let page = std::cell::Cell::new(0);
    lists(|_| {
        page.set(page.get() + 1);
        let cursor = page.get().to_string();
        result(json!({"tools": [tool(&cursor)], "nextCursor": cursor}))
    });
}

fn byte_by_byte() {
    serve(|method, params| {
        let Some(Answer::Result(result)) = legacy(method, params) else { return unknown() };
        let id = if method == "initialize" { "2" } else { "3" };
        for byte in format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").bytes() {
            write(&[byte]);
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        None
    });
}

fn carriage_returns() {
    serve(|method, params| match legacy(method, params) {
        Some(Answer::Result(result)) => raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{result}}}\r\n")),
        other => other,
    });
}

fn float_id(method: &str, params: &Value) -> Option<Answer> {
    under_id("ID.0", method, params)
}

fn text_id(method: &str, params: &Value) -> Option<Answer> {
    under_id("\"ID\"", method, params)
}

/// A legacy server whose results go under the id in another form.
fn under_id(form: &str, method: &str, params: &Value) -> Option<Answer> {
    match legacy(method, params) {
        Some(Answer::Result(result)) => raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{form},\"result\":{result}}}\n")),
        other => other,
    }
}

/// A byte of a valid answer from time to time.
fn drips() {
    for byte in
        br#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}"#.iter().cycle()
    {
        write(&[*byte]);
        sleep(300);
    }
}

/// Answers the first request it understands and no other.
fn serve_one() {
    while let Some(line) = read_line() {
        let request: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(method) = request["method"].as_str() else { continue };
        let answer = match legacy(method, &Value::Null) {
            Some(Answer::Result(result)) => json!({"jsonrpc": "2.0", "id": request["id"], "result": result}),
            _ => json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no"}}),
        };
        write_line(&answer.to_string());
        if method == "initialize" {
            return;
        }
    }
}

fn long_line() {
    for _ in 0..300 {
        write(&vec![b'x'; 1 << 20]);
    }
    write(b"\n");
    serve(legacy);
}

/// Closes a standard stream, really: whoever reads or writes its other end shall notice.
#[expect(unsafe_code, reason = "a standard stream is closed on purpose")]
fn close(fd: i32) {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: nobody in this process uses the stream afterwards.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
