//! Processes that could not be ended, and why: they are named, and never called killed.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::processes::{PROC, Stat};
use crate::wording::first_of;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    pub pid: i32,
    /// Its short name (`comm`, proc(5)).
    pub name: String,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It runs as another user, who alone may end it.
    OtherUser(u32),
    /// It waits in the kernel, for a device or a file system, and ends when that answers.
    Uninterruptible,
    /// Nothing of these: the time was too short.
    TooSlow,
}

impl Survivor {
    pub(super) fn new(stat: &Stat) -> Survivor {
        let process = Path::new(PROC).join(stat.pid.to_string());
        let uid = std::fs::metadata(&process).map_or(0, |metadata| metadata.uid());
        let own = rustix::process::geteuid();
        let why = if uid != own.as_raw() && !own.is_root() {
            Why::OtherUser(uid)
        } else if stat.state == b'D' {
            Why::Uninterruptible
        } else {
            Why::TooSlow
        };
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        Survivor { pid: stat.pid, name: crate::log::printable(name.trim()).to_string(), why }
    }
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Survivor { pid, name, why } = self;
        match why {
            Why::OtherUser(0) => write!(f, "PID {pid} ({name}; it runs as root: sudo kill {pid})"),
            Why::OtherUser(uid) => write!(f, "PID {pid} ({name}; it runs as the user {uid}: sudo kill {pid})"),
            Why::Uninterruptible => write!(f, "PID {pid} ({name}; it waits for a device or a file system)"),
            Why::TooSlow => write!(f, "PID {pid} ({name})"),
        }
    }
}

pub fn list(survivors: &[Survivor]) -> String {
    first_of(&survivors.iter().map(Survivor::to_string).collect::<Vec<_>>(), 5)
}
