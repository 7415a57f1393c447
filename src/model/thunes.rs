//! The trading system: where one environment keeps its data, what was read from it, and what to remember.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::observation::Severity;
use super::secret::Secret;

/// One environment. Relative paths are relative to `root`; they are shown as the config has them.
#[derive(Debug, Clone, PartialEq)]
pub struct ThunesTarget {
    /// The `environment` label.
    pub environment: String,
    /// The application's directory.
    pub root: PathBuf,
    /// SQLite database of positions.
    pub positions_db: PathBuf,
    /// JSON-lines journals.
    pub journals: Vec<PathBuf>,
    /// Text or JSON logs.
    pub logs: Vec<PathBuf>,
    /// An instrumented application's metrics endpoint; may hold credentials.
    pub metrics_url: Option<Secret>,
    /// Daily loss limit in quote currency; else `MAX_DAILY_LOSS` in `.env`, else 20.
    pub max_daily_loss: Option<f64>,
}

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThunesFacts {
    /// What went wrong, a sentence each.
    pub problems: Vec<String>,
}

/// What is remembered between passes: cursors and totals, which move together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThunesMemory {}

impl ThunesFacts {
    /// The facts of a look that the pass's deadline ended.
    pub fn cut_off(sentence: &str) -> Self {
        ThunesFacts { problems: vec![sentence.to_owned()] }
    }

    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// How much it wants attention.
    pub fn severity(&self) -> Severity {
        if self.is_good() { Severity::Fine } else { Severity::Trouble }
    }

    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        if self.is_good() { "read" } else { "incomplete" }
    }

    /// What was found, in one line.
    pub fn summary(&self) -> String {
        self.problems.join("; ")
    }

    /// What to do, where something is to be done.
    pub fn hint(&self) -> Option<String> {
        None
    }
}
