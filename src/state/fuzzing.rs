//! Any bytes as what lies in the state directory.

use jiff::Timestamp;

use super::history::records;
use super::store::{State, parse};
use crate::model::history::Record;

/// What loads is saved and loads again as it was.
pub(crate) fn state(bytes: &[u8], now: Timestamp) -> Option<State> {
    let (state, warnings) = parse(bytes, now).ok()?;
    assert!(state.created_at <= now);
    assert!(warnings.iter().all(|warning| !warning.is_empty()));
    let saved = serde_json::to_vec(&state).expect("saved");
    let (again, warnings) = parse(&saved, now).unwrap_or_else(|why| panic!("{why}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(again, state);
    assert_eq!(serde_json::to_vec(&again).expect("saved again"), saved);
    Some(state)
}

/// Records come in order, and as they were when they are written again.
pub(crate) fn history(bytes: &[u8]) -> Vec<Record> {
    let read = records(bytes);
    assert!(read.is_sorted_by_key(|record| record.at));
    let mut written = Vec::new();
    for record in &read {
        written.push(b'\n');
        written.extend(serde_json::to_vec(record).expect("serialised"));
    }
    assert_eq!(records(&written), read);
    read
}
