//! What starts the passes: a timer of the system's manager or of the user's, or cron.

use super::starters::Starter;
use super::unit::Unit;
use super::{Evidence, STALE_SECONDS};
use crate::model::checkup::{Finding, Link, age};

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let units = &evidence.starter.units;
    let used = units.iter().filter(|unit| unit.is_used());
    let mut findings: Vec<Finding> = used.map(|unit| of_unit(unit, evidence)).collect();
    if units.iter().filter(|unit| unit.is_active()).count() > 1 {
        let what = "the system's timer and the user's both start passes; one of them always finds the lock taken";
        findings.push(Link::Timer.warn(what, "systemctl --user disable --now lab-probe.timer"));
    }
    if findings.is_empty() {
        findings.push(without_unit(evidence));
    }
    findings
}

fn of_unit(unit: &Unit, evidence: &Evidence) -> Finding {
    let name = &unit.name;
    if !unit.is_active() {
        let what = format!("{name}.timer is enabled, but {}", unit.timer("ActiveState"));
        return Link::Timer.fail(what, unit.command("start", "timer"));
    }
    if !matches!(unit.service("Result"), "success" | "") {
        let (result, status) = (unit.service("Result"), unit.service("ExecMainStatus"));
        let what = format!("the last start of {name}.service failed: {result}, exit status {status}");
        return Link::Timer.fail(what, unit.journal());
    }
    let now = evidence.now;
    let last = evidence.delivered.starters.get(&unit.service_name());
    if last.is_none_or(|at| now - at > STALE_SECONDS) {
        if let Some(since) = unit.awaits_first_pass(now, last.copied()) {
            let what = format!("{name}.timer was started {} ago: its first pass is still to come", age(since));
            return Link::Timer.warn(what, "lab-probe doctor, in a minute");
        }
        let last = last.map_or("there is none".into(), |at| format!("the last is {} old", age(now - at)));
        let what = format!("{name}.timer is active, but its passes do not show in this user's state: {last}");
        return Link::Timer.fail(what, unit.journal());
    }
    let [last, next] = ["LastTriggerUSec", "NextElapseUSecRealtime"].map(|key| match unit.timer(key) {
        "" | "n/a" | "0" => "never",
        when => when,
    });
    let runs = format!("{name}.timer is active, last run {last}, next {next}");
    if unit.is_enabled() {
        return Link::Timer.ok(runs);
    }
    let what = format!("{runs}; it is not enabled, so it ends with the next boot");
    Link::Timer.warn(what, unit.command("enable", "timer"))
}

fn without_unit(evidence: &Evidence) -> Finding {
    let Evidence { starter: Starter { units, user, .. }, cron, delivered, now, .. } = evidence;
    let fresh = |at: &f64| now - at <= STALE_SECONDS;
    // A unit of another name, cron's own among them, starts them.
    let is_ours = |name: &String| units.iter().any(|unit| unit.service_name() == *name);
    let other = delivered.starters.iter().find(|(unit, at)| unit.ends_with(".service") && !is_ours(unit) && fresh(at));
    let last = delivered.last_pass.map(|at| format!("the last pass is {} old", age(now - at)));
    let last = last.unwrap_or_else(|| "there has been no pass".to_owned());
    if let Some(starter) = cron.as_ref().or(other.map(|(unit, _)| unit)) {
        let what = format!("{starter} starts passes; {last}");
        let fix = format!("see why {starter} starts none: `grep CRON /var/log/syslog`, or its journal");
        return match delivered.last_pass {
            Some(at) if fresh(&at) => Link::Timer.ok(what),
            _ => Link::Timer.fail(what, fix),
        };
    }
    let fix = match units.iter().find(|unit| unit.is_installed()) {
        Some(unit) => unit.command("enable --now", "timer"),
        None if units.is_empty() => "start `lab-probe --once` every 30 seconds by whatever starts things here".into(),
        None => "install the units (make install, or the Debian package), then systemctl --user enable --now lab-probe.timer".into(),
    };
    let systemd = match user {
        None => "what starts passes is not known: the user database does not answer, or does not know this user",
        Some(_) if units.is_empty() => "systemd does not answer here",
        Some(_) => "no timer of lab-probe is enabled",
    };
    Link::Timer.warn(format!("{systemd}; {last}"), fix)
}
