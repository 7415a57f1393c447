//! The checks: each takes a validated target, what was remembered of it and a deadline, and gives back what it found and
//! what it wants remembered. A check touches its own target's files, processes and URLs; never the state, standard
//! output, the settings or another target.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::clock::{self, Deadline};
use crate::model::observation::NotReached;
use crate::proc::{Meter, Permit, Permits, ProcessTable, Ticket};

mod command_line;
pub mod mcp;
pub mod service;
pub mod thunes;
pub mod worktree;

#[derive(Debug)]
pub struct Context {
    /// The sooner of the target's timeout, counted from now, and the pass's deadline. For those who are waited for;
    /// a program that is started has a clock of its own ([`Context::meter`]).
    pub deadline: Deadline,
    pub pass_deadline: Deadline,
    pub timeout: Duration,
    pub started_at: Timestamp,
    pub start: Start,
    pub shared: Arc<Shared>,
}

/// What is asked once a pass, by the first check that needs it.
#[derive(Debug, Default)]
pub struct Shared {
    pub processes: ProcessTable,
    pub units: service::Units,
    /// Repositories in which git ran into its limit: each further worktree of one would cost the whole limit anew.
    pub hung: Mutex<BTreeSet<PathBuf>>,
}

impl Context {
    pub fn new(timeout: Duration, pass_deadline: Deadline, started_at: Timestamp, start: Start) -> Self {
        let deadline = pass_deadline.sooner(timeout);
        Context { deadline, pass_deadline, timeout, started_at, start, shared: Arc::default() }
    }

    /// Waits until a program may be started. Its clock stands still while it computes; of its timeout it has used
    /// `idle` already, in an earlier process.
    /// Errors: [`NotReached`] if so little of the pass is left that a start would be in vain.
    pub fn meter(&self, idle: Duration) -> Result<Meter, NotReached> {
        let permit = self.start.permit().ok_or(NotReached::NotBegun)?;
        Ok(Meter::new(permit, self.timeout.saturating_sub(idle), self.start.computing))
    }
}

#[derive(Debug)]
pub struct Start {
    permits: Arc<Permits>,
    ticket: Mutex<Option<Ticket>>,
    let_in: OnceLock<Instant>,
    latest: Deadline,
    computing: Duration,
}

impl Start {
    /// With a place in the queue, given up at `latest`. A program that computes for `computing` is too slow.
    pub fn new(permits: &Arc<Permits>, ticket: Option<Ticket>, latest: Deadline, computing: Duration) -> Start {
        let (permits, ticket) = (Arc::clone(permits), Mutex::new(ticket));
        Start { permits, ticket, let_in: OnceLock::new(), latest, computing }
    }

    /// The first time when its turn comes, then at once: a check that was let in is not sent back to the queue.
    fn permit(&self) -> Option<Permit> {
        let ticket = self.ticket.lock().take();
        let permit = match ticket {
            Some(ticket) => ticket.wait(self.latest)?,
            None => self.permits.overdraft(),
        };
        let _ = self.let_in.set(clock::instant());
        Some(permit)
    }

    pub fn let_in(&self) -> Option<Instant> {
        self.let_in.get().copied()
    }
}
