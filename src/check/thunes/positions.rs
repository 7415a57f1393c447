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

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::times;
use crate::clock::Deadline;
use crate::fs::open_regular;

/// How long a writer's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_millis(700);

/// One reading may take this long: a reader's lock keeps a writer from committing.
const READ_BUDGET: Duration = Duration::from_secs(3);

/// Virtual machine steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Readings begun anew because the files changed underneath.
const ATTEMPTS: usize = 3;

/// What the database says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Positions {
    /// Positions with status `OPEN`.
    pub(super) open: u64,
    /// Positions with status `CLOSED`.
    pub(super) closed: u64,
    /// All rows: each is an order to buy.
    pub(super) rows: u64,
    /// What was closed on the day; or why it cannot be told.
    pub(super) realized: Result<Day, String>,
    /// The newest time in it.
    pub(super) last_record: Option<Timestamp>,
}

/// The positions closed on one UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Day {
    /// Realised profit, in quote currency.
    pub(super) pnl: f64,
    /// How many.
    pub(super) closed: u64,
    /// How many of them with a profit.
    pub(super) won: u64,
}

/// Reads the database at `path` for the UTC day of `now`.
///
/// # Errors
/// A sentence: missing, no database, locked, without the table, interrupted by its writer's end.
pub(super) fn read(path: &Path, now: Timestamp, deadline: Deadline) -> Result<Positions, Failure> {
    let deadline = deadline.sooner(READ_BUDGET);
    for _ in 0..ATTEMPTS {
        let before = Trace::of(path)?;
        let Some(way) = before.way()? else { return Ok(empty()) };
        let result = open(path, way).and_then(|connection| query(connection, now, deadline));
        // Under SQLite's locks a result is what it is; without them only if nothing moved.
        if way.is_locked() || before.still_holds(path)? {
            return result.map_err(|error| failure(&error, &before));
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

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// SQLite's own locks, nothing written beside it.
    Locked,
    /// Nobody writes: no locks, the write-ahead file not looked at.
    Immutable,
    /// No locks, the index of the write-ahead file made in memory.
    PrivateIndex,
}

impl Way {
    fn is_locked(self) -> bool {
        self == Way::Locked
    }
}

/// What lies at the path and beside it, as far as it decides how to read.
#[derive(Debug, PartialEq)]
struct Trace {
    main: (u64, Option<std::time::SystemTime>),
    wal: Option<(u64, Option<std::time::SystemTime>)>,
    has_index: bool,
    has_rollback: bool,
    header: Vec<u8>,
}

/// Bytes of the header; 18 and 19 tell the mode, 24 to 27 count changes.
const HEADER_BYTES: u64 = 100;

impl Trace {
    fn of(path: &Path) -> io::Result<Trace> {
        let file = open_regular(path)?;
        let main = file.metadata()?;
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header)?;
        let beside = |suffix: &str| std::fs::metadata(beside(path, suffix)).ok();
        let wal = beside("-wal").map(|wal| (wal.len(), wal.modified().ok()));
        Ok(Trace {
            main: (main.len(), main.modified().ok()),
            wal,
            has_index: beside("-shm").is_some(),
            has_rollback: beside("-journal").is_some_and(|journal| journal.len() > 0),
            header,
        })
    }

    fn still_holds(&self, path: &Path) -> io::Result<bool> {
        Ok(*self == Trace::of(path)?)
    }

    /// How to open it; `None` if it holds nothing yet.
    fn way(&self) -> Result<Option<Way>, Failure> {
        let has_wal = self.wal.is_some_and(|(length, _)| length > 0);
        if self.main.0 == 0 && !has_wal && !self.has_rollback {
            return Ok(None);
        }
        if !self.header.starts_with(b"SQLite format 3\0") {
            return Err(Failure::new("it is no SQLite database"));
        }
        let write_ahead = self.header.get(18..20).is_some_and(|mode| mode.contains(&2));
        Ok(Some(match (write_ahead, has_wal, self.has_index) {
            (false, _, _) | (true, true, true) => Way::Locked,
            (true, false, _) => Way::Immutable,
            (true, true, false) => Way::PrivateIndex,
        }))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
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

/// Counts and the newest time of closing, in one walk over the table: the application makes no index on these columns, and
/// a reader must not.
const COUNTS: &str = "SELECT COUNT(*), SUM(status = 'OPEN'), SUM(status = 'CLOSED'), MAX(exit_time) FROM positions";

/// When the newest position was opened, by the table's own key.
const NEWEST_ENTRY: &str = "SELECT entry_time FROM positions ORDER BY rowid DESC LIMIT 1";

/// The rows that decide the day's result: closed since yesterday, or at what is no time. ISO 8601 compares as text; numbers
/// and other formats sort before or behind it.
const RECENT: &str = "SELECT rowid, pnl, exit_time FROM positions \
    WHERE status = 'CLOSED' AND (exit_time >= ?1 OR exit_time < '1970' OR exit_time IS NULL)";

fn query(mut connection: Connection, now: Timestamp, deadline: Deadline) -> rusqlite::Result<Positions> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.passed()))?;
    let transaction = connection.transaction()?;
    let (rows, open, closed, newest_exit) = transaction.query_row(COUNTS, [], |row| {
        let count =
            |index| row.get::<_, Option<i64>>(index).map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
        Ok((count(0)?, count(1)?, count(2)?, row.get::<_, Value>(3)?))
    })?;
    let newest_entry = transaction.query_row(NEWEST_ENTRY, [], |row| row.get::<_, Value>(0)).optional()?;
    let time = |value: Value| text(value).and_then(|text| times::utc(&text));
    let last_record = newest_entry.and_then(time).max(time(newest_exit));
    let realized = realized(&transaction, TimeZone::UTC.to_datetime(now).date())?;
    Ok(Positions { open, closed, rows, realized, last_record })
}

/// The day's result, or a sentence about the first row that makes it unknown.
fn realized(connection: &Connection, day: Date) -> rusqlite::Result<Result<Day, String>> {
    // A time with an offset, though none is expected, may belong to the day after its own date.
    let from = day.saturating_sub(1.day()).to_string();
    let mut statement = connection.prepare(RECENT)?;
    let mut rows = statement.query([from])?;
    let mut result = Day::default();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let Some(closed_at) = text(row.get(2)?).and_then(|text| times::utc(&text)) else {
            return Ok(Err(format!("position {id} is closed at no readable time")));
        };
        if TimeZone::UTC.to_datetime(closed_at).date() != day {
            continue;
        }
        let pnl = match row.get(1)? {
            Value::Real(pnl) if pnl.is_finite() => pnl,
            #[expect(clippy::cast_precision_loss, reason = "money in whole units is far below 2^53")]
            Value::Integer(pnl) => pnl as f64,
            _ => return Ok(Err(format!("position {id} was closed today and its pnl is no number"))),
        };
        result.pnl += pnl;
        result.closed += 1;
        result.won += u64::from(pnl > 0.0);
    }
    Ok(if result.pnl.is_finite() { Ok(result) } else { Err("the sum of today's pnl is no number".to_owned()) })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
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
