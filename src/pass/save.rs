//! What a pass leaves to the next one: the history and the state.

use std::collections::BTreeMap;
use std::io;

use super::Performed;
use crate::config::settings::Settings;
use crate::exit;
use crate::fs;
use crate::log;
use crate::model::delivery::{Delivery, Started};
use crate::model::history::{Record, Written};
use crate::proc;
use crate::state::history;
use crate::state::store::State;

/// Adds the pass to the history. A history that cannot be written costs a report, not the pass.
pub fn keep_history(settings: &Settings, performed: &mut Performed, deliveries: &[Delivery]) {
    if performed.state_trouble.is_some() {
        return;
    }
    let failed = deliveries.iter().filter(|delivery| delivery.error.is_some());
    let failed: Vec<String> = failed.map(|delivery| delivery.output.to_owned()).collect();
    let keep = |before: &Written| {
        let (record, written) = Record::of(&performed.snapshot, failed.clone(), performed.points.clone(), before);
        history::append(&settings.probe.state_dir, &record).map(|()| written)
    };
    let kept = match keep(&performed.state.written) {
        // Somebody has removed the day's file: begin it anew.
        Err(error) if fs::kind(&error) == Some(io::ErrorKind::NotFound) => keep(&Written::default()),
        kept => kept,
    };
    match kept {
        Ok(written) => performed.state.written = written,
        Err(error) => {
            let place = history::directory(&settings.probe.state_dir);
            log::warn(format!("the history of this pass is not kept: {error:#}; {}", exit::remedy_for(&place, &error)));
        }
    }
}

/// Counts what failed and saves the state. Says whether that worked.
pub fn save(settings: &Settings, performed: &mut Performed, deliveries: &[Delivery]) -> bool {
    let in_trouble = performed.troubles().next().is_some();
    let state = &mut performed.state;
    let names = settings.output.names();
    state.output_failures.retain(|name, _| names.contains(&name.as_str()));
    for failed in deliveries.iter().filter(|delivery| delivery.error.is_some()) {
        *state.output_failures.entry(failed.output.to_owned()).or_default() += 1;
    }
    if in_trouble || deliveries.iter().any(|delivery| delivery.error.is_some()) {
        state.pass_failures += 1;
    }
    state.note_starter(proc::own_unit(), Started::new(performed.started_at, deliveries));
    performed.save_state(settings)
}

/// The failures of every configured output so far; one that never failed has its zero.
pub(super) fn failures_of(settings: &Settings, state: &State) -> BTreeMap<String, u64> {
    let names = settings.output.names().into_iter();
    names.map(|name| (name.to_owned(), state.output_failures.get(name).copied().unwrap_or(0))).collect()
}
