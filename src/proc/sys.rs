//! The only `unsafe` code: what happens between `fork` and `exec`, and the keeper.
//!
//! A check's process is not started by the probe itself but by a *keeper*: a fork of the probe that executes nothing
//! else, is a child subreaper and has nothing to do but to wait. Every process of the tree, however often it forks
//! or calls setsid, becomes the keeper's child once its own parent is gone. So the keeper knows exactly which
//! processes belong to the check, its accumulated usage is that of the whole tree, and since it holds one end of a
//! socket (the *leash*) whose other end is the probe's, it ends the whole tree when the probe dies, even of SIGKILL.
//!
//! ```text
//! probe ──leash── keeper (own session, subreaper, all signals blocked)
//!                   └── the program (own process group, dies with the keeper) ── …
//! ```
//!
//! After a fork of a process with several threads only async-signal-safe calls are allowed: nothing here takes a
//! lock or memory from the heap after the fork.

#![expect(unsafe_code, reason = "fork, prctl and wait4 have no safe interface that may be used after fork")]

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use super::leash::{Record, RecordKind};

/// The keeper's file descriptor for its end of the leash; every other descriptor is closed.
const LEASH: RawFd = 3;

/// Rounds of killing, two milliseconds apart, before a keeper gives up on a tree that the probe left behind.
const LAST_ROUNDS: u32 = 5_000;

/// Soft limits that the probe has changed for itself; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SoftLimits {
    /// Open files.
    pub(super) files: Option<u64>,
    /// Bytes of a core dump.
    pub(super) core: Option<u64>,
}

/// Makes `command` start its program under a keeper that holds `leash`; the child that [`Command::spawn`] returns is
/// the keeper. `limits` are those that the program shall find.
///
/// The caller keeps `leash` open until the spawn has returned.
pub(super) fn with_keeper(command: &mut Command, leash: RawFd, limits: SoftLimits) {
    // SAFETY: `divide` makes async-signal-safe calls only: no allocation, no lock, no panic path.
    unsafe { command.pre_exec(move || divide(leash, limits)) };
}

/// Ends this process at once: no destructor and no exit handler runs while other threads are still at work.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// The processor time of a process so far, one that has ended and waits to be reaped included. One system call, where
/// /proc takes a dozen and leaves entries behind that the kernel has to clear away when the process is reaped.
pub(super) fn cpu_time(pid: i32) -> Option<Duration> {
    let mut clock = MaybeUninit::<libc::clockid_t>::uninit();
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: each call fills what it is given a pointer to, or says that it has not.
    let time = unsafe {
        if libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) != 0
            || libc::clock_gettime(clock.assume_init(), time.as_mut_ptr()) != 0
        {
            return None;
        }
        time.assume_init()
    };
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// Keeps the heap small for a process of many threads and a few large messages.
///
/// glibc gives every thread an arena of its own and, once a large piece has been freed, serves the next large ones
/// from them too, where they stay: a pass over many servers then holds on to tens of MiB that nobody uses.
pub(super) fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    {
        /// Pieces from this size on come from the system and go back to it: glibc's own value before it learns.
        const LARGE: libc::c_int = 128 << 10;
        const ARENAS: libc::c_int = 2;
        // SAFETY: sets two numbers of the allocator; a value it refuses changes nothing.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        }
    }
}

/// Runs in the child that the standard library forked: forks once more, becomes the keeper in the parent and
/// returns in the child, where the standard library goes on to execute the program.
fn divide(leash: RawFd, limits: SoftLimits) -> io::Result<()> {
    // SAFETY: plain system calls on memory of this frame; `fork` is followed by async-signal-safe calls only.
    unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        // From here on no signal meant for the probe's group is handled by a copy of the probe's handlers.
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        // A session of its own, without a controlling terminal: a program that wants a passphrase fails at once
        // instead of asking in the middle of somebody's table.
        libc::setsid();
        // Before the fork, so that no orphan can slip past. Not inherited.
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let keeper = libc::getpid();
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                become_program(keeper, limits);
                Ok(())
            }
            program => keep(program, leash),
        }
    }
}

/// The last preparations of the process that is about to execute the program.
///
/// # Safety
/// Only between `fork` and `exec`.
unsafe fn become_program(keeper: libc::pid_t, limits: SoftLimits) {
    // SAFETY: plain system calls on memory of this frame.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::getppid() != keeper {
            // The keeper was killed before the line above: nobody is left who would end this process.
            libc::_exit(127);
        }
        libc::setpgid(0, 0);
        // Ignored signals stay ignored over exec; a program started from cron or nohup must be like any other.
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        for (resource, soft) in [(libc::RLIMIT_NOFILE, limits.files), (libc::RLIMIT_CORE, limits.core)] {
            let Some(soft) = soft else { continue };
            let mut limit = MaybeUninit::<libc::rlimit>::uninit();
            if libc::getrlimit(resource, limit.as_mut_ptr()) == 0 {
                let mut limit = limit.assume_init();
                limit.rlim_cur = soft.min(limit.rlim_max);
                libc::setrlimit(resource, &limit);
            }
        }
        // Descriptors that the probe itself inherited, from whoever started it, may lack the close-on-exec flag.
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
            for fd in 3..4096 {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// The keeper's life: reap, report, and end everything when the leash goes slack.
///
/// # Safety
/// Only in a process forked for this, which has no other thread.
unsafe fn keep(program: libc::pid_t, leash: RawFd) -> ! {
    // SAFETY: plain system calls on memory of this frame, in a process with one thread.
    unsafe {
        libc::dup2(leash, LEASH);
        // Above all the program's ends of its pipes and the pipe over which the standard library waits for exec.
        close_from_to(0, LEASH - 1);
        close_from_to(LEASH + 1, RawFd::MAX);
        libc::prctl(libc::PR_SET_NAME, c"lab-probe-keep".as_ptr(), 0, 0, 0);
        let mut child_ended = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(child_ended.as_mut_ptr());
        libc::sigaddset(child_ended.as_mut_ptr(), libc::SIGCHLD);
        // SIGCHLD is blocked, so none is lost between the fork and this line.
        let ended = libc::signalfd(-1, child_ended.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
        report(RecordKind::Started, i64::from(program), None);
        loop {
            reap(program);
            let mut fds = [
                libc::pollfd { fd: LEASH, events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 },
            ];
            // Without a signalfd (no memory for one) this falls back to looking every 20 ms.
            let patience = if ended < 0 { 20 } else { -1 };
            libc::poll(fds.as_mut_ptr(), 2, patience);
            if fds[0].revents != 0 {
                let mut byte = 0_u8;
                let got = libc::recv(LEASH, (&raw mut byte).cast(), 1, libc::MSG_DONTWAIT);
                let nothing_yet = got < 0 && *libc::__errno_location() == libc::EAGAIN;
                if got <= 0 && !nothing_yet {
                    end_all(program);
                }
            }
            if fds[1].revents != 0 {
                let mut info = [0_u8; 128 * 4];
                libc::read(ended, info.as_mut_ptr().cast(), info.len());
            }
        }
    }
}

/// Reaps whatever has ended; the keeper's own end comes with that of its last child.
///
/// # Safety
/// Only in the keeper.
unsafe fn reap(program: libc::pid_t) {
    loop {
        let mut status = 0;
        // SAFETY: plain system calls on memory of this frame.
        unsafe {
            match libc::waitpid(-1, &mut status, libc::WNOHANG) {
                0 => return,
                pid if pid == program => report(RecordKind::Exited, i64::from(status), None),
                pid if pid > 0 => {}
                _ if *libc::__errno_location() == libc::EINTR => {}
                _ if *libc::__errno_location() == libc::ECHILD => {
                    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
                    libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
                    report(RecordKind::Done, 0, Some(&usage.assume_init()));
                    libc::_exit(0);
                }
                _ => return,
            }
        }
    }
}

/// Tells the probe; it may be gone, and nothing follows from that here.
///
/// # Safety
/// Only in the keeper.
unsafe fn report(kind: RecordKind, value: i64, usage: Option<&libc::rusage>) {
    let micros = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    let record = Record {
        kind,
        value,
        cpu_micros: usage.map_or(0, |u| micros(u.ru_utime) + micros(u.ru_stime)),
        max_rss_kib: usage.map_or(0, |u| u.ru_maxrss),
    };
    let bytes = record.encode();
    // SAFETY: the buffer lives to the end of the call.
    unsafe { libc::send(LEASH, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
}

/// The probe is gone: kill children until none is left. Those of a killed one become the keeper's own.
///
/// # Safety
/// Only in the keeper.
unsafe fn end_all(program: libc::pid_t) -> ! {
    // SAFETY: plain system calls on memory of this frame. Only the keeper reaps its children, so their numbers
    // cannot have passed to other processes.
    unsafe {
        let keeper = libc::getpid();
        libc::kill(-program, libc::SIGKILL);
        for _ in 0..LAST_ROUNDS {
            // Stopped first: what is stopped does not fork while the others are killed.
            for_each_child(keeper, |pid| {
                libc::kill(pid, libc::SIGSTOP);
            });
            for_each_child(keeper, |pid| {
                libc::kill(pid, libc::SIGKILL);
            });
            reap(program);
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
            libc::nanosleep(&pause, std::ptr::null_mut());
        }
        libc::_exit(1)
    }
}

/// Calls `found` with every process in /proc whose parent is `parent`, without the heap.
///
/// # Safety
/// Plain system calls only; safe anywhere, kept unsafe because `found` acts on process numbers.
unsafe fn for_each_child(parent: libc::pid_t, found: impl Fn(libc::pid_t)) {
    // SAFETY: getdents64 fills at most the buffer; every record in it is walked by its own length.
    unsafe {
        let proc = libc::open(c"/proc".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if proc < 0 {
            return;
        }
        let mut buffer = [0_u8; 4096];
        loop {
            let got = libc::syscall(libc::SYS_getdents64, proc, buffer.as_mut_ptr(), buffer.len());
            let Ok(got @ 1..) = usize::try_from(got) else { break };
            let mut rest = &buffer[..got.min(buffer.len())];
            // A record: inode 8, offset 8, length 2, type 1, name with NUL.
            while let Some(length) = rest.get(16..18) {
                let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
                let Some(record) = rest.get(..length).filter(|r| r.len() > 19) else { break };
                if let Ok(name) = CStr::from_bytes_until_nul(&record[19..])
                    && let Some(pid) = number(name.to_bytes())
                    && parent_of(proc, name) == Some(parent)
                {
                    found(pid);
                }
                rest = &rest[length..];
            }
        }
        libc::close(proc);
    }
}

/// The parent of a process, from `PID/stat`, field 4 (proc(5)).
///
/// # Safety
/// `proc` is an open directory.
unsafe fn parent_of(proc: RawFd, pid: &CStr) -> Option<libc::pid_t> {
    let mut path = [0_u8; 32];
    let name = pid.to_bytes();
    path.get_mut(..name.len())?.copy_from_slice(name);
    path.get_mut(name.len()..name.len() + 6)?.copy_from_slice(b"/stat\0");
    let mut text = [0_u8; 512];
    // SAFETY: `path` ends in NUL; `read` fills at most the buffer.
    let got = unsafe {
        let file = libc::openat(proc, path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return None;
        }
        let got = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        got
    };
    let text = text.get(..usize::try_from(got).ok()?)?;
    // The name in parentheses may itself hold parentheses and spaces: the last one closes it.
    let after = text.iter().rposition(|&b| b == b')')?;
    let mut fields = text.get(after + 1..)?.split(|&b| b == b' ').filter(|f| !f.is_empty());
    number(fields.nth(1)?)
}

fn number(digits: &[u8]) -> Option<libc::pid_t> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |n, &b| b.is_ascii_digit().then(|| n * 10 + libc::pid_t::from(b - b'0')))
}

/// Closes the descriptors `first..=last`.
///
/// # Safety
/// Only where nobody uses them.
unsafe fn close_from_to(first: RawFd, last: RawFd) {
    // SAFETY: closing a descriptor that is not open does nothing.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
            for fd in first..=last.min(4096) {
                libc::close(fd);
            }
        }
    }
}
