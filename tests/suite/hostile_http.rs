//! Every odd and hostile server behind a URL at once in one pass of the real binary.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;

use lab_probe::check::mcp;
use lab_probe::clock::{self, Deadline};
use lab_probe::model::mcp::{HttpServer, HttpTransport, McpMemory, McpTarget, Reach};
use lab_probe::model::reason::Reason;
use lab_probe::redact::Secret;
use serde_json::Value;

use crate::harness::hostile_http::{Player, TOKEN, a_million_icons, players};
use crate::harness::{Lab, context};

/// In a debug build on a busy machine the floods alone take most of it.
const TIMEOUT: Duration = Duration::from_secs(25);
/// What the pass may take and stay in, whatever is thrown at it.
const DEADLINE: Duration = Duration::from_secs(40);
/// Besides its own file's pages, of which a release build has some 6 MiB.
const MOST_KIB: u64 = 56 << 10;

fn config(lab: &Lab, players: &[Player]) {
    let mut servers = format!("[mcp]\ndiscover = false\ntimeout = \"{}s\"\n", TIMEOUT.as_secs());
    for player in players {
        let _ = writeln!(servers, "[[mcp.server]]\nname = {:?}\nurl = {:?}", player.name, player.url);
        if player.token {
            let _ = writeln!(servers, "headers = {{ {} = {:?} }}", TOKEN.0, TOKEN.1);
        }
    }
    lab.config(&servers);
}

/// The largest memory so far of a process, in KiB, without the pages of its own file, which are many in a debug build;
/// `None` once it is gone.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.parse().ok()
    };
    field("VmHWM:")?.checked_sub(field("RssFile:")?)
}

/// One pass: what it found by name, everything it wrote anywhere, and the most memory it took.
fn pass(lab: &Lab) -> (BTreeMap<String, Value>, String, u64) {
    let [out, err] = ["out.json", "err.txt"].map(|name| std::fs::File::create(lab.path().join(name)).expect("a file"));
    let deadline = format!("{}s", DEADLINE.as_secs());
    let mut probe = lab
        .command(["--fresh", "-v", "--format", "json", "--deadline", &deadline])
        .stdout(out)
        .stderr(Stdio::from(err))
        .spawn()
        .expect("lab-probe starts");
    let begun = clock::instant();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_kib(probe.id()).unwrap_or(0));
        if let Some(status) = probe.try_wait().expect("a status") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < DEADLINE + Duration::from_secs(1), "took {:?}", begun.elapsed());
    let read = |name: &str| std::fs::read_to_string(lab.path().join(name)).expect("read");
    let document: Value = serde_json::from_str(&read("out.json")).expect("JSON");
    let targets = document["targets"].as_array().expect("targets").iter();
    let found = targets.map(|target| (target["name"].as_str().expect("a name").to_owned(), target.clone())).collect();
    let delivered = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile");
    let state = std::fs::read_to_string(lab.path().join("state/state.json")).expect("a state");
    (found, read("out.json") + &read("err.txt") + &delivered + &state, peak)
}

#[test]
fn every_server_behind_a_url_gets_its_verdict_in_one_pass_that_stays_small() {
    let players = players();
    assert!(players.len() >= 80, "{} players", players.len());
    let lab = Lab::new();
    config(&lab, &players);
    assert_found(&players, pass(&lab));
    // What the first pass has learned of the usable ones does not make the second one worse.
    let usable: Vec<Player> = players.into_iter().filter(|player| player.reasons.is_empty()).collect();
    config(&lab, &usable);
    assert_found(&usable, pass(&lab));
}

#[test]
fn a_tool_with_a_million_icons_is_read_without_holding_them() {
    let players = a_million_icons();
    let lab = Lab::new();
    config(&lab, &players);
    assert_found(&players, pass(&lab));
}

#[track_caller]
fn assert_found(players: &[Player], (found, printed, peak): (BTreeMap<String, Value>, String, u64)) {
    let mut wrong = String::new();
    for player in players {
        let target = &found[player.name];
        let reason = target["facts"]["failure"]["reason"].as_str();
        let as_expected = match reason {
            None => player.reasons.is_empty(),
            Some(reason) => player.reasons.contains(&reason),
        };
        if !as_expected {
            let _ = writeln!(wrong, "{}: {:?}, not {:?}: {}", player.name, reason, player.reasons, target["summary"]);
        }
        player.assert_untouched();
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(!printed.contains("canary"), "a credential was written somewhere");
    assert!(peak < MOST_KIB, "{peak} KiB at most");
}

/// In the pass a flood may end by the clock; with time enough it ends by its size.
#[test]
fn every_flood_alone_is_too_large() {
    let floods = players().into_iter().filter(|player| player.reasons.contains(&"too_large"));
    for player in floods {
        let url = Secret::new(&player.url);
        let server =
            HttpServer { url, transport: HttpTransport::Auto, headers: Vec::new(), ca_file: None, login: None };
        let target = McpTarget { reach: Reach::Http(server), list_tools: true };
        let timeout = Duration::from_secs(60);
        let context = context(timeout, Deadline::after(timeout));
        let (facts, _) = mcp::check(&target, McpMemory::default(), &context).expect("nothing has to be started");
        let reason = facts.failure.as_ref().map(|failure| failure.reason);
        assert_eq!(reason, Some(Reason::TooLarge), "{}: {:?}", player.name, facts.failure);
    }
}
