//! File systems that do not answer: a dead network mount keeps whoever asks it in the kernel, without limit.
//!
//! What may hang runs on a thread that is left behind when its time is over, and its place is noted with that thread. The
//! next passes touch nothing there ([`is_noted`]) while the thread lives; once it is gone, with its process, they let a
//! child process ask first ([`restore`]): that can be left behind, too, and costs no deadline.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use super::processes::{PROC, Stat};
use super::survivors::{Survivor, Why};
use crate::clock::Deadline;
use crate::model::hung::{Hung, Waiting};

/// What is noted in this pass and by earlier ones.
static NOTED: Mutex<Hung> = Mutex::new(Hung::new());

/// So long a child may ask: longer than a disk takes to wake up under load.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How often it is looked whether children have ended.
const POLL: Duration = Duration::from_millis(2);

/// The number of the thread that does some work, once it does.
pub type Thread = Arc<OnceLock<i32>>;

/// Work that notes on which thread it is done.
pub fn noting_its_thread<T>(work: impl FnOnce() -> T) -> (impl FnOnce() -> T, Thread) {
    let thread = Thread::default();
    let noting = Arc::clone(&thread);
    let work = move || {
        let _ = noting.set(rustix::thread::gettid().as_raw_nonzero().get());
        work()
    };
    (work, thread)
}

/// The number of a process or thread and its start, by which it is known again.
fn identity(number: i32) -> Option<(i32, u64)> {
    Some((number, Stat::read(Path::new(PROC), number)?.start_ticks))
}

/// Notes that a thread waits for the first of these files; the others tell when that place answers again. A name that is
/// no text could not be kept in the state, and is not.
pub fn note(files: &[PathBuf], thread: &Thread) {
    if let Some(place) = files.first().filter(|_| files.iter().all(|file| file.to_str().is_some())) {
        NOTED.lock().insert(
            place.clone(),
            Waiting { waiter: thread.get().and_then(|thread| identity(*thread)), files: files.to_vec() },
        );
    }
}

/// Notes the places, each given by its files, in which a process that could not be ended stands and waits for a file system.
pub fn note_survivors(survivors: &[Survivor], places: impl Iterator<Item = Vec<PathBuf>>) {
    let waiting = survivors.iter().filter(|survivor| survivor.why == Why::Uninterruptible);
    let directory = |pid: i32| Path::new(PROC).join(pid.to_string()).join("cwd").read_link().ok();
    let standing: BTreeMap<PathBuf, i32> =
        waiting.filter_map(|survivor| Some((directory(survivor.pid)?, survivor.pid))).collect();
    for files in places {
        if let Some((place, pid)) = files.first().and_then(|place| standing.get_key_value(place)) {
            NOTED.lock().insert(place.clone(), Waiting { waiter: identity(*pid), files });
        }
    }
}

/// Whether this place is known not to answer. Asks nobody.
pub fn is_noted(place: &Path) -> bool {
    NOTED.lock().contains_key(place)
}

/// All that is noted, for the state.
pub fn all() -> Hung {
    NOTED.lock().clone()
}

/// Takes over what earlier passes have noted, without what answers again.
pub fn restore(earlier: Hung) {
    let is_waiting = |waiting: &Waiting| waiting.waiter.is_some_and(|(number, start)| Stat::is_there(number, start));
    let (waiting, gone): (Hung, Hung) = earlier.into_iter().partition(|(_, waiting)| is_waiting(waiting));
    NOTED.lock().extend(waiting);
    // Without the program nobody asks, and the pass finds out by itself.
    let asked = gone.into_iter().filter_map(|(place, gone)| Some((place, ask(&gone.files).ok()?, gone.files)));
    let asked: Vec<(PathBuf, Child, Vec<PathBuf>)> = asked.collect();
    let until = Deadline::after(ASK_LIMIT);
    for (place, child, files) in asked {
        if let Some(waiter) = unanswered(child, until) {
            NOTED.lock().insert(place, Waiting { waiter, files });
        }
    }
}

/// A child process that asks for each of these files, whether they are there or not.
fn ask(files: &[PathBuf]) -> io::Result<Child> {
    let mut command = Command::new("stat");
    command.args(["-L", "--"]).args(files).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn()
}

/// The child, if it has not ended by then. It is killed, which may have to wait for the file system.
fn unanswered(mut child: Child, until: Deadline) -> Option<Option<(i32, u64)>> {
    while let Ok(None) = child.try_wait() {
        if until.passed() {
            let waiter = identity(child.id().cast_signed());
            let _ = child.kill();
            return Some(waiter);
        }
        std::thread::sleep(POLL);
    }
    None
}

/// Does work among these files on a thread of its own, and nothing if their place is noted.
/// Errors: [`io::ErrorKind::TimedOut`] where they have not answered by `limit`, which is noted; or no thread could be had,
/// or the work broke.
pub fn within<T: Send + 'static>(
    files: &[PathBuf],
    limit: Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let place = files.first().map_or(Path::new("/"), PathBuf::as_path);
    let no_answer = || io::Error::new(io::ErrorKind::TimedOut, does_not_answer(place));
    if is_noted(place) {
        return Err(no_answer());
    }
    let (work, thread) = noting_its_thread(work);
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new().name("files".into()).spawn(move || sender.send(caught(work)))?;
    match receiver.recv_timeout(limit.left()) {
        Ok(done) => done.map_err(io::Error::other),
        Err(_too_late) => {
            note(files, &thread);
            Err(no_answer())
        }
    }
}

/// Does work that may break: a panic is a bug, and only this work's.
/// Errors: The panic, in a sentence.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| Some(panic.downcast_ref::<String>()?.as_str()));
        format!("lab-probe panicked ({})", text.unwrap_or("no message"))
    })
}

/// The sentence on a place that hangs.
pub fn does_not_answer(place: &Path) -> String {
    format!("{} does not answer, as where a file system hangs; it is not touched until it does", place.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_not_touched_while_a_thread_waits_there_and_is_asked_for_once_that_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = [directory.path().to_owned(), directory.path().join("none")];
        let (end, ended) = mpsc::channel::<()>();
        let gone = within(&files, Deadline::after(Duration::from_millis(50)), move || ended.recv().is_err());
        assert_eq!(gone.expect_err("it hangs").kind(), io::ErrorKind::TimedOut);
        assert!(is_noted(&files[0]) && !is_noted(Path::new("/")));
        let touched = within(&files, Deadline::after(Duration::from_secs(60)), || panic!("touched"));
        assert!(touched.is_err());
        let broken = within(&[PathBuf::from("/")], Deadline::after(Duration::from_secs(60)), || panic!("broken"));
        assert_eq!(broken.expect_err("it broke").to_string(), "lab-probe panicked (broken)");
        assert!(!is_noted(Path::new("/")));
        let mine = || -> Hung { all().into_iter().filter(|(place, _)| *place == files[0]).collect() };
        let earlier = mine();
        assert!(earlier[&files[0]].waiter.is_some());
        NOTED.lock().remove(&files[0]);
        restore(earlier.clone());
        assert_eq!(mine(), earlier, "it still waits");
        drop(end);
        let answers = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            NOTED.lock().remove(&files[0]);
            restore(earlier.clone());
            !is_noted(&files[0])
        });
        assert!(answers);
    }

    #[test]
    fn a_child_that_gets_no_answer_is_killed_and_told() {
        let child = Command::new("sleep").arg("600").spawn().expect("started");
        let waiter = unanswered(child, Deadline::after(Duration::ZERO)).expect("no answer").expect("its number");
        let is_gone = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !Stat::is_there(waiter.0, waiter.1)
        });
        assert!(is_gone);
        let child = ask(&[PathBuf::from("/nowhere")]).expect("started");
        assert_eq!(unanswered(child, Deadline::after(Duration::from_secs(60))), None);
    }
}
