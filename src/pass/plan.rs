//! What there is to check, and what is said of it to who runs a pass as root: the servers it starts are root's too.

use std::path::Path;

use crate::clock::Deadline;
use crate::config::settings::Settings;
use crate::fs;
use crate::model::target::Target;
use crate::plan::{self, Plan, View};
use crate::wording::first_of;

const MOST_NAMES: usize = 4;

/// The plan; before its own warnings stand those of the settings and those given.
pub(super) fn plan(settings: &Settings, view: View, warnings: Vec<String>, deadline: Deadline) -> Plan {
    let mut plan = plan::all(settings, view, deadline);
    plan.warnings.splice(0..0, settings.warnings.iter().cloned().chain(warnings));
    plan
}

/// The notice, if this process is root on this machine and these targets would have it start programs that others
/// have written. The same from pass to pass as long as the configuration is, so that the journal gets it once.
pub(super) fn notice_to_root(targets: &[Target]) -> Option<String> {
    let started = targets.iter().filter(|target| target.probe.starts_program());
    let started: Vec<&str> = started.map(|target| target.name.as_str()).collect();
    if started.is_empty() || !is_root() {
        return None;
    }
    Some(format!(
        "running as root: the MCP servers {} are started as root too and may do anything to this machine; run it as the user \
         whose LAB it is instead (sudo -u USER lab-probe, lab-probe@USER.timer, or User= in a unit of your own)",
        first_of(&started, MOST_NAMES)
    ))
}

/// Root of a user namespace is root only within it.
fn is_root() -> bool {
    let map = || fs::read_capped(Path::new("/proc/self/uid_map"), 1 << 16).unwrap_or_default();
    rustix::process::geteuid().is_root() && is_machines(&String::from_utf8_lossy(&map()))
}

/// Whether user 0 of a namespace is user 0 outside, by its `uid_map` (user_namespaces(7)): first id inside, first
/// outside, count. Unknown counts as yes.
fn is_machines(uid_map: &str) -> bool {
    let mut ranges = uid_map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    ranges.find(|range| range.first() == Some(&"0")).is_none_or(|range| range.get(1) == Some(&"0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_namespace_is_told_from_the_machines() {
        assert!(is_machines("         0          0 4294967295\n"));
        assert!(is_machines(""));
        assert!(!is_machines("         0       1000          1\n         1     100000      65536\n"));
    }
}
