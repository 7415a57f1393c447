//! Process trees as /proc shows them: who descends from whom, what they have used, and ending them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::processes::{PROC, Stat, pids};
use crate::clock::Deadline;

/// Sends a signal to this very process, never to another one that got its number in the meantime.
/// Errors: When the operating system refuses it: the process is another user's.
pub(super) fn send(process: &Stat, signal: Signal) -> rustix::io::Result<()> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(()) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The descriptor is bound to whoever has the number now; that it is still the same one is seen afterwards.
        Ok(descriptor)
            if Stat::read(Path::new(PROC), process.pid).is_some_and(|now| now.start_ticks == process.start_ticks) =>
        {
            pidfd_send_signal(descriptor, signal)
        }
        Err(Errno::NOSYS | Errno::PERM) => rustix::process::kill_process(pid, signal),
        // Gone.
        _ => Ok(()),
    }
}

/// Every living descendant of `root`; zombies are left out, for they are only waiting to be reaped.
pub(super) fn descendants(root: i32) -> Vec<Stat> {
    below(root, Path::new(PROC), *LISTED)
}

/// The children of `root`, those included that have ended and wait to be reaped.
pub(super) fn children_of(root: i32) -> Vec<i32> {
    children(Path::new(PROC), *LISTED)(root)
}

/// Whether the kernel lists every task's children (`CONFIG_PROC_CHILDREN`): then a small tree is read without looking at
/// every process of the machine.
static LISTED: LazyLock<bool> = LazyLock::new(|| Path::new(PROC).join("thread-self/children").exists());

/// The children of a process, by its number.
fn children(proc: &Path, listed: bool) -> impl Fn(i32) -> Vec<i32> {
    let mut scanned: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let every = if listed { None } else { pids(proc).ok() };
    for process in every.into_iter().flatten().filter_map(|pid| Stat::read(proc, pid)) {
        scanned.entry(process.parent).or_default().push(process.pid);
    }
    move |pid| match listed {
        true => listed_children(proc, pid),
        false => scanned.get(&pid).cloned().unwrap_or_default(),
    }
}

/// The children of all of a process's threads (proc(5), `task/TID/children`).
fn listed_children(proc: &Path, pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(proc.join(pid.to_string()).join("task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn below(root: i32, proc: &Path, listed: bool) -> Vec<Stat> {
    let children = children(proc, listed);
    let mut found: Vec<Stat> = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for pid in children(parent) {
            if seen.insert(pid)
                && let Some(process) = Stat::read(proc, pid)
            {
                found.push(process);
                parents.push(pid);
            }
        }
    }
    found.retain(|process| !process.is_zombie());
    found
}

/// What a tree is doing at one moment, and what it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activity {
    /// User and system time of all its processes so far, in steps of a clock tick (10 ms). Those that have ended count,
    /// unless nobody waited for them.
    pub(super) cpu: Duration,
    pub(super) runnable: bool,
}

impl Activity {
    /// Of the descendants of `root`, and of those that `root` has reaped.
    pub(super) fn of(root: i32) -> Activity {
        let proc = Path::new(PROC);
        let tree = descendants(root);
        let reaped = Stat::read(proc, root).map_or(Duration::ZERO, |root| root.reaped_cpu);
        let cpu = tree.iter().map(|process| process.cpu + process.reaped_cpu).sum::<Duration>() + reaped;
        let runnable = tree.iter().any(|process| process.state == b'R' || any_thread_runs(proc, process.pid));
        Activity { cpu, runnable }
    }
}

/// Whether any thread of a process computes or waits for a core; its own state is that of its first thread only.
fn any_thread_runs(proc: &Path, pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(proc.join(pid.to_string()).join("task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = std::fs::read(thread.path().join("stat")).ok();
        stat.and_then(|text| Stat::parse(pid, &text)).is_some_and(|thread| thread.state == b'R')
    })
}

/// Between two rounds of killing.
const ROUND: Duration = Duration::from_millis(2);

/// After so many rounds that each found somebody new, the known ones are killed all the same.
const ROUNDS_BEFORE_KILLING: u32 = 16;

/// Where nobody is left but processes that wait in the kernel, nothing more is expected after so long.
const STUCK_LIMIT: Duration = Duration::from_millis(300);

/// Kills every descendant of `root` until `is_gone` says so, nothing living is left that a signal could end, or `until`
/// has passed.
///
/// A process that forks faster than a list of processes can be read is stopped first: what is stopped cannot fork,
/// so each round leaves fewer that can, and only when a round finds nobody new is everybody killed.
pub(super) fn kill_all(root: i32, until: Deadline, mut is_gone: impl FnMut() -> bool) {
    let mut stopped: BTreeSet<(i32, u64)> = BTreeSet::new();
    let mut rounds = 0_u32;
    let mut stuck_until: Option<Deadline> = None;
    while !is_gone() && !until.passed() {
        let living = descendants(root);
        let fresh: Vec<&Stat> = living.iter().filter(|p| !stopped.contains(&(p.pid, p.start_ticks))).collect();
        let settled = fresh.is_empty();
        for process in fresh {
            let _ = send(process, Signal::STOP);
            stopped.insert((process.pid, process.start_ticks));
        }
        rounds += 1;
        if !settled && !rounds.is_multiple_of(ROUNDS_BEFORE_KILLING) {
            continue;
        }
        let (mut refused, mut waiting) = (0, 0);
        for process in &living {
            if send(process, Signal::KILL) == Err(Errno::PERM) {
                refused += 1;
            } else if process.state == b'D' {
                waiting += 1;
            }
        }
        if living.is_empty() || refused + waiting < living.len() {
            stuck_until = None;
        } else if waiting == 0 || stuck_until.get_or_insert(Deadline::after(STUCK_LIMIT)).passed() {
            return;
        }
        std::thread::sleep(ROUND.min(until.left()));
    }
}

/// Where [`kill_all`] could not end everybody: nobody may stay stopped, for what is stopped never ends. Supervisors go on:
/// they end their trees when `root` is gone. Everybody else is killed, orphans of a killed supervisor included. Returns
/// these others.
pub(super) fn leave_to_supervisors(root: i32, supervisors: &BTreeSet<i32>) -> Vec<Stat> {
    let (supervisors, others): (Vec<Stat>, Vec<Stat>) =
        descendants(root).into_iter().partition(|process| process.parent == root && supervisors.contains(&process.pid));
    release(&supervisors, &others);
    others
}

fn release(supervisors: &[Stat], others: &[Stat]) {
    for process in others {
        let _ = send(process, Signal::KILL);
    }
    for supervisor in supervisors {
        let _ = send(supervisor, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /proc of processes (number, parent, state), with the lists of children that some kernels have.
    fn fixture(processes: &[(i32, i32, char)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().expect("a directory");
        let write = |path: String, text: String| {
            let path = proc.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, text).expect("written");
        };
        for (pid, parent, state) in processes {
            write(format!("{pid}/stat"), format!("{pid} (x) {state} {parent} 0 0 0 0 0 0 0 0 0 1 2 0 0 0 0 0 0 {pid}"));
            let children = processes.iter().filter(|(_, of, _)| of == pid).map(|(child, ..)| format!("{child} "));
            let (first, second): (Vec<_>, Vec<_>) = children.enumerate().partition(|(n, _)| n % 2 == 0);
            // A thread's list has only the children that this thread has started.
            for (thread, list) in [(*pid, first), (pid + 1000, second)] {
                let list = list.into_iter().map(|(_, child)| child).collect();
                write(format!("{pid}/task/{thread}/children"), list);
            }
        }
        write("self/stat".into(), "not a number".into());
        proc
    }

    #[test]
    fn both_ways_of_finding_descendants_find_all_of_them_and_no_others() {
        let proc = fixture(&[
            (1, 0, 'S'),
            (10, 1, 'S'),
            (11, 10, 'S'),
            (12, 10, 'S'),
            (13, 10, 'R'),
            (14, 12, 'Z'),
            (15, 12, 'S'),
            (20, 1, 'S'),
        ]);
        let sorted = |found: Vec<Stat>| {
            let mut pids: Vec<i32> = found.iter().map(|process| process.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(sorted(below(10, proc.path(), true)), [11, 12, 13, 15]);
        assert_eq!(sorted(below(10, proc.path(), false)), [11, 12, 13, 15]);
        assert_eq!(sorted(below(99, proc.path(), false)), [] as [i32; 0]);
    }

    #[test]
    fn a_tree_that_computes_is_told_from_one_that_waits_and_ended_children_count() {
        let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let mut shell = std::process::Command::new("/bin/sh");
        let script = format!("sh -c '{burn}'; read go; sh -c 'while :; do :; done'");
        let mut shell = shell.args(["-c", &script]).stdin(std::process::Stdio::piped()).spawn().expect("a shell");
        let pid = i32::try_from(shell.id()).expect("a pid");
        let deadline = Deadline::after(Duration::from_secs(30));
        let until = |wanted: fn(Activity) -> bool| {
            while !wanted(Activity::of(pid)) {
                assert!(!deadline.passed(), "never seen");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        until(|now| now.cpu > Duration::ZERO && !now.runnable);
        drop(shell.stdin.take());
        until(|now| now.runnable);
        kill_all(pid, deadline, || descendants(pid).is_empty());
        shell.kill().expect("killed");
        shell.wait().expect("reaped");
    }

    #[test]
    fn nobody_stays_stopped_where_the_time_was_too_short() {
        let script = "sleep 300 & read never";
        let mut shell = std::process::Command::new("/bin/sh");
        let mut shell = shell.args(["-c", script]).stdin(std::process::Stdio::piped()).spawn().expect("a shell");
        let pid = i32::try_from(shell.id()).expect("a pid");
        let deadline = Deadline::after(Duration::from_secs(20));
        while descendants(pid).is_empty() {
            assert!(!deadline.passed(), "no grandchild");
        }
        let own = Stat::read(Path::new(PROC), pid).expect("the shell");
        send(&own, Signal::STOP).expect("sent");
        send(&descendants(pid)[0], Signal::STOP).expect("sent");
        release(&[own], &descendants(pid));
        while Stat::read(Path::new(PROC), pid).is_some_and(|now| now.state == b'T') || !descendants(pid).is_empty() {
            assert!(!deadline.passed(), "stopped still");
        }
        shell.kill().expect("killed");
        shell.wait().expect("reaped");
    }

    #[test]
    fn a_grandchild_is_found_and_killed() {
        let mut shell =
            std::process::Command::new("/bin/sh").args(["-c", "sleep 300 & wait"]).spawn().expect("a shell");
        let pid = i32::try_from(shell.id()).expect("a pid");
        let deadline = Deadline::after(Duration::from_secs(20));
        while descendants(pid).is_empty() {
            assert!(!deadline.passed(), "no grandchild");
        }
        kill_all(pid, deadline, || descendants(pid).is_empty());
        assert!(!deadline.passed());
        shell.kill().expect("killed");
        shell.wait().expect("reaped");
    }
}
