//! The positions database: read by the side of its writer, without a trace.
//!
//! Opened read-only, one short transaction, no temporary files, no checkpoint. SQLite's own ways of reading a database in
//! write-ahead mode would create or extend files beside it, so how it is opened depends on what lies there. The application
//! makes no index that serves here, and a reader must not: every row is read.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use url::Url;

use super::times;
use crate::clock::Deadline;
use crate::fs::open_regular;
use crate::fs::stamp::Stamp;
use crate::model::thunes::TradesToday;

/// How long a writer's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// One reading, the wait for a lock included, may take this long: a reader's lock keeps a writer from committing.
const READ_BUDGET: Duration = Duration::from_secs(5);

/// Virtual machine steps between two checks of the deadline.
const STEPS_BETWEEN_CHECKS: i32 = 20_000;

/// Readings begun anew because the files changed underneath.
const ATTEMPTS: usize = 3;

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Bytes of the header; 18 and 19 tell the mode, 24 to 27 count changes.
const HEADER_BYTES: u64 = 100;

// How to open it, as parameters of SQLite's URI.

/// Not in write-ahead mode, or with a `-wal` and its shared index: under SQLite's locks, and nothing is written beside it.
const LOCKED: &str = "mode=ro&readonly_shm=1";
/// In write-ahead mode, with an empty or missing `-wal`: everything is in the main file. No locks.
const IMMUTABLE: &str = "mode=ro&immutable=1";
/// With a `-wal` and without the shared index (a crash, or a copy), which is made in memory. No locks.
const PRIVATE_INDEX: &str = "mode=ro&vfs=unix-none";

/// What the database at `path` says for the UTC day of `now`.
/// Errors: A sentence: missing ([`io::ErrorKind::NotFound`]), empty, no database, locked, without the table, interrupted by its
/// writer's end.
pub(super) fn read(path: &Path, now: Timestamp, deadline: Deadline) -> io::Result<Positions> {
    let deadline = deadline.sooner(READ_BUDGET);
    for _ in 0..ATTEMPTS {
        let before = DatabaseFiles::of(path)?;
        let mode = before.open_mode()?;
        let result = open(path, mode, deadline).and_then(|connection| Positions::query(&connection, now));
        // Under SQLite's locks a result is what it is; without them only if nothing moved.
        if mode == LOCKED || before == DatabaseFiles::of(path)? {
            return result.map_err(|error| failure(&error, &before));
        }
        if deadline.passed() {
            break;
        }
    }
    Err(io::Error::other("it is being rewritten faster than it can be read"))
}

fn open(path: &Path, mode: &str, deadline: Deadline) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let absolute = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
    let mut uri = absolute.ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    uri.set_query(Some(mode));
    let mut connection = Connection::open_with_flags(uri.as_str(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT.min(deadline.left()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    if mode == PRIVATE_INDEX {
        connection.pragma_update(None, "locking_mode", "exclusive")?;
    }
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || deadline.passed()))?;
    Ok(connection)
}

/// What lies at the path and beside it, as far as it decides how to read.
#[derive(Debug, PartialEq)]
struct DatabaseFiles {
    main: Stamp,
    /// Its change time left out: SQLite moves it by opening that file as root.
    wal: Option<Stamp>,
    has_index: bool,
    has_rollback: bool,
    header: Vec<u8>,
}

impl DatabaseFiles {
    fn of(path: &Path) -> io::Result<DatabaseFiles> {
        let file = open_regular(path)?;
        let main = Stamp::from(file.metadata()?);
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header)?;
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::metadata(name).ok()
        };
        Ok(DatabaseFiles {
            main,
            wal: beside("-wal").map(|wal| Stamp { ctime_ns: 0, ..Stamp::from(wal) }),
            has_index: beside("-shm").is_some(),
            has_rollback: beside("-journal").is_some_and(|journal| journal.len() > 0),
            header,
        })
    }

    /// Errors: It has no bytes, or other bytes than a database. An empty file is no database without positions: it may be a
    /// restore under way or what a full disk has left.
    fn open_mode(&self) -> io::Result<&'static str> {
        if self.main.size == 0 {
            let why = "the file is empty; its application has not written it, or a restore is under way";
            return Err(io::Error::other(why));
        }
        if !self.header.starts_with(b"SQLite format 3\0") {
            return Err(io::Error::other("it is no SQLite database"));
        }
        let has_wal = self.wal.is_some_and(|wal| wal.size > 0);
        let write_ahead = self.header.get(18..20).is_some_and(|mode| mode.contains(&2));
        Ok(match (write_ahead, has_wal, self.has_index) {
            (false, _, _) | (true, true, true) => LOCKED,
            (true, false, _) => IMMUTABLE,
            (true, true, false) => PRIVATE_INDEX,
        })
    }
}

/// SQLite's refusal in words that say what to do.
fn failure(error: &rusqlite::Error, files: &DatabaseFiles) -> io::Error {
    let text = error.to_string();
    let sentence = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "its writer keeps it locked; the next pass tries again".to_owned()
        }
        Some(ErrorCode::NotADatabase) => "it is no SQLite database".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged: {text}"),
        Some(ErrorCode::OperationInterrupted) => "it could not be read in time".to_owned(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) if files.has_rollback => {
            "its writer ended in the middle of a transaction; it can be read once the application has opened it again"
                .to_owned()
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("lab-probe's user cannot read it beside its writer: {text}")
        }
        _ => text,
    };
    io::Error::other(sentence)
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Positions {
    /// All rows: each is an order to buy.
    pub(super) rows: u64,
    /// `None` where a row has a status that nobody knows.
    pub(super) counts: Option<Counts>,
    /// The profit realised on the day, in quote currency, and the trades.
    pub(super) realized: Option<(f64, TradesToday)>,
    /// Which row leaves any of these unknown, and why.
    pub(super) problem: Option<String>,
    pub(super) last_record: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) open: u64,
    pub(super) closed: u64,
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
    /// Adds up every row for the UTC day of `now`, in the one transaction that a statement is.
    fn query(connection: &Connection, now: Timestamp) -> rusqlite::Result<Positions> {
        connection.create_scalar_function(
            "utc",
            1,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            |arguments| Ok(time(arguments.get_raw(0)).map(Timestamp::as_microsecond)),
        )?;
        let midnight = now.as_microsecond().div_euclid(DAY_MICROSECONDS) * DAY_MICROSECONDS;
        connection.query_row(SUMS, [midnight, midnight + DAY_MICROSECONDS], Positions::of)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Positions> {
        let count = |column: usize| row.get::<_, u32>(column).map(u64::from);
        let fault = |column: usize, what: &str| {
            let position = row.get::<_, Option<String>>(column)?;
            Ok::<_, rusqlite::Error>(position.map(|position| format!("{position} {what}")))
        };
        let unknown = fault(3, "has a status other than OPEN and CLOSED")?;
        let undated = fault(4, "is closed at no readable time")?;
        let not_numeric = fault(5, "was closed today and its pnl is no number")?;
        let counts = Counts { open: count(1)?, closed: count(2)? };
        let (pnl, trades): (f64, _) = (row.get(6)?, TradesToday { closed: count(7)?, won: count(8)? });
        let endless = (!pnl.is_finite()).then(|| "the sum of today's pnl is no number".to_owned());
        let last_record = row.get::<_, Option<i64>>(9)?.max(row.get(10)?);
        let counts = unknown.is_none().then_some(counts);
        let problem = unknown.or(undated).or(not_numeric).or(endless);
        Ok(Positions {
            rows: count(0)?,
            counts,
            realized: problem.is_none().then_some((pnl, trades)),
            problem,
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

#[cfg(test)]
mod tests;
