//! Any bytes as the pages of a database's table.

use std::path::PathBuf;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::tally::Tally;
use super::trace::Way;
use super::{open, pages, stepped};
use crate::fs;

/// The smallest page there is: the more of the bytes say something.
const PAGE_BYTES: usize = 512;

/// The only file that is written, and removed again.
fn path() -> PathBuf {
    std::env::temp_dir().join(format!("lab-probe-fuzz-{}.db", std::process::id()))
}

/// The first page of a database with the table.
fn first_page() -> &'static [u8] {
    static FIRST_PAGE: OnceLock<Vec<u8>> = OnceLock::new();
    FIRST_PAGE.get_or_init(|| {
        let database = Connection::open(path()).expect("created");
        let schema = "PRAGMA page_size = 512; PRAGMA journal_mode = OFF; \
            CREATE TABLE positions(id INTEGER PRIMARY KEY, entry_time, exit_time, pnl, status)";
        database.execute_batch(schema).expect("a table");
        drop(database);
        let mut first = std::fs::read(path()).expect("readable");
        first.truncate(PAGE_BYTES);
        first
    })
}

/// Where the pages are understood, SQLite reads the same rows from them.
///
/// The table's root is the first of them.
pub(in super::super) fn positions(bytes: &[u8]) {
    let mut file = first_page().to_owned();
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(PAGE_BYTES).max(2 * PAGE_BYTES), 0);
    let pages = u32::try_from(file.len() / PAGE_BYTES).expect("few pages");
    file[28..32].copy_from_slice(&pages.to_be_bytes());
    // What broke something the last time left its file.
    _ = std::fs::remove_file(path());
    fs::append_capped(&path(), &file, true, u64::MAX).expect("written");
    let database = open(&path(), Way::Immutable).expect("opened");
    std::fs::remove_file(path()).expect("removed");
    let day = "2025-10-08".parse().expect("a date");
    let mut paged = Tally::of(day);
    let Ok(true) = pages::rows(&database, |row| paged.add(row)) else { return };
    let mut by_sql = Tally::of(day);
    stepped(&database, &mut by_sql).expect("SQLite understands what is understood here");
    assert_eq!(paged.finish(None), by_sql.finish(None));
}
