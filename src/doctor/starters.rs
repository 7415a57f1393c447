//! From where the chain is judged: the unit that starts the passes, of this user or, for root, of each user.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use nix::unistd::{User, geteuid};

use super::textfile;
use super::unit::{Unit, command_of, crontab_of, other_users, own_user};
use crate::clock::Deadline;
use crate::fs::access;
use crate::log::printable;
use crate::model::checkup::{Delivered, Finding, Link};
use crate::proc::{self, Outcome};

/// What a command needs that starts passes without a unit.
const CRON: &str = "cron";
/// This program once more: its files, then all services at once, then perhaps an Alertmanager elsewhere.
const TIMEOUT: Duration = Duration::from_secs(25);
const MOST_OUTPUT: usize = 1 << 20;

/// Who makes the passes that are judged: a unit, or whoever runs this.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    /// The unit; `None` where none starts passes.
    pub(super) unit: Option<Unit>,
    /// All units of this user that a manager knows.
    pub(super) units: Vec<Unit>,
    /// This user, if the user database knows it.
    pub(super) user: Option<User>,
}

impl Starter {
    /// The starter of this process, which `service` names.
    pub(super) fn find(service: Option<&str>) -> Starter {
        let user = own_user();
        let units = user.as_ref().map(Unit::all).unwrap_or_default();
        let unit = units.iter().find(|unit| service == Some(&unit.service_name())).cloned();
        Starter { unit, units, user }
    }

    pub(super) fn who(&self) -> String {
        self.unit.as_ref().map_or_else(|| "this user".to_owned(), Unit::service_name)
    }

    /// The command that makes a pass as the timer does.
    pub(super) fn again(&self) -> String {
        self.unit.as_ref().map_or_else(|| "lab-probe --once".to_owned(), |unit| unit.command("start", "service"))
    }

    /// The command that lets the passes write in a directory for textfiles, where `why` tells what kept the last one from it.
    pub(super) fn open_up(&self, directory: &Path, why: &str) -> String {
        let (group, quoted, uid) = (textfile::GROUP, access::quoted(directory), geteuid().as_raw());
        let give = format!("sudo chgrp {group} {quoted} && sudo chmod 2775 {quoted}");
        let join = format!("sudo usermod -aG {group} {}", access::user(uid));
        match &self.unit {
            None => format!("{give}; {join}, then log in anew"),
            // A manager has the groups that its user had when it started.
            Some(unit) if unit.own => {
                let restart = format!("sudo systemctl restart user@{uid}.service, which ends that user's sessions");
                format!("{give}; {join}; {restart}")
            }
            Some(unit) => {
                let edit = format!("sudo systemctl edit {}, and there [Service]", unit.service_name());
                if why.contains("Read-only file system") {
                    format!("{edit} ReadWritePaths={}", directory.display())
                } else {
                    format!("{give}; {edit} SupplementaryGroups={group}, ReadWritePaths={}", directory.display())
                }
            }
        }
    }

    /// Start of the newest pass of this starter, unix seconds.
    pub(super) fn last_pass(&self, delivered: &Delivered) -> Option<f64> {
        match &self.unit {
            Some(unit) => delivered.starters.get(&unit.service_name()).copied(),
            None => delivered.last_pass,
        }
    }

    /// A missing variable is no fault of a unit that reads files which this user may not read.
    pub(super) fn unless_closed(&self, finding: Finding) -> Finding {
        let Some(file) = self.unit.as_ref().and_then(Unit::closed_file) else { return finding };
        let what = format!("{}; unless {} sets it, which only the unit may read", finding.evidence, file.display());
        finding.link.warn(what, "sudo lab-probe doctor")
    }
}

/// What is seen from the unit that starts passes of this user; for root, of every user. Empty where there is none.
pub(super) fn seen_by_units() -> Vec<Finding> {
    let Some(own) = own_user() else { return Vec::new() };
    let mut users = vec![own];
    if geteuid().is_root() {
        users.extend(other_users());
    }
    // Somebody who has chosen another home means that one; sudo and su may leave the home of who became root.
    if std::env::home_dir().is_some_and(|home| users.iter().all(|user| user.dir != home)) {
        return Vec::new();
    }
    let starters: Vec<(User, Option<Unit>)> = users.into_iter().filter_map(starter_of).collect();
    let many = starters.len() > 1;
    let mut all: Vec<Finding> = Vec::new();
    for (user, unit) in starters {
        for mut finding in seen_from(&user, unit.as_ref()) {
            // What does not depend on the user is said once, without a name.
            if many && finding.link <= Link::NodeExporter {
                finding.evidence = format!("{}: {}", user.name, finding.evidence);
            }
            if !all.contains(&finding) {
                all.push(finding);
            }
        }
    }
    all
}

/// The unit that starts passes of a user: one that runs before one that is only enabled; cron for root's view of others.
fn starter_of(user: User) -> Option<(User, Option<Unit>)> {
    let mut units = Unit::all(&user);
    units.sort_by_key(|unit| !unit.is_active());
    let unit = units.into_iter().find(Unit::is_used);
    (unit.is_some() || crontab_of(&user).is_some()).then_some((user, unit))
}

/// Runs this program as the unit would, and takes over what it finds.
fn seen_from(user: &User, unit: Option<&Unit>) -> Vec<Finding> {
    let starter = unit.map_or_else(|| CRON.to_owned(), Unit::service_name);
    doctor_of(user, unit, &starter).unwrap_or_else(|error| {
        let what = format!("cannot see what {starter} sees: {error:#}");
        vec![Link::Timer.fail(what, format!("run lab-probe doctor as {}", user.name))]
    })
}

fn doctor_of(user: &User, unit: Option<&Unit>, starter: &str) -> anyhow::Result<Vec<Finding>> {
    let spec = command_of(user, std::env::current_exe()?).args(["doctor", "--format", "json", "--starter", starter]);
    let variables = unit.map(|unit| unit.variables(user)).unwrap_or_default();
    let spec = variables.into_iter().fold(spec, |spec, (name, value)| spec.env(name, value));
    let captured = proc::capture(&spec, None, MOST_OUTPUT, Deadline::after(TIMEOUT))?;
    if captured.outcome == Outcome::TimedOut {
        bail!("it has not ended within {} s", TIMEOUT.as_secs());
    }
    let mut document: serde_json::Value = serde_json::from_slice(&captured.stdout).unwrap_or_default();
    serde_json::from_value(document["checks"].take())
        .map_err(|_no_document| anyhow!("{}", printable(captured.stderr.text().trim())))
}
