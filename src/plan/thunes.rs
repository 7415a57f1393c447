//! `[[thunes]]` becomes targets: one for each environment.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::Plan;
use crate::config::settings::{Settings, ThunesSettings};
use crate::model::digest::hex;
use crate::model::target::{Origin, Probe, Target};
use crate::model::thunes::ThunesTarget;

pub fn plan(settings: &Settings) -> Plan {
    let targets = settings.thunes.iter().map(|environment| target(environment, settings)).collect();
    Plan { targets, warnings: Vec::new() }
}

fn target(environment: &ThunesSettings, settings: &Settings) -> Target {
    let note = Some(note(&environment.target));
    let origin = |path: &PathBuf| Origin { note: note.clone(), ..Origin::own(path.clone(), "config") };
    Target {
        name: environment.target.environment.clone(),
        fingerprint: fingerprint(&environment.target),
        probe: Probe::Thunes(environment.target.clone()),
        schedule: environment.schedule,
        origins: settings.source.iter().map(origin).collect(),
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
