//! What `lab-probe record` leaves: a mark while it runs, a verdict when it has ended.
//!
//! Every worktree has a directory below the state directory, named by the digest of its path. A run is marked by a
//! directory in it that its process holds locked: the lock goes when the process dies, however it dies. Nothing of
//! this lies in the repository.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fs::{ensure_private_directory, read_capped, replace, uninterrupted};
use crate::model::digest;
use crate::model::seconds;
use crate::model::worktree::TestCounts;

/// Larger is none of ours.
const MAX_BYTES: u64 = 64 << 10;

/// What begins the name of a mark; a process id and a number follow.
const MARK: &str = "running.";

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
    let marks = marks(&directory);
    Recorded { running: marks.iter().any(|mark| is_held(mark)), verdict: read_verdict(&directory) }
}

pub(super) fn directory(records: &Path, path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = digest::of([path.as_os_str().as_bytes()]);
    records.join(&digest[..32])
}

fn read_verdict(directory: &Path) -> Option<Verdict> {
    serde_json::from_slice(&read_capped(&directory.join("verdict.json"), MAX_BYTES).ok()?).ok()
}

fn marks(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_bytes().starts_with(MARK.as_bytes()))
        .map(|entry| entry.path())
        .collect()
}

/// Whether some process holds this mark. A shared lock is taken for an instant; whoever wants the exclusive one waits.
fn is_held(mark: &Path) -> bool {
    let Ok(file) = File::open(mark) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// A run that is alive. Dropped or killed, it is no longer.
#[derive(Debug)]
pub struct Run {
    directory: PathBuf,
    mark: PathBuf,
    _file: File,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = uninterrupted(|| std::fs::remove_dir(&self.mark));
    }
}

/// Marks a run of the worktree at `path` as alive.
/// Errors: when the state directory cannot be written; the run itself need not care.
pub fn begin(records: &Path, path: &Path) -> io::Result<Run> {
    let directory = directory(records, path);
    ensure_private_directory(&directory)?;
    for mark in marks(&directory) {
        // One that nobody holds was left over.
        if File::open(&mark).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_dir(mark);
        }
    }
    let mark = directory.join(format!("{MARK}{}", std::process::id()));
    loop {
        ensure_private_directory(&mark)?;
        let file = File::open(&mark)?;
        uninterrupted(|| file.lock())?;
        // Between creation and lock another run may have taken it for left over and removed it.
        match std::fs::metadata(&mark) {
            Ok(now) if now.ino() == file.metadata()?.ino() => return Ok(Run { directory, mark, _file: file }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

impl Run {
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps the verdict, in one rename, unless a run that ended later has left one already.
    pub fn finish(self, verdict: &Verdict) -> anyhow::Result<()> {
        let directory = File::open(&self.directory)?;
        uninterrupted(|| directory.lock())?;
        if read_verdict(&self.directory)
            .is_some_and(|known| known.ended_at > verdict.ended_at && known.ended_at <= crate::clock::now())
        {
            return Ok(());
        }
        replace(&self.directory.join("verdict.json"), &serde_json::to_vec(verdict)?, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_mark_that_nobody_holds_is_no_run_and_is_tidied_up() {
        let state = tempfile::tempdir().expect("a directory");
        let records = state.path().join("records");
        drop(begin(&records, state.path()).expect("begun"));
        let left = directory(&records, state.path()).join("running.1");
        std::fs::create_dir(&left).expect("created");
        assert!(!read(&records, state.path()).running);
        let _run = begin(&records, state.path()).expect("begun");
        assert!(!left.exists());
    }
}
