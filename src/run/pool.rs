//! A rayon pool for each lane, results over a channel, and a receiver that leaves at the deadline.
//!
//! A lane's jobs wait in one queue and are begun in order. rayon gives the threads; its own queues, one a thread, are for
//! jobs that compute: hundreds of threads whose jobs only wait would search each other's queues for work.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::clock::Deadline;

/// What a check waits for; each lane has threads of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Answers from the network: a waiting thread costs almost nothing.
    Network,
    /// Child processes; how many may *start* at a time is limited elsewhere (`proc::Places`).
    Process,
    /// Files of this machine: worktrees, journals, databases.
    Local,
}

impl Lane {
    /// The most threads of a lane. Jobs past it queue; what has not begun by the deadline counts as not started.
    fn threads(self, jobs: usize) -> usize {
        let most = match self {
            Lane::Network => 256,
            Lane::Process => 256,
            // Bound by the processor or the disk: a few more than cores keep both busy, many more only thrash.
            Lane::Local => 4 * std::thread::available_parallelism().map_or(1, usize::from),
        };
        jobs.clamp(1, most)
    }
}

/// Enough for the deepest parser here (all are depth-limited), small enough for hundreds of waiting threads.
const STACK_BYTES: usize = 512 << 10;

/// How often the caller hears that nothing has happened, to draw its progress line anew.
const HEARTBEAT: Duration = Duration::from_millis(120);

/// One check to run.
pub struct Job<T> {
    /// Which threads it runs on.
    pub lane: Lane,
    /// The check. It keeps its own deadline; the pool does not rely on it.
    pub work: Box<dyn FnOnce() -> T + Send>,
}

/// How a job ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// With its result.
    Finished(T),
    /// It panicked, with this message: a bug, and only this target's.
    Panicked(String),
    /// The deadline came while it ran.
    CutOff,
    /// The deadline came before a thread was free.
    NotStarted,
}

/// What the caller hears while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Job number so-and-so began.
    Started(usize),
    /// Job number so-and-so ended.
    Ended(usize),
    /// Nothing happened for a moment.
    Heartbeat,
}

enum Event<T> {
    Started(usize),
    Finished(usize, Result<T, String>),
}

/// Runs every job and returns how each ended, in order, by the deadline at the latest.
///
/// A job that is cut off keeps its thread until it returns by itself or the process exits; nobody waits for it.
///
/// # Errors
/// When not a single thread can be had from the operating system.
pub fn run<T: Send + 'static>(
    jobs: Vec<Job<T>>,
    deadline: Deadline,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<Ended<T>>, ThreadPoolBuildError> {
    let mut ended: Vec<Ended<T>> = jobs.iter().map(|_| Ended::NotStarted).collect();
    let mut open = jobs.len();
    let (sender, receiver) = mpsc::channel();
    // Dropping the pools at the end does not wait for their threads.
    let _pools = start_lanes(jobs, &sender)?;
    drop(sender);
    while open > 0 {
        match receiver.recv_timeout(deadline.left().min(HEARTBEAT)) {
            Ok(Event::Started(index)) => {
                ended[index] = Ended::CutOff;
                progress(Progress::Started(index));
            }
            Ok(Event::Finished(index, result)) => {
                ended[index] = match result {
                    Ok(result) => Ended::Finished(result),
                    Err(message) => Ended::Panicked(message),
                };
                open -= 1;
                progress(Progress::Ended(index));
            }
            Err(RecvTimeoutError::Timeout) if deadline.passed() => break,
            Err(RecvTimeoutError::Timeout) => progress(Progress::Heartbeat),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(ended)
}

fn start_lanes<T: Send + 'static>(
    jobs: Vec<Job<T>>,
    sender: &Sender<Event<T>>,
) -> Result<Vec<ThreadPool>, ThreadPoolBuildError> {
    let mut lanes: BTreeMap<Lane, VecDeque<(usize, Job<T>)>> = BTreeMap::new();
    for (index, job) in jobs.into_iter().enumerate() {
        lanes.entry(job.lane).or_default().push_back((index, job));
    }
    let mut pools = Vec::new();
    for (lane, jobs) in lanes {
        let pool = pool(lane, lane.threads(jobs.len()))?;
        let (queue, sender) = (Mutex::new(jobs), sender.clone());
        pool.spawn_broadcast(move |_| work_off(&queue, &sender));
        pools.push(pool);
    }
    Ok(pools)
}

/// A pool of so many threads; of fewer where the operating system gives no more: then it takes longer.
fn pool(lane: Lane, threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    let built = ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .thread_name(move |index| format!("{lane:?}-{index}").to_lowercase())
        .build();
    match built {
        Err(_) if threads > 1 => pool(lane, threads / 2),
        built => built,
    }
}

/// One thread's life: the next job of its lane until there is none.
fn work_off<T>(queue: &Mutex<VecDeque<(usize, Job<T>)>>, sender: &Sender<Event<T>>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some((index, job)) = next() {
        let _ = sender.send(Event::Started(index));
        let result = catch_unwind(AssertUnwindSafe(job.work)).map_err(|panic| message_of(panic.as_ref()));
        let _ = sender.send(Event::Finished(index, result));
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panicked without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<T>(lane: Lane, work: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        Job { lane, work: Box::new(work) }
    }

    #[test]
    fn results_come_back_in_order_and_a_panic_is_only_its_own() {
        let jobs =
            vec![job(Lane::Network, || 1), job(Lane::Local, || panic!("broken check")), job(Lane::Process, || 3)];
        let ended = run(jobs, Deadline::after(Duration::from_secs(10)), |_| ()).expect("pools");
        assert!(matches!(ended[0], Ended::Finished(1)));
        assert!(matches!(&ended[1], Ended::Panicked(message) if message == "broken check"));
        assert!(matches!(ended[2], Ended::Finished(3)));
    }

    #[test]
    fn the_receiver_leaves_at_the_deadline_whatever_hangs() {
        let lane = Lane::Local;
        let more_than_threads = lane.threads(usize::MAX) + 3;
        let jobs = (0..more_than_threads).map(|_| job(lane, || std::thread::sleep(Duration::from_secs(5)))).collect();
        let deadline = Deadline::after(Duration::from_millis(200));
        let ended = run(jobs, deadline, |_| ()).expect("pools");
        assert!(deadline.passed());
        assert_eq!(ended.iter().filter(|e| matches!(e, Ended::NotStarted)).count(), 3);
        assert_eq!(ended.iter().filter(|e| matches!(e, Ended::CutOff)).count(), more_than_threads - 3);
    }

    #[test]
    fn all_waiting_checks_run_at_once() {
        let jobs = (0..64).map(|_| job(Lane::Network, || std::thread::sleep(Duration::from_millis(300)))).collect();
        let deadline = Deadline::after(Duration::from_secs(10));
        let ended = run(jobs, deadline, |_| ()).expect("pools");
        assert!(ended.iter().all(|e| matches!(e, Ended::Finished(()))));
        // One after another they would take nineteen seconds.
        assert!(!deadline.passed());
    }
}
