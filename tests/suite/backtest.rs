//! `lab-probe backtest`: what it reads, and what it says in each form.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab_probe::clock;

use crate::harness::Lab;
use crate::harness::servers::Listening;

/// Three weeks of a handshake around half a second, four times as long from the middle of the last one for an hour.
fn series(time: impl Fn(i64) -> String) -> String {
    let mut text = String::new();
    for slot in 0..3 * 2016_i64 {
        let value = 0.5 + 0.04 * (slot * 7919 % 13 - 6) as f64 / 6.0;
        let value = if (5000..5012).contains(&slot) { 4.0 * value } else { value };
        let _ = writeln!(text, "{},{value}", time(1_790_553_600 + 300 * slot));
    }
    text
}

fn anomalies(csv: &str) -> Vec<usize> {
    let rows = csv.lines().skip(1).enumerate();
    rows.filter(|(_, row)| row.ends_with(",level")).map(|(slot, _)| slot).collect()
}

#[test]
fn an_hour_four_times_as_slow_is_one_anomaly_in_every_form_of_time() {
    let lab = Lab::new();
    let utc = |second: i64| jiff::Timestamp::from_second(second).expect("a time");
    lab.write("unix.csv", format!("timestamp,value\n{}", series(|second| second.to_string())));
    lab.write("rfc3339.csv", series(|second| utc(second).to_string()));
    lab.write("plain.csv", series(|second| utc(second).strftime("%Y-%m-%d %H:%M:%S").to_string()));
    let run = |file: &str| lab.run(["backtest", "--family", "handshake", "--format", "csv", file]).stdout();
    let csv = run("unix.csv");
    assert!(csv.starts_with("timestamp,value,expected_lower,expected_upper,score,anomaly\n"), "{csv:.100}");
    let found = anomalies(&csv);
    assert!(found.first().is_some_and(|first| (5000..5004).contains(first)), "{found:?}");
    assert!(found.last().is_some_and(|last| (5012..5030).contains(last)), "{found:?}");
    assert_eq!(run("rfc3339.csv"), csv);
    assert_eq!(run("plain.csv"), csv);
    let table = lab.run(["backtest", "--family", "handshake", "unix.csv"]).stdout();
    assert!(table.contains("6048 points, 1 anomaly") && table.contains(", expected 0."), "{table}");
    let json = lab.run(["backtest", "--family", "handshake", "--format", "json", "unix.csv"]).stdout();
    let document: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(document["series"][0]["points"].as_array().map(Vec::len), Some(6048));
}

#[test]
fn a_line_that_is_no_point_is_named_and_nothing_is_printed() {
    let lab = Lab::new();
    lab.write("bad.csv", "timestamp,value\n1790553600,1\n1790553900,\n1790554200,fast\n");
    let output = lab.run(["backtest", "--family", "cpu", "bad.csv"]);
    assert_eq!(output.code(), Some(2));
    let stderr = output.stderr();
    assert!(stderr.contains("bad.csv:4") && stderr.contains("the second column is no number"), "{stderr}");
    assert_eq!(output.stdout(), "");
}

#[test]
fn a_series_of_a_real_prometheus_is_replayed() {
    let lab = Lab::new();
    let end = clock::now().as_second();
    let mut text = String::from("# TYPE lab_mcp_server_handshake_seconds gauge\n");
    for slot in 0..864 {
        let value = (0.5 + 0.01 * (slot * 7919 % 7) as f64) * if slot < 850 { 1.0 } else { 4.0 };
        let at = end - 300 * (864 - slot);
        let _ = writeln!(text, "lab_mcp_server_handshake_seconds{{server_name=\"fetch\"}} {value} {at}");
    }
    let samples = lab.write("samples", text + "# EOF\n");
    let blocks = lab.path().join("blocks");
    let mut made = Command::new("promtool");
    made.args(["tsdb", "create-blocks-from", "openmetrics"]).args([&samples, &blocks]).stdout(Stdio::null());
    assert!(made.status().expect("promtool; tests/deps.sh installs it").success());
    let config = lab.write("prometheus.yml", "global: {}\n");
    let prometheus = Listening::start(|port| {
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", blocks.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    });
    let url = prometheus.url("");
    let ask = |query: &str| {
        lab.run(["backtest", "--family", "handshake", "--prometheus", &url, "--query", query, "--range", "3d"])
    };
    // It listens before it is ready.
    let begin = clock::instant();
    while ask("vector(1)").code() != Some(0) && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let table = ask("lab_mcp_server_handshake_seconds").expect_code(0).stdout();
    assert!(table.contains("\"server_name\":\"fetch\"") && table.contains(" points, 1 anomaly"), "{table}");
    let refused = ask("rate(");
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("does not give the series: HTTP 400"), "{}", refused.stderr());
    drop(prometheus);
    assert!(ask("up").expect_code(1).stderr().contains("try the expression in Prometheus itself"));
    let own = lab.run(["backtest", "--family", "cpu"]).expect_code(1);
    assert!(own.stderr().contains("passes have not kept a point of this family yet"), "{}", own.stderr());
}
