//! Other people's programs: started, listened to, and ended, whatever they do.
//!
//! This room knows processes and signals, not what a server means; it has the only `unsafe` code ([`sys`]). A program
//! is started under a [`supervisor`] that knows its whole process tree, talked to through a [`ChildIo`] in one
//! thread, and ended with everything it started. [`capture`] does all three for programs that run to their end.

mod capture;
mod child;
mod child_io;
mod ending;
mod groups;
pub mod hung;
mod meter;
mod passthrough;
mod permits;
pub(crate) mod processes;
mod protocol;
pub mod signals;
mod spec;
pub mod supervisor;
mod survivors;
mod sys;
mod tail;
mod tree;

use std::time::Duration;

use rustix::event::Timespec;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

pub use capture::{Captured, Outcome, capture, capture_tail, capture_while};
pub use child::Exit;
pub use child_io::{ChildIo, Ended, Event, Force};
pub use ending::end_everything;
pub use meter::{Meter, Slow};
pub use passthrough::{PassedThrough, pass_through};
pub use permits::{Permit, Permits, Ticket};
pub use processes::{Process, ProcessTable, own_unit};
pub use spec::{CommandSpec, SpawnError};
pub use survivors::{Survivor, list as list_survivors};
pub use sys::keep_heap_small;
pub use tail::Tail;

/// Killing one tree may take so long: stopping and killing needs a few rounds of reading /proc, and a process that
/// waits for a disk dies only when the disk has answered.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Keeps the credentials in this process's memory and environment from other processes of the same user (ptrace(2),
/// `/proc/PID/environ`) and out of core dumps.
pub fn forbid_inspection() {
    // Refused by no kernel (QEMU's user mode emulation knows no such call); without it all still works.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Rounded up to the next millisecond, so that a wait for the last fraction of one does not spin.
fn timespec(left: Duration) -> Timespec {
    let left = if left.is_zero() { left } else { left + Duration::from_micros(500) };
    Timespec { tv_sec: left.as_secs().min(3600) as i64, tv_nsec: i64::from(left.subsec_nanos()) }
}
