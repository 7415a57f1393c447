//! Passes killed at random instants while a journal grows, is rotated and truncated: every line counts exactly once.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use lab_probe::clock::instant;

use crate::harness::Lab;

/// Kills, as the demand has it.
const KILLS: usize = 300;

/// However slow the machine is, the test ends.
const PATIENCE: Duration = Duration::from_secs(240);

/// The application: appends numbered events, a part of a line at a time now and then, and rotates.
struct Writer {
    journal: PathBuf,
    file: File,
    /// Complete lines so far, and how many of those are damaged or too long.
    written: u64,
    malformed: u64,
    too_long: u64,
    rotations: u64,
}

impl Writer {
    fn new(journal: PathBuf) -> Self {
        let file = open(&journal);
        Writer { journal, file, written: 0, malformed: 0, too_long: 0, rotations: 0 }
    }

    fn rotated(&self, number: u64) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.journal.display()))
    }

    fn line(&mut self) {
        self.written += 1;
        let number = self.written;
        let line = match number % 97 {
            13 => {
                self.malformed += 1;
                format!("{{\"event\":\"ORDER_PLACED\",\"number\":{number},\"torn")
            }
            57 if number % 970 == 57 => {
                self.too_long += 1;
                format!("{{\"event\":\"ORDER_PLACED\",\"number\":{number},\"padding\":\"{}\"}}", "x".repeat(1 << 20))
            }
            _ => format!(
                "{{\"timestamp\":\"2025-10-08T14:38:22.{number:06}\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\
                 \"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":{},\"number\":{number}}}",
                number % 2000
            ),
        };
        let (beginning, end) = line.split_at(fastrand::usize(0..line.len()));
        if fastrand::u8(0..10) == 0 {
            self.file.write_all(beginning.as_bytes()).expect("written");
            self.file.write_all(format!("{end}\n").as_bytes()).expect("written");
        } else {
            self.file.write_all(format!("{line}\n").as_bytes()).expect("written");
        }
    }

    /// Renames, and goes on writing to the old file for a while, as a writer that has not noticed does.
    fn rotate_by_renaming(&mut self) {
        self.shift();
        std::fs::rename(&self.journal, self.rotated(1)).expect("renamed");
        for _ in 0..fastrand::u8(0..5) {
            self.line();
        }
        self.file = open(&self.journal);
    }

    fn rotate_by_copying(&mut self) {
        self.shift();
        std::fs::copy(&self.journal, self.rotated(1)).expect("copied");
        OpenOptions::new().write(true).truncate(true).open(&self.journal).expect("truncated");
    }

    fn shift(&mut self) {
        self.rotations += 1;
        for number in (1..=self.rotations).rev() {
            let _ = std::fs::rename(self.rotated(number), self.rotated(number + 1));
        }
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).expect("opened")
}

fn start(lab: &Lab) -> Child {
    let mut command = lab.command(["--once", "--only", "thunes", "--quiet"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("lab-probe starts")
}

/// A pass that is let through to its end.
fn finish(lab: &Lab) -> String {
    lab.run(["--once", "--only", "thunes", "--format", "prometheus"]).expect_code(0).stdout()
}

#[track_caller]
fn value(exposition: &str, series: &str) -> u64 {
    let line = exposition.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}"));
    line.trim().parse().expect("a count")
}

#[test]
fn no_line_is_lost_or_doubled_by_passes_killed_at_any_instant() {
    let lab = Lab::new();
    let root = lab.path().join("thunes");
    std::fs::create_dir_all(root.join("logs")).expect("a directory");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[thunes]]\nenvironment = \"testnet\"\nroot = {root:?}\njournals = [\"logs/events.jsonl\"]\n"
    ));
    let mut writer = Writer::new(root.join("logs/events.jsonl"));
    let begun = instant();
    // How long an undisturbed pass takes here: kills are spread over that and a little more.
    finish(&lab);
    let whole = begun.elapsed().max(Duration::from_millis(5));
    let (mut kills, mut rounds) = (0, 0);
    while kills < KILLS {
        assert!(begun.elapsed() < PATIENCE, "only {kills} kills in time");
        rounds += 1;
        let mut child = start(&lab);
        let kill_at = instant() + whole.mul_f64(fastrand::f64() * 1.2);
        while instant() < kill_at {
            writer.line();
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..400)));
        }
        if child.try_wait().expect("waited for").is_none() {
            child.kill().expect("killed");
            kills += 1;
        }
        child.wait().expect("reaped");
        match rounds % 10 {
            3 => writer.rotate_by_renaming(),
            // Twice between two passes.
            6 => {
                writer.rotate_by_renaming();
                writer.line();
                writer.rotate_by_renaming();
            }
            8 => writer.rotate_by_copying(),
            _ => {}
        }
        if rounds % 25 == 0 {
            // The safe point of a truncation in place: everything has been read.
            finish(&lab);
            OpenOptions::new().write(true).truncate(true).open(&writer.journal).expect("truncated");
            finish(&lab);
        }
    }
    let end = finish(&lab);
    let lines = |result: &str| {
        value(
            &end,
            &format!(
                "thunes_journal_lines_total{{environment=\"testnet\",journal=\"logs/events.jsonl\",result=\"{result}\"}}"
            ),
        )
    };
    let orders = value(
        &end,
        "thunes_orders_placed_total{environment=\"testnet\",venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}",
    );
    let ok = writer.written - writer.malformed - writer.too_long;
    assert_eq!((lines("ok"), lines("malformed"), lines("too_long")), (ok, writer.malformed, writer.too_long));
    assert_eq!(orders, ok);
    assert_eq!(value(&end, "thunes_order_latency_ms_count{environment=\"testnet\"}"), ok);
    assert_eq!(value(&end, "thunes_source_gaps_total{environment=\"testnet\",source=\"logs/events.jsonl\"}"), 0);
    assert!(writer.rotations > 50 && writer.too_long > 0, "{} rotations", writer.rotations);
}
