//! What is kept of each pass for the day's report: which states changed, and that there was a pass at all.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observation::{Facts, Severity};
use super::snapshot::{Entry, Snapshot};
use super::thunes::{BreakerState, ThunesFacts};
use super::unusual::{Family, Level, Trend, Widespread};

/// A target's state as the report wants it. Written only when it differs from the one before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    #[serde(rename = "w")]
    pub word: String,
    #[serde(rename = "s")]
    pub severity: Option<Severity>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub trading: Option<TradingMark>,
    #[serde(rename = "u", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unusual: BTreeMap<Family, Anomalies>,
}

/// What is unusual of a series, as it was when that was first said: a mark does not change with every slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Anomalies {
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub trend: Option<Trend>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// Its beginning, Unix seconds.
    #[serde(rename = "t")]
    pub slot: i64,
    /// By target (`kind/name`) and family.
    #[serde(rename = "s")]
    pub series: BTreeMap<String, BTreeMap<Family, Seen>>,
}

/// A point, with the lower and upper end of the band that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seen(pub f64, pub f32, pub f32);

/// The values of a trading environment; what could not be told is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TradingMark {
    /// Today's realised profit in quote currency.
    #[serde(rename = "pnl", skip_serializing_if = "Option::is_none")]
    pub realized_pnl: Option<f64>,
    #[serde(rename = "used", skip_serializing_if = "Option::is_none")]
    pub limit_used: Option<f64>,
    #[serde(rename = "open", skip_serializing_if = "Option::is_none")]
    pub open_positions: Option<f64>,
    /// Positions closed today, and how many of them with a profit.
    #[serde(rename = "trades", skip_serializing_if = "Option::is_none")]
    pub trades: Option<(u64, u64)>,
    #[serde(rename = "halt", skip_serializing_if = "Option::is_none")]
    pub halted: Option<bool>,
    #[serde(rename = "breakers", skip_serializing_if = "Vec::is_empty")]
    pub open_breakers: Vec<String>,
    /// While no order can go out: what halts trading, as [`ThunesFacts::risks`] says it.
    #[serde(rename = "by", skip_serializing_if = "Vec::is_empty")]
    pub halted_by: Vec<String>,
    /// Orders placed so far, a counter.
    #[serde(rename = "orders", skip_serializing_if = "Option::is_none")]
    pub orders: Option<u64>,
    #[serde(rename = "lat", skip_serializing_if = "Option::is_none")]
    pub latency: Option<Vec<u64>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Set in the first record of a day: every target is in it, and whatever is not has gone.
    #[serde(rename = "all", default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// The marks that changed, by `kind/name`; `None` where the target has gone.
    #[serde(rename = "m", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, Option<Mark>>,
    #[serde(rename = "cut", default, skip_serializing_if = "std::ops::Not::not")]
    pub deadline_exceeded: bool,
    #[serde(rename = "undelivered", default, skip_serializing_if = "Vec::is_empty")]
    pub failed_outputs: Vec<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// Set while many series are unusual at once.
    #[serde(rename = "wide", default, skip_serializing_if = "Option::is_none")]
    pub widespread: Option<Widespread>,
}

/// The marks as last written; what the next record is compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    /// The UTC day of the last record, `2026-11-24`.
    pub day: String,
    pub marks: BTreeMap<String, Mark>,
}

impl Mark {
    fn of(entry: &Entry, snapshot: &Snapshot, before: Option<&Mark>) -> Option<Mark> {
        let facts = &entry.observation.as_ref()?.facts;
        let mut mark = Mark { word: facts.word().to_owned(), severity: Some(facts.severity()), ..Mark::default() };
        mark.reason = facts.failure().map(|failure| failure.reason.as_str().to_owned());
        match facts {
            Facts::Mcp(_) | Facts::Service(_) => {}
            Facts::Worktree(facts) => {
                mark.tests = facts.tests.as_ref().map(|tests| tests.status.as_str().to_owned());
            }
            Facts::Thunes(facts) => mark.trading = Some(TradingMark::of(facts)),
        }
        let id = entry.target.id();
        for one in snapshot.unusual.iter().flat_map(|unusual| unusual.of(&id)) {
            let known = before.and_then(|mark| mark.unusual.get(&one.family)?.level);
            let level = one.state.level.map(|level| known.filter(|known| known.since == level.since).unwrap_or(level));
            let anomalies = Anomalies { level, trend: one.state.trend };
            if anomalies != Anomalies::default() {
                mark.unusual.insert(one.family, anomalies);
            }
        }
        Some(mark)
    }
}

impl TradingMark {
    fn of(facts: &ThunesFacts) -> TradingMark {
        let open = facts.breakers.iter().flatten().filter(|(_, state)| **state == BreakerState::Open);
        TradingMark {
            realized_pnl: facts.realized_pnl,
            limit_used: facts.daily_pnl_used,
            open_positions: facts.open_positions,
            trades: facts.trades_today.map(|trades| (trades.closed, trades.won)),
            halted: facts.kill_switch.as_ref().map(|switch| switch.active),
            open_breakers: open.map(|(name, _)| name.clone()).collect(),
            halted_by: if facts.halted() { facts.risks() } else { Vec::new() },
            orders: facts.orders_placed(),
            latency: facts.order_latency.as_ref().map(|latency| latency.counts.clone()),
        }
    }
}

impl Record {
    /// What a pass adds to the history, and the marks to compare the next one with.
    pub fn of(
        snapshot: &Snapshot,
        failed_outputs: Vec<String>,
        points: Option<Points>,
        before: &Written,
    ) -> (Record, Written) {
        let at = snapshot.pass.started_at;
        let day = day_of(at);
        let whole = day != before.day;
        let mark = |entry: &Entry| {
            let id = entry.target.id();
            Mark::of(entry, snapshot, before.marks.get(&id)).map(|mark| (id, mark))
        };
        let now: BTreeMap<String, Mark> = snapshot.delivered().filter_map(mark).collect();
        let changed = now.iter().filter(|(id, mark)| whole || before.marks.get(*id) != Some(mark));
        let mut marks: BTreeMap<String, Option<Mark>> =
            changed.map(|(id, mark)| (id.clone(), Some(mark.clone()))).collect();
        if !whole {
            marks.extend(before.marks.keys().filter(|id| !now.contains_key(*id)).map(|id| (id.clone(), None)));
        }
        let deadline_exceeded = snapshot.pass.deadline_exceeded;
        let widespread = snapshot.unusual.as_ref().and_then(|unusual| unusual.widespread);
        let record = Record { at, whole, marks, deadline_exceeded, failed_outputs, points, widespread };
        (record, Written { day, marks: now })
    }
}

/// The UTC day of an instant, `2026-11-24`.
pub fn day_of(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
