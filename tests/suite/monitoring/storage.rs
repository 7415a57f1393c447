//! Beyond 30 days: what Prometheus sends on, and what comes back after a restart.

use std::time::Duration;

use lab_probe::clock;

use super::running::Stack;
use super::synthetic::Synthetic;
use super::tools::{eventually, files, monitoring, query, succeed, text};

const DAY: f64 = 86_400.0;

/// A length-delimited field of a protobuf message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(content.len() as u64), content].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A remote_write request (version 0.1) with samples of one series: protobuf, in a snappy block of literals only.
fn write_request(labels: &[(&str, &str)], samples: &[(f64, f64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        series.extend(field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    for (at, value) in samples {
        let milliseconds = (at * 1000.0) as u64;
        let sample = [&[0x09][..], &value.to_le_bytes(), &[0x10], &varint(milliseconds)].concat();
        series.extend(field(2, &sample));
    }
    let message = field(1, &series);
    let mut block = varint(message.len() as u64);
    for part in message.chunks(60) {
        block.push(((part.len() - 1) << 2) as u8);
        block.extend_from_slice(part);
    }
    block
}

#[test]
fn samples_forty_days_old_come_back_after_a_restart() {
    let stack = Stack::hurried();
    let victoria = stack.url("VICTORIA_PORT");
    let now = clock::unix_seconds(clock::now());
    let then = now - 40.0 * DAY;
    let labels = [
        ("__name__", "lab_mcp_server_health"),
        ("host", "lab"),
        ("instance", "lab:9100"),
        ("job", "node"),
        ("server_name", "rag-query"),
    ];
    let samples: Vec<_> = (0..120).map(|n| (then + f64::from(n) * 15.0, f64::from(n % 2))).collect();
    ureq::post(&format!("{victoria}/api/v1/write"))
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .send(&write_request(&labels, &samples)[..])
        .expect("the storage takes a write");

    // Beside it what the running Prometheus sends on by itself, as shipped.
    let mut steps = 0;
    eventually(Duration::from_secs(60), "Prometheus's samples arrive", || {
        steps += 1;
        stack.deliver(&Synthetic::healthy(), steps);
        let health = query(&victoria, "query?", "lab_mcp_server_health{host=\"lab\",instance=\"lab:9100\"}");
        let recorded = query(&victoria, "query?", "host:lab_mcp_servers_down:count{host=\"lab\"}");
        (health.len() == 18 && recorded.len() == 1).then_some(())
    });
    let strangers = query(&victoria, "query?", "count({__name__=~\"(node|go|process|prometheus)_.+\"})");
    assert!(strangers.is_empty(), "only what looks back need is kept for years: {strangers:?}");

    succeed(stack.script().arg("down"));
    succeed(stack.script().arg("up"));
    let call = format!("query_range?start={then}&end={}&step=15&nocache=1&", then + 119.0 * 15.0);
    let old = eventually(Duration::from_secs(30), "the old samples are back", || {
        let found = query(&victoria, &call, "lab_mcp_server_health{server_name=\"rag-query\",host=\"lab\"}");
        (!found.is_empty()).then_some(found)
    });
    let values = old[0]["values"].as_array().expect("values");
    assert_eq!(values.len(), samples.len(), "every sample of 40 days ago is there");
    let ups = values.iter().filter(|pair| pair[1] == "1").count();
    assert_eq!(ups, samples.len() / 2, "with its value");
    let recent = query(&victoria, "query?", "max_over_time(host:lab_mcp_servers_down:count{host=\"lab\"}[10m])");
    assert_eq!(recent.len(), 1, "what was sent before the restart is there too");
}

/// The YAML of documents must be what promtool takes, or people paste broken files.
#[test]
fn the_configuration_for_thanos_and_mimir_is_valid_in_place_of_the_shipped_one() {
    let shipped = text(monitoring("prometheus/prometheus.yml"));
    let (before, _) = shipped.split_once("\nremote_write:").expect("a remote_write block at the end");
    for page in files(monitoring("longterm"), "md") {
        let page_text = text(&page);
        let mut blocks = 0;
        for block in page_text.split("```yaml prometheus.yml\n").skip(1) {
            let block = block.split("```").next().expect("an end");
            let directory = tempfile::tempdir().expect("a directory");
            for room in ["rules", "targets"] {
                std::os::unix::fs::symlink(monitoring("prometheus").join(room), directory.path().join(room))
                    .expect("a link");
            }
            let file = directory.path().join("prometheus.yml");
            let keyed = if block.starts_with("global:") {
                // A block that replaces `global` carries external labels; the rest of the file stays.
                let rest = before.split_once("\nrule_files:").expect("rule_files").1;
                format!("{block}\nrule_files:{rest}\n")
            } else {
                format!("{before}\n{block}")
            };
            std::fs::write(&file, keyed).expect("a file");
            succeed(super::tools::tool("promtool").args(["check", "config"]).arg(&file));
            blocks += 1;
        }
        assert!(blocks > 0, "{} shows no configuration", page.display());
    }
}
