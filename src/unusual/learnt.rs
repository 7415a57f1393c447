//! All series with their detectors, and the events that many of them share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::detector::{Detector, Verdict};
use crate::model::unusual::{
    AnomalyCounts, DAY_SLOTS, Family, Level, NewNormal, SLOT_SECONDS, SeriesState, Unusual, Widespread,
};

/// Series at most: half a megabyte of state.
const MOST_SERIES: usize = 512;

/// So many series that become unusual …
const WIDESPREAD_SERIES: usize = 5;

/// … and this share of those that are watched …
const WIDESPREAD_SHARE: f64 = 0.1;

/// … within so many slots are one event: half an hour, in which every server is checked a few times.
const WIDESPREAD_SLOTS: i64 = 6;

/// A series without a point for so many slots, an hour, is not watched: its server is down, or gone.
const WATCHED_SLOTS: i64 = 12;

/// A trend, and a new normal, are news for so long, in seconds.
const NEWS_SECONDS: i64 = DAY_SLOTS * SLOT_SECONDS;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learnt {
    begun_at: i64,
    series: BTreeMap<(String, Family), Series>,
    totals: BTreeMap<Family, AnomalyCounts>,
    widespread: Option<Widespread>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Series {
    detector: Detector,
    /// The slot of its last point.
    slot: i64,
    state: SeriesState,
}

impl Learnt {
    /// Nothing learnt yet, at `now` in Unix seconds.
    pub(crate) fn new(now: i64) -> Self {
        Learnt { begun_at: now, ..Learnt::default() }
    }

    /// Takes the points of a slot. Where there are too many series, the one that `is_planned` does not know and that had
    /// its last point longest ago makes room.
    pub(crate) fn close(&mut self, slot: i64, points: &[(String, Family, f64)], is_planned: impl Fn(&str) -> bool) {
        let time = slot.saturating_mul(SLOT_SECONDS);
        let mut opened = Vec::new();
        for (id, family, value) in points {
            let key = (id.clone(), *family);
            if !self.series.contains_key(&key) && !self.has_room(&is_planned) {
                continue;
            }
            let begin = || Series { detector: Detector::new(*family), slot: i64::MIN, state: SeriesState::default() };
            let series = self.series.entry(key).or_insert_with(begin);
            // A pass that ended between the saving of this and of its own state brings its points once more.
            if series.slot == slot {
                continue;
            }
            series.slot = slot;
            let was_open = series.state.level.is_some();
            let verdict = series.detector.step(time, *value);
            note(&mut series.state, time, *value, &verdict);
            if series.state.level.is_some() && !was_open {
                opened.push(*family);
            }
            if verdict.trend.is_some() {
                self.totals.entry(*family).or_default().trend += 1;
            }
        }
        self.widespread = self.widespread(slot);
        for family in opened.into_iter().filter(|_| self.widespread.is_none()) {
            self.totals.entry(family).or_default().level += 1;
        }
    }

    fn has_room(&mut self, is_planned: impl Fn(&str) -> bool) -> bool {
        if self.series.len() >= MOST_SERIES {
            let unplanned = self.series.iter().filter(|((id, _), _)| !is_planned(id));
            let oldest = unplanned.min_by_key(|(_, series)| series.slot).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.series.remove(&key));
        }
        self.series.len() < MOST_SERIES
    }

    /// The event that goes on or begins with a slot. It ends when fewer series are unusual than make one.
    fn widespread(&self, slot: i64) -> Option<Widespread> {
        let watched = || self.series.values().filter(|series| slot.saturating_sub(series.slot) < WATCHED_SLOTS);
        let watching = watched().filter(|series| !series.state.is_learning()).count();
        let least = WIDESPREAD_SERIES.max((WIDESPREAD_SHARE * watching as f64).ceil() as usize);
        let open: Vec<i64> = watched().filter_map(|series| Some(series.state.level?.since)).collect();
        let recent = slot.saturating_sub(WIDESPREAD_SLOTS).saturating_mul(SLOT_SECONDS);
        let opened: Vec<i64> = open.iter().copied().filter(|since| *since > recent).collect();
        let begins = || opened.iter().min().copied().filter(|_| opened.len() >= least);
        let since = self.widespread.map(|event| event.since).or_else(begins)?;
        (open.len() >= least).then_some(Widespread { since, series: u32::try_from(open.len()).unwrap_or(u32::MAX) })
    }

    /// Writes what was learnt into what a pass knows.
    pub(crate) fn write_to(&self, unusual: &mut Unusual) {
        unusual.begun_at = Some(self.begun_at);
        unusual.totals.clone_from(&self.totals);
        unusual.widespread = self.widespread;
        for (id, families) in &mut unusual.series {
            for (&family, watch) in families.iter_mut() {
                if let Some(series) = self.series.get(&(id.clone(), family)) {
                    watch.state.clone_from(&series.state);
                }
            }
        }
    }
}

/// Takes the verdict on the value of the slot that begins at `time` (Unix seconds). Gives the run that ended with it.
pub(crate) fn note(state: &mut SeriesState, time: i64, value: f64, verdict: &Verdict) -> Option<Level> {
    let Verdict { lower, upper, expected, .. } = *verdict;
    let is_news = |at: i64| (0..NEWS_SECONDS).contains(&time.saturating_sub(at));
    state.points = state.points.saturating_add(1);
    (state.lower, state.upper) = (lower, upper);
    state.trend = state.trend.filter(|trend| is_news(trend.at));
    state.new_normal = state.new_normal.filter(|new_normal| is_news(new_normal.at));
    let until = time.saturating_add(SLOT_SECONDS);
    match (verdict.is_open, &mut state.level) {
        _ if verdict.trend.is_some() => state.trend = verdict.trend,
        (true, None) => {
            let above = value > expected;
            state.level = Some(Level { since: time, until, value, lower, upper, above, is_normal: false });
        }
        (true, Some(level)) => {
            level.until = until;
            if (value - expected).abs() > (level.value - expected).abs() {
                (level.value, level.lower, level.upper) = (value, lower, upper);
            }
        }
        (false, _) => {
            if verdict.new_normal {
                state.new_normal = Some(NewNormal { at: time, value });
            }
            return state.level.take().map(|level| Level { is_normal: verdict.new_normal, ..level });
        }
    }
    None
}
