//! The wall clock is set back a day and forward a year, and the machine suspended for hours, between passes and within
//! one. A preloaded library moves what the probe sees of the clock; nothing of the machine is changed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use lab_probe::clock;
use rustix::process::{Pid, Signal, kill_process};

use super::compiled;
use super::scene::Scene;
use crate::harness::git::repository;
use crate::harness::player::player;
use crate::harness::{Lab, Run};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Gives a command a wall clock that is `seconds` off.
pub(crate) fn moved(mut command: Command, seconds: i64) -> Command {
    static LIBRARY: OnceLock<std::path::PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| compiled("moved_clock.c", &["-shared", "-fPIC"]));
    command.env("LD_PRELOAD", library).env("CLOCK_MOVED_BY", seconds.to_string());
    command
}

/// The same, and `then` seconds off once it has run for `after`.
fn moving(command: Command, after: Duration, then: i64) -> Command {
    let mut command = moved(command, 0);
    command.env("CLOCK_MOVES_AFTER_MS", after.as_millis().to_string()).env("CLOCK_MOVED_THEN", then.to_string());
    command
}

fn now() -> f64 {
    clock::unix_seconds(clock::now())
}

/// A script that leaves a line in `count` for each time it is started.
fn counted(lab: &Lab) -> String {
    let count = lab.path().join("count");
    format!(
        "[mcp]\ndiscover = false\nttl = \"5m\"\n[[mcp.server]]\nname = \"counted\"\n\
         health_command = [\"sh\", \"-c\", \"echo >>$0\", {count:?}]\n"
    )
}

fn runs(lab: &Lab) -> usize {
    std::fs::read_to_string(lab.path().join("count")).expect("a count").lines().count()
}

#[test]
fn a_clock_that_was_wrong_does_not_keep_an_answer_and_costs_no_line() {
    let mut scene = Scene::with(counted, &[("lab_mcp_server_health{server_name=\"counted\"}", "1")]);
    let steps = [
        (0, false),
        // Set back a day: what is remembered is of the future, but only once.
        (-DAY, true),
        (-DAY, false),
        (0, true),
        (0, false),
        // A clock that is adjusted by moments disturbs nothing.
        (-2, false),
        (YEAR, true),
        (YEAR, false),
        (0, true),
        (0, false),
        // Suspended.
        (6 * HOUR, true),
        (0, true),
    ];
    for (seconds, checked_anew) in steps {
        let when = format!("the clock moved by {seconds} s");
        scene.append();
        let before = runs(&scene.lab);
        scene.assert_pass_is_normal(moved(scene.command(["--once"]), seconds), &when);
        assert_eq!(runs(&scene.lab) > before, checked_anew, "{when}");
        let pass = scene.value("lab_probe_last_pass_timestamp_seconds");
        assert!((pass - now() - seconds as f64).abs() < 120.0, "{when}: the pass says {pass}");
        let checked = scene.value("lab_mcp_server_checked_timestamp_seconds{server_name=\"counted\"}");
        assert!(checked <= pass + 5.0, "{when}: checked at {checked}, after the pass at {pass}");
        assert!(scene.value("lab_probe_pass_duration_seconds") < 30.0, "{when}");
    }
    assert_reports_are_sane(&scene);
    super::report(&format!("{} passes under five clocks", steps.len()));
}

/// The days that all those clocks have left in the history, and every command that shows a time.
fn assert_reports_are_sane(scene: &Scene) {
    let mut passes = 0;
    for seconds in [-DAY, 0, YEAR] {
        let at = clock::now().checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time");
        let day = at.strftime("%Y-%m-%d").to_string();
        let run = Run(scene.command(["summary", "--format", "json", "--date", &day]).output().expect("a summary"));
        let summary: serde_json::Value = serde_json::from_str(&run.expect_code(0).stdout()).expect("JSON");
        passes += summary["passes"].as_u64().expect("a number");
        let unwatched = summary["unwatched_seconds"].as_f64().expect("a number");
        assert!((0.0..=DAY as f64).contains(&unwatched), "{day}: {summary}");
    }
    // Each pass in exactly one day; six hours on may be tomorrow.
    assert!((11..=14).contains(&passes), "{passes} passes in the history");
    for seconds in [-YEAR, -DAY, 0, YEAR] {
        for command in [["list", "--format", "table"], ["summary", "--format", "text"], ["report", "--html", "x.html"]]
        {
            let run = Run(moved(scene.command(command), seconds).output().expect("a command"));
            let said = run.expect_code(0).stdout();
            assert!(!said.contains("-1 ") && !said.contains(" -31536000"), "{command:?} {seconds}: {said}");
        }
        let doctor = Run(moved(scene.command(["doctor"]), seconds).output().expect("a doctor"));
        assert!(matches!(doctor.code(), Some(0 | 1)), "{}", doctor.stderr());
    }
}

#[test]
fn what_is_no_longer_configured_is_forgotten_though_it_was_seen_in_the_future() {
    let scene = Scene::with(counted, &[]);
    let pass = |seconds| Run(moved(scene.command(["--once"]), seconds).output().expect("a pass")).expect_code(0);
    let known = || scene.state("later").targets.contains_key("mcp/counted");
    pass(YEAR);
    scene.reconfigure("[mcp]\ndiscover = false\n");
    pass(0);
    assert!(known(), "forgotten at once");
    pass(13 * DAY);
    assert!(known(), "forgotten too early");
    pass(15 * DAY);
    assert!(!known(), "kept for ever");
}

/// A server that takes its time to begin.
fn slow(_: &Lab) -> String {
    let server = format!("\"-c\", \"sleep 0.7; exec \\\"$0\\\" legacy\", {:?}", player());
    format!(
        "[mcp]\ndiscover = false\nttl = \"0s\"\nretry_after = \"0s\"\n[[mcp.server]]\nname = \"slow\"\n\
         command = \"sh\"\nargs = [{server}]\n"
    )
}

const SLOW_IS_UP: (&str, &str) = ("lab_mcp_server_health{server_name=\"slow\"}", "1");

#[test]
fn a_clock_that_jumps_within_a_pass_changes_no_verdict_and_no_duration() {
    let mut scene = Scene::with(slow, &[SLOW_IS_UP]);
    for seconds in [-DAY, 6 * HOUR, YEAR, -50 * YEAR] {
        let when = format!("the clock jumped by {seconds} s within the pass");
        scene.append();
        scene.assert_pass_is_normal(moving(scene.command(["--once"]), Duration::from_millis(300), seconds), &when);
        for series in ["lab_probe_pass_duration_seconds", "lab_mcp_server_handshake_seconds{server_name=\"slow\"}"] {
            let duration = scene.value(series);
            assert!((0.3..30.0).contains(&duration), "{when}: {series} {duration}");
        }
    }
}

#[test]
fn a_clock_that_jumps_back_does_not_put_the_deadline_off() {
    let scene = Scene::small();
    scene.reconfigure(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"hangs\"\ncommand = \"sh\"\nargs = [\"-c\", \"sleep 600\"]\n",
    );
    for seconds in [-DAY, YEAR] {
        let pass = scene.command(["--once", "--fresh", "--deadline", "2s"]);
        let mut child = moving(pass, Duration::from_millis(300), seconds);
        let mut child = child.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("a pass");
        let begun = clock::instant();
        while child.try_wait().expect("waited for").is_none() {
            if begun.elapsed() > Duration::from_secs(30) {
                let _ = child.kill();
                panic!("the deadline of two seconds is long over");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(begun.elapsed() > Duration::from_millis(900), "cut short by the jump");
        assert_eq!(scene.value("lab_probe_deadline_exceeded"), 1.0);
        scene.assert_nobody_is_left("after the deadline");
    }
}

/// Suspended with everything else, a pass finds on waking that the wall clock has moved and the monotonic one has not;
/// stopped alone, as here, that both have: its deadline is over, and it ends by that.
#[test]
fn a_pass_stopped_beyond_its_deadline_delivers_what_it_has_when_it_wakes() {
    let mut scene = Scene::with(slow, &[SLOW_IS_UP]);
    scene.append();
    let before = scene.value("lab_probe_last_pass_timestamp_seconds");
    let mut pass = scene.command(["--once", "--deadline", "1s"]);
    let mut pass = pass.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("a pass");
    let pid = Pid::from_child(&pass);
    std::thread::sleep(Duration::from_millis(250));
    kill_process(pid, Signal::STOP).expect("stopped");
    std::thread::sleep(Duration::from_secs(2));
    kill_process(pid, Signal::CONT).expect("woken");
    assert!(pass.wait().expect("ended").success());
    assert!(scene.value("lab_probe_last_pass_timestamp_seconds") > before, "nothing was delivered");
    scene.assert_sound("after waking");
    scene.assert_nobody_is_left("after waking");
    scene.assert_next_pass_is_normal("after that");
}

const PASSED: &str = "<testsuite name=\"t\" tests=\"1\" failures=\"0\"><testcase name=\"a\"/></testsuite>";

#[test]
fn a_verdict_of_the_future_does_not_outlast_newer_ones() {
    let lab = Lab::new();
    let repo = repository(&lab, "repo");
    lab.write("repo/.gitignore", "junit.xml\n");
    lab.config(&format!("[mcp]\ndiscover = false\n[worktree]\nrepos = [{repo:?}]\n"));
    let record = |seconds: i64, command: &str| {
        let mut record = lab.command(["record", "-C", "repo", "--", command]);
        record.env("GIT_CONFIG_NOSYSTEM", "1");
        moved(record, seconds).status().expect("a run");
    };
    let tests = || {
        lab.run(["--once"]).expect_code(0);
        let text = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile");
        let line = text.lines().find(|line| line.starts_with("lab_worktree_test_status{")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next().map(str::to_owned)).unwrap_or_default()
    };
    record(YEAR, "false");
    assert_eq!(tests(), "2", "failing, by the only verdict there is");
    report_of_a_run(&repo);
    assert_eq!(tests(), "1", "the report is newer than a time that has not come yet");
    record(0, "false");
    assert_eq!(tests(), "2", "the last run");
    record(YEAR, "false");
    record(0, "true");
    assert_eq!(tests(), "1", "the last run, though one of the future is known");
}

fn report_of_a_run(repo: &Path) {
    std::fs::write(repo.join("junit.xml"), PASSED).expect("a report");
}
