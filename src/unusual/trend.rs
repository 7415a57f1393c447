//! Slow growth, which no band sees: the level follows it.

use serde::{Deserialize, Serialize};

use crate::model::unusual::{Family, Trend};

/// Days that are remembered.
const DAYS: usize = 14;

/// A day counts if it has so many points, a twelfth of it: a laptop that was on for two hours.
const LEAST_POINTS: u32 = 24;

/// Days over which a trend is looked for: fewer are chance, more would not be noticed in time.
const WINDOWS: std::ops::RangeInclusive<usize> = 6..=10;

/// The least change over a window, as a factor.
const LEAST_FACTOR: f64 = 1.25;

/// A change has to exceed the spread of the days around the line so many times.
const SPREADS: f64 = 3.0;

/// Median absolute deviation → standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.48;

/// Added to the spread: days that agree to the last digit prove nothing.
const SPREAD_FLOOR: f64 = 0.01;

/// The share of pairs of days that must rise, or fall, together.
const AGREEMENT: f64 = 0.85;

/// After one was said, days without another.
const MUTE_DAYS: i32 = 7;

/// The mean of each of the last days, with the one under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Days {
    ended: Vec<(i32, f32)>,
    today: i32,
    sum: f64,
    points: u32,
    muted_until: i32,
}

impl Days {
    /// Takes a point of that time (Unix seconds). With the first point of a new UTC day the ended one is judged.
    pub(super) fn add(&mut self, time: i64, y: f64, family: Family) -> Option<Trend> {
        let day = day(time);
        let mut found = None;
        if day != self.today {
            if self.points >= LEAST_POINTS {
                self.ended.push((self.today, (self.sum / f64::from(self.points)) as f32));
                let surplus = self.ended.len().saturating_sub(DAYS);
                self.ended.drain(..surplus);
                found = self.judge(time, family);
            }
            // A clock that was set back: days that are still to come are none.
            self.ended.retain(|(ended, _)| *ended < day);
            self.muted_until = self.muted_until.min(day.saturating_add(MUTE_DAYS));
            (self.today, self.sum, self.points) = (day, 0.0, 0);
        }
        self.sum += y;
        self.points += 1;
        found
    }

    /// The level was taken as new: what was before it moves along, or the step would be a trend.
    pub(super) fn shift(&mut self, by: f64) {
        self.ended.iter_mut().for_each(|(_, mean)| *mean += by as f32);
        self.sum += by * f64::from(self.points);
    }

    fn judge(&mut self, at: i64, family: Family) -> Option<Trend> {
        if !family.has_trend() || self.today < self.muted_until {
            return None;
        }
        let found = WINDOWS.rev().find_map(|days| {
            let window = self.ended.len().checked_sub(days).map(|first| &self.ended[first..])?;
            line(window).and_then(|change| significant(at, change, window, family))
        })?;
        self.muted_until = self.today + 1 + MUTE_DAYS;
        Some(found)
    }
}

/// The change over a window by Theil and Sen's line (the median of the slopes of all pairs), if nearly all pairs agree in
/// its sign and it stands out of the days' spread around it.
fn line(window: &[(i32, f32)]) -> Option<f64> {
    let mut slopes = Vec::new();
    for (i, (day, mean)) in window.iter().enumerate() {
        for (later, next) in &window[i + 1..] {
            slopes.push(f64::from(next - mean) / f64::from(later - day));
        }
    }
    let slope = median(&mut slopes);
    let agree = slopes.iter().filter(|other| **other * slope > 0.0).count();
    let (first, last) = (window.first()?.0, window.last()?.0);
    let change = slope * f64::from(last - first);
    let mut around: Vec<f64> =
        window.iter().map(|(day, mean)| f64::from(*mean) - slope * f64::from(day - first)).collect();
    let middle = median(&mut around);
    let mut deviations: Vec<f64> = around.iter().map(|value| (value - middle).abs()).collect();
    let spread = MAD_TO_SIGMA * median(&mut deviations) + SPREAD_FLOOR;
    (agree as f64 >= AGREEMENT * slopes.len() as f64 && change.abs() >= SPREADS * spread).then_some(change)
}

fn significant(at: i64, change: f64, window: &[(i32, f32)], family: Family) -> Option<Trend> {
    let (first, last) = (window.first()?.0, window.last()?);
    let end = f64::from(last.1);
    let (from, to) = (family.back(end - change), family.back(end));
    let days = u32::try_from(last.0 - first).ok()?;
    let matters = change.abs() >= LEAST_FACTOR.ln() && (to - from).abs() >= family.least_difference();
    matters.then_some(Trend { at, days, from, to })
}

/// Days since 1970-01-01, UTC.
fn day(time: i64) -> i32 {
    i32::try_from(time.div_euclid(86_400)).unwrap_or(if time < 0 { i32::MIN / 2 } else { i32::MAX / 2 })
}

/// The median (the upper one of two), which sorts its values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
