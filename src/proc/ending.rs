//! No start once the pass ends, and the end of everything that was started.

use std::collections::BTreeSet;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Signal, WaitOptions, getrlimit, setrlimit, waitpid};

use super::processes::{PROC, Stat};
use super::spec::SpawnError;
use super::survivors::Survivor;
use super::tree;
use crate::clock::Deadline;

/// Open files the probe itself may want: four a check that waits, a few hundred checks.
const WANTED_FILES: u64 = 16_384;

/// Spawns under way may take so long once the pass is ending.
const STARTS_UNDER_WAY: Duration = Duration::from_millis(500);

/// Whether the pass is ending. Every spawn holds the lock for reading from before its supervisor is made until the program
/// is executed and known; whoever ends everything holds it for writing. So nothing can be born unseen.
static ENDING: RwLock<bool> = RwLock::new(false);

/// Whether anything was ever started: else there is nothing to end.
static STARTED: AtomicBool = AtomicBool::new(false);

static SUPERVISORS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Passes as long as the pass is not ending.
pub(super) fn allow_start() -> Result<RwLockReadGuard<'static, bool>, SpawnError> {
    let ending = ENDING.read().unwrap_or_else(PoisonError::into_inner);
    if *ending { Err(SpawnError::Ending) } else { Ok(ending) }
}

/// Once: adopts orphans whose supervisor was killed and allows as many open files as many checks need. Returns the soft
/// limit of open files that the probe was started with: what programs get, since some still size tables by it or use
/// select(2).
pub(super) fn prepare_probe() -> Option<u64> {
    static SOFT_FILES: OnceLock<Option<u64>> = OnceLock::new();
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let mut files = getrlimit(Resource::Nofile);
        let _ = SOFT_FILES.set(files.current);
        if files.current.is_some_and(|soft| soft < WANTED_FILES) {
            files.current = Some(files.maximum.map_or(WANTED_FILES, |hard| hard.min(WANTED_FILES)));
            let _ = setrlimit(Resource::Nofile, files);
        }
    });
    STARTED.store(true, Ordering::Relaxed);
    SOFT_FILES.get().copied().flatten()
}

/// A supervisor's process, until it has been reaped.
pub(super) struct Registered {
    process: process::Child,
    stat: Option<Stat>,
    reaped: bool,
}

/// Makes a new supervisor known to [`end_everything`].
pub(super) fn register(process: process::Child) -> Registered {
    let pid = process.id().cast_signed();
    SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
    Registered { process, stat: Stat::read(PROC.as_ref(), pid), reaped: false }
}

impl Registered {
    pub(super) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(stat) = self.stat.as_ref().filter(|_| !self.reaped) {
            let _ = tree::send(stat, signal);
        }
    }

    pub(super) fn reap(&mut self) {
        if !self.reaped {
            self.reaped = true;
            // Whoever else may have reaped it (ECHILD), it has ended.
            let _ = self.process.wait();
            SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid());
        }
    }
}

/// Ends everything: nothing is started any more, and every descendant of this process is killed and reaped,
/// supervisors and orphans of killed supervisors included. Returns who could not be ended by `until`.
///
/// For the end of a pass and for signals. Checks still at work see their programs end.
#[must_use]
pub fn end_everything(until: Deadline) -> Vec<Survivor> {
    forbid_starts(until.sooner(STARTS_UNDER_WAY));
    if !STARTED.load(Ordering::Relaxed) {
        return Vec::new();
    }
    let root = process::id().cast_signed();
    tree::kill_all(root, until, || {
        reap_children(root);
        tree::is_childless(root)
    });
    reap_children(root);
    let supervisors = SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let survivors = tree::leave_to_supervisors(root, &supervisors);
    survivors.iter().map(Survivor::new).collect()
}

/// Waits for spawns under way, but not for ever: one may hang in `exec` on a file system that does not answer. Its
/// child is found in /proc all the same.
fn forbid_starts(until: Deadline) {
    loop {
        match ENDING.try_write() {
            Ok(mut ending) => *ending = true,
            Err(TryLockError::Poisoned(poisoned)) => *poisoned.into_inner() = true,
            Err(TryLockError::WouldBlock) if !until.passed() => {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            Err(TryLockError::WouldBlock) => {}
        }
        return;
    }
}

/// Reaps our own dead children, each by its number: a check may be waiting for one of them at the same time, and
/// finds it gone then.
fn reap_children(root: i32) {
    for pid in tree::dead_children(root) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}
