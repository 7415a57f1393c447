//! The positions database: read by the side of its writer, without a trace.
//!
//! Opened read-only, one short transaction, no temporary files, no checkpoint. SQLite's own ways of reading a database in
//! write-ahead mode would create or extend files beside it, so how it is opened depends on what lies there:
//!
//! - no journal of uncommitted pages, or not in write-ahead mode: read-only under SQLite's locks;
//! - write-ahead mode with an empty or missing `-wal`: everything is in the main file, which is read as immutable, and
//!   read again if it changed meanwhile;
//! - write-ahead mode with a `-wal`: read-only, the shared index neither created nor written;
//! - the same without the shared index (a crash, or a copy): the index is made in memory, without locks, and what was read
//!   is believed only if nothing changed meanwhile.
//!
//! The application makes no index that serves here, and a reader must not: reading looks at every row. So what was read is
//! remembered, and holds until one of the files is written or the UTC day ends.

mod trace;

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use self::trace::{Trace, Way};
use super::times;
use crate::clock::Deadline;
use crate::model::thunes::{Day, Positions, PositionsMemory};

/// How long a writer's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_millis(700);

/// One reading may take this long: a reader's lock keeps a writer from committing.
const READ_BUDGET: Duration = Duration::from_secs(3);

/// Virtual machine steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Readings begun anew because the files changed underneath.
const ATTEMPTS: usize = 3;

/// What the database at `path` says for the UTC day of `now`: read, or remembered if it has not been written since.
///
/// # Errors
/// A sentence: missing, no database, locked, without the table, interrupted by its writer's end.
pub(super) fn read(
    path: &Path,
    memory: &mut Option<PositionsMemory>,
    now: Timestamp,
    deadline: Deadline,
) -> Result<Positions, Failure> {
    let day = TimeZone::UTC.to_datetime(now).date();
    let remembered = memory.take();
    let deadline = deadline.sooner(READ_BUDGET);
    for _ in 0..ATTEMPTS {
        let before = Trace::of(path)?;
        let stamp = before.stamp(path, now);
        if let Some(held) = &remembered
            && held.day == day
            && stamp.as_ref() == Some(&held.stamp)
        {
            *memory = remembered.clone();
            return Ok(held.positions.clone());
        }
        let Some(way) = before.way()? else { return Ok(empty()) };
        let result = open(path, way).and_then(|connection| query(connection, day, deadline));
        // Under SQLite's locks a result is what it is; without them only if nothing moved.
        if way.is_locked() || before.still_holds(path)? {
            let positions = result.map_err(|error| failure(&error, &before))?;
            // The stamp is older than the reading: a commit between the two only has it read once more.
            *memory = stamp.map(|stamp| PositionsMemory { stamp, day, positions: positions.clone() });
            return Ok(positions);
        }
        if deadline.passed() {
            break;
        }
    }
    Err(Failure::new("it is being rewritten faster than it can be read"))
}

/// Why the database gave nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) sentence: String,
    /// There is no such file.
    pub(super) missing: bool,
}

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Failure { sentence: sentence.into(), missing: false }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure { missing: error.kind() == io::ErrorKind::NotFound, sentence: error.to_string() }
    }
}

/// A database that its application has created and not written yet.
fn empty() -> Positions {
    Positions { open: 0, closed: 0, rows: 0, realized: Ok(Day::default()), last_record: None }
}

fn open(path: &Path, way: Way) -> rusqlite::Result<Connection> {
    let parameters = match way {
        Way::Locked => "mode=ro&readonly_shm=1",
        Way::Immutable => "mode=ro&immutable=1",
        Way::PrivateIndex => "mode=ro&vfs=unix-none",
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{}?{parameters}", uri_path(path)), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    if way == Way::PrivateIndex {
        connection.pragma_update(None, "locking_mode", "exclusive")?;
    }
    Ok(connection)
}

/// A path as the path of a `file:` URI.
fn uri_path(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => _ = write!(uri, "%{byte:02x}"),
        }
    }
    uri
}

/// How many rows there are, which SQLite tells from the pages without looking into the rows.
const COUNT: &str = "SELECT COUNT(*) FROM positions";

/// When the newest position was opened, by the table's own key.
const NEWEST_ENTRY: &str = "SELECT entry_time FROM positions ORDER BY rowid DESC LIMIT 1";

/// All rows but those that were closed before yesterday: they decide the day's result and, against the count, how many are
/// open and closed. ISO 8601 compares as text; numbers and other formats sort before or behind it, and NULL is not true.
const UNSETTLED: &str = "SELECT rowid, status, pnl, exit_time FROM positions \
    WHERE (status = 'CLOSED' AND exit_time >= '1970' AND exit_time < ?1) IS NOT TRUE";

/// The newest time of closing, where none is recent.
const NEWEST_EXIT: &str = "SELECT MAX(exit_time) FROM positions";

fn query(mut connection: Connection, day: Date, deadline: Deadline) -> rusqlite::Result<Positions> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.passed()))?;
    let transaction = connection.transaction()?;
    let rows = transaction.query_row(COUNT, [], |row| row.get::<_, i64>(0))?;
    let unsettled = unsettled(&transaction, day)?;
    let value = |sql| transaction.query_row(sql, [], |row| row.get::<_, Value>(0)).optional();
    let newest_exit = match unsettled.newest_exit {
        Some(time) => Some(time),
        None => value(NEWEST_EXIT)?.and_then(time),
    };
    let rows = u64::try_from(rows).unwrap_or_default();
    Ok(Positions {
        open: unsettled.open,
        closed: rows.saturating_sub(unsettled.not_closed),
        rows,
        realized: unsettled.realized,
        last_record: value(NEWEST_ENTRY)?.and_then(time).max(newest_exit),
    })
}

/// What [`UNSETTLED`] says.
struct Unsettled {
    open: u64,
    not_closed: u64,
    newest_exit: Option<Timestamp>,
    /// The day's result, or a sentence about the first row that makes it unknown.
    realized: Result<Day, String>,
}

fn unsettled(connection: &Connection, day: Date) -> rusqlite::Result<Unsettled> {
    // A time with an offset, though none is expected, may belong to the day after its own date.
    let from = day.saturating_sub(1.day()).to_string();
    let mut statement = connection.prepare(UNSETTLED)?;
    let mut rows = statement.query([from])?;
    let mut seen = Unsettled { open: 0, not_closed: 0, newest_exit: None, realized: Ok(Day::default()) };
    while let Some(row) = rows.next()? {
        let closed_at = time(row.get(3)?);
        seen.newest_exit = seen.newest_exit.max(closed_at);
        let status = row.get_ref(1)?.as_str().unwrap_or_default();
        if status != "CLOSED" {
            seen.not_closed += 1;
            seen.open += u64::from(status == "OPEN");
        } else if let Ok(result) = &mut seen.realized
            && let Err(sentence) = add(result, row.get(0)?, closed_at, row.get(2)?, day)
        {
            seen.realized = Err(sentence);
        }
    }
    if seen.realized.as_ref().is_ok_and(|result| !result.pnl.is_finite()) {
        seen.realized = Err("the sum of today's pnl is no number".to_owned());
    }
    Ok(seen)
}

/// Adds a closed position to the day's result if it belongs there.
fn add(result: &mut Day, id: i64, closed_at: Option<Timestamp>, pnl: Value, day: Date) -> Result<(), String> {
    let closed_at = closed_at.ok_or_else(|| format!("position {id} is closed at no readable time"))?;
    if TimeZone::UTC.to_datetime(closed_at).date() != day {
        return Ok(());
    }
    let pnl = match pnl {
        Value::Real(pnl) if pnl.is_finite() => pnl,
        #[expect(clippy::cast_precision_loss, reason = "money in whole units is far below 2^53")]
        Value::Integer(pnl) => pnl as f64,
        _ => return Err(format!("position {id} was closed today and its pnl is no number")),
    };
    result.pnl += pnl;
    result.closed += 1;
    result.won += u64::from(pnl > 0.0);
    Ok(())
}

fn time(value: Value) -> Option<Timestamp> {
    match value {
        Value::Text(text) => times::utc(&text),
        _ => None,
    }
}

/// SQLite's refusal in words that say what to do.
fn failure(error: &rusqlite::Error, trace: &Trace) -> Failure {
    let text = error.to_string();
    let sentence = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("its writer has kept it locked for {} ms", BUSY_TIMEOUT.as_millis())
        }
        Some(ErrorCode::NotADatabase) => "it is no SQLite database".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged: {text}"),
        Some(ErrorCode::OperationInterrupted) => "it could not be read in time".to_owned(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) if trace.has_rollback => {
            "its writer ended in the middle of a transaction; it can be read once the application has opened it again"
                .to_owned()
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("lab-probe's user cannot read it beside its writer: {text}")
        }
        _ => text,
    };
    Failure::new(sentence)
}

#[cfg(test)]
mod tests;
