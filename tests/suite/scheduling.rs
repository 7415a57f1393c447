//! Who is checked when, and who is called down for slowness: many servers, few cores, little time.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::Lab;

/// A legacy server in the shell's own words: the beginning of its script may take its time.
const SERVER: &str = r#"
n=0
while read -r line; do
  case $line in *'"id"'*) n=$((n + 1)) ;; *) continue ;; esac
  case $line in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$n',"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}' ;;
    *) echo '{"jsonrpc":"2.0","id":'$n',"error":{"code":-32601,"message":"Method not found"}}' ;;
  esac
done
"#;

/// Computes for as many rounds; a few hundred thousand take a second.
fn computing(rounds: u64) -> String {
    format!("i=0; while [ $i -lt {rounds} ]; do i=$((i + 1)); done")
}

const FOR_EVER: &str = "while :; do :; done";

/// Servers by name, each with the beginning of its script; one computes at a time.
fn config(lab: &Lab, mcp: &str, servers: &[(&str, String)]) {
    let (state, textfile) = (lab.path().join("state"), lab.textfile_dir());
    let mut text =
        format!("[probe]\nmax_starts = 1\nstate_dir = {state:?}\n[output.textfile]\ndirectory = {textfile:?}\n");
    let _ = write!(text, "[mcp]\ndiscover = false\n{mcp}\n");
    for (name, beginning) in servers {
        let script = lab.write(format!("{name}.sh"), format!("{beginning}\n{SERVER}"));
        let _ = write!(text, "[[mcp.server]]\nname = {name:?}\ncommand = \"sh\"\nargs = [{script:?}]\n");
    }
    lab.write("lab-probe.toml", text);
}

/// One pass of a timer: every server's verdict, or why there is none.
fn pass(lab: &Lab, args: &[&str]) -> Vec<(String, String)> {
    let run = lab.run(["--once", "--format", "json"].iter().chain(args)).expect_code(0);
    let document: Value = serde_json::from_str(&run.stdout()).expect("JSON");
    let targets = document["targets"].as_array().expect("targets").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    targets
        .map(|target| {
            let verdict = text(&target["verdict"]).filter(|verdict| verdict != "unknown");
            let found = verdict.or_else(|| text(&target["trouble"])).unwrap_or_default();
            (text(&target["name"]).expect("a name"), found)
        })
        .collect()
}

fn three_that_sleep() -> Vec<(&'static str, String)> {
    ["ok1", "ok2", "ok3"].map(|name| (name, "sleep 1".to_owned())).to_vec()
}

fn with_busy(mut servers: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    servers.insert(0, ("aaa-busy", FOR_EVER.to_owned()));
    servers
}

const ALWAYS_DUE: &str = "ttl = \"0s\"\nretry_after = \"0s\"";

#[test]
fn who_does_not_get_a_turn_is_not_started_and_goes_first_in_the_next_pass() {
    let lab = Lab::new();
    config(&lab, ALWAYS_DUE, &with_busy(three_that_sleep()));
    for (name, found) in pass(&lab, &["--deadline", "4s"]) {
        assert!(found.starts_with("not reached in this pass") || name == "aaa-busy", "{name}: {found}");
        assert_ne!(found, "up", "{name}");
    }
    let delivered = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    assert!(!delivered.contains("lab_mcp_server_health{server_name=\"ok"), "{delivered}");
    assert!(delivered.contains("lab_probe_targets{kind=\"mcp\",result=\"timed_out\"}"), "{delivered}");
    let healthy = pass(&lab, &["--deadline", "20s"]).into_iter().filter(|(name, _)| name.starts_with("ok"));
    assert!(healthy.clone().all(|(_, found)| found == "up"), "{:?}", healthy.collect::<Vec<_>>());
}

#[test]
fn one_that_computes_for_ever_does_not_turn_the_healthy_ones_down() {
    let lab = Lab::new();
    config(&lab, ALWAYS_DUE, &three_that_sleep());
    let up = [("ok1", "up"), ("ok2", "up"), ("ok3", "up")].map(|(name, found)| (name.to_owned(), found.to_owned()));
    assert_eq!(pass(&lab, &["--deadline", "30s"]), up);
    config(&lab, ALWAYS_DUE, &with_busy(three_that_sleep()));
    assert_eq!(pass(&lab, &["--deadline", "4s"])[1..], up);
}

#[test]
fn servers_that_need_more_processor_time_than_their_timeout_are_all_up() {
    let lab = Lab::new();
    let names = ["s0", "s1", "s2", "s3"];
    config(&lab, "timeout = \"1s\"", &names.map(|name| (name, computing(1_000_000))));
    let found = pass(&lab, &["--deadline", "120s"]);
    assert!(found.iter().all(|(_, found)| found == "up"), "{found:?}");
}

#[test]
fn a_failure_that_costs_is_looked_at_ever_later_and_at_once_when_asked_for() {
    let lab = Lab::new();
    let failing = [("fails", format!("{}; exit 1", computing(400_000)))];
    config(&lab, "", &failing);
    let wait = |args: &[&str]| {
        let run = lab.run(args.iter().chain(&["--format", "json"])).expect_code(0);
        let document: Value = serde_json::from_str(&run.stdout()).expect("JSON");
        let target = &document["targets"][0];
        let at = |value: &Value| value.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).expect("a time");
        assert_eq!(target["facts"]["failure"]["reason"], "exited", "{target}");
        at(&target["next_due"]).duration_since(at(&target["checked_at"])).as_secs()
    };
    assert_eq!([0; 3].map(|_| wait(&["--fresh"])), [30, 60, 120]);
    assert_eq!(wait(&["--once"]), 120, "not due");
    config(&lab, "timeout = \"9s\"", &failing);
    assert_eq!(wait(&["--once"]), 30, "another configuration");
}

#[test]
fn a_gateway_before_many_servers_is_asked_by_a_few_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&open), Arc::clone(&most));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (open, most) = (Arc::clone(&counted.0), Arc::clone(&counted.1));
            std::thread::spawn(move || {
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                // The connection ends without an answer after the count says so.
                open.fetch_sub(1, Ordering::SeqCst);
                drop(stream);
            });
        }
    });
    let lab = Lab::new();
    let mut text = "[mcp]\ndiscover = false\n".to_owned();
    for server in 0..40 {
        let _ = write!(text, "[[mcp.server]]\nname = \"s{server}\"\nurl = \"http://{address}/{server}\"\n");
    }
    lab.config(&text);
    lab.run(["--once", "--format", "none"]).expect_code(0);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=6).contains(&most), "{most} connections at a time");
}
