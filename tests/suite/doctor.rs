//! `lab-probe doctor` on what lies on this machine. The whole chain with the real stack is in `monitoring/doctor.rs`.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lab_probe::clock;
use lab_probe::doctor::{DASHBOARDS, GROUPS};
use serde_json::Value;

use crate::harness::http::{Fake, Then, answer};
use crate::harness::{Lab, Run};

/// Far above what it promises, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The checks of one link as (status, evidence).
fn checks(document: &Value, link: &str) -> Vec<(String, String)> {
    let all = document["checks"].as_array().expect("checks");
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let of_link = all.iter().filter(|check| check["link"] == link);
    of_link.map(|check| (text(check, "status"), text(check, "evidence"))).collect()
}

#[track_caller]
fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout()).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", run.stdout(), run.stderr()))
}

#[track_caller]
fn doctor(lab: &Lab, code: i32) -> Value {
    document(&lab.run(["doctor", "--format", "json"]).expect_code(code))
}

#[test]
fn a_machine_that_uses_none_of_the_stack_is_told_so_and_not_that_it_is_broken() {
    let lab = Lab::new();
    lab.write("home/.cursor/mcp.json", r#"{"mcpServers": {"one": {"command": "true"}}}"#);
    lab.write("home/.config/lab-probe/config.toml", "[output.pushgateway]\nurl = \"http://127.0.0.1:1\"\n");
    std::fs::remove_file(lab.path().join("home/.config/lab-probe/config.toml")).expect("removed");
    let run = lab.run(["doctor", "--format", "json"]);
    let document = document(&run);
    let usual = [("prometheus", 9091), ("alertmanager", 9093), ("grafana", 3001)];
    // Somebody's own stack may run where this test does.
    if usual.iter().all(|(_, port)| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
        for (link, _) in usual {
            assert_eq!(checks(&document, link)[0].0, "skip", "{document:#}");
        }
    }
    let cursor = &checks(&document, "clients")[0];
    assert!(cursor.0 == "ok" && cursor.1.contains(".cursor/mcp.json") && cursor.1.ends_with("1 server"), "{cursor:?}");
    assert_eq!(checks(&document, "state").last().expect("a check").1, "there has been no pass yet");
}

#[test]
fn the_document_is_as_described_and_in_the_order_of_the_chain() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n");
    let document = document(&lab.run(["doctor", "--format", "json"]));
    assert_eq!(document["schema"], "lab-probe.doctor/1");
    let all = document["checks"].as_array().expect("checks");
    let described = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).expect("text");
    let described = described.split("lab-probe.doctor/1").nth(2).expect("its section").to_owned();
    let mut links = Vec::new();
    for check in all {
        let link = check["link"].as_str().expect("a link");
        assert!(described.contains(&format!("`{link}`")), "{link} is not described");
        assert!(["ok", "skip", "warn", "fail"].contains(&check["status"].as_str().expect("a status")));
        assert_eq!(check["fix"].is_null(), check["status"] == "ok", "{check:#}");
        if links.last() != Some(&link) {
            links.push(link);
        }
    }
    assert_eq!(links.len(), links.iter().collect::<BTreeSet<_>>().len(), "each link once: {links:?}");
    assert_eq!((links[0], links[links.len() - 1]), ("config", "clock"));
    for key in document.as_object().expect("an object").keys() {
        assert!(
            described.contains(&format!("`{key}`")) || key == "schema" || key == "version",
            "{key} is not described"
        );
    }
    let counted: u64 = document["counts"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, all.len() as u64);
}

#[test]
fn a_broken_configuration_is_a_finding_with_its_place() {
    let lab = Lab::new();
    lab.config("[mcp]\nretry_afer = \"1s\"\n");
    let document = doctor(&lab, 1);
    let [(status, evidence)] = checks(&document, "config").try_into().expect("one");
    assert_eq!(status, "fail");
    assert!(evidence.contains("lab-probe.toml:6:1") && evidence.contains("retry_after"), "{evidence}");
    let table = lab.run(["doctor"]).expect_code(1).stdout();
    assert!(
        table.starts_with("fail  config") && table.contains("→ correct the file; `lab-probe config check`"),
        "{table}"
    );
}

#[test]
fn a_directory_that_is_gone_a_state_that_is_damaged_and_a_clash_are_found() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n[worktree]\nrepos = []\n");
    lab.run(["--once"]).expect_code(0);
    let before = document(&lab.run(["doctor", "--format", "json"]));
    assert!(checks(&before, "textfile").iter().all(|(status, _)| status != "fail"), "{before:#}");
    assert_eq!(checks(&before, "clashes")[0].0, "ok", "{before:#}");

    let clash = "# HELP lab_probe_deadline_exceeded Another text.\n# TYPE lab_probe_deadline_exceeded counter\nlab_probe_deadline_exceeded{a=\"b\"} 1\n";
    lab.write("textfile/other.prom", clash);
    let document = doctor(&lab, 1);
    let (status, evidence) = &checks(&document, "clashes")[0];
    assert!(status == "fail" && evidence.contains("lab_probe_deadline_exceeded"), "{status} {evidence}");

    lab.write("state/state.json", "{ damaged");
    std::fs::remove_dir_all(lab.textfile_dir()).expect("removed");
    let document = doctor(&lab, 1);
    assert!(checks(&document, "state").iter().any(|(status, what)| status == "warn" && what.contains("damaged")));
    assert!(checks(&document, "textfile").iter().any(|(status, what)| status == "fail" && what.contains("not there")));
    assert!(lab.path().join("state/state.json").exists(), "it changes nothing");
}

#[test]
fn services_that_hang_or_are_something_else_cost_seconds_and_no_secret_shows() {
    let silent = Fake::raw(|stream| {
        let mut into = [0; 1024];
        while stream.read(&mut into).is_ok_and(|amount| amount > 0) {}
    });
    let other = Fake::serve(|_, stream| answer(stream, "404 Not Found", &[], b"nothing here"));
    let lab = Lab::new();
    let with_secret = |fake: &Fake| fake.url("").replace("http://", "http://joe:s3cr3t-word@");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[output.pushgateway]\nurl = \"{0}\"\ntimeout = \"60s\"\n\
         [doctor]\nprometheus = \"{0}\"\nalertmanager = \"{0}\"\ngrafana = \"{1}\"\nnode_exporter = \"{0}\"\n",
        with_secret(&silent),
        with_secret(&other)
    ));
    let began = clock::instant();
    let run = lab.run(["doctor", "--format", "json", "--verbose"]).expect_code(1);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(!run.stdout().contains("s3cr3t-word") && !run.stderr().contains("s3cr3t-word"));
    let document = document(&run);
    for link in ["prometheus", "alertmanager", "grafana", "node_exporter", "pushgateway"] {
        assert_eq!(checks(&document, link)[0].0, "fail", "{link}: {document:#}");
    }
    assert!(checks(&document, "grafana")[0].1.contains("no Grafana"), "{document:#}");
}

/// A Grafana that lists these dashboards, or asks for a login.
fn grafana(dashboards: Option<&'static [&'static str]>) -> Fake {
    Fake::serve(move |seen, stream| -> Then {
        let json = [("Content-Type", "application/json")];
        match (seen.target.split('?').next().unwrap_or_default(), dashboards) {
            ("/api/health", _) => answer(stream, "200 OK", &json, br#"{"database":"ok","version":"13.0.1"}"#),
            ("/api/search", Some(uids)) => {
                let all: Vec<Value> =
                    uids.iter().map(|uid| serde_json::json!({ "uid": uid, "type": "dash-db" })).collect();
                answer(stream, "200 OK", &json, Value::from(all).to_string().as_bytes())
            }
            ("/api/search", None) => answer(stream, "401 Unauthorized", &json, br#"{"message":"Unauthorized"}"#),
            _ => answer(stream, "404 Not Found", &[], b""),
        }
    })
}

#[test]
fn grafana_without_one_of_the_dashboards_is_found_and_one_with_a_login_is_not_judged() {
    let lab = Lab::new();
    let ask = |fake: &Fake| {
        lab.config(&format!("[mcp]\ndiscover = false\n[doctor]\ngrafana = \"{}\"\n", fake.url("")));
        let document = document(&lab.run(["doctor", "--format", "json"]));
        checks(&document, "grafana").into_iter().map(|(status, _)| status).collect::<Vec<_>>()
    };
    assert_eq!(ask(&grafana(Some(DASHBOARDS))), ["ok", "ok"]);
    assert_eq!(ask(&grafana(Some(&DASHBOARDS[1..]))), ["ok", "fail"]);
    assert_eq!(ask(&grafana(None)), ["ok", "warn"]);
}

#[test]
fn the_names_it_looks_for_are_the_ones_that_are_shipped() {
    let below = |directory: &str, extension: &str| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(directory);
        let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
        files.sort();
        files.into_iter().map(|path| std::fs::read_to_string(path).expect("text"))
    };
    let uids: Vec<String> = below("grafana/dashboards", "json")
        .map(|text| serde_json::from_str::<Value>(&text).expect("JSON")["uid"].as_str().expect("a uid").to_owned())
        .collect();
    assert_eq!(uids, DASHBOARDS);
    let groups: Vec<String> = below("prometheus/rules", "yml")
        .flat_map(|text| {
            let rules = lab_probe::yaml::read(&text).expect("YAML");
            let groups = rules["groups"].as_array().cloned().unwrap_or_default();
            groups.into_iter().map(|group| group["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(groups, GROUPS);
}

#[test]
fn a_configuration_that_others_may_change_is_not_used() {
    let lab = Lab::new();
    let config = lab.config("[mcp]\ndiscover = false\n");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).expect("a mode");
    let document = document(&lab.run(["doctor", "--format", "json"]));
    let (status, evidence) = &checks(&document, "config")[0];
    assert!(status == "fail" && evidence.contains("writable by everyone"), "{status} {evidence}");
}
