//! What is known without checking anything: the plan, with what earlier passes found. Changes nothing.

use std::time::Duration;

use super::{merge, snapshot};
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::model::mcp::{McpFacts, McpTarget, Reach};
use crate::model::observation::{Facts, Observation};
use crate::model::snapshot::{Entry, Outcome, Snapshot};
use crate::model::target::{Probe, Target};
use crate::plan::{Plan, View};
use crate::state::store;

#[derive(Debug)]
pub struct LastKnown {
    /// Every target with what is remembered of it; the pass is the last one.
    pub snapshot: Snapshot,
    /// Whether there has been a pass at all.
    pub ever: bool,
    /// What could not be read or is ambiguous.
    pub warnings: Vec<String>,
}

/// Everything; `view` as for [`crate::plan::all`].
pub fn last_known(settings: &Settings, view: View) -> LastKnown {
    let now = clock::now();
    let loaded = store::peek(&settings.probe.state_dir, now);
    let state = loaded.state;
    let deadline = Deadline::after(settings.probe.deadline);
    let Plan { targets, warnings } = super::plan::plan(settings, view, loaded.warnings, deadline);
    let entry = |target: Target| {
        let known = state.targets.get(&target.id()).filter(|_| !target.only_here);
        let mut entry = merge::entry(target, known, Outcome::Cached, None);
        // What is plain without a check goes before what was found by one.
        if let Probe::Mcp(McpTarget { reach: Reach::Unreachable(failure), .. }) = &entry.target.probe {
            let facts = Facts::Mcp(McpFacts::failed(failure.clone()));
            entry.observation = Some(Observation { checked_at: now, duration: Duration::ZERO, facts });
        }
        entry.observation.iter_mut().for_each(|seen| seen.expire(now));
        entry
    };
    let entries: Vec<Entry> = targets.into_iter().map(entry).collect();
    LastKnown { snapshot: snapshot(settings, &state, entries, now), ever: state.last_pass.is_some(), warnings }
}
