//! Git worktrees: what to look at, what was found, and what to remember.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
