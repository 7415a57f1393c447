//! What `lab-probe record` leaves: a mark while it runs, a verdict when it has ended.
//!
//! Every worktree has a directory below the state directory, named by the digest of its path. In it lies another one on
//! which each run holds a shared lock: that goes when the process dies, however it dies. Nothing of this lies in the
//! repository.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fs::{ensure_private_directory, read_capped, replace, uninterrupted};
use crate::model::digest;
use crate::model::seconds;
use crate::model::worktree::TestCounts;

/// Larger is none of ours.
const MAX_BYTES: u64 = 64 << 10;

/// The directory that runs hold locked.
const RUNNING: &str = "running";

/// The verdict of one run. The command itself is not kept: its arguments may hold secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub passed: bool,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// Tests by result, if it left a report.
    pub counts: Option<TestCounts>,
    pub commit: Option<String>,
    /// Digest of everything tracked when it began; `None` if that could not be had.
    pub content_before: Option<String>,
    pub content_after: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    pub running: bool,
    pub verdict: Option<Verdict>,
}

pub fn read(records: &Path, path: &Path) -> Recorded {
    let directory = directory(records, path);
    // The lock is had for an instant if nobody runs; a run that begins just then waits for it.
    let is_held = |mark: File| matches!(mark.try_lock(), Err(TryLockError::WouldBlock));
    Recorded { running: File::open(directory.join(RUNNING)).is_ok_and(is_held), verdict: read_verdict(&directory) }
}

/// What changes when a run begins or ends.
pub(super) fn watched(records: &Path, path: &Path) -> [PathBuf; 2] {
    let directory = directory(records, path);
    [directory.join(RUNNING), directory]
}

fn directory(records: &Path, path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = digest::of([path.as_os_str().as_bytes()]);
    records.join(&digest[..32])
}

fn read_verdict(directory: &Path) -> Option<Verdict> {
    serde_json::from_slice(&read_capped(&directory.join("verdict.json"), MAX_BYTES).ok()?).ok()
}

/// A run that is alive. Dropped or killed, it is no longer.
#[derive(Debug)]
pub struct Run {
    pub directory: PathBuf,
    mark: File,
}

impl Drop for Run {
    fn drop(&mut self) {
        // A child that is being started shares the open file, and would keep the lock with it.
        let _ = self.mark.unlock();
    }
}

/// Marks a run of the worktree at `path` as alive.
/// Errors: when the state directory cannot be written; the run itself need not care.
pub fn begin(records: &Path, path: &Path) -> io::Result<Run> {
    let directory = directory(records, path);
    let mark = directory.join(RUNNING);
    ensure_private_directory(&mark)?;
    let mark = File::open(&mark)?;
    uninterrupted(|| mark.lock_shared())?;
    // By this a pass sees that the worktree is due.
    let [last_access, last_modification] = [UTIME_OMIT, UTIME_NOW].map(|tv_nsec| Timespec { tv_sec: 0, tv_nsec });
    rustix::fs::futimens(&mark, &Timestamps { last_access, last_modification })?;
    Ok(Run { directory, mark })
}

impl Run {
    /// Keeps the verdict, in one rename, unless a run that ended later has left one already.
    pub fn finish(self, verdict: &Verdict) -> anyhow::Result<()> {
        let directory = File::open(&self.directory)?;
        uninterrupted(|| directory.lock())?;
        if read_verdict(&self.directory)
            .is_some_and(|known| known.ended_at > verdict.ended_at && known.ended_at <= clock::now())
        {
            return Ok(());
        }
        replace(&self.directory.join("verdict.json"), &serde_json::to_vec(verdict)?, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::stamp::Stamp;

    fn verdict(passed: bool, ended_at: i64) -> Verdict {
        let ended_at = Timestamp::from_second(ended_at).expect("a time");
        Verdict {
            passed,
            started_at: ended_at,
            ended_at,
            duration: Duration::from_secs(1),
            counts: None,
            commit: None,
            content_before: None,
            content_after: None,
        }
    }

    #[test]
    fn a_run_is_alive_until_it_is_dropped_and_the_later_verdict_stays() {
        let state = tempfile::tempdir().expect("a directory");
        let records = state.path().join("records");
        assert_eq!(read(&records, state.path()), Recorded::default());
        let run = begin(&records, state.path()).expect("begun");
        assert!(read(&records, state.path()).running);
        assert!(!read(&records, Path::new("/")).running, "another worktree");
        run.finish(&verdict(true, 1_700_000_100)).expect("kept");
        let later = read(&records, state.path());
        assert!(!later.running);
        assert_eq!(later.verdict, Some(verdict(true, 1_700_000_100)));
        begin(&records, state.path()).expect("begun").finish(&verdict(false, 1_700_000_000)).expect("kept");
        assert_eq!(read(&records, state.path()).verdict, Some(verdict(true, 1_700_000_100)));
    }

    #[test]
    fn of_two_runs_one_may_end_and_what_a_killed_one_has_left_is_none() {
        let state = tempfile::tempdir().expect("a directory");
        let records = state.path().join("records");
        let (one, other) =
            (begin(&records, state.path()).expect("begun"), begin(&records, state.path()).expect("begun"));
        drop(one);
        assert!(read(&records, state.path()).running);
        drop(other);
        assert!(!read(&records, state.path()).running);
        std::fs::create_dir_all(watched(&records, Path::new("/"))[0].clone()).expect("created");
        assert!(!read(&records, Path::new("/")).running);
    }

    #[test]
    fn a_run_that_begins_changes_what_is_watched() {
        let state = tempfile::tempdir().expect("a directory");
        let stamps = || watched(state.path(), state.path()).map(|path| Stamp::text_of(&path));
        drop(begin(state.path(), state.path()).expect("begun"));
        let before = stamps();
        drop(begin(state.path(), state.path()).expect("begun again"));
        assert_ne!(stamps(), before);
    }
}
