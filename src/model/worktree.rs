//! Git worktrees: what to look at, what was found, and what to remember.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::observation::Severity;

/// A worktree to look at.
#[derive(Debug, Clone)]
pub struct WorktreeTarget {
    /// The repository it belongs to, as configured.
    pub repository: PathBuf,
    /// Its own directory.
    pub path: PathBuf,
    /// What "complete" is merged into, if configured.
    pub base: Option<String>,
    /// Globs of test reports besides the built-in places.
    pub test_reports: Vec<String>,
}

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeFacts {
    /// Why it could not be read; `None` means it was.
    pub error: Option<String>,
}

/// What is remembered of a worktree beyond its last facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeMemory {}

impl WorktreeFacts {
    /// The facts of a look that the pass's deadline ended.
    pub fn cut_off(sentence: &str) -> Self {
        WorktreeFacts { error: Some(sentence.to_owned()) }
    }

    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        self.error.is_none()
    }

    /// How much it wants attention.
    pub fn severity(&self) -> Severity {
        if self.is_good() { Severity::Fine } else { Severity::Trouble }
    }

    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        if self.is_good() { "read" } else { "unreadable" }
    }

    /// What was found, in one line.
    pub fn summary(&self) -> String {
        self.error.clone().unwrap_or_default()
    }

    /// What to do, where something is to be done.
    pub fn hint(&self) -> Option<String> {
        None
    }
}
