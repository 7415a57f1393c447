//! From the history to what a person reads of a day: the daily report and the status page. In memory only.
//!
//! [`day`] turns the records of passes into figures; [`text`] and [`page`] show them. Nothing here is a second truth:
//! whatever a report says was in a pass.

pub mod day;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod page;
pub mod strip;
pub mod text;

pub use day::Day;
