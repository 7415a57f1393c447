//! What the rows say of one UTC day: one query.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::super::times;
use crate::model::thunes::TradesToday;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Positions {
    /// All rows: each is an order to buy.
    pub(in super::super) rows: u64,
    /// How many are open and closed; or which row has a status that nobody knows.
    pub(in super::super) counts: Result<Counts, String>,
    /// The profit realised on the day, in quote currency, and the trades; or why it cannot be told.
    pub(in super::super) realized: Result<(f64, TradesToday), String>,
    pub(in super::super) last_record: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Counts {
    pub(in super::super) open: u64,
    pub(in super::super) closed: u64,
}

/// Of each thing that leaves a result unknown, one row is named. `utc` gives microseconds since 1970; the LIMIT keeps SQLite
/// from calling it wherever its result is used.
const SUMS: &str = "
    SELECT count(*),
           count(*) FILTER (WHERE state = 'OPEN'),
           count(*) FILTER (WHERE state = 'CLOSED'),
           min(position) FILTER (WHERE state NOT IN ('OPEN', 'CLOSED')),
           min(position) FILTER (WHERE state = 'CLOSED' AND closed_at IS NULL),
           min(position) FILTER (WHERE is_today AND NOT is_number),
           total(pnl) FILTER (WHERE is_today),
           count(*) FILTER (WHERE is_today),
           count(*) FILTER (WHERE is_today AND pnl > 0),
           max(opened_at),
           max(closed_at)
    FROM (SELECT *,
                 state = 'CLOSED' AND closed_at >= ?1 AND closed_at < ?2 AS is_today,
                 typeof(pnl) IN ('integer', 'real') AND pnl > -9e999 AND pnl < 9e999 AS is_number
          FROM (SELECT 'position ' || iif(typeof(id) = 'integer', id, 'without an id') AS position,
                       iif(typeof(status) = 'text', upper(status), '') AS state,
                       utc(entry_time) AS opened_at,
                       utc(exit_time) AS closed_at,
                       pnl
                FROM positions
                LIMIT -1))";

impl Positions {
    /// Adds up every row, in the one transaction that a statement is.
    pub(super) fn query(connection: &Connection, day: Date) -> rusqlite::Result<Positions> {
        let microseconds = |at: Timestamp| at.as_microsecond();
        connection.create_scalar_function(
            "utc",
            1,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            move |arguments| Ok(time(arguments.get_raw(0)).map(microseconds)),
        )?;
        let midnight = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX);
        let next = midnight.saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        connection.query_row(SUMS, [midnight, next].map(microseconds), Positions::of)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Positions> {
        let count = |column: usize| row.get::<_, u32>(column).map(u64::from);
        let without = |column: usize, what: &str| {
            let position = row.get::<_, Option<String>>(column)?;
            Ok::<_, rusqlite::Error>(position.map_or(Ok(()), |position| Err(format!("{position} {what}"))))
        };
        let known = without(3, "has a status other than OPEN and CLOSED")?;
        let dated = without(4, "is closed at no readable time")?;
        let numeric = without(5, "was closed today and its pnl is no number")?;
        let counts = Counts { open: count(1)?, closed: count(2)? };
        let (pnl, trades): (f64, _) = (row.get(6)?, TradesToday { closed: count(7)?, won: count(8)? });
        let finite =
            pnl.is_finite().then_some((pnl, trades)).ok_or_else(|| "the sum of today's pnl is no number".into());
        let last_record = row.get::<_, Option<i64>>(9)?.max(row.get(10)?);
        Ok(Positions {
            rows: count(0)?,
            counts: known.clone().map(|()| counts),
            realized: known.and(dated).and(numeric).and(finite),
            last_record: last_record.and_then(|at| Timestamp::from_microsecond(at).ok()),
        })
    }
}

/// A stored time; `None` for what is none. A date alone stands for its beginning.
fn time(value: ValueRef<'_>) -> Option<Timestamp> {
    let ValueRef::Text(text) = value else { return None };
    let text = std::str::from_utf8(text).ok()?;
    let date = || Date::strptime("%Y-%m-%d", text).ok().filter(|_| text.len() == 10);
    times::utc(text).or_else(|| TimeZone::UTC.to_timestamp(date()?.at(0, 0, 0, 0)).ok())
}
