//! Looking at directories that may never answer.
//!
//! A dead network mount blocks whoever asks about a path below it, without limit and without a way to be called off.
//! Such a path must cost itself and nothing else: not the other paths, not the pass's deadline. It is noted, and the next
//! passes do not touch it (see `proc::hung`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::proc::hung;

/// How long one look may take before the others are no longer kept waiting for it: longer than a disk takes to wake up
/// under load, far shorter than a pass.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// The same for a repository, in which worktrees that hang each take [`LIMIT`].
pub(super) const FOR_REPOSITORY: Duration = Duration::from_secs(5);

/// By these files it is told whether a repository answers.
pub(super) fn files_of_repository(path: &impl AsRef<Path>) -> Vec<PathBuf> {
    let path = path.as_ref();
    [path.to_owned()].into_iter().chain([".git", ".git/HEAD", "HEAD"].map(|name| path.join(name))).collect()
}

/// So many items are begun together: where each begins as many again (worktrees of repositories), the unit's TasksMax= of
/// 512 is not reached.
const AT_A_TIME: usize = 16;

/// Does `work` for every item, each on a thread of its own; the results are in order. Those of a batch that are not done
/// when none has been for `limit` are given up (`None`), noted, and left behind. At the deadline everything that is left is
/// given up. An item's `files` have its place first.
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
    let mut results = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = BTreeMap::new();
        for item in items.by_ref().take(AT_A_TIME) {
            let (index, files, work, sender) = (results.len(), files(&item), Arc::clone(&work), sender.clone());
            results.push(None);
            let is_open = !deadline.passed() && files.first().is_none_or(|place| !hung::is_noted(place));
            let (work, thread) = hung::noting_its_thread(move || hung::caught(|| work(&item)).ok());
            let begin = || thread::Builder::new().name("plan".into()).spawn(move || sender.send((index, work())));
            if is_open && begin().is_ok() {
                waiting.insert(index, (files, thread));
            }
        }
        drop(sender);
        while let Ok((index, result)) = receiver.recv_timeout(deadline.sooner(limit).left()) {
            results[index] = result;
            waiting.remove(&index);
        }
        waiting.values().for_each(|(files, thread)| hung::note(files, thread));
    }
    results
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    #[test]
    fn those_that_never_answer_cost_themselves_and_no_other() {
        let (_never, hang): (Sender<()>, Receiver<()>) = mpsc::channel();
        let hang = Mutex::new(hang);
        let work = move |item: &u32| {
            if item.is_multiple_of(3) {
                let _ = hang.lock().map(|hang| hang.recv());
            }
            item * 2
        };
        // One after the other the fifty that hang would take 25 s.
        let results = each(
            (0..150).collect(),
            Duration::from_millis(500),
            Deadline::after(Duration::from_secs(20)),
            |_| Vec::new(),
            work,
        );
        let expected: Vec<Option<u32>> =
            (0..150_u32).map(|item| (!item.is_multiple_of(3)).then_some(item * 2)).collect();
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
