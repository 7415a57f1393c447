//! What the rows say of one UTC day.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::super::times;
use crate::model::thunes::TradesToday;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Positions {
    /// All rows: each is an order to buy.
    pub(in super::super) rows: u64,
    /// How many are open and closed; or which row has a status that nobody knows.
    pub(in super::super) counts: Result<Counts, String>,
    /// What was closed on the day; or why it cannot be told.
    pub(in super::super) realized: Result<Day, String>,
    pub(in super::super) last_record: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Counts {
    pub(in super::super) open: u64,
    pub(in super::super) closed: u64,
}

/// The positions closed on one UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Day {
    /// Realised profit, in quote currency.
    pub(in super::super) pnl: f64,
    /// How many, and how many of them with a profit.
    pub(in super::super) trades: TradesToday,
}

impl Positions {
    pub(super) fn none() -> Positions {
        Positions { rows: 0, counts: Ok(Counts::default()), realized: Ok(Day::default()), last_record: None }
    }

    pub(super) fn add(&mut self, row: &Row<'_>, day: Date) -> rusqlite::Result<()> {
        let (id, closed_at) = (row.get_ref(0)?, time(row.get_ref(3)?));
        self.rows += 1;
        self.last_record = self.last_record.max(time(row.get_ref(2)?)).max(closed_at);
        let Some(is_closed) = is_closed(row.get_ref(1)?) else {
            // It may be open, or closed today.
            let why = format!("position {} has a status other than OPEN and CLOSED", shown(id));
            if self.counts.is_ok() {
                (self.counts, self.realized) = (Err(why.clone()), Err(why));
            }
            return Ok(());
        };
        if let Ok(counts) = &mut self.counts {
            *(if is_closed { &mut counts.closed } else { &mut counts.open }) += 1;
        }
        if let Ok(realized) = &mut self.realized
            && is_closed
            && let Err(why) = realize(realized, row.get_ref(4)?, closed_at, day)
        {
            self.realized = Err(format!("position {} {why}", shown(id)));
        }
        Ok(())
    }
}

/// Adds a closed position to the day's result if it belongs there.
fn realize(result: &mut Day, pnl: ValueRef<'_>, closed_at: Option<Timestamp>, day: Date) -> Result<(), &'static str> {
    let closed_at = closed_at.ok_or("is closed at no readable time")?;
    if TimeZone::UTC.to_datetime(closed_at).date() != day {
        return Ok(());
    }
    let pnl = match pnl {
        ValueRef::Real(pnl) if pnl.is_finite() => pnl,
        #[expect(clippy::cast_precision_loss, reason = "money in whole units is far below 2^53")]
        ValueRef::Integer(pnl) => pnl as f64,
        _ => return Err("was closed today and its pnl is no number"),
    };
    result.pnl += pnl;
    result.trades.closed += 1;
    result.trades.won += u64::from(pnl > 0.0);
    Ok(())
}

/// Whether the status is CLOSED and not OPEN, in any case of its letters; `None` if it is neither.
fn is_closed(status: ValueRef<'_>) -> Option<bool> {
    match status {
        ValueRef::Text(text) if text.eq_ignore_ascii_case(b"OPEN") => Some(false),
        ValueRef::Text(text) if text.eq_ignore_ascii_case(b"CLOSED") => Some(true),
        _ => None,
    }
}

/// A stored time; `None` for what is none. A date alone stands for its beginning.
fn time(value: ValueRef<'_>) -> Option<Timestamp> {
    let ValueRef::Text(text) = value else { return None };
    let text = std::str::from_utf8(text).ok()?;
    let date = || Date::strptime("%Y-%m-%d", text).ok().filter(|_| text.len() == 10);
    times::utc(text).or_else(|| TimeZone::UTC.to_timestamp(date()?.at(0, 0, 0, 0)).ok())
}

fn shown(id: ValueRef<'_>) -> String {
    if let ValueRef::Integer(id) = id { id.to_string() } else { "without an id".to_owned() }
}
