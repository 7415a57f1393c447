//! Running a program to its end and keeping what it printed: git, health scripts, systemctl.

use std::time::Duration;

use super::child::{Exit, Usage};
use super::child_io::{ChildIo, Event};
use super::meter::{Meter, Slow};
use super::spec::{CommandSpec, SpawnError};
use super::survivors::Survivor;
use super::tail::Tail;
use crate::clock::Deadline;

/// How often it is asked whether the run is still wanted.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Exited(Exit),
    /// The deadline had passed, nobody wanted it any longer, or it was too slow; it was ended by force.
    TimedOut,
    /// It printed more than the limit; it was ended by force.
    TooLarge,
}

#[derive(Debug, Clone)]
pub struct Captured {
    pub outcome: Outcome,
    /// Standard output, at most as long as the limit; from [`capture_tail`] only its last few KiB.
    pub stdout: Vec<u8>,
    pub stderr: Tail,
    /// What the process tree used; `None` if that could not be had.
    pub usage: Option<Usage>,
    /// Why it was too slow, if it was and was measured.
    pub slow: Option<Slow>,
    pub survivors: Vec<Survivor>,
}

impl Captured {
    pub fn success(&self) -> bool {
        self.outcome == Outcome::Exited(Exit::Code(0))
    }
}

/// Runs a program with `stdin` as its input until it ends, its standard output passes `most_output` bytes or the deadline passes. Its
/// whole tree has ended when this returns, at most half a second after the deadline, but for [`Captured::survivors`].
///
/// What a background process still writes once the program itself has ended is not waited for.
pub fn capture(
    spec: &CommandSpec,
    stdin: Option<&[u8]>,
    most_output: usize,
    deadline: Deadline,
) -> Result<Captured, SpawnError> {
    let mut io = ChildIo::start(spec, None, deadline)?;
    io.send(stdin.unwrap_or_default());
    Ok(whole(io, most_output, deadline, || true))
}

/// The same for a program without input that is ended as soon as `wanted`, which is asked now and then, says no.
pub fn capture_while(
    spec: &CommandSpec,
    most_output: usize,
    deadline: Deadline,
    wanted: impl FnMut() -> bool,
) -> Result<Captured, SpawnError> {
    Ok(whole(ChildIo::start(spec, None, deadline)?, most_output, deadline, wanted))
}

/// The same for a program without input whose exit code counts, and of its output only the end. It is measured.
pub fn capture_tail(
    spec: &CommandSpec,
    meter: Meter,
    most_output: usize,
    deadline: Deadline,
) -> Result<Captured, SpawnError> {
    let io = ChildIo::start(spec, Some(meter), deadline)?;
    let mut tail = Tail::default();
    let captured = to_its_end(io, most_output, deadline, || true, |bytes| tail.push(bytes));
    Ok(Captured { stdout: tail.text().into_bytes(), ..captured })
}

fn whole(io: ChildIo, most_output: usize, deadline: Deadline, wanted: impl FnMut() -> bool) -> Captured {
    let mut stdout = Vec::new();
    let captured = to_its_end(io, most_output, deadline, wanted, |bytes| stdout.extend_from_slice(bytes));
    Captured { stdout, ..captured }
}

/// Runs it to its end; what it prints within the limit goes to `keep`.
fn to_its_end(
    mut io: ChildIo,
    most_output: usize,
    deadline: Deadline,
    mut wanted: impl FnMut() -> bool,
    mut keep: impl FnMut(&[u8]),
) -> Captured {
    io.close_stdin_when_written();
    let mut room = most_output;
    let outcome = loop {
        match io.wait(deadline.sooner(POLL_INTERVAL), true) {
            Event::Stdout(amount) => {
                let bytes = io.read(amount);
                keep(&bytes[..bytes.len().min(room)]);
                if bytes.len() > room {
                    break Outcome::TooLarge;
                }
                room -= bytes.len();
            }
            // Its end may be known by now.
            Event::StdoutClosed | Event::Idle => continue,
            Event::Quiet => {}
            Event::Exited(exit) => break Outcome::Exited(exit),
            Event::Slow => break Outcome::TimedOut,
        }
        if deadline.passed() || !wanted() {
            break Outcome::TimedOut;
        }
    };
    let (stderr, slow) = (io.tail.clone(), io.slow());
    let ended = io.end(deadline);
    Captured { outcome, stdout: Vec::new(), stderr, usage: ended.usage, slow, survivors: ended.survivors }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, test_kill_process};

    use super::*;

    fn exists(pid: i32) -> bool {
        Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
    }

    const MOST_OUTPUT: usize = 1 << 20;

    fn shell(script: &str) -> CommandSpec {
        CommandSpec::new("sh").args(["-c", script])
    }

    fn run(script: &str, stdin: Option<&[u8]>) -> Captured {
        capture(&shell(script), stdin, MOST_OUTPUT, Deadline::after(Duration::from_secs(20))).expect("started")
    }

    #[test]
    fn a_program_gets_its_input_and_its_output_and_exit_code_come_back() {
        let captured = run("cat; echo problem >&2; exit 3", Some(&[b'x'; 300_000]));
        assert_eq!(captured.outcome, Outcome::Exited(Exit::Code(3)));
        assert_eq!(captured.stdout.len(), 300_000);
        assert_eq!(captured.stderr.text(), "problem\n");
        let usage = captured.usage.expect("usage");
        assert!(usage.max_rss_bytes > 100_000, "{usage:?}");
        assert_eq!(run("kill -9 $$", None).outcome, Outcome::Exited(Exit::Signal(9)));
    }

    #[test]
    fn processor_time_counts_the_whole_tree_and_a_daemon_too() {
        let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let captured = run(&format!("(setsid sh -c '{burn}' &) ; {burn}"), None);
        let alone = run(burn, None);
        let (both, one) = (captured.usage.expect("usage").cpu, alone.usage.expect("usage").cpu);
        assert!(one > Duration::from_millis(10), "{one:?}");
        assert!(both > one, "{both:?} {one:?}");
    }

    #[test]
    fn a_daemon_that_left_the_group_and_the_session_does_not_outlive_the_run() {
        let script = "(setsid sh -c 'trap \"\" TERM HUP; echo $$; exec >/dev/null 2>&1; sleep 300 & wait; sleep 300' &); sleep 0.2";
        let captured = run(script, None);
        let daemon: i32 = String::from_utf8_lossy(&captured.stdout).trim().parse().expect("a pid");
        assert!(!exists(daemon), "{daemon} is alive");
    }

    #[test]
    fn a_program_that_ignores_everything_is_cut_off_at_the_deadline() {
        let deadline = Deadline::after(Duration::from_millis(300));
        let script = "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done";
        let captured = capture(&shell(script), None, MOST_OUTPUT, deadline).expect("started");
        assert_eq!(captured.outcome, Outcome::TimedOut);
        let pid: i32 = String::from_utf8_lossy(&captured.stdout).trim().parse().expect("a pid");
        assert!(!exists(pid));
    }

    #[test]
    fn output_is_bounded_and_a_flood_ends_the_run() {
        let captured = run("yes", None);
        assert_eq!(captured.outcome, Outcome::TooLarge);
        assert_eq!(captured.stdout.len(), MOST_OUTPUT);
    }

    #[test]
    fn a_pipe_kept_open_by_somebody_else_is_not_waited_for() {
        let captured = run("echo done; sleep 300 &", None);
        assert_eq!(captured.outcome, Outcome::Exited(Exit::Code(0)));
        assert_eq!(captured.stdout, b"done\n");
    }

    #[test]
    fn a_run_that_nobody_wants_any_longer_ends_at_once() {
        let mut asked = 0;
        let wanted = || {
            asked += 1;
            asked < 3
        };
        let deadline = Deadline::after(Duration::from_secs(60));
        let captured = capture_while(&shell("echo begun; sleep 300"), MOST_OUTPUT, deadline, wanted).expect("started");
        assert_eq!((captured.outcome, &captured.stdout[..]), (Outcome::TimedOut, &b"begun\n"[..]));
        assert!(!deadline.passed());
    }

    #[test]
    fn a_fork_bomb_ends() {
        // Bounded by itself, should the code under test not be able to: sixteen thousand short lives at most.
        let bomb = "b() { [ $1 -gt 0 ] && { b $(($1-1)) & b $(($1-1)) & }; wait; sleep 300; }; b 7";
        let deadline = Deadline::after(Duration::from_millis(700));
        let captured = capture(&shell(bomb), None, MOST_OUTPUT, deadline).expect("started");
        assert_eq!(captured.outcome, Outcome::TimedOut);
        assert!(captured.usage.is_some(), "every one was reaped by the supervisor");
    }
}
