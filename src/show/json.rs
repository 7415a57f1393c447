//! The snapshot as one JSON document: a documented, versioned schema (see `docs/json.md`).

use jiff::Timestamp;
use serde::Serialize;

use crate::model::delivery::Delivery;
use crate::model::mcp::ServerProcesses;
use crate::model::observation::{Facts, Severity};
use crate::model::snapshot::{Entry, Outcome, Snapshot};
use crate::model::target::{Kind, Origin};

/// Changes only when a field is removed or means something else; fields may be added without it.
pub const SCHEMA: &str = "lab-probe.pass/1";

/// The document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    started_at: Timestamp,
    duration_seconds: f64,
    deadline_exceeded: bool,
    targets: Vec<TargetDocument<'a>>,
    outputs: Vec<OutputDocument<'a>>,
    warnings: &'a [String],
}

/// One target.
#[derive(Debug, Serialize)]
pub struct TargetDocument<'a> {
    kind: Kind,
    name: &'a str,
    verdict: &'static str,
    severity: Option<Severity>,
    outcome: Outcome,
    summary: Option<String>,
    hint: Option<String>,
    checked_at: Option<Timestamp>,
    duration_seconds: Option<f64>,
    next_due: Option<Timestamp>,
    trouble: Option<&'a str>,
    facts: Option<&'a Facts>,
    processes: Option<&'a ServerProcesses>,
    origins: &'a [Origin],
    /// Found only from the current directory: shown, neither delivered nor remembered.
    only_here: bool,
}

#[derive(Debug, Serialize)]
struct OutputDocument<'a> {
    output: &'static str,
    destination: &'a str,
    delivered: bool,
    error: Option<&'a str>,
}

impl<'a> TargetDocument<'a> {
    /// One entry of a snapshot.
    pub fn new(entry: &'a Entry) -> Self {
        let observation = entry.observation.as_ref();
        let facts = observation.map(|observation| &observation.facts);
        TargetDocument {
            kind: entry.target.kind(),
            name: &entry.target.name,
            verdict: facts.map_or("unknown", Facts::word),
            severity: facts.map(Facts::severity),
            outcome: entry.outcome,
            summary: facts.map(Facts::summary),
            hint: entry.hint(),
            checked_at: observation.map(|observation| observation.checked_at),
            duration_seconds: observation.map(|observation| observation.duration.as_secs_f64()),
            next_due: entry.next_due,
            trouble: entry.trouble.as_deref(),
            facts,
            processes: entry.processes.as_ref(),
            origins: &entry.target.origins,
            only_here: entry.target.only_here,
        }
    }
}

impl<'a> Document<'a> {
    /// A whole pass.
    pub fn new(snapshot: &'a Snapshot, deliveries: &'a [Delivery], warnings: &'a [String]) -> Self {
        Document {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            started_at: snapshot.pass.started_at,
            duration_seconds: snapshot.pass.duration.as_secs_f64(),
            deadline_exceeded: snapshot.pass.deadline_exceeded,
            targets: snapshot.entries.iter().map(TargetDocument::new).collect(),
            outputs: deliveries
                .iter()
                .map(|delivery| OutputDocument {
                    output: delivery.output,
                    destination: &delivery.destination,
                    delivered: delivery.error.is_none(),
                    error: delivery.error.as_deref(),
                })
                .collect(),
            warnings,
        }
    }

    /// The text, with a final newline.
    ///
    /// # Errors
    /// Only where something has no JSON form, which would be a bug.
    pub fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
