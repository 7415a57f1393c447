//! All observations of a pass, fresh and remembered: the one thing that metrics, tables and JSON are made from.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mcp::ServerProcesses;
use super::observation::{Facts, Memory, NotReached, Observation, Severity};
use super::target::Target;
use super::unusual::Unusual;

words! {
    /// How a target came to its place in this snapshot; the `result` label of `lab_probe_targets`.
    Outcome {
        Fresh = "fresh",
        /// Remembered from an earlier pass and not due yet.
        Cached = "cached",
        /// Cut off by the pass's deadline, or not started before it; what is remembered stays.
        TimedOut = "timed_out",
        /// It could not be looked at: the machine refused a process, or the check broke (a bug in lab-probe). What is
        /// remembered stays.
        Error = "error",
    }
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub target: Target,
    pub outcome: Outcome,
    /// The newest observation; `None` if there has never been one.
    pub observation: Option<Observation>,
    pub memory: Option<Memory>,
    /// When it will be due again; `None` means at the next pass.
    pub next_due: Option<Timestamp>,
    /// The running processes of an MCP server, besides those of the probe; `None` where they cannot be known.
    pub processes: Option<ServerProcesses>,
    /// Why it was not checked, if what is remembered stands in for that.
    pub trouble: Option<NotReached>,
}

impl Entry {
    pub fn facts(&self) -> Option<&Facts> {
        self.observation.as_ref().map(|observation| &observation.facts)
    }

    /// What was never checked wants a look.
    pub fn severity(&self) -> Severity {
        self.facts().map_or(Severity::Attention, Facts::severity)
    }

    pub fn word(&self) -> &'static str {
        self.facts().map_or("unknown", Facts::word)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LastPass {
    pub started_at: Timestamp,
    /// From its beginning to the end of the last check.
    #[serde(with = "super::seconds")]
    pub duration: Duration,
    pub deadline_exceeded: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub pass: LastPass,
    /// Deliveries that failed so far, by output; every configured output has an entry.
    pub output_failures: BTreeMap<String, u64>,
    /// Passes that ended with exit 1 so far.
    pub pass_failures: u64,
    /// Whether counters begin anew, since the state could not be read. Then none is shown: one that fell and came back
    /// would read as a burst of everything it has ever counted.
    pub counters_lost: bool,
    pub entries: Vec<Entry>,
    /// Labels that the config adds to every series.
    pub labels: BTreeMap<String, String>,
    /// Whether values are as usual, of every series that has one now; `None` where that is switched off.
    pub unusual: Option<Unusual>,
}

impl Snapshot {
    /// The entries for outputs and history: all but those that were found only from the current directory.
    pub fn delivered(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.target.only_here)
    }
}
