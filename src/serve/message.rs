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

pub(super) fn unknown_method(method: &str) -> RpcError {
    RpcError::new(code::METHOD_NOT_FOUND, format!("method not found: {method}"))
}

pub(super) fn invalid_params(why: impl std::fmt::Display) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, format!("invalid params: {why}"))
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    Request(Request),
    /// A notification or a response: nothing is to be said.
    Nothing,
    /// Neither; the id to answer to, null if it could not be told.
    Invalid(Value, RpcError),
}

pub(super) fn classify(value: Value) -> Incoming {
    let Value::Object(mut object) = value else {
        return Incoming::Invalid(Value::Null, invalid_request("a message is one JSON object"));
    };
    let id = object.remove("id");
    let known_id = id.clone().filter(|id| id.is_string() || id.is_number()).unwrap_or(Value::Null);
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Incoming::Invalid(known_id, invalid_request("\"jsonrpc\" must be \"2.0\""));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Incoming::Invalid(known_id, invalid_request("\"method\" must be a string")),
        None if object.contains_key("result") || object.contains_key("error") => return Incoming::Nothing,
        None => return Incoming::Invalid(known_id, invalid_request("\"method\" is missing")),
    };
    let Some(id) = id else { return Incoming::Nothing };
    if known_id.is_null() {
        let error = invalid_request(&format!("an id is a string or a number, not {id}"));
        return Incoming::Invalid(Value::Null, error);
    }
    match object.remove("params") {
        // Some clients write the parameters that a method does not take as null.
        None | Some(Value::Null) => Incoming::Request(Request { id, method, params: Map::new() }),
        Some(Value::Object(params)) => Incoming::Request(Request { id, method, params }),
        Some(_) => Incoming::Invalid(id, invalid_params("\"params\" must be an object")),
    }
}
