//! Other people's programs: started, listened to, and ended, whatever they do.
//!
//! This room knows processes and signals, not what a server means; it has the only `unsafe` code ([`sys`]). A program
//! is started under a keeper (described there) that knows its whole process tree, talked to through a [`ChildIo`] in one
//! thread, and ended with everything it started. [`capture`] does all three for programs that run to their end.

mod capture;
mod child;
mod child_io;
mod leash;
mod meter;
mod passthrough;
mod permits;
pub(crate) mod processes;
pub mod signals;
mod spec;
mod sys;
mod tail;
mod tree;

use std::time::Duration;

pub use capture::{Captured, Limits, Outcome, capture, capture_tail, capture_while};
pub use child::{Exit, Usage, end_everything};
pub use child_io::{ChildIo, Ended, Event, Force};
pub use meter::{Meter, Slow, SlowLimits};
pub use passthrough::{PassedThrough, pass_through};
pub use permits::{Permit, Permits, Ticket};
pub use processes::{Process, ProcessTable, Stat};
pub use spec::{CommandSpec, SpawnError};
pub use tail::Tail;

/// Killing one tree may take so long: stopping and killing needs a few rounds of reading /proc, and a process that
/// waits for a disk dies only when the disk has answered.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Keeps this process's heap small; to be called before threads are started.
pub fn keep_heap_small() {
    sys::keep_heap_small();
}

/// Keeps this process from leaving its memory, and the credentials in it, in a core dump.
pub fn forbid_core_dumps() {
    child::forbid_core_dumps();
}
