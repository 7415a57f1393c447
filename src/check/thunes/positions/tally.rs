//! What the rows say of one UTC day, whoever read them.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::types::ValueRef;

use super::super::times;
use crate::model::thunes::{Day, Positions};

/// The columns of a position that say something here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Column {
    Status,
    Pnl,
    ExitTime,
}

impl Column {
    pub(super) const ALL: [Column; 3] = [Column::Status, Column::Pnl, Column::ExitTime];

    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Status => "status",
            Column::Pnl => "pnl",
            Column::ExitTime => "exit_time",
        }
    }
}

/// A position as it is stored.
pub(super) trait Row {
    fn id(&self) -> i64;
    fn value(&self, column: Column) -> ValueRef<'_>;

    /// The value if it is a text.
    fn text(&self, column: Column) -> Option<&[u8]>;
}

/// Adds rows up.
#[derive(Debug, PartialEq)]
pub(super) struct Tally {
    day: Date,
    /// What was closed on one of these dates was so before the day, whatever the offset.
    settled: Range<u128>,
    rows: u64,
    open: u64,
    closed: u64,
    /// The newest time of closing, but for the settled.
    newest_exit: Option<Timestamp>,
    /// The day's result, or a sentence about the first row that makes it unknown.
    realized: Result<Day, String>,
}

impl Tally {
    pub(super) fn of(day: Date) -> Tally {
        // A time with an offset, though none is expected, may belong to the day after its own date.
        let eve = day.saturating_sub(1.day()).to_string();
        Tally {
            day,
            settled: written_date(b"1970-01-01").unwrap_or_default()..written_date(eve.as_bytes()).unwrap_or_default(),
            rows: 0,
            open: 0,
            closed: 0,
            newest_exit: None,
            realized: Ok(Day::default()),
        }
    }

    /// Adds a position. Nearly all were closed long ago; those are only counted.
    #[inline]
    pub(super) fn add(&mut self, row: &impl Row) {
        self.rows += 1;
        let is_closed = row.text(Column::Status) == Some(b"CLOSED");
        if is_closed
            && row.text(Column::ExitTime).and_then(written_date).is_some_and(|date| self.settled.contains(&date))
        {
            self.closed += 1;
        } else {
            self.add_unsettled(row);
        }
    }

    #[cold]
    fn add_unsettled(&mut self, row: &impl Row) {
        let closed_at = row.text(Column::ExitTime).and_then(time);
        self.newest_exit = self.newest_exit.max(closed_at);
        let status = row.text(Column::Status).unwrap_or_default();
        self.open += u64::from(status == b"OPEN");
        if status == b"CLOSED" {
            self.closed += 1;
            if let Ok(result) = &mut self.realized
                && let Err(sentence) = realize(result, row, closed_at, self.day)
            {
                self.realized = Err(sentence);
            }
        }
    }

    /// The newest readable time of closing but for the settled, which are older than the day.
    pub(super) fn newest_exit(&self) -> Option<Timestamp> {
        self.newest_exit
    }

    /// The day's first moment: no settled time is as new.
    pub(super) fn day_begins(&self) -> Option<Timestamp> {
        TimeZone::UTC.to_timestamp(self.day.at(0, 0, 0, 0)).ok()
    }

    /// What all of it says, the newest time in it being known.
    pub(super) fn finish(self, last_record: Option<Timestamp>) -> Positions {
        let realized = match self.realized {
            Ok(result) if !result.pnl.is_finite() => Err("the sum of today's pnl is no number".to_owned()),
            told => told,
        };
        Positions { open: self.open, closed: self.closed, rows: self.rows, realized, last_record }
    }
}

/// Adds a closed position to the day's result if it belongs there.
fn realize(result: &mut Day, row: &impl Row, closed_at: Option<Timestamp>, day: Date) -> Result<(), String> {
    let id = row.id();
    let closed_at = closed_at.ok_or_else(|| format!("position {id} is closed at no readable time"))?;
    if TimeZone::UTC.to_datetime(closed_at).date() != day {
        return Ok(());
    }
    let pnl = match row.value(Column::Pnl) {
        ValueRef::Real(pnl) if pnl.is_finite() => pnl,
        #[expect(clippy::cast_precision_loss, reason = "money in whole units is far below 2^53")]
        ValueRef::Integer(pnl) => pnl as f64,
        _ => return Err(format!("position {id} was closed today and its pnl is no number")),
    };
    result.pnl += pnl;
    result.closed += 1;
    result.won += u64::from(pnl > 0.0);
    Ok(())
}

/// The date at the beginning of an ISO 8601 time, as a number that is ordered as the text is.
#[inline]
fn written_date(text: &[u8]) -> Option<u128> {
    let (year_and_month, rest) = text.split_first_chunk()?;
    let (day, _) = rest.split_first_chunk()?;
    Some(u128::from(u64::from_be_bytes(*year_and_month)) << 16 | u128::from(u16::from_be_bytes(*day)))
}

/// A stored time; `None` for what is none.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(text).ok().and_then(times::utc)
}
