//! Keeps two passes apart: an advisory lock on the state directory itself.
//!
//! The directory and not a file in it: there is nothing to create, so the lock also holds where the state cannot be
//! written, and nothing is left behind when the process is killed.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The lock, held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another pass holds it.
    Held,
    /// The directory cannot be created or opened: passes cannot be kept apart, and no state will be saved either.
    Unavailable(io::Error),
}

/// Creates the state directory (mode 0700) if need be and takes the lock, at once or not at all.
///
/// # Errors
/// [`LockError::Held`] while another pass runs, [`LockError::Unavailable`] where there can be no state directory.
pub fn take(state_dir: &Path) -> Result<Lock, LockError> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(LockError::Unavailable)?;
    let directory = File::open(state_dir).map_err(LockError::Unavailable)?;
    match directory.try_lock() {
        Ok(()) => Ok(Lock(directory)),
        Err(TryLockError::WouldBlock) => Err(LockError::Held),
        Err(TryLockError::Error(error)) => Err(LockError::Unavailable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_at_once_and_a_dropped_lock_is_free() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state_dir = directory.path().join("a/b");
        let lock = take(&state_dir).expect("taken");
        assert!(matches!(take(&state_dir), Err(LockError::Held)));
        drop(lock);
        take(&state_dir).expect("free again");
    }
}
