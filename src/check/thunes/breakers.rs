//! The circuit breakers: the newest state of each by its own time, from journals and logs together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::reading::{Reading, Statement, newest};
use super::sources::from;
use crate::model::thunes::ThunesFacts;

/// Adds the newest states; none while a file fails, or none is ready: it may hold a newer one.
pub(super) fn add(files: &[&Reading], now: Timestamp, facts: &mut ThunesFacts) {
    if files.iter().any(|file| file.fails()) || !files.iter().any(|file| file.is_ready()) {
        return;
    }
    let (mut states, mut sources) = (BTreeMap::new(), Vec::new());
    let names: BTreeSet<&String> = files.iter().flat_map(|file| file.totals.breakers.keys()).collect();
    for name in names {
        let stated = |file: &Reading| file.totals.breakers.get(name).map(|breaker| (breaker.value, breaker.at));
        let found = newest(files.iter().copied(), stated, now);
        // What the same file says after its unread lines is newer than those.
        let outdated = |newest: &Statement<'_, _>| {
            let others = files.iter().filter(|file| file.name != newest.source.name);
            others.filter_map(|file| file.unread_before(now)).any(|before| newest.at.is_none_or(|at| at <= before))
        };
        match found {
            Some(Statement { value: None, source, .. }) => {
                facts.problems.push(format!("{}: breaker {name} is in a state that nobody knows", source.name));
            }
            Some(newest) if outdated(&newest) => {
                facts.problems.push(format!("breaker {name}: lines that could not be read may hold a newer state"));
            }
            Some(Statement { value: Some(state), source, .. }) => {
                states.insert(name.clone(), state);
                sources.push(source.name.as_str());
            }
            None => facts.problems.push(format!("breaker {name}: nothing tells which of its states is the newest")),
        }
    }
    from(facts, "thunes_circuit_breaker_state", sources);
    facts.breakers = Some(states);
}
