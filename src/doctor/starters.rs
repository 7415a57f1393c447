//! From where the chain is judged: the unit that starts the passes, of this user or, for root, of each user.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::textfile;
use super::unit::{Account, Unit};
use crate::clock::Deadline;
use crate::fs::access;
use crate::log::printable;
use crate::model::checkup::{Delivered, Finding, Link};
use crate::proc::{self, CommandSpec, Outcome};

/// What a command needs that starts passes without a unit.
const CRON: &str = "cron";
/// This program once more: its files, then all services at once, then perhaps an Alertmanager elsewhere.
const TIMEOUT: Duration = Duration::from_secs(25);
const MOST_OUTPUT: usize = 1 << 20;

/// Who makes the passes that are judged: a unit, or whoever runs this.
#[derive(Clone)]
pub(super) struct Starter {
    /// The unit; `None` where none starts passes.
    pub(super) unit: Option<Unit>,
    /// All units of this user that a manager knows.
    pub(super) units: Vec<Unit>,
    /// This user, if the user database knows it.
    pub(super) account: Option<Account>,
}

impl Starter {
    /// The starter of this process, which `service` names.
    pub(super) fn find(service: Option<&str>) -> Starter {
        let account = Account::own();
        let units = account.as_ref().map(Unit::all).unwrap_or_default();
        let unit = units.iter().find(|unit| service == Some(&unit.service_name())).cloned();
        Starter { unit, units, account }
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
        let (group, quoted, uid) = (textfile::GROUP, access::quoted(directory), rustix::process::geteuid().as_raw());
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
        let closed = self.unit.as_ref().map(Unit::closed_files).unwrap_or_default();
        match closed.first() {
            None => finding,
            Some(file) => {
                let what =
                    format!("{}; unless {} sets it, which only the unit may read", finding.evidence, file.display());
                finding.link.warn(what, "sudo lab-probe doctor")
            }
        }
    }
}

/// What is seen from the unit that starts passes of this user; for root, of every user. Empty where there is none.
pub(super) fn seen_by_units() -> Vec<Finding> {
    let Some(own) = Account::own() else { return Vec::new() };
    let mut accounts = vec![own];
    if rustix::process::geteuid().is_root() {
        accounts.extend(Account::others());
    }
    // Somebody who has chosen another home means that one; sudo and su may leave the home of who became root.
    if std::env::home_dir().is_some_and(|home| accounts.iter().all(|account| account.home != home)) {
        return Vec::new();
    }
    let starters: Vec<(Account, Option<Unit>)> = accounts.into_iter().filter_map(starter_of).collect();
    let many = starters.len() > 1;
    let mut all: Vec<Finding> = Vec::new();
    for (account, unit) in starters {
        for finding in seen_from(&account, unit.as_ref()) {
            if all.contains(&finding) {
                continue;
            }
            // What does not depend on the user is said once, without a name.
            let named = many && finding.link <= Link::NodeExporter;
            let evidence =
                if named { format!("{}: {}", account.name, finding.evidence) } else { finding.evidence.clone() };
            all.push(Finding { evidence, ..finding });
        }
    }
    all
}

/// The unit that starts passes of a user: one that runs before one that is only enabled; cron for root's view of others.
fn starter_of(account: Account) -> Option<(Account, Option<Unit>)> {
    let mut units = Unit::all(&account);
    units.retain(Unit::is_used);
    units.sort_by_key(|unit| !unit.is_active());
    let unit = units.into_iter().next();
    if unit.is_none() && account.crontab().is_none() {
        return None;
    }
    Some((account, unit))
}

/// Runs this program as the unit would, and takes over what it finds.
fn seen_from(account: &Account, unit: Option<&Unit>) -> Vec<Finding> {
    let starter = unit.map_or_else(|| CRON.to_owned(), Unit::service_name);
    doctor_of(account, unit, &starter).unwrap_or_else(|error| {
        let what = format!("cannot see what {starter} sees: {error:#}");
        vec![Link::Timer.fail(what, format!("run lab-probe doctor as {}", account.name))]
    })
}

fn doctor_of(account: &Account, unit: Option<&Unit>, starter: &str) -> anyhow::Result<Vec<Finding>> {
    let spec = account.command(std::env::current_exe()?).args(["doctor", "--format", "json", "--starter", starter]);
    let variables = unit.map(|unit| unit.variables(account)).unwrap_or_default();
    let spec = variables.into_iter().fold(spec, |spec, (name, value)| CommandSpec::env(spec, name, value));
    let captured = proc::capture(&spec, None, MOST_OUTPUT, Deadline::after(TIMEOUT))?;
    if captured.outcome == Outcome::TimedOut {
        bail!("it has not ended within {} s", TIMEOUT.as_secs());
    }
    let mut document: serde_json::Value = serde_json::from_slice(&captured.stdout).unwrap_or_default();
    serde_json::from_value(document["checks"].take())
        .map_err(|_no_document| anyhow!("{}", printable(captured.stderr.text().trim())))
}
