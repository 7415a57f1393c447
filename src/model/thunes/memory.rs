//! What is remembered of an environment: how far each file has been read and what its lines added up to.
//!
//! A cursor and the totals of everything before it stand in one value, so that the one rename which replaces the state
//! moves both or neither: a line is counted exactly once wherever a pass is killed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KillSwitch, ORDER_LATENCY_BUCKETS, WS_GAP_BUCKETS};

/// Files by their path as the config has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThunesMemory {
    pub journals: BTreeMap<String, FileMemory>,
    pub logs: BTreeMap<String, FileMemory>,
    /// Whether the positions database has ever been there: from then on it is a source, also when it is gone.
    pub has_database: bool,
    /// Whether `.env` has ever stated the loss limit: from then on the default is none.
    pub has_limit: bool,
    pub endpoint: EndpointMemory,
    /// The start of the first pass since which the kill switch has been unknown.
    pub kill_switch_unknown_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointMemory {
    /// Digest of its URL, which may hold a secret.
    pub url: String,
    /// The families that it has ever had: while they are missing there, they are taken from nowhere else.
    pub families: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileMemory {
    pub cursor: Cursor,
    pub totals: Totals,
}

/// How far an append-only file, with everything rotated away from under its name, has been read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// The resolved path; a cursor of another path is of no use.
    pub path: String,
    /// `/proc/sys/kernel/random/boot_id` at the last check: a file that is shorter after a reboot lost its unsynced end,
    /// one that is shorter within a boot was truncated.
    pub boot_id: String,
    /// The files that hold the lines, oldest first; the last one had the path's name when it was last seen there.
    pub parts: Vec<Part>,
    /// Rotated parts that were gone before their end could be read.
    pub gaps: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    pub name: String,
    #[serde(flatten)]
    pub file: FileFacts,
    /// Bytes consumed (of a compressed file: of what is in it): everything up to the last complete line.
    pub position: u64,
    /// SHA-256 of the first bytes, at most [`Part::position`] of them.
    pub head: Fingerprint,
    /// SHA-256 of the last bytes before [`Part::position`].
    pub tail: Fingerprint,
    pub in_long_line: bool,
    /// It has been read to its end; whatever it holds after [`Part::position`] is an unfinished line.
    pub at_end: bool,
    /// It is compressed, so it cannot grow; once read to its end it need not be looked at again.
    pub compressed: bool,
    /// Checks in a row whose time did not suffice to unpack it up to its position.
    pub stalls: u8,
    /// Checks in a row in which the operating system refused to read it.
    pub failures: u8,
    /// Its size when the unfinished line at its end was given up.
    pub given_up: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileFacts {
    /// Device and inode. Neither is enough alone: inodes are reused, devices are renumbered at boot.
    pub device: u64,
    pub inode: u64,
    /// Time of birth in nanoseconds since 1970, where the file system knows it: tells a reused inode.
    pub born: Option<i64>,
    pub size: u64,
    /// Time of the last change, nanoseconds since 1970.
    pub modified: i64,
}

/// A SHA-256 digest in hex, empty for no bytes, and the number of bytes it covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fingerprint {
    pub length: u64,
    pub digest: String,
}

/// Complete lines of a journal: `ok` is a JSON object, `malformed` anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineCounts {
    pub ok: u64,
    pub malformed: u64,
    /// Over 1 MiB.
    pub too_long: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    pub orders: Vec<OrderCount>,
    pub latency: Histogram,
    pub gaps: Histogram,
    /// By symbol, whether it is connected.
    pub ws: BTreeMap<String, Stated<bool>>,
    /// `None` where the newest record names a state nobody knows.
    pub breakers: BTreeMap<String, Stated<Option<BreakerState>>>,
    /// Lines that could not be read, and that may have been about breakers.
    pub breaker_doubt: Option<Doubt>,
    /// The time that the newest record states.
    pub last_record: Option<Timestamp>,
    /// What only a journal has.
    pub lines: LineCounts,
    /// Whether there was ever an event that only an instrumented application writes.
    pub instrumented: bool,
    pub decisions: Vec<DecisionCount>,
    #[serde(default = "KillState::unknown")]
    pub kill_switch: KillState,
    /// What only a log has: orders placed and not yet executed or failed, oldest first.
    pub pending: Vec<PendingOrder>,
    /// The record whose message is still going on, where that matters.
    pub open_record: Option<OpenRecord>,
    /// An unhealthy WebSocket was reported and none has connected since: further reports are of the same gap.
    pub in_gap: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KillState {
    pub last: Option<KillSwitch>,
    /// Why that can no longer be relied on: lines after it were lost or could not be read. The next evidence ends it.
    pub doubt: Option<Doubt>,
}

impl KillState {
    /// What lines said that were read by a version which did not keep it.
    fn unknown() -> Self {
        let why = "it was read by an earlier version of lab-probe, which took less for evidence".to_owned();
        KillState { last: None, doubt: Some(Doubt { why, before: Timestamp::MAX }) }
    }
}

/// Lines that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Why not, to follow the name of the file.
    pub why: String,
    /// They were written before this: the time of the next record, else the start of the pass that found the last of them.
    pub before: Timestamp,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderCount {
    pub venue: String,
    pub order_type: String,
    pub side: String,
    pub count: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionCount {
    /// `approved` or `rejected`.
    pub decision: String,
    /// Why it was rejected; empty for an approval.
    pub reason: String,
    pub count: u64,
}

/// The newest value that a file's records state, and when by their own time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stated<T> {
    #[serde(alias = "connected", alias = "state")]
    pub value: T,
    pub at: Option<Timestamp>,
}

words! {
    /// The states of a circuit breaker, in the application's words.
    BreakerState {
        Closed = "closed",
        /// One request is let through to try.
        HalfOpen = "half-open",
        Open = "open",
    }
}

impl BreakerState {
    /// The value of `thunes_circuit_breaker_state`: 0, 0.5, 1 in the order of the states.
    pub fn value(self) -> f64 {
        f64::from(self as u8) / 2.0
    }
}

/// Observations by bucket. Like every count that comes from the state, they stop at the largest number there is: a
/// damaged state must not end a pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Observations in each bucket alone, the one above the last bound included; not cumulative.
    pub counts: Vec<u64>,
    pub sum: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        const { assert!(ORDER_LATENCY_BUCKETS.len() == WS_GAP_BUCKETS.len()) };
        Histogram { counts: vec![0; ORDER_LATENCY_BUCKETS.len() + 1], sum: 0.0 }
    }
}

impl Histogram {
    /// Adds one observation; `bounds` are inclusive upper bounds.
    pub fn observe(&mut self, bounds: &[f64], value: f64) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.sum += value;
    }

    /// Adds all observations of another histogram with the same bounds.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*others);
        }
        self.sum += other.sum;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PendingOrder {
    pub logger: String,
    pub order_type: String,
    pub side: String,
    pub at: Option<Timestamp>,
}

/// A record whose message spans lines, cut to what can matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenRecord {
    pub logger: String,
    pub at: Option<Timestamp>,
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two files as 0.1.0 kept them: a journal and a log had types of their own, and what a file is stood in its part.
    const EARLIER: &str = r#"{
        "journals": {"a.jsonl": {
            "cursor": {"path": "/a.jsonl", "parts": [{"name": "a.jsonl", "device": 7, "inode": 8, "born": 9, "position": 10,
                "size": 11, "modified": 12, "at_end": true}], "gaps": 1},
            "totals": {"lines": {"ok": 3}, "instrumented": true,
                "orders": [{"venue": "binance", "order_type": "MARKET", "side": "BUY", "count": 4}],
                "kill_switch": {"last": {"active": true, "event": "KILL_SWITCH_ACTIVATED", "at": "2025-10-08T14:00:00Z",
                    "since": "2025-10-08T14:00:00Z", "reason": "daily loss"}, "doubt": null}}}},
        "logs": {"a.log": {"totals": {"breakers": {"A": {"state": "half-open", "at": null}}, "in_gap": true}}}
    }"#;

    #[test]
    fn what_an_earlier_version_counted_goes_on() {
        let memory: ThunesMemory = serde_json::from_str(EARLIER).expect("read");
        let FileMemory { cursor, totals } = &memory.journals["a.jsonl"];
        let file = FileFacts { device: 7, inode: 8, born: Some(9), size: 11, modified: 12 };
        assert_eq!((cursor.parts[0].file, cursor.parts[0].position, cursor.gaps), (file, 10, 1));
        assert_eq!((totals.lines.ok, totals.orders[0].count), (3, 4));
        let last = totals.kill_switch.last.as_ref().expect("evidence");
        assert_eq!((last.active, last.evidence.as_deref()), (true, Some("KILL_SWITCH_ACTIVATED")));
        assert_eq!((last.evidence_at, last.reason.as_deref()), (last.since, Some("daily loss")));
        assert_eq!(memory.logs["a.log"].totals.breakers["A"].value, Some(BreakerState::HalfOpen));
        let again: ThunesMemory =
            serde_json::from_str(&serde_json::to_string(&memory).expect("written")).expect("read again");
        assert_eq!(again, memory);
    }
}
