//! What is due in this pass, and when each target is due next.

use jiff::Timestamp;

use super::run::hangs;
use super::select::Selection;
use crate::model::snapshot::Entry;
use crate::model::target::Target;
use crate::plan;
use crate::state::store::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspect {
    Now,
    /// If something in it has changed since the last inspection. To find out may hang, so its own thread does.
    IfChanged,
    No,
}

pub(super) fn choose(targets: &[Target], selection: &Selection, state: &State, now: Timestamp) -> Vec<Inspect> {
    let due = plan::due::when(&targets.iter().collect::<Vec<_>>(), &state.targets, state.created_at, now);
    let choice = |(target, until): (&Target, Option<Timestamp>)| match state.targets.get(&target.id()) {
        _ if !selection.takes(target) => Inspect::No,
        _ if selection.fresh || until.is_none() || hangs(target) => Inspect::Now,
        Some(known) if plan::due::worktree::may_be_early(target, known, now) => Inspect::IfChanged,
        _ => Inspect::No,
    };
    targets.iter().zip(due).map(choice).collect()
}

pub(super) fn note_next(entries: &mut [Entry], state: &State, now: Timestamp) {
    let targets: Vec<&Target> = entries.iter().map(|entry| &entry.target).collect();
    let due = plan::due::when(&targets, &state.targets, state.created_at, now);
    for (entry, until) in entries.iter_mut().zip(due) {
        entry.next_due = until.filter(|_| !entry.target.only_here);
    }
}
