//! rayon pools for each lane, results over a channel, and a receiver that leaves at the deadline.
//!
//! A lane's jobs wait in one queue and are begun in order. rayon gives the threads; its own queues, one a thread, are for
//! jobs that compute: hundreds of threads whose jobs only wait would search each other's queues for work.
//!
//! Child processes begin with a few threads, which become more while they only wait: many that hang need a thread each, but a
//! thousand that answer at once cost the least with few, since every process is made beside all that the others hold open.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::clock::{self, Deadline};

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
    fn most_threads(self) -> usize {
        match self {
            Lane::Network => 256,
            Lane::Process => 256,
            Lane::Local => few(),
        }
    }

    /// The threads it begins with, where it has as many jobs.
    fn first_threads(self) -> usize {
        match self {
            Lane::Network | Lane::Local => self.most_threads(),
            Lane::Process => few(),
        }
    }
}

/// Bound by the processor or the disk: a few more than cores keep both busy, many more only thrash.
fn few() -> usize {
    4 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Enough for the deepest parser here (all are depth-limited), small enough for hundreds of waiting threads.
const STACK_BYTES: usize = 512 << 10;

/// How often the caller hears that nothing has happened, to draw its progress line anew.
const HEARTBEAT: Duration = Duration::from_millis(120);

/// How often it is looked whether a lane's threads only wait. They double each time: to the most of them it is a few steps.
const STEP: Duration = Duration::from_millis(20);

/// Threads only wait if less than one job for so many of them has ended in a step. On a busy machine they get less done,
/// and more of them would not get more.
const THREADS_TO_A_JOB: usize = 4;

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
    let lane_of: Vec<Lane> = jobs.iter().map(|job| job.lane).collect();
    let mut open = jobs.len();
    let (sender, receiver) = mpsc::channel();
    // Dropping the pools at the end does not wait for their threads.
    let mut lanes = Lanes::start(jobs, sender)?;
    while open > 0 {
        match receiver.recv_timeout(deadline.left().min(lanes.patience())) {
            Ok(Event::Started(index)) => {
                ended[index] = Ended::CutOff;
                lanes.note(lane_of[index], |crew| crew.queued -= 1);
                progress(Progress::Started(index));
            }
            Ok(Event::Finished(index, result)) => {
                ended[index] = match result {
                    Ok(result) => Ended::Finished(result),
                    Err(message) => Ended::Panicked(message),
                };
                open -= 1;
                lanes.note(lane_of[index], |crew| crew.ended += 1);
                progress(Progress::Ended(index));
            }
            Err(RecvTimeoutError::Timeout) if deadline.passed() => break,
            // Everything that has ended is known now: who only waits can be told.
            Err(RecvTimeoutError::Timeout) => {
                lanes.grow();
                progress(Progress::Heartbeat);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(ended)
}

/// The lanes that have jobs.
struct Lanes<T> {
    crews: BTreeMap<Lane, Crew<T>>,
    /// When it was last looked whether more threads are needed.
    looked: Instant,
}

/// A lane's threads.
struct Crew<T> {
    lane: Lane,
    work: Arc<Work<T>>,
    sender: Sender<Event<T>>,
    pools: Vec<ThreadPool>,
    threads: usize,
    /// The most threads it may have.
    most: usize,
    /// Jobs that no thread has taken.
    queued: usize,
    /// Jobs that have ended since the last look.
    ended: usize,
}

/// What a lane's threads share.
struct Work<T> {
    queue: Mutex<VecDeque<(usize, Job<T>)>>,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl<T: Send + 'static> Lanes<T> {
    fn start(jobs: Vec<Job<T>>, sender: Sender<Event<T>>) -> Result<Self, ThreadPoolBuildError> {
        let mut queues: BTreeMap<Lane, VecDeque<(usize, Job<T>)>> = BTreeMap::new();
        for (index, job) in jobs.into_iter().enumerate() {
            queues.entry(job.lane).or_default().push_back((index, job));
        }
        let start = |(lane, jobs)| Crew::start(lane, jobs, sender.clone()).map(|crew| (lane, crew));
        let crews = queues.into_iter().map(start).collect::<Result<_, _>>()?;
        Ok(Lanes { crews, looked: clock::instant() })
    }

    fn note(&mut self, lane: Lane, what: impl FnOnce(&mut Crew<T>)) {
        self.crews.get_mut(&lane).map(what);
    }

    /// How long nothing need be done but to listen.
    fn patience(&self) -> Duration {
        let may_grow = self.crews.values().any(Crew::may_grow);
        if may_grow { STEP.saturating_sub(self.looked.elapsed()) } else { HEARTBEAT }
    }

    /// Adds threads where jobs are queued and the threads there are only wait.
    fn grow(&mut self) {
        if self.looked.elapsed() >= STEP && self.crews.values().any(Crew::may_grow) {
            self.crews.values_mut().for_each(Crew::grow);
            self.looked = clock::instant();
        }
    }
}

impl<T: Send + 'static> Crew<T> {
    fn start(
        lane: Lane,
        jobs: VecDeque<(usize, Job<T>)>,
        sender: Sender<Event<T>>,
    ) -> Result<Self, ThreadPoolBuildError> {
        let (queued, most) = (jobs.len(), lane.most_threads());
        let work = Arc::new(Work { queue: Mutex::new(jobs), is_over: Mutex::new(false), over: Condvar::new() });
        let mut crew = Crew { lane, work, sender, pools: Vec::new(), threads: 0, most, queued, ended: 0 };
        crew.add(queued.min(lane.first_threads()))?;
        Ok(crew)
    }

    fn may_grow(&self) -> bool {
        self.queued > 0 && self.threads < self.most
    }

    fn grow(&mut self) {
        let only_wait = self.ended * THREADS_TO_A_JOB < self.threads;
        self.ended = 0;
        if self.may_grow()
            && only_wait
            && self.add(self.threads.min(self.queued).min(self.most - self.threads)).is_err()
        {
            self.most = self.threads;
        }
    }

    /// So many more threads; fewer where the operating system gives no more: then it takes longer.
    fn add(&mut self, threads: usize) -> Result<(), ThreadPoolBuildError> {
        let (lane, first) = (self.lane, self.threads);
        let built = ThreadPoolBuilder::new()
            .num_threads(threads)
            .stack_size(STACK_BYTES)
            .thread_name(move |index| format!("{lane:?}-{}", first + index).to_lowercase())
            .build();
        let pool = match built {
            Err(_) if threads > 1 => return self.add(threads / 2),
            built => built?,
        };
        let (work, sender) = (Arc::clone(&self.work), self.sender.clone());
        pool.spawn_broadcast(move |_| work.off(&sender));
        self.threads += threads;
        self.pools.push(pool);
        Ok(())
    }
}

impl<T> Drop for Crew<T> {
    fn drop(&mut self) {
        *self.work.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.work.over.notify_all();
    }
}

impl<T> Work<T> {
    /// One thread's life: the next job of its lane until there is none, then the end of all. rayon's idle threads ask for
    /// work again and again before they sleep, and every time the processor goes to a server and has to be had back.
    fn off(&self, sender: &Sender<Event<T>>) {
        let next = || self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some((index, job)) = next() {
            let _ = sender.send(Event::Started(index));
            let result = catch_unwind(AssertUnwindSafe(job.work)).map_err(|panic| message_of(panic.as_ref()));
            let _ = sender.send(Event::Finished(index, result));
        }
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.over.wait_while(is_over, |is_over| !*is_over));
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
        let more_than_threads = lane.most_threads() + 3;
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

    #[test]
    fn what_answers_at_once_is_done_by_few_threads_and_what_waits_by_many() {
        let threads = |work: fn()| {
            let jobs = (0..1000).map(|_| {
                job(Lane::Process, move || {
                    work();
                    std::thread::current().id()
                })
            });
            let ended = run(jobs.collect(), Deadline::after(Duration::from_secs(20)), |_| ()).expect("pools");
            let thread = |ended| match ended {
                Ended::Finished(id) => id,
                other => panic!("{other:?}"),
            };
            ended.into_iter().map(thread).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(threads(|| std::thread::sleep(Duration::from_millis(100))), Lane::Process.most_threads());
        assert!(threads(|| ()) < Lane::Process.most_threads() / 2, "more threads than the work needed");
    }
}
