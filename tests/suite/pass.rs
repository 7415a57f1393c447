//! A whole pass through the binary: what it delivers, remembers, prints, and how it ends.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::Lab;

/// Three health scripts: one server up, one down, one not configured.
const THREE: &str = r#"
[mcp]
discover = false
[[mcp.server]]
name = "good"
health_command = ["true"]
[[mcp.server]]
name = "bad"
health_command = ["sh", "-c", "echo disk full >&2; exit 1"]
[[mcp.server]]
name = "unset"
health_command = ["sh", "-c", "exit 2"]
"#;

/// A script that hangs until it is killed and can be found by its marker.
fn hanging(marker: &str) -> String {
    format!(
        "[mcp]\ndiscover = false\nretry_after = \"0s\"\n[[mcp.server]]\nname = \"hangs\"\nhealth_command = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 1; done\", \"{marker}\"]\n"
    )
}

/// Processes of this machine whose command line holds `marker`.
fn alive(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if line.contains(marker) && line.starts_with("sh") {
            found.push(line);
        }
    }
    found
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = lab_probe::clock::instant();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn target<'a>(document: &'a Value, name: &str) -> &'a Value {
    let targets = document["targets"].as_array().expect("targets");
    targets.iter().find(|target| target["name"] == name).unwrap_or_else(|| panic!("no {name} in {document}"))
}

fn textfile(lab: &Lab) -> String {
    std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile")
}

#[test]
fn a_pass_delivers_the_three_verdicts_and_a_target_that_is_down_is_no_failure() {
    let lab = Lab::new();
    lab.config(THREE);
    let run = lab.run(["--once", "--format", "json"]).expect_code(0);
    let document = json(&run.stdout());
    assert_eq!(document["schema"], "lab-probe.pass/1");
    for (name, verdict, reason) in [
        ("good", "up", Value::Null),
        ("bad", "down", "script_failed".into()),
        ("unset", "not_configured", "not_configured".into()),
    ] {
        let target = target(&document, name);
        assert_eq!(target["verdict"], verdict, "{target}");
        assert_eq!(target["facts"]["failure"]["reason"], reason, "{target}");
        assert_eq!(target["outcome"], "fresh");
    }
    assert!(target(&document, "bad")["summary"].as_str().is_some_and(|text| text.contains("disk full")));
    let text = textfile(&lab);
    for line in [
        "lab_mcp_server_health{server_name=\"good\"} 1",
        "lab_mcp_server_health{server_name=\"bad\"} 0",
        "lab_mcp_server_health{server_name=\"unset\"} 2",
        "lab_mcp_server_failure{server_name=\"bad\",reason=\"script_failed\"} 1",
        "lab_mcp_server_checks_total{server_name=\"bad\",result=\"down\"} 1",
        "lab_probe_targets{kind=\"mcp\",result=\"fresh\"} 3",
        "lab_probe_output_failures_total{output=\"textfile\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("disk full"), "evidence is no label");
}

#[test]
fn what_is_remembered_is_reused_until_it_is_due_and_a_changed_server_is_due_at_once() {
    let lab = Lab::new();
    lab.config(THREE);
    lab.run(["--once"]).expect_code(0);
    let again = json(&lab.run(["--format", "json"]).expect_code(0).stdout());
    for name in ["good", "bad", "unset"] {
        assert_eq!(target(&again, name)["outcome"], "cached", "{name}");
    }
    let fresh = json(&lab.run(["--fresh", "--format", "json"]).expect_code(0).stdout());
    assert_eq!(target(&fresh, "good")["outcome"], "fresh");
    assert_eq!(lab.run(["--only", "service", "--fresh", "--format", "json"]).code(), Some(0));
    lab.config(&THREE.replace("[\"true\"]", "[\"false\"]"));
    let changed = json(&lab.run(["--format", "json"]).expect_code(0).stdout());
    assert_eq!(target(&changed, "good")["verdict"], "down");
    assert_eq!(target(&changed, "bad")["outcome"], "cached");
}

#[test]
fn an_answer_from_the_future_is_not_believed() {
    let lab = Lab::new();
    lab.config(THREE);
    lab.run(["--once"]).expect_code(0);
    let path = lab.path().join("state/state.json");
    let state = std::fs::read_to_string(&path).expect("state");
    let now = json(&state)["targets"]["mcp/good"]["observation"]["checked_at"].as_str().expect("a time").to_owned();
    std::fs::write(&path, state.replace(&now, &now.replacen("202", "212", 1))).expect("written");
    let later = json(&lab.run(["--format", "json"]).expect_code(0).stdout());
    assert_eq!(target(&later, "good")["outcome"], "fresh");
}

#[test]
fn a_dry_run_and_a_check_deliver_nothing() {
    let lab = Lab::new();
    lab.config(THREE);
    lab.run(["--dry-run"]).expect_code(0);
    lab.run(["check"]).expect_code(1);
    assert!(!lab.textfile_dir().join("lab-probe.prom").exists());
}

#[test]
fn check_exits_1_for_trouble_and_2_for_a_name_that_nothing_has() {
    let lab = Lab::new();
    lab.config(THREE);
    let good = lab.run(["check", "good"]).expect_code(0);
    assert!(good.stdout().contains("good") && !good.stdout().contains("bad"), "{}", good.stdout());
    lab.run(["check", "mcp/bad"]).expect_code(1);
    lab.run(["check", "unset"]).expect_code(0);
    let unknown = lab.run(["check", "goood"]).expect_code(2);
    assert!(unknown.stderr().contains("did you mean \"good\""), "{}", unknown.stderr());
}

#[test]
fn the_deadline_ends_the_pass_whatever_hangs_and_the_rest_is_delivered() {
    let lab = Lab::new();
    let marker = format!("lab-probe-marker-deadline-{}", std::process::id());
    lab.config(&format!("{}{}", hanging(&marker), &THREE[THREE.find("[[").expect("a table")..]));
    let begun = lab_probe::clock::instant();
    let run = lab.run(["--deadline", "2s", "--format", "json"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    let document = json(&run.stdout());
    // It had two of its ten seconds: nothing is known of it.
    assert_eq!(target(&document, "hangs")["facts"], serde_json::Value::Null);
    assert_eq!(target(&document, "hangs")["outcome"], "timed_out");
    assert_eq!(target(&document, "good")["verdict"], "up");
    assert!(textfile(&lab).contains("\nlab_probe_deadline_exceeded 1\n"));
    assert_eq!(alive(&marker), Vec::<String>::new());
}

/// Starts a pass that hangs, and waits until its script runs.
fn hung_pass(lab: &Lab, marker: &str) -> Child {
    lab.config(&hanging(marker));
    let child = lab.command(["--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    until("the script runs", || !alive(marker).is_empty());
    child
}

#[test]
fn a_second_pass_is_told_at_once_that_another_one_holds_the_lock() {
    let lab = Lab::new();
    let marker = format!("lab-probe-marker-lock-{}", std::process::id());
    let mut first = hung_pass(&lab, &marker);
    let begun = lab_probe::clock::instant();
    let second = lab.run(["--once"]).expect_code(75);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(second.stderr().contains("another pass"), "{}", second.stderr());
    let waited = lab.run(["check", "--wait", "100ms"]).expect_code(75);
    assert!(waited.stderr().contains(&format!("process {},", first.id())), "{}", waited.stderr());
    lab.config(THREE);
    let mut waiting = lab.command(["--once", "--wait", "60s"]).stderr(Stdio::null()).spawn().expect("started");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(waiting.try_wait().expect("asked"), None, "it waits");
    first.kill().expect("killed");
    first.wait().expect("reaped");
    // Even SIGKILL of the probe leaves no child, and the lock is free.
    until("nothing is left", || alive(&marker).is_empty());
    assert_eq!(waiting.wait().expect("ended").code(), Some(0));
}

#[test]
fn a_signal_ends_the_pass_with_its_code_and_leaves_nothing() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let lab = Lab::new();
        let marker = format!("lab-probe-marker-{signal}-{}", std::process::id());
        let mut child = hung_pass(&lab, &marker);
        let sent = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        assert_eq!(child.wait().expect("reaped").code(), Some(code));
        assert_eq!(alive(&marker), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(lab.textfile_dir()).expect("listed").count(), 0);
    }
}

#[test]
fn an_output_that_fails_is_exit_1_counted_and_does_not_stop_the_rest() {
    let lab = Lab::new();
    lab.config(THREE);
    std::fs::remove_dir(lab.textfile_dir()).expect("removed");
    let run = lab.run(["--once"]).expect_code(1);
    assert!(
        run.stderr().contains("No such file or directory") && run.stderr().contains("mkdir -p"),
        "{}",
        run.stderr()
    );
    std::fs::create_dir(lab.textfile_dir()).expect("made again");
    lab.run(["--once"]).expect_code(0);
    let text = textfile(&lab);
    assert!(text.contains("lab_probe_output_failures_total{output=\"textfile\"} 1"), "{text}");
    assert!(text.contains("\nlab_probe_pass_failures_total 1\n"), "{text}");
}

#[test]
fn a_state_that_cannot_be_saved_does_not_stop_the_delivery() {
    let lab = Lab::new();
    let config = lab.config(THREE);
    let text = std::fs::read_to_string(&config).expect("config");
    let state = lab.path().join("state");
    std::fs::write(&config, text.replace(&format!("{state:?}"), "\"/proc/nowhere/state\"")).expect("written");
    let run = lab.run(["--once"]).expect_code(1);
    assert!(run.stderr().contains("/proc/nowhere/state"), "{}", run.stderr());
    assert!(textfile(&lab).contains("lab_mcp_server_health{server_name=\"good\"} 1"));
}

#[test]
fn a_damaged_state_is_set_aside_with_a_warning() {
    let lab = Lab::new();
    lab.config(THREE);
    lab.write("state/state.json", "{\"version\":1,\"created");
    let run = lab.run(["--once"]).expect_code(0);
    assert!(run.stderr().contains("state.json.damaged"), "{}", run.stderr());
    assert!(lab.path().join("state/state.json.damaged").exists());
    let mode = std::os::unix::fs::MetadataExt::mode(&lab.path().join("state/state.json").metadata().expect("saved"));
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn any_name_is_delivered_and_a_thousand_servers_are() {
    let lab = Lab::new();
    let mut config = String::from("[mcp]\ndiscover = false\n");
    let odd = ["quo\"te", "back\\slash", "new\nline", "🦀 crab", &"long".repeat(256)];
    for name in odd.iter().map(|name| (*name).to_owned()).chain((0..1000).map(|i| format!("s{i}"))) {
        let name = toml_text(&name);
        config.push_str(&format!("[[mcp.server]]\nname = {name}\nurl = \"http://127.0.0.1:9/mcp\"\n"));
    }
    lab.config(&config);
    let document = json(&lab.run(["--once", "--format", "json"]).expect_code(0).stdout());
    for name in odd {
        assert_eq!(target(&document, name)["facts"]["failure"]["reason"], "connect_failed");
    }
    lab.run(["verify", lab.textfile_dir().to_str().expect("text")]).expect_code(0);
    assert_eq!(textfile(&lab).matches("\nlab_mcp_server_health{").count(), 1005);
}

/// A TOML string with everything escaped.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[test]
fn a_timer_is_warned_of_the_same_thing_once_and_a_person_every_time() {
    let lab = Lab::new();
    lab.config(&format!(
        "{}\n",
        THREE.replace("discover = false", "discover = false\nconfig_files = [\"broken.json\"]")
    ));
    lab.write("broken.json", "{ this is no JSON");
    let pass = |journal: bool| {
        let mut command = lab.command(["--once"]);
        if journal {
            command.env("JOURNAL_STREAM", "8:1");
        }
        let output = command.output().expect("started");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8_lossy(&output.stderr).matches("broken.json").count()
    };
    assert_eq!([pass(true), pass(true), pass(false), pass(true)], [1, 0, 1, 0]);
}

#[test]
fn a_silent_server_is_down_once_it_was_idle_for_its_timeout_and_unknown_where_the_deadline_comes_before() {
    for (timeout, outcome, reason, exceeded) in
        [("30s", "timed_out", serde_json::Value::Null, "1"), ("1s", "fresh", "timeout".into(), "0")]
    {
        let lab = Lab::new();
        lab.config(&format!(
            "[mcp]\ndiscover = false\ntimeout = {timeout:?}\n[[mcp.server]]\nname = \"silent\"\ncommand = \"sleep\"\nargs = [\"600\"]\n"
        ));
        let document = json(&lab.run(["--deadline", "4s", "--format", "json"]).expect_code(0).stdout());
        let silent = target(&document, "silent");
        assert_eq!((&silent["outcome"], &silent["facts"]["failure"]["reason"]), (&outcome.into(), &reason));
        assert!(textfile(&lab).contains(&format!("\nlab_probe_deadline_exceeded {exceeded}\n")));
    }
}

#[test]
fn the_line_of_a_pass_stays_readable_with_no_target_with_one_and_with_many_in_trouble() {
    let lab = Lab::new();
    let line = |rest: &str| {
        let config = lab.config(&format!("[mcp]\ndiscover = false\n{rest}"));
        lab.run(["--config", config.to_str().expect("text"), "--once"]).expect_code(0).stderr()
    };
    assert!(line("").contains("0 targets; "), "{}", line(""));
    let down = |n: usize| format!("[[service]]\nname = \"s{n:02}\"\ntcp = \"127.0.0.1:1\"\n");
    let one = line(&down(0));
    assert!(one.contains("1 target: 1 fresh; trouble: service/s00 (down); "), "{one}");
    let many = line(&(0..25).map(down).collect::<String>());
    assert!(many.contains("service/s19 (down) and 5 more; "), "{many}");
    assert!(!many.contains("service/s20"), "{many}");
}
