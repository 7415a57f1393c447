//! Starting a program under its keeper, and the gate that closes when the pass ends.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};

use super::leash::{RECORD_BYTES, Record, RecordKind};
use super::passthrough::ignored_signals;
use super::spec::{CommandSpec, Resolved, SpawnError, resolve};
use super::{sys, tree};
use crate::clock::Deadline;

/// Whether the pass is ending. Every spawn holds the lock for reading from before its keeper is made until the program is
/// executed and known; whoever ends everything holds it for writing. So nothing can be born unseen.
static ENDING: RwLock<bool> = RwLock::new(false);

/// Whether anything was ever started: else there is nothing to end.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Open files the probe itself may want: four a check that waits, a few hundred checks.
const WANTED_FILES: u64 = 16_384;

/// What the processes of one tree have used, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time, summed (getrusage(2)).
    pub cpu: Duration,
    /// Largest resident set of one process, in bytes (getrusage(2)). A process counts from before its exec, so a small
    /// program shows what the probe had resident, some ten MiB.
    pub max_rss_bytes: u64,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Its keeper was killed, and the program with it.
    Lost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => match signal_hook::low_level::signal_name(*signal) {
                Some(name) => f.write_str(name),
                None => write!(f, "signal {signal}"),
            },
            Exit::Lost => f.write_str("an unknown exit code (its supervising process was killed)"),
        }
    }
}

/// Our ends of the program's standard streams, non-blocking.
pub(super) struct Pipes {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// A started program with its keeper. Dropping it ends the whole tree by force.
pub(super) struct Child {
    keeper: sys::Keeper,
    leash: UnixStream,
    inbox: Vec<u8>,
    program: Option<i32>,
    exit: Option<Exit>,
    usage: Option<Usage>,
    gone: bool,
}

/// Starts a program.
pub(super) fn spawn(spec: &CommandSpec) -> Result<(Child, Pipes), SpawnError> {
    let resolved = resolve(spec)?;
    let born = gate()?;
    STARTED.store(true, Ordering::Relaxed);
    prepare_probe();
    let refused = |source: io::Error| explain(&resolved, source);
    let (child, pipes) = start(spec, &resolved).map_err(refused)?;
    drop(born);
    for end in [&pipes.stdin, &pipes.stdout, &pipes.stderr] {
        rustix::io::ioctl_fionbio(end, true).map_err(|error| refused(error.into()))?;
    }
    Ok((child, pipes))
}

fn gate() -> Result<RwLockReadGuard<'static, bool>, SpawnError> {
    let ending = ENDING.read().unwrap_or_else(PoisonError::into_inner);
    if *ending { Err(SpawnError::Ending) } else { Ok(ending) }
}

/// Once: adopt orphans whose keeper was killed and allow as many open files as many checks need.
fn prepare_probe() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let mut files = getrlimit(Resource::Nofile);
        let _ = SOFT_FILES.set(files.current);
        let _ = IGNORED_SIGNALS.set(ignored_signals().unwrap_or(u64::MAX));
        if files.current.is_some_and(|soft| soft < WANTED_FILES) {
            files.current = Some(files.maximum.map_or(WANTED_FILES, |hard| hard.min(WANTED_FILES)));
            let _ = setrlimit(Resource::Nofile, files);
        }
    });
}

/// The signals that the probe ignores, a bit each from signal 1 on (`SigIgn`, proc_pid_status(5)). They would stay
/// ignored over exec; a program started from cron or nohup must be like any other.
static IGNORED_SIGNALS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();

/// The soft limit of open files the probe was started with: what programs get, since some of them still size
/// tables by it or use select(2).
static SOFT_FILES: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();

/// The soft limit of core dumps the probe was started with, in bytes, if it is another since.
static SOFT_CORE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();

/// Keeps this process, and the keepers that share its memory, from leaving a core dump: it holds the credentials of
/// every server. The programs that are started find the limit as it was.
pub(super) fn forbid_core_dumps() {
    let mut core = getrlimit(Resource::Core);
    // `None` stands for no limit.
    let before = core.current.unwrap_or(u64::MAX);
    // Under 0 no file is written, but a program that takes core dumps through a pipe is given one all the same. Linux
    // gives it none under 1, which is too little for a file, too.
    core.current = Some(core.maximum.unwrap_or(u64::MAX).min(1));
    if setrlimit(Resource::Core, core).is_ok() {
        let _ = SOFT_CORE.set(before);
    }
}

/// Starts a program that finds the limit on core dumps as it was.
pub(super) fn with_former_core_limit<T>(start: impl FnOnce() -> T) -> T {
    let Some(before) = SOFT_CORE.get() else { return start() };
    let now = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(*before).filter(|b| *b < u64::MAX), ..now });
    let started = start();
    let _ = setrlimit(Resource::Core, now);
    started
}

/// Makes the keeper and waits until the program is executed.
fn start(spec: &CommandSpec, resolved: &Resolved) -> io::Result<(Child, Pipes)> {
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
    let ((its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr)) = (pipe()?, pipe()?, pipe()?);
    let (leash, keepers_end) = UnixStream::pair()?;
    let program = sys::Program {
        file: &resolved.file,
        name: &spec.program,
        args: &spec.args,
        environment: &resolved.environment,
        directory: &resolved.directory,
        streams: [its_stdin.as_fd(), its_stdout.as_fd(), its_stderr.as_fd()],
        limits: sys::SoftLimits { files: SOFT_FILES.get().copied().flatten(), core: SOFT_CORE.get().copied() },
        ignored_signals: IGNORED_SIGNALS.get().copied().unwrap_or(u64::MAX),
    };
    let (keeper, program) = sys::start(&program, keepers_end.into())?;
    leash.set_nonblocking(true)?;
    let child = Child { keeper, leash, inbox: Vec::new(), program, exit: None, usage: None, gone: false };
    Ok((child, Pipes { stdin, stdout, stderr }))
}

/// `exec` says ENOENT also when the file is there and its interpreter is not.
fn explain(resolved: &Resolved, error: io::Error) -> SpawnError {
    let file = resolved.file.clone();
    if error.kind() == ErrorKind::NotFound && file.exists() {
        let what = match interpreter_of(&file) {
            Some(interpreter) if interpreter.ends_with('\r') => {
                let known = interpreter.trim_end();
                format!(
                    "its first line ends with a carriage return, which makes it no {known:?}; save it with LF line ends"
                )
            }
            Some(interpreter) => format!("its interpreter {interpreter:?} does not exist"),
            None => "its interpreter or loader does not exist".to_owned(),
        };
        return SpawnError::Refused { file, source: io::Error::new(ErrorKind::NotFound, what) };
    }
    SpawnError::Refused { file, source: error }
}

fn interpreter_of(file: &std::path::Path) -> Option<String> {
    let mut head = [0; 128];
    let got = crate::fs::open_regular(file).ok()?.read(&mut head).ok()?;
    let line = head[..got].strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    // Only blanks and tabs part it from its argument: a carriage return is one more character of its name.
    let mut words = line.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
    Some(String::from_utf8_lossy(words.next()?).into_owned())
}

impl Child {
    /// Readable when the keeper has something to tell.
    pub(super) fn leash(&self) -> BorrowedFd<'_> {
        self.leash.as_fd()
    }

    /// Reads what the keeper has told so far. Never waits.
    pub(super) fn listen(&mut self) {
        let mut bytes = [0; 4 * RECORD_BYTES];
        while !self.gone {
            match self.leash.read(&mut bytes) {
                Ok(0) => self.keeper_ended(),
                Ok(got) => self.take_in(&bytes[..got]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.keeper_ended(),
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let whole = self.inbox.len() / RECORD_BYTES * RECORD_BYTES;
        for record in self.inbox.drain(..whole).collect::<Vec<u8>>().chunks_exact(RECORD_BYTES) {
            let Some(record) = record.try_into().ok().and_then(Record::decode) else { continue };
            match record.kind {
                RecordKind::Exited => self.exit = Some(exit_of(record.value)),
                RecordKind::Done => self.usage = Some(usage_of(&record)),
            }
        }
        if self.usage.is_some() {
            // It has said its last word and ends.
            self.keeper_ended();
        }
    }

    /// The keeper's end of the leash is closed: it has exited or been killed, so it can be reaped. If it was killed,
    /// the program dies with it and what else there was of the tree is the probe's now.
    fn keeper_ended(&mut self) {
        self.gone = true;
        self.exit.get_or_insert(Exit::Lost);
        self.keeper.reap();
    }

    /// How the program ended, once it has; others of its tree may live on.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Whether the whole tree has ended and been reaped.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// What the whole tree has used; known once it is gone.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What the tree is doing now, and what it has used so far.
    pub(super) fn activity(&self) -> tree::Activity {
        tree::Activity::of(self.keeper_pid())
    }

    fn keeper_pid(&self) -> i32 {
        self.keeper.pid()
    }

    /// Asks everybody in the tree to end.
    pub(super) fn terminate(&mut self) {
        self.listen();
        if self.gone {
            return;
        }
        // Each one once: to some programs a second SIGTERM means "at once, without tidying up".
        let tree = tree::descendants(self.keeper_pid());
        for process in &tree {
            tree::send(process, Signal::TERM);
        }
        if tree.is_empty() {
            self.signal_group(Signal::TERM);
        }
    }

    /// Signals the program's group while its number is surely its own: all that can be done where /proc cannot be
    /// read.
    fn signal_group(&self, signal: Signal) {
        if self.exit.is_none()
            && let Some(group) = self.program.and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends the whole tree by force and reaps it, by `until` at the latest. Returns whether it is gone.
    ///
    /// Should the keeper itself not do its part (it was stopped, or the tree outlives every attempt), it is killed:
    /// what is left then becomes the probe's, for [`super::end_everything`].
    pub(super) fn kill(&mut self, until: Deadline) -> bool {
        let keeper = self.keeper_pid();
        self.listen();
        tree::kill_all(keeper, until, || {
            self.listen();
            self.gone
        });
        if !self.gone {
            self.signal_group(Signal::KILL);
            self.keeper.kill();
            self.keeper.reap();
            self.listen();
            self.gone = true;
        }
        self.usage.is_some()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.listen();
        if !self.gone {
            self.kill(Deadline::after(super::KILL_LIMIT));
        }
    }
}

fn exit_of(wait_status: i64) -> Exit {
    let status = ExitStatus::from_raw(wait_status as i32);
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Lost,
    }
}

fn usage_of(record: &Record) -> Usage {
    Usage {
        cpu: Duration::from_micros(u64::try_from(record.cpu_micros).unwrap_or(0)),
        max_rss_bytes: u64::try_from(record.max_rss_kib).unwrap_or(0) * 1024,
    }
}

/// Ends everything: nothing is started any more, and every descendant of this process is killed and reaped, keepers
/// and orphans of killed keepers included. Returns whether nothing was left, after three seconds at most.
///
/// For the end of a pass and for signals. Checks still at work see their programs end.
pub fn end_everything() -> bool {
    close_gate(Deadline::after(Duration::from_millis(500)));
    if !STARTED.load(Ordering::Relaxed) {
        return true;
    }
    let root = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let until = Deadline::after(Duration::from_millis(2_500));
    let mut clean = false;
    tree::kill_all(root, until, || {
        reap_children(root);
        clean = tree::is_childless(root);
        clean
    });
    reap_children(root);
    if !clean {
        tree::leave_to_keepers(root);
    }
    clean
}

/// Waits for spawns under way, but not for ever: one may hang in `exec` on a file system that does not answer. Its
/// child is found in /proc all the same.
fn close_gate(until: Deadline) {
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
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
        }
    }
}

/// Whether a process with this number exists; for tests.
#[cfg(test)]
pub(super) fn exists(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
