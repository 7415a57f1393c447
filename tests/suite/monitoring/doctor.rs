//! `lab-probe doctor` along the whole chain, with the shipped stack running; then one link after the other is broken.

use std::time::Duration;

use serde_json::Value;

use super::running::Stack;
use super::tools::{eventually, succeed, text};
use crate::harness::Lab;

struct Chain {
    stack: Stack,
    lab: Lab,
}

impl Chain {
    fn start() -> Chain {
        let stack = Stack::hurried();
        let lab = Lab::new();
        let state = lab.path().join("state");
        lab.write(
            "lab-probe.toml",
            format!(
                "[probe]\nstate_dir = {state:?}\n[mcp]\ndiscover = false\n[worktree]\nrepos = []\n\
                 [output.textfile]\ndirectory = {:?}\n[output.pushgateway]\nurl = \"{}\"\n\
                 [doctor]\nprometheus = \"{}\"\nalertmanager = \"{}\"\nnode_exporter = \"{}\"\n",
                stack.path("textfile"),
                stack.url("PUSHGATEWAY_PORT"),
                stack.url("PROMETHEUS_PORT"),
                stack.url("ALERTMANAGER_PORT"),
                stack.url("NODE_EXPORTER_PORT"),
            ),
        );
        Chain { stack, lab }
    }

    fn doctor(&self) -> Value {
        let run = self.lab.run(["doctor", "--format", "json"]);
        let document: Value = serde_json::from_str(&run.stdout()).expect("JSON");
        assert_eq!(run.code(), Some(i32::from(document["status"] == "fail")), "{document:#}");
        document
    }

    /// Waits until this link fails with these words.
    #[track_caller]
    fn fails(&self, link: &str, words: &str) {
        eventually(Duration::from_secs(60), &format!("{link}: {words}"), || {
            let document = self.doctor();
            let found = failing(&document).iter().any(|check| {
                check["link"] == link && check["evidence"].as_str().is_some_and(|text| text.contains(words))
            });
            found.then_some(())
        });
    }

    fn kill(&self, name: &str) {
        let pid = text(self.stack.path(&format!("stack/run/{name}.pid")));
        let pid = pid.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a running process");
    }
}

fn failing(document: &Value) -> Vec<Value> {
    let all = document["checks"].as_array().expect("checks");
    all.iter().filter(|check| check["status"] == "fail").cloned().collect()
}

#[test]
fn a_whole_chain_is_found_whole_and_each_broken_link_is_named() {
    let chain = Chain::start();
    chain.lab.run(["--once"]).expect_code(0);
    let document = eventually(Duration::from_secs(90), "a chain without fault", || {
        let document = chain.doctor();
        failing(&document).is_empty().then_some(document)
    });
    let all = document["checks"].as_array().expect("checks");
    for (link, words) in [
        ("textfile", "was delivered"),
        ("clashes", "takes all"),
        ("node_exporter", "reads"),
        ("pushgateway", "pushed"),
        ("prometheus", "is ready"),
        ("prometheus", "the newest pass"),
        ("rules", "the group lab is loaded"),
        ("rules", "the group lab-probe is loaded"),
        ("alertmanager", "is ready"),
        ("alertmanager", "Prometheus sends alerts to http://127.0.0.1"),
        ("alertmanager", "alerts go to telegram (telegram), telegram-quiet (telegram)"),
        ("clock", "agree"),
    ] {
        let found = all.iter().any(|check| {
            check["link"] == link
                && check["status"] == "ok"
                && check["evidence"].as_str().is_some_and(|text| text.contains(words))
        });
        assert!(found, "{link}: {words}\n{document:#}");
    }

    chain.lab.run(["withdraw"]).expect_code(0);
    chain.fails("pushgateway", "our group is not there");
    chain.fails("textfile", "is not there");
    chain.lab.run(["--once"]).expect_code(0);

    std::fs::write(chain.stack.path("textfile/other.prom"), "this is no exposition\n").expect("written");
    chain.fails("node_exporter", "node_textfile_scrape_error is 1");
    std::fs::remove_file(chain.stack.path("textfile/other.prom")).expect("removed");

    // A record that joins many to many, and a group that is not loaded.
    let broken = "groups:\n  - name: lab\n    rules:\n      - record: broken\n        expr: up * on() up\n";
    std::fs::write(chain.stack.path("monitoring/prometheus/rules/lab.yml"), broken).expect("written");
    std::fs::remove_file(chain.stack.path("monitoring/prometheus/rules/self.yml")).expect("removed");
    succeed(chain.stack.script().arg("up"));
    chain.fails("rules", "the rule group lab-probe is not loaded");
    chain.fails("rules", "the rule broken does not evaluate");

    chain.kill("alertmanager");
    chain.fails("alertmanager", "nothing usable");
    chain.kill("node-exporter");
    chain.fails("node_exporter", "nothing usable");
    chain.kill("prometheus");
    chain.fails("prometheus", "nothing usable");
}
