//! What a writer may leave, hold or do while its database is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::ToSpan;
use proptest::prelude::*;
use rusqlite::types::Value;

use super::*;

const SCHEMA: &str = "CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, \
    entry_price REAL, entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT);";
const OPEN: &str = "INSERT INTO positions(status, entry_time) VALUES ('OPEN', '2025-10-08T10:00:00');";
const CLOSED: &str = "INSERT INTO positions(status, entry_time, exit_time, pnl) \
    VALUES ('CLOSED', '2025-10-08T10:00:00', '2025-10-08T14:38:22.123456', -7.5);";

struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new(sql: &str) -> (Scene, Connection) {
        let scene = Scene { directory: tempfile::tempdir().expect("a temporary directory") };
        let writer = Connection::open(scene.path()).expect("opened");
        writer.execute_batch(sql).expect("executed");
        (scene, writer)
    }

    fn path(&self) -> PathBuf {
        // A name that has to be escaped in a URI.
        self.directory.path().join("positions %41?#.db")
    }

    fn read(&self) -> Result<Positions, Failure> {
        let now = "2025-10-08T23:59:59Z".parse().expect("a time");
        read(&self.path(), &mut None, now, Deadline::after(Duration::from_secs(20)))
    }

    /// Every file with its content's length and time of change; the shared index apart, which its writer keeps open.
    fn files(&self) -> BTreeMap<String, (u64, SystemTime)> {
        let entries = std::fs::read_dir(self.directory.path()).expect("listed").map(|entry| entry.expect("an entry"));
        entries
            .map(|entry| {
                let metadata = entry.metadata().expect("metadata");
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    (metadata.len(), metadata.modified().expect("a time")),
                )
            })
            .collect()
    }

    /// The result, and that reading left everything as it was.
    #[track_caller]
    fn read_without_a_trace(&self) -> Result<Positions, Failure> {
        let before = self.files();
        let result = self.read();
        assert_eq!(self.files(), before);
        result
    }

    /// A copy of every file here, with nobody who holds a lock.
    fn crashed_copy(&self, but: &str) -> Scene {
        let copy = Scene { directory: tempfile::tempdir().expect("a temporary directory") };
        for name in self.files().keys().filter(|name| but.is_empty() || !name.ends_with(but)) {
            std::fs::copy(self.directory.path().join(name), copy.directory.path().join(name)).expect("copied");
        }
        copy
    }
}

#[track_caller]
fn counts(result: Result<Positions, Failure>) -> (u64, u64, f64) {
    let positions = result.expect("readable");
    (positions.rows, positions.open, positions.realized.expect("a result").pnl)
}

#[test]
fn a_database_in_write_ahead_mode_is_read_as_of_its_last_commit_whoever_has_it_open() {
    let (scene, writer) = Scene::new(&format!("PRAGMA journal_mode = WAL; {SCHEMA} {OPEN} {CLOSED}"));
    assert_eq!(counts(scene.read_without_a_trace()), (2, 1, -7.5));
    writer.execute_batch(&format!("BEGIN IMMEDIATE; {OPEN} {CLOSED}")).expect("executed");
    assert_eq!(counts(scene.read_without_a_trace()), (2, 1, -7.5), "a transaction under way is not there yet");
    // The writer died there: with its index left, and with that gone too.
    assert_eq!(counts(scene.crashed_copy("").read_without_a_trace()), (2, 1, -7.5));
    assert_eq!(counts(scene.crashed_copy("-shm").read_without_a_trace()), (2, 1, -7.5));
    writer.execute_batch("COMMIT").expect("committed");
    assert_eq!(counts(scene.read_without_a_trace()), (4, 2, -15.0));
    drop(writer);
    assert_eq!(scene.files().len(), 1, "closed properly, nothing lies beside it");
    assert_eq!(counts(scene.read_without_a_trace()), (4, 2, -15.0));
}

#[test]
fn a_writer_in_the_middle_of_a_transaction_does_not_disturb_and_one_that_commits_is_waited_for() {
    let (scene, writer) = Scene::new(&format!("{SCHEMA} {OPEN}"));
    writer.execute_batch(&format!("BEGIN IMMEDIATE; {OPEN}")).expect("executed");
    assert_eq!(counts(scene.read_without_a_trace()), (1, 1, 0.0));
    writer.execute_batch("COMMIT; BEGIN EXCLUSIVE").expect("executed");
    let failure = scene.read().expect_err("locked");
    assert!(failure.sentence.contains("locked") && !failure.missing, "{failure:?}");
    writer.execute_batch("COMMIT").expect("committed");
    assert_eq!(counts(scene.read()), (2, 2, 0.0));
}

#[test]
fn a_transaction_that_its_writer_never_finished_is_said_and_left_for_the_writer_to_undo() {
    let (scene, writer) = Scene::new(&format!("PRAGMA synchronous = OFF; PRAGMA cache_size = 1; {SCHEMA}"));
    for _ in 0..2000 {
        writer.execute_batch(OPEN).expect("inserted");
    }
    writer.execute_batch("BEGIN; UPDATE positions SET symbol = 'a longer symbol than before'").expect("executed");
    let crashed = scene.crashed_copy("");
    assert!(crashed.files().keys().any(|name| name.ends_with("-journal")), "pages were spilled");
    let failure = crashed.read_without_a_trace().expect_err("half a transaction is in it");
    assert!(failure.sentence.contains("middle of a transaction"), "{failure:?}");
}

#[test]
fn what_is_no_such_database_is_said_and_an_empty_file_is_empty() {
    let (scene, _writer) = Scene::new("CREATE TABLE other(id)");
    assert!(scene.read().expect_err("no table").sentence.contains("positions"));
    std::fs::write(scene.path(), "").expect("written");
    assert_eq!(counts(scene.read_without_a_trace()), (0, 0, 0.0));
    for damage in ["no database, but long enough to be one, if only it began with the right words", "x"] {
        std::fs::write(scene.path(), damage).expect("written");
        let failure = scene.read_without_a_trace().expect_err("no database");
        assert!(failure.sentence.contains("no SQLite database"), "{failure:?}");
    }
    std::fs::remove_file(scene.path()).expect("removed");
    assert!(scene.read_without_a_trace().expect_err("missing").missing);
    std::fs::create_dir(scene.path()).expect("a directory");
    assert!(!scene.read().expect_err("a directory").missing);
}

#[test]
fn a_damaged_database_is_no_empty_one() {
    let (scene, writer) = Scene::new(&format!("PRAGMA synchronous = OFF; {SCHEMA}"));
    for _ in 0..2500 {
        writer.execute_batch(OPEN).expect("inserted");
    }
    drop(writer);
    let mut bytes = std::fs::read(scene.path()).expect("read");
    bytes[4096..].fill(0xa5);
    std::fs::write(scene.path(), &bytes).expect("written");
    assert!(scene.read_without_a_trace().expect_err("damaged").sentence.contains("damaged"));
}

#[test]
fn a_table_that_never_ends_is_left_in_time() {
    let (scene, _writer) = Scene::new(
        "CREATE VIEW positions AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) \
         SELECT 'OPEN' AS status, '' AS entry_time, '' AS exit_time, 0 AS pnl, n AS rowid FROM r",
    );
    let now = "2025-10-08T23:59:59Z".parse().expect("a time");
    let failure =
        read(&scene.path(), &mut None, now, Deadline::after(Duration::from_millis(300))).expect_err("endless");
    assert!(failure.sentence.contains("in time"), "{failure:?}");
}

#[test]
fn only_what_was_closed_on_the_utc_day_counts() {
    let (scene, writer) = Scene::new(SCHEMA);
    for (exit, pnl) in [
        ("2025-10-07T23:59:59.999999", 1.0),
        ("2025-10-08T00:00:00", 10.0),
        ("2025-10-08 12:00:00", 100.0),
        ("2025-10-08T23:59:59.999999", 1000.0),
        ("2025-10-09T00:00:00", 10_000.0),
        ("2025-10-09T01:00:00+02:00", 100_000.0),
        ("2024-10-08T12:00:00", 1_000_000.0),
    ] {
        let insert = "INSERT INTO positions(status, exit_time, pnl) VALUES ('CLOSED', ?1, ?2)";
        writer.execute(insert, (exit, pnl)).expect("inserted");
    }
    writer
        .execute_batch("INSERT INTO positions(status, exit_time, pnl) VALUES ('OPEN', '2025-10-08T12:00:00', 5)")
        .expect("inserted");
    assert_eq!(counts(scene.read()).2, 101_110.0);
    for odd in ["NULL", "1759934302", "'yesterday'", "'08.10.2025'", "''"] {
        writer.execute_batch(&format!("UPDATE positions SET exit_time = {odd} WHERE id = 7")).expect("updated");
        let realized = scene.read().expect("readable").realized;
        assert!(realized.as_ref().is_err_and(|why| why.contains("position 7 ")), "{odd}: {realized:?}");
    }
}

/// A time long after everything here was written.
fn later() -> Timestamp {
    crate::clock::now().saturating_add(20.seconds()).expect("a time")
}

fn limit() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

#[test]
fn what_was_read_holds_until_something_is_committed_in_whatever_mode() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        let (scene, writer) = Scene::new(&format!("PRAGMA journal_mode = {mode}; {SCHEMA}{OPEN}"));
        let mut memory = None;
        let open = |memory: &mut _| read(&scene.path(), memory, later(), limit()).expect(mode).open;
        assert_eq!(open(&mut memory), 1);
        // Proof that it is the memory that speaks.
        memory.as_mut().expect("remembered").positions.open = 70;
        assert_eq!(open(&mut memory), 70, "{mode}");
        writer.execute_batch(OPEN).expect("committed");
        assert_eq!(open(&mut memory), 2, "{mode}");
        writer.execute_batch("UPDATE positions SET status = 'CLOSED' WHERE id = 1").expect("committed");
        assert_eq!(open(&mut memory), 1, "{mode}");
        // In write-ahead mode this moves pages and changes nothing else.
        writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        assert_eq!(open(&mut memory), 1, "{mode}");
        drop(writer);
        assert_eq!(open(&mut memory), 1, "{mode}");
        std::fs::remove_file(scene.path()).expect("removed");
        assert!(read(&scene.path(), &mut memory, later(), limit()).expect_err("gone").missing);
        assert_eq!(memory, None);
    }
}

#[test]
fn what_has_just_been_written_and_another_day_are_read_again() {
    let (scene, _writer) = Scene::new(&format!("{SCHEMA}{CLOSED}"));
    let mut memory = None;
    read(&scene.path(), &mut memory, crate::clock::now(), limit()).expect("read");
    assert_eq!(memory, None, "another commit may leave the same times");
    read(&scene.path(), &mut memory, later(), limit()).expect("read");
    memory.as_mut().expect("remembered").positions.closed = 70;
    let tomorrow = later().saturating_add(24.hours()).expect("a time");
    assert_eq!(read(&scene.path(), &mut memory, tomorrow, limit()).expect("read").closed, 1);
}

#[test]
fn every_row_is_counted_whatever_its_status_and_time() {
    let (scene, _writer) = Scene::new(&format!(
        "{SCHEMA}{OPEN}{CLOSED}INSERT INTO positions(status, exit_time, pnl) VALUES \
         (NULL, NULL, 1), ('PENDING', '2025-10-08T10:00:00', 1), (x'4f50454e', NULL, 1), ('closed', 'zzz', 1), \
         ('CLOSED', '2001-01-01T00:00:00', 1), ('CLOSED', '2025-10-07T23:30:00-01:00', 4);"
    ));
    let positions = scene.read().expect("read");
    assert_eq!((positions.rows, positions.open, positions.closed), (8, 1, 3));
    let day = positions.realized.expect("known");
    assert_eq!((day.pnl, day.closed, day.won), (-3.5, 2, 1));
    assert_eq!(positions.last_record.expect("a time").to_string(), "2025-10-08T14:38:22.123456Z");
}

#[test]
fn the_newest_close_is_known_when_none_is_recent() {
    let (scene, _writer) = Scene::new(&format!(
        "{SCHEMA}INSERT INTO positions(status, entry_time, exit_time) VALUES ('CLOSED', '2001-01-01T00:00:00', '2001-01-01T07:00:00'), \
         ('CLOSED', '2001-01-01T01:00:00', '2001-01-01T02:00:00');"
    ));
    assert_eq!(scene.read().expect("read").last_record.expect("a time").to_string(), "2001-01-01T07:00:00Z");
}

/// What both ways of reading the table say; the first of them if it understood it.
fn both(connection: &Connection) -> (Option<Tally>, Tally) {
    let day = "2025-10-08".parse().expect("a date");
    let mut paged = Tally::of(day);
    let understood = pages::rows(connection, |row| paged.add(row)).expect("readable pages");
    let mut by_sql = Tally::of(day);
    stepped(connection, &mut by_sql).expect("readable rows");
    (understood.then_some(paged), by_sql)
}

/// Values of every type, also where another is expected.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-300_i64..300).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        (-9.0..9.0).prop_map(Value::Real),
        "[A-Z0-9:.T -]{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
    ]
}

fn any_row() -> impl Strategy<Value = [Value; 4]> {
    let status = prop_oneof![
        4 => Just(Value::Text("CLOSED".into())),
        1 => Just(Value::Text("OPEN".into())),
        1 => any_value(),
    ];
    let exit = prop_oneof![
        3 => (1_i64..400_000_000).prop_map(|second| {
            let time = Timestamp::from_second(1_460_000_000 + second).expect("a time");
            Value::Text(time.strftime("%Y-%m-%dT%H:%M:%S.000250").to_string())
        }),
        2 => (0..86_400_000_000_i64).prop_map(|micros| {
            let time = Timestamp::from_microsecond(1_759_881_600_000_000 + micros).expect("a time");
            Value::Text(time.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string())
        }),
        1 => any_value(),
    ];
    let pnl = prop_oneof![3 => (-9.0..9.0).prop_map(Value::Real), 1 => any_value()];
    (any_value(), status, exit, pnl).prop_map(|(symbol, status, exit, pnl)| [symbol, status, exit, pnl])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rows_from_pages_say_what_sql_says(
        page_size in prop::sample::select(vec![512_u32, 1024, 4096, 65_536]),
        mode in prop::sample::select(vec!["DELETE", "WAL"]),
        affinities in any::<bool>(),
        rows in prop::collection::vec((any_row(), 0_i64..3_000), 1..400),
        deleted in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
    ) {
        let schema = if affinities { SCHEMA.to_owned() } else {
            SCHEMA.replace(" AUTOINCREMENT", "").replace(" TEXT", "").replace(" REAL", "")
        };
        let (scene, mut writer) = Scene::new(&format!("PRAGMA page_size = {page_size}; PRAGMA journal_mode = {mode}; {schema}"));
        let transaction = writer.transaction().expect("begun");
        for ([symbol, status, exit, pnl], id) in &rows {
            let insert = "INSERT OR REPLACE INTO positions(id, symbol, status, exit_time, pnl) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.execute(insert, rusqlite::params![id, symbol, status, exit, pnl]).expect("inserted");
        }
        for index in deleted {
            transaction.execute("DELETE FROM positions WHERE id = ?1", [index.get(&rows).1]).expect("deleted");
        }
        transaction.commit().expect("committed");
        let reader = open(&scene.path(), Way::Locked).expect("opened");
        let (paged, by_sql) = both(&reader);
        // A row larger than a page has overflow pages, which are left to SQL.
        prop_assert!(paged.is_some() || page_size <= 1024);
        prop_assert_eq!(paged.unwrap_or_else(|| both(&reader).1).finish(None), by_sql.finish(None));
    }
}

#[test]
fn what_is_not_kept_in_the_plain_way_is_left_to_sql() {
    let plain =
        "CREATE TABLE positions(id INTEGER PRIMARY KEY, status TEXT, entry_time TEXT, exit_time TEXT, pnl REAL);";
    for (schema, is_plain) in [
        (plain.to_owned(), true),
        (plain.replace("positions", "Positions").replace("status", "\"STATUS\""), true),
        (plain.replace("id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY"), true),
        (plain.replace(")", ", late TEXT DEFAULT 'x')"), true),
        (format!("PRAGMA encoding = 'UTF-16le'; {plain}"), false),
        (plain.replace("pnl REAL", "raw REAL, pnl REAL AS (raw + 1) VIRTUAL"), false),
        (
            plain.replace("id INTEGER", "pnl REAL, id INTEGER").replace(", pnl REAL)", ", sum REAL AS (pnl) STORED)"),
            false,
        ),
        (plain.replace("pnl REAL", "pnl INTEGER PRIMARY KEY").replace("id INTEGER PRIMARY KEY", "id"), false),
        (
            format!(
                "{} CREATE VIEW positions AS SELECT rowid AS rowid, * FROM kept;",
                plain.replace("positions", "kept")
            ),
            false,
        ),
    ] {
        let (scene, writer) = Scene::new(&schema);
        let table = if schema.contains("VIEW") { "kept" } else { "positions" };
        writer
            .execute_batch(&format!(
                "INSERT INTO {table}(status, exit_time) VALUES ('CLOSED', '2001-01-01T00:00:00'), ('OPEN', NULL)"
            ))
            .expect("inserted");
        let (paged, by_sql) = both(&open(&scene.path(), Way::Locked).expect("opened"));
        assert_eq!(paged.is_some(), is_plain, "{schema}");
        let positions = paged.unwrap_or(by_sql).finish(None);
        assert_eq!((positions.open, positions.closed), (1, 1), "{schema}");
        assert_eq!(scene.read().expect(&schema).open, 1);
    }
}

#[test]
fn a_column_added_later_has_its_default_in_the_rows_before() {
    let (scene, writer) = Scene::new(
        "CREATE TABLE positions(id INTEGER PRIMARY KEY, entry_time TEXT, exit_time TEXT, pnl REAL); \
         INSERT INTO positions(pnl) VALUES (1), (2); ALTER TABLE positions ADD COLUMN status TEXT DEFAULT 'OPEN'; \
         INSERT INTO positions(pnl, status) VALUES (3, 'CLOSED')",
    );
    let (paged, _) = both(&writer);
    assert_eq!(paged, None);
    assert_eq!(scene.read().expect("read").open, 2);
}

#[test]
fn a_row_with_overflow_pages_is_left_to_sql() {
    let (scene, writer) = Scene::new(&format!(
        "{SCHEMA}{OPEN}INSERT INTO positions(symbol, status) VALUES (printf('%.*c', 9000, 'x'), 'OPEN')"
    ));
    assert_eq!(both(&writer).0, None);
    assert_eq!(scene.read().expect("read").open, 2);
}
