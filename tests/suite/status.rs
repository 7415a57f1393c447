//! `lab-probe status`: what is remembered, in one line.

use serde_json::Value;

use crate::harness::Lab;

#[test]
fn the_line_says_who_is_in_trouble_and_checks_nothing() {
    let lab = Lab::new();
    let marker = lab.path().join("started");
    let services =
        "[mcp]\ndiscover = false\n[worktree]\nrepos = []\n[[service]]\nname = \"gone\"\ntcp = \"127.0.0.1:1\"\n";
    let trading = "[[thunes]]\nenvironment = \"live\"\nroot = \"t\"\n";
    let server = format!("[[mcp.server]]\nname = \"mine\"\ncommand = \"touch\"\nargs = [{marker:?}]\n");
    lab.config(&format!("{services}{trading}{server}"));
    lab.write(
        "t/logs/audit_trail.jsonl",
        "{\"timestamp\":\"2026-11-29T10:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\"}\n",
    );
    assert_eq!(lab.run(["status"]).expect_code(1).stdout(), "there has been no pass yet\n");
    assert!(!marker.exists());

    lab.run(["--once"]).expect_code(0);
    std::fs::remove_file(&marker).expect("a pass starts it");
    let state = std::fs::read(lab.path().join("state/state.json")).expect("saved");
    let line = lab.run(["status"]).expect_code(1).stdout();
    assert!(
        line.starts_with("3 in trouble: thunes/live halted (kill switch active), ")
            && line.contains("service/gone down"),
        "{line}"
    );
    let document: Value =
        serde_json::from_str(&lab.run(["status", "--format", "json"]).expect_code(1).stdout()).expect("JSON");
    assert_eq!((&document["class"], document["trouble"].as_array().map(Vec::len)), (&"trouble".into(), Some(3)));
    assert_eq!(document["trouble"][0]["by"], serde_json::json!(["kill switch active"]));
    assert!(!marker.exists(), "nothing is started");
    assert_eq!(std::fs::read(lab.path().join("state/state.json")).expect("there"), state, "nothing is changed");

    lab.config("[mcp]\ndiscover = false\n[worktree]\nrepos = []\n");
    lab.run(["--once"]).expect_code(0);
    assert_eq!(lab.run(["status"]).expect_code(0).stdout(), "0 targets, none in trouble\n");
}
