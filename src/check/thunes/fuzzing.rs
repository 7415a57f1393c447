//! Any bytes as what the trading system writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::journal::Journal;
use super::json::Object;
use super::logs::Log;
use super::scrape::{self, Scraped};
use super::tail::fuzzing::in_pieces;
use super::tail::{Line, Lines, Tally};
use crate::model::observation::{Memory, Remembered};
use crate::model::thunes::{Histogram, JournalTotals, LogTotals, ORDER_LATENCY_BUCKETS};

/// Through the state's own form, as between two passes.
fn through_state<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(totals: T) -> T {
    let text = serde_json::to_string(&totals).expect("serialised");
    let again: T = serde_json::from_str(&text).expect("read back");
    assert_eq!(again, totals);
    again
}

/// A journal read in two passes adds up to what it adds up to in one; a general parser sees the same in each line.
pub(crate) fn journal(cut: usize, bytes: &[u8]) {
    let cut = cut.min(bytes.len());
    let read = |ends: &[usize]| {
        in_pieces(
            bytes,
            ends,
            |totals| Journal::new(totals, Timestamp::UNIX_EPOCH),
            |mut journal| through_state(journal.totals().clone()),
        )
    };
    let whole: JournalTotals = read(&[bytes.len()]);
    assert_eq!(whole, read(&[cut, bytes.len()]));
    let counted: u64 = whole.orders.iter().map(|order| order.count).sum();
    assert!(counted <= whole.lines.ok && whole.latency.count() <= counted);
    bytes.split(|byte| *byte == b'\n').for_each(compare);
}

fn compare(line: &[u8]) {
    let mut spare = String::new();
    let parsed = Object::parse(line, &mut spare);
    if let Ok(general) = serde_json::from_slice::<Map<String, Value>>(line) {
        let object = parsed.expect("an object");
        for (key, value) in &general {
            assert_eq!(object.text(key).as_deref(), value.as_str(), "{key:?}");
            assert_eq!(object.number(key).is_some(), value.is_number(), "{key:?}");
        }
    }
}

/// A log read in two passes adds up to what it adds up to in one.
pub(crate) fn log(cut: usize, bytes: &[u8]) {
    let cut = cut.min(bytes.len());
    let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC);
    let tally = |totals| Log::new(totals, zone.clone(), Timestamp::UNIX_EPOCH);
    let read = |ends: &[usize]| in_pieces(bytes, ends, tally, |mut log| through_state(log.totals().clone()));
    let whole: LogTotals = read(&[bytes.len()]);
    assert_eq!(whole, read(&[cut, bytes.len()]));
    let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
    assert!(whole.orders.iter().map(|order| order.count).sum::<u64>() <= lines && whole.pending.len() <= 64);
    assert!(whole.open_record.is_none_or(|open| open.message.len() <= 9 << 10));
}

/// What is taken is sound, and lines about anything else change nothing.
pub(crate) fn bridge(bytes: &[u8]) {
    let Ok(scraped) = scrape::read(bytes, "paper", Timestamp::UNIX_EPOCH) else { return };
    let Scraped { daily_pnl_used, open_positions, order_latency, ws_gaps, refused, .. } = &scraped;
    for value in [daily_pnl_used, open_positions].into_iter().flatten() {
        assert!(value.is_finite() && *value >= 0.0, "{value}");
    }
    for Histogram { counts, sum } in [order_latency, ws_gaps].into_iter().flatten() {
        assert!(counts.len() == ORDER_LATENCY_BUCKETS.len() + 1 && sum.is_finite());
    }
    assert!(refused.len() <= 8);
    let more = [bytes, b"# TYPE other gauge\nother{ broken\n\xff\n"].concat();
    assert_eq!(scrape::read(&more, "paper", Timestamp::UNIX_EPOCH).as_ref(), Ok(&scraped));
}

/// Whatever a state holds of a trading environment, reading goes on from there.
pub(crate) fn remembered(targets: &BTreeMap<String, Remembered>) {
    const EVENT: &[u8] = br#"{"timestamp":"2025-10-08T14:00:00","event":"ORDER_PLACED","latency_ms":12.5}"#;
    const RECORD: &[u8] = b"2025-10-08 14:38:23 - a - INFO - Order executed: 1";
    for remembered in targets.values() {
        let Memory::Thunes(memory) = &remembered.memory else { continue };
        for known in memory.journals.values() {
            let mut journal = Journal::new(known.totals.clone(), Timestamp::UNIX_EPOCH);
            journal.line(Line::Whole(EVENT));
        }
        for known in memory.logs.values() {
            let mut log = Log::new(known.totals.clone(), TimeZone::UTC, Timestamp::UNIX_EPOCH);
            log.line(Line::Whole(RECORD));
        }
    }
}
