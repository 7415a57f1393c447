//! All observations of a pass, fresh and remembered: the one thing that metrics, tables and JSON are made from.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::mcp::ServerProcesses;
use super::observation::{Facts, Memory, Observation, Severity};
use super::target::Target;
use super::unusual::Unusual;

words! {
    /// How a target came to its place in this snapshot; the `result` label of `lab_probe_targets`.
    Outcome {
        /// Checked in this pass.
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
    /// A sentence about the check itself: the panic's message behind [`Outcome::Error`], or [`HANGS`].
    pub trouble: Option<String>,
}

/// What is said of a target that is not touched because an earlier look at it has not come back.
pub const HANGS: &str = "its files do not answer, as where a file system hangs; they are not touched until they do";

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

    /// What to do, where something is to be done about the target or about its check.
    pub fn hint(&self) -> Option<String> {
        let of_check = match (self.outcome, &self.observation) {
            (Outcome::Error, _) if self.trouble.as_deref().is_none_or(|trouble| trouble == HANGS) => {
                "see to the mount of its files (`findmnt -T` names it): a server that is gone, or a network"
            }
            (Outcome::Error, _) => {
                "raise the limit that the sentence names (TasksMax= and LimitNOFILE= of the unit; ulimit -u, ulimit -n); if it \
                 names none, report it: it is a bug in lab-probe"
            }
            (Outcome::TimedOut, _) if self.trouble.is_some() => {
                "it goes first in the next pass; `lab-probe check` goes on until everything was looked at"
            }
            (_, None) => "`lab-probe check` with its name looks at it now",
            (_, Some(seen)) => return seen.facts.hint(),
        };
        Some(of_check.to_owned())
    }
}

#[derive(Debug, Clone)]
pub struct PassFacts {
    pub started_at: Timestamp,
    /// From its beginning to the end of the last check.
    pub duration: Duration,
    pub deadline_exceeded: bool,
    /// Deliveries that failed so far, by output; every configured output has an entry.
    pub output_failures: BTreeMap<String, u64>,
    /// Passes that ended with exit 1 so far.
    pub pass_failures: u64,
    /// Whether counters go on from where they were. If not (the state could not be read), none is shown: one that fell
    /// and came back would read as a burst of everything it has ever counted.
    pub counting: bool,
}

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub pass: PassFacts,
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
