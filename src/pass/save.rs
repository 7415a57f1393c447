//! What a pass leaves to the next one: the history and the state.

use std::io;

use super::Performed;
use crate::config::settings::Settings;
use crate::exit;
use crate::fs;
use crate::log;
use crate::model::delivery::{Delivery, Started};
use crate::model::history::{Record, Written};
use crate::proc::{self, hung};
use crate::state::history;
use crate::state::store;

/// Warnings remembered as said; a LAB with more has them said again.
const MOST_WARNED: usize = 100;

/// Prints the warnings. A timer's pass prints one once, when it is new: 2,880 passes a day would hide everything else.
pub(super) fn say_warnings(performed: &mut Performed) {
    let said = std::mem::take(&mut performed.state.warned);
    let news = |warning: &&String| !log::to_journal() || !said.contains(warning);
    performed.warnings.iter().filter(news).for_each(log::warn);
    let all = performed.notice.iter().chain(&performed.warnings);
    performed.state.warned = all.take(MOST_WARNED).cloned().collect();
}

/// Adds the pass to the history. A history that cannot be written costs a report, not the pass.
pub(super) fn keep_history(settings: &Settings, performed: &mut Performed) {
    if performed.state_trouble.is_some() {
        return;
    }
    let failed: Vec<String> = performed.undelivered().map(|delivery| delivery.output.to_owned()).collect();
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
            let error = error.context("the history of this pass is not kept");
            log::warn(exit::sentence(&exit::failed_at(&place, error)));
        }
    }
}

/// Counts what failed, for the counters, and notes how the pass delivered.
pub(super) fn count_failures(settings: &Settings, performed: &mut Performed) {
    let failed: Vec<String> = performed.undelivered().map(|delivery| delivery.output.to_owned()).collect();
    let in_trouble = !failed.is_empty() || performed.troubles().next().is_some();
    let state = &mut performed.state;
    let names = settings.output.names();
    state.output_failures.retain(|name, _| names.contains(&name.as_str()));
    for output in failed {
        *state.output_failures.entry(output).or_default() += 1;
    }
    state.pass_failures += u64::from(in_trouble);
    let outputs = performed.deliveries.iter().map(|delivery| {
        let Delivery { output, destination, error } = delivery.clone();
        (output.to_owned(), (destination, error))
    });
    let started = Started { at: performed.snapshot.pass.started_at, outputs: outputs.collect() };
    state.note_starter(proc::own_unit(), started);
}

/// Saves the state and lets other passes begin. The lock is given up here, because a process ends only when its last
/// thread does, and one that waits in the kernel for a file system that never answers does not.
pub(super) fn save(settings: &Settings, performed: &mut Performed) {
    performed.state.hung = hung::all();
    if performed.state_trouble.is_none()
        && let Err(error) = store::save(&settings.probe.state_dir, &performed.state)
    {
        performed.state_trouble = Some(exit::failed_at(&store::path(&settings.probe.state_dir), error));
    }
    performed.lock = None;
}
