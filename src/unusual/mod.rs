//! Unusual values: what a series usually is, and whether a new point of it is out of that band.
//!
//! One [`Detector`] a series learns the level, the scale and the hours of the day, and calibrates two statistics by what it
//! has seen of them itself: a value has to be rarer than anything of the last two weeks, and the difference large enough
//! to matter to somebody ([`Family`] holds both). This room is pure: points in, verdicts out; the same points give the same
//! state, however they are divided over passes. It knows no clock, file or target.

mod calibration;
mod detector;
mod family;
mod trend;

pub(crate) use detector::{Anomaly, Detector, LEARNING_POINTS, Verdict};
pub use family::Family;
pub(crate) use trend::Trend;

/// Length of a slot in seconds: a series has one point for each at most. A `ttl` of five minutes gives each its own.
pub(crate) const SLOT_SECONDS: i64 = 300;

/// Slots of a day.
const DAY_SLOTS: f64 = 86_400.0 / SLOT_SECONDS as f64;

#[cfg(test)]
mod tests;
