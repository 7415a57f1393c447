//! The groups that programs get: the user's own, and none that only the probe was given.
//!
//! The system unit gives the probe the group of the textfile directory (`SupplementaryGroups=`) and CAP_SETGID, without
//! which no process can give a group up (setgroups(2)). Both belong to a thread (credentials(7)): the one that starts a
//! program gives them up before, for good. So the main thread alone has them, for the delivery.

use std::ffi::CString;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use nix::unistd::{Uid, User, getgrouplist};
use rustix::process::{Gid, geteuid, getgroups};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups};

use super::hung;
use crate::clock::Deadline;

/// The databases of users and groups, which may be those of a network, have answered by then.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// Takes from the calling thread every group that is not the user's own, and the right to take others. What it may not
/// give up it keeps, as do the programs that a person starts.
pub(super) fn give_up() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    if !sets.effective.contains(CapabilitySet::SETGID) {
        return Ok(());
    }
    let groups = getgroups()?;
    if !groups.is_empty() {
        let own = own().ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the user database does not answer"))?;
        if groups.iter().any(|group| !own.contains(group)) {
            set_thread_groups(own)?;
        }
    }
    if geteuid().is_root() {
        return Ok(());
    }
    sets.effective.remove(CapabilitySet::SETGID);
    sets.permitted.remove(CapabilitySet::SETGID);
    // From the ambient set (capabilities(7)) the kernel takes it then, too.
    sets.inheritable.remove(CapabilitySet::SETGID);
    Ok(set_capabilities(None, sets)?)
}

/// The user's own groups; `None` where the system's database does not answer, which is asked once. A user that it does not
/// know has no group but the primary one.
fn own() -> Option<&'static [Gid]> {
    static OWN: OnceLock<Option<Vec<Gid>>> = OnceLock::new();
    let look_up = || {
        let user = User::from_uid(Uid::effective()).ok().flatten();
        let name = user.and_then(|user| CString::new(user.name).ok());
        let groups = name.and_then(|name| getgrouplist(&name, nix::unistd::Gid::current()).ok());
        let groups = groups.unwrap_or_else(|| vec![nix::unistd::Gid::current()]);
        groups.into_iter().map(|group| Gid::from_raw(group.as_raw())).collect()
    };
    OWN.get_or_init(|| hung::within(&[], Deadline::after(LOOKUP_LIMIT), look_up).ok()).as_deref()
}
