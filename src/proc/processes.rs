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
    /// User and system time so far, in clock ticks (fields 14 and 15).
    pub cpu_ticks: u64,
    /// The same of its children that have ended and that it has waited for (fields 16 and 17).
    pub reaped_ticks: u64,
    /// Resident memory in pages (field 24).
    pub rss_pages: u64,
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
            cpu_ticks: number(14)? + number(15)?,
            reaped_ticks: number(16)? + number(17)?,
            rss_pages: number(24).unwrap_or(0),
        })
    }

    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Number, parent, state and what it has used.
    pub stat: Stat,
    /// When it started, by the wall clock; exact to about 10 ms. Compare [`Stat::start_ticks`] to know a process again.
    pub started_at: Timestamp,
    pub cpu: Duration,
    pub rss_bytes: u64,
    /// The effective user. A process that is not dumpable shows as root's (proc(5)).
    pub uid: u32,
    /// Its command line, empty for a kernel thread or a zombie. A program that rewrites its title (`nginx: master
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

    /// Every process, in the order of their numbers. The first call reads them, some 20 µs each.
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
    let now = Now::read(proc);
    Ok(pids(proc)?.filter_map(|pid| Some((pid, read_process(proc, pid, &now)?))).collect())
}

pub(super) fn pids(proc: &Path) -> io::Result<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir(proc)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).take(MAX_PROCESSES))
}

fn read_process(proc: &Path, pid: i32, now: &Now) -> Option<Process> {
    let stat = Stat::read(proc, pid)?;
    let directory = proc.join(pid.to_string());
    let arguments = arguments(&directory);
    Some(Process {
        stat,
        started_at: now.wall - (now.since_boot.saturating_sub(now.ticks(stat.start_ticks))),
        cpu: now.ticks(stat.cpu_ticks),
        rss_bytes: stat.rss_pages * now.page_bytes,
        uid: std::fs::metadata(&directory).ok()?.uid(),
        directory: if arguments.is_empty() { None } else { directory.join("cwd").read_link().ok() },
        arguments,
    })
}

struct Now {
    wall: Timestamp,
    since_boot: Duration,
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Now {
    fn read(proc: &Path) -> Now {
        let uptime = std::fs::read_to_string(proc.join("uptime")).unwrap_or_default();
        let seconds = uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
        Now {
            wall: clock::now(),
            since_boot: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    fn ticks(&self, ticks: u64) -> Duration {
        Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second)
    }
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
pub(crate) mod tests {
    use super::*;

    /// A /proc with one more process; `stat` as proc(5) has it with `parent`.
    pub(crate) fn add_process(proc: &Path, pid: i32, parent: i32, command: &str, cwd: Option<&str>) {
        let directory = proc.join(pid.to_string());
        std::fs::create_dir_all(&directory).expect("a directory");
        let stat = format!("{pid} (a) S (b)) S {parent} 7 7 0 -1 0 1 0 0 0 12 34 0 0 20 0 1 0 {pid} 4096 25 0");
        std::fs::write(directory.join("stat"), stat).expect("written");
        std::fs::write(directory.join("cmdline"), command).expect("written");
        if let Some(cwd) = cwd {
            std::os::unix::fs::symlink(cwd, directory.join("cwd")).expect("a link");
        }
    }

    #[test]
    fn the_unit_of_a_process_is_found_in_both_versions_of_control_groups() {
        let path = "/system.slice/system-lab\\x2dprobe.slice/lab-probe@alice.service";
        assert_eq!(unit_of(&format!("0::{path}\n")), "lab-probe@alice.service");
        assert_eq!(unit_of(&format!("5:pids:/docker\n1:name=systemd:{path}\n0::/\n")), "lab-probe@alice.service");
        assert_eq!(unit_of("0::/user.slice/user-7.slice/session-3.scope\n"), "session-3.scope");
        assert_eq!(unit_of("0::/\n"), "");
    }

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = b"42 (a) S 1 (b)) R 7 42 42 0 -1 4194560 1 0 0 0 12 34 5 6 20 0 1 0 987 1 25 18446744073709551615";
        let stat = Stat::parse(42, line).expect("parsed");
        assert_eq!((stat.parent, stat.cpu_ticks, stat.reaped_ticks, stat.start_ticks), (7, 46, 11, 987));
        assert_eq!(stat.rss_pages, 25);
        assert_eq!(stat.state, b'R');
        assert_eq!(Stat::parse(1, b"1 (x) S"), None);
    }

    #[test]
    fn every_process_is_read_with_its_command_line_and_its_ancestors() {
        let proc = tempfile::tempdir().expect("a directory");
        std::fs::write(proc.path().join("uptime"), "1000.00 1.0\n").expect("written");
        let own = std::process::id().cast_signed();
        add_process(proc.path(), own, 1, "lab-probe\0", None);
        add_process(proc.path(), 2_000_020, own, "pytest\0-q\0\0", Some("/w/sub"));
        add_process(proc.path(), 2_000_021, 2_000_020, "nginx: master process\0", None);
        add_process(proc.path(), 2_000_022, 1, "", Some("/w"));
        std::fs::create_dir(proc.path().join("self")).expect("a directory");
        let table = ProcessTable::of(proc.path());
        let found: Vec<(&[String], Option<&Path>)> =
            table.all().expect("listed").skip(1).map(|p| (&p.arguments[..], p.directory.as_deref())).collect();
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let title = words("nginx: master process");
        assert_eq!(found, [(&words("pytest -q")[..], Some(Path::new("/w/sub"))), (&title[..], None), (&[][..], None)]);
        let process = |pid: i32| table.get(pid).expect("there");
        assert!(table.is_own(process(2_000_021)) && table.is_own(process(own)));
        assert!(!table.is_own(process(2_000_022)));
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(process(own).cpu, Duration::from_millis(46_000 / ticks));
        assert_eq!(process(own).rss_bytes, 25 * rustix::param::page_size() as u64);
    }

    #[test]
    fn this_process_is_found_with_its_directory_and_the_time_of_its_start() {
        let table = ProcessTable::default();
        let own = table.get(std::process::id().cast_signed()).expect("this process");
        assert_eq!(own.directory.as_deref(), std::env::current_dir().ok().as_deref());
        assert_eq!(own.arguments.len(), std::env::args().count());
        let age = clock::now().duration_since(own.started_at);
        assert!(age.as_secs() < 3600 && age.as_secs() >= 0, "{age:?}");
        assert!(own.rss_bytes > 1 << 20);
        assert!(ProcessTable::of("/nowhere").all().is_err());
    }
}
