//! A small LAB that is really there, for real passes: MCP servers, worktrees with test reports, two THUNES environments and a
//! service, with something happening in them between two passes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab_probe::clock;

use super::tools::{succeed, text, tool};
use crate::harness::Lab;

/// A server of the legacy era with the tools that a file beside it names.
const SERVER: &str = r#"
import json, pathlib, sys
tools = pathlib.Path(__file__).with_name("tools").read_text().split()
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "rag", "version": "1.4.2"}}
    elif message.get("method") == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in tools]}
    elif "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

const JUNIT: &str = r#"<testsuite name="all" tests="5" failures="1" errors="0" skipped="1" time="2.5">
<testcase name="a" time="1"/><testcase name="b" time="1"/><testcase name="c" time="0.5"/>
<testcase name="d"><failure message="no"/></testcase><testcase name="e"><skipped/></testcase></testsuite>"#;

/// The LAB; its service listens as long as it lives.
pub(super) struct RealLab {
    lab: Lab,
    textfiles: PathBuf,
    config: PathBuf,
    _service: TcpListener,
    orphan: Child,
}

impl Drop for RealLab {
    fn drop(&mut self) {
        // The server ends with its standard input, the shell with the server.
        drop(self.orphan.stdin.take());
        let _ = self.orphan.wait();
    }
}

/// A server whose client has ended: below an init of a container.
fn orphan(server: &Path) -> Child {
    let mut init = Command::new("sh");
    init.arg0("tini").args(["-c", "python3 \"$0\"; :"]).arg(server).stdin(Stdio::piped()).stdout(Stdio::null());
    init.spawn().expect("a shell")
}

impl RealLab {
    /// Lays everything out; passes will deliver to `textfiles`.
    pub(super) fn new(textfiles: &Path) -> RealLab {
        let lab = Lab::new();
        let server = lab.write("server.py", SERVER);
        lab.write("tools", "search");
        let repository = repository(&lab);
        let service = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = service.local_addr().expect("an address");
        let mut config = format!(
            "[mcp]\ndiscover = false\nexpected = [\"missing\"]\nttl = \"0s\"\n\
             [[mcp.server]]\nname = \"rag-query\"\ncommand = \"python3\"\nargs = [{server:?}]\n\
             [[mcp.server]]\nname = \"broken\"\ncommand = \"false\"\n\
             [worktree]\nrepos = [{repository:?}]\n\
             [[service]]\nname = \"listener\"\ntcp = \"{address}\"\n\
             [[service]]\nname = \"gone\"\ntcp = \"127.0.0.1:1\"\n"
        );
        for environment in ["testnet", "live"] {
            let root = thunes(&lab, environment);
            let _ = write!(config, "[[thunes]]\nenvironment = \"{environment}\"\nroot = {root:?}\n");
        }
        let config = lab.config(&config);
        let orphan = orphan(&server);
        RealLab { lab, textfiles: textfiles.to_owned(), config, _service: service, orphan }
    }

    /// Something happens, then a pass.
    pub(super) fn pass(&self) {
        for environment in ["testnet", "live"] {
            let logs = self.lab.path().join(environment).join("logs");
            append(&logs.join("audit_trail.jsonl"), &audit_events());
            append(&logs.join("metrics_events.jsonl"), &application_events());
        }
        let mut command = self.lab.command(["--once", "--fresh", "--format", "none"]);
        succeed(command.arg("--config").arg(&self.config).arg("--textfile-dir").arg(&self.textfiles));
        // The next pass finds another list than the first.
        self.lab.write("tools", "search ask");
    }

    /// Samples that the last pass delivered, a line each.
    pub(super) fn samples(&self) -> Vec<String> {
        let written = text(self.textfiles.join("lab-probe.prom"));
        written.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    /// Families that the last pass delivered.
    pub(super) fn delivered(&self) -> BTreeSet<String> {
        let written = text(self.textfiles.join("lab-probe.prom"));
        let types = written.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }
}

fn git(directory: &Path, arguments: &[&str]) {
    let mut command: Command = tool("git");
    let identity = [
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@b"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@b"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ];
    succeed(command.current_dir(directory).envs(identity).args(arguments));
}

fn repository(lab: &Lab) -> PathBuf {
    let file = lab.write("LAB/file", "one\n");
    let main = file.parent().expect("a directory").to_owned();
    git(&main, &["init", "-q", "-b", "main"]);
    git(&main, &["add", "."]);
    git(&main, &["commit", "-q", "-m", "one"]);
    for name in ["thunes", "docs"] {
        git(&main, &["worktree", "add", "-q", "-b", name, &format!("../{name}")]);
    }
    lab.write("thunes/file", "two\n");
    lab.write("docs/.gitignore", "junit.xml\n");
    git(&lab.path().join("docs"), &["add", "."]);
    git(&lab.path().join("docs"), &["commit", "-q", "-m", "ignore"]);
    lab.write("docs/junit.xml", JUNIT);
    main
}

fn thunes(lab: &Lab, environment: &str) -> PathBuf {
    let database = lab.write(format!("{environment}/data/positions.db"), "");
    let connection = rusqlite::Connection::open(&database).expect("a database");
    connection
        .execute_batch(
            "CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, entry_price REAL,
               entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT,
               exit_order_id TEXT);
             INSERT INTO positions(symbol, quantity, entry_price, entry_time, status)
               VALUES ('BTCUSDT', 0.1, 60000, strftime('%Y-%m-%dT%H:%M:%S', 'now'), 'OPEN');
             INSERT INTO positions(symbol, quantity, entry_price, entry_time, exit_price, exit_time, pnl, status)
               VALUES ('ETHUSDT', 1, 3000, strftime('%Y-%m-%dT%H:%M:%S', 'now'), 2995,
                 strftime('%Y-%m-%dT%H:%M:%S', 'now'), -5, 'CLOSED');",
        )
        .expect("rows");
    for log in ["audit_trail.jsonl", "metrics_events.jsonl", "scheduler.log", "paper_trader.log"] {
        lab.write(format!("{environment}/logs/{log}"), "");
    }
    lab.path().join(environment)
}

fn stamp() -> String {
    clock::now().strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

fn audit_events() -> String {
    let at = stamp();
    let event = |name: &str, rest: &str| format!("{{\"timestamp\": \"{at}\", \"event\": \"{name}\", {rest}}}\n");
    let breakers = r#""circuit_breaker_status": {"BinanceAPI": {"state": "open", "fail_counter": 5, "fail_max": 5, "reset_timeout": 60}}"#;
    [
        // First: after it, nobody could tell whether it was newer evidence of the kill switch than what stands before it.
        "not JSON\n".to_owned(),
        event(
            "TRADE_APPROVED",
            r#""symbol": "BTCUSDT", "side": "BUY", "quote_qty": 50.0, "daily_pnl": -5.0, "open_positions": 1"#,
        ),
        event("TRADE_REJECTED", r#""symbol": "BTCUSDT", "side": "BUY", "reason": "duplicate_position""#),
        event("KILL_SWITCH_ACTIVATED", &format!("\"reason\": \"daily loss\", \"daily_pnl\": -20.0, {breakers}")),
    ]
    .concat()
}

fn application_events() -> String {
    let at = stamp();
    let event = |name: &str, rest: &str| format!("{{\"timestamp\": \"{at}\", \"event\": \"{name}\", {rest}}}\n");
    [
        event(
            "ORDER_PLACED",
            r#""venue": "binance", "order_type": "MARKET", "side": "BUY", "latency_ms": 84.0, "symbol": "BTCUSDT""#,
        ),
        event(
            "ORDER_PLACED",
            r#""venue": "binance", "order_type": "MARKET", "side": "SELL", "latency_ms": 620.0, "symbol": "BTCUSDT""#,
        ),
        event("WS_CONNECTED", r#""symbol": "BTCUSDT""#),
        event("WS_GAP", r#""symbol": "BTCUSDT", "gap_seconds": 0.7"#),
        event("CIRCUIT_BREAKER", r#""breaker_name": "BinanceAPI", "state": "half-open""#),
    ]
    .concat()
}

/// As the application does: one write at the end of the file.
fn append(path: &Path, lines: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("a journal");
    file.write_all(lines.as_bytes()).expect("a line");
}
