//! Services beside the LAB, as the configuration names them.

use std::collections::BTreeSet;

use super::Plan;
use super::fingerprint::Key;
use crate::config::settings::{ServiceSettings, Settings};
use crate::model::service::{ServiceProbe, ServiceTarget};
use crate::model::target::{Origin, Probe, Target};

pub fn plan(settings: &Settings) -> Plan {
    if settings.services.is_empty() {
        return Plan::default();
    }
    let mut warnings = Vec::new();
    let key = Key::of(&settings.probe.state_dir, &mut warnings);
    let origins: Vec<Origin> = settings.source.iter().map(|path| Origin::own(path.clone(), "config")).collect();
    let targets = settings.services.iter().map(|service| {
        let units = units_beside(service, &settings.services);
        let probe = ServiceTarget { probe: service.probe.clone(), units };
        Target {
            name: service.name.clone(),
            fingerprint: key.fingerprint(&service.probe, service.schedule.timeout),
            probe: Probe::Service(probe),
            schedule: service.schedule,
            origins: origins.clone(),
            only_here: false,
        }
    });
    Plan { targets: targets.collect(), warnings }
}

/// For a unit, every unit of the same manager; each once.
fn units_beside(service: &ServiceSettings, all: &[ServiceSettings]) -> Vec<String> {
    let ServiceProbe::Unit { user: own, .. } = &service.probe else { return Vec::new() };
    let units = all.iter().filter_map(|service| match &service.probe {
        ServiceProbe::Unit { name, user } if user == own => Some(name.clone()),
        _ => None,
    });
    units.collect::<BTreeSet<_>>().into_iter().collect()
}
