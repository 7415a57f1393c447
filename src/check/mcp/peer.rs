//! What the two eras and the tool list need of a transport: one request, one answer, one deadline.

use serde_json::{Map, Value};

use super::jsonrpc::Text;
use super::modern;
use super::schema::{Capabilities, Implementation};
use crate::clock::Deadline;
use crate::model::mcp::{Era, McpFacts};
use crate::model::reason::{Failure, Reason};
use crate::redact::shortened;

/// Characters of a server's name or version that are kept: they become label values.
const NAME_CHARACTERS: usize = 120;

/// The failure of a server whose result no client can use.
pub(super) fn invalid(method: &str, why: &anyhow::Error) -> Failure {
    Failure::new(Reason::ProtocolError, format!("{method}: the result is invalid: {why:#}"))
}

pub(crate) trait Peer {
    /// Sends a request and waits for its answer.
    fn call(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, Failure>;
}

/// The era and version agreed on: what every further request has to say about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) era: Era,
    pub(crate) version: String,
}

impl Dialect {
    pub(crate) fn params(&self, mut params: Map<String, Value>) -> Value {
        if self.era == Era::Modern {
            params.insert("_meta".into(), modern::request_meta(&self.version));
        }
        Value::Object(params)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) dialect: Dialect,
    pub(crate) server_name: Option<String>,
    pub(crate) server_version: Option<String>,
    pub(crate) has_tools: bool,
}

impl Greeting {
    pub(crate) fn new(dialect: Dialect, server: Option<&Implementation>, capabilities: &Capabilities) -> Greeting {
        Greeting {
            dialect,
            server_name: server.map(|server| shortened(&server.name, NAME_CHARACTERS)),
            server_version: server.map(|server| shortened(&server.version, NAME_CHARACTERS)),
            has_tools: capabilities.tools.is_some(),
        }
    }

    pub(super) fn note_in(self, facts: &mut McpFacts) {
        facts.era = Some(self.dialect.era);
        facts.protocol_version = Some(self.dialect.version);
        facts.server_name = self.server_name;
        facts.server_version = self.server_version;
    }
}
