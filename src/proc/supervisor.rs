//! The supervisor: the parent of one program that is started for a check, and of everything that program starts.
//!
//! It is this binary once more, in a process of its own, without arguments or variables worth reading:
//!
//! ```text
//! probe ──socket── supervisor (own session, child subreaper, not dumpable)
//!                    └── the program (own process group, dies with the supervisor) ── …
//! ```
//!
//! A child subreaper (PR_SET_CHILD_SUBREAPER) becomes the parent of every process of its tree whose own parent has
//! ended, however often it forks or calls setsid. So the supervisor knows exactly which processes belong to the check,
//! its accumulated usage is that of the whole tree, and when its socket closes, because the probe is done or was
//! killed, it ends the whole tree. It shares no memory with the probe: an out-of-memory kill of the probe leaves it
//! alive. Signals that a program sends to its group, its session or everybody do not end it; SIGSTOP and SIGKILL,
//! which nobody can refuse, the probe notices.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Resource, WaitOptions, getpid, getrlimit, set_child_subreaper, setrlimit, setsid, wait};
use signal_hook::consts::{SIGBUS, SIGCHLD, SIGSYS, SIGTRAP};

use super::child::Usage;
use super::protocol::{Report, Request};
use super::{sys, tree};
use crate::clock::Deadline;

/// The first word of a supervisor's command line, by which `ps` shows it. The second one is the probe's process.
pub const NAME: &str = "lab-probe-supervisor";

/// The same where there is room for fifteen bytes (PR_SET_NAME).
const SHORT_NAME: &std::ffi::CStr = c"lab-probe-sup";

/// So long a supervisor tries to end what a probe has left behind.
const LAST_ATTEMPTS: Duration = Duration::from_secs(10);

const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;

pub(super) fn start(socket: UnixStream) -> io::Result<std::process::Child> {
    let mut command = executable();
    command.env_clear().current_dir("/").stdin(OwnedFd::from(socket)).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()
}

/// The file that this process runs, also when it has been replaced since; or [`use_executable`]'s.
fn executable() -> Command {
    let mut command = Command::new(EXECUTABLE.get_or_init(|| "/proc/self/exe".into()));
    command.arg0(NAME);
    if cfg!(test) {
        // The program of the unit tests runs the one that becomes a supervisor.
        command.args(["--exact", "proc::supervisor::tests::a_supervisor", "--test-threads=1"]);
    } else {
        command.arg(std::process::id().to_string());
    }
    command
}

static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();

/// For programs that link the library and are not lab-probe itself (tests, benchmarks): the file of lab-probe, which
/// is executed as supervisor.
pub fn use_executable(file: impl Into<PathBuf>) {
    let _ = EXECUTABLE.set(file.into());
}

/// Whether this process was started to be a supervisor; `arguments` are its own, with its name.
pub fn is_wanted(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.next().is_some_and(|name| name == NAME)
}

/// A supervisor's whole life. Returns once its tree has ended. Fails when standard input is no socket with a request:
/// somebody else than the probe has started it.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::log::error(format!("lab-probe was started as {NAME}, which only lab-probe itself can use: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    sys::close_inherited_files();
    let isolated = isolate();
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (request, streams) = Request::receive(&socket)?;
    if let Err(error) = isolated {
        Report::Unable(errno_of(&error)).send(&socket);
        return Ok(());
    }
    let (child_ended, notify) = UnixStream::pair()?;
    child_ended.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, notify)?;
    match start_program(request, streams) {
        Ok(program) => {
            Report::Started(program).send(&socket);
            supervise(&socket, &child_ended, program);
        }
        Err(error) => Report::Refused(errno_of(&error)).send(&socket),
    }
    Ok(())
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EINVAL)
}

/// Out of the reach of the programs to come.
fn isolate() -> io::Result<()> {
    // Its memory holds the program's variables.
    super::forbid_inspection();
    let _ = rustix::thread::set_name(SHORT_NAME);
    // A session of its own, without a controlling terminal: a program that wants a passphrase fails at once instead
    // of asking in the middle of somebody's table.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    // A handler that does nothing, instead of blocking or ignoring: programs would inherit those, while exec drops
    // handlers. What the probe itself ignores (nohup) is so undone as well. Not for what a fault raises.
    let faults = [SIGBUS, SIGTRAP, SIGSYS];
    let refusable = |signal: &i32| !signal_hook::consts::FORBIDDEN.contains(signal) && !faults.contains(signal);
    for signal in SIGNALS.filter(refusable) {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    Ok(())
}

fn start_program(request: Request, [stdin, stdout, stderr]: [OwnedFd; 3]) -> io::Result<i32> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = request.soft_files;
    // A unit's filter of system calls may forbid it; programs live with more, too.
    let _ = setrlimit(Resource::Nofile, files);
    let mut command = Command::new(&request.file);
    command.arg0(&request.name).args(&request.args).env_clear().current_dir(&request.directory).process_group(0);
    command.envs(request.environment);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    sys::die_with_this_process(&mut command);
    Ok(command.spawn()?.id().cast_signed())
}

/// Waits for the end of the tree, or ends it when the probe has closed its end of the socket. `child_ended` can be read
/// when a child has ended.
fn supervise(socket: &UnixStream, mut child_ended: &UnixStream, program: i32) {
    while !reap(socket, program) {
        let mut fds = [socket, child_ended].map(|fd| PollFd::new(fd, PollFlags::IN));
        let polled = poll(&mut fds, None);
        // The probe sends nothing more: what can be read is the end.
        if polled.is_ok() && !fds[0].revents().is_empty() {
            let own = getpid().as_raw_nonzero().get();
            tree::kill_all(own, Deadline::after(LAST_ATTEMPTS), || reap(socket, program));
            return;
        }
        let _ = child_ended.read(&mut [0; 64]);
    }
}

/// Waits for whoever has ended; returns whether nobody is left, and tells the probe so.
fn reap(socket: &UnixStream, program: i32) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program => {
                Report::Exited(status.as_raw()).send(socket);
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => {
                Report::Done(usage_of_children()).send(socket);
                return true;
            }
            Ok(None) | Err(_) => return false,
        }
    }
}

/// What all children that were waited for have used, and theirs.
fn usage_of_children() -> Usage {
    // No kernel refuses it.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Usage::default() };
    let time = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Usage {
        cpu: time(usage.user_time()) + time(usage.system_time()),
        max_rss_bytes: usage.max_rss().unsigned_abs() * 1024,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{CommandSpec, capture};
    use super::*;

    /// Started by [`executable`] this is a supervisor. Started by the test harness it tests what one does to which
    /// nobody speaks.
    #[test]
    fn a_supervisor() {
        if is_wanted(std::env::args_os()) {
            let ended = run();
            signal_hook::low_level::exit(i32::from(ended.is_err()));
        }
        let (here, there) = UnixStream::pair().expect("a socket");
        let mut alone = start(there).expect("started");
        drop(here);
        assert_eq!(alone.wait().expect("ended").code(), Some(1));
    }

    /// In a process of its own, whose supervisors read nothing.
    #[test]
    fn one_that_does_not_read_its_request_is_given_up() {
        const ALONE: &str = "LAB_PROBE_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let mut alone = Command::new("timeout");
            alone.arg("60").arg(std::env::current_exe().expect("this file")).env(ALONE, "1");
            alone.args(["--exact", "proc::supervisor::tests::one_that_does_not_read_its_request_is_given_up"]);
            assert!(alone.status().expect("started").success());
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("deaf");
        std::fs::write(&file, "#!/bin/sh\nexec sleep 300\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode set");
        use_executable(file);
        // More than a socket holds.
        let spec = CommandSpec::new("true").args(vec!["x".repeat(100_000); 10]);
        let started = capture(&spec, None, 1, Deadline::after(Duration::ZERO));
        assert!(started.is_err_and(|error| error.is_out_of_resources()));
    }
}
