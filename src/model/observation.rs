//! What one check of one target found, and what the target wants remembered for next time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mcp::{McpFacts, McpMemory, McpVerdict};
use super::service::ServiceFacts;
use super::thunes::{ThunesFacts, ThunesMemory};
use super::worktree::{WorktreeFacts, WorktreeMemory};

/// What was found, one variant a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Facts {
    /// An MCP server.
    Mcp(McpFacts),
    /// A worktree.
    Worktree(WorktreeFacts),
    /// A trading environment.
    Thunes(ThunesFacts),
    /// A service.
    Service(ServiceFacts),
}

impl Facts {
    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        match self {
            Facts::Mcp(facts) => facts.verdict() == McpVerdict::Up,
            Facts::Worktree(facts) => facts.error.is_none(),
            Facts::Thunes(facts) => facts.problems.is_empty(),
            Facts::Service(facts) => facts.problem.is_none(),
        }
    }
}

/// What the check wants to find again next time, one variant a kind. A check carries its memory in and out; nobody
/// else opens the state, so a check may be killed at any instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Memory {
    /// An MCP server.
    Mcp(McpMemory),
    /// A worktree.
    Worktree(WorktreeMemory),
    /// A trading environment.
    Thunes(ThunesMemory),
    /// A service.
    Service,
}

/// One finished check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The start of the pass that made it (wall clock).
    pub checked_at: Timestamp,
    /// How long the check took.
    pub duration: std::time::Duration,
    /// What was found.
    pub facts: Facts,
}

/// What the state keeps of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// [`super::target::Target::fingerprint`] when it was checked.
    pub fingerprint: String,
    /// The last finished check; `None` if no check has finished yet.
    pub observation: Option<Observation>,
    /// The check's own memory. It survives a changed fingerprint only where the kind says so (counters do).
    pub memory: Memory,
}
