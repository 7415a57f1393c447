//! Looking at directories that may never answer.
//!
//! A dead network mount blocks whoever asks about a path below it, without limit and without a way to be called off.
//! Such a path must cost itself and nothing else: not the other paths, not the pass's deadline. It is noted, and the next
//! passes do not touch it (see `proc::hung`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Deadline;
use crate::proc::hung;

/// How long one look may take before the others are no longer kept waiting for it: longer than a disk takes to wake up
/// under load, far shorter than a pass.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// The same for a repository, in which worktrees that hang each take [`LIMIT`].
pub(super) const FOR_REPOSITORY: Duration = Duration::from_secs(5);

/// By these files it is told whether a repository answers.
pub(super) fn files_of_repository(path: &Path) -> Vec<PathBuf> {
    [path.to_owned()].into_iter().chain([".git", ".git/HEAD", "HEAD"].map(|name| path.join(name))).collect()
}

/// Does `work` for every item, in order; one that takes longer than `limit` is given up (`None`), noted, and left behind on
/// its thread. At the deadline everything that is left is given up. An item's `files` have its place first.
pub(super) fn each<I, T>(
    items: Vec<I>,
    limit: Duration,
    deadline: Deadline,
    files: impl Fn(&I) -> Vec<PathBuf>,
    work: impl Fn(&I) -> T + Send + Sync + 'static,
) -> Vec<Option<T>>
where
    I: Send + 'static,
    T: Send + 'static,
{
    let work = Arc::new(work);
    let done = items.into_iter().map(|item| {
        if deadline.passed() {
            return None;
        }
        let (files, work) = (files(&item), Arc::clone(&work));
        hung::within(&files, deadline.sooner(limit), move || work(&item)).ok()
    });
    done.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    #[test]
    fn one_that_never_answers_costs_itself_and_no_other() {
        let (_never, hang): (Sender<()>, Receiver<()>) = mpsc::channel();
        let hang = Mutex::new(hang);
        let work = move |item: &u32| {
            if item % 10 == 3 {
                let _ = hang.lock().map(|hang| hang.recv());
            }
            item * 2
        };
        let results = each(
            (0..15).collect(),
            Duration::from_millis(500),
            Deadline::after(Duration::from_secs(60)),
            |_| Vec::new(),
            work,
        );
        let expected: Vec<Option<u32>> = (0..15).map(|item| (item % 10 != 3).then_some(item * 2)).collect();
        assert_eq!(results, expected);
    }

    #[test]
    fn at_the_deadline_the_rest_is_given_up() {
        let passed = Deadline::after(Duration::ZERO);
        assert_eq!(each(vec![1, 2], LIMIT, passed, |_| Vec::new(), |item| *item), [None, None]);
        assert_eq!(each(Vec::<u32>::new(), LIMIT, passed, |_| Vec::new(), |item| *item), []);
    }

    #[test]
    fn a_panic_is_one_items_and_no_end() {
        let work = |item: &u32| {
            assert!(*item != 1, "a bug");
            *item
        };
        let results = each(vec![0, 1, 2], LIMIT, Deadline::after(Duration::from_secs(60)), |_| Vec::new(), work);
        assert_eq!(results, [Some(0), None, Some(2)]);
    }
}
