//! The only `unsafe` code: five things for which neither the standard library nor rustix has a safe function.

#![expect(unsafe_code, reason = "each function says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use super::child::Usage;

/// Closes every descriptor above standard error. Whoever started the probe may have left some open that lack the
/// close-on-exec flag, and programs would inherit them.
///
/// To be called only where nothing has been opened yet: at the beginning of a supervisor.
pub(super) fn close_inherited_files() {
    // SAFETY: no object of this process owns one of these descriptors yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } == 0;
    if !closed {
        // Before Linux 5.9.
        for fd in 3..4096 {
            // SAFETY: as above; closing what is not open does nothing.
            unsafe { libc::close(fd) };
        }
    }
}

/// From now on what `command` starts is killed when this process ends, in whatever way.
pub(super) fn die_with_this_process(command: &mut Command) {
    let this = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before that line.
        if getppid() == Some(this) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: two system calls, no memory and no lock: both may be done between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// What all children that were waited for have used, and theirs (getrusage(2), RUSAGE_CHILDREN).
pub(super) fn usage_of_children() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills what it is given a pointer to; all zeros are a valid value, should it not.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec.unsigned_abs()) + Duration::from_micros(t.tv_usec.unsigned_abs())
    };
    Usage { cpu: time(usage.ru_utime) + time(usage.ru_stime), max_rss_bytes: usage.ru_maxrss.unsigned_abs() * 1024 }
}

/// The groups that the system's database gives a user (getgrouplist(3)), its primary one included; `None` for a user that it
/// does not know, or where it cannot be asked.
pub(super) fn groups_of_user(uid: u32, primary: u32) -> Option<Vec<u32>> {
    const MOST_GROUPS: usize = 65_536;
    let mut entry = MaybeUninit::<libc::passwd>::zeroed();
    let mut text = vec![0; 64 << 10];
    let mut found = std::ptr::null_mut();
    let mut groups = vec![0; MOST_GROUPS];
    let mut count = libc::c_int::try_from(groups.len()).ok()?;
    // SAFETY: the first call fills the entry, whose strings lie in the text, and says so by what it has found; the second
    // one writes no more groups than their number allows. Both buffers live to the end.
    let got = unsafe {
        if libc::getpwuid_r(uid, entry.as_mut_ptr(), text.as_mut_ptr(), text.len(), &raw mut found) != 0
            || found.is_null()
        {
            return None;
        }
        libc::getgrouplist((*found).pw_name, primary, groups.as_mut_ptr(), &raw mut count)
    };
    groups.truncate(usize::try_from(count).ok()?);
    (got >= 0).then_some(groups)
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
        // SAFETY: sets two numbers of the allocator; a value it refuses changes nothing.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_ARENA_MAX, 2);
        }
    }
}
