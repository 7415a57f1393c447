//! The checks: each takes a validated target, what was remembered of it and a deadline, and gives back what it found and
//! what it wants remembered. A check touches its own target's files, processes and URLs; never the state, standard
//! output, the settings or another target.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Deadline;
use crate::proc::{Places, ProcessTable};

pub mod mcp;
pub mod service;
pub mod thunes;
pub mod worktree;

/// What a check is given besides its target and its memory.
#[derive(Debug, Clone)]
pub struct Context {
    /// The sooner of the target's timeout, counted from now, and the pass's deadline.
    pub deadline: Deadline,
    /// The pass's deadline alone: waiting for a place to start does not use up the target's own time.
    pub pass_deadline: Deadline,
    /// The target's own timeout.
    pub timeout: Duration,
    /// The start of the pass (wall clock).
    pub started_at: Timestamp,
    /// Places for starting programs.
    pub places: Arc<Places>,
    /// The processes of this machine, read once a pass.
    pub processes: Arc<ProcessTable>,
}

impl Context {
    /// The context of a check that begins now.
    pub fn new(timeout: Duration, pass_deadline: Deadline, started_at: Timestamp, places: Arc<Places>) -> Self {
        let deadline = pass_deadline.sooner(timeout);
        Context { deadline, pass_deadline, timeout, started_at, places, processes: Arc::default() }
    }

    /// The same with the pass's own table of processes.
    pub fn with_processes(self, processes: &Arc<ProcessTable>) -> Self {
        Context { processes: Arc::clone(processes), ..self }
    }
}

/// The check was not begun: no place to start came free before the pass's deadline. What is remembered of the target
/// stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStarted;
