//! Slow and obvious models beside the real reader: a value equals the truth or is absent, and is absent only while the
//! model calls it unknowable. `PROPTEST_CASES` says how many histories are tried.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::reading::ReadState;
use super::super::scrape::Scraped;
use super::super::*;
use crate::model::thunes::{BreakerState, KillSwitch, OrderCount, Totals};

/// What is written to a journal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Heartbeat,
    Activated,
    Deactivated,
    Approved,
    RejectedForIt,
    RejectedOtherwise,
    /// An event on the kill switch without a readable time.
    Timeless(bool),
    /// A whole line that is no record.
    Garbage,
    /// So many hundredths of an activation's line, and no line end: the disk was full, or the writer died.
    Torn(usize),
    TooLong,
    Hole,
}

impl Written {
    /// Whether the switch is active after it, where it says so to somebody who can read it.
    fn says(self) -> Option<bool> {
        match self {
            Written::Activated | Written::RejectedForIt | Written::Torn(_) => Some(true),
            Written::Deactivated | Written::Approved => Some(false),
            Written::Timeless(active) => Some(active),
            _ => None,
        }
    }

    fn text(self, at: Timestamp) -> Vec<u8> {
        let at = at.strftime("%Y-%m-%dT%H:%M:%S");
        let line = |rest: &str| format!("{{\"timestamp\": \"{at}\", \"event\": \"{rest}}}\n").into_bytes();
        match self {
            Written::Heartbeat => line("HEARTBEAT\", \"x\": NaN"),
            Written::Activated => line("KILL_SWITCH_ACTIVATED\", \"reason\": \"daily loss\", \"daily_pnl\": -Infinity"),
            Written::Deactivated => line("KILL\\u005fSWITCH_DEACTIVATED\", \"reason\": \"manual\""),
            Written::Approved => line("TRADE_APPROVED\", \"symbol\": \"BTCUSDT\""),
            Written::RejectedForIt => line("TRADE_REJECTED\", \"reason\": \"kill_switch_active\""),
            Written::RejectedOtherwise => line("TRADE_REJECTED\", \"reason\": \"cool_down_active\""),
            Written::Timeless(true) => {
                b"{\"timestamp\": 1795960000.5, \"event\": \"KILL_SWITCH_ACTIVATED\"}\n".to_vec()
            }
            Written::Timeless(false) => b"{\"event\": \"KILL_SWITCH_DEACTIVATED\"}\n".to_vec(),
            Written::Garbage => b"<html>502 Bad Gateway</html>\n".to_vec(),
            Written::Torn(hundredths) => {
                let whole = Written::Activated.text(Timestamp::UNIX_EPOCH);
                whole[..(whole.len() - 2) * hundredths / 100 + 1].to_vec()
            }
            Written::TooLong => line(&format!("HEARTBEAT\", \"x\": \"{}\"", "y".repeat(1 << 20))),
            Written::Hole => vec![0; 100],
        }
    }
}

/// What happens to a journal's file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rotated {
    Renamed,
    Gzip,
    Xz,
    Zstd,
    Copied,
    /// Packed into an archive that is not read.
    Zip,
    Removed,
    Cleared,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write(usize, Written),
    Rotate(usize, Rotated),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let written = prop_oneof![
        40 => Just(Written::Heartbeat), 8 => Just(Written::Activated), 8 => Just(Written::Deactivated),
        8 => Just(Written::Approved), 8 => Just(Written::RejectedForIt), 4 => Just(Written::RejectedOtherwise),
        2 => any::<bool>().prop_map(Written::Timeless), 3 => Just(Written::Garbage),
        6 => (0..100_usize).prop_map(Written::Torn), 1 => Just(Written::TooLong), 1 => Just(Written::Hole),
    ];
    let rotated = prop::sample::select(vec![
        Rotated::Renamed,
        Rotated::Renamed,
        Rotated::Gzip,
        Rotated::Xz,
        Rotated::Zstd,
        Rotated::Copied,
        Rotated::Zip,
        Rotated::Removed,
        Rotated::Cleared,
    ]);
    prop_oneof![
        10 => (0..2_usize, written).prop_map(|(journal, written)| Step::Write(journal, written)),
        2 => (0..2_usize, rotated).prop_map(|(journal, rotated)| Step::Rotate(journal, rotated)),
        5 => Just(Step::Look),
    ]
}

/// What a journal holds in the model, in the order in which it was written.
#[derive(Debug, Clone, Copy)]
enum Held {
    /// A record with a time, which may say whether the switch is active.
    Record(Timestamp, Option<bool>),
    Timeless(bool),
    /// Something that may have said anything.
    Unreadable,
}

const NAMES: [&str; 2] = ["audit_trail.jsonl", "metrics_events.jsonl"];

struct World {
    directory: tempfile::TempDir,
    now: Timestamp,
    /// The last that was written on the kill switch, readable or not.
    truth: bool,
    journals: [Model; 2],
    memory: ThunesMemory,
}

/// What is written to a journal, and what of that a reader can know.
#[derive(Debug, Default)]
struct Model {
    held: Vec<Held>,
    /// The file ends in a torn line.
    torn: bool,
    /// How much was written before the file that has the journal's name.
    begins: usize,
    /// How much was written before the last check, and what the file held then.
    seen: usize,
    looked: Vec<u8>,
    /// That file still has the name. One that comes and goes between two checks leaves no trace for anybody.
    was_there: bool,
    /// It is gone, or packed so that nothing tells it.
    gone: bool,
    /// Where the newest plain file ends that was rotated since: it may have been copied from the one that is gone.
    plain_to: usize,
    /// What was copied since, and where that ends.
    copies: Vec<(usize, Vec<u8>)>,
}

impl Model {
    /// What a rotation leaves to be known of a file that holds this.
    fn rotate(&mut self, rotated: Rotated, content: Vec<u8>) {
        use Rotated::{Cleared, Copied, Gzip, Removed, Renamed, Xz, Zip, Zstd};
        let was_there = self.was_there;
        self.was_there &= matches!(rotated, Copied | Cleared);
        if matches!(rotated, Zip | Removed | Cleared) {
            self.held.truncate(self.seen.max(self.begins));
        }
        let is_packed = matches!(rotated, Gzip | Xz | Zstd);
        let is_nameless = !self.looked.contains(&b'\n') || !self.copies.is_empty();
        self.gone |= was_there && (matches!(rotated, Zip | Removed) || is_packed && is_nameless);
        let is_alike = was_there && (is_packed || rotated == Copied) && own_lines(&self.looked, &content) == 0;
        if matches!(rotated, Zip | Cleared) || is_alike && !self.looked.is_empty() {
            self.held.push(Held::Unreadable);
        }
        self.begins = self.held.len();
        self.torn = false;
        if matches!(rotated, Renamed | Copied) {
            self.plain_to = self.begins;
        }
        if rotated == Copied {
            self.copies.push((self.begins, content));
        }
    }

    /// What can be known no more at this check, at which the file holds this.
    fn look(&mut self, content: Vec<u8>) {
        let is_copy = |copy: &[u8]| !copy.is_empty() && content.starts_with(copy) && own_lines(copy, &content) < 2;
        let mut unknown: Vec<usize> = self.copies.iter().filter(|(_, copy)| is_copy(copy)).map(|(at, _)| *at).collect();
        unknown.extend(self.gone.then_some(self.plain_to.max(self.seen)));
        unknown.sort_unstable();
        for at in unknown.into_iter().rev() {
            self.held.insert(at, Held::Unreadable);
            self.begins += usize::from(at <= self.begins);
        }
        (self.seen, self.looked, self.was_there) = (self.held.len(), content, true);
        (self.gone, self.plain_to) = (false, 0);
        self.copies.clear();
    }
}

/// Lines of `part` with a digit that stand once in a file that begins with it: others tell no file from another.
fn own_lines(part: &[u8], file: &[u8]) -> usize {
    let all: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let own = part.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    own.filter(|line| line.iter().any(u8::is_ascii_digit) && all.iter().filter(|other| other == &line).count() < 2)
        .count()
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = "2025-10-08T00:00:00Z".parse().expect("a time");
        let (journals, memory) = (Default::default(), ThunesMemory::default());
        let mut world = World { directory, now, truth: false, journals, memory };
        NAMES.iter().for_each(|name| world.append(name, b""));
        // What was there before the first check and is gone by then, nobody knows.
        world.look();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).expect("opened");
        file.write_all(bytes).expect("written");
    }

    fn write(&mut self, journal: usize, written: Written) {
        self.append(NAMES[journal], &written.text(self.now));
        self.truth = written.says().unwrap_or(self.truth);
        let is_whole = !matches!(written, Written::Torn(_) | Written::Hole);
        let model = &mut self.journals[journal];
        model.held.push(match written {
            // Glued to what was torn.
            _ if model.torn => Held::Unreadable,
            Written::Timeless(active) => Held::Timeless(active),
            Written::Garbage | Written::Torn(_) | Written::TooLong | Written::Hole => Held::Unreadable,
            _ => Held::Record(self.now, written.says()),
        });
        model.torn = !is_whole && (model.torn || matches!(written, Written::Torn(_)));
    }

    fn rotate(&mut self, journal: usize, rotated: Rotated) {
        let (name, model) = (NAMES[journal], &self.journals[journal]);
        // What is written after a rotation by copying, and cleared again, leaves no trace either.
        let is_traceless = !model.was_there || rotated == Rotated::Cleared && !model.copies.is_empty();
        if matches!(rotated, Rotated::Removed | Rotated::Cleared) && is_traceless {
            self.look();
        }
        let live = self.path(name);
        self.journals[journal].rotate(rotated, std::fs::read(&live).expect("read"));
        match rotated {
            Rotated::Removed => std::fs::remove_file(&live).expect("removed"),
            // What was written and cleared in a file that was empty at the last check, and written again, nothing tells.
            Rotated::Cleared => {
                OpenOptions::new().write(true).truncate(true).open(&live).expect("truncated");
                self.look();
            }
            _ => self.shift(name, rotated),
        }
        // The clock of the file system tells births apart.
        std::thread::sleep(Duration::from_millis(5));
        self.append(name, b"");
    }

    /// Makes a file of another name of it, the first in the order of rotation.
    fn shift(&self, name: &str, rotated: Rotated) {
        for number in (1..60).rev() {
            for end in ["", ".gz", ".xz", ".zst", ".zip"] {
                let to = self.path(&format!("{name}.{}{end}", number + 1));
                // Most are not there.
                _ = std::fs::rename(self.path(&format!("{name}.{number}{end}")), to);
            }
        }
        let (live, bytes) = (self.path(name), std::fs::read(self.path(name)).expect("read"));
        let packed = |end: &str, bytes: Vec<u8>| {
            std::fs::write(self.path(&format!("{name}.1{end}")), bytes).expect("written");
            std::fs::remove_file(&live).expect("removed");
        };
        match rotated {
            Rotated::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&bytes).expect("packed");
                packed(".gz", encoder.finish().expect("finished"));
            }
            Rotated::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(0);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
                encoder.write_all(&bytes).expect("packed");
                packed(".xz", encoder.finish().expect("finished"));
            }
            Rotated::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                packed(".zst", ruzstd::encoding::compress_to_vec(bytes.as_slice(), level));
            }
            Rotated::Zip => packed(".zip", [b"PK\x03\x04".as_slice(), &bytes].concat()),
            Rotated::Copied => {
                std::fs::write(self.path(&format!("{name}.1")), bytes).expect("written");
                OpenOptions::new().write(true).truncate(true).open(&live).expect("truncated");
            }
            _ => std::fs::rename(&live, self.path(&format!("{name}.1"))).expect("renamed"),
        }
    }

    /// What the reader says, and whether it may say nothing.
    fn look(&mut self) -> (Option<bool>, bool) {
        let text = serde_json::to_string(&self.memory).expect("serialised");
        let mut memory: ThunesMemory = serde_json::from_str(&text).expect("read back");
        let (now, root) = (self.now, self.directory.path());
        let deadline = Deadline::after(Duration::from_secs(60));
        let names = NAMES.map(PathBuf::from);
        let journals = read_all(root, &names, &mut memory.journals, &Format::Journal, now, deadline);
        self.memory = memory;
        for (model, name) in self.journals.iter_mut().zip(NAMES) {
            // Between a removal and the next file there is none.
            model.look(std::fs::read(self.directory.path().join(name)).unwrap_or_default());
        }
        let read = kill_switch::from_journals(&journals, self.now).ok().map(|(switch, _)| switch.active);
        (read, !self.is_knowable())
    }

    /// The obvious reading of what the journals hold.
    fn is_knowable(&self) -> bool {
        let evidence: Vec<(bool, Option<Timestamp>)> =
            self.journals.iter().filter_map(|model| last_evidence(&model.held)).collect();
        let newest = evidence.iter().max_by_key(|(_, at)| *at).copied();
        let contradicts = |(active, at): &(bool, Option<Timestamp>)| {
            newest.is_some_and(|(value, newest)| *active != value && (at.is_none() || newest.is_none()))
        };
        !evidence.iter().any(contradicts)
            && self.journals.iter().all(|model| self.is_settled(&model.held, newest.and_then(|e| e.1)))
    }

    /// Whether all that is unreadable in a journal was written before the newest evidence.
    fn is_settled(&self, held: &[Held], newest: Option<Timestamp>) -> bool {
        let after_evidence = held.iter().rposition(|held| says(held).is_some()).map_or(held, |at| &held[at + 1..]);
        let Some(last) = after_evidence.iter().rposition(|held| matches!(held, Held::Unreadable)) else { return true };
        let before = after_evidence[last..].iter().find_map(|held| match held {
            Held::Record(at, _) => Some(*at),
            _ => None,
        });
        newest.is_some_and(|newest| newest > before.unwrap_or(self.now))
    }
}

fn says(held: &Held) -> Option<bool> {
    match held {
        Held::Record(_, says) => *says,
        Held::Timeless(active) => Some(*active),
        Held::Unreadable => None,
    }
}

fn last_evidence(held: &[Held]) -> Option<(bool, Option<Timestamp>)> {
    held.iter().rev().find_map(|held| {
        let at = if let Held::Record(at, _) = held { Some(*at) } else { None };
        Some((says(held)?, at))
    })
}

proptest! {
    #![proptest_config(super::cases(60))]

    #[test]
    fn the_kill_switch_is_as_it_is_or_absent_and_absent_only_while_it_cannot_be_known(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new();
        for step in steps {
            world.now += SignedDuration::from_secs(1);
            match step {
                Step::Write(journal, written) => world.write(journal, written),
                Step::Rotate(journal, rotated) => world.rotate(journal, rotated),
                Step::Look => {}
            }
            if matches!(step, Step::Look) {
                let (read, may_be_absent) = world.look();
                prop_assert!(read.is_none_or(|read| read == world.truth), "read {:?}, it is {}", read, world.truth);
                prop_assert!(read.is_some() || may_be_absent, "absent, though it can be known: {:?}", world.journals);
            }
        }
    }
}

/// How one source fares in one check, and what it has if it can be read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fares {
    Well,
    /// It can be read and has no orders: no such family, no instrumented event.
    WithoutOrders,
    Fails,
    Missing,
}

fn fares() -> impl Strategy<Value = Fares> {
    prop::sample::select(vec![Fares::Well, Fares::WithoutOrders, Fares::Fails, Fares::Missing])
}

/// One order more in each source than in the next, so that the count tells whose it is.
fn count(number: u64) -> Vec<OrderCount> {
    vec![OrderCount { venue: "v".into(), order_type: "t".into(), side: "s".into(), count: number }]
}

fn reading(name: &str, fares: Fares, known: bool, totals: Totals) -> Reading {
    let state = match fares {
        Fares::Well | Fares::WithoutOrders => ReadState::Ready,
        Fares::Fails => ReadState::Unreadable("no".into()),
        Fares::Missing => ReadState::Missing,
    };
    let name = name.to_owned();
    Reading { name, state, known, gaps: 0, losses: Vec::new(), is_waiting: false, totals }
}

proptest! {
    #![proptest_config(super::cases(60))]

    #[test]
    fn orders_come_from_the_first_source_that_is_there_or_ever_was_or_from_none(
        has_endpoint in any::<bool>(),
        looks in prop::collection::vec((fares(), fares(), fares(), fares()), 1..12),
    ) {
        let (mut endpoint_seen, mut journal_seen, mut instrumented, mut database_seen, mut log_seen) = (false, false, false, false, false);
        for (endpoint, journal, database, log) in looks {
            let scraped = has_endpoint.then(|| match endpoint {
                Fares::Well => Ok(Scraped {
                        facts: ThunesFacts { orders: Some(count(4)), ..ThunesFacts::default() },
                        families: ["thunes_orders_placed_total"].into(),
                    }),
                Fares::WithoutOrders => Ok(Scraped {
                        facts: ThunesFacts { kill_switch: Some(KillSwitch::default()), ..ThunesFacts::default() },
                        families: ["thunes_kill_switch_active"].into(),
                    }),
                Fares::Fails | Fares::Missing => Err(anyhow::anyhow!("no answer")),
            });
            endpoint_seen |= has_endpoint && endpoint == Fares::Well;
            instrumented |= journal == Fares::Well;
            let totals = Totals { instrumented, orders: count(3), ..Totals::default() };
            let journal_known = journal_seen || matches!(journal, Fares::Well | Fares::WithoutOrders);
            database_seen |= database != Fares::Missing;
            log_seen |= matches!(log, Fares::Well | Fares::WithoutOrders);
            // The model: the first source in order that is configured or has ever been seen decides.
            let expected = match (endpoint, journal, database, log) {
                (Fares::Well, ..) if has_endpoint => Some(4),
                (Fares::Fails | Fares::Missing, ..) if has_endpoint => None,
                _ if endpoint_seen => None,
                (_, Fares::Well | Fares::WithoutOrders, ..) if instrumented => Some(3),
                _ if instrumented => None,
                (_, Fares::Fails, ..) if !journal_known => None,
                (_, _, Fares::Well | Fares::WithoutOrders, _) => Some(2),
                _ if database_seen => None,
                (_, _, _, Fares::Well | Fares::WithoutOrders) => Some(1),
                _ => None,
            };
            let sum = positions::Positions { rows: 2, counts: Some(Default::default()), realized: Some(Default::default()), problem: None, last_record: None };
            let mut memory = ThunesMemory { has_database: database_seen, ..ThunesMemory::default() };
            memory.endpoint.families.extend(endpoint_seen.then(|| "thunes_orders_placed_total".to_owned()));
            let findings = Findings {
                now: Timestamp::UNIX_EPOCH,
                scraped,
                memory: &memory,
                limit: Ok(20.0),
                positions: match database {
                    Fares::Well | Fares::WithoutOrders => Ok(sum),
                    Fares::Fails => Err(std::io::Error::from_raw_os_error(5)),
                    Fares::Missing => Err(std::io::Error::from_raw_os_error(2)),
                },
                journals: vec![reading("events.jsonl", journal, journal_known, totals)],
                logs: vec![reading("a.log", log, log_seen, Totals { orders: count(1), ..Totals::default() })],
            };
            journal_seen = journal_known;
            let facts = findings.decide();
            let found = facts.orders.map(|orders| orders.iter().filter(|o| o.side != "SELL").map(|o| o.count).max().unwrap_or(0));
            prop_assert_eq!(found, expected, "{:?}", (endpoint, journal, database, log));
            // A halt is never taken from anybody else while the endpoint that is asked does not answer.
            if has_endpoint && matches!(endpoint, Fares::Fails | Fares::Missing) {
                prop_assert!(facts.kill_switch.is_none() && facts.breakers.is_none() && facts.open_positions.is_none());
            }
        }
    }
}

#[test]
fn a_breaker_whose_newest_state_cannot_be_told_is_absent() {
    let now: Timestamp = "2025-10-08T15:00:00Z".parse().expect("a time");
    let states = |journal: &[&str], log: &str| {
        let mut read = Tally::new(Format::Journal, Totals::default(), now);
        read.late = false;
        journal.iter().for_each(|line| tail::Lines::line(&mut read, tail::Line::Whole(line.as_bytes())));
        let mut written = Tally::new(Format::Log(TimeZone::UTC), Totals::default(), now);
        tail::Lines::line(&mut written, tail::Line::Whole(log.as_bytes()));
        let findings = Findings {
            now,
            scraped: None,
            memory: &ThunesMemory::default(),
            limit: Ok(20.0),
            positions: Err(std::io::Error::from_raw_os_error(2)),
            journals: vec![reading("audit_trail.jsonl", Fares::Well, true, read.totals)],
            logs: vec![reading("a.log", Fares::Well, true, written.totals)],
        };
        findings.decide().breakers.expect("readable")
    };
    let status = |odd: &str| {
        format!(
            r#"{{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","circuit_breaker_status":{{"A":{{"state":"open","fail_max":{odd}}}}}}}"#
        )
    };
    let log = "2025-10-08 13:00:00 - cb - INFO - Circuit breaker 'A' state changed: open -> closed";
    let digits = "7".repeat(400);
    for odd in ["Infinity", "NaN", "1e999", digits.as_str(), r#""\udc00""#] {
        assert_eq!(states(&[&status(odd)], log)["A"], BreakerState::Open, "{odd}");
    }
    let timeless = r#"{"event":"CIRCUIT_BREAKER","breaker_name":"A","state":"open"}"#;
    let heartbeat = r#"{"timestamp":"2025-10-08T12:00:00","event":"HEARTBEAT"}"#;
    let unknown = r#"{"timestamp":"2025-10-08T14:00:00","event":"CIRCUIT_BREAKER","breaker_name":"A","state":"ajar"}"#;
    for lines in [&[timeless][..], &["<html>"], &[unknown]] {
        assert_eq!(states(lines, log).get("A"), None, "{lines:?}");
    }
    assert_eq!(states(&["<html>", heartbeat], log)["A"], BreakerState::Closed, "it was written before that");
}
