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
//! The application makes no index that serves here, and a reader must not: every row is read.

mod files;
mod rows;

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use url::Url;

use self::files::{DatabaseFiles, OpenMode};
pub(super) use self::rows::Positions;
use crate::clock::Deadline;

/// How long a writer's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// One reading, the wait for a lock included, may take this long: a reader's lock keeps a writer from committing.
const READ_BUDGET: Duration = Duration::from_secs(5);

/// Virtual machine steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Readings begun anew because the files changed underneath.
const ATTEMPTS: usize = 3;

/// What the database at `path` says for the UTC day of `now`.
///
/// # Errors
/// A sentence: missing ([`io::ErrorKind::NotFound`]), empty, no database, locked, without the table, interrupted by its
/// writer's end.
pub(super) fn read(path: &Path, now: Timestamp, deadline: Deadline) -> io::Result<Positions> {
    let day = TimeZone::UTC.to_datetime(now).date();
    let deadline = deadline.sooner(READ_BUDGET);
    for _ in 0..ATTEMPTS {
        let before = DatabaseFiles::of(path)?;
        let mode = before.open_mode()?;
        let result = open(path, mode, deadline).and_then(|connection| query(connection, day, deadline));
        // Under SQLite's locks a result is what it is; without them only if nothing moved.
        if mode == OpenMode::Locked || before == DatabaseFiles::of(path)? {
            return result.map_err(|error| failure(&error, &before));
        }
        if deadline.passed() {
            break;
        }
    }
    Err(io::Error::other("it is being rewritten faster than it can be read"))
}

fn open(path: &Path, mode: OpenMode, deadline: Deadline) -> rusqlite::Result<Connection> {
    let parameters = match mode {
        OpenMode::Locked => "mode=ro&readonly_shm=1",
        OpenMode::Immutable => "mode=ro&immutable=1",
        OpenMode::PrivateIndex => "mode=ro&vfs=unix-none",
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let absolute = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
    let mut uri = absolute.ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    uri.set_query(Some(parameters));
    let connection = Connection::open_with_flags(uri.as_str(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT.min(deadline.left()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    if mode == OpenMode::PrivateIndex {
        connection.pragma_update(None, "locking_mode", "exclusive")?;
    }
    Ok(connection)
}

fn query(mut connection: Connection, day: Date, deadline: Deadline) -> rusqlite::Result<Positions> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.passed()))?;
    Positions::query(&connection, day)
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

#[cfg(test)]
mod tests;
