//! The operating system refuses what a pass reads: the trading system's files, the configuration, client configs,
//! `.worktree`. Every system call on one of them in turn, of whatever thread.
//!
//! What must hold: what cannot be read is said and shown as such, never as empty; nothing is counted twice or lost; and
//! the next pass is normal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::full;
use super::injection::{self, REFUSALS, Whose, is_interruptible};
use super::scene::complaints;
use crate::harness::{Lab, Run, git};

const CALLS: &str = "openat,read,pread64,statx,newfstatat,readlink,lseek,getdents64,fcntl";

/// Refusals of each file where not all are tried, on average.
const SAMPLE: usize = 10;

/// Refuses every call of `command` on `file` in turn, or a sample of them. `prepare` goes before each run; `judge` is
/// given what happened and how the run went.
fn attack(file: &Path, command: impl Fn() -> Command, mut prepare: impl FnMut(), judge: impl Fn(&str, bool, &Run)) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("calls");
    prepare();
    let (run, sites) = injection::sites(&command(), &Whose::On(file), CALLS, |_| true, &log);
    judge("undisturbed", true, &run);
    assert!(sites.len() > 2, "{}: {sites:#?}", file.display());
    let mut refusals = 0;
    for site in &sites {
        for refusal in REFUSALS.into_iter().filter(|r| *r != "EINTR" || is_interruptible(&site.call)) {
            if full() || fastrand::usize(..sites.len() * REFUSALS.len()) < SAMPLE {
                prepare();
                let run = injection::refused(&command(), &Whose::On(file), site, refusal, &log);
                judge(&format!("{refusal} at {}", site.line), refusal == "EINTR", &run);
                prepare();
                let run = Run(command().output().expect("a run"));
                judge(&format!("after {refusal} at {}", site.line), true, &run);
                refusals += 1;
            }
        }
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    super::report(&format!("{refusals} refusals at {} system calls on {name}", sites.len()));
}

/// The value of the first series of the textfile that has all of this in it.
fn value(lab: &Lab, parts: &[&str]) -> Option<f64> {
    let text = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile");
    let line = text.lines().find(|line| parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A trading environment with one source.
fn trading(source: &str) -> Lab {
    let lab = Lab::new();
    lab.write("thunes/x", "");
    let root = lab.path().join("thunes");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[worktree]\nrepos = []\n[[thunes]]\nenvironment = \"testnet\"\nroot = {root:?}\n\
         positions_db = \"none.db\"\njournals = []\nlogs = []\n"
    ));
    let config = std::fs::read_to_string(lab.path().join("lab-probe.toml")).expect("a configuration");
    let key = source.split(' ').next().expect("a key");
    let kept: Vec<&str> = config.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect();
    lab.write("lab-probe.toml", format!("{}\n{source}\n", kept.join("\n")));
    lab
}

/// Appends a line to `file` before each pass, and holds the count that the pass shows to the lines there are.
fn count_lines(lab: &Lab, file: PathBuf, line: &str) {
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let lines = std::cell::Cell::new(0_u32);
    let append = || {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&file).expect("the file");
        writeln!(file, "{line}").expect("written");
        lines.set(lines.get() + 1);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
        let orders = value(lab, &["thunes_orders_placed_total{", "order_type=\"unknown\""])
            .or_else(|| value(lab, &["thunes_orders_placed_total{", "side=\"BUY\""]));
        let is_up = value(lab, &["thunes_source_up{", &format!("source={name:?}")]);
        assert!(orders.is_none_or(|orders| orders == f64::from(lines.get())), "{when}: {orders:?} of {lines:?}");
        assert!(orders.is_some() || run.stderr().contains("incomplete"), "{when}: {is_up:?} {}", run.stderr());
        assert!(!is_normal || orders.is_some() && is_up == Some(1.0), "{when}: {orders:?} {is_up:?}");
    };
    attack(&file, || lab.command(["--once"]), append, judge);
}

#[test]
fn a_journal_that_cannot_be_read_costs_no_line_and_doubles_none() {
    let lab = trading("journals = [\"audit_trail.jsonl\"]");
    let line = "{\"timestamp\":\"2025-10-08T14:38:22.1\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\
                \"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":7}";
    count_lines(&lab, lab.path().join("thunes/audit_trail.jsonl"), line);
}

#[test]
fn a_log_that_cannot_be_read_costs_no_line_and_doubles_none() {
    let lab = trading("logs = [\"paper_trader.log\"]");
    let line = "2025-10-08 14:38:22 - src.live.paper_trader - INFO - Order executed: 99";
    count_lines(&lab, lab.path().join("thunes/paper_trader.log"), line);
}

#[test]
fn a_database_that_cannot_be_read_shows_no_position_and_not_none() {
    let lab = trading("positions_db = \"positions.db\"");
    let file = lab.path().join("thunes/positions.db");
    let database = rusqlite::Connection::open(&file).expect("a database");
    database
        .execute_batch(
            "CREATE TABLE positions(id INTEGER PRIMARY KEY, symbol TEXT, quantity REAL, entry_price REAL, \
             entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT);
             INSERT INTO positions(symbol, status) VALUES('BTCUSDT', 'OPEN')",
        )
        .expect("a position");
    let opened = std::cell::Cell::new(1_u32);
    let open = || {
        database.execute("INSERT INTO positions(symbol, status) VALUES('ETHUSDT', 'OPEN')", []).expect("a position");
        opened.set(opened.get() + 1);
    };
    let judge = |when: &str, is_normal: bool, run: &Run| {
        assert_eq!(run.code(), Some(0), "{when}: {}", run.stderr());
        let positions = value(&lab, &["thunes_open_positions{"]);
        let is_up = value(&lab, &["thunes_source_up{", "source=\"positions_db\""]);
        assert!(positions.is_none_or(|positions| positions == f64::from(opened.get())), "{when}: {positions:?}");
        assert_eq!(is_up, Some(if positions.is_some() { 1.0 } else { 0.0 }), "{when}");
        assert!(!is_normal || positions.is_some(), "{when}: {}", run.stderr());
    };
    attack(&file, || lab.command(["--once"]), open, judge);
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
