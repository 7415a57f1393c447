//! One pass at a time: the lock on the state directory.

use std::path::Path;

use crate::exit::Failed;
use crate::state::lock::{self, Lock, LockError};

pub(super) fn take_lock(state_dir: &Path) -> Result<(Option<Lock>, Option<Failed>), Failed> {
    match lock::take(state_dir) {
        Ok(lock) => Ok((Some(lock), None)),
        Err(LockError::Held) => Err(Failed::locked(state_dir)),
        Err(LockError::Unavailable(error)) => {
            let trouble = Failed::refused("the state directory cannot be used:", state_dir, &error);
            let hint = format!("{}; or set `probe.state_dir`", trouble.hint);
            Ok((None, Some(Failed { hint, ..trouble })))
        }
    }
}
