//! The processes of this machine, as /proc shows them (proc(5)): the one reader of it.
//!
//! [`ProcessTable`] is read once a pass, when somebody first asks, and shared by everybody: which test runners are
//! alive, who stands in a worktree, whether a service runs, which MCP servers were left behind. [`Stat`] is a single
//! process read now, for whoever ends a process tree.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock;

pub(super) const PROC: &str = "/proc";

/// Of a command line so much is read: words that far behind name nothing any more.
const MAX_COMMAND_LINE_BYTES: usize = 16 << 10;

/// 52 numbers of at most 20 digits, and a name.
const STAT_BYTES: usize = 2 << 10;

const MAX_PROCESSES: usize = 100_000;

/// include/linux/sched.h
const PF_KTHREAD: u64 = 0x0020_0000;

/// No line of descent is longer, unless processes came and went while it was followed.
const MAX_GENERATIONS: usize = 256;

/// The systemd unit that this process runs in, by its control group: `lab-probe@alice.service`, `session-3.scope`;
/// empty where systemd keeps none for it.
pub fn own_unit() -> String {
    unit_of(&std::fs::read_to_string(Path::new(PROC).join("self/cgroup")).unwrap_or_default())
}

/// [`own_unit`] by the text of cgroups(7): the hierarchy of version 2, or the one that systemd names in version 1.
fn unit_of(groups: &str) -> String {
    let paths = groups.lines().filter_map(|line| line.split_once("::").or_else(|| line.split_once(":name=systemd:")));
    let is_unit = |name: &&str| name.ends_with(".service") || name.ends_with(".scope");
    let mut units = paths.filter_map(|(_, path)| path.rsplit('/').find(is_unit));
    units.next().unwrap_or_default().to_owned()
}

/// What the kernel says of one process in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stat {
    /// Its number, which may be given to another process once this one was reaped.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22). Together with the number it is this process's identity.
    pub start_ticks: u64,
    /// The number of its parent (field 4).
    pub parent: i32,
    /// `R`, `S`, `D`, `Z`, `T`, … (field 3).
    pub state: u8,
    /// User and system time so far, in steps of a clock tick (fields 14 and 15).
    pub cpu: Duration,
    /// The same of its children that have ended and that it has waited for (fields 16 and 17).
    pub reaped_cpu: Duration,
    /// Resident memory (field 24, in pages there).
    pub rss_bytes: u64,
    /// PF_KTHREAD among its flags (field 9).
    is_kernel_thread: bool,
}

impl Stat {
    /// Reads it now; `None` if there is no such process any more.
    pub(super) fn read(proc: &Path, pid: i32) -> Option<Stat> {
        Stat::parse(pid, &contents(&proc.join(pid.to_string()).join("stat"), STAT_BYTES).ok()?)
    }

    /// Whether the process or thread with this number that started then is still there.
    pub fn is_there(pid: i32, start_ticks: u64) -> bool {
        Stat::read(Path::new(PROC), pid).is_some_and(|now| now.start_ticks == start_ticks && !now.is_zombie())
    }

    pub(super) fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
        // The name in parentheses may itself hold parentheses and spaces: the last one closes it.
        let after = text.iter().rposition(|&b| b == b')')?;
        let text = std::str::from_utf8(text.get(after + 1..)?).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        // `fields[0]` is field 3.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Stat {
            pid,
            start_ticks: number(22)?,
            parent: fields.get(1)?.parse().ok()?,
            state: *fields.first()?.as_bytes().first()?,
            cpu: of_ticks(number(14)?.saturating_add(number(15)?)),
            reaped_cpu: of_ticks(number(16)?.saturating_add(number(17)?)),
            rss_bytes: number(24).unwrap_or(0).saturating_mul(rustix::param::page_size() as u64),
            is_kernel_thread: number(9)? & PF_KTHREAD != 0,
        })
    }

    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub stat: Stat,
    /// When it started, by the wall clock; exact to about 10 ms. Compare [`Stat::start_ticks`] to know a process again.
    pub started_at: Timestamp,
    /// The effective user. A process that is not dumpable shows as root's (proc(5)).
    pub uid: u32,
    /// Its command line, empty for a zombie. A program that rewrites its title (`nginx: master
    /// process`, npm) leaves a single word with blanks, which is split here.
    pub arguments: Vec<String>,
    /// Its current directory; `None` for other users' processes, whose directory cannot be read.
    pub directory: Option<PathBuf>,
}

#[derive(Debug)]
pub struct ProcessTable {
    proc: PathBuf,
    processes: OnceLock<io::Result<BTreeMap<i32, Process>>>,
}

impl Default for ProcessTable {
    fn default() -> Self {
        ProcessTable::of(PROC)
    }
}

impl ProcessTable {
    /// The processes shown in another directory than /proc: a container's, or a test's.
    pub fn of(proc: impl Into<PathBuf>) -> ProcessTable {
        ProcessTable { proc: proc.into(), processes: OnceLock::new() }
    }

    /// Every process but the kernel's threads, in the order of their numbers. The first call reads them, some 20 µs each.
    /// Errors: When /proc cannot be listed; a single process that cannot be read is left out.
    pub fn all(&self) -> Result<impl Iterator<Item = &Process>, &io::Error> {
        self.read().map(BTreeMap::values)
    }

    pub fn get(&self, pid: i32) -> Option<&Process> {
        self.read().ok()?.get(&pid)
    }

    pub fn ancestors(&self, process: &Process) -> impl Iterator<Item = &Process> {
        std::iter::successors(self.get(process.stat.parent), |process| self.get(process.stat.parent))
            .take(MAX_GENERATIONS)
    }

    /// Processes that stand in a directory that `holds` is true of; this one and those it has started are left out.
    pub fn standing_in(&self, holds: impl Fn(&Path) -> bool) -> impl Iterator<Item = &Process> {
        let inside = move |process: &&Process| process.directory.as_deref().is_some_and(&holds);
        self.all().into_iter().flatten().filter(inside).filter(|process| !self.is_own(process))
    }

    /// Whether it is this process or was started by it: a server under check shows neither that a service runs nor
    /// that a client has left something behind.
    pub fn is_own(&self, process: &Process) -> bool {
        let own = std::process::id().cast_signed();
        process.stat.pid == own || self.ancestors(process).any(|ancestor| ancestor.stat.pid == own)
    }

    fn read(&self) -> Result<&BTreeMap<i32, Process>, &io::Error> {
        self.processes.get_or_init(|| read_all(&self.proc)).as_ref()
    }
}

fn read_all(proc: &Path) -> io::Result<BTreeMap<i32, Process>> {
    let booted_at = clock::booted_at();
    Ok(pids(proc)?.filter_map(|pid| Some((pid, read_process(proc, pid, booted_at)?))).collect())
}

pub(super) fn pids(proc: &Path) -> io::Result<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir(proc)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).take(MAX_PROCESSES))
}

fn read_process(proc: &Path, pid: i32, booted_at: Timestamp) -> Option<Process> {
    let stat = Stat::read(proc, pid).filter(|stat| !stat.is_kernel_thread)?;
    let directory = proc.join(pid.to_string());
    let arguments = arguments(&directory);
    Some(Process {
        stat,
        started_at: booted_at.saturating_add(of_ticks(stat.start_ticks)).ok()?,
        uid: std::fs::metadata(&directory).ok()?.uid(),
        directory: if arguments.is_empty() { None } else { directory.join("cwd").read_link().ok() },
        arguments,
    })
}

/// The beginning of a file of /proc. Those tell no size: without a buffer that is large enough, a file is read piece by piece.
fn contents(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(bytes);
    std::fs::File::open(path)?.take(bytes as u64).read_to_end(&mut buffer)?;
    Ok(buffer)
}

fn arguments(process: &Path) -> Vec<String> {
    let Ok(bytes) = contents(&process.join("cmdline"), MAX_COMMAND_LINE_BYTES) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches('\0');
    match text.split_once('\0') {
        _ if text.is_empty() => Vec::new(),
        Some(_) => text.split('\0').map(str::to_owned).collect(),
        None => text.split_whitespace().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
