//! SIGINT and SIGTERM: end every child, let a file replacement under way finish, exit with 130 or 143.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::ending;
use super::survivors::list;
use crate::clock::Deadline;
use crate::{fs, log};

/// A file being replaced gets this long to be whole.
const SETTLE: Duration = Duration::from_secs(1);

/// All children get this long to be ended.
const END_LIMIT: Duration = Duration::from_millis(2_500);

/// From now on SIGINT and SIGTERM end the probe in order, with 128 plus its number; a second one ends it at once. Either way
/// no child is left: supervisors end their trees when the probe is gone.
pub fn install() -> io::Result<()> {
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag still down and raises it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))?;
        signal_hook::flag::register(signal, Arc::clone(&second))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).stack_size(256 << 10).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end(signal);
        }
    })?;
    Ok(())
}

fn end(signal: i32) {
    CAUGHT.store(true, Ordering::SeqCst);
    // Held to the end, so that no other replacement begins. Before the children are ended: their checks would
    // take that for an answer, and the pass would go on to deliver it.
    let _settled = fs::settle(SETTLE);
    let survivors = ending::end_everything(Deadline::after(END_LIMIT));
    if !survivors.is_empty() {
        log::warn(format!("could not be ended: {}", list(&survivors)));
    }
    signal_hook::low_level::exit(128 + signal)
}

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// Stays here for good if a signal is ending this process: what has been found since may only be the signal's doing.
pub fn give_way() {
    while CAUGHT.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// From now on a file that reaches the limit on its size (RLIMIT_FSIZE) is a write that fails and can be told of, not
/// the end of the process. Programs that are started find the signal as it was: handlers do not outlive an exec.
pub fn outlive_file_limits() {
    // Refused, it is as it was before.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}
