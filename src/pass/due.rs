//! When each target is due next, as the plan says it.

use jiff::Timestamp;

use crate::model::snapshot::Entry;
use crate::plan;
use crate::plan::due::Due;
use crate::state::store::State;

pub(super) fn note_next_due(entries: &mut [Entry], state: &State, now: Timestamp) {
    let targets = entries.iter().map(|entry| &entry.target);
    let due = plan::due::when(targets, &state.targets, state.created_at, now);
    for (entry, due) in entries.iter_mut().zip(due) {
        entry.next_due = match due {
            Due::At(at) if !entry.target.only_here => Some(at),
            Due::At(_) | Due::Now => None,
        };
    }
}
