//! Unusual values: what a series usually is, and whether a new point of it is out of that band.
//!
//! One [`Detector`] a series learns the level, the scale and the hours of the day, and calibrates two statistics by what it
//! has seen of them itself: a value has to be rarer than anything of the last two weeks, and the difference large enough
//! to matter to somebody (`family` holds both). [`measure`] makes the points of a slot, [`Learnt`] has all series. This room
//! is pure: points in, verdicts out; the same points give the same state, however they are divided over passes. It knows no
//! clock and no file.

mod calibration;
mod detector;
mod family;
mod learnt;
pub(crate) mod measure;
mod trend;

pub(crate) use detector::{Detector, Verdict};
pub(crate) use learnt::{Learnt, note};

#[cfg(test)]
mod tests;
