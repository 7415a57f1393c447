//! The LAB of the soak: targets of every kind that can be broken and mended, and what a pass must then say of them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::harness::http::{Duplex, Fake, Seen, Then, answer};
use crate::harness::player::{marked_processes, player};
use crate::harness::{Lab, Run, git};

const MARK: &str = "LAB_PROBE_TEST_SOAK";
const JOURNAL: &str = "thunes/logs/audit_trail.jsonl";

/// What a server on standard streams can be, and what may be said of it: `up` or reasons.
const ACTS: &[(&str, &[&str])] = &[
    ("legacy", &["up"]),
    ("modern", &["up"]),
    ("chatty", &["up"]),
    ("daemonizes-a-helper", &["up"]),
    ("no-tools", &["up"]),
    ("exits-with-a-reason", &["exited"]),
    ("aborts", &["exited"]),
    ("refuses", &["rpc_error"]),
    ("result-is-text", &["protocol_error"]),
];

/// What takes seconds to be sure of.
const SLOW: &[(&str, &[&str])] = &[
    ("floods-stderr", &["up"]),
    ("cut-json", &["protocol_error"]),
    ("closes-stdout", &["protocol_error"]),
    ("floods-lines", &["too_large", "timeout"]),
];

/// What the server behind a URL can do.
const WAYS: &[(&str, &[&str])] =
    &[("ok", &["up"]), ("500", &["http_status"]), ("401", &["auth_required"]), ("garbage", &["protocol_error"])];

/// What a health script can say.
const SCRIPT: &[(&str, &[&str])] = &[("0", &["up"]), ("1", &["script_failed"]), ("2", &["not_configured"])];

const SERVERS: usize = 3;

/// What a pass must say after the last faults.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// By server: `up` or the reasons that may be given.
    servers: BTreeMap<String, &'static [&'static str]>,
    worktree: &'static str,
    port: bool,
    /// Whether the textfile's directory is away.
    undeliverable: bool,
    /// Whether a server hangs.
    pub(super) waits: bool,
}

pub(super) struct Broken {
    lab: Lab,
    rng: Rng,
    mark: String,
    repository: PathBuf,
    way: Arc<AtomicUsize>,
    _server: Fake,
    address: std::net::SocketAddr,
    port: Option<TcpListener>,
    /// Complete orders in the journal so far.
    orders: u64,
    /// Orders begun so far.
    written: u64,
    /// Bytes of a line that is not complete yet.
    torn: &'static str,
    /// How many of them the series lacks since the state was damaged …
    lost: u64,
    /// … and whether that is still to be seen.
    lost_some: bool,
}

impl Broken {
    pub(super) fn new(rng: Rng) -> Broken {
        let lab = Lab::new();
        let mark = lab.path().display().to_string();
        let repository = git::repository(&lab, "repository");
        let way = Arc::new(AtomicUsize::new(0));
        let server = Fake::serve({
            let way = Arc::clone(&way);
            move |seen, stream| serve(WAYS[way.load(Ordering::SeqCst)].0, seen, stream)
        });
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("an address");
        lab.write(JOURNAL, "");
        let mut config = format!(
            "[mcp]\ndiscover = false\nttl = \"0s\"\nretry_after = \"0s\"\n\
             [worktree]\nrepos = [{repository:?}]\n[[worktree.named]]\nname = \"tree\"\npath = {repository:?}\n\
             [[thunes]]\nenvironment = \"paper\"\nroot = {:?}\njournals = [\"logs/audit_trail.jsonl\"]\nlogs = []\n\
             [[service]]\nname = \"port\"\ntcp = \"{address}\"\n\
             [[mcp.server]]\nname = \"far\"\nurl = {:?}\n\
             [[mcp.server]]\nname = \"script\"\nhealth_command = [\"sh\", \"-c\", \"exit $(cat act-script)\"]\ncwd = {:?}\n",
            lab.path().join("thunes"),
            server.url("/mcp"),
            lab.path(),
        );
        for name in (0..SERVERS).map(|n| format!("s{n}")).chain(["slow".into()]) {
            let timeout = if name == "slow" { "timeout = \"1s\"\n" } else { "" };
            config.push_str(&format!(
                "[[mcp.server]]\nname = \"{name}\"\ncommand = \"sh\"\nargs = [\"-c\", \"exec {} $(cat act-{name})\"]\n\
                 cwd = {:?}\nenv = {{ {MARK} = {mark:?} }}\n{timeout}",
                player().display(),
                lab.path()
            ));
        }
        lab.config(&config);
        let port = Some(port);
        Broken {
            lab,
            rng,
            mark,
            repository,
            way,
            _server: server,
            address,
            port,
            orders: 0,
            written: 0,
            torn: "",
            lost: 0,
            lost_some: false,
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = self.lab.command(["--once", "--format", "json"]);
        command.env(MARK, &self.mark);
        command
    }

    /// Breaks or mends a few things at random and says what the next pass must find.
    pub(super) fn break_something(&mut self) -> Expected {
        let mut expected = Expected::default();
        for n in 0..SERVERS {
            let (act, says) = *self.choose(ACTS);
            self.act(&format!("s{n}"), act);
            expected.servers.insert(format!("s{n}"), says);
        }
        let hangs = self.rng.u8(..100) < 3;
        expected.waits = hangs;
        if self.rng.u8(..100) < 3 {
            expected.waits = true;
            let (act, says) = *self.choose(SLOW);
            self.act("s0", act);
            expected.servers.insert("s0".into(), says);
        }
        self.act("slow", if hangs { "deaf" } else { "legacy" });
        // On a machine that is busy a second may be too short for a good one, too.
        expected.servers.insert("slow".into(), if hangs { &["timeout"] } else { &["up", "timeout"] });
        let (code, says) = *self.choose(SCRIPT);
        self.act("script", code);
        expected.servers.insert("script".into(), says);
        let way = self.rng.usize(..WAYS.len());
        self.way.store(way, Ordering::SeqCst);
        expected.servers.insert("far".into(), WAYS[way].1);
        expected.worktree = self.change_the_worktree();
        expected.port = self.open_or_close();
        self.trade();
        expected.undeliverable = self.rng.u8(..100) < 8;
        self.take_away(expected.undeliverable);
        if self.rng.u8(..100) < 5 {
            self.damage();
        }
        expected
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.rng.usize(..from.len())]
    }

    fn act(&self, name: &str, act: &str) {
        self.lab.write(format!("act-{name}"), act);
    }

    fn change_the_worktree(&mut self) -> &'static str {
        let declared = self.repository.join(".worktree");
        let _ = std::fs::remove_file(&declared);
        let changed = self.repository.join("changed");
        let _ = std::fs::remove_file(&changed);
        match self.rng.u8(..4) {
            0 => {
                std::fs::write(changed, "x").expect("written");
                "working"
            }
            1 => {
                std::fs::write(declared, "status=blocked\n").expect("written");
                "blocked"
            }
            2 => {
                git::commit(&self.lab, &self.repository, "file", &format!("{}\n", self.rng.u64(..)));
                "complete"
            }
            _ => "complete",
        }
    }

    fn open_or_close(&mut self) -> bool {
        self.port = None;
        if self.rng.bool() {
            // Another process may have it for a moment; then it stays closed.
            self.port = TcpListener::bind(self.address).ok();
        }
        self.port.is_some()
    }

    /// Some orders; at times the file is rotated, or a line is written in two parts with a pass in between.
    fn trade(&mut self) {
        let mut text = std::mem::take(&mut self.torn).to_owned();
        self.orders += u64::from(!text.is_empty());
        for _ in 0..self.rng.u64(..20) {
            self.orders += 1;
            text.push_str(&self.begun_order());
            text.push_str(ORDERS_END);
        }
        let rotates = self.rng.u8(..100) < 10;
        if !rotates && self.rng.u8(..100) < 20 {
            text.push_str(&self.begun_order());
            self.torn = ORDERS_END;
        }
        let path = self.lab.path().join(JOURNAL);
        let mut journal = OpenOptions::new().append(true).create(true).open(&path).expect("opened");
        journal.write_all(text.as_bytes()).expect("appended");
        if rotates {
            std::fs::rename(&path, path.with_extension("jsonl.1")).expect("rotated");
            std::fs::write(&path, "").expect("begun anew");
        }
    }

    /// The beginning of a line of the journal. Each has a time of its own: a new file must not look like an old one.
    fn begun_order(&mut self) -> String {
        self.written += 1;
        format!(
            "{{\"timestamp\":\"2025-10-08T14:38:22.{:06}\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",",
            self.written
        )
    }

    fn take_away(&self, away: bool) {
        let (here, there) = (self.lab.textfile_dir(), self.lab.path().join("away"));
        match away {
            true if here.exists() => std::fs::rename(here, there).expect("moved away"),
            false if there.exists() => std::fs::rename(there, here).expect("moved back"),
            _ => {}
        }
    }

    fn damage(&mut self) {
        let path = self.lab.path().join("state/state.json");
        let Ok(bytes) = std::fs::read(&path) else { return };
        let keep = self.rng.usize(..bytes.len());
        std::fs::write(path, &bytes[..keep]).expect("cut");
        self.lost_some = true;
    }

    /// What is wrong with a pass.
    pub(super) fn judge(&mut self, expected: &Expected, run: &Run) -> Vec<String> {
        let mut wrong = Vec::new();
        if run.code() != Some(i32::from(expected.undeliverable)) {
            wrong.push(format!("exit {:?}", run.code()));
        }
        let document: Value = serde_json::from_str(&run.stdout()).unwrap_or_default();
        let targets = document["targets"].as_array().cloned().unwrap_or_default();
        let target = |name: &str| targets.iter().find(|target| target["name"] == name).cloned().unwrap_or_default();
        for (name, says) in &expected.servers {
            let target = target(name);
            let said = match target["verdict"].as_str() {
                Some("up") => "up",
                _ => target["facts"]["failure"]["reason"].as_str().unwrap_or("nothing"),
            };
            if !says.contains(&said) {
                wrong.push(format!("{name}: {said} instead of {says:?}: {}", target["summary"]));
            }
        }
        let tree = target("tree");
        if tree["verdict"] != expected.worktree {
            wrong.push(format!("tree: {} instead of {}", tree["verdict"], expected.worktree));
        }
        let port = target("port");
        if (port["severity"] == "fine") != expected.port {
            wrong.push(format!("port: {} though it is open: {}", port["severity"], expected.port));
        }
        if !expected.undeliverable {
            wrong.extend(self.judge_orders());
        }
        wrong
    }

    /// Every complete order exactly once. Where the state was lost, those of rotated files may be lost with it.
    fn judge_orders(&mut self) -> Option<String> {
        let text = std::fs::read_to_string(self.lab.textfile_dir().join("lab-probe.prom")).ok()?;
        let series = text.lines().filter(|line| line.starts_with("thunes_orders_placed_total{"));
        let shown: f64 = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        if std::mem::take(&mut self.lost_some) && shown <= self.orders as f64 {
            self.lost = self.orders - shown as u64;
        }
        let right = self.orders - self.lost;
        (shown != right as f64).then(|| format!("{shown} orders instead of {right}"))
    }

    pub(super) fn processes_left(&self) -> Vec<String> {
        marked_processes(MARK, &self.mark)
    }

    pub(super) fn state_bytes(&self) -> u64 {
        self.lab.path().join("state/state.json").metadata().map_or(0, |metadata| metadata.len())
    }

    /// Files in the directories that the probe writes to.
    pub(super) fn files(&self) -> u64 {
        let count = |path: &Path| std::fs::read_dir(path).map_or(0, |entries| entries.count() as u64);
        ["state", "state/history", "textfile", "away"].iter().map(|name| count(&self.lab.path().join(name))).sum()
    }
}

/// How every order ends.
const ORDERS_END: &str = "\"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":7}\n";

fn serve(way: &str, seen: &Seen, stream: &mut dyn Duplex) -> Then {
    let typed = [("Content-Type", "application/json")];
    let asked = seen.json();
    let reply = |result: Value| json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string();
    match (way, asked["method"].as_str()) {
        ("500", _) => answer(stream, "500 Broken", &typed, b"{}"),
        ("401", _) => answer(stream, "401 Who are you", &typed, b"{}"),
        ("garbage", _) => answer(stream, "200 OK", &typed, b"no json"),
        (_, Some("initialize")) => {
            let result = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                                 "serverInfo": { "name": "far", "version": "1" } });
            answer(stream, "200 OK", &typed, reply(result).as_bytes())
        }
        (_, Some("tools/list")) => answer(stream, "200 OK", &typed, reply(json!({ "tools": [] })).as_bytes()),
        (_, Some(method)) if method.starts_with("notifications/") => answer(stream, "202 Accepted", &[], b""),
        _ => {
            let error = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -32601, "message": "no" } });
            answer(stream, "200 OK", &typed, error.to_string().as_bytes())
        }
    }
}
