//! A small LAB with one target of every kind, and what must hold of it whatever happens to a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab_probe::clock;
use lab_probe::metrics::check::Inspector;
use lab_probe::sink::survey;
use lab_probe::state::store::{self, State};

use crate::harness::player::{marked_processes, player};
use crate::harness::{Lab, Run, git};

/// In the environment of the probe, so of its supervisors, and of every server.
const MARK: &str = "LAB_PROBE_TEST_SCENE";

pub(super) struct Scene {
    pub(super) lab: Lab,
    /// The value of [`MARK`].
    mark: String,
    journal: File,
    /// Complete lines of the journal so far.
    lines: u64,
    /// Every series of an undisturbed pass, without its value.
    series: BTreeSet<String>,
    /// Series whose value is known.
    expected: Vec<(&'static str, &'static str)>,
}

/// What an undisturbed pass finds of the trading system.
const TRADING: [(&str, &str); 3] = [
    ("thunes_open_positions{environment=\"testnet\"}", "0"),
    ("lab_probe_targets{kind=\"thunes\",result=\"fresh\"}", "1"),
    ("lab_probe_deadline_exceeded", "0"),
];

/// What it finds of everything else.
const EVERYTHING_ELSE: [(&str, &str); 6] = [
    ("lab_mcp_server_health{server_name=\"stdio\"}", "1"),
    ("lab_mcp_server_health{server_name=\"helper\"}", "1"),
    ("lab_mcp_server_health{server_name=\"script\"}", "1"),
    ("lab_worktree_status{worktree_name=\"main\"}", "0"),
    ("lab_service_up{service_name=\"port\"}", "1"),
    ("lab_probe_targets{kind=\"mcp\",result=\"fresh\"}", "3"),
];

impl Scene {
    /// A LAB with one target of every kind, after two undisturbed passes.
    pub(super) fn new() -> Scene {
        let lab = Lab::new();
        git::repository(&lab, "repo");
        let more = everything_else(lab.path(), &mark(&lab), listening());
        Scene::after_two_passes(lab, &more, [TRADING.as_slice(), &EVERYTHING_ELSE].concat())
    }

    /// A LAB with the trading system alone, for what happens to files. Every pass makes the same calls: the detectors' file
    /// would be read and written with the end of a slot only.
    pub(super) fn small() -> Scene {
        let more = "[mcp]\ndiscover = false\n[anomaly]\nenabled = false\n";
        Scene::after_two_passes(Lab::new(), more, TRADING.to_vec())
    }

    /// A LAB with the trading system and what `more` configures, of which `expected` is known.
    pub(super) fn with(more: impl FnOnce(&Lab) -> String, expected: &[(&'static str, &'static str)]) -> Scene {
        let lab = Lab::new();
        let more = more(&lab);
        Scene::after_two_passes(lab, &more, [TRADING.as_slice(), expected].concat())
    }

    fn after_two_passes(lab: Lab, more: &str, expected: Vec<(&'static str, &'static str)>) -> Scene {
        lab.write("thunes/logs/audit_trail.jsonl", "");
        positions(&lab.path().join("thunes/positions.db"));
        let journal = lab.path().join("thunes/logs/audit_trail.jsonl");
        let journal = OpenOptions::new().append(true).open(journal).expect("the journal");
        let mark = mark(&lab);
        let mut scene = Scene { lab, mark, journal, lines: 0, series: BTreeSet::new(), expected };
        scene.reconfigure(more);
        scene.append();
        scene.command(["--once"]).output().map(Run).expect("a pass").expect_code(0);
        scene.series = series(&scene.textfile());
        // The second one finds files and memories there.
        scene.assert_next_pass_is_normal("undisturbed");
        scene
    }

    /// Writes the configuration anew: the trading system and `more`.
    pub(super) fn reconfigure(&self, more: &str) {
        self.lab.config(&format!(
            "{more}[[thunes]]\nenvironment = \"testnet\"\nroot = {:?}\npositions_db = \"positions.db\"\n\
             journals = [\"logs/audit_trail.jsonl\"]\nlogs = []\n",
            self.lab.path().join("thunes")
        ));
    }

    pub(super) fn command<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = self.lab.command(args);
        command.env(MARK, &self.mark);
        command
    }

    /// One more order in the journal.
    pub(super) fn append(&mut self) {
        self.lines += 1;
        let order = format!(
            "{{\"timestamp\":\"2025-10-08T14:38:22.{:06}\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\
             \"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":7}}\n",
            self.lines % 1_000_000
        );
        self.journal.write_all(order.as_bytes()).expect("written");
    }

    pub(super) fn textfile(&self) -> String {
        std::fs::read_to_string(self.textfile_path()).expect("a textfile")
    }

    /// The value of a series, its labels as they stand in the textfile.
    #[track_caller]
    pub(super) fn value(&self, series: &str) -> f64 {
        let text = self.textfile();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no {series} in {text}"))
    }

    pub(super) fn textfile_path(&self) -> PathBuf {
        self.lab.textfile_dir().join("lab-probe.prom")
    }

    pub(super) fn state_path(&self) -> PathBuf {
        self.lab.path().join("state/state.json")
    }

    /// Takes away what passes have left, as if there had been none.
    pub(super) fn forget(&self) {
        for directory in [self.lab.textfile_dir(), self.lab.path().join("state")] {
            std::fs::remove_dir_all(&directory).expect("removed");
        }
        std::fs::create_dir(self.lab.textfile_dir()).expect("a directory");
    }

    /// Textfile and state are there and whole, old or new, and nothing lies beside them that somebody would take for
    /// them.
    #[track_caller]
    pub(super) fn assert_whole(&self, when: &str) {
        self.assert_whole_or_absent(when);
        assert!(self.textfile_path().exists(), "{when}: no textfile");
        assert!(self.state_path().exists(), "{when}: no state");
    }

    /// The same where passes may have found less than all.
    #[track_caller]
    pub(super) fn assert_sound(&self, when: &str) {
        self.assert_textfile_is_accepted(when);
        self.assert_state_is_whole(when);
    }

    /// The same of what is there.
    #[track_caller]
    pub(super) fn assert_whole_or_absent(&self, when: &str) {
        if self.textfile_path().exists() {
            self.assert_textfile_is_accepted(when);
            self.assert_complete(when);
        }
        if self.state_path().exists() {
            self.assert_state_is_whole(when);
        }
        let known = [
            "history", "lab-probe.prom", ".lab-probe.prom.tmp", "state.json", ".state.json.tmp", "unusual.bin",
            ".unusual.bin.tmp", "fingerprint.key", ".fingerprint.key.tmp",
        ];
        let strange: Vec<String> = self.names().into_iter().filter(|name| !known.contains(&name.as_str())).collect();
        assert!(strange.is_empty(), "{when}: {strange:?}");
    }

    /// The names of everything that passes have left.
    fn names(&self) -> Vec<String> {
        [self.lab.textfile_dir(), self.lab.path().join("state")]
            .iter()
            .filter_map(|directory| std::fs::read_dir(directory).ok())
            .flat_map(|entries| entries.flatten())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[track_caller]
    fn assert_textfile_is_accepted(&self, when: &str) {
        let directory = self.lab.textfile_dir();
        let mut inspector = Inspector::default();
        for entry in survey::entries(&directory).expect("the textfiles") {
            inspector.add(&survey::open(entry));
        }
        let report = inspector.finish();
        assert!(report.is_clean(), "{when}: {:?}", report.findings);
    }

    /// Nothing is missing that an undisturbed pass finds, and nothing is there besides.
    #[track_caller]
    fn assert_complete(&self, when: &str) {
        let series = series(&self.textfile());
        let odd: Vec<&String> = series.symmetric_difference(&self.series).collect();
        assert!(odd.is_empty(), "{when}: {odd:?}");
    }

    #[track_caller]
    fn assert_state_is_whole(&self, when: &str) {
        let state = self.state(when);
        assert!(state.targets.contains_key("thunes/testnet"), "{when}");
    }

    /// No counter is smaller than it was. It may be absent.
    #[track_caller]
    pub(super) fn assert_nothing_fell_since(&self, before: &str, when: &str) {
        let now = counters(&self.textfile());
        for (series, was) in counters(before) {
            let is = now.get(&series).copied();
            assert!(is.is_none_or(|is| is >= was), "{when}: {series} was {was} and is {is:?}");
        }
    }

    pub(super) fn shows_counters(&self) -> bool {
        !counters(&self.textfile()).is_empty()
    }

    /// The state on disk.
    #[track_caller]
    pub(super) fn state(&self, when: &str) -> State {
        let bytes = std::fs::read(self.state_path()).unwrap_or_else(|error| panic!("{when}: {error}"));
        let (state, warnings) = store::parse(&bytes, clock::now()).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(warnings.is_empty(), "{when}: {warnings:?}");
        state
    }

    /// A pass right afterwards ends with 0, complains of nothing, finds everything well and counts exactly.
    #[track_caller]
    pub(super) fn assert_next_pass_is_normal(&self, when: &str) {
        self.assert_pass_is_normal(self.command(["--once"]), when);
    }

    /// The same of a pass with more to it.
    #[track_caller]
    pub(super) fn assert_pass_is_normal(&self, mut pass: Command, when: &str) {
        let before = std::fs::read_to_string(self.textfile_path()).unwrap_or_default();
        let run = Run(pass.output().expect("a pass"));
        assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
        assert_eq!(complaints(&run.stderr()), Vec::<String>::new(), "{when}");
        self.assert_whole(when);
        self.assert_nothing_fell_since(&before, when);
        let text = self.textfile();
        let value = |series: &str| {
            text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap_or("none").to_owned()
        };
        for (series, expected) in &self.expected {
            assert_eq!(value(series), *expected, "{when}: {series}");
        }
        let orders =
            "thunes_orders_placed_total{environment=\"testnet\",venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}";
        assert_eq!(value(orders), self.lines.to_string(), "{when}: {orders}");
        let left: Vec<String> = self.names().into_iter().filter(|name| name.ends_with(".tmp")).collect();
        assert!(left.is_empty(), "{when}: {left:?}");
    }

    /// Supervisors have ended, and every process that a check started with them.
    #[track_caller]
    pub(super) fn assert_nobody_is_left(&self, when: &str) {
        let begun = clock::instant();
        loop {
            let left = marked_processes(MARK, &self.mark);
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{when}: {left:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn mark(lab: &Lab) -> String {
    lab.path().display().to_string()
}

fn everything_else(root: &Path, mark: &str, port: u16) -> String {
    let player = player();
    format!(
        r#"
[mcp]
discover = false
ttl = "0s"
retry_after = "0s"
[[mcp.server]]
name = "stdio"
command = {player:?}
args = ["legacy"]
env = {{ {MARK} = {mark:?} }}
[[mcp.server]]
name = "helper"
command = "sh"
args = ["-c", "setsid sleep 600 <&- >&- 2>&- & exec \"$0\" legacy", {player:?}]
env = {{ {MARK} = {mark:?} }}
[[mcp.server]]
name = "script"
health_command = ["true"]
[worktree]
repos = [{repo:?}]
[[service]]
name = "port"
tcp = "127.0.0.1:{port}"
"#,
        repo = root.join("repo"),
    )
}

/// The trading system's database, with one closed position.
pub(crate) fn positions(at: &Path) {
    let database = rusqlite::Connection::open(at).expect("a database");
    database
        .execute_batch(
            "CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, entry_price REAL, \
             entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT);
             INSERT INTO positions(symbol, exit_time, pnl, status) VALUES('BTCUSDT', '2025-10-08', 1.5, 'CLOSED')",
        )
        .expect("a position");
}

/// A port of this process that takes every connection.
fn listening() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// The lines of standard error that say that something is wrong; not that root should not run this.
pub(super) fn complaints(stderr: &str) -> Vec<String> {
    let wrong = |line: &&str| ["error", "warning", "trouble"].iter().any(|word| line.contains(word));
    let lines = stderr.lines().filter(wrong).filter(|line| !line.starts_with("warning: running as root"));
    lines.map(str::to_owned).collect()
}

/// The counters, and what of histograms is one.
fn counters(exposition: &str) -> BTreeMap<String, f64> {
    let counts = |series: &str| {
        let name = series.split('{').next().unwrap_or_default();
        ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end))
    };
    let lines = exposition.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| counts(series));
    lines.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect()
}

/// Everything before the value, of every line that has one.
fn series(exposition: &str) -> BTreeSet<String> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}
