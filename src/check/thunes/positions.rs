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
//! The application makes no index that serves here, and a reader must not: reading looks at every row. So rows come straight
//! from the pages where those are as usual, and what was read is remembered until one of the files is written or the UTC
//! day ends.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod pages;
mod tally;
mod trace;

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use self::tally::{Column, Row, Tally};
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

/// Every page is read once, so those kept are few enough for the processor's own cache: a third of the time less.
const CACHED_PAGES: u32 = 10;

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

/// When the newest position was opened, by the table's own key.
const NEWEST_ENTRY: &str = "SELECT entry_time FROM positions ORDER BY rowid DESC LIMIT 1";

/// The newest time of closing. ISO 8601 compares as text.
const NEWEST_EXIT: &str = "SELECT MAX(exit_time) FROM positions";

fn query(mut connection: Connection, day: Date, deadline: Deadline) -> rusqlite::Result<Positions> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.passed()))?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "cache_size", CACHED_PAGES)?;
    let mut tally = Tally::of(day);
    if !pages::rows(&transaction, |row| tally.add(row))? {
        tally = Tally::of(day);
        stepped(&transaction, &mut tally)?;
    }
    let mut newest = newest_time(&transaction, NEWEST_ENTRY)?.max(tally.newest_exit());
    // Where nothing is of today, the newest may be one of those that were closed long ago.
    if newest < tally.day_begins() {
        newest = newest.max(newest_time(&transaction, NEWEST_EXIT)?);
    }
    Ok(tally.finish(newest))
}

fn newest_time(connection: &Connection, sql: &str) -> rusqlite::Result<Option<Timestamp>> {
    let text = connection.query_row(sql, [], |row| Ok(row.get_ref(0)?.as_str().ok().map(str::to_owned))).optional()?;
    Ok(text.flatten().and_then(|text| times::utc(&text)))
}

/// Adds every row up as SQL gives it: whatever the table is, but in several times the time.
fn stepped(connection: &Connection, tally: &mut Tally) -> rusqlite::Result<()> {
    let [status, pnl, exit_time] = Column::ALL.map(Column::name);
    let mut statement = connection.prepare(&format!("SELECT rowid, {status}, {pnl}, {exit_time} FROM positions"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        tally.add(&Stepped { id: row.get(0)?, values: [row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?] });
    }
    Ok(())
}

/// A row as SQL gives it.
struct Stepped<'a> {
    id: i64,
    /// In the order of [`Column::ALL`].
    values: [ValueRef<'a>; Column::ALL.len()],
}

impl Row for Stepped<'_> {
    fn id(&self) -> i64 {
        self.id
    }

    fn value(&self, column: Column) -> ValueRef<'_> {
        self.values[column as usize]
    }

    fn text(&self, column: Column) -> Option<&[u8]> {
        match self.value(column) {
            ValueRef::Text(text) => Some(text),
            _ => None,
        }
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
