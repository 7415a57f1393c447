//! What the two eras and the tool list need of a transport: one request, one answer, one deadline.

use serde_json::{Map, Value};

use super::modern;
use super::wire::Answer;
use crate::clock::Deadline;
use crate::mcp::RpcError;
use crate::model::mcp::Era;
use crate::model::reason::{Failure, Reason};

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The server answered with an error.
    Rpc(RpcError),
    /// The transport says why: exited, too large, an HTTP status, …
    Failed(Failure),
}

impl CallError {
    /// The failure of the check, if this request was needed.
    pub(crate) fn into_failure(self, method: &str) -> Failure {
        match self {
            CallError::Rpc(error) => Failure::new(Reason::RpcError, format!("{method}: {error}")),
            CallError::Failed(failure) => failure,
        }
    }
}

/// A server that can be asked, over whatever transport.
pub(crate) trait Peer {
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`] when there is none.
    fn call(&mut self, method: &str, params: Value, deadline: Deadline) -> Result<Answer, CallError>;
}

/// The era and version agreed on: what every further request has to say about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The era.
    pub(crate) era: Era,
    /// The version.
    pub(crate) version: String,
}

impl Dialect {
    /// The parameters of a request in this dialect.
    pub(crate) fn params(&self, mut params: Map<String, Value>) -> Value {
        if self.era == Era::Modern {
            params.insert("_meta".into(), modern::request_meta(&self.version));
        }
        Value::Object(params)
    }
}

/// What a server says of itself in its answer to the opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Era and version to go on with.
    pub(crate) dialect: Dialect,
    /// Its name.
    pub(crate) server_name: Option<String>,
    /// Its version.
    pub(crate) server_version: Option<String>,
    /// Whether it declares tools.
    pub(crate) has_tools: bool,
}
