//! Child I/O: a started program's streams, in one thread: poll(2), never a blocking read or write, always both outputs.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::child::{Child, Exit, Usage, spawn};
use super::meter::{Meter, Slow};
use super::spec::{CommandSpec, SpawnError};
use super::survivors::Survivor;
use super::tail::Tail;
use super::timespec;
use crate::clock::Deadline;

/// Bytes read at a time: half of what a pipe holds (pipe(7)), once for each check under way.
const CHUNK: usize = 32 << 10;

/// After its standard input was closed, a program may end by itself for so long. Python servers take 0.3 s.
const STDIN_GRACE: Duration = Duration::from_millis(500);

/// What the program left behind may live on for so long once the program itself has ended.
const ORPHAN_GRACE: Duration = Duration::from_millis(100);

/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_millis(500);

/// The same where the time for the check is over already. Not nothing: a container's client has to pass the signal
/// on, or the container would outlive it.
const HASTY_GRACE: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// So many bytes from standard output, see [`ChildIo::read`].
    Stdout(usize),
    /// Standard output was closed by everybody who had it; reported once.
    StdoutClosed,
    /// The program itself has ended and standard output holds nothing more for now; reported once.
    Exited(Exit),
    /// It has answered nothing, but does nothing any more either. Reported once, and not after [`ChildIo::answered`].
    Idle,
    /// It is too slow by its [`Meter`], see [`ChildIo::slow`]; reported every time from then on.
    Slow,
    /// Nothing of these until the time given.
    Quiet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Force {
    /// It ended by itself once its standard input was closed, or before.
    None,
    Term,
    Kill,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Ended {
    pub exit: Option<Exit>,
    /// What the tree used; `None` if its supervisor was killed.
    pub usage: Option<Usage>,
    pub force: Force,
    /// Processes that could not be ended; they must not be called killed.
    pub survivors: Vec<Survivor>,
}

/// A running program and its streams. Dropping it kills the whole tree.
pub struct ChildIo {
    child: Child,
    stdin: Option<OwnedFd>,
    outgoing: VecDeque<u8>,
    /// Bytes that the pipe of standard input has taken so far …
    piped: u64,
    /// … and whether any of them had been read when it was closed.
    was_read: bool,
    close_stdin: bool,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    chunk: Box<[u8]>,
    /// The end of standard error.
    pub tail: Tail,
    exit_reported: bool,
    meter: Option<Meter>,
    idle_reported: bool,
}

impl ChildIo {
    /// Starts a program by `deadline`, and measures what it does if there is a meter.
    pub fn start(spec: &CommandSpec, meter: Option<Meter>, deadline: Deadline) -> Result<ChildIo, SpawnError> {
        let (child, [stdin, stdout, stderr]) = spawn(spec, deadline)?;
        Ok(ChildIo {
            child,
            stdin: Some(stdin),
            outgoing: VecDeque::new(),
            piped: 0,
            was_read: false,
            close_stdin: false,
            stdout: Some(stdout),
            stderr: Some(stderr),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            tail: Tail::default(),
            exit_reported: false,
            meter,
            idle_reported: false,
        })
    }

    /// Queues bytes for standard input; they are written while waiting. Lost without a word once nobody reads them:
    /// that shows in what the program does next.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.stdin.is_some() {
            self.outgoing.extend(bytes);
        }
    }

    pub fn close_stdin_when_written(&mut self) {
        self.close_stdin = true;
        self.write();
    }

    /// The program has answered: that it is idle is no news any more.
    pub fn answered(&mut self) {
        self.idle_reported = true;
    }

    /// How long it has been idle so far, where that is measured.
    pub fn idle(&self) -> Duration {
        self.meter.as_ref().map_or(Duration::ZERO, |meter| meter.idle)
    }

    pub fn idle_limit(&self) -> Duration {
        self.meter.as_ref().map_or(Duration::MAX, |meter| meter.idle_limit)
    }

    pub fn slow(&self) -> Option<Slow> {
        self.meter.as_ref().and_then(Meter::slow)
    }

    pub fn unwritten(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether anybody has read any of what was sent (FIONREAD on the pipe, pipe(7)).
    pub fn has_read_input(&self) -> bool {
        let unread = |stdin: &OwnedFd| rustix::io::ioctl_fionread(stdin).unwrap_or(self.piped);
        self.was_read || self.stdin.as_ref().is_some_and(|stdin| unread(stdin) < self.piped)
    }

    pub fn exit(&self) -> Option<Exit> {
        self.child.exit
    }

    pub fn stdout_open(&self) -> bool {
        self.stdout.is_some()
    }

    /// Waits for the next event, until `until` at most. Standard error and the queue for standard input are taken
    /// care of meanwhile. Without `read_stdout` standard output is left in the pipe, so that the program waits.
    pub fn wait(&mut self, until: Deadline, read_stdout: bool) -> Event {
        loop {
            if let Some(event) = self.wait_once(until, read_stdout) {
                return event;
            }
        }
    }

    /// What [`Event::Stdout`] has brought.
    pub fn read(&self, amount: usize) -> &[u8] {
        &self.chunk[..amount]
    }

    fn wait_once(&mut self, until: Deadline, read_stdout: bool) -> Option<Event> {
        if self.has_become_idle() {
            return Some(Event::Idle);
        }
        // There is room in the pipe, mostly.
        self.write();
        let slow = self.slow();
        let sample = self.meter.as_ref().map(|meter| meter.next);
        // With its end still to be reported there may be nothing left that could wake a wait.
        let at_once = slow.is_some() || self.unreported_exit(read_stdout).is_some();
        let wake = if at_once { Deadline::after(Duration::ZERO) } else { sample.map_or(until, |next| next.min(until)) };
        self.poll(wake, read_stdout);
        self.write();
        // Its end is reported last: once it is known, both pipes hold all that the program itself has written.
        self.child.listen();
        self.drain_stderr();
        if read_stdout && let Some(event) = self.read_stdout() {
            return Some(event);
        }
        if let Some(exit) = self.unreported_exit(read_stdout) {
            self.exit_reported = true;
            return Some(Event::Exited(exit));
        }
        // An answer that lies in the pipe already was read above.
        slow.map(|_| Event::Slow).or_else(|| until.passed().then_some(Event::Quiet))
    }

    fn unreported_exit(&self, read_stdout: bool) -> Option<Exit> {
        self.child.exit.filter(|_| !self.exit_reported && (read_stdout || self.stdout.is_none()))
    }

    /// Takes a sample when its time has come; whether the program has just become idle; true once.
    fn has_become_idle(&mut self) -> bool {
        let Some(meter) = &mut self.meter else { return false };
        if meter.next.passed() {
            meter.sample(self.child.activity());
        }
        let idle = meter.is_idle() && !self.idle_reported;
        self.idle_reported |= idle;
        idle
    }

    /// Waits until anything can be written or read. Failing, it has not waited.
    fn poll(&self, until: Deadline, read_stdout: bool) {
        let stdin = self.stdin.as_ref().filter(|_| !self.outgoing.is_empty());
        let stdout = self.stdout.as_ref().filter(|_| read_stdout).map(AsFd::as_fd);
        let supervisor = (!self.child.gone).then(|| self.child.socket.get_ref().as_fd());
        let to_read = [stdout, self.stderr.as_ref().map(AsFd::as_fd), supervisor].into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> = to_read.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        fds.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        let _ = poll(&mut fds, Some(&timespec(until.left())));
    }

    fn write(&mut self) {
        while let Some(stdin) = &self.stdin {
            if self.outgoing.is_empty() {
                if self.close_stdin {
                    self.close_stdin();
                }
                return;
            }
            match rustix::io::write(stdin, self.outgoing.as_slices().0) {
                Ok(wrote) => {
                    self.outgoing.drain(..wrote);
                    self.piped += wrote as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // EPIPE: nobody reads any more.
                Err(_) => self.close_stdin(),
            }
        }
    }

    fn close_stdin(&mut self) {
        self.was_read = self.has_read_input();
        self.stdin = None;
        self.outgoing.clear();
    }

    fn read_stdout(&mut self) -> Option<Event> {
        let got = read(self.stdout.as_ref()?, &mut self.chunk)?;
        if got > 0 {
            return Some(Event::Stdout(got));
        }
        self.stdout = None;
        Some(Event::StdoutClosed)
    }

    /// Reads what there is of standard error, at most a megabyte at a time: the other streams have their turn too.
    fn drain_stderr(&mut self) {
        for _ in 0..16 {
            match self.stderr.as_ref().and_then(|stderr| read(stderr, &mut self.chunk)) {
                None => return,
                Some(0) => self.stderr = None,
                Some(got) => self.tail.push(&self.chunk[..got]),
            }
        }
    }

    /// Ends the program and everything it started, gently first: its standard input is closed, then SIGTERM, then
    /// SIGKILL. Once `deadline` has passed there is no time for more than the signals; the whole takes at most
    /// half a second more than that.
    pub fn end(mut self, deadline: Deadline) -> Ended {
        self.meter = None;
        self.close_stdin();
        let mut force = Force::None;
        let mut survivors = Vec::new();
        if !self.drain_until_gone(Deadline::after(STDIN_GRACE).min(deadline)) {
            force = Force::Term;
            self.child.terminate();
            let grace = Deadline::after(TERM_GRACE).min(deadline).max(Deadline::after(HASTY_GRACE));
            if !self.drain_until_gone(grace) {
                force = Force::Kill;
                survivors = self.child.kill(deadline.sooner(super::KILL_LIMIT).max(Deadline::after(HASTY_GRACE)));
            }
        }
        Ended { exit: self.child.exit, usage: self.child.usage, force, survivors }
    }

    /// Reads and forgets both outputs, so that a program that writes on its way out is not held up by a full pipe.
    fn drain_until_gone(&mut self, mut until: Deadline) -> bool {
        let mut exited = false;
        self.child.listen();
        while !self.child.gone {
            if self.child.exit.is_some() && !exited {
                exited = true;
                until = until.min(Deadline::after(ORPHAN_GRACE));
            }
            if until.passed() {
                return false;
            }
            let _ = self.wait_once(until, true);
        }
        true
    }
}

/// Bytes read, none at the end of the stream; `None` where there are none for now.
fn read(fd: &OwnedFd, chunk: &mut [u8]) -> Option<usize> {
    match rustix::io::read(fd, chunk) {
        Err(Errno::AGAIN | Errno::INTR) => None,
        read => Some(read.unwrap_or(0)),
    }
}
