//! The Model Context Protocol as both of its sides need it, the check as a client and [`crate::serve`] as a server:
//! versions, names, error codes, and the envelope of JSON-RPC 2.0.

use serde_json::{Value, json};
use thiserror::Error;

use crate::redact::quoted;

/// Versions of the modern era, in which every request stands alone; newest first.
pub(crate) const MODERN_VERSIONS: &[&str] = &["2026-07-28"];

/// Versions of the legacy era, which `initialize` opens; newest first.
pub(crate) const LEGACY_VERSIONS: &[&str] = &["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"];

// Methods of the legacy era alone: they open a conversation, and ask whether the other side lives.
pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const INITIALIZED: &str = "notifications/initialized";
pub(crate) const PING: &str = "ping";

/// The request that every modern server answers.
pub(crate) const DISCOVER: &str = "server/discover";

pub(crate) const TOOLS_LIST: &str = "tools/list";

/// Keys of `_meta`, in requests and (the last one) in results (2026-07-28, basic).
pub(crate) mod meta {
    pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub(crate) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
    pub(crate) const SERVER: &str = "io.modelcontextprotocol/serverInfo";
}

/// Error codes of JSON-RPC 2.0 and of MCP.
pub(crate) mod code {
    pub(crate) const PARSE_ERROR: i64 = -32700;
    pub(crate) const INVALID_REQUEST: i64 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
    pub(crate) const INVALID_PARAMS: i64 = -32602;
    pub(crate) const INTERNAL_ERROR: i64 = -32603;
    /// There is no such resource; up to 2025-11-25.
    pub(crate) const RESOURCE_NOT_FOUND: i64 = -32002;
    /// Modern only, as the next two.
    pub(crate) const HEADER_MISMATCH: i64 = -32020;
    pub(crate) const MISSING_CAPABILITY: i64 = -32021;
    pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;
}

const QUOTED: usize = 300;

/// Who lab-probe is, on either side.
pub(crate) fn implementation() -> Value {
    json!({ "name": "lab-probe", "title": "lab-probe", "version": env!("CARGO_PKG_VERSION") })
}

#[derive(Debug, Clone, PartialEq, Error)]
#[error("JSON-RPC error {code}: {}", quoted(message, QUOTED))]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into(), data: Value::Null }
    }
}

pub(crate) fn request(id: i64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A notification; null parameters are left out.
pub(crate) fn notification(method: &str, params: Value) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "method": method });
    if !params.is_null() {
        message["params"] = params;
    }
    message
}

pub(crate) fn success(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

pub(crate) fn failure(id: &Value, error: &RpcError) -> Value {
    let mut body = json!({ "code": error.code, "message": error.message });
    if !error.data.is_null() {
        body["data"] = error.data.clone();
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": body })
}
