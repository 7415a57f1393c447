//! All the good, odd and hostile servers at once in one pass of the real binary, and the probe ended in its midst.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use lab_probe::clock::{self, Deadline};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::Lab;
use crate::harness::player::{marked_processes, player};
use crate::hostile_http::peak_kib;

/// In the environment of every server and of the probe itself, whose supervisors inherit it: what carries the mark after
/// a pass was left behind.
const MARK: &str = "PLAYER_MARK";

/// As long as a pass that a person starts goes on at most.
const DEADLINE: Duration = Duration::from_secs(90);
/// Besides its own file's pages, some 30 MiB in a debug build and 8 in a release, which is to stay below 64 in all.
const MOST_KIB: u64 = 48 << 10;
/// So many passes a busy machine may need until every server was looked at.
const PASSES: usize = 3;

/// Usable servers, however odd.
const UP: &[&str] = &[
    "modern",
    "legacy",
    "dual",
    "another-modern-version",
    "only-legacy-version-listed",
    "only-legacy-version-discovered",
    "refuses-its-own-version-once",
    "discover-answered-with-nonsense",
    "silent-on-unknown",
    "dies-on-unknown",
    "banner",
    "asks-first",
    "chatty",
    "floods-stderr",
    "large-list",
    "deep-schemas",
    "three-pages",
    "endless-pages",
    "repeating-cursor",
    "second-page-fails",
    "second-page-silent",
    "no-tools",
    "byte-by-byte",
    "carriage-returns",
    "float-id",
    "text-id",
    "starts-slowly",
    "ignores-everything",
    "lives-on",
    "ends-late",
    "daemonizes-a-helper",
    "leaves-a-helper",
    "daemonizes-itself",
    "wrapper",
    "wrapper-that-leaves",
    "many-children",
    "forks-and-forks",
    "zombies",
    "stops-its-parent",
];

/// The others, with the reasons that may be given: a flood that the machine is too slow for ends in time instead of
/// at the limit.
const DOWN: &[(&str, &[&str])] = &[
    ("silent", &["timeout"]),
    ("deaf", &["timeout"]),
    ("half-a-line", &["timeout"]),
    ("drips", &["timeout"]),
    ("lists-silently", &["timeout"]),
    ("wrong-id", &["timeout"]),
    ("other-text-id", &["timeout"]),
    ("stops-itself", &["timeout"]),
    ("closes-stdin", &["timeout"]),
    ("result-is-text", &["protocol_error"]),
    ("result-is-empty", &["protocol_error"]),
    ("result-is-null", &["protocol_error"]),
    ("result-and-error", &["protocol_error"]),
    ("neither-result-nor-error", &["protocol_error"]),
    ("no-version", &["protocol_error"]),
    ("invalid-utf-8", &["protocol_error"]),
    ("deep", &["protocol_error"]),
    ("deep-and-open", &["protocol_error"]),
    ("cut-json", &["protocol_error"]),
    ("unknown-version", &["protocol_error"]),
    ("wrong-types", &["protocol_error"]),
    ("echo", &["protocol_error"]),
    ("list-is-no-list", &["protocol_error"]),
    ("list-of-numbers", &["protocol_error"]),
    ("tool-without-schema", &["protocol_error"]),
    ("list-wants-input", &["protocol_error"]),
    ("closes-stdout", &["protocol_error"]),
    ("closes-everything", &["protocol_error"]),
    ("refuses", &["rpc_error"]),
    ("refuses-without-id", &["rpc_error"]),
    ("malformed-error", &["rpc_error"]),
    ("wants-a-capability", &["rpc_error"]),
    ("never-the-right-version", &["rpc_error"]),
    ("list-refused", &["rpc_error"]),
    ("exits-at-once", &["exited"]),
    ("exits-with-a-reason", &["exited"]),
    ("exits-on-the-opening", &["exited"]),
    ("exits-after-the-opening", &["exited"]),
    ("exits-on-the-list", &["exited"]),
    ("aborts", &["exited"]),
    ("kills-its-group", &["exited"]),
    // It dies with the parent it kills; on a busy machine it may have answered everything before that.
    ("kills-its-parent", &["exited", "none"]),
    ("wrapper-that-fails", &["exited"]),
    ("floods-lines", &["too_large", "timeout"]),
    ("floods-without-lines", &["too_large", "timeout"]),
    ("floods-notifications", &["too_large", "timeout"]),
    ("floods-requests", &["too_large", "timeout"]),
    ("floods-answers", &["too_large", "timeout"]),
    ("floods-both", &["too_large", "timeout"]),
    ("long-line", &["too_large", "timeout"]),
    ("too-long-an-answer", &["too_large", "timeout"]),
];

/// A LAB whose config names these acts as servers.
fn lab(acts: impl IntoIterator<Item = &'static str>, mark: &str, timeout: &str) -> Lab {
    let lab = Lab::new();
    let servers: String = acts
        .into_iter()
        .map(|act| {
            let player = player().display();
            format!(
                "[[mcp.server]]\nname = \"{act}\"\ncommand = \"{player}\"\nargs = [\"{act}\"]\nenv = {{ {MARK} = \"{mark}\" }}\n"
            )
        })
        .collect();
    lab.config(&format!("[mcp]\ndiscover = false\ntimeout = \"{timeout}\"\n{servers}"));
    lab
}

fn mark(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// One pass: what it found by name, once it has left no process behind and has stayed small.
fn pass(lab: &Lab, mark: &str) -> BTreeMap<String, Value> {
    let out = std::fs::File::create(lab.path().join("out.json")).expect("a file");
    let begun = clock::instant();
    let mut probe = lab
        .command(["--format", "json", "--deadline", &format!("{}s", DEADLINE.as_secs())])
        .env(MARK, mark)
        .stdout(out)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("lab-probe starts");
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_kib(probe.id()).unwrap_or(0));
        if let Some(status) = probe.try_wait().expect("a status") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let took = begun.elapsed();
    assert_eq!(marked_processes(MARK, mark), Vec::<String>::new());
    assert!(status.success(), "{status}");
    assert!(took < DEADLINE + Duration::from_secs(1), "{took:?}");
    assert!(peak < MOST_KIB, "peak {peak} KiB");
    let snapshot: Value =
        serde_json::from_slice(&std::fs::read(lab.path().join("out.json")).expect("read")).expect("JSON");
    let targets = snapshot["targets"].as_array().expect("targets").iter();
    targets.map(|target| (target["name"].as_str().expect("a name").to_owned(), target.clone())).collect()
}

/// Whether a pass looked at this one; a server that the machine had no time for has no verdict, and is said.
fn reached(target: &Value) -> bool {
    if target["verdict"] != "unknown" {
        return true;
    }
    let trouble = target["trouble"].as_str().unwrap_or_default();
    assert!(trouble.starts_with("not reached in this pass"), "{target}");
    false
}

/// Two cores may be too slow for ninety servers within one deadline: those left over come first in the next pass.
#[test]
fn every_server_gets_its_verdict_in_passes_that_stay_small_and_leave_nothing() {
    let mark = mark("all");
    let acts = UP.iter().copied().chain(DOWN.iter().map(|(act, _)| *act));
    let lab = lab(acts, &mark, "20s");
    let mut left = usize::MAX;
    for _ in 0..PASSES {
        let found = pass(&lab, &mark);
        for act in UP.iter().filter(|act| reached(&found[**act])) {
            assert_eq!(found[*act]["verdict"], "up", "{}", found[*act]);
        }
        for (act, reasons) in DOWN.iter().filter(|(act, _)| reached(&found[*act])) {
            let reason = found[*act]["facts"]["failure"]["reason"].as_str().unwrap_or("none");
            assert!(reasons.contains(&reason), "{reason}: {}", found[*act]);
        }
        left = found.values().filter(|target| !reached(target)).count();
        if left == 0 {
            return;
        }
    }
    panic!("{left} servers have no verdict after {PASSES} passes");
}

/// Acts that would all outlive a careless probe.
const CLINGING: [&str; 6] =
    ["deaf", "ignores-everything", "daemonizes-a-helper", "many-children", "forks-and-forks", "stops-itself"];

/// Starts a pass over servers that cling to life and waits until they are there.
fn clinging(mark: &str) -> (Lab, Child) {
    let lab = lab(CLINGING, mark, "60s");
    let probe = lab
        .command(["--fresh", "--deadline", "60s"])
        .env(MARK, mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lab-probe starts");
    let deadline = Deadline::after(Duration::from_secs(30));
    while !marked_processes(MARK, mark).iter().any(|line| line.contains("deaf")) {
        assert!(!deadline.passed(), "the servers have not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    (lab, probe)
}

fn signal(probe: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(probe.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("signalled");
}

/// So long a probe goes on killing on a machine that is too slow for it; then it leaves the rest to the supervisors.
const GIVES_UP: Duration = Duration::from_millis(2_500);

fn await_nobody(mark: &str) {
    let deadline = Deadline::after(Duration::from_secs(20));
    while !marked_processes(MARK, mark).is_empty() {
        assert!(!deadline.passed(), "{:?}", marked_processes(MARK, mark));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_the_pass_with_its_code_and_every_process() {
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mark = mark(&format!("signal-{code}"));
        let (lab, mut probe) = clinging(&mark);
        let begun = clock::instant();
        signal(&probe, sent);
        let status = probe.wait().expect("a status");
        assert_eq!(status.code(), Some(code));
        if begun.elapsed() < GIVES_UP {
            assert_eq!(marked_processes(MARK, &mark), Vec::<String>::new());
        }
        await_nobody(&mark);
        let left: Vec<_> = std::fs::read_dir(lab.textfile_dir()).expect("a directory").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn not_even_a_probe_that_is_killed_leaves_a_process() {
    let mark = mark("killed");
    let (_lab, mut probe) = clinging(&mark);
    signal(&probe, Signal::KILL);
    probe.wait().expect("a status");
    await_nobody(&mark);
}
