//! Keeps two passes apart: an advisory lock on the state directory itself.
//!
//! The directory and not a file in it: there is nothing to create, so the lock also holds where the state cannot be
//! written, and nothing is left behind when the process is killed.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::fs;

/// A line for each lock of the machine, some sixty bytes each.
const MAX_LOCKS_BYTES: u64 = 4 << 20;

/// The lock, held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A child that is being started shares the open file, and would keep the lock with it.
        let _ = self.0.unlock();
    }
}

/// Creates the state directory (mode 0700) if need be and takes the lock, at once or not at all.
/// Errors: [`TryLockError::WouldBlock`] while another pass runs, [`TryLockError::Error`] where the directory cannot be
/// created or opened: passes cannot be kept apart, and no state will be saved either.
pub fn take(state_dir: &Path) -> Result<Lock, TryLockError> {
    fs::ensure_private_directory(state_dir).map_err(TryLockError::Error)?;
    let directory = File::open(state_dir).map_err(TryLockError::Error)?;
    loop {
        match directory.try_lock() {
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked.map(|()| Lock(directory)),
        }
    }
}

/// The process that holds the lock, by `/proc/locks` (proc(5)): taking the lock to find out would make a pass that
/// begins just then give up.
pub fn holder(state_dir: &Path) -> Option<u32> {
    let inode = std::fs::metadata(state_dir).ok()?.ino();
    let locks = fs::read_capped(Path::new("/proc/locks"), MAX_LOCKS_BYTES).ok()?;
    holder_in(&String::from_utf8_lossy(&locks), inode)
}

/// Lines such as `3: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`; waiting ones have an arrow and more words. The
/// device is not compared: some file systems show another one there than stat(2).
fn holder_in(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words.as_slice() else { return None };
        let (_, number) = file.rsplit_once(':')?;
        (number.parse() == Ok(inode)).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_taker_is_told_at_once_and_a_dropped_lock_is_free() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state_dir = directory.path().join("a/b");
        let lock = take(&state_dir).expect("taken");
        assert!(matches!(take(&state_dir), Err(TryLockError::WouldBlock)));
        assert_eq!(holder(&state_dir), Some(std::process::id()));
        drop(lock);
        // A program that another test is starting shares every descriptor until it is that program.
        let freed = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            holder(&state_dir).is_none() && take(&state_dir).is_ok()
        });
        assert!(freed, "free again");
    }

    #[test]
    fn a_lock_that_is_given_up_is_free_whoever_still_has_the_file_open() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let lock = take(directory.path()).expect("taken");
        let _shared = lock.0.try_clone().expect("the same open file");
        drop(lock);
        assert!(take(directory.path()).is_ok());
    }

    #[test]
    fn the_holder_is_told_from_who_waits_and_who_reads() {
        let locks = "1: FLOCK  ADVISORY  READ 10 fd:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 11 fd:01:78 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 fd:01:77 0 EOF\n\
                     3: POSIX  ADVISORY  WRITE 13 fd:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 14 fd:01:77 0 EOF\n";
        assert_eq!(holder_in(locks, 77), Some(14));
        assert_eq!(holder_in(locks, 7), None);
        assert_eq!(holder_in("", 77), None);
    }
}
