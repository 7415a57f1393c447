//! The only `unsafe` code: three things for which neither the standard library nor rustix has a safe function.

#![expect(unsafe_code, reason = "each function says why it is sound")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

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

/// Keeps the heap small for a process of many threads and a few large messages; to be called before threads are started.
///
/// glibc gives every thread an arena of its own and, once a large piece has been freed, serves the next large ones
/// from them too, where they stay: a pass over many servers then holds on to tens of MiB that nobody uses.
pub fn keep_heap_small() {
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
