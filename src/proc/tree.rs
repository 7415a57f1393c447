//! Process trees as /proc shows them: who descends from whom, what they have used, and ending them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clock::Deadline;

/// One living process: enough to know it again after its number may have been given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// When it started, in clock ticks since boot (proc(5), `stat` field 22).
    started: u64,
    parent: i32,
    /// `R`, `S`, `D`, `Z`, `T`, … (field 3).
    state: u8,
    /// User and system time so far, in clock ticks (fields 14 and 15).
    cpu_ticks: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Process> {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Process::parse(pid, &text)
    }

    fn parse(pid: i32, text: &[u8]) -> Option<Process> {
        // The name in parentheses may itself hold parentheses and spaces: the last one closes it.
        let after = text.iter().rposition(|&b| b == b')')?;
        let text = std::str::from_utf8(text.get(after + 1..)?).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        // `fields[0]` is field 3 of proc(5).
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Process {
            pid,
            started: number(22)?,
            parent: fields.get(1)?.parse().ok()?,
            state: *fields.first()?.as_bytes().first()?,
            cpu_ticks: number(14)? + number(15)?,
        })
    }

    /// Neither running nor waiting for a disk: it waits for somebody.
    fn waits(self) -> bool {
        !matches!(self.state, b'R' | b'D')
    }

    fn is_zombie(self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Sends a signal to this very process, never to another one that got its number in the meantime.
    pub(super) fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // The descriptor is bound to whoever has the number now; that it is still the same one is seen afterwards.
            Ok(descriptor) if Process::read(self.pid).is_some_and(|now| now.started == self.started) => {
                let _ = pidfd_send_signal(descriptor, signal);
            }
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
                let _ = rustix::process::kill_process(pid, signal);
            }
            // Gone.
            _ => {}
        }
    }
}

/// Every living descendant of `root`, parents first; zombies are left out, for they are only waiting to be reaped.
pub(super) fn descendants(root: i32) -> Vec<Process> {
    let mut found = if has_children_files() { by_children_files(root) } else { by_scan(root) };
    found.retain(|p| !p.is_zombie());
    found
}

/// Children of `root` that have ended and wait to be reaped.
pub(super) fn dead_children(root: i32) -> Vec<i32> {
    let found = if has_children_files() {
        children_of(root).into_iter().filter_map(Process::read).collect()
    } else {
        by_scan(root)
    };
    found.into_iter().filter(|p| p.parent == root && p.is_zombie()).map(|p| p.pid).collect()
}

/// Whether the kernel lists a task's children (`CONFIG_PROC_CHILDREN`): then a small tree is read without looking at
/// every process of the machine.
fn has_children_files() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| std::fs::metadata("/proc/thread-self/children").is_ok())
}

fn by_children_files(root: i32) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for pid in children_of(parent) {
            if seen.insert(pid)
                && let Some(process) = Process::read(pid)
            {
                found.push(process);
                parents.push(pid);
            }
        }
    }
    found
}

fn children_of(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn by_scan(root: i32) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in pids.filter_map(Process::read) {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let of_parent = children.remove(&parent.pid).unwrap_or_default();
        found.extend(of_parent);
        next += 1;
    }
    found
}

/// What a tree was doing at one moment; two of them tell whether it worked in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Activity {
    processes: BTreeMap<i32, u64>,
    all_wait: bool,
}

impl Activity {
    pub(super) fn of(root: i32) -> Activity {
        let tree = descendants(root);
        Activity {
            all_wait: tree.iter().all(|p| p.waits()),
            processes: tree.iter().map(|p| (p.pid, p.cpu_ticks)).collect(),
        }
    }

    /// Whether nothing was done since `earlier`: the same processes, no processor time, nobody running.
    pub(super) fn idle_since(&self, earlier: &Activity) -> bool {
        self.all_wait && earlier.all_wait && self.processes == earlier.processes
    }
}

/// Between two rounds of killing.
const ROUND: Duration = Duration::from_millis(2);

/// After so many rounds that each found somebody new, the known ones are killed all the same.
const PATIENCE: u32 = 16;

/// Kills every descendant of `root` until `is_gone` says so or nothing living is left, or `until` has passed.
///
/// A process that forks faster than a list of processes can be read is stopped first: what is stopped cannot fork,
/// so each round leaves fewer that can, and only when a round finds nobody new is everybody killed.
pub(super) fn kill_all(root: i32, until: Deadline, mut is_gone: impl FnMut() -> bool) {
    let mut stopped: BTreeSet<(i32, u64)> = BTreeSet::new();
    let mut rounds = 0_u32;
    while !is_gone() && !until.passed() {
        let living = descendants(root);
        let fresh: Vec<&Process> = living.iter().filter(|p| !stopped.contains(&(p.pid, p.started))).collect();
        let settled = fresh.is_empty();
        for process in fresh {
            process.signal(Signal::STOP);
            stopped.insert((process.pid, process.started));
        }
        rounds += 1;
        if settled || rounds.is_multiple_of(PATIENCE) {
            for process in &living {
                process.signal(Signal::KILL);
            }
            std::thread::sleep(ROUND.min(until.left()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = b"42 (a) S 1 (b)) R 7 42 42 0 -1 4194560 1 0 0 0 12 34 0 0 20 0 1 0 987 1 1 18446744073709551615";
        let process = Process::parse(42, line).expect("parsed");
        assert_eq!((process.parent, process.cpu_ticks, process.started), (7, 46, 987));
        assert!(!process.waits());
        assert_eq!(Process::parse(1, b"1 (x) S"), None);
    }

    #[test]
    fn both_ways_of_finding_descendants_see_a_grandchild() {
        let mut shell = std::process::Command::new("/bin/sh").args(["-c", "sleep 30 & wait"]).spawn().expect("a shell");
        let root = i32::try_from(std::process::id()).expect("a pid");
        let shell_pid = i32::try_from(shell.id()).expect("a pid");
        let deadline = Deadline::after(Duration::from_secs(10));
        let sees_both = |found: Vec<Process>| {
            found.iter().any(|p| p.pid == shell_pid) && found.iter().any(|p| p.parent == shell_pid)
        };
        while !sees_both(by_scan(root)) {
            assert!(!deadline.passed(), "{:?}", by_scan(root));
        }
        if has_children_files() {
            assert!(sees_both(by_children_files(root)));
        }
        kill_all(shell_pid, deadline, || false_once_alone(shell_pid));
        shell.kill().expect("killed");
        shell.wait().expect("reaped");
    }

    fn false_once_alone(shell: i32) -> bool {
        descendants(shell).is_empty()
    }
}
