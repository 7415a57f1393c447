//! `[output.heartbeat]`: what a dead man's switch is told of passes.

use std::time::Duration;

use lab_probe::clock;

use crate::harness::Lab;
use crate::harness::http::{Fake, Seen, answer};

/// A switch that takes every ping.
fn switch() -> Fake {
    Fake::serve(|_, stream| answer(stream, "200 OK", &[], b"OK"))
}

fn config(lab: &Lab, url: &str) {
    lab.config(&format!("[mcp]\ndiscover = false\n[output.heartbeat]\nurl = \"{url}\"\n"));
}

fn targets(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|ping| ping.target.as_str()).collect()
}

#[test]
fn a_pass_tells_that_it_begins_and_that_it_ended_well() {
    let (lab, switch) = (Lab::new(), switch());
    config(&lab, &switch.url("/ping/s3cr3t-id"));
    let run = lab.run(["--once", "--format", "none"]).expect_code(0);
    assert_eq!(targets(&switch.seen()), ["/ping/s3cr3t-id/start", "/ping/s3cr3t-id"]);
    assert!(run.stderr().contains("heartbeat: http://127.0.0.1"), "{}", run.stderr());
    for shown in [&["config", "show"][..], &["--once", "--format", "json"], &["doctor"], &["--once", "--verbose"]] {
        let run = lab.run(shown.iter().copied());
        assert!(!run.stdout().contains("s3cr3t-id") && !run.stderr().contains("s3cr3t-id"), "{shown:?}");
    }
    let before = switch.seen().len();
    lab.run(["--once", "--dry-run"]).expect_code(0);
    lab.run(["check"]);
    assert_eq!(switch.seen().len(), before, "nothing is delivered, so nothing is told");
}

#[test]
fn a_pass_that_did_not_deliver_tells_what_is_wrong() {
    let (lab, switch) = (Lab::new(), switch());
    config(&lab, &switch.url("/id?rid=1"));
    lab.run(["--once", "--textfile-dir", "/nowhere"]).expect_code(1);
    let seen = switch.seen();
    assert_eq!(targets(&seen), ["/id/start?rid=1", "/id/fail?rid=1"]);
    assert!(String::from_utf8_lossy(&seen[1].body).contains("/nowhere"), "{seen:?}");
}

#[test]
fn a_state_that_cannot_be_saved_is_told_too() {
    let (lab, switch) = (Lab::new(), switch());
    config(&lab, &switch.url("/id"));
    lab.run(["--once"]).expect_code(0);
    let state = lab.path().join("state/state.json");
    std::fs::remove_file(&state).expect("removed");
    // Neither it nor what it would be set aside as can be replaced.
    for name in ["state.json", "state.json.damaged"] {
        std::fs::create_dir_all(state.with_file_name(name).join("in the way")).expect("a directory");
    }
    lab.run(["--once"]).expect_code(1);
    assert_eq!(targets(&switch.seen()).last(), Some(&"/id/fail"));
}

#[test]
fn a_switch_that_takes_nothing_costs_the_pass_its_exit_code_and_nothing_else() {
    let unknown = Fake::serve(|_, stream| answer(stream, "200 OK", &[], b"OK (not found)"));
    let refusing = Fake::serve(|_, stream| answer(stream, "404 Not Found", &[], b"not found"));
    let silent = Fake::raw(|stream| {
        let mut into = [0; 1024];
        while stream.read(&mut into).is_ok_and(|amount| amount > 0) {}
    });
    for (switch, why) in
        [(unknown, "the service knows no such check"), (refusing, "HTTP 404"), (silent, "no time left")]
    {
        let lab = Lab::new();
        config(&lab, &switch.url("/s3cr3t-id"));
        let began = clock::instant();
        let run = lab.run(["--once"]).expect_code(1);
        assert!(began.elapsed() < Duration::from_secs(60), "{why}: {:?}", began.elapsed());
        assert!(run.stderr().contains(why) && !run.stderr().contains("s3cr3t-id"), "{why}: {}", run.stderr());
        let textfile = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
        assert!(textfile.contains("lab_probe_output_failures_total{output=\"heartbeat\"} 0"), "{textfile}");
        lab.run(["--once"]);
        let textfile = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
        assert!(textfile.contains("lab_probe_output_failures_total{output=\"heartbeat\"} 1"), "{why}: counted");
    }
}
