//! Unusual values from passes to words: two days of a trading system's orders, then none, under a clock that goes on by a slot
//! with every pass.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::attack::clocks::moved;
use crate::attack::scene::positions;
use crate::harness::{Lab, Run};

const SLOT: i64 = 300;

/// Slots before the orders end: two days of points, and some that this test's own time may cost.
const USUAL: i64 = 590;

#[test]
fn orders_that_end_are_said_in_words_wherever_a_person_looks_and_are_no_trouble() {
    let lab = Lab::new();
    let journal = lab.write("thunes/logs/audit_trail.jsonl", "");
    let mut journal = std::fs::OpenOptions::new().append(true).open(journal).expect("the journal");
    positions(&lab.path().join("thunes/positions.db"));
    let root = lab.path().join("thunes");
    let config = lab.config(&format!(
        "[mcp]\ndiscover = false\n[[thunes]]\nenvironment = \"live\"\nroot = {root:?}\n\
         positions_db = \"positions.db\"\njournals = [\"logs/audit_trail.jsonl\"]\nlogs = []\n"
    ));
    let at = |slot: i64, args: &[&str]| moved(lab.command(args), slot * SLOT).output().map(Run).expect("it runs");
    let mut orders = 0;
    for slot in 0..USUAL + 8 {
        for _ in 0..if slot < USUAL { 20 + slot * 7919 % 5 } else { 0 } {
            orders += 1;
            let order = format!(
                "{{\"timestamp\":\"2025-10-08T14:38:22.{orders:06}\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\
                 \"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":7}}\n"
            );
            journal.write_all(order.as_bytes()).expect("written");
        }
        at(slot, &["--once", "--quiet"]).expect_code(0);
        if slot == 300 {
            assert!(at(slot, &["--once", "--format", "table"]).stdout().contains(" of 576 points"));
        }
    }
    let now = USUAL + 8;
    let words = "order rate 0 orders for ";
    let table = at(now, &["--once", "--format", "table"]).expect_code(0).stdout();
    assert!(table.contains(&format!("~ {words}")) && table.contains(" orders at this hour"), "{table}");
    let status = at(now, &["status"]).expect_code(0).stdout();
    assert!(status.contains(&format!("; unusual: thunes/live: {words}")), "{status}");
    let page = at(now, &["report", "--html", "-"]).expect_code(0).stdout();
    assert!(page.contains("<p class=\"unusual\">order rate 0") && page.contains("<svg class=\"band\""), "{page}");
    let json = at(now, &["--once", "--format", "json"]).expect_code(0).stdout();
    let document: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert!(document["targets"][0]["unusual"][0].as_str().is_some_and(|said| said.starts_with(words)), "{json}");
    let summary = at(now, &["summary"]).expect_code(0).stdout();
    assert!(summary.contains(&format!("\nUnusual\nlive: {words}")), "{summary}");
    for name in ["lab_anomaly_active", "LabAnomaly", "thunes_orders_placed_total"] {
        let explained = at(now, &["explain", name]).expect_code(0).stdout();
        assert!(explained.contains(&format!("\nUnusual:    thunes/live: {words}")), "{name}: {explained}");
    }
    let other = at(now, &["explain", "thunes_order_latency_ms"]).expect_code(0).stdout();
    assert!(!other.contains("Unusual:"), "{other}");
    let asked = lab_status(moved(lab.command(["mcp".as_ref(), "--config".as_ref(), config.as_os_str()]), now * SLOT));
    assert!(asked.contains(&format!("    unusual: {words}")), "{asked}");
    let backtest = at(now, &["backtest", "--family", "orders"]).expect_code(0).stdout();
    assert!(backtest.starts_with("thunes/live: ") && backtest.contains(" points, 1 anomaly"), "{backtest}");
    let text = at(now, &["--once", "--format", "prometheus"]).expect_code(0).stdout();
    for line in [
        "lab_anomaly_active{metric=\"thunes_orders_placed_total\",kind=\"level\",direction=\"below\",server_name=\"\",\
         environment=\"live\",service_name=\"\"} 1",
        "lab_anomalies_total{metric=\"thunes_orders_placed_total\",kind=\"level\"} 1",
        "lab_anomaly_widespread 0",
        // Two days are too few for an alert.
        "lab_anomaly_series{state=\"watching\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("thunes_order_latency_expected_ms{environment=\"live\",bound=\"upper\"}"), "{text}");
}

/// What `lab_status` of `lab-probe mcp` answers.
fn lab_status(mut command: Command) -> String {
    let initialize = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\",\
                      \"capabilities\":{},\"clientInfo\":{\"name\":\"test\",\"version\":\"1\"}}}";
    let initialized = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
    let call = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"lab_status\",\"arguments\":{}}}";
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let requests = format!("{initialize}\n{initialized}\n{call}\n");
    server.stdin.take().expect("piped").write_all(requests.as_bytes()).expect("sent");
    let answers = Run(server.wait_with_output().expect("ended")).expect_code(0).stdout();
    let answers = answers.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let answer = answers.into_iter().find(|answer| answer["id"] == 2).expect("an answer");
    answer["result"]["content"][0]["text"].as_str().expect("text").to_owned()
}
