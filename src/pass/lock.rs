//! One pass at a time: the lock on the state directory.

use std::path::Path;
use std::time::Duration;

use crate::clock::Deadline;
use crate::exit::{self, Exit};
use crate::fs::remedy::remedy;
use crate::log;
use crate::state::lock::{self, Lock, LockError};

const RETRY: Duration = Duration::from_millis(50);

/// The lock; where there can be none, why: then no state is saved either.
/// Errors: Exit 75 if another pass still holds it after `wait`.
pub(super) fn take_lock(state_dir: &Path, wait: Duration) -> anyhow::Result<(Option<Lock>, Option<anyhow::Error>)> {
    let deadline = Deadline::after(wait);
    let mut is_said = wait.is_zero();
    loop {
        match lock::take(state_dir) {
            Ok(lock) => return Ok((Some(lock), None)),
            Err(LockError::Held) if deadline.passed() => return Err(exit::locked(state_dir)),
            Err(LockError::Held) => {
                if !is_said {
                    log::info(waiting(state_dir, wait));
                    is_said = true;
                }
                std::thread::sleep(RETRY.min(deadline.left()));
            }
            Err(LockError::Unavailable(error)) => {
                let next = format!("{}; or set `probe.state_dir`", remedy(state_dir, &error));
                let what = format!("the state directory cannot be used: {}", state_dir.display());
                return Ok((None, Some(exit::hinted(Exit::Trouble, anyhow::Error::from(error).context(what), next))));
            }
        }
    }
}

fn waiting(state_dir: &Path, wait: Duration) -> String {
    let process = lock::holder(state_dir).map_or_else(String::new, |pid| format!(", process {pid},"));
    let (seconds, directory) = (wait.as_secs_f64(), state_dir.display());
    format!("waiting up to {seconds:.0} s for another pass{process} that holds the lock on {directory}")
}
