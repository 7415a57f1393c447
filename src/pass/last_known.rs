//! What is known without checking anything: the plan, with what earlier passes found. Changes nothing.

use std::time::Duration;

use jiff::Timestamp;

use super::save;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::model::mcp::{McpFacts, McpTarget, Reach};
use crate::model::observation::{Facts, Observation, Remembered};
use crate::model::snapshot::{Entry, Outcome, PassFacts, Snapshot};
use crate::model::target::{Probe, Target};
use crate::plan::due::Due;
use crate::plan::{self, Plan, View};
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

/// Everything; `view` as for [`plan::all`].
pub fn last_known(settings: &Settings, view: View) -> LastKnown {
    let now = clock::now();
    let loaded = store::peek(&settings.probe.state_dir, now);
    let state = loaded.state;
    let deadline = Deadline::after(settings.probe.deadline);
    let Plan { targets, mut warnings } = plan::all(settings, view, deadline);
    warnings.splice(0..0, settings.warnings.iter().cloned().chain(loaded.warnings));
    let due = plan::due::when(&targets, &state.targets, state.created_at, now);
    let mut entries: Vec<Entry> = targets
        .into_iter()
        .zip(due)
        .map(|(target, due)| {
            let known = state.targets.get(&target.id().to_string()).filter(|_| !target.only_here);
            entry(target, known, due, now)
        })
        .collect();
    super::overlap::note(&mut entries);
    let last = state.last_pass;
    let pass = PassFacts {
        started_at: last.map_or(Timestamp::UNIX_EPOCH, |last| last.started_at),
        duration: last.map_or(Duration::ZERO, |last| last.duration),
        deadline_exceeded: last.is_some_and(|last| last.deadline_exceeded),
        output_failures: save::failures_of(settings, &state),
        pass_failures: state.pass_failures,
        counting: true,
    };
    let unusual = super::unusual::view(settings, &state.unusual, &entries);
    let snapshot = Snapshot { pass, entries, labels: settings.probe.labels.clone(), unusual };
    LastKnown { snapshot, ever: last.is_some(), warnings }
}

fn entry(target: Target, known: Option<&Remembered>, due: Due, now: Timestamp) -> Entry {
    let plain = match &target.probe {
        Probe::Mcp(McpTarget { reach: Reach::Unreachable(failure), .. }) => Some(Observation {
            checked_at: now,
            duration: Duration::ZERO,
            facts: Facts::Mcp(McpFacts::failed(failure.clone())),
        }),
        _ => None,
    };
    let current = known.filter(|known| known.fingerprint == target.fingerprint);
    // What is plain without a check goes before what was found by one.
    let observation = plain.or_else(|| current?.observation.clone());
    let observation = observation.map(|known| Observation { facts: known.facts.as_of(known.checked_at, now), ..known });
    Entry {
        outcome: Outcome::Cached,
        observation,
        memory: known.map(|known| known.memory.clone()),
        next_due: match due {
            Due::At(at) => Some(at),
            Due::Now => None,
        },
        processes: None,
        trouble: None,
        target,
    }
}
