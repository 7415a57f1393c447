//! The only `unsafe` code: what happens between `clone` and `exec`, and the keeper.
//!
//! A check's process is not started by the probe itself but by a *keeper*: a process that executes nothing else, is a
//! child subreaper and has nothing to do but to wait. Every process of the tree, however often it forks or calls
//! setsid, becomes the keeper's child once its own parent is gone. So the keeper knows exactly which processes belong
//! to the check, its accumulated usage is that of the whole tree, and since it holds one end of a socket (the *leash*)
//! whose other end is the probe's, it ends the whole tree when the probe dies, even of SIGKILL.
//!
//! ```text
//! probe ──leash── keeper (own session, subreaper, all signals blocked)
//!                   └── the program (own process group, dies with the keeper) ── …
//! ```
//!
//! The keeper shares the probe's memory and nothing else: it has its own descriptors, signals and stack. A fork would
//! copy page tables and mappings of a process with hundreds of threads, twice a check, and make the probe pay again
//! for every page it writes afterwards. Sharing has a price: the keeper must take no lock and no memory from the heap,
//! and once the probe's thread goes on it must not touch `errno`, which is that thread's. Until then, and in the
//! program's process before its `exec`, the C library may be called. The memory outlives the probe as long as a keeper
//! does.
//!
//! That the program is executed the probe learns from the kernel, by a word in memory, and not from the keeper: a
//! program may stop its keeper with its first instruction.

#![expect(unsafe_code, reason = "clone, prctl and wait4 have no safe interface that may be used here")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::param::page_size;

use super::leash::{RECORD_BYTES, Record, RecordKind};

/// A keeper's stack with that of the program's process before its `exec`, half each. Below them lies a page that nothing
/// may touch.
const STACKS: usize = 128 << 10;

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

/// What a keeper is to start.
pub(super) struct Program<'a> {
    pub(super) file: &'a Path,
    /// What the program finds as its own name.
    pub(super) name: &'a OsStr,
    pub(super) args: &'a [OsString],
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) directory: &'a Path,
    /// Its standard input, output and error.
    pub(super) streams: [BorrowedFd<'a>; 3],
    /// Those that it shall find.
    pub(super) limits: SoftLimits,
    /// Signals to be set to their default, a bit each from signal 1 on; handlers are dropped by the exec.
    pub(super) ignored_signals: u64,
}

/// A keeper's process. Its number and its stack are its own until it has been reaped.
pub(super) struct Keeper {
    pid: libc::pid_t,
    stacks: Option<Stacks>,
}

impl Keeper {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end.
    pub(super) fn reap(&mut self) {
        let Some(stacks) = self.stacks.take() else { return };
        // SAFETY: plain system calls on no memory. Whoever else may have reaped it (ECHILD), it has ended.
        while unsafe { libc::waitpid(self.pid, ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        stacks.put_back();
    }

    /// Kills it, unless it was reaped.
    pub(super) fn kill(&self) {
        if self.stacks.is_some() {
            // SAFETY: a plain system call.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }
}

/// The lowest byte of a keeper's stacks, which the probe itself never touches.
struct Stacks(*mut libc::c_void);

// SAFETY: only the address is kept; nobody reads or writes through it in this process.
unsafe impl Send for Stacks {}

/// Stacks of keepers that have ended: unmapping memory disturbs every thread, so they are used again.
static SPARE: Mutex<Vec<Stacks>> = Mutex::new(Vec::new());

impl Stacks {
    fn take() -> io::Result<Stacks> {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.map_or_else(|| Stacks::map(page_size()), Ok)
    }

    /// The keeper has ended, or was never made.
    fn put_back(self) {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// The page comes on top of the stacks: 64 KiB, as some arm64 kernels have them, would be all of the program's.
    fn map(page: usize) -> io::Result<Stacks> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping, and the lowest page of it made inaccessible.
        unsafe {
            let base = libc::mmap(ptr::null_mut(), page + STACKS, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            libc::mprotect(base, page, libc::PROT_NONE);
            Ok(Stacks(base.byte_add(page)))
        }
    }

    /// Above the keeper's stack.
    fn words(&self) -> *mut Words {
        // SAFETY: inside the mapping, whose end is aligned.
        unsafe { self.0.byte_add(STACKS - WORDS).cast() }
    }

    fn keepers(&self) -> *mut libc::c_void {
        self.words().cast()
    }

    fn programs(&self) -> *mut libc::c_void {
        // SAFETY: inside the mapping; stacks grow down.
        unsafe { self.0.byte_add(STACKS / 2) }
    }
}

/// Words that the kernel writes: they live as long as the keeper may.
#[repr(C)]
struct Words {
    /// 0 once the keeper has ended (CLONE_CHILD_CLEARTID).
    keeper: AtomicI32,
    /// [`NOBODY`], then the number of the program's process (CLONE_PARENT_SETTID), and 0 once it has let go of this
    /// memory: by its exec or by its end.
    program: AtomicI32,
}

/// Kept for [`Words`], and what a stack begins at is aligned to.
const WORDS: usize = 64;

/// There is no process of the program yet.
const NOBODY: i32 = -1;

/// Everything that a keeper needs, as the kernel wants it. It lies in the frame of [`start`], which does not return
/// before the program is executed or will not be.
struct Order {
    file: *const libc::c_char,
    /// `arguments[1..]` for the program, room in front for the shell that runs a script without a first line.
    arguments: *mut *const libc::c_char,
    environment: *const *const libc::c_char,
    directory: *const libc::c_char,
    streams: [RawFd; 3],
    leash: RawFd,
    limits: SoftLimits,
    ignored_signals: u64,
    programs_stack: *mut libc::c_void,
    words: *mut Words,
    keeper: libc::pid_t,
    /// The number of the program's process; 0 if there was none.
    program: libc::pid_t,
    /// Why the program could not be executed; 0 if it was.
    refused: libc::c_int,
}

/// Starts a program under a keeper that holds `leash`. Returns the keeper and the number of the program's process,
/// which is missing if the keeper was killed before it could make one.
pub(super) fn start(program: &Program<'_>, leash: OwnedFd) -> io::Result<(Keeper, Option<i32>)> {
    let file = c_string(program.file.as_os_str())?;
    let directory = c_string(program.directory.as_os_str())?;
    let names = std::iter::once(program.name).chain(program.args.iter().map(OsString::as_os_str));
    let names = names.map(c_string).collect::<io::Result<Vec<_>>>()?;
    let variables = program.environment.iter().map(|(name, value)| {
        let mut variable = name.clone();
        variable.push("=");
        variable.push(value);
        c_string(&variable)
    });
    let variables = variables.collect::<io::Result<Vec<_>>>()?;
    let end = std::iter::once(ptr::null());
    let mut arguments: Vec<_> =
        std::iter::once(SHELL.as_ptr()).chain(names.iter().map(|name| name.as_ptr())).chain(end.clone()).collect();
    let environment: Vec<_> = variables.iter().map(|variable| variable.as_ptr()).chain(end).collect();
    let stacks = Stacks::take()?;
    let mut order = Order {
        file: file.as_ptr(),
        arguments: arguments.as_mut_ptr(),
        environment: environment.as_ptr(),
        directory: directory.as_ptr(),
        streams: program.streams.map(|stream| stream.as_raw_fd()),
        leash: leash.as_raw_fd(),
        limits: program.limits,
        ignored_signals: program.ignored_signals,
        programs_stack: stacks.programs(),
        words: stacks.words(),
        keeper: 0,
        program: 0,
        refused: 0,
    };
    // SAFETY: stacks and words are the keeper's alone; `order` and what it points to live until it was carried out.
    match unsafe { carry_out(&stacks, &raw mut order) } {
        Ok(pid) => {
            let mut keeper = Keeper { pid, stacks: Some(stacks) };
            if order.refused == 0 {
                return Ok((keeper, Some(order.program).filter(|&program| program > 0)));
            }
            keeper.reap();
            Err(io::Error::from_raw_os_error(order.refused))
        }
        Err(error) => {
            stacks.put_back();
            Err(error)
        }
    }
}

/// Runs a script that names no interpreter.
const SHELL: &CStr = c"/bin/sh";

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_nul| io::ErrorKind::InvalidInput.into())
}

/// Makes the keeper's process and waits until the program is executed or will not be. All signals are blocked: the
/// keeper begins so.
///
/// # Safety
/// Nobody else uses `stacks` or `order` meanwhile.
unsafe fn carry_out(stacks: &Stacks, order: *mut Order) -> io::Result<libc::pid_t> {
    let words = stacks.words();
    // SAFETY: plain system calls on memory of this frame and the words; the caller answers for the rest.
    unsafe {
        words.write(Words { keeper: AtomicI32::new(NOBODY), program: AtomicI32::new(NOBODY) });
        let (mut all, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
        let none = ptr::null_mut::<libc::c_void>();
        let keeper =
            libc::clone(be_keeper, stacks.keepers(), flags, order.cast(), none, none, &raw mut (*words).keeper);
        let made = if keeper < 0 { Err(io::Error::last_os_error()) } else { Ok(keeper) };
        if made.is_ok() {
            await_exec(&*words);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        made
    }
}

/// Waits until the program's process has let go of the memory, or the keeper has ended without having made one.
///
/// # Safety
/// A plain system call on the words.
unsafe fn await_exec(words: &Words) {
    loop {
        let keeper = words.keeper.load(Ordering::Acquire);
        let program = words.program.load(Ordering::Acquire);
        if program == 0 || (program == NOBODY && keeper == 0) {
            return;
        }
        // The kernel wakes the waiters of a word when it clears it. Of the other word the next look tells.
        let patience = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let (word, patience) = (words.program.as_ptr().addr(), (&raw const patience).addr());
        // SAFETY: the kernel reads both. Not through the C library: `errno` is in use by the others.
        unsafe { call(libc::SYS_futex, [word, libc::FUTEX_WAIT as usize, program as u32 as usize, patience, 0]) };
    }
}

/// Ends this process at once: no destructor and no exit handler runs while other threads are still at work. Leaves
/// `errno` alone.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
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
            // Setting that fixed this at 128 KiB: the heap would shrink and grow again with every larger piece.
            libc::mallopt(libc::M_TRIM_THRESHOLD, 2 << 20);
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        }
    }
}

/// The keeper's process from its first instruction.
extern "C" fn be_keeper(order: *mut libc::c_void) -> libc::c_int {
    let order: *mut Order = order.cast();
    // SAFETY: `order` is valid until the program is executed; plain system calls otherwise.
    unsafe {
        // A session of its own, without a controlling terminal: a program that wants a passphrase fails at once
        // instead of asking in the middle of somebody's table.
        libc::setsid();
        // Before the program is there, so that no orphan can slip past. Not inherited.
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_NAME, c"lab-probe-keep".as_ptr(), 0, 0, 0);
        (*order).keeper = libc::getpid();
        let leash = (*order).leash;
        let word = &raw mut (*(*order).words).program;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let flags = flags | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
        let none = ptr::null_mut::<libc::c_void>();
        let program = libc::clone(be_program, (*order).programs_stack, flags, order.cast(), word, none, word);
        if program < 0 {
            (*order).refused = *libc::__errno_location();
            exit_now(1);
        }
        // The program is executed or has ended. From here on `order` and `errno` are gone.
        // Above all the program's ends of its pipes.
        close_from_to(0, leash - 1);
        close_from_to(leash + 1, RawFd::MAX);
        // The first word of the kernel's set of signals; SIGCHLD is blocked, so none was lost before this line.
        let child_ended = 1_u64 << (libc::SIGCHLD - 1);
        let flags = (libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) as usize;
        let ended = call(libc::SYS_signalfd4, [usize::MAX, (&raw const child_ended).addr(), 8, flags, 0]);
        keep(program, leash, ended as RawFd)
    }
}

/// The program's process up to its `exec`, the keeper waiting meanwhile.
extern "C" fn be_program(order: *mut libc::c_void) -> libc::c_int {
    let order: *mut Order = order.cast();
    // SAFETY: `order` and what it points to are valid while the keeper waits.
    unsafe {
        (*order).program = libc::getpid();
        prepare_program(&*order);
        if let Err(refused) = into_place(&*order) {
            (*order).refused = refused;
        } else {
            let Order { file, arguments, environment, .. } = *order;
            libc::execve(file, arguments.add(1), environment);
            if *libc::__errno_location() == libc::ENOEXEC {
                *arguments.add(1) = file;
                libc::execve(SHELL.as_ptr(), arguments, environment);
            }
            (*order).refused = *libc::__errno_location();
        }
        exit_now(127)
    }
}

/// Makes the process one that any program may find itself in.
///
/// # Safety
/// Only in the program's process before its `exec`.
unsafe fn prepare_program(order: &Order) {
    // SAFETY: plain system calls on memory of this frame.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::getppid() != order.keeper {
            // The keeper was killed before the line above: nobody is left who would end this process.
            exit_now(127);
        }
        libc::setpgid(0, 0);
        for signal in (1..=64).filter(|signal| order.ignored_signals >> (signal - 1) & 1 == 1) {
            libc::signal(signal, libc::SIG_DFL);
        }
        for (resource, soft) in [(libc::RLIMIT_NOFILE, order.limits.files), (libc::RLIMIT_CORE, order.limits.core)] {
            let Some(soft) = soft else { continue };
            let mut limit = MaybeUninit::<libc::rlimit>::uninit();
            if libc::getrlimit(resource, limit.as_mut_ptr()) == 0 {
                let mut limit = limit.assume_init();
                limit.rlim_cur = soft.min(limit.rlim_max);
                libc::setrlimit(resource, &limit);
            }
        }
    }
}

/// Gives the process its directory, streams and signals.
///
/// # Safety
/// Only in the program's process before its `exec`.
unsafe fn into_place(order: &Order) -> Result<(), libc::c_int> {
    // SAFETY: plain system calls on memory that lives as long as the order.
    unsafe {
        for (wanted, &stream) in (0..).zip(&order.streams) {
            if libc::dup2(stream, wanted) < 0 {
                return Err(*libc::__errno_location());
            }
        }
        if libc::chdir(order.directory) < 0 {
            return Err(*libc::__errno_location());
        }
        // Descriptors that the probe itself inherited, from whoever started it, may lack the close-on-exec flag.
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
            for fd in 3..4096 {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        Ok(())
    }
}

/// The keeper's life: reap, report, and end everything when the leash goes slack.
///
/// # Safety
/// Only in the keeper.
unsafe fn keep(program: libc::pid_t, leash: RawFd, ended: RawFd) -> ! {
    // SAFETY: plain system calls on memory of this frame.
    unsafe {
        loop {
            reap(program, leash);
            let mut fds = [
                libc::pollfd { fd: leash, events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 },
            ];
            // Without a signalfd (no memory for one) this falls back to looking every 20 ms.
            let patience = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let patience = if ended < 0 { (&raw const patience).addr() } else { 0 };
            call(libc::SYS_ppoll, [fds.as_mut_ptr().addr(), 2, patience, 0, 0]);
            if fds[0].revents != 0 {
                let mut byte = 0_u8;
                let now = libc::MSG_DONTWAIT as usize;
                let got = call(libc::SYS_recvfrom, [leash as usize, (&raw mut byte).addr(), 1, now, 0]);
                if got <= 0 && got != -(libc::EAGAIN as isize) {
                    end_all(program, leash);
                }
            }
            if fds[1].revents != 0 {
                let mut info = [0_u8; 128 * 4];
                call(libc::SYS_read, [ended as usize, info.as_mut_ptr().addr(), info.len(), 0, 0]);
            }
        }
    }
}

/// Reaps whatever has ended; the keeper's own end comes with that of its last child.
///
/// # Safety
/// Only in the keeper.
unsafe fn reap(program: libc::pid_t, leash: RawFd) {
    const INTERRUPTED: isize = -(libc::EINTR as isize);
    const NOBODY: isize = -(libc::ECHILD as isize);
    // The program's end, told together with that of its tree where both come at once, as they mostly do.
    let mut news = None;
    loop {
        let mut status: libc::c_int = 0;
        // SAFETY: plain system calls on memory of this frame.
        unsafe {
            match call(libc::SYS_wait4, [usize::MAX, (&raw mut status).addr(), libc::WNOHANG as usize, 0, 0]) {
                pid if pid == program as isize => news = Some(record(RecordKind::Exited, i64::from(status))),
                pid if pid > 0 => {}
                INTERRUPTED => {}
                NOBODY => {
                    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
                    call(libc::SYS_getrusage, [libc::RUSAGE_CHILDREN as usize, usage.as_mut_ptr().addr(), 0, 0, 0]);
                    report(leash, [news, Some(done(&usage.assume_init()))]);
                    exit_now(0);
                }
                _ => return report(leash, [news, None]),
            }
        }
    }
}

fn record(kind: RecordKind, value: i64) -> Record {
    Record { kind, value, cpu_micros: 0, max_rss_kib: 0 }
}

fn done(usage: &libc::rusage) -> Record {
    let micros = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    let cpu_micros = micros(usage.ru_utime) + micros(usage.ru_stime);
    Record { cpu_micros, max_rss_kib: usage.ru_maxrss, ..record(RecordKind::Done, 0) }
}

/// Tells the probe; it may be gone, and nothing follows from that here.
///
/// # Safety
/// Only in the keeper.
unsafe fn report(leash: RawFd, records: [Option<Record>; 2]) {
    let mut bytes = [[0; RECORD_BYTES]; 2];
    let mut told = 0;
    for record in records.into_iter().flatten() {
        bytes[told] = record.encode();
        told += 1;
    }
    if told > 0 {
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) as usize;
        // SAFETY: the buffer lives to the end of the call.
        unsafe { call(libc::SYS_sendto, [leash as usize, bytes.as_ptr().addr(), told * RECORD_BYTES, flags, 0]) };
    }
}

/// The probe is gone: kill children until none is left. Those of a killed one become the keeper's own.
///
/// # Safety
/// Only in the keeper.
unsafe fn end_all(program: libc::pid_t, leash: RawFd) -> ! {
    // SAFETY: plain system calls on memory of this frame. Only the keeper reaps its children, so their numbers
    // cannot have passed to other processes.
    unsafe {
        let keeper = call(libc::SYS_getpid, [0; 5]) as libc::pid_t;
        signal(-program, libc::SIGKILL);
        for _ in 0..LAST_ROUNDS {
            // Stopped first: what is stopped does not fork while the others are killed.
            for_each_child(keeper, |pid| signal(pid, libc::SIGSTOP));
            for_each_child(keeper, |pid| signal(pid, libc::SIGKILL));
            reap(program, leash);
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
            call(libc::SYS_nanosleep, [(&raw const pause).addr(), 0, 0, 0, 0]);
        }
        exit_now(1)
    }
}

/// Sends a signal; that there is nobody to get it is no news.
///
/// # Safety
/// Only in the keeper, to its own children.
unsafe fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe { call(libc::SYS_kill, [pid as usize, signal as usize, 0, 0, 0]) };
}

/// Calls `found` with every process in /proc whose parent is `parent`, without the heap.
///
/// # Safety
/// Plain system calls only; safe anywhere, kept unsafe because `found` acts on process numbers.
unsafe fn for_each_child(parent: libc::pid_t, found: impl Fn(libc::pid_t)) {
    // SAFETY: getdents64 fills at most the buffer; every record in it is walked by its own length.
    unsafe {
        let proc = open_at(libc::AT_FDCWD, c"/proc", libc::O_DIRECTORY);
        if proc < 0 {
            return;
        }
        let mut buffer = [0_u8; 4096];
        loop {
            let got = call(libc::SYS_getdents64, [proc as usize, buffer.as_mut_ptr().addr(), buffer.len(), 0, 0]);
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
        call(libc::SYS_close, [proc as usize, 0, 0, 0, 0]);
    }
}

/// Opens a file for reading; negative if it cannot be.
///
/// # Safety
/// A plain system call; what it returns is the caller's to close.
unsafe fn open_at(directory: RawFd, path: &CStr, flags: libc::c_int) -> RawFd {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | flags) as usize;
    // SAFETY: the path ends in NUL.
    unsafe { call(libc::SYS_openat, [directory as usize, path.as_ptr().addr(), flags, 0, 0]) as RawFd }
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
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let mut text = [0_u8; 512];
    // SAFETY: `read` fills at most the buffer.
    let got = unsafe {
        let file = open_at(proc, path, 0);
        if file < 0 {
            return None;
        }
        let got = call(libc::SYS_read, [file as usize, text.as_mut_ptr().addr(), text.len(), 0, 0]);
        call(libc::SYS_close, [file as usize, 0, 0, 0, 0]);
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
        if call(libc::SYS_close_range, [first as usize, last as usize, 0, 0, 0]) != 0 {
            for fd in first..=last.min(4096) {
                call(libc::SYS_close, [fd as usize, 0, 0, 0, 0]);
            }
        }
    }
}

/// A system call that leaves `errno` alone; an error is the negative of its number.
///
/// # Safety
/// What the system call asks for.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let answer;
    // SAFETY: the kernel changes nothing but what is named here and what the call is told to write.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") 0, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

/// The same.
///
/// # Safety
/// What the system call asks for.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let answer;
    // SAFETY: the kernel changes nothing but what is named here and what the call is told to write.
    unsafe {
        std::arch::asm!("svc 0", in("x8") number, inlateout("x0") a as isize => answer, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, in("x5") 0, options(nostack));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the kernel may write there.
    fn is_writable(address: *mut libc::c_void) -> bool {
        let zero = std::fs::File::open("/dev/zero").expect("/dev/zero");
        // SAFETY: the kernel writes where that is allowed, and else says that it is not.
        unsafe { libc::read(zero.as_raw_fd(), address, 1) == 1 }
    }

    #[test]
    fn the_page_that_nothing_may_touch_takes_nothing_from_the_stacks() {
        for page in [page_size(), 64 << 10] {
            let Stacks(lowest) = Stacks::map(page).expect("memory");
            assert!(is_writable(lowest), "the end of the program's stack, pages of {page} bytes");
            assert!(!is_writable(lowest.wrapping_byte_sub(1)), "below it, pages of {page} bytes");
            // SAFETY: the mapping just made, of which nobody else knows.
            unsafe { libc::munmap(lowest.byte_sub(page), page + STACKS) };
        }
    }
}
