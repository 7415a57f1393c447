//! What a person reads, made in memory: the table and the list, JSON for scripts, the daily report and the status page.
//!
//! [`day`] turns the records of passes into figures; [`summary`] and [`page`] show them. Nothing here is a second truth:
//! whatever is shown was in a pass. [`progress`] alone writes, to standard error.

pub mod answer;
pub mod checklist;
pub mod day;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod json;
pub mod listing;
pub mod page;
pub mod progress;
pub mod style;
pub mod summary;
pub mod table;
pub mod timeline;
pub(crate) mod unusual;
pub mod words;

pub use day::Day;

#[cfg(test)]
mod tests;
