//! The circuit breakers: the newest state of each by its own time, from journals and logs together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::reading::{Reading, Statement, newest};
use crate::model::thunes::{Breaker, BreakerState, Doubt, JournalTotals, LogTotals};

/// What all files together say.
#[derive(Default)]
pub(super) struct Breakers<'a> {
    pub(super) states: BTreeMap<String, BreakerState>,
    /// The files that the states come from.
    pub(super) files: Vec<&'a str>,
    /// A sentence for each breaker whose state is not known.
    pub(super) problems: Vec<String>,
}

/// The newest states; none while a file fails, or none is ready: it may hold a newer one.
pub(super) fn from_files<'a>(
    journals: &'a [Reading<JournalTotals>],
    logs: &'a [Reading<LogTotals>],
    now: Timestamp,
) -> Option<Breakers<'a>> {
    let fails = journals.iter().any(Reading::fails) || logs.iter().any(Reading::fails);
    let ready = journals.iter().any(Reading::is_ready) || logs.iter().any(Reading::is_ready);
    if fails || !ready {
        return None;
    }
    let of_journals = journals
        .iter()
        .map(|reading| Source::of(reading, &reading.totals.breakers, reading.totals.breaker_doubt.as_ref(), now));
    let of_logs = logs
        .iter()
        .map(|reading| Source::of(reading, &reading.totals.breakers, reading.totals.breaker_doubt.as_ref(), now));
    let sources: Vec<_> = of_journals.chain(of_logs).collect();
    Some(newest_states(&sources, now))
}

/// What one file says.
struct Source<'a> {
    name: &'a str,
    breakers: &'a BTreeMap<String, Breaker>,
    /// Lines of it written before this could not be read, and may be about any breaker.
    unread_before: Option<Timestamp>,
}

impl<'a> Source<'a> {
    fn of<T>(
        reading: &'a Reading<T>,
        breakers: &'a BTreeMap<String, Breaker>,
        doubt: Option<&Doubt>,
        now: Timestamp,
    ) -> Source<'a> {
        Source { name: &reading.name, breakers, unread_before: reading.doubt_before(doubt, now) }
    }
}

fn newest_states<'a>(sources: &[Source<'a>], now: Timestamp) -> Breakers<'a> {
    let mut all = Breakers::default();
    let names: BTreeSet<&String> = sources.iter().flat_map(|source| source.breakers.keys()).collect();
    for name in names {
        let statements = sources.iter().filter_map(|source| {
            let Breaker { state, at } = source.breakers.get(name)?;
            Some(Statement { value: *state, at: *at, source: source.name })
        });
        let found = newest(statements, now);
        // What the same file says after its unread lines is newer than those.
        let outdated = |newest: &Statement<'_, _>| {
            let others = sources.iter().filter(|source| source.name != newest.source);
            others.filter_map(|source| source.unread_before).any(|before| newest.at.is_none_or(|at| at <= before))
        };
        match found {
            Some(Statement { value: None, source, .. }) => {
                all.problems.push(format!("{source}: breaker {name} is in a state that nobody knows"));
            }
            Some(newest) if outdated(&newest) => {
                all.problems.push(format!("breaker {name}: lines that could not be read may hold a newer state"));
            }
            Some(Statement { value: Some(state), source, .. }) => {
                all.states.insert(name.clone(), state);
                all.files.push(source);
            }
            None => all.problems.push(format!("breaker {name}: nothing tells which of its states is the newest")),
        }
    }
    all
}
