//! What starts the passes: a timer of the system's manager or of the user's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, STALE_SECONDS};
use crate::clock::Deadline;
use crate::model::checkup::{Finding, Link, age};
use crate::proc::{self, CommandSpec, Limits};

/// Properties asked for (org.freedesktop.systemd1(5)).
const PROPERTIES: &str =
    "LoadState,ActiveState,UnitFileState,Result,ExecMainStatus,LastTriggerUSec,NextElapseUSecRealtime";
const LIMITS: Limits = Limits { stdout: 64 << 10 };
const TIMEOUT: Duration = Duration::from_secs(2);
/// What `systemctl --user` needs to find the user's manager.
const USER_MANAGER: &[&str] = &["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Both managers' timers for this user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timers {
    /// The user's name, which the system's unit carries.
    pub user: String,
    /// `lab-probe@USER.timer` of the system's manager; `None` where there is no such manager.
    pub system: Option<Unit>,
    /// `lab-probe.timer` of the user's manager.
    pub own: Option<Unit>,
}

/// A timer and the service that it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    timer: BTreeMap<String, String>,
    service: BTreeMap<String, String>,
}

impl Timers {
    /// Asks both managers.
    pub fn ask(user: String) -> Timers {
        let deadline = Deadline::after(TIMEOUT);
        let system = ask(&format!("lab-probe@{user}"), false, deadline);
        let own = ask("lab-probe", true, deadline);
        Timers { user, system, own }
    }
}

fn ask(name: &str, own: bool, deadline: Deadline) -> Option<Unit> {
    let mut spec = CommandSpec::new("systemctl").args(["show", "--no-pager", "--property", PROPERTIES]);
    if own {
        spec = spec.args(["--user"]);
        for (name, value) in USER_MANAGER.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))) {
            spec = spec.env(name, value);
        }
    }
    let spec = spec.args(["--".to_owned(), format!("{name}.timer"), format!("{name}.service")]);
    let captured = proc::capture(&spec, None, LIMITS, deadline).ok()?;
    captured.success().then(|| Unit::parse(&String::from_utf8_lossy(&captured.stdout)))
}

impl Unit {
    /// From two blocks of `Key=Value` lines.
    fn parse(output: &str) -> Unit {
        let mut blocks = output.split("\n\n").map(|block| {
            let pairs = block.lines().filter_map(|line| line.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        });
        Unit { timer: blocks.next().unwrap_or_default(), service: blocks.next().unwrap_or_default() }
    }

    fn timer(&self, key: &str) -> &str {
        self.timer.get(key).map_or("", String::as_str)
    }

    fn service(&self, key: &str) -> &str {
        self.service.get(key).map_or("", String::as_str)
    }

    fn is_installed(&self) -> bool {
        !matches!(self.timer("LoadState"), "not-found" | "")
    }

    fn is_active(&self) -> bool {
        self.timer("ActiveState") == "active"
    }

    fn is_enabled(&self) -> bool {
        self.timer("UnitFileState").starts_with("enabled")
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let timers = &evidence.timers;
    let system_name = format!("lab-probe@{}", timers.user);
    let units = [(&timers.system, "", system_name.as_str()), (&timers.own, "--user ", "lab-probe")];
    let known: Vec<_> = units.into_iter().filter_map(|(unit, flag, name)| Some((unit.as_ref()?, flag, name))).collect();
    let mut findings: Vec<Finding> = known
        .iter()
        .filter(|(unit, ..)| unit.is_active() || unit.is_enabled())
        .map(|(unit, flag, name)| of_unit(unit, flag, name, evidence))
        .collect();
    let active = known.iter().filter(|(unit, ..)| unit.is_active()).count();
    if active > 1 {
        findings.push(Finding::warn(
            Link::Timer,
            "the system's timer and the user's both start passes; one of them always finds the lock taken",
            "systemctl --user disable --now lab-probe.timer",
        ));
    }
    if findings.is_empty() {
        findings.push(none(&known, evidence));
    }
    findings
}

fn of_unit(unit: &Unit, flag: &str, name: &str, evidence: &Evidence) -> Finding {
    let sudo = if flag.is_empty() { "sudo " } else { "" };
    if !unit.is_active() {
        let what = format!("{name}.timer is enabled, but {}", unit.timer("ActiveState"));
        return Finding::fail(Link::Timer, what, format!("{sudo}systemctl {flag}start {name}.timer"));
    }
    let logs = format!("journalctl {flag}--unit {name}.service --lines 50");
    if !matches!(unit.service("Result"), "success" | "") {
        let what = format!(
            "the last start of {name}.service failed: {}, exit status {}",
            unit.service("Result"),
            unit.service("ExecMainStatus")
        );
        return Finding::fail(Link::Timer, what, logs);
    }
    if evidence.delivered.last_pass.is_none_or(|at| evidence.now - at > STALE_SECONDS) {
        let last = evidence
            .delivered
            .last_pass
            .map_or("there is none".into(), |at| format!("the last is {} old", age(evidence.now - at)));
        let what = format!("{name}.timer is active, but its passes do not show in this user's state: {last}");
        return Finding::fail(Link::Timer, what, logs);
    }
    let runs = format!(
        "{name}.timer is active, last run {}, next {}",
        or_never(unit.timer("LastTriggerUSec")),
        or_never(unit.timer("NextElapseUSecRealtime"))
    );
    if unit.is_enabled() {
        Finding::ok(Link::Timer, runs)
    } else {
        let fix = format!("{sudo}systemctl {flag}enable {name}.timer");
        Finding::warn(Link::Timer, format!("{runs}; it is not enabled, so it ends with the next boot"), fix)
    }
}

fn or_never(when: &str) -> &str {
    if matches!(when, "" | "n/a" | "0") { "never" } else { when }
}

/// Nothing of systemd's starts a pass.
fn none(known: &[(&Unit, &str, &str)], evidence: &Evidence) -> Finding {
    let installed = known.iter().find(|(unit, ..)| unit.is_installed());
    let fix = match installed {
        Some((_, "", name)) => format!("sudo systemctl enable --now {name}.timer"),
        Some((_, flag, name)) => format!("systemctl {flag}enable --now {name}.timer"),
        None if known.is_empty() => "start `lab-probe --once` every 30 seconds by whatever starts things here".into(),
        None => "install the units (make install, or the Debian package), then systemctl --user enable --now lab-probe.timer".into(),
    };
    let systemd = if known.is_empty() { "systemd does not answer here" } else { "no timer of lab-probe is enabled" };
    match evidence.delivered.last_pass {
        Some(at) if evidence.now - at <= STALE_SECONDS => {
            let what = format!("{systemd}; still, the last pass is {} old", age(evidence.now - at));
            Finding::warn(Link::Timer, what, fix)
        }
        Some(at) => {
            Finding::warn(Link::Timer, format!("{systemd}, and the last pass is {} old", age(evidence.now - at)), fix)
        }
        None => Finding::warn(Link::Timer, format!("{systemd}, and there has been no pass"), fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_blocks_are_read_and_their_states_told_apart() {
        let unit = Unit::parse(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nLastTriggerUSec=Tue 2026-11-24 10:00:00 UTC\n\n\
             LoadState=loaded\nActiveState=inactive\nResult=exit-code\nExecMainStatus=2\n",
        );
        assert!(unit.is_installed() && unit.is_active() && unit.is_enabled());
        assert_eq!((unit.service("Result"), unit.service("ExecMainStatus")), ("exit-code", "2"));
        let none = Unit::parse("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n\nLoadState=not-found\n");
        assert!(!none.is_installed() && !none.is_active() && !none.is_enabled());
        assert!(!Unit::parse("").is_installed());
    }
}
