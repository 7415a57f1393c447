//! The tools and resources: what a client is told of them (`tools.json`), and what it may ask.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::target::Kind;

/// A tool call with its arguments checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// What is known of these targets, trouble first. Empty lists mean all.
    Status {
        kinds: Vec<Kind>,
        names: Vec<String>,
        /// Only what is in trouble or wants a look.
        only_trouble: bool,
    },
    /// Look again, now. An empty list means all.
    CheckNow {
        names: Vec<String>,
    },
    Explain {
        topic: String,
    },
}

/// What `tools.json` declares. Its schemas have no `"type": ["string", "null"]`: clients that turn schemas into a dialect
/// with single types refuse a list.
#[derive(Deserialize)]
struct Declared {
    tools: Vec<Tool>,
    arguments: Map<String, Value>,
    outputs: BTreeMap<String, Value>,
    resources: Vec<Value>,
}

#[derive(Deserialize)]
pub struct Tool {
    name: String,
    title: String,
    description: String,
    /// Keys of [`Declared::arguments`]; a topic is required.
    input: Vec<String>,
    /// Key of [`Declared::outputs`].
    output: String,
}

#[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
static DECLARED: LazyLock<Declared> =
    LazyLock::new(|| serde_json::from_str(include_str!("tools.json")).expect("tools.json is as declared here"));

pub fn declarations() -> Vec<Value> {
    let declare = |tool: &Tool| {
        let properties: Map<String, Value> =
            tool.input.iter().map(|name| (name.clone(), DECLARED.arguments[name].clone())).collect();
        let required: Vec<&String> = tool.input.iter().filter(|name| *name == "topic").collect();
        let checks = tool.name == "check_now";
        json!({
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
            "outputSchema": DECLARED.outputs[&tool.output],
            "annotations": {
                "title": tool.title,
                "readOnlyHint": !checks,
                "destructiveHint": false,
                "idempotentHint": true,
                // check_now reaches what the user's own configuration names, possibly over the network.
                "openWorldHint": checks,
            },
        })
    };
    DECLARED.tools.iter().map(declare).collect()
}

pub fn resources() -> &'static [Value] {
    &DECLARED.resources
}

pub fn find(name: &str) -> anyhow::Result<&'static Tool> {
    DECLARED.tools.iter().find(|tool| tool.name == name).with_context(|| {
        let known: Vec<&str> = DECLARED.tools.iter().map(|tool| tool.name.as_str()).collect();
        format!("unknown tool {name:?}; there are {}", known.join(", "))
    })
}

/// What the tools take, each only those of [`Tool::input`]; null means that it was not given.
#[derive(Deserialize)]
struct Arguments {
    names: Option<Vec<String>>,
    only_trouble: Option<bool>,
    topic: Option<String>,
}

impl Tool {
    /// Reads a call.
    /// Errors: A sentence on arguments that the tool's schema does not take.
    pub fn read(&self, arguments: Map<String, Value>) -> anyhow::Result<Call> {
        if let Some(unknown) = arguments.keys().find(|key| !self.input.contains(key)) {
            let known: Vec<String> = self.input.iter().map(|key| format!("{key:?}")).collect();
            bail!("{} takes no argument {unknown:?}; it takes {}", self.name, known.join(" and "));
        }
        let arguments = serde_path_to_error::deserialize(Value::Object(arguments));
        let Arguments { names, only_trouble, topic } = arguments.with_context(|| self.name.clone())?;
        let names = names.unwrap_or_default();
        let kinds = match self.name.as_str() {
            "explain" => {
                let topic = topic.filter(|topic| !topic.is_empty());
                return Ok(Call::Explain {
                    topic: topic.context("explain: \"topic\" must be a text that is not empty")?,
                });
            }
            "check_now" => return Ok(Call::CheckNow { names }),
            "mcp_health" => vec![Kind::Mcp],
            "worktree_status" => vec![Kind::Worktree],
            "trading_status" => vec![Kind::Thunes],
            _ => Vec::new(),
        };
        Ok(Call::Status { kinds, names, only_trouble: only_trouble.unwrap_or_default() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Exposition,
    /// The effective configuration, secrets redacted.
    Config,
}

impl Resource {
    pub fn find(uri: &str) -> Option<(Resource, &'static Value)> {
        let declared = DECLARED.resources.iter().find(|resource| resource["uri"] == uri)?;
        let resource = if declared["name"] == "config" { Resource::Config } else { Resource::Exposition };
        Some((resource, &declared["mimeType"]))
    }
}
