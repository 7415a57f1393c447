//! What there is to check: settings and client configs become targets; and which of them are due.
//!
//! Reads files, the environment and, for worktrees, git's own files; never the network, never the state.

use crate::model::target::Target;

pub mod due;

/// Everything known to check, and what was odd on the way.
#[derive(Debug, Default)]
pub struct Plan {
    /// The targets, unique by kind and name, in table order.
    pub targets: Vec<Target>,
    /// Sentences about what could not be read or is ambiguous: each names the file. Warnings never end a pass.
    pub warnings: Vec<String>,
}
