//! What every pass, or every byte of an answer, goes through, in this process: `cargo bench`.
//!
//! divan rather than criterion: it needs a fifth of the packages, measures without a plot or a report directory, and
//! says bytes a second. What whole passes cost is measured by the scripts beside this file (`make bench`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use jiff::Timestamp;

use lab_probe::check::worktree::reports::junit;
use lab_probe::check::{self, Context, Start};
use lab_probe::clock::Deadline;
use lab_probe::exposition;
use lab_probe::metrics;
use lab_probe::model::mcp::{Era, McpFacts, McpMemory, McpTarget, Reach, StdioServer, Transport};
use lab_probe::model::observation::{Attempts, Facts, Memory, Observation, Remembered};
use lab_probe::model::snapshot::{Entry, LastPass, Outcome, Snapshot};
use lab_probe::model::target::{Probe, Schedule, Target};
use lab_probe::model::thunes::{ThunesMemory, ThunesTarget};
use lab_probe::proc::Permits;
use lab_probe::state::store::{self, State};

/// Servers of a large LAB.
const SERVERS: usize = 100;

fn main() {
    divan::main();
}

fn at() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn facts() -> McpFacts {
    McpFacts {
        transport: Some(Transport::Stdio),
        era: Some(Era::Modern),
        protocol_version: Some("2026-07-28".into()),
        server_name: Some("instant".into()),
        server_version: Some("1.0.0".into()),
        handshake: Some(Duration::from_millis(120)),
        tools: Some(12),
        tools_digest: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
        cpu: Some(Duration::from_millis(300)),
        max_rss_bytes: Some(90 << 20),
        ..McpFacts::default()
    }
}

fn entry(number: usize) -> Entry {
    let probe = Probe::Mcp(McpTarget { reach: Reach::Stdio(StdioServer::default()), list_tools: true });
    let schedule = Schedule {
        ttl: Duration::from_secs(300),
        retry_after: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
    };
    let name = format!("server-{number}");
    let target = Target { name, probe, schedule, fingerprint: "f".repeat(64), origins: Vec::new(), only_here: false };
    let memory = McpMemory { checks: BTreeMap::from([("up".into(), 4)]), ..McpMemory::default() };
    let observation =
        Observation { checked_at: at(), duration: Duration::from_millis(150), facts: Facts::Mcp(facts()) };
    Entry {
        target,
        outcome: Outcome::Cached,
        observation: Some(observation),
        memory: Some(Memory::Mcp(memory)),
        next_due: None,
        processes: None,
        trouble: None,
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        pass: LastPass { started_at: at(), duration: Duration::from_millis(4), deadline_exceeded: false },
        output_failures: BTreeMap::from([("textfile".into(), 0)]),
        entries: (0..SERVERS).map(entry).collect(),
        ..Snapshot::default()
    }
}

fn context() -> Context {
    let (timeout, deadline) = (Duration::from_secs(60), Deadline::after(Duration::from_secs(60)));
    Context::new(timeout, deadline, at(), Start::new(&Permits::new(1), None, deadline, timeout))
}

fn state() -> State {
    let mut state = State::new(at());
    for entry in snapshot().entries {
        let remembered = Remembered {
            fingerprint: entry.target.fingerprint.clone(),
            observation: entry.observation,
            memory: entry.memory.expect("a memory"),
            attempts: Attempts::default(),
        };
        state.targets.insert(entry.target.id().to_string(), remembered);
    }
    state
}

/// A journal from its beginning: 8 MiB that the page cache holds.
#[divan::bench(sample_count = 20)]
fn journal_scan(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut text = String::new();
    for second in 0.. {
        let (minute, second) = (second / 60 % 60, second % 60);
        let _ = writeln!(
            text,
            "{{\"timestamp\": \"2026-07-01T10:{minute:02}:{second:02}.000250\", \"event\": \"ORDER_PLACED\", \
             \"venue\": \"binance\", \"order_type\": \"MARKET\", \"side\": \"BUY\", \"latency_ms\": 84.0, \
             \"symbol\": \"BTCUSDT\"}}"
        );
        if text.len() > 8 << 20 {
            break;
        }
    }
    std::fs::write(directory.path().join("events.jsonl"), &text).expect("written");
    let target = thunes(directory.path());
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        let context = context();
        check::thunes::check(&target, ThunesMemory::default(), &context)
    });
}

/// Positions of a database that has been written since the last pass.
const POSITIONS: i64 = 100_000;

/// Five minutes apart, up to now.
fn write_positions(path: &Path) {
    let mut database = rusqlite::Connection::open(path).expect("created");
    let transaction = database.transaction().expect("begun");
    let schema = "CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, entry_price REAL, \
        entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT, exit_order_id TEXT)";
    transaction.execute_batch(schema).expect("a table");
    let insert = "INSERT INTO positions VALUES (?1, 'BTCUSDT', ?1 / 1e6, 50000.5 + ?1 / 7e3, ?2, 50001.5, ?3, ?1 / 1e5 - 0.4, \
        'CLOSED', ?1 + 10000000000, ?2, ?1 + 20000000000)";
    {
        let mut insert = transaction.prepare(insert).expect("sound");
        let text = |seconds| {
            (at() - jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%S.000250").to_string()
        };
        for id in 1..=POSITIONS {
            let age = 300 * (POSITIONS - id) + 100;
            insert.execute((id, text(age), text(age - 90))).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
}

/// Opening the database and reading all of it.
#[divan::bench(sample_count = 50)]
fn positions_read(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().expect("a directory");
    write_positions(&directory.path().join("positions.db"));
    let target = ThunesTarget { positions_db: "positions.db".into(), journals: Vec::new(), ..thunes(directory.path()) };
    bencher.bench(|| {
        let context = context();
        check::thunes::check(&target, ThunesMemory::default(), &context)
    });
}

fn thunes(root: &Path) -> ThunesTarget {
    ThunesTarget {
        environment: "bench".into(),
        root: root.to_owned(),
        positions_db: "none.db".into(),
        journals: vec!["events.jsonl".into()],
        logs: Vec::new(),
        metrics_url: None,
        max_daily_loss: None,
        unreachable: None,
    }
}

#[divan::bench]
fn exposition_render(bencher: Bencher<'_, '_>) {
    let snapshot = snapshot();
    let size = metrics::text::render(&snapshot).expect("sound").len();
    bencher.counter(BytesCount::new(size)).bench(|| metrics::text::render(black_box(&snapshot)));
}

#[divan::bench]
fn exposition_verify(bencher: Bencher<'_, '_>) {
    let text = metrics::text::render(&snapshot()).expect("sound");
    bencher.counter(BytesCount::of_str(&text)).bench(|| exposition::parse(black_box(text.as_bytes())));
}

#[divan::bench]
fn state_load(bencher: Bencher<'_, '_>) {
    let bytes = serde_json::to_vec(&state()).expect("serialized");
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| store::parse(black_box(&bytes), at()));
}

#[divan::bench]
fn state_save(bencher: Bencher<'_, '_>) {
    let state = state();
    let size = serde_json::to_vec(&state).expect("serialized").len();
    bencher.counter(BytesCount::new(size)).bench(|| serde_json::to_vec(black_box(&state)));
}

/// A report of two thousand tests, one in fifty of which fails.
#[divan::bench]
fn junit(bencher: Bencher<'_, '_>) {
    let mut xml = String::from("<testsuites><testsuite name=\"suite\">");
    for number in 0..2000 {
        let _ = write!(xml, "<testcase classname=\"package.module\" name=\"test_{number}\" time=\"0.012\"");
        xml.push_str(if number % 50 == 0 {
            "><failure message=\"no\">Traceback</failure></testcase>\n"
        } else {
            "/>\n"
        });
    }
    xml.push_str("</testsuite></testsuites>");
    assert_eq!(junit::parse(xml.as_bytes()).and_then(|report| report.counts).map(|counts| counts.total()), Some(2000));
    bencher.counter(BytesCount::of_str(&xml)).bench(|| junit::parse(black_box(xml.as_bytes())));
}
