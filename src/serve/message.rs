//! JSON-RPC 2.0 as a server sees it: what a message is, and what is wrong with it.

use serde_json::{Map, Value};

use crate::mcp::{RpcError, code};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// A string or a number, given back as it came.
    pub(super) id: Value,
    pub(super) method: String,
    /// Empty if there were none.
    pub(super) params: Map<String, Value>,
}

impl Request {
    /// A parameter that has to be a string.
    pub(super) fn text(&self, key: &str) -> Result<&str, RpcError> {
        let text = self.params.get(key).and_then(Value::as_str);
        text.ok_or_else(|| invalid_params(format!("{key:?} must be a string")))
    }

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

/// The line is no JSON, or longer than this server reads.
pub(super) fn parse_error(why: impl std::fmt::Display) -> RpcError {
    RpcError::new(code::PARSE_ERROR, format!("parse error: {why}"))
}

pub(super) fn invalid_request(why: &str) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, format!("invalid request: {why}"))
}

pub(super) fn invalid_params(why: impl std::fmt::Display) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, format!("invalid params: {why}"))
}

/// Reads a message; `None` for a notification or a response, to which nothing is to be said.
/// Errors: What is wrong with it, and the id to answer to, null if it could not be told.
pub(super) fn read(value: Value) -> Result<Option<Request>, (Value, RpcError)> {
    let Value::Object(mut object) = value else {
        return Err((Value::Null, invalid_request("a message is one JSON object")));
    };
    let id = object.remove("id");
    let known_id = id.clone().filter(|id| id.is_string() || id.is_number()).unwrap_or(Value::Null);
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err((known_id, invalid_request("\"jsonrpc\" must be \"2.0\"")));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Err((known_id, invalid_request("\"method\" must be a string"))),
        None if object.contains_key("result") || object.contains_key("error") => return Ok(None),
        None => return Err((known_id, invalid_request("\"method\" is missing"))),
    };
    let Some(id) = id else { return Ok(None) };
    if known_id.is_null() {
        return Err((Value::Null, invalid_request(&format!("an id is a string or a number, not {id}"))));
    }
    match object.remove("params") {
        // Some clients write the parameters that a method does not take as null.
        None | Some(Value::Null) => Ok(Some(Request { id, method, params: Map::new() })),
        Some(Value::Object(params)) => Ok(Some(Request { id, method, params })),
        Some(_) => Err((id, invalid_params("\"params\" must be an object"))),
    }
}
