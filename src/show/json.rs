//! The snapshot as one JSON document: a documented, versioned schema (see `docs/json.md`).

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::unusual;
use crate::log::is_invisible;
use crate::model::delivery::Delivery;
use crate::model::mcp::ServerProcesses;
use crate::model::observation::{Facts, NotReached, Severity};
use crate::model::reason::Reason;
use crate::model::snapshot::{Entry, Outcome, Snapshot};
use crate::model::target::{Kind, Origin, Probe, Target};
use crate::model::unusual::{Unusual, Widespread};

/// A document for programs. Its schema changes only when a field is removed or means something else; fields may be
/// added without it.
pub(super) fn document_of(schema: &'static str, body: &impl Serialize) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'static str,
        version: &'static str,
        #[serde(flatten)]
        body: &'a T,
    }
    pretty(&Document { schema, version: env!("CARGO_PKG_VERSION"), body })
}

/// A document as text, with a final newline. What nobody sees is escaped: outside strings there is no such character.
fn pretty(document: &impl Serialize) -> serde_json::Result<String> {
    let mut text = String::new();
    for c in serde_json::to_string_pretty(document)?.chars() {
        if is_invisible(c) || c.is_control() && c != '\n' {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    Ok(text + "\n")
}

#[derive(Serialize)]
struct Pass<'a> {
    started_at: Timestamp,
    duration_seconds: f64,
    deadline_exceeded: bool,
    targets: Vec<TargetDocument<'a>>,
    /// Set while many series are unusual at once.
    widespread: Option<Widespread>,
    outputs: Vec<Value>,
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
pub struct TargetDocument<'a> {
    kind: Kind,
    name: &'a str,
    verdict: &'static str,
    severity: Option<Severity>,
    outcome: Outcome,
    summary: Option<String>,
    hint: Option<String>,
    pub(super) checked_at: Option<Timestamp>,
    duration_seconds: Option<f64>,
    next_due: Option<Timestamp>,
    trouble: Option<String>,
    facts: Option<&'a Facts>,
    processes: Option<&'a ServerProcesses>,
    /// For an MCP server or a service that is not up.
    reason: Option<Reason>,
    /// How an MCP server is reached, without arguments and secrets.
    how: Option<String>,
    origins: &'a [Origin],
    /// What is unusual, a sentence each.
    unusual: Vec<String>,
    /// Found only from the current directory: shown, neither delivered nor remembered.
    only_here: bool,
}

impl<'a> TargetDocument<'a> {
    pub fn new(entry: &'a Entry, unusual: Option<&Unusual>) -> Self {
        let observation = entry.observation.as_ref();
        let facts = entry.facts();
        TargetDocument {
            kind: entry.target.kind(),
            name: &entry.target.name,
            verdict: entry.word(),
            severity: facts.map(Facts::severity),
            outcome: entry.outcome,
            summary: observation.map(|seen| seen.facts.summary(seen.checked_at)),
            hint: entry.hint(),
            checked_at: observation.map(|observation| observation.checked_at),
            duration_seconds: observation.map(|observation| observation.duration.as_secs_f64()),
            next_due: entry.next_due,
            trouble: entry.trouble.as_ref().map(NotReached::to_string),
            facts,
            processes: entry.processes.as_ref(),
            reason: facts.and_then(Facts::failure).map(|failure| failure.reason),
            how: how(&entry.target),
            origins: &entry.target.origins,
            unusual: unusual::of_target(unusual, &entry.target.id()),
            only_here: entry.target.only_here,
        }
    }
}

fn output(delivery: &Delivery) -> Value {
    let Delivery { output, destination, error } = delivery;
    json!({ "output": output, "destination": destination, "delivered": error.is_none(), "error": error })
}

pub(super) fn how(target: &Target) -> Option<String> {
    let Probe::Mcp(mcp) = &target.probe else { return None };
    mcp.reach.describe()
}

/// The document of a pass as text.
pub fn document(snapshot: &Snapshot, deliveries: &[Delivery], warnings: &[String]) -> serde_json::Result<String> {
    let (pass, unusual) = (&snapshot.pass, snapshot.unusual.as_ref());
    let body = Pass {
        started_at: pass.started_at,
        duration_seconds: pass.duration.as_secs_f64(),
        deadline_exceeded: pass.deadline_exceeded,
        targets: snapshot.entries.iter().map(|entry| TargetDocument::new(entry, unusual)).collect(),
        widespread: unusual.and_then(|unusual| unusual.widespread),
        outputs: deliveries.iter().map(output).collect(),
        warnings,
    };
    document_of("lab-probe.pass/1", &body)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn characters_that_nobody_sees_are_escaped_and_read_back() {
        let document = json!({ "a\u{200b}": ["x\u{202e}y\n", "\u{e0041}\u{9b}\u{7f}é"] });
        let text = pretty(&document).expect("text");
        assert_eq!(
            text,
            "{\n  \"a\\u200b\": [\n    \"x\\u202ey\\n\",\n    \"\\udb40\\udc41\\u009b\\u007fé\"\n  ]\n}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), document);
    }
}
