//! The expected band of one series, a point at a time.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::trend::Days;
use crate::model::unusual::{DAY_SLOTS, Family, LEARNING_POINTS, Trend};

/// Bins of the season: the hours of a weekday, then those of a day of the weekend, in UTC.
const SEASON: usize = 48;

/// The first of the weekend's.
const WEEKEND: usize = 24;

/// Days count for a trend from then on, a week of points: while the season is learnt it takes from the level what belongs to
/// all hours, and the days' means fall as it grows.
const SEASON_POINTS: u32 = 7 * DAY_SLOTS as u32;

/// Residuals that the second statistic looks at: an hour of slots.
const RING: usize = 12;

/// An anomaly opens when three points in a row are rarer than this (−log₁₀ of the share): with 288 points a day, one in
/// half a year by chance …
const OPEN_RANK: f64 = 4.7;

/// … or when the mean of the last hour is rarer than this. Its values overlap, so fewer of them are independent.
const OPEN_MEAN_RANK: f64 = 4.2;

/// The same for what a trading environment does: a LAB has one such series for ten of its servers', so each may be wrong more
/// often, and more of the times when it places twice as many orders are found.
const OPEN_TRADING_MEAN_RANK: f64 = 3.9;

/// The band is the narrowest of 1.25^k scales at which three points in a row would open.
const BAND_STEP: f64 = 1.25;

/// Steps of the band at most: a million scales.
const MOST_BAND_STEPS: i32 = 62;

/// An anomaly ends after so many points in a row well inside the band …
const CLOSING_POINTS: u8 = 6;

/// … that is, inside this share of it.
const CLOSING_SHARE: f64 = 0.7;

/// After so many points (six hours) a value is no anomaly any more but the new normal.
const NEW_NORMAL_POINTS: u16 = 72;

/// After the end of an anomaly nothing opens for so many points: a value that flaps is one event.
const MUTE_POINTS: u16 = 36;

/// For so many points (three days) after a new normal a return to the old level is none either.
const RETURN_POINTS: u16 = 864;

/// Weight of what season and scale learn while an anomaly is open, and of the level's movement.
const OPEN_WEIGHT: f64 = 0.2;
const OPEN_LEVEL_WEIGHT: f64 = 0.1;

/// Half-lives in points: the level's half a day, the scale's a day, the fast level's a quarter of an hour; for an hour of
/// the day six of its days.
const LEVEL_HALF_LIFE: f64 = 144.0;
const SCALE_HALF_LIFE: f64 = 288.0;
const FAST_HALF_LIFE: f64 = 3.0;
const SEASON_HALF_LIFE: f64 = 6.0 * 12.0;

/// What a residual counts at most, in scales: one outlier must not drag level and scale along.
const LEVEL_CLIP: f64 = 3.0;
const SCALE_CLIP: f64 = 5.0;

/// An hour of the day counts by n/(n + this) after n points.
const SEASON_DOUBT: f64 = 6.0;

/// What a series usually is, learnt from its points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detector {
    family: Family,
    points: u32,
    level: f64,
    /// Mean absolute residual.
    scale: f64,
    fast: f64,
    season: Vec<f32>,
    /// Points of each bin of the season.
    season_points: Vec<f32>,
    /// The last residuals, the newest at the end.
    residuals: Vec<f32>,
    three: Calibration,
    mean: Calibration,
    days: Days,
    open: bool,
    open_points: u16,
    inside_points: u8,
    muted: u16,
    returning: u16,
    /// How far the last new normal moved the level.
    shift: f64,
    /// The level with which this weekend began.
    before_weekend: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// The value in the middle of the band, as expected at this hour.
    pub(crate) expected: f64,
    /// Ends of the band.
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// How rare the point is, −log₁₀ of a share; comparable within one series.
    pub(crate) score: f64,
    /// The level is unusual.
    pub(crate) is_open: bool,
    /// It has grown or fallen for days; said once, at the end of a day.
    pub(crate) trend: Option<Trend>,
    /// With this point an open anomaly was taken as the new normal.
    pub(crate) new_normal: bool,
}

impl Verdict {
    /// The `kind` label, and the word of `lab-probe backtest`.
    pub(crate) fn anomaly(&self) -> Option<&'static str> {
        if self.trend.is_some() { Some("trend") } else { self.is_open.then_some("level") }
    }
}

/// One point as the detector sees it.
struct Point {
    value: f64,
    bin: usize,
    season: f64,
    expected: f64,
    residual: f64,
    /// The scale with its floor.
    scale: f64,
    /// The smallest of the last three residuals in scales; 0 if they have not one sign.
    three: f64,
    /// The mean of the last hour's residuals, missing until there are that many.
    mean: Option<f64>,
}

impl Detector {
    pub(crate) fn new(family: Family) -> Self {
        let hours = vec![0.0; SEASON];
        Detector { family, season: hours.clone(), season_points: hours, ..Detector::default() }
    }

    /// Takes the value of the slot that begins at `time` (Unix seconds) and judges it by what was before.
    pub(crate) fn step(&mut self, time: i64, value: f64) -> Verdict {
        let y = self.family.transform(value);
        if self.points == 0 {
            (self.level, self.fast) = (y, y);
        }
        if self.family.is_counted() {
            self.leave_to_weekend(bin(time));
        }
        let point = self.observe(time, value, y);
        let is_known = self.points >= SEASON_POINTS;
        let trend = is_known.then(|| self.days.add(time, y - point.season, self.family)).flatten();
        let rank = self.three.rank(point.three);
        let mean_rank = point.mean.map_or(0.0, |mean| self.mean.rank(mean.abs() / point.scale));
        let width = self.band();
        let is_inside = |residual: f64, share: f64| residual.abs() < share * width * point.scale;
        let new_normal = if self.open {
            self.go_on(is_inside(point.residual, CLOSING_SHARE), point.expected)
        } else {
            let returns = self.returning > 0 && is_inside(point.residual + self.shift, 1.0);
            self.open = self.opens(&point, rank, mean_rank, returns);
            false
        };
        self.muted = self.muted.saturating_sub(1);
        self.returning = self.returning.saturating_sub(1);
        let edge = |sign: f64| self.family.back(point.expected + sign * width * point.scale);
        let verdict = Verdict {
            expected: self.family.back(point.expected),
            lower: edge(-1.0),
            upper: edge(1.0),
            score: rank.max(mean_rank),
            is_open: self.open,
            trend,
            new_normal,
        };
        self.learn(&point, self.open || new_normal);
        verdict
    }

    /// What the level did over a weekend belongs to the weekend's hours: a market that rests would pull it down, and half of
    /// Monday would be unusual. Not where trends are looked for: growth is of all days.
    fn leave_to_weekend(&mut self, bin: usize) {
        if bin >= WEEKEND {
            self.before_weekend.get_or_insert(self.level);
        } else if let Some(before) = self.before_weekend.take() {
            let moved = (self.level - before) as f32;
            self.season[WEEKEND..].iter_mut().for_each(|hour| *hour += moved);
            self.level = before;
        }
    }

    fn observe(&mut self, time: i64, value: f64, y: f64) -> Point {
        let bin = bin(time);
        let seen = f64::from(self.season_points[bin]);
        let season = seen / (seen + SEASON_DOUBT) * f64::from(self.season[bin]);
        let expected = self.level + season;
        let residual = y - expected;
        let scale = self.scale.max(self.family.least_spread(expected)) + self.family.scale_floor();
        self.fast += rate(FAST_HALF_LIFE) * (y - self.fast);
        if self.residuals.len() == RING {
            self.residuals.remove(0);
        }
        self.residuals.push(residual as f32);
        let three = match self.residuals.last_chunk::<3>() {
            Some(last) if last.iter().all(|r| *r > 0.0) || last.iter().all(|r| *r < 0.0) => {
                last.iter().map(|r| f64::from(r.abs())).fold(f64::INFINITY, f64::min) / scale
            }
            _ => 0.0,
        };
        let clipped = |r: &f32| f64::from(*r).clamp(-SCALE_CLIP * scale, SCALE_CLIP * scale);
        let mean =
            (self.residuals.len() == RING).then(|| self.residuals.iter().map(clipped).sum::<f64>() / RING as f64);
        Point { value, bin, season, expected, residual, scale, three, mean }
    }

    /// The half width of the band, in scales.
    fn band(&self) -> f64 {
        let steps = (0..MOST_BAND_STEPS).find(|&k| self.three.rank(BAND_STEP.powi(k)) >= OPEN_RANK);
        BAND_STEP.powi(steps.unwrap_or(MOST_BAND_STEPS))
    }

    fn opens(&mut self, point: &Point, rank: f64, mean_rank: f64, returns: bool) -> bool {
        if self.points < LEARNING_POINTS || self.muted > 0 {
            return false;
        }
        let usual = self.family.back(point.expected);
        let of_mean = |mean: f64| self.family.matters(self.family.back(point.expected + mean), usual);
        let by_three = rank >= OPEN_RANK && self.family.matters(point.value, usual) && !returns;
        let least = match self.family {
            Family::Orders | Family::OrderLatency | Family::WsGap => OPEN_TRADING_MEAN_RANK,
            _ => OPEN_MEAN_RANK,
        };
        let by_mean = mean_rank >= least && point.mean.is_some_and(of_mean) && self.returning == 0;
        (self.open_points, self.inside_points) = (0, 0);
        by_three || by_mean
    }

    /// Goes on with an open anomaly; says whether it was taken as the new normal.
    fn go_on(&mut self, is_inside: bool, expected: f64) -> bool {
        self.open_points += 1;
        self.inside_points = if is_inside { self.inside_points + 1 } else { 0 };
        let new_normal = self.inside_points < CLOSING_POINTS && self.open_points >= NEW_NORMAL_POINTS;
        if new_normal {
            self.shift = self.fast - expected;
            self.level += self.shift;
            self.days.shift(self.shift);
            self.before_weekend = self.before_weekend.map(|level| level + self.shift);
            self.residuals.clear();
            self.returning = RETURN_POINTS;
        }
        if new_normal || self.inside_points >= CLOSING_POINTS {
            (self.open, self.muted) = (false, MUTE_POINTS);
        }
        new_normal
    }

    fn learn(&mut self, point: &Point, is_unusual: bool) {
        let (weight, level_weight) = if is_unusual { (OPEN_WEIGHT, OPEN_LEVEL_WEIGHT) } else { (1.0, 1.0) };
        // The first points are means of all so far.
        let least = 1.0 / (f64::from(self.points) + 1.0);
        let clip = |scales: f64| point.residual.clamp(-scales * point.scale, scales * point.scale);
        // What is unusual says nothing of what is usual: learnt here, it would keep the band wide for two weeks. What follows
        // an anomaly is learnt, so a series that stays noisy is known as that.
        if !is_unusual {
            self.three.add(point.three);
            if let Some(mean) = point.mean {
                self.mean.add(mean.abs() / point.scale);
            }
        }
        self.scale += weight * rate(SCALE_HALF_LIFE).max(least) * (clip(SCALE_CLIP).abs() - self.scale);
        self.level += level_weight * rate(LEVEL_HALF_LIFE).max(least) * clip(LEVEL_CLIP);
        let seen = &mut self.season_points[point.bin];
        let pace = 0.5 * (1.0 / (f64::from(*seen) + 1.0)).max(rate(SEASON_HALF_LIFE));
        self.season[point.bin] += (weight * pace * clip(LEVEL_CLIP)) as f32;
        *seen = (*seen + 1.0).min(1e6);
        self.points = self.points.saturating_add(1);
    }
}

/// The share that a new value gets for a half-life in points.
fn rate(half_life: f64) -> f64 {
    1.0 - 0.5_f64.powf(1.0 / half_life)
}

/// The bin of the season: 1970-01-01 was a Thursday.
fn bin(time: i64) -> usize {
    let hour = time.rem_euclid(86_400) / 3_600;
    let weekday = (time.div_euclid(86_400) + 3).rem_euclid(7);
    (hour + if weekday >= 5 { WEEKEND as i64 } else { 0 }) as usize
}
