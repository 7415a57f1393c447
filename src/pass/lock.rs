//! One pass at a time: the lock on the state directory.

use std::path::Path;

use crate::exit::{self, Exit};
use crate::fs::remedy::remedy;
use crate::state::lock::{self, Lock, LockError};

pub(super) fn take_lock(state_dir: &Path) -> anyhow::Result<(Option<Lock>, Option<anyhow::Error>)> {
    match lock::take(state_dir) {
        Ok(lock) => Ok((Some(lock), None)),
        Err(LockError::Held) => Err(exit::locked(state_dir)),
        Err(LockError::Unavailable(error)) => {
            let next = format!("{}; or set `probe.state_dir`", remedy(state_dir, &error));
            let what = format!("the state directory cannot be used: {}", state_dir.display());
            Ok((None, Some(exit::hinted(Exit::Trouble, anyhow::Error::from(error).context(what), next))))
        }
    }
}
