//! The figures of one UTC day, from the records of its passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::timeline::{Stretch, stretches};
use super::unusual;
use crate::model::history::{Mark, Record, TradingMark};
use crate::model::thunes::ORDER_LATENCY_BUCKETS;

/// Everything the report of a day says. Serialised as it is for `--format json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Day {
    /// The UTC day, `2026-11-24`.
    pub date: String,
    pub passes: usize,
    pub cut_short: usize,
    pub undelivered: BTreeMap<String, usize>,
    /// The first pass ever, if that was on this day.
    pub first_pass: Option<Timestamp>,
    /// Time without a pass, in seconds; what was before the first one ever does not count.
    pub unwatched_seconds: f64,
    pub trading: Vec<Trading>,
    pub servers: Vec<Uptime>,
    pub worktrees: Vec<WorktreeDay>,
    /// What was unusual, a sentence each, the most important first.
    pub unusual: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trading {
    pub environment: String,
    /// Realised profit at the end, in quote currency.
    pub realized_pnl: Option<f64>,
    /// The largest share of the loss limit used.
    pub limit_used_most: Option<f64>,
    pub trades: Option<u64>,
    /// Share of them closed with a profit.
    pub win_rate: Option<f64>,
    pub open_positions: Option<f64>,
    /// Time with the kill switch active, in seconds; `None` if it was never known.
    pub halted_seconds: Option<f64>,
    /// What halts trading at the end, a few words each.
    pub halted_by: Vec<String>,
    pub breaker_trips: BTreeMap<String, usize>,
    pub orders: Option<u64>,
    /// 95th percentile of order latency: at most so many milliseconds (the bound of its bucket).
    pub latency_p95_ms: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Uptime {
    /// `mcp` or `service`.
    pub kind: String,
    pub name: String,
    /// Share of the time in which it was known and configured.
    pub up: Option<f64>,
    /// The reason it was down for longest.
    pub worst_reason: Option<String>,
    pub down_seconds: f64,
    pub last: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorktreeDay {
    pub name: String,
    pub statuses: Vec<String>,
    pub tests: Vec<String>,
}

impl Day {
    /// The day `date` begins at `from`; a day that is not over ends `now`. `is_first`: no pass was made before it.
    pub fn of(date: &str, from: Timestamp, now: Timestamp, records: &[Record], is_first: bool) -> Day {
        let to = from.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX).min(now).max(from);
        let first_pass = records.first().filter(|_| is_first).map(|record| record.at.clamp(from, to));
        let ids: BTreeSet<&String> = records.iter().flat_map(|record| record.marks.keys()).collect();
        let mut day = Day {
            date: date.to_owned(),
            passes: records.len(),
            cut_short: records.iter().filter(|record| record.deadline_exceeded).count(),
            first_pass,
            unwatched_seconds: unwatched(records, first_pass.unwrap_or(from), to).as_secs_f64(),
            unusual: unusual::of_day(records, ids.iter().copied(), (from, to)),
            ..Day::default()
        };
        for output in records.iter().flat_map(|record| &record.failed_outputs) {
            *day.undelivered.entry(output.clone()).or_default() += 1;
        }
        for id in ids {
            let timeline = stretches(records, id, from, to);
            match id.split_once('/') {
                Some((kind @ ("mcp" | "service"), name)) => day.servers.push(uptime(kind, name, &timeline)),
                Some(("worktree", name)) => day.worktrees.push(worktree(name, &timeline)),
                Some(("thunes", name)) => day.trading.push(trading(name, &timeline, records, id)),
                _ => {}
            }
        }
        day.trading.sort_by_key(|trading| trading.halted_by.is_empty());
        day
    }
}

fn unwatched(records: &[Record], from: Timestamp, to: Timestamp) -> Duration {
    // Any target does: a timeline has no mark exactly where no pass is believed, if the target is always there.
    let marks = BTreeMap::from([(String::new(), Some(Mark::default()))]);
    let always = records.iter().map(|record| Record { marks: marks.clone(), ..record.clone() });
    let timeline = stretches(&always.collect::<Vec<_>>(), "", from, to);
    timeline.iter().filter(|stretch| stretch.mark.is_none()).map(Stretch::length).sum()
}

fn uptime(kind: &str, name: &str, timeline: &[Stretch]) -> Uptime {
    let known = || timeline.iter().filter_map(|stretch| Some((stretch.mark.as_ref()?, stretch.length().as_secs_f64())));
    let up: f64 = known().filter(|(mark, _)| mark.word == "up").map(|(_, seconds)| seconds).sum();
    let mut by_reason: BTreeMap<&str, f64> = BTreeMap::new();
    for (mark, seconds) in known().filter(|(mark, _)| mark.word == "down") {
        *by_reason.entry(mark.reason.as_deref().unwrap_or("unknown")).or_default() += seconds;
    }
    // The sum of no floats is -0.
    let down = by_reason.values().fold(0.0, |sum, seconds| sum + seconds);
    let worst = by_reason.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    Uptime {
        kind: kind.to_owned(),
        name: name.to_owned(),
        up: (up + down > 0.0).then(|| up / (up + down)),
        worst_reason: worst.map(|(reason, _)| reason.to_owned()),
        down_seconds: down,
        last: known().next_back().map_or("unknown", |(mark, _)| &mark.word).to_owned(),
    }
}

fn worktree(name: &str, timeline: &[Stretch]) -> WorktreeDay {
    let marks = || timeline.iter().filter_map(|stretch| stretch.mark.as_ref());
    let mut statuses: Vec<String> = marks().map(|mark| mark.word.clone()).collect();
    let mut tests: Vec<String> = marks().filter_map(|mark| mark.tests.clone()).collect();
    statuses.dedup();
    tests.dedup();
    WorktreeDay { name: name.to_owned(), statuses, tests }
}

fn trading(name: &str, timeline: &[Stretch], records: &[Record], id: &str) -> Trading {
    let marks: Vec<&TradingMark> =
        records.iter().filter_map(|record| record.marks.get(id)?.as_ref()?.trading.as_ref()).collect();
    let last = |value: fn(&TradingMark) -> Option<f64>| marks.iter().rev().find_map(|mark| value(mark));
    let trades = marks.iter().rev().find_map(|mark| mark.trades);
    let is_halted = |mark: &Mark| mark.trading.as_ref().is_some_and(|trading| trading.halted == Some(true));
    let halted = timeline.iter().filter(|stretch| stretch.mark.as_ref().is_some_and(is_halted)).map(Stretch::length);
    let known_switch = marks.iter().any(|mark| mark.halted.is_some());
    Trading {
        environment: name.to_owned(),
        realized_pnl: last(|mark| mark.realized_pnl),
        limit_used_most: marks.iter().filter_map(|mark| mark.limit_used).max_by(f64::total_cmp),
        trades: trades.map(|(closed, _)| closed),
        win_rate: trades.filter(|(closed, _)| *closed > 0).map(|(closed, won)| won as f64 / closed as f64),
        open_positions: last(|mark| mark.open_positions),
        halted_seconds: known_switch.then(|| halted.sum::<Duration>().as_secs_f64()),
        halted_by: marks.last().map(|mark| mark.halted_by.clone()).unwrap_or_default(),
        breaker_trips: trips(&marks),
        orders: growth(marks.iter().filter_map(|mark| mark.orders)),
        latency_p95_ms: latency_p95(&marks),
    }
}

fn trips(marks: &[&TradingMark]) -> BTreeMap<String, usize> {
    let mut trips = BTreeMap::new();
    for pair in marks.windows(2) {
        for name in pair[1].open_breakers.iter().filter(|name| !pair[0].open_breakers.contains(name)) {
            *trips.entry(name.clone()).or_default() += 1;
        }
    }
    trips
}

/// How much a counter has grown; where it fell it began anew.
fn growth(values: impl Iterator<Item = u64>) -> Option<u64> {
    let values: Vec<u64> = values.collect();
    let steps = values.windows(2).map(|pair| pair[1].checked_sub(pair[0]).unwrap_or(pair[1]));
    (!values.is_empty()).then(|| steps.fold(0, u64::saturating_add))
}

/// The bound of the bucket that holds the 95th percentile of what was observed during the day.
fn latency_p95(marks: &[&TradingMark]) -> Option<f64> {
    let counts: Vec<&Vec<u64>> = marks.iter().filter_map(|mark| mark.latency.as_ref()).collect();
    let buckets = counts.iter().map(|counts| counts.len()).max()?;
    let of_bucket = |bucket| counts.iter().map(move |counts: &&Vec<u64>| counts.get(bucket).copied().unwrap_or(0));
    let grown: Vec<u64> = (0..buckets).filter_map(|bucket| growth(of_bucket(bucket))).collect();
    let total: u128 = grown.iter().map(|count| u128::from(*count)).sum();
    let rank = (total * 95).div_ceil(100);
    let mut seen = 0;
    let bucket = grown.iter().position(|count| {
        seen += u128::from(*count);
        rank > 0 && seen >= rank
    })?;
    Some(ORDER_LATENCY_BUCKETS.get(bucket).copied().unwrap_or(f64::INFINITY)).filter(|bound| bound.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn record(second: i64, marks: &[(&str, Mark)]) -> Record {
        Record {
            at: at(second),
            whole: second == 0,
            marks: marks.iter().map(|(id, mark)| ((*id).to_owned(), Some(mark.clone()))).collect(),
            deadline_exceeded: second == 60,
            failed_outputs: if second == 60 { vec!["textfile".into()] } else { Vec::new() },
            points: None,
            widespread: None,
        }
    }

    fn word(word: &str, reason: Option<&str>) -> Mark {
        Mark { word: word.into(), reason: reason.map(str::to_owned), ..Mark::default() }
    }

    fn traded(orders: u64, halted: bool, breakers: &[&str]) -> Mark {
        let mut latency = vec![0; ORDER_LATENCY_BUCKETS.len() + 1];
        latency[1] = orders;
        Mark {
            word: "read".into(),
            trading: Some(TradingMark {
                realized_pnl: Some(orders as f64 - 5.0),
                trades: Some((4, 3)),
                halted: Some(halted),
                open_breakers: breakers.iter().map(|name| (*name).to_owned()).collect(),
                orders: Some(orders),
                latency: Some(latency),
                ..TradingMark::default()
            }),
            ..Mark::default()
        }
    }

    #[test]
    fn a_day_has_uptime_reasons_trips_orders_and_what_could_not_be_done() {
        let records = [
            record(
                0,
                &[("mcp/a", word("up", None)), ("mcp/b", word("up", None)), ("thunes/live", traded(3, false, &[]))],
            ),
            record(30, &[("mcp/a", word("down", Some("timeout")))]),
            record(60, &[("thunes/live", traded(7, true, &["BinanceAPI"]))]),
            record(90, &[("mcp/a", word("up", None)), ("worktree/w", word("working", None))]),
        ];
        let day = Day::of("1970-01-01", at(0), at(120), &records, false);
        assert_eq!((day.passes, day.cut_short, day.undelivered["textfile"]), (4, 1, 1));
        assert_eq!(day.unwatched_seconds, 0.0);
        let server = &day.servers[0];
        assert_eq!(
            (server.up, server.worst_reason.as_deref(), server.down_seconds),
            (Some(0.5), Some("timeout"), 60.0)
        );
        assert_eq!(serde_json::to_value(&day.servers[1]).expect("JSON")["down_seconds"].to_string(), "0.0");
        let live = &day.trading[0];
        assert_eq!((live.orders, live.halted_seconds, live.win_rate), (Some(4), Some(60.0), Some(0.75)));
        assert_eq!((live.breaker_trips["BinanceAPI"], live.realized_pnl), (1, Some(2.0)));
        assert_eq!(live.latency_p95_ms, Some(10.0));
        assert_eq!(day.worktrees[0].statuses, ["working"]);
    }

    #[test]
    fn the_hours_before_the_first_pass_ever_are_not_unwatched() {
        let records = [record(3000, &[]), record(3030, &[])];
        let unwatched = |is_first| Day::of("1970-01-01", at(0), at(3060), &records, is_first).unwatched_seconds;
        assert_eq!((unwatched(true), unwatched(false)), (0.0, 3000.0));
    }

    #[test]
    fn a_counter_that_fell_began_anew() {
        assert_eq!(growth([5, 8, 2, 3].into_iter()), Some(3 + 2 + 1));
        assert_eq!(growth([].into_iter()), None);
    }
}
