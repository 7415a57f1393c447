//! Services beside the LAB, as the configuration names them.

use super::Plan;
use super::fingerprint::Key;
use crate::config::settings::Settings;
use crate::model::target::{Origin, Probe, Target};

pub fn plan(settings: &Settings) -> Plan {
    if settings.services.is_empty() {
        return Plan::default();
    }
    let mut warnings = Vec::new();
    let key = Key::of(&settings.probe.state_dir, &mut warnings);
    let origins: Vec<Origin> = settings.source.iter().map(|path| Origin::own(path.clone(), "config")).collect();
    let targets = settings.services.iter().map(|service| Target {
        name: service.name.clone(),
        fingerprint: key.fingerprint(&service.probe, service.schedule.timeout),
        probe: Probe::Service(service.probe.clone()),
        schedule: service.schedule,
        origins: origins.clone(),
        only_here: false,
    });
    Plan { targets: targets.collect(), warnings }
}
