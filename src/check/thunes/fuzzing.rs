//! Any bytes as what the trading system writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::json::Object;
use super::scrape;
use super::tail::fuzzing::in_pieces;
use super::tail::{Line, Lines};
use super::tally::{Format, Tally};
use crate::model::observation::{Memory, Remembered};
use crate::model::thunes::{Histogram, ORDER_LATENCY_BUCKETS, ThunesFacts, Totals};

/// Read in passes that end there, through the state's own form between two of them.
fn read(format: &Format, bytes: &[u8], ends: &[usize]) -> Totals {
    let tally = |totals| Tally::new(format.clone(), totals, Timestamp::UNIX_EPOCH);
    let through_state = |before: Tally| {
        let text = serde_json::to_string(&before.totals).expect("serialised");
        let again: Totals = serde_json::from_str(&text).expect("read back");
        assert_eq!(again, before.totals);
        tally(again)
    };
    in_pieces(bytes, ends, tally(Totals::default()), through_state).totals
}

/// A journal read in two passes adds up to what it adds up to in one; a general parser sees the same in each line.
pub(crate) fn journal(cut: usize, bytes: &[u8]) {
    let cut = cut.min(bytes.len());
    let whole = read(&Format::Journal, bytes, &[bytes.len()]);
    assert_eq!(whole, read(&Format::Journal, bytes, &[cut, bytes.len()]));
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
    let format = Format::Log(TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC));
    let whole = read(&format, bytes, &[bytes.len()]);
    assert_eq!(whole, read(&format, bytes, &[cut, bytes.len()]));
    let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
    assert!(whole.orders.iter().map(|order| order.count).sum::<u64>() <= lines && whole.pending.len() <= 64);
    assert!(whole.open_record.is_none_or(|open| open.message.len() <= 9 << 10));
}

/// What is taken is sound, and lines about anything else change nothing.
pub(crate) fn bridge(bytes: &[u8]) {
    let Ok(scraped) = scrape::read(bytes, "paper", Timestamp::UNIX_EPOCH) else { return };
    let ThunesFacts { daily_pnl_used, open_positions, order_latency, ws_gaps, .. } = &scraped.facts;
    for value in [daily_pnl_used, open_positions].into_iter().flatten() {
        assert!(value.is_finite() && *value >= 0.0, "{value}");
    }
    for Histogram { counts, sum } in [order_latency, ws_gaps].into_iter().flatten() {
        assert!(counts.len() == ORDER_LATENCY_BUCKETS.len() + 1 && sum.is_finite());
    }
    assert!(scraped.facts.problems.len() <= 8);
    let more = [bytes, b"# TYPE other gauge\nother{ broken\n\xff\n"].concat();
    assert_eq!(scrape::read(&more, "paper", Timestamp::UNIX_EPOCH).ok().as_ref(), Some(&scraped));
}

/// Whatever a state holds of a trading environment, reading goes on from there.
pub(crate) fn remembered(targets: &BTreeMap<String, Remembered>) {
    const EVENT: &[u8] = br#"{"timestamp":"2025-10-08T14:00:00","event":"ORDER_PLACED","latency_ms":12.5}"#;
    const RECORD: &[u8] = b"2025-10-08 14:38:23 - a - INFO - Order executed: 1";
    for remembered in targets.values() {
        let Memory::Thunes(memory) = &remembered.memory else { continue };
        for known in memory.journals.values() {
            let mut journal = Tally::new(Format::Journal, known.totals.clone(), Timestamp::UNIX_EPOCH);
            journal.line(Line::Whole(EVENT));
        }
        for known in memory.logs.values() {
            let format = Format::Log(TimeZone::UTC);
            let mut log = Tally::new(format, known.totals.clone(), Timestamp::UNIX_EPOCH);
            log.line(Line::Whole(RECORD));
        }
    }
}
