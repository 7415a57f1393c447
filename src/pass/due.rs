//! When each target is due next, as the plan says it.

use jiff::Timestamp;

use crate::model::snapshot::Entry;
use crate::plan;
use crate::plan::due::Turn;
use crate::state::store::State;

pub(super) fn note_next_due(entries: &mut [Entry], state: &State, now: Timestamp) {
    let targets = entries.iter().map(|entry| &entry.target);
    let turns = plan::due::turns(targets, &state.targets, state.created_at, now);
    for (entry, turn) in entries.iter_mut().zip(turns) {
        entry.next_due = match turn {
            Turn::At(at) if !entry.target.only_here => Some(at),
            Turn::At(_) | Turn::Now => None,
        };
    }
}
