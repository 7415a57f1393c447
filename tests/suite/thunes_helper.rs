//! The Python helper, written to by many threads and processes at once, read by the real reader.

use std::process::{Command, Stdio};

use crate::harness::Lab;

const PROCESSES: u64 = 4;
const THREADS: u64 = 4;
const ORDERS: u64 = 60;

/// One process: threads that write at once, each order with a padding that makes lines longer than a page.
const WRITER: &str = r#"
import sys, threading
sys.path.insert(0, sys.argv[1])
from lab_probe_events import Journal
journal = Journal(sys.argv[2], lock_timeout=60)
def work(number):
    symbol = "SYM%d" % number
    journal.ws_connected(symbol)
    for i in range(int(sys.argv[4])):
        journal.order_placed("binance", "MARKET", "BUY", latency_ms=i, symbol=symbol, padding="x" * (i * 97 % 9000))
        journal.ws_gap(symbol, float("nan") if i % 2 else 0.3)
    journal.ws_disconnected(symbol)
threads = [threading.Thread(target=work, args=(n,)) for n in range(int(sys.argv[3]))]
[t.start() for t in threads]
[t.join() for t in threads]
sys.exit(1 if journal.dropped else 0)
"#;

fn python(lab: &Lab, script: &str, arguments: &[&str]) -> Command {
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/thunes");
    let mut command = Command::new("python3");
    command.args(["-B", "-c", script, helper]).arg(lab.path().join("thunes/logs/metrics_events.jsonl"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn lab() -> Lab {
    let lab = Lab::new();
    let root = lab.path().join("thunes");
    std::fs::create_dir_all(root.join("logs")).expect("a directory");
    lab.config(&format!("[mcp]\ndiscover = false\n[[thunes]]\nenvironment = \"testnet\"\nroot = {root:?}\n"));
    lab
}

fn pass(lab: &Lab) -> String {
    lab.run(["--once", "--only", "thunes", "--format", "prometheus"]).expect_code(0).stdout()
}

#[track_caller]
fn value(exposition: &str, series: &str) -> f64 {
    let line = exposition
        .lines()
        .find_map(|line| line.strip_prefix(series))
        .unwrap_or_else(|| panic!("no {series} in\n{exposition}"));
    line.trim().parse().expect("a number")
}

#[test]
fn events_of_many_processes_and_threads_all_arrive_while_the_journal_is_rotated() {
    let lab = lab();
    let (threads, orders) = (THREADS.to_string(), ORDERS.to_string());
    let mut writers: Vec<_> = (0..PROCESSES)
        .map(|_| python(&lab, WRITER, &[&threads, &orders]).spawn().expect("python3 starts; install it"))
        .collect();
    let journal = lab.path().join("thunes/logs/metrics_events.jsonl");
    let mut rotations = 0;
    while writers.iter_mut().any(|writer| writer.try_wait().expect("waited for").is_none()) {
        pass(&lab);
        if rotations < 20 && journal.exists() {
            for number in (1..=rotations).rev() {
                let name = |number| lab.path().join(format!("thunes/logs/metrics_events.jsonl.{number}"));
                std::fs::rename(name(number), name(number + 1)).expect("renamed");
            }
            std::fs::rename(&journal, lab.path().join("thunes/logs/metrics_events.jsonl.1")).expect("renamed");
            rotations += 1;
        }
    }
    for writer in &mut writers {
        assert!(writer.wait().expect("reaped").success(), "events were dropped");
    }
    let end = pass(&lab);
    let all = PROCESSES * THREADS * ORDERS;
    let orders =
        "thunes_orders_placed_total{environment=\"testnet\",venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}";
    assert_eq!(value(&end, orders), all as f64);
    assert_eq!(value(&end, "thunes_order_latency_ms_count{environment=\"testnet\"}"), all as f64);
    // What is no number is no gap.
    assert_eq!(value(&end, "thunes_ws_gap_seconds_count{environment=\"testnet\"}"), (all / 2) as f64);
    assert_eq!(value(&end, "thunes_ws_connected{environment=\"testnet\",symbol=\"SYM0\"}"), 0.0);
    let lines = |result: &str| {
        let labels = format!("environment=\"testnet\",journal=\"logs/metrics_events.jsonl\",result=\"{result}\"");
        value(&end, &format!("thunes_journal_lines_total{{{labels}}}"))
    };
    assert_eq!((lines("ok"), lines("malformed")), ((2 * all + 2 * PROCESSES * THREADS) as f64, 0.0));
}

#[test]
fn a_torn_line_spoils_no_event_and_trouble_never_reaches_the_application() {
    let lab = lab();
    lab.write("thunes/logs/metrics_events.jsonl", "{\"event\":\"ORDER_PLACED\",\"ven");
    let script = r#"
import sys
sys.path.insert(0, sys.argv[1])
from lab_probe_events import Journal
class Odd:
    def __str__(self): raise RuntimeError("odd")
journal = Journal(sys.argv[2])
assert journal.circuit_breaker("BinanceAPI", "half-open", at=float("inf"), odd={1: (2, float("nan"))})
assert not journal.write("X", odd=Odd()) and not journal.write("X", big="x" * (1 << 20))
import fcntl
with open(sys.argv[2]) as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    assert not Journal(sys.argv[2], lock_timeout=0.05).ws_connected("BTCUSDT")
assert not Journal("/nonexistent/x.jsonl").ws_connected("BTCUSDT")
assert journal.dropped == 2
"#;
    let output = python(&lab, script, &[]).output().expect("python3 starts; install it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end = pass(&lab);
    assert_eq!(value(&end, "thunes_circuit_breaker_state{environment=\"testnet\",breaker_name=\"BinanceAPI\"}"), 0.5);
    let malformed = "thunes_journal_lines_total{environment=\"testnet\",journal=\"logs/metrics_events.jsonl\",result=\"malformed\"}";
    assert_eq!(value(&end, malformed), 1.0);
}
