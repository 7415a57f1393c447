//! A systemd unit, of the machine or of the user.
//!
//! One `systemctl show` asks for all units of a manager: the first look of a pass runs it, the others take their part
//! of the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::Found;
use crate::check::Context;
use crate::model::reason::{Failure, Reason};
use crate::model::service::ServiceProbe;
use crate::proc::{self, Captured, CommandSpec, Outcome, SpawnError};

/// Properties asked for (org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,ExecMainStatus";
/// A few hundred bytes a unit.
const MOST_OUTPUT: usize = 1 << 20;
/// What `systemctl --user` needs to find the user's manager, besides the small environment programs are given.
const USER_MANAGER: &[&str] = &["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

pub(crate) type Properties = BTreeMap<String, String>;

type Shown = Result<BTreeMap<String, Properties>, Failure>;

/// The configured units of the machine's manager and those of the user's, and what `systemctl show` says of them.
#[derive(Debug, Default)]
pub struct Units([(BTreeSet<String>, OnceLock<Shown>); 2]);

impl Units {
    pub fn of<'a>(probes: impl IntoIterator<Item = &'a ServiceProbe>) -> Units {
        let mut units = Units::default();
        for probe in probes {
            if let ServiceProbe::Unit { name, user } = probe {
                units.0[usize::from(*user)].0.insert(name.clone());
            }
        }
        units
    }
}

pub(super) fn check(name: &str, user: bool, context: &Context) -> Found {
    let (units, shown) = &context.shared.units.0[usize::from(user)];
    let shown = shown.get_or_init(|| show_units(user, units, context));
    let properties = shown.as_ref().map_err(Clone::clone)?;
    match properties.get(name) {
        Some(properties) => judge(name, user, properties),
        None => Err(silent(name)),
    }
}

fn show_units(user: bool, units: &BTreeSet<String>, context: &Context) -> Shown {
    let mut spec = CommandSpec::new("systemctl").args(["show", "--no-pager", "--property", PROPERTIES]);
    if user {
        spec = spec.args(["--user"]);
        for (name, value) in USER_MANAGER.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))) {
            spec = spec.env(name, value);
        }
    }
    let spec = spec.args(["--"]).args(units);
    let captured = proc::capture(&spec, None, MOST_OUTPUT, context.deadline).map_err(|e| not_started(&e))?;
    match captured.outcome {
        Outcome::Exited(_) if captured.success() => {
            Ok(units.iter().cloned().zip(blocks(&String::from_utf8_lossy(&captured.stdout))).collect())
        }
        Outcome::Exited(_) => Err(refused(&captured)),
        Outcome::TimedOut => Err(Failure::new(Reason::Timeout, "no time left to ask systemd")
            .with_hint("see whether `systemctl status` answers; raise `timeout` or `probe.deadline` if it does")),
        Outcome::TooLarge => {
            Err(Failure::new(Reason::TooLarge, "systemctl printed more than 1 MiB").with_hint("watch fewer units"))
        }
    }
}

fn not_started(error: &SpawnError) -> Failure {
    let reason = match error {
        SpawnError::NotFound { .. } => Reason::CommandNotFound,
        _ => Reason::SpawnFailed,
    };
    Failure::new(reason, error.to_string())
        .with_hint("units are looked at through systemctl, which is not here")
        .if_shortage(error.is_out_of_resources())
}

fn refused(captured: &Captured) -> Failure {
    let said = captured.stderr.text();
    let said = said.lines().last().unwrap_or("it said nothing").trim();
    Failure::new(Reason::Exited, format!("systemctl failed: {}", crate::log::printable(said))).with_hint(
        "see whether systemd runs here; for a user unit, whether the user's manager does (loginctl enable-linger)",
    )
}

fn silent(name: &str) -> Failure {
    Failure::new(Reason::ProtocolError, format!("systemctl said nothing about {name}"))
        .with_hint(format!("see what `systemctl show {name}` prints"))
}

/// What `systemctl show` says of each unit: blocks of `Key=Value` lines, an empty line between two. A key that comes again
/// adds a line to its value.
pub(crate) fn blocks(output: &str) -> impl Iterator<Item = Properties> {
    output.split("\n\n").map(|block| {
        let mut properties = Properties::new();
        for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
            let all = properties.entry(key.to_owned()).or_default();
            all.push_str(if all.is_empty() { "" } else { "\n" });
            all.push_str(value);
        }
        properties
    })
}

fn judge(name: &str, user: bool, properties: &Properties) -> Found {
    let of = |key: &str| properties.get(key).map_or("", String::as_str);
    let flag = if user { "--user " } else { "" };
    let state = format!("{} ({})", of("ActiveState"), of("SubState"));
    match (of("LoadState"), of("ActiveState")) {
        ("", _) => Err(silent(name)),
        (_, "active" | "reloading" | "refreshing") => Ok(state),
        ("not-found", _) => {
            let manager = if user { "this user's manager" } else { "the system manager" };
            Err(Failure::new(Reason::NotConfigured, format!("{manager} knows no unit {name}"))
                .with_hint("correct the name, or set `user` to match where the unit is installed"))
        }
        ("masked", _) => Err(Failure::new(Reason::Disabled, format!("{name} is masked"))
            .with_hint(format!("systemctl {flag}unmask {name}, or take it out of the configuration"))),
        (_, _) => {
            let mut detail = format!("{name} is {state}");
            if !matches!(of("Result"), "" | "success") {
                detail.push_str(&format!(", result {}, exit status {}", of("Result"), of("ExecMainStatus")));
            }
            Err(Failure::new(Reason::Exited, detail).with_hint(format!("journalctl {flag}--unit {name} --lines 50")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_unit_gets_its_own_block_and_verdict() {
        let names =
            units(&["good.service", "bad.service", "gone.service", "off.timer", "masked.service", "rest.service"]);
        let output = "\
LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n\n\
LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=3\n\n\
LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nExecMainStatus=0\n\n\
LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\n\n\
LoadState=masked\nActiveState=inactive\nSubState=dead\nResult=success\n";
        let all: BTreeMap<String, Properties> = names.iter().cloned().zip(blocks(output)).collect();
        let verdict = |name: &str| all.get(name).map(|properties| judge(name, false, properties));
        assert_eq!(verdict("good.service"), Some(Ok("active (running)".into())));
        let failure = |name: &str| verdict(name).and_then(Result::err).map(|failure| (failure.reason, failure.detail));
        assert_eq!(
            failure("bad.service"),
            Some((Reason::Exited, "bad.service is failed (failed), result exit-code, exit status 3".into()))
        );
        assert_eq!(failure("gone.service").map(|(reason, _)| reason), Some(Reason::NotConfigured));
        assert_eq!(failure("off.timer"), Some((Reason::Exited, "off.timer is inactive (dead)".into())));
        assert_eq!(failure("masked.service").map(|(reason, _)| reason), Some(Reason::Disabled));
        assert_eq!(verdict("rest.service"), None, "an shown that ends early is not filled up");
    }
}
