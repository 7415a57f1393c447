//! The groups that programs get: the user's own, and none that only the probe was given.
//!
//! The system unit gives the probe the group of the textfile directory (`SupplementaryGroups=`) and CAP_SETGID, without
//! which no process can give a group up (setgroups(2)). A supervisor gives up both before it starts its program.

use std::sync::OnceLock;

use rustix::process::{Gid, geteuid, getgid, getgroups};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups};

use super::sys;

/// The groups for programs; `None` if they are to keep the probe's: it has none to give up, or may not.
pub(super) fn for_programs() -> Option<Vec<u32>> {
    static GROUPS: OnceLock<Option<Vec<u32>>> = OnceLock::new();
    let find = || {
        if !capabilities(None).ok()?.effective.contains(CapabilitySet::SETGID) {
            return None;
        }
        let primary = getgid().as_raw();
        // A user that the system's database does not know has no group but its own.
        let own = sys::groups_of_user(geteuid().as_raw(), primary).unwrap_or_else(|| vec![primary]);
        let more = getgroups().ok()?.iter().any(|group| !own.contains(&group.as_raw()));
        more.then_some(own)
    };
    GROUPS.get_or_init(find).clone()
}

/// In a supervisor: takes these groups, and gives up the right to take others.
///
/// # Errors
/// When the operating system refuses it.
pub(super) fn take(groups: Option<&[u32]>) -> rustix::io::Result<()> {
    if let Some(groups) = groups {
        let groups: Vec<Gid> = groups.iter().map(|&group| Gid::from_raw(group)).collect();
        set_thread_groups(&groups)?;
    }
    if geteuid().is_root() {
        return Ok(());
    }
    let mut sets = capabilities(None)?;
    if sets.permitted.contains(CapabilitySet::SETGID) {
        sets.effective.remove(CapabilitySet::SETGID);
        sets.permitted.remove(CapabilitySet::SETGID);
        // From the ambient set (capabilities(7)) the kernel takes it then, too.
        sets.inheritable.remove(CapabilitySet::SETGID);
        set_capabilities(None, sets)?;
    }
    Ok(())
}
