//! A server that works, with the parts an act may want to change.

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const DISCOVER: &str = "server/discover";

/// What a server says to a request.
pub(crate) enum Answer {
    Result(Value),
    Error(i64, &'static str, Value),
    /// Something else instead of an answer, `ID` in it replaced by the request's id.
    Raw(Vec<u8>),
}

/// The next line of standard input; `None` at its end.
pub(crate) fn read_line() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}

/// Writes without buffering; the reader may be gone.
pub(crate) fn write(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(3);
    }
}

pub(crate) fn write_line(text: &str) {
    write(format!("{text}\n").as_bytes());
}

pub(crate) fn sleep(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Serves until standard input ends; a request for which `handler` has nothing stays unanswered.
pub(crate) fn serve(handler: impl Fn(&str, &Value) -> Option<Answer>) {
    while let Some(line) = read_line() {
        serve_line(&line, &handler);
    }
}

/// Serves one request.
pub(crate) fn serve_line(line: &str, handler: &impl Fn(&str, &Value) -> Option<Answer>) {
    let request: Value = serde_json::from_str(line).unwrap_or_default();
    let (Some(method), Some(id)) = (request["method"].as_str(), request.get("id")) else { return };
    match handler(method, &request["params"]) {
        None => {}
        Some(Answer::Result(result)) => {
            write_line(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
        }
        Some(Answer::Error(code, message, data)) => {
            let error = json!({"code": code, "message": message, "data": data});
            write_line(&json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string());
        }
        Some(Answer::Raw(bytes)) => write(&with_id(&bytes, id)),
    }
}

fn with_id(bytes: &[u8], id: &Value) -> Vec<u8> {
    match bytes.windows(2).position(|w| w == b"ID") {
        Some(at) => [&bytes[..at], id.to_string().as_bytes(), &bytes[at + 2..]].concat(),
        None => bytes.to_vec(),
    }
}

pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": "a tool", "inputSchema": {"type": "object"}})
}

pub(crate) fn initialized() -> Option<Answer> {
    Some(Answer::Result(json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "player", "version": "1.0"},
    })))
}

pub(crate) fn discovered(versions: &[&str]) -> Option<Answer> {
    Some(Answer::Result(json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": {"tools": {}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "player", "version": "2.0"}},
    })))
}

pub(crate) fn unknown() -> Option<Answer> {
    Some(Answer::Error(-32601, "Method not found", Value::Null))
}

pub(crate) fn result(value: Value) -> Option<Answer> {
    Some(Answer::Result(value))
}

pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Option<Answer> {
    Some(Answer::Raw(bytes.into()))
}

/// A legacy server with two tools.
pub(crate) fn legacy(method: &str, _params: &Value) -> Option<Answer> {
    match method {
        "initialize" => initialized(),
        "tools/list" => result(json!({"tools": [tool("a"), tool("b")]})),
        _ => unknown(),
    }
}

/// A modern server with three tools, which wants to be told version and capabilities each time.
pub(crate) fn modern(method: &str, params: &Value) -> Option<Answer> {
    let meta = &params["_meta"];
    if !meta["io.modelcontextprotocol/protocolVersion"].is_string()
        || !meta["io.modelcontextprotocol/clientCapabilities"].is_object()
    {
        return Some(Answer::Error(-32602, "no version in _meta", Value::Null));
    }
    match method {
        DISCOVER => discovered(&[MODERN]),
        "tools/list" => {
            let tools = [tool("a"), tool("b"), tool("c")];
            result(json!({"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"}))
        }
        _ => unknown(),
    }
}

/// A legacy server whose list of tools is another one.
pub(crate) fn lists(page: impl Fn(Option<&str>) -> Option<Answer>) {
    serve(|method, params| match method {
        "tools/list" => page(params["cursor"].as_str()),
        _ => legacy(method, params),
    });
}

/// A legacy server that answers `initialize` otherwise.
pub(crate) fn initializes(answer: impl Fn() -> Option<Answer>) {
    serve(|method, params| match method {
        "initialize" => answer(),
        _ => legacy(method, params),
    });
}
