//! What lies at a database's path and beside it: how it can be read, and whether it was written meanwhile.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::fs::open_regular;
use crate::fs::stamp::Stamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenMode {
    /// SQLite's own locks, nothing written beside it.
    Locked,
    /// Nobody writes: no locks, the write-ahead file not looked at.
    Immutable,
    /// No locks, the index of the write-ahead file made in memory.
    PrivateIndex,
}

/// What lies at the path and beside it, as far as it decides how to read.
#[derive(Debug, PartialEq)]
pub(super) struct DatabaseFiles {
    main: Stamp,
    /// Its change time left out: SQLite moves it by opening that file as root.
    wal: Option<Stamp>,
    has_index: bool,
    pub(super) has_rollback: bool,
    header: Vec<u8>,
}

/// Bytes of the header; 18 and 19 tell the mode, 24 to 27 count changes.
const HEADER_BYTES: u64 = 100;

impl DatabaseFiles {
    pub(super) fn of(path: &Path) -> io::Result<DatabaseFiles> {
        let file = open_regular(path)?;
        let main = Stamp::from(file.metadata()?);
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header)?;
        let beside = |suffix: &str| std::fs::metadata(beside(path, suffix)).ok();
        Ok(DatabaseFiles {
            main,
            wal: beside("-wal").map(|wal| Stamp { ctime_ns: 0, ..Stamp::from(wal) }),
            has_index: beside("-shm").is_some(),
            has_rollback: beside("-journal").is_some_and(|journal| journal.len() > 0),
            header,
        })
    }

    /// How to open it.
    ///
    /// # Errors
    /// It has no bytes, or other bytes than a database. An empty file is no database without positions: it may be a restore
    /// under way or what a full disk has left.
    pub(super) fn open_mode(&self) -> io::Result<OpenMode> {
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
            (false, _, _) | (true, true, true) => OpenMode::Locked,
            (true, false, _) => OpenMode::Immutable,
            (true, true, false) => OpenMode::PrivateIndex,
        })
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
