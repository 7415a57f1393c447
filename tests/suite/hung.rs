//! File systems that do not answer: the pass delivers the rest in time, and later ones leave them alone and say so.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab_probe::clock;

use crate::harness::git::{git, repository};
use crate::harness::{Lab, Run};

/// Mounts a file system at `$1`, in a mount namespace of its own, and runs the rest: FUSE (fuse(4)) without a daemon, so
/// that whoever asks for a file there waits until the last process with its descriptor has ended.
const HUNG: &str = "place=$1; shift; exec 3<>/dev/fuse && \
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung \"$place\" && exec \"$@\"";

const DEADLINE: Duration = Duration::from_secs(10);

/// Lets whoever opens the file `$2` wait for ever: a FIFO `$1` without a writer in its place.
const SILENT: &str = "mkfifo \"$1\" && mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";

/// A command while the file system at `place` hangs.
fn hanging(lab: &Lab, place: &str, args: &[&str]) -> Run {
    in_namespace(lab, HUNG, &[lab.path().join(place)], args)
}

/// A command while the user database, or that of groups, does not answer.
fn without_answer(lab: &Lab, database: &str, args: &[&str]) -> Run {
    let _ = std::fs::remove_file(lab.path().join("fifo"));
    in_namespace(lab, SILENT, &[lab.path().join("fifo"), database.into()], args)
}

fn in_namespace(lab: &Lab, script: &str, arguments: &[PathBuf], args: &[&str]) -> Run {
    let mut command: Command = lab.program("unshare");
    let is_root = rustix::process::geteuid().is_root();
    command.args([if is_root { "--mount" } else { "--map-root-user" }, "--mount"]);
    // As the system unit gives one: what is started has to give it up.
    command.args(if is_root { &["setpriv", "--groups", "54321"][..] } else { &[] });
    command.args(["sh", "-c", script, "sh"]).args(arguments);
    command.args(["timeout", "--signal=KILL", "120", env!("CARGO_BIN_EXE_lab-probe")]).args(args);
    Run(command.output().expect("unshare (util-linux) and timeout are installed"))
}

/// A pass while the file system at `place` hangs.
fn pass(lab: &Lab, place: &str) -> Run {
    let begun = clock::instant();
    let run = hanging(lab, place, &["--once", "--format", "json", "--deadline", "10s"]);
    assert!(run.code() < Some(2), "{}", run.stderr());
    // The machine may be slow to start all this.
    assert!(begun.elapsed() < DEADLINE * 2, "{place}: {:?}", begun.elapsed());
    run
}

fn lab() -> Lab {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "../tree"]);
    let trail = "{\"timestamp\":\"2026-11-29T10:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\"}\n";
    lab.write("thunes/logs/audit_trail.jsonl", trail);
    std::fs::create_dir_all(lab.path().join("server")).expect("a directory");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"server\"\nhealth_command = [\"true\"]\ncwd = {:?}\nttl = \"0s\"\n\
         [worktree]\nrepos = [{main:?}]\nidle_ttl = \"0s\"\n\
         [[thunes]]\nenvironment = \"live\"\nroot = {:?}\n\
         [[service]]\nname = \"closed\"\ntcp = \"127.0.0.1:1\"\nttl = \"0s\"\n",
        lab.path().join("server"),
        lab.path().join("thunes"),
    ));
    lab
}

/// The delivered value of a series.
fn delivered(lab: &Lab, series: &str) -> Option<f64> {
    let text = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

const KILL_SWITCH: &str = "thunes_kill_switch_active{environment=\"live\"}";
const ERROR: &str = "lab_probe_targets{kind=\"KIND\",result=\"error\"}";

/// What of `place` is there while it answers, and that it is not while it does not; the rest is delivered all the same.
fn comes_back(place: &str, kind: &str, series: &str) {
    let lab = lab();
    lab.run(["--once"]).expect_code(0);
    let before = delivered(&lab, series).expect(series);
    let at = |lab: &Lab| delivered(lab, "lab_probe_last_pass_timestamp_seconds").expect("a time");
    let first = at(&lab);
    pass(&lab, place).expect_code(0);
    assert!(at(&lab) > first && delivered(&lab, "lab_service_up{service_name=\"closed\"}") == Some(0.0));
    let run = pass(&lab, place).expect_code(0);
    assert_eq!(delivered(&lab, &ERROR.replace("KIND", kind)), Some(1.0), "{}", run.stdout());
    assert_eq!(delivered(&lab, "lab_probe_deadline_exceeded"), Some(0.0));
    assert!(run.stdout().contains("its files do not answer"), "{}", run.stdout());
    let during = delivered(&lab, series);
    assert!(during.is_none() || during == Some(0.0) && series.starts_with("lab_worktree_up"), "{during:?}");
    lab.run(["--once"]).expect_code(0);
    assert_eq!(delivered(&lab, series), Some(before), "it answers again");
}

#[test]
fn a_thunes_root_that_hangs_is_absent_until_it_answers() {
    comes_back("thunes", "thunes", KILL_SWITCH);
}

#[test]
fn a_worktree_that_hangs_costs_itself_and_not_its_repository() {
    comes_back("tree", "worktree", "lab_worktree_status{worktree_name=\"tree\"}");
    comes_back("LAB", "worktree", "lab_worktree_up{worktree_name=\"main\"}");
}

#[test]
fn a_server_whose_directory_hangs_is_not_called_down() {
    let lab = lab();
    let health = "lab_mcp_server_health{server_name=\"server\"}";
    lab.run(["--once"]).expect_code(0);
    for _ in 0..2 {
        pass(&lab, "server").expect_code(0);
        assert_eq!(delivered(&lab, health), Some(1.0), "as remembered");
    }
    assert_eq!(delivered(&lab, &ERROR.replace("KIND", "mcp")), Some(1.0));
}

#[test]
fn a_directory_of_textfiles_that_hangs_fails_its_delivery_and_nothing_else() {
    let lab = lab();
    lab.run(["--once"]).expect_code(0);
    for _ in 0..2 {
        let run = pass(&lab, "textfile").expect_code(1);
        assert!(run.stderr().contains("textfile does not answer"), "{}", run.stderr());
        let document: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON");
        assert_eq!(document["deadline_exceeded"], false);
    }
    let run = hanging(&lab, "textfile", &["withdraw"]).expect_code(1);
    assert!(run.stderr().contains("textfile does not answer"), "{}", run.stderr());
    lab.run(["--once"]).expect_code(0);
    assert_eq!(delivered(&lab, "lab_probe_output_failures_total{output=\"textfile\"}"), Some(2.0), "state was saved");
}

#[test]
fn a_textfile_beside_ours_that_hangs_costs_no_delivery() {
    let lab = lab();
    let beside = lab.textfile_dir().join("beside.prom");
    std::os::unix::fs::symlink(lab.path().join("server/beside.prom"), beside).expect("a link");
    lab.run(["--once"]).expect_code(0);
    pass(&lab, "server").expect_code(0);
    assert_eq!(delivered(&lab, "lab_probe_output_failures_total{output=\"textfile\"}"), Some(0.0));
    let state = std::fs::read(lab.path().join("state/state.json")).expect("saved");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    let is_noted = |file: &std::path::Path| state["hung"].get(file.to_str().expect("text")).is_some();
    assert!(is_noted(&lab.textfile_dir().join("lab-probe.prom")), "{}", state["hung"]);
    assert!(!is_noted(&lab.textfile_dir()), "the next pass would not deliver");
}

#[test]
fn doctor_says_which_place_hangs_and_judges_the_rest() {
    let lab = lab();
    lab.run(["--once"]).expect_code(0);
    for place in ["state", "textfile"] {
        let begun = clock::instant();
        let run = hanging(&lab, place, &["doctor", "--format", "json"]).expect_code(1);
        assert!(begun.elapsed() < Duration::from_secs(60), "{place}: {:?}", begun.elapsed());
        let document: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON");
        let checks = document["checks"].as_array().expect("checks");
        let of = |link: &str| checks.iter().filter(|check| check["link"] == link).cloned().collect::<Vec<_>>();
        let failing: Vec<String> = checks
            .iter()
            .filter(|check| check["status"] == "fail")
            .map(|check| check["evidence"].to_string())
            .collect();
        assert!(failing.iter().any(|evidence| evidence.contains("does not answer")), "{place}: {document:#}");
        if place == "textfile" {
            let links = ["state", "node_exporter", "grafana", "clients"];
            assert!(links.iter().all(|link| !of(link).is_empty()), "{document:#}");
            assert!(of("node_exporter").iter().all(|check| check["status"] == "warn"), "{document:#}");
        }
    }
}

#[test]
fn a_state_directory_that_hangs_ends_the_pass_and_leaves_the_last_delivery() {
    let lab = lab();
    lab.run(["--once"]).expect_code(0);
    let begun = clock::instant();
    let run = hanging(&lab, "state", &["--once", "--deadline", "3s"]).expect_code(1);
    assert!(run.stderr().contains("does not answer"), "{}", run.stderr());
    assert!(begun.elapsed() < DEADLINE * 2, "{:?}", begun.elapsed());
    assert_eq!(delivered(&lab, KILL_SWITCH), Some(1.0));
    for command in ["status", "list"] {
        let run = hanging(&lab, "state", &[command]).expect_code(1);
        assert!(run.stderr().contains("does not answer"), "{command}: {}", run.stderr());
    }
    lab.run(["--once"]).expect_code(0);
}

#[test]
fn a_user_database_that_does_not_answer_keeps_neither_doctor_nor_a_pass_from_ending() {
    let lab = lab();
    for database in ["/etc/passwd", "/etc/group"] {
        let run = without_answer(&lab, database, &["doctor", "--format", "json"]);
        assert!(run.code() < Some(2), "{database}: {}", run.stderr());
        let document: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON");
        let timer = document["checks"].as_array().expect("checks").iter().find(|check| check["link"] == "timer");
        let evidence = timer.expect("judged")["evidence"].as_str().expect("a sentence").to_owned();
        assert_eq!(evidence.contains("the user database does not answer"), database == "/etc/passwd", "{evidence}");
        // Longer than the server's timeout: what could not be started has not been idle.
        without_answer(&lab, database, &["--once", "--deadline", "15s"]).expect_code(0);
        assert_eq!(delivered(&lab, "lab_mcp_server_health{server_name=\"server\"}"), None);
    }
}
