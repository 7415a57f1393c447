//! The operating system refuses what a pass reads: the trading system's files, the configuration, client configs,
//! `.worktree`. Every system call on one of them in turn, of whatever thread.
//!
//! What must hold: what cannot be read is said and shown as such, never as empty; nothing is counted twice or lost; and
//! the next pass is normal.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::full;
use super::injection::{self, REFUSALS, Whose, is_interruptible};
use super::scene::complaints;
use crate::harness::http::{Fake, answer};
use crate::harness::{Lab, Run, git};

/// What a question over the network is made of.
const NETWORK: &str = "socket,connect,getsockopt,setsockopt,sendto,recvfrom";

const CALLS: &str = "openat,read,pread64,statx,newfstatat,readlink,lseek,getdents64,fcntl";

/// Refusals of each file where not all are tried, on average.
const SAMPLE: usize = 10;

/// Refuses every call of `command` on `file` in turn, or a sample of them. `prepare` goes before each run; `judge` is
/// given what happened and how the run went.
fn attack(file: &Path, command: impl Fn() -> Command, prepare: impl FnMut(), judge: impl Fn(&str, bool, &Run)) {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    attack_calls(&name, &Whose::On(&[file.to_owned()]), CALLS, |_| true, command, prepare, judge);
}

/// The same for those `calls` whose line in the log is one of `ours`.
fn attack_calls(
    name: &str,
    whose: &Whose<'_>,
    calls: &str,
    ours: impl Fn(&str) -> bool,
    command: impl Fn() -> Command,
    mut prepare: impl FnMut(),
    judge: impl Fn(&str, bool, &Run),
) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("calls");
    prepare();
    let (run, sites) = injection::sites(&command(), whose, calls, ours, &log);
    judge("undisturbed", true, &run);
    assert!(sites.len() > 2, "{name}: {sites:#?}");
    let mut refusals = 0;
    for site in &sites {
        for refusal in REFUSALS.into_iter().filter(|r| *r != "EINTR" || is_interruptible(&site.call)) {
            if full() || fastrand::usize(..sites.len() * REFUSALS.len()) < SAMPLE {
                prepare();
                let run = injection::refused(&command(), whose, site, refusal, &log);
                judge(&format!("{refusal} at {}", site.line), refusal == "EINTR", &run);
                prepare();
                let run = Run(command().output().expect("a run"));
                judge(&format!("after {refusal} at {}", site.line), true, &run);
                refusals += 1;
            }
        }
    }
    super::report(&format!("{refusals} refusals at {} system calls on {name}", sites.len()));
}

/// The value of the first series of the textfile that has all of this in it.
fn value(lab: &Lab, parts: &[&str]) -> Option<f64> {
    let text = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile");
    let line = text.lines().find(|line| parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A trading environment with these sources. Each has a number of orders of its own, so that none can stand in for another.
fn trading(sources: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.write("thunes/x", "");
    let root = lab.path().join("thunes");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[worktree]\nrepos = []\n[[thunes]]\nenvironment = \"testnet\"\nroot = {root:?}\nttl = \"0s\"\n{}\n",
        sources.join("\n")
    ));
    let halted = r#"{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","reason":"x"}"#;
    lab.write("thunes/audit_trail.jsonl", format!("{halted}\n"));
    let executed = "2025-10-08 14:38:22 - src.live.paper_trader - INFO - Order executed: 99\n";
    lab.write("thunes/paper_trader.log", executed.repeat(7000));
    lab
}

const JOURNAL: &str = "journals = [\"audit_trail.jsonl\"]";
const DATABASE: &str = "positions_db = \"positions.db\"";
const LOG: &str = "logs = [\"paper_trader.log\"]";

const ORDER: &str = "{\"timestamp\":\"2025-10-08T14:38:22.1\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\
                     \"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":7}\n";

fn append(file: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).expect("the file");
    file.write_all(line.as_bytes()).expect("written");
}

/// The orders that a pass shows, of whatever kind: there is one kind in each source.
fn orders(lab: &Lab) -> Option<f64> {
    let kinds = ["order_type=\"unknown\"", "side=\"BUY\""];
    kinds.iter().find_map(|kind| value(lab, &["thunes_orders_placed_total{", kind]))
}

/// Holds the orders that a pass shows to what there are, and the kill switch to active, or both to nothing.
fn judge_orders(lab: &Lab, source: &str, expected: u32, when: &str, is_normal: bool, run: &Run) {
    assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
    let orders = orders(lab);
    let is_up = value(lab, &["thunes_source_up{", &format!("source={source:?}")]);
    assert!(orders.is_none_or(|orders| orders == f64::from(expected)), "{when}: {orders:?} of {expected}");
    assert!(orders.is_some() || run.stderr().contains("incomplete"), "{when}: {is_up:?} {}", run.stderr());
    assert!(!is_normal || orders.is_some() && is_up == Some(1.0), "{when}: {orders:?} {is_up:?} {}", run.stderr());
    let kill_switch = value(lab, &["thunes_kill_switch_active{"]);
    assert_ne!(kill_switch, Some(0.0), "{when}");
}

/// A database with so many positions, all of them open.
fn database(lab: &Lab, rows: usize) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(lab.path().join("thunes/positions.db")).expect("a database");
    let schema = "CREATE TABLE positions(id INTEGER PRIMARY KEY, symbol TEXT, quantity REAL, entry_price REAL, \
         entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT);";
    let row = "INSERT INTO positions(symbol, status) VALUES('BTCUSDT', 'OPEN');";
    database.execute_batch(&format!("{schema}BEGIN;{}COMMIT;", row.repeat(rows))).expect("positions");
    database
}

#[test]
fn a_journal_that_cannot_be_read_costs_no_line_and_no_lesser_source_stands_in() {
    let lab = trading(&[JOURNAL, DATABASE, LOG]);
    let _database = database(&lab, 5000);
    let file = lab.path().join("thunes/audit_trail.jsonl");
    let lines = Cell::new(0);
    let more = || {
        append(&file, ORDER);
        lines.set(lines.get() + 1);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        judge_orders(&lab, "audit_trail.jsonl", lines.get(), when, is_normal, run)
    };
    attack(&file, || lab.command(["--once"]), more, judge);
}

#[test]
fn a_rotated_part_that_cannot_be_read_is_tried_again_in_the_next_pass() {
    let lab = trading(&[JOURNAL, DATABASE, LOG]);
    let _database = database(&lab, 5000);
    let file = lab.path().join("thunes/audit_trail.jsonl");
    let part = |number: usize| lab.path().join(format!("thunes/audit_trail.jsonl.{number}"));
    let lines = Cell::new(0);
    let rotate = || {
        append(&file, ORDER);
        for number in (1..5).rev() {
            // Most are not there at first.
            _ = std::fs::rename(part(number), part(number + 1));
        }
        std::fs::rename(&file, part(1)).expect("renamed");
        append(&file, ORDER);
        lines.set(lines.get() + 2);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        judge_orders(&lab, "audit_trail.jsonl", lines.get(), when, is_normal, run)
    };
    // Until every pass finds as many parts as the one before.
    for _ in 0..8 {
        rotate();
        lab.run(["--once"]).expect_code(0);
    }
    attack(&part(1), || lab.command(["--once"]), rotate, judge);
    assert_eq!(value(&lab, &["thunes_source_gaps_total{", "audit_trail"]), Some(0.0));
}

#[test]
fn a_log_that_cannot_be_read_costs_no_line_and_doubles_none() {
    let lab = trading(&["journals = []", "positions_db = \"none.db\"", LOG]);
    let file = lab.path().join("thunes/paper_trader.log");
    // The first pass reads all of it, in more calls than any other.
    lab.run(["--once"]).expect_code(0);
    let lines = Cell::new(7000);
    let more = || {
        append(&file, "2025-10-08 14:38:22 - src.live.paper_trader - INFO - Order executed: 99\n");
        lines.set(lines.get() + 1);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        judge_orders(&lab, "paper_trader.log", lines.get(), when, is_normal, run)
    };
    attack(&file, || lab.command(["--once"]), more, judge);
}

#[test]
fn a_database_that_cannot_be_read_shows_no_position_and_no_lesser_source_stands_in() {
    let lab = trading(&["journals = []", DATABASE, LOG]);
    let database = database(&lab, 1);
    let opened = Cell::new(1);
    let open = || {
        database.execute("INSERT INTO positions(symbol, status) VALUES('ETHUSDT', 'OPEN')", []).expect("a position");
        opened.set(opened.get() + 1);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        judge_orders(&lab, "positions_db", opened.get(), when, is_normal, run);
        assert_eq!(value(&lab, &["thunes_open_positions{"]), orders(&lab), "{when}");
    };
    attack(&lab.path().join("thunes/positions.db"), || lab.command(["--once"]), open, judge);
}

#[test]
fn no_file_stands_in_for_an_endpoint_that_cannot_be_asked() {
    let body = "# TYPE thunes_orders_placed_total counter\n\
                thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"} 3\n\
                # TYPE thunes_kill_switch_active gauge\nthunes_kill_switch_active 1\n";
    let application = Fake::serve(move |_, stream| {
        answer(stream, "200 OK", &[("content-type", "text/plain; version=0.0.4")], body.as_bytes())
    });
    let url = format!("metrics_url = {:?}", application.url("/metrics"));
    let lab = trading(&[JOURNAL, DATABASE, LOG, &url]);
    append(&lab.path().join("thunes/audit_trail.jsonl"), &ORDER.repeat(20));
    let _database = database(&lab, 5000);
    let judge = |when: &str, is_normal: bool, run: &Run| {
        // No signal interrupts these calls but a connect that is lost with it.
        judge_orders(&lab, "metrics_url", 3, when, is_normal && !when.starts_with("EINTR"), run)
    };
    // The first of each name: how many reads an answer takes is a matter of time.
    let seen = RefCell::new(BTreeSet::new());
    let ours = |line: &str| {
        let call = line.split('(').next().unwrap_or_default();
        (line.contains("socket:") || line.contains("SOCK_STREAM")) && seen.borrow_mut().insert(call.to_owned())
    };
    let command = || lab.command(["--once"]);
    attack_calls("an endpoint", &Whose::Every, NETWORK, ours, command, || (), judge);
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_error_and_what_was_delivered_stays() {
    let lab = Lab::new();
    let file = lab.config("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"a\"\nhealth_command = [\"true\"]\n");
    lab.run(["--once"]).expect_code(0);
    let judge = |when: &str, is_normal: bool, run: &Run| {
        let said = run.stderr();
        assert_eq!(value(&lab, &["lab_mcp_server_health{"]), Some(1.0), "{when}");
        match run.code() {
            Some(0) => assert_eq!(complaints(&said), Vec::<String>::new(), "{when}"),
            code => {
                assert!(code == Some(2) && !is_normal, "{when}: {code:?} {said}");
                assert!(said.contains("error: lab-probe.toml: cannot ") && said.contains("\nhint: "), "{when}: {said}");
            }
        }
    };
    attack(&file, || lab.command(["--once", "-c", "lab-probe.toml"]), || (), judge);
}

#[test]
fn a_client_config_that_cannot_be_read_is_told() {
    let lab = Lab::new();
    lab.config("");
    let file = lab.write("home/.cursor/mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"/nowhere\"}}}");
    let judge = |when: &str, is_normal: bool, run: &Run| {
        assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
        let is_told = run.stderr().contains("/home/.cursor/mcp.json: ");
        let is_shown = value(&lab, &["lab_mcp_server_health{"]) == Some(0.0);
        assert!(is_shown || is_told && !is_normal, "{when}: {}", run.stderr());
    };
    attack(&file, || lab.command(["--once"]), || (), judge);
}

#[test]
fn settings_that_cannot_be_read_switch_no_server_on() {
    let lab = Lab::new();
    let servers = "{\"mcpServers\": {\"off\": {\"command\": \"touch\", \"args\": [\"started\"]}}}";
    let servers = lab.write("project/.mcp.json", servers);
    let file = lab.write("project/.claude/settings.local.json", "{\"disabledMcpjsonServers\": [\"off\"]}");
    lab.config(&format!("[mcp]\nconfig_files = [{servers:?}]\n"));
    let judge = |when: &str, is_normal: bool, run: &Run| {
        assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
        assert!(!lab.path().join("started").exists() && !lab.path().join("project/started").exists(), "{when}");
        let is_told = run.stderr().contains("settings.local.json: ");
        let is_shown = value(&lab, &["lab_mcp_server_health{"]) == Some(2.0);
        assert!(is_shown || is_told && !is_normal, "{when}: {}", run.stderr());
    };
    attack(&file, || lab.command(["--once", "--fresh"]), || (), judge);
}

#[test]
fn a_declaration_that_cannot_be_read_is_told() {
    let lab = Lab::new();
    let repo = git::repository(&lab, "repo");
    let file = lab.write("repo/.worktree", "status=\"blocked\"\n");
    git::watch(&lab, &[&repo], "");
    let judge = |when: &str, is_normal: bool, run: &Run| {
        let said = format!("{}{}", run.stdout(), run.stderr());
        let is_blocked = said.contains("\"blocked\"");
        assert!(is_blocked || said.contains(".worktree is ignored: ") && !is_normal, "{when}: {said}");
    };
    attack(&file, || lab.command(["check", "--only", "worktree", "--format", "json"]), || (), judge);
}
