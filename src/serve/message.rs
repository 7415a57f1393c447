//! JSON-RPC 2.0 as a server sees it: what a message is, and what a reply looks like.

use serde_json::{Map, Value, json};

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// A string or a number, given back as it came.
    pub(super) id: Value,
    pub(super) method: String,
    /// Empty if there were none.
    pub(super) params: Map<String, Value>,
}

impl Request {
    /// A value of `params._meta`.
    pub(super) fn meta(&self, key: &str) -> Option<&Value> {
        self.params.get("_meta")?.get(key)
    }

    /// Set where the client wants to hear of progress.
    pub(super) fn progress_token(&self) -> Option<Value> {
        self.meta("progressToken").filter(|token| token.is_string() || token.is_number()).cloned()
    }
}

/// A cancellation is short; a longer line is not read for one.
const MAX_CANCELLATION: usize = 4 << 10;

/// Whether this line is the client's word that it wants no answer to that request.
pub(super) fn cancels(line: &[u8], request: &Value) -> bool {
    let Some(message) = Some(line).filter(|line| line.len() <= MAX_CANCELLATION) else { return false };
    let Ok(message) = serde_json::from_slice::<Value>(message) else { return false };
    message["method"] == "notifications/cancelled" && message["params"]["requestId"] == *request
}

/// An error reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into(), data: None }
    }

    /// The line is no JSON.
    pub(super) fn parse(error: &serde_json::Error) -> Self {
        RpcError::new(-32700, format!("parse error: {error}"))
    }

    /// The line is longer than this server reads.
    pub(super) fn too_long() -> Self {
        RpcError::new(-32700, "parse error: the line is longer than this server reads")
    }

    /// Not a valid request.
    pub(super) fn invalid_request(why: &str) -> Self {
        RpcError::new(-32600, format!("invalid request: {why}"))
    }

    /// No such method here.
    pub(super) fn unknown_method(method: &str) -> Self {
        RpcError::new(-32601, format!("method not found: {method}"))
    }

    /// The parameters do not fit.
    pub(super) fn invalid_params(why: impl std::fmt::Display) -> Self {
        RpcError::new(-32602, format!("invalid params: {why}"))
    }
}

/// What a value from the wire is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    Request(Request),
    /// A notification or a response: nothing is to be said.
    Nothing,
    /// Neither; the id to answer to, null if it could not be told.
    Invalid(Value, RpcError),
}

/// Sorts a message.
pub(super) fn classify(value: Value) -> Incoming {
    let Value::Object(mut object) = value else {
        return Incoming::Invalid(Value::Null, RpcError::invalid_request("a message is one JSON object"));
    };
    let id = object.remove("id");
    let known_id = id.clone().filter(|id| id.is_string() || id.is_number()).unwrap_or(Value::Null);
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Incoming::Invalid(known_id, RpcError::invalid_request("\"jsonrpc\" must be \"2.0\""));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Incoming::Invalid(known_id, RpcError::invalid_request("\"method\" must be a string")),
        None if object.contains_key("result") || object.contains_key("error") => return Incoming::Nothing,
        None => return Incoming::Invalid(known_id, RpcError::invalid_request("\"method\" is missing")),
    };
    let Some(id) = id else { return Incoming::Nothing };
    if known_id.is_null() {
        let error = RpcError::invalid_request(&format!("an id is a string or a number, not {id}"));
        return Incoming::Invalid(Value::Null, error);
    }
    match object.remove("params") {
        // Some clients write the parameters that a method does not take as null.
        None | Some(Value::Null) => Incoming::Request(Request { id, method, params: Map::new() }),
        Some(Value::Object(params)) => Incoming::Request(Request { id, method, params }),
        Some(_) => Incoming::Invalid(id, RpcError::invalid_params("\"params\" must be an object")),
    }
}

/// A reply with a result.
pub(super) fn success(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// A reply with an error.
pub(super) fn failure(id: &Value, error: &RpcError) -> Value {
    let mut body = json!({ "code": error.code, "message": error.message });
    if let Some(data) = &error.data {
        body["data"] = data.clone();
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": body })
}
