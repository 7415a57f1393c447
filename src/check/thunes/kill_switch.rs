//! Whether the kill switch is active, and by which evidence; or why nobody knows.
//!
//! It is off only when the newest evidence says so and nothing that could not be read could say otherwise, or when a
//! readable audit trail, whole from its beginning as far as can be told, holds no evidence at all.

use std::path::Path;

use jiff::Timestamp;

use super::reading::{Reading, newest};
use crate::model::thunes::KillSwitch;

/// The journal that decides on the kill switch by its absence too: the first that is not meant for an instrumented
/// application's events.
pub(super) fn audit_trail(journals: &[Reading]) -> Option<&Reading> {
    let is_events = |journal: &&Reading| {
        let name = Path::new(&journal.name).file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("metrics_events")
    };
    journals.iter().find(|journal| !is_events(journal)).or(journals.first())
}

/// The newest evidence, and the journal that has it; or the audit trail, which has none.
/// Errors: Why it cannot be told, a sentence each.
pub(super) fn from_journals(journals: &[Reading], now: Timestamp) -> Result<(KillSwitch, &str), Vec<String>> {
    let trail = audit_trail(journals);
    let failing = journals.iter().filter(|journal| journal.fails());
    let mut why: Vec<String> = failing.chain(trail.filter(|trail| trail.is_absent())).filter_map(failure).collect();
    if trail.is_none() {
        why.push("no journal is configured".to_owned());
    }
    let newest = newest(journals, stated, now);
    if newest.is_none() && journals.iter().any(|journal| journal.totals.kill_switch.last.is_some()) {
        why.push("the journals contradict each other, and their times do not tell which is right".to_owned());
    }
    let at = newest.and_then(|newest| newest.at);
    why.extend(journals.iter().filter_map(|journal| unread(journal, at)));
    let Some(trail) = trail.filter(|_| why.is_empty()) else { return Err(why) };
    let source = newest.map_or(trail, |newest| newest.source);
    Ok((source.totals.kill_switch.last.clone().unwrap_or_default(), &source.name))
}

fn failure(journal: &Reading) -> Option<String> {
    Some(format!("{}: {}", journal.name, journal.sentence()?))
}

fn stated(journal: &Reading) -> Option<(bool, Option<Timestamp>)> {
    journal.totals.kill_switch.last.as_ref().map(|last| (last.active, last.evidence_at))
}

/// Lines of a journal that could not be read, unless they were written before the newest evidence.
fn unread(journal: &Reading, newest: Option<Timestamp>) -> Option<String> {
    let name = &journal.name;
    if journal.is_waiting {
        return Some(format!("{name}: its last line is unfinished and may be any event"));
    }
    let doubt = journal.totals.kill_switch.doubt.as_ref()?;
    let is_older = newest.is_some_and(|newest| newest > doubt.before);
    (!is_older).then(|| format!("{name}: {}", doubt.why))
}

/// The newest evidence of the journals if it says what the endpoint says: since when and why, which that does not know.
pub(super) fn details(journals: &[Reading], active: bool, now: Timestamp) -> Option<KillSwitch> {
    let newest = newest(journals, stated, now).filter(|newest| newest.value == active)?;
    newest.source.totals.kill_switch.last.clone()
}
