//! Running a program in this process's place: same terminal, same streams, same environment, same exit code.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

use super::{Exit, child};

const PASSED_ON: [i32; 6] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];

const ENDING: [i32; 4] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedThrough {
    pub exit: Exit,
    /// Whether somebody asked for that end by a signal: what it says is then not the program's judgement.
    pub interrupted: bool,
}

/// Runs `command` in `directory` (here, if none) to its end. It inherits everything; signals that reach this process
/// meanwhile are passed on, except where the terminal has sent them to the program too.
pub fn pass_through(command: &[OsString], directory: Option<&Path>) -> io::Result<PassedThrough> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    // What this process was told to ignore (nohup) the program shall ignore too; a handler would undo that.
    let ignored = ignored_signals().unwrap_or(0);
    let watched: Vec<i32> = PASSED_ON.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
    // Before the start: a signal that comes in between waits in the pipe.
    let mut signals = SignalsInfo::<WithOrigin>::new(&watched)?;
    let handle = signals.handle();
    let mut to_start = Command::new(program);
    to_start.args(arguments);
    if let Some(directory) = directory {
        to_start.current_dir(directory);
    }
    let mut child = to_start.spawn()?;
    let program = Pid::from_child(&child);
    // Means this process even when it has ended and its number is another's.
    let descriptor = pidfd_open(program, PidfdFlags::empty());
    let pass_on = move |signal| match &descriptor {
        Ok(descriptor) => pidfd_send_signal(descriptor, signal),
        // Before Linux 5.3.
        Err(_) => kill_process(program, signal),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let forwarder = std::thread::Builder::new().name("signals".into()).spawn({
        let interrupted = Arc::clone(&interrupted);
        move || {
            for origin in &mut signals {
                interrupted.fetch_or(ENDING.contains(&origin.signal), Ordering::SeqCst);
                // Ctrl-C goes to every process of the foreground group: the program has it already.
                if origin.cause != Cause::Kernel
                    && let Some(signal) = Signal::from_named_raw(origin.signal)
                {
                    let _ = pass_on(signal);
                }
            }
        }
    })?;
    let status = child.wait()?;
    handle.close();
    let _ = forwarder.join();
    Ok(PassedThrough { exit: child::exit_of(status), interrupted: interrupted.load(Ordering::SeqCst) })
}

/// The signals this process ignores, a bit each from signal 1 on (`SigIgn`, proc_pid_status(5)); `None` if that
/// cannot be read.
fn ignored_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> PassedThrough {
        pass_through(&["sh".into(), "-c".into(), script.into()], Some(Path::new("/"))).expect("started")
    }

    #[test]
    fn exit_codes_and_deaths_by_signal_come_back() {
        assert_eq!(run("exit 7"), PassedThrough { exit: Exit::Code(7), interrupted: false });
        assert_eq!(run("kill -9 $$").exit, Exit::Signal(9));
        assert_eq!(run("test $(pwd) = /").exit, Exit::Code(0));
        let missing = pass_through(&["/no/such/program".into()], None).expect_err("missing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
