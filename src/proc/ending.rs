//! No start once the pass ends, and the end of everything that was started.

use std::collections::BTreeSet;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use rustix::process::{Pid, Resource, WaitOptions, getpid, getrlimit, set_child_subreaper, setrlimit, waitpid};

use super::spec::SpawnError;
use super::survivors::Survivor;
use super::tree;
use crate::clock::Deadline;

/// Open files the probe itself may want: four a check that waits, a few hundred checks.
const WANTED_FILES: u64 = 16_384;

/// Spawns under way may take so long once the pass is ending.
const STARTS_UNDER_WAY: Duration = Duration::from_millis(500);

/// Whether the pass is ending: nothing is started any more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Every spawn holds it for reading from before its supervisor is made until the program is executed and known; whoever
/// ends everything waits until he has it for writing. So nothing can be born unseen.
static STARTS: RwLock<()> = RwLock::new(());

/// The soft limit of open files that the probe was started with, set by the first start: without one there is nothing to end.
static SOFT_FILES: OnceLock<Option<u64>> = OnceLock::new();

/// The processes of supervisors that have not been reaped.
pub(super) static SUPERVISORS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Passes as long as the pass is not ending. The first one adopts orphans whose supervisor was killed and allows as many open
/// files as many checks need. Returns the soft limit of open files that the probe was started with, too: what programs
/// get, since some still size tables by it or use select(2).
pub(super) fn allow_start() -> Result<(RwLockReadGuard<'static, ()>, Option<u64>), SpawnError> {
    let under_way = STARTS.read();
    if ENDING.load(Ordering::SeqCst) {
        return Err(SpawnError::Ending);
    }
    let soft_files = *SOFT_FILES.get_or_init(|| {
        let _ = set_child_subreaper(Some(getpid()));
        let mut files = getrlimit(Resource::Nofile);
        let soft = files.current;
        if soft.is_some_and(|soft| soft < WANTED_FILES) {
            files.current = Some(files.maximum.map_or(WANTED_FILES, |hard| hard.min(WANTED_FILES)));
            let _ = setrlimit(Resource::Nofile, files);
        }
        soft
    });
    Ok((under_way, soft_files))
}

/// Ends everything: nothing is started any more, and every descendant of this process is killed and reaped,
/// supervisors and orphans of killed supervisors included. Returns who could not be ended by `until`.
///
/// For the end of a pass and for signals. Checks still at work see their programs end.
#[must_use]
pub fn end_everything(until: Deadline) -> Vec<Survivor> {
    ENDING.store(true, Ordering::SeqCst);
    // One under way may hang in `exec` on a file system that does not answer: its child is found in /proc all the same.
    drop(STARTS.try_write_for(until.left().min(STARTS_UNDER_WAY)));
    if SOFT_FILES.get().is_none() {
        return Vec::new();
    }
    let root = process::id().cast_signed();
    // While a child ends, the kernel's list may leave out those behind it (proc(5)): that no *living* descendant was found
    // proves nothing, but an empty list has left out nobody.
    tree::kill_all(root, until, || {
        reap_children(root);
        tree::children_of(root).is_empty()
    });
    reap_children(root);
    let survivors = tree::leave_to_supervisors(root, &SUPERVISORS.lock());
    survivors.iter().map(Survivor::new).collect()
}

/// Reaps our own dead children, each by its number: a check may be waiting for one of them at the same time, and
/// finds it gone then.
fn reap_children(root: i32) {
    for pid in tree::children_of(root).into_iter().filter_map(Pid::from_raw) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a process of its own, since nothing is started there afterwards.
    #[test]
    fn nothing_is_started_at_the_end_of_a_pass_even_while_a_start_hangs() {
        const ALONE: &str = "LAB_PROBE_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let name = "proc::ending::tests::nothing_is_started_at_the_end_of_a_pass_even_while_a_start_hangs";
            let mut alone = process::Command::new("/proc/self/exe");
            assert!(alone.args(["--exact", name]).env(ALONE, "1").status().expect("started").success());
            return;
        }
        let hanging = allow_start().expect("allowed");
        assert_eq!(end_everything(Deadline::after(Duration::from_millis(20))), []);
        assert!(matches!(allow_start(), Err(SpawnError::Ending)));
        drop(hanging);
        assert!(matches!(allow_start(), Err(SpawnError::Ending)));
    }
}
