//! One git a core, and no repository that hangs keeps the others waiting.
//!
//! A git that has run for longer than [`PATIENCE`] is waiting for something (a dead mount, a FIFO), not computing: it
//! no longer counts against the cores. A repository in which one ran into its limit is not asked again in the same
//! pass: every further worktree of it would cost the whole limit anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock::{self, Deadline};

/// How long a running git counts as computing.
const PATIENCE: Duration = Duration::from_secs(1);

/// One git has this long at the most, and never more than two thirds of what is left for its worktree.
const LIMIT: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    running: HashMap<u64, Instant>,
    /// Repositories that hung, and the pass in which they did.
    hung: HashMap<PathBuf, Timestamp>,
}

static INSIDE: LazyLock<Mutex<Inside>> = LazyLock::new(Mutex::default);
static LEFT: Condvar = Condvar::new();

/// A git's place; given up when dropped.
#[derive(Debug)]
pub(super) struct Place(u64);

impl Drop for Place {
    fn drop(&mut self) {
        lock().running.remove(&self.0);
        LEFT.notify_one();
    }
}

/// Waits for a place; `None` once the deadline has passed.
pub(super) fn enter(deadline: Deadline) -> Option<Place> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut inside = lock();
    loop {
        let now = clock::instant();
        let computing = inside.running.values().filter(|since| now.duration_since(**since) < PATIENCE);
        let oldest = computing.clone().min().copied();
        match oldest {
            Some(oldest) if computing.count() >= cores => {
                if deadline.passed() {
                    return None;
                }
                // Nobody announces that a git has become one that merely waits.
                let until_patience_ends = PATIENCE.saturating_sub(now.duration_since(oldest));
                let wait = until_patience_ends.min(deadline.left()).max(Duration::from_millis(1));
                inside = LEFT.wait_timeout(inside, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
            _ => {
                let id = inside.next;
                inside.next += 1;
                inside.running.insert(id, now);
                return Some(Place(id));
            }
        }
    }
}

/// The limit for one git under `deadline`.
pub(super) fn limit(deadline: Deadline) -> Deadline {
    deadline.sooner(LIMIT.min(deadline.left() * 2 / 3))
}

/// Notes that a git of this repository ran into its limit in the pass that began at `pass`.
pub(super) fn report_hung(repository: &Path, pass: Timestamp) {
    lock().hung.insert(repository.to_owned(), pass);
}

/// Whether this repository hung earlier in the same pass.
pub(super) fn has_hung(repository: &Path, pass: Timestamp) -> bool {
    lock().hung.get(repository) == Some(&pass)
}

fn lock() -> std::sync::MutexGuard<'static, Inside> {
    INSIDE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_that_only_waits_makes_way_and_the_deadline_is_kept() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let soon = Deadline::after(Duration::from_secs(20));
        let held: Vec<_> = (0..cores).map(|_| enter(soon)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(enter(Deadline::after(Duration::from_millis(20))).is_none());
        // All are held for longer than a computing git would take: the next one gets in although nobody left.
        assert!(enter(soon).is_some());
    }
}
