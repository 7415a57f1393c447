//! What a writer may leave, hold or do while its database is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

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

    fn read(&self) -> io::Result<Positions> {
        let now = "2025-10-08T23:59:59Z".parse().expect("a time");
        read(&self.path(), now, Deadline::after(Duration::from_secs(20)))
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
    fn read_without_a_trace(&self) -> io::Result<Positions> {
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
fn counts(result: io::Result<Positions>) -> (u64, u64, f64) {
    let positions = result.expect("readable");
    (positions.rows, positions.counts.expect("known").open, positions.realized.expect("a result").0)
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
    assert!(failure.to_string().contains("locked") && failure.kind() != io::ErrorKind::NotFound, "{failure:?}");
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
    assert!(failure.to_string().contains("middle of a transaction"), "{failure:?}");
}

#[test]
fn what_is_no_such_database_is_said_and_so_is_an_empty_file() {
    let (scene, _writer) = Scene::new("CREATE TABLE other(id)");
    assert!(scene.read().expect_err("no table").to_string().contains("positions"));
    std::fs::write(scene.path(), "").expect("written");
    let failure = scene.read_without_a_trace().expect_err("a restore may be under way");
    assert!(failure.to_string().contains("empty") && failure.kind() != io::ErrorKind::NotFound, "{failure:?}");
    for damage in ["no database, but long enough to be one, if only it began with the right words", "x"] {
        std::fs::write(scene.path(), damage).expect("written");
        let failure = scene.read_without_a_trace().expect_err("no database");
        assert!(failure.to_string().contains("no SQLite database"), "{failure:?}");
    }
    std::fs::remove_file(scene.path()).expect("removed");
    assert_eq!(scene.read_without_a_trace().expect_err("missing").kind(), io::ErrorKind::NotFound);
    std::fs::create_dir(scene.path()).expect("a directory");
    assert_ne!(scene.read().expect_err("a directory").kind(), io::ErrorKind::NotFound);
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
    assert!(scene.read_without_a_trace().expect_err("damaged").to_string().contains("damaged"));
}

#[test]
fn a_table_that_never_ends_is_left_in_time() {
    let (scene, _writer) = Scene::new(
        "CREATE VIEW positions AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) \
         SELECT 'OPEN' AS status, '' AS entry_time, '' AS exit_time, 0 AS pnl, n AS id FROM r",
    );
    let now = "2025-10-08T23:59:59Z".parse().expect("a time");
    let failure = read(&scene.path(), now, Deadline::after(Duration::from_millis(300))).expect_err("endless");
    assert!(failure.to_string().contains("in time"), "{failure:?}");
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
        ("2025-10-07", 0.5),
        ("2025-10-08", 0.25),
    ] {
        let insert = "INSERT INTO positions(status, exit_time, pnl) VALUES ('CLOSED', ?1, ?2)";
        writer.execute(insert, (exit, pnl)).expect("inserted");
    }
    writer
        .execute_batch("INSERT INTO positions(status, exit_time, pnl) VALUES ('OPEN', '2025-10-08T12:00:00', 5)")
        .expect("inserted");
    assert_eq!(counts(scene.read()).2, 101_110.25);
    for odd in ["NULL", "1759934302", "'yesterday'", "'08.10.2025'", "''"] {
        writer.execute_batch(&format!("UPDATE positions SET exit_time = {odd} WHERE id = 7")).expect("updated");
        let Positions { realized, problem, .. } = scene.read().expect("readable");
        assert!(problem.as_ref().is_some_and(|why| why.contains("position 7 ")), "{odd}: {problem:?}");
        assert_eq!(realized, None, "{odd}");
    }
}

#[test]
fn a_status_that_nobody_knows_leaves_all_but_the_number_of_rows_unknown() {
    for (status, known) in [
        ("'open'", true),
        ("'Closed'", true),
        ("'PARTIALLY_CLOSED'", false),
        ("'ACTIVE'", false),
        ("' OPEN'", false),
        ("''", false),
        ("NULL", false),
        ("1", false),
        ("x'4f50454e'", false),
    ] {
        let insert =
            format!("INSERT INTO positions(status, exit_time, pnl) VALUES ({status}, '2025-10-08T10:00:00', 1);");
        let (scene, _writer) = Scene::new(&format!("{SCHEMA}{OPEN}{CLOSED}{insert}"));
        let positions = scene.read().expect("read");
        assert_eq!(
            (positions.rows, positions.counts.is_some(), positions.realized.is_some()),
            (3, known, known),
            "{status}"
        );
        let is_named = positions.problem.as_ref().is_some_and(|why| why.contains("position 3 "));
        assert_eq!(is_named, !known, "{:?}", positions.problem);
    }
}

/// Tables as they are made by hand, by SQLAlchemy and by whoever migrated them.
const SCHEMAS: &[&str] = &[
    SCHEMA,
    "CREATE TABLE positions (id INTEGER NOT NULL, symbol VARCHAR(20) NOT NULL, quantity FLOAT, entry_price NUMERIC(18, 8), \
     entry_time DATETIME, exit_price NUMERIC, exit_time DATETIME, pnl NUMERIC(18, 8), status VARCHAR(6) NOT NULL, \
     PRIMARY KEY (id)); CREATE INDEX ix_positions_status ON positions (status);",
    "CREATE TABLE positions (symbol, pnl, exit_time, entry_time, status, id TEXT PRIMARY KEY) WITHOUT ROWID;",
    "PRAGMA encoding = 'UTF-16le'; CREATE TABLE positions (id INTEGER PRIMARY KEY, symbol TEXT, entry_time TEXT, \
     exit_time TEXT, raw REAL, status TEXT, pnl REAL AS (raw) STORED);",
    "CREATE TABLE positions (id INTEGER PRIMARY KEY, symbol TEXT, entry_time TEXT, exit_time TEXT, pnl REAL); \
     ALTER TABLE positions ADD COLUMN status TEXT DEFAULT 'OPEN';",
];

/// What happens to the table, and what a row then says.
#[derive(Debug, Clone)]
enum Change {
    Open,
    Close { index: prop::sample::Index, status: Value, exit: Value, pnl: Value },
    Delete(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let text = |text: &str| Just(Value::Text(text.to_owned()));
    let status = prop_oneof![
        20 => text("CLOSED"), 2 => text("closed"), 1 => text("PARTIALLY_CLOSED"), 1 => Just(Value::Null),
    ];
    let exit = prop_oneof![
        10 => (0..86_400_i64).prop_map(|second| {
            let time = Timestamp::from_second(1_759_881_600 + second).expect("a time");
            Value::Text(time.strftime("%Y-%m-%d %H:%M:%S.000250").to_string())
        }),
        10 => (1_i64..400_000_000).prop_map(|second| {
            let time = Timestamp::from_second(1_450_000_000 + second).expect("a time");
            Value::Text(time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
        }),
        1 => text("2025-10-07 yesterday"),
        1 => Just(Value::Null),
    ];
    let pnl = prop_oneof![20 => (-40_i32..40).prop_map(|quarters| Value::Real(f64::from(quarters) / 4.0)), 1 => Just(Value::Null)];
    prop_oneof![
        3 => Just(Change::Open),
        4 => (any::<prop::sample::Index>(), status, exit, pnl)
            .prop_map(|(index, status, exit, pnl)| Change::Close { index, status, exit, pnl }),
        1 => any::<prop::sample::Index>().prop_map(Change::Delete),
    ]
}

/// The rows by their ids, each as (status, exit, pnl): what the obvious reader goes through.
type Rows = BTreeMap<i64, [Value; 3]>;

/// The slow and obvious reading of the same rows: open, closed, and the day's result.
fn model(rows: &Rows) -> (Option<(u64, u64)>, Option<f64>) {
    let word = |value: &Value| match value {
        Value::Text(text) => text.to_uppercase(),
        other => format!("{other:?}"),
    };
    let (mut open, mut closed, mut pnl) = (0, 0, Some(0.0));
    for [status, exit, result] in rows.values() {
        match word(status).as_str() {
            "OPEN" => open += 1,
            "CLOSED" => {
                closed += 1;
                let day =
                    word(exit).replace('T', " ").replace(' ', "T").parse::<jiff::civil::DateTime>().map(|at| at.date());
                pnl = match (pnl, day, result) {
                    (Some(sum), Ok(day), Value::Real(more)) if day.to_string() == "2025-10-08" => Some(sum + more),
                    (sum, Ok(day), _) if day.to_string() != "2025-10-08" => sum,
                    _ => None,
                };
            }
            _ => return (None, None),
        }
    }
    (Some((open, closed)), pnl)
}

proptest! {
    #![proptest_config(super::super::tests::cases(40))]

    #[test]
    fn any_history_of_any_table_says_what_the_obvious_reading_of_its_rows_says(
        schema in prop::sample::select(SCHEMAS),
        mode in prop::sample::select(vec!["DELETE", "WAL"]),
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let (scene, writer) = Scene::new(&format!("PRAGMA synchronous = OFF; PRAGMA journal_mode = {mode}; {schema}"));
        let pnl_column = if schema.contains("raw") { "raw" } else { "pnl" };
        let mut rows = Rows::new();
        for (id, change) in (1_i64..).zip(changes) {
            let existing: Vec<i64> = rows.keys().copied().collect();
            match change {
                Change::Open => {
                    let insert = "INSERT INTO positions(id, symbol, entry_time, status) VALUES (?1, 'X', '2025-10-08T00:00:00', 'OPEN')";
                    writer.execute(insert, [id]).expect("inserted");
                    rows.insert(id, [Value::Text("OPEN".into()), Value::Null, Value::Null]);
                }
                Change::Close { index, status, exit, pnl } if !existing.is_empty() => {
                    let id = index.get(&existing);
                    let update = format!("UPDATE OR IGNORE positions SET status = ?2, exit_time = ?3, {pnl_column} = ?4 WHERE id = ?1");
                    if writer.execute(&update, rusqlite::params![id, status, exit, pnl]).expect("updated") > 0 {
                        rows.insert(*id, [status, exit, pnl]);
                    }
                }
                Change::Delete(index) if !existing.is_empty() => {
                    let id = index.get(&existing);
                    writer.execute("DELETE FROM positions WHERE id = ?1", [id]).expect("deleted");
                    rows.remove(id);
                }
                _ => {}
            }
        }
        let positions = scene.read().expect("readable");
        let (known, pnl) = model(&rows);
        prop_assert_eq!(positions.rows, rows.len() as u64);
        prop_assert_eq!(positions.counts, known.map(|(open, closed)| Counts { open, closed }));
        prop_assert_eq!(positions.realized.map(|(pnl, _)| pnl), pnl);
    }
}
