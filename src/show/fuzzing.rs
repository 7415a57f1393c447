//! Any records as a day.

use jiff::{SignedDuration, Timestamp};

use super::Day;
use super::summary::{Markup, report};
use super::timeline::stretches;
use crate::model::history::{Record, day_of};

/// The stretches of a day lie side by side within it, its figures are numbers, and its report is printable.
pub(crate) fn day(records: &[Record]) {
    let Some(first) = records.first() else { return };
    let hours = |hours| SignedDuration::from_hours(hours);
    let from = first.at.checked_sub(hours(1)).unwrap_or(Timestamp::MIN);
    let to = from.checked_add(hours(24)).unwrap_or(Timestamp::MAX);
    for id in records.iter().flat_map(|record| record.marks.keys()).take(8) {
        let timeline = stretches(records, id, from, to);
        assert!(timeline.iter().all(|stretch| stretch.from <= stretch.to));
        assert!(timeline.windows(2).all(|pair| pair[0].to <= pair[1].from));
        assert!(
            timeline.first().is_none_or(|first| first.from >= from) && timeline.last().is_none_or(|last| last.to <= to)
        );
    }
    let day = Day::of(&day_of(from), from, to, records, true);
    assert!((0.0..=86_400.0).contains(&day.unwatched_seconds), "{}", day.unwatched_seconds);
    for server in &day.servers {
        assert!(server.up.is_none_or(|up| (0.0..=1.0).contains(&up)), "{server:?}");
    }
    serde_json::to_string(&day).expect("JSON");
    for markup in [Markup::Plain, Markup::Html] {
        let report = report(&day, markup);
        assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
    }
}
