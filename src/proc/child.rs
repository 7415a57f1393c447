//! A program under its supervisor, seen from the probe.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, ExitStatus};
use std::sync::Once;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, access};
use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::processes::{PROC, Stat};
use super::protocol::{Report, Request};
use super::spec::{CommandSpec, SpawnError, resolve};
use super::survivors::Survivor;
use super::{ending, groups, supervisor, timespec, tree};
use crate::clock::Deadline;
use crate::log;

/// While a supervisor says nothing of its start, it is made to continue so often: a program may have stopped it.
const CONTINUE_EVERY: Duration = Duration::from_millis(20);

/// What the processes of one tree have used, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time, summed (getrusage(2)).
    pub cpu: Duration,
    /// Largest resident set of one process, in bytes (getrusage(2)). A process counts from before its exec, so a small
    /// program shows what its supervisor had resident, some MiB.
    pub max_rss_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// Its supervisor was killed, and the program with it.
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

/// Our ends of the program's standard input, output and error, non-blocking.
pub(super) type Streams = [OwnedFd; 3];

/// A started program with its supervisor. Dropping it ends the whole tree by force.
pub(super) struct Child {
    supervisor: process::Child,
    /// By this it is known again, whoever gets its number.
    stat: Option<Stat>,
    pub(super) socket: BufReader<UnixStream>,
    /// A report that is not whole yet.
    line: Vec<u8>,
    /// What became of the start, once that is told.
    started: Option<Report>,
    /// How the program ended, once it has; others of its tree may live on.
    pub(super) exit: Option<Exit>,
    pub(super) usage: Option<Usage>,
    /// Whether the supervisor has ended.
    pub(super) gone: bool,
}

/// Starts a program; waits until it is executed, until `deadline` at most.
pub(super) fn spawn(spec: &CommandSpec, deadline: Deadline) -> Result<(Child, Streams), SpawnError> {
    let mut request = resolve(spec)?;
    let (_born, soft_files) = ending::allow_start()?;
    request.soft_files = soft_files;
    let (mut child, streams) = start(&request, deadline).map_err(|source| {
        static SAID: Once = Once::new();
        let error = SpawnError::NoSupervisor { source };
        SAID.call_once(|| log::warn(error.to_string()));
        error
    })?;
    child.await_exec(&request, deadline).map(|()| (child, streams))
}

fn start(request: &Request, deadline: Deadline) -> io::Result<(Child, Streams)> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let ((its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr)) = (pipe()?, pipe()?, pipe()?);
    let (socket, its_end) = UnixStream::pair()?;
    groups::give_up()?;
    let supervisor = supervisor::start(its_end)?;
    let pid = supervisor.id().cast_signed();
    ending::SUPERVISORS.lock().insert(pid);
    // From here on whatever fails drops it, and so ends the supervisor.
    let child = Child {
        supervisor,
        stat: Stat::read(PROC.as_ref(), pid),
        socket: BufReader::new(socket),
        line: Vec::new(),
        started: None,
        exit: None,
        usage: None,
        gone: false,
    };
    let socket = child.socket.get_ref();
    socket.set_write_timeout(Some(deadline.left().max(CONTINUE_EVERY)))?;
    // One that has not read all of the request says nothing either.
    socket.set_read_timeout(Some(CONTINUE_EVERY))?;
    request.send(socket, [its_stdin.as_fd(), its_stdout.as_fd(), its_stderr.as_fd()])?;
    socket.set_nonblocking(true)?;
    [&stdin, &stdout, &stderr].into_iter().try_for_each(|end| ioctl_fionbio(end, true))?;
    Ok((child, [stdin, stdout, stderr]))
}

/// `exec` says ENOENT also when the file is there and its interpreter is not, and EACCES when that may not be executed.
fn explain(file: PathBuf, error: io::Error) -> SpawnError {
    let interpreter = interpreter_of(&file);
    let what = match (error.kind(), interpreter.as_deref()) {
        (ErrorKind::PermissionDenied, Some(name)) if access(name, Access::EXEC_OK).is_err() => {
            format!("its interpreter {name:?} may not be executed")
        }
        (ErrorKind::NotFound, Some(name)) if name.ends_with('\r') => {
            let known = name.trim_end();
            format!(
                "its first line ends with a carriage return, which makes it no {known:?}; save it with LF line ends"
            )
        }
        (ErrorKind::NotFound, Some(name)) => format!("its interpreter {name:?} does not exist"),
        (ErrorKind::NotFound, None) if file.exists() => "its interpreter or loader does not exist".to_owned(),
        _ => return SpawnError::Refused { file, source: error },
    };
    SpawnError::Refused { file, source: io::Error::new(error.kind(), what) }
}

fn interpreter_of(file: &Path) -> Option<String> {
    let mut head = [0; 128];
    let got = crate::fs::open_regular(file).ok()?.read(&mut head).ok()?;
    let line = head[..got].strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    // Only blanks and tabs part it from its argument: a carriage return is one more character of its name.
    let mut words = line.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
    Some(String::from_utf8_lossy(words.next()?).into_owned())
}

impl Child {
    /// Waits until the program is executed. It is made to tell even if the program has stopped it by then.
    /// The end of a supervisor before that tells nothing of the program.
    fn await_exec(&mut self, request: &Request, deadline: Deadline) -> Result<(), SpawnError> {
        let file = || PathBuf::from(&request.file);
        let no_supervisor = |source| Err(SpawnError::NoSupervisor { source });
        loop {
            self.listen();
            match self.started {
                Some(Report::Refused(errno)) => return Err(explain(file(), io::Error::from_raw_os_error(errno))),
                Some(Report::Unable(errno)) => return no_supervisor(io::Error::from_raw_os_error(errno)),
                Some(_) => return Ok(()),
                None if self.gone => {
                    return no_supervisor(io::Error::other("it was killed before it had executed the program"));
                }
                // The file is not opened to say more: it may be what hangs.
                None if deadline.passed() => {
                    let source = io::Error::new(ErrorKind::TimedOut, "the system has not executed it in time");
                    return Err(SpawnError::Refused { file: file(), source });
                }
                None => {}
            }
            let mut fds = [PollFd::new(self.socket.get_ref(), PollFlags::IN)];
            let wait = deadline.sooner(CONTINUE_EVERY).left();
            if poll(&mut fds, Some(&timespec(wait))) == Ok(0) {
                self.signal_supervisor(Signal::CONT);
            }
        }
    }

    /// Reads what the supervisor has reported so far. Never waits.
    pub(super) fn listen(&mut self) {
        while !self.gone {
            match self.socket.read_until(b'\n', &mut self.line) {
                Ok(_) if self.line.ends_with(b"\n") => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                _ => return self.supervisor_ended(),
            }
            match serde_json::from_slice(&std::mem::take(&mut self.line)) {
                Ok(Report::Exited(status)) => self.exit = Some(exit_of(ExitStatus::from_raw(status))),
                Ok(Report::Done(usage)) => {
                    self.usage = Some(usage);
                    self.supervisor_ended();
                }
                Ok(started) => self.started = Some(started),
                // No supervisor writes such a line.
                Err(_) => {}
            }
        }
    }

    /// The supervisor has made its last report, or was killed: it can be reaped. If it was killed, the program dies with it
    /// and what else there was of the tree is the probe's now.
    fn supervisor_ended(&mut self) {
        self.gone = true;
        self.exit.get_or_insert(Exit::Lost);
        // Whoever else may have reaped it (ECHILD), it has ended.
        let _ = self.supervisor.wait();
        ending::SUPERVISORS.lock().remove(&self.pid());
    }

    fn pid(&self) -> i32 {
        self.supervisor.id().cast_signed()
    }

    fn signal_supervisor(&self, signal: Signal) {
        if let Some(stat) = &self.stat {
            let _ = tree::send(stat, signal);
        }
    }

    pub(super) fn activity(&self) -> tree::Activity {
        tree::Activity::of(self.pid())
    }

    pub(super) fn terminate(&mut self) {
        self.listen();
        if self.gone {
            return;
        }
        // Each one once: to some programs a second SIGTERM means "at once, without tidying up".
        let tree = tree::descendants(self.pid());
        for process in &tree {
            let _ = tree::send(process, Signal::TERM);
        }
        if tree.is_empty() {
            self.signal_group(Signal::TERM);
        }
    }

    /// Signals the program's group while its number is surely its own: all that can be done where /proc cannot be
    /// read.
    fn signal_group(&self, signal: Signal) {
        if self.exit.is_none()
            && let Some(Report::Started(program)) = self.started
            && let Some(group) = Pid::from_raw(program)
        {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends the whole tree by force and reaps it, by `until` at the latest. Returns who could not be ended.
    ///
    /// A supervisor that does not do its part (it was stopped) is killed: what is left then becomes the probe's, for
    /// [`super::end_everything`].
    #[must_use]
    pub(super) fn kill(&mut self, until: Deadline) -> Vec<Survivor> {
        let supervisor = self.pid();
        self.signal_supervisor(Signal::CONT);
        tree::kill_all(supervisor, until, || {
            self.listen();
            self.gone
        });
        if self.gone {
            return Vec::new();
        }
        self.signal_group(Signal::KILL);
        let survivors: Vec<Survivor> = tree::descendants(supervisor).iter().map(Survivor::new).collect();
        if survivors.is_empty() {
            self.signal_supervisor(Signal::KILL);
            self.supervisor_ended();
        }
        // One that still has somebody to end goes on with that, once the socket is closed.
        self.gone = true;
        survivors
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.listen();
        if !self.gone {
            // Who could not be ended is found again by `end_everything`.
            let _ = self.kill(Deadline::after(super::KILL_LIMIT));
        }
    }
}

pub(super) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Lost,
    }
}
