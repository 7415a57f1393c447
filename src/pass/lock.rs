//! One pass at a time: the lock on the state directory, how long a pass waits for it, and how long it may take then.

use std::fs::TryLockError;
use std::path::Path;
use std::time::Duration;

use crate::clock::Deadline;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::fs::remedy;
use crate::log;
use crate::state::lock::{self, Lock};

/// A person's pass goes on until everything due was looked at, but not longer.
const PERSON_DEADLINE: Duration = Duration::from_secs(90);

const PERSON_LOCK_WAIT: Duration = Duration::from_secs(30);

const RETRY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Somebody waits for its table.
    Person,
    /// The next one comes in a moment.
    Timer,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// It has ended by then, whatever hangs.
    pub(super) deadline: Duration,
    /// So long it waits for the lock.
    pub(super) lock_wait: Duration,
}

impl Timing {
    pub fn new(settings: &Settings, audience: Audience, deadline: Option<Duration>, wait: Option<Duration>) -> Timing {
        let (usual_deadline, usual_wait) = match audience {
            Audience::Person => (settings.probe.deadline.max(PERSON_DEADLINE), PERSON_LOCK_WAIT),
            Audience::Timer => (settings.probe.deadline, Duration::ZERO),
        };
        Timing { deadline: deadline.unwrap_or(usual_deadline), lock_wait: wait.unwrap_or(usual_wait) }
    }
}

/// The lock; where there can be none, why: then no state is saved either.
pub(super) type Taken = (Option<Lock>, Option<anyhow::Error>);

/// Errors: Exit 75 if another pass still holds it after `wait`.
pub(super) fn take(state_dir: &Path, wait: Duration) -> anyhow::Result<Taken> {
    let deadline = Deadline::after(wait);
    let mut is_said = wait.is_zero();
    loop {
        match lock::take(state_dir) {
            Ok(lock) => return Ok((Some(lock), None)),
            Err(TryLockError::WouldBlock) if deadline.passed() => return Err(exit::locked(state_dir)),
            Err(TryLockError::WouldBlock) => {
                if !is_said {
                    log::info(waiting(state_dir, wait));
                    is_said = true;
                }
                std::thread::sleep(RETRY.min(deadline.left()));
            }
            Err(TryLockError::Error(error)) => {
                let next = format!("{}; or set `probe.state_dir`", remedy(state_dir, &error));
                let what = format!("the state directory cannot be used: {}", state_dir.display());
                let error = anyhow::Error::from(error).context(what);
                return Ok((None, Some(exit::hinted(Exit::Trouble, error, next))));
            }
        }
    }
}

fn waiting(state_dir: &Path, wait: Duration) -> String {
    let process = lock::holder(state_dir).map_or_else(String::new, |pid| format!(", process {pid},"));
    let (seconds, directory) = (wait.as_secs_f64(), state_dir.display());
    format!("waiting up to {seconds:.0} s for another pass{process} that holds the lock on {directory}")
}
