//! The groups that programs get: the user's own, and none that only the probe was given.
//!
//! The system unit gives the probe the group of the textfile directory (`SupplementaryGroups=`) and CAP_SETGID, without
//! which no process can give a group up (setgroups(2)). Both belong to a thread (credentials(7)): the one that starts a
//! program gives them up before, for good. So the main thread alone has them, for the delivery.

use std::sync::OnceLock;

use rustix::process::{Gid, geteuid, getgid, getgroups};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups};

use super::sys;

/// Takes from the calling thread every group that is not the user's own, and the right to take others. What it may not
/// give up it keeps, as do the programs that a person starts.
///
/// # Errors
/// When the operating system refuses it.
pub(super) fn give_up() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    if !sets.effective.contains(CapabilitySet::SETGID) {
        return Ok(());
    }
    if getgroups()?.iter().any(|group| !own().contains(&group.as_raw())) {
        let own: Vec<Gid> = own().iter().map(|&group| Gid::from_raw(group)).collect();
        set_thread_groups(&own)?;
    }
    if geteuid().is_root() {
        return Ok(());
    }
    sets.effective.remove(CapabilitySet::SETGID);
    sets.permitted.remove(CapabilitySet::SETGID);
    // From the ambient set (capabilities(7)) the kernel takes it then, too.
    sets.inheritable.remove(CapabilitySet::SETGID);
    set_capabilities(None, sets)
}

/// The user's own groups. One that the system's database does not know has no group but its primary one.
fn own() -> &'static [u32] {
    static OWN: OnceLock<Vec<u32>> = OnceLock::new();
    OWN.get_or_init(|| {
        let primary = getgid().as_raw();
        sys::groups_of_user(geteuid().as_raw(), primary).unwrap_or_else(|| vec![primary])
    })
}
