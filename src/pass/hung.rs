//! Looks that an earlier pass could not end: a thread that waits in the kernel for a file system stays until that answers.
//!
//! As long as it is there, the next passes do not touch what it looks at: each would leave another thread behind. That
//! costs no look at the file system: /proc tells whether the thread is still there.

use std::sync::{Arc, OnceLock};

use crate::model::observation::Remembered;
use crate::proc::Stat;
use crate::run::pool::{Class, Job};

/// The thread that a check runs on, once it runs: its number and its start.
pub(super) type Thread = Arc<OnceLock<(i32, u64)>>;

/// The thread of the last look at this target, if that has not come back.
pub(super) fn thread(known: Option<&Remembered>) -> Option<(i32, u64)> {
    let (number, start) = known?.attempts.hung_thread?;
    Stat::is_there(number, start).then_some((number, start))
}

/// A job that notes its thread, if it is one that works through files.
pub(super) fn noting_its_thread<T: 'static>(Job { class, work }: Job<T>) -> (Job<T>, Thread) {
    let thread = Thread::default();
    let noted = Arc::clone(&thread);
    let work = move || {
        if let (Class::Local, Some(this)) = (class, Stat::of_this_thread()) {
            let _ = noted.set((this.pid, this.start_ticks));
        }
        work()
    };
    (Job { class, work: Box::new(work) }, thread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observation::{Attempts, Memory};
    use crate::model::target::Kind;

    #[test]
    fn a_target_hangs_while_the_thread_that_looks_at_it_is_there() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let work = Box::new(move || assert!(ended.recv().is_err()));
        let (job, noted) = noting_its_thread(Job { class: Class::Local, work });
        let running = std::thread::spawn(job.work);
        let hung_thread = Some(*noted.wait());
        let attempts = Attempts { hung_thread, ..Attempts::default() };
        let memory = Memory::new(Kind::Thunes);
        let known = Remembered { fingerprint: String::new(), observation: None, memory, attempts };
        assert_eq!((thread(Some(&known)), thread(None)), (hung_thread, None));
        drop(end);
        running.join().expect("it ends");
        let is_gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            thread(Some(&known)).is_none()
        });
        assert!(is_gone);
    }
}
