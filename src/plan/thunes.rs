//! `[[thunes]]` becomes targets: one for each environment.

use sha2::{Digest, Sha256};

use super::Plan;
use crate::config::settings::{Settings, ThunesSettings};
use crate::model::digest::hex;
use crate::model::target::{Origin, Probe, Target};
use crate::model::thunes::ThunesTarget;

/// Every environment of the settings.
pub fn plan(settings: &Settings) -> Plan {
    let mut plan = Plan::default();
    for environment in &settings.thunes {
        plan.targets.push(target(environment, settings));
    }
    plan
}

fn target(environment: &ThunesSettings, settings: &Settings) -> Target {
    let origin = settings.source.iter().map(|path| Origin {
        source: "lab-probe".to_owned(),
        path: path.clone(),
        scope: "config".to_owned(),
        name: None,
        note: Some(note(&environment.target)),
    });
    Target {
        name: environment.target.environment.clone(),
        fingerprint: fingerprint(&environment.target),
        probe: Probe::Thunes(environment.target.clone()),
        schedule: environment.schedule,
        origins: origin.collect(),
        only_here: false,
    }
}

/// Which sources there are, in the order in which they are asked. The endpoint may hold credentials, so it is only named.
fn note(target: &ThunesTarget) -> String {
    let endpoint = target.metrics_url.iter().map(|_| "metrics_url".to_owned());
    let files = target.journals.iter().chain([&target.positions_db]).chain(&target.logs);
    let sources: Vec<String> = endpoint.chain(files.map(|path| path.display().to_string())).collect();
    format!("{}: {}", target.root.display(), sources.join(", "))
}

fn fingerprint(target: &ThunesTarget) -> String {
    let ThunesTarget { environment, root, positions_db, journals, logs, metrics_url, max_daily_loss, unreachable } =
        target;
    let url = metrics_url.as_ref().map(|url| Sha256::digest(url.expose()).to_vec());
    let parts = format!(
        "{environment:?} {root:?} {positions_db:?} {journals:?} {logs:?} {url:?} {max_daily_loss:?} {unreachable:?}"
    );
    hex(&Sha256::digest(parts)[..16])
}
