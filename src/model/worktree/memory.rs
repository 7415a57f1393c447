//! What is remembered of a worktree beyond its last facts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TestCounts;
use crate::model::seconds;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeMemory {
    /// The digest of everything tracked, and since when it has been that; kept while there is a verdict to judge by it.
    pub content: Option<Since>,
    /// The digest of all that git said and of the times of what is changed, and since when it has been that.
    pub state: Option<Since>,
    /// Files whose change makes the worktree due at once, each with its stamp before the last look; empty: not there.
    pub watched: BTreeMap<String, String>,
    /// Processes that stood in it during the last look, by number and start (clock ticks since boot).
    pub processes: BTreeSet<(i32, u64)>,
    /// The CPU time of each agent's process tree, by number and start of its process.
    pub agents: BTreeMap<String, AgentMemory>,
    pub merge: Option<MergeMemory>,
    /// The stamp of the index in which no submodule was found.
    pub without_submodules: Option<String>,
    /// CPU time of the last look.
    #[serde(with = "seconds")]
    pub cost: Duration,
    /// Test reports by path: their stamp and what they said, so that an unchanged file is not read again.
    pub reports: BTreeMap<String, ReportMemory>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentMemory {
    #[serde(with = "seconds")]
    pub cpu: Duration,
    pub at: Timestamp,
    /// When it was last seen to compute.
    pub active_at: Option<Timestamp>,
}

/// What a merge of HEAD and the base gave; it holds as long as both are the same commits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergeMemory {
    /// Object ids of HEAD and of the base.
    pub commits: (String, String),
    /// Whether the result is what the base has; `None` if git gave no answer.
    pub integrated: Option<bool>,
    /// Whether it stops in a conflict.
    pub conflict: Option<bool>,
    /// Paths that HEAD changes since it left the base.
    pub paths: Vec<String>,
}

/// A digest, and since when it has been the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Since {
    pub digest: String,
    /// Start of the first pass that saw this digest, with no other in between.
    pub since: Timestamp,
}

impl Since {
    /// What is to be remembered of `digest`, which is seen at `now`; `first` is since when it has been that if nothing is
    /// remembered yet.
    pub fn renewed(known: Option<Since>, digest: String, now: Timestamp, first: Timestamp) -> Since {
        match known {
            Some(known) if known.digest == digest => known,
            Some(_) => Since { digest, since: now },
            None => Since { digest, since: first.min(now) },
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportMemory {
    pub stamp: String,
    /// What it said; `None` if it is no report.
    pub counts: Option<TestCounts>,
    /// Failures that it claims and nothing in it shows.
    pub unexplained: u64,
    #[serde(with = "seconds::option")]
    pub duration: Option<Duration>,
    /// The digest of everything tracked under which it counts, once known.
    pub content: Option<String>,
}
