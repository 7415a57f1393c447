//! `lab-probe backtest`: what it reads, and what it says in each form.

use std::fmt::Write as _;

use crate::harness::Lab;

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
