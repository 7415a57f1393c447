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
use rusqlite::{Connection, ErrorCode, OpenFlags};

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
    /// Realised profit of the day; or why it cannot be told.
    pub(super) realized: Result<f64, String>,
    /// The newest time in it.
    pub(super) last_record: Option<Timestamp>,
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
    Positions { open: 0, closed: 0, rows: 0, realized: Ok(0.0), last_record: None }
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

/// One walk over the table: no index covers these columns, and none may be made.
pub(super) const QUERY: &str = "\
    SELECT COUNT(*), \
           COUNT(*) FILTER (WHERE status = 'OPEN'), \
           COUNT(*) FILTER (WHERE status = 'CLOSED'), \
           MAX(entry_time), MAX(exit_time) \
    FROM positions";

/// The rows that decide the day's result: closed on it, or at a time that cannot be read. Times are compared as text, as
/// ISO 8601 allows.
pub(super) const TODAY: &str = "\
    SELECT id, pnl, exit_time FROM positions \
    WHERE status = 'CLOSED' AND NOT (typeof(exit_time) = 'text' \
        AND (exit_time < ?1 AND exit_time GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' \
             OR exit_time >= ?2 AND exit_time GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'))";

fn query(mut connection: Connection, now: Timestamp, deadline: Deadline) -> rusqlite::Result<Positions> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.passed()))?;
    let transaction = connection.transaction()?;
    let mut positions = transaction.query_row(QUERY, [], |row| {
        let count = |index| row.get::<_, i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
        let time = |index| match row.get::<_, Value>(index) {
            Ok(Value::Text(text)) => times::utc(&text),
            _ => None,
        };
        Ok(Positions {
            rows: count(0)?,
            open: count(1)?,
            closed: count(2)?,
            realized: Ok(0.0),
            last_record: time(3).max(time(4)),
        })
    })?;
    positions.realized = realized(&transaction, TimeZone::UTC.to_datetime(now).date())?;
    Ok(positions)
}

/// The day's result, or a sentence about the first row that makes it unknown.
fn realized(connection: &Connection, day: Date) -> rusqlite::Result<Result<f64, String>> {
    // A time with an offset, though none is expected, may belong to the day before or after its own date.
    let from = day.saturating_sub(1.day()).to_string();
    let to = day.saturating_add(2.days()).to_string();
    let mut statement = connection.prepare(TODAY)?;
    let mut rows = statement.query([from, to])?;
    let mut sum = 0.0;
    while let Some(row) = rows.next()? {
        let id: Value = row.get(0)?;
        let Some(closed_at) = text(row.get(2)?).and_then(|text| times::utc(&text)) else {
            return Ok(Err(format!("position {} is closed at no readable time", shown(&id))));
        };
        if TimeZone::UTC.to_datetime(closed_at).date() != day {
            continue;
        }
        match row.get(1)? {
            Value::Real(pnl) if pnl.is_finite() => sum += pnl,
            #[expect(clippy::cast_precision_loss, reason = "money in whole units is far below 2^53")]
            Value::Integer(pnl) => sum += pnl as f64,
            _ => return Ok(Err(format!("position {} was closed today and its pnl is no number", shown(&id)))),
        }
    }
    Ok(if f64::is_finite(sum) { Ok(sum) } else { Err("the sum of today's pnl is no number".to_owned()) })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn shown(id: &Value) -> String {
    match id {
        Value::Integer(id) => id.to_string(),
        _ => "without an id".to_owned(),
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
