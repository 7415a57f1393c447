//! Checks in parallel on rayon pools: spawned, results over a channel, and a receiver that leaves at the deadline.
//!
//! Checks wait far more than they compute. rayon's own pool has a thread per core and its scopes join, so that one hung
//! check would hang the pass: these pools have a thread for every check that waits, and nobody joins them. Each class has
//! its own: a network check never queues behind the reading of files.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::clock::{self, Deadline};
use crate::model::observation::NotReached;
use crate::proc::hung;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It waits: for the network, or for a program, of which only so many may compute at a time (`proc::Permits`).
    Waiting,
    /// It works through files of this machine: worktrees, journals, databases.
    Local,
}

/// The most checks that wait at the same time. Those past it queue.
const MOST_WAITING: usize = 256;

/// Bound by the processor or the disk: one more a core keeps both busy. With more, each takes so long from a cold cache
/// that it runs into its own timeout.
const LOCAL_PER_CORE: usize = 2;

/// Enough for the deepest parser here (all are depth-limited), small enough for hundreds of waiting threads.
const STACK_BYTES: usize = 512 << 10;

/// How often the caller hears that nothing has happened, to draw its progress line anew.
const HEARTBEAT: Duration = Duration::from_millis(120);

pub struct Job<T> {
    pub class: Class,
    /// The check. It keeps its own deadline; the pool does not rely on it.
    pub work: Box<dyn FnOnce() -> T + Send>,
}

enum Event<T> {
    Started(usize, Instant),
    Finished(usize, Result<T, NotReached>),
}

/// Runs every job, those of a class begun in their order, and returns what each gave, in order, by the deadline at the latest.
/// A panic is a bug, and only this job's. `progress` hears now and then which jobs run and how many have ended.
///
/// A job that is cut off keeps its thread until it returns by itself or the process exits; nobody waits for it.
/// Errors: When not a single thread can be had from the operating system.
pub fn run<T: Send + 'static>(
    jobs: Vec<Job<T>>,
    deadline: Deadline,
    mut progress: impl FnMut(&[usize], usize),
) -> Result<Vec<Result<T, NotReached>>, ThreadPoolBuildError> {
    let mut ended: Vec<Result<T, NotReached>> = jobs.iter().map(|_| Err(NotReached::NotBegun)).collect();
    let receiver = spawn(jobs)?;
    let mut running: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut done = 0;
    while done < ended.len() {
        match receiver.recv_timeout(deadline.left().min(HEARTBEAT)) {
            Ok(Event::Started(index, at)) => drop(running.insert(index, at)),
            Ok(Event::Finished(index, result)) => {
                running.remove(&index);
                ended[index] = result;
                done += 1;
            }
            Err(RecvTimeoutError::Timeout) if !deadline.passed() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
        progress(&running.keys().copied().collect::<Vec<_>>(), done);
    }
    for (index, at) in running {
        ended[index] = Err(NotReached::CutOff(at.elapsed()));
    }
    Ok(ended)
}

fn spawn<T: Send + 'static>(jobs: Vec<Job<T>>) -> Result<mpsc::Receiver<Event<T>>, ThreadPoolBuildError> {
    let (sender, receiver) = mpsc::channel();
    let of = |class: Class| jobs.iter().filter(|job| job.class == class).count();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Dropping a pool does not wait for its threads.
    let waiting = pool("check", of(Class::Waiting).min(MOST_WAITING))?;
    let local = pool("local", of(Class::Local).min(LOCAL_PER_CORE * cores))?;
    for (index, Job { class, work }) in jobs.into_iter().enumerate() {
        let sender = sender.clone();
        let pool = match class {
            Class::Waiting => &waiting,
            Class::Local => &local,
        };
        // First in, first out, since it is not one of the pool's own threads that spawns.
        pool.spawn(move || {
            let _ = sender.send(Event::Started(index, clock::instant()));
            let result = hung::caught(work).map_err(NotReached::Failed);
            let _ = sender.send(Event::Finished(index, result));
        });
    }
    Ok(receiver)
}

/// A pool of so many threads; fewer where the operating system gives no more: then it takes longer.
fn pool(name: &'static str, threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    let built = ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .stack_size(STACK_BYTES)
        .thread_name(move |index| format!("{name}-{index}"))
        .build();
    match built {
        Err(_) if threads > 1 => pool(name, threads / 2),
        built => built,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<T>(class: Class, work: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        Job { class, work: Box::new(work) }
    }

    #[test]
    fn results_come_back_in_order_and_a_panic_is_only_its_own() {
        let jobs =
            vec![job(Class::Waiting, || 1), job(Class::Local, || panic!("broken check")), job(Class::Waiting, || 3)];
        let ended = run(jobs, Deadline::after(Duration::from_secs(10)), |_, _| ()).expect("pools");
        let broke = "lab-probe panicked (broken check)";
        assert_eq!(ended, [Ok(1), Err(NotReached::Failed(broke.into())), Ok(3)]);
    }

    #[test]
    fn the_receiver_leaves_at_the_deadline_whatever_hangs() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let more_than_threads = LOCAL_PER_CORE * cores + 3;
        let hang = || std::thread::sleep(Duration::from_secs(5));
        let jobs = (0..more_than_threads).map(|_| job(Class::Local, hang)).collect();
        let deadline = Deadline::after(Duration::from_millis(500));
        let ended = run(jobs, deadline, |_, _| ()).expect("pools");
        assert!(deadline.passed());
        assert_eq!(ended.iter().filter(|e| matches!(e, Err(NotReached::NotBegun))).count(), 3);
        assert_eq!(ended.iter().filter(|e| matches!(e, Err(NotReached::CutOff(_)))).count(), more_than_threads - 3);
    }

    #[test]
    fn all_waiting_checks_run_at_once() {
        let jobs = (0..64).map(|_| job(Class::Waiting, || std::thread::sleep(Duration::from_millis(300)))).collect();
        let deadline = Deadline::after(Duration::from_secs(10));
        let ended = run(jobs, deadline, |_, _| ()).expect("pools");
        assert!(ended.iter().all(Result::is_ok));
        // One after another they would take nineteen seconds.
        assert!(!deadline.passed());
    }
}
