//! Every command, driven into each way in which it can fail, says what failed and then what to do.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::git::repository;
use crate::harness::{Lab, Run};

/// The run failed with this code, named what failed with this text, and said what to do in a line of its own.
#[track_caller]
fn hinted(run: Run, code: i32, what: &str) {
    let run = run.expect_code(code);
    let stderr = run.stderr();
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.iter().any(|line| line.contains(what)), "{what:?} is not said in\n{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let answered =
        |pair: &[&str]| pair[0].starts_with("error: ") && pair[1].starts_with("hint: ") && pair[1].len() > 16;
    assert!(lines.windows(2).any(answered), "no hint follows the error:\n{stderr}");
}

/// A delivery that failed says both in its one line, as in the JSON document.
#[track_caller]
fn told_in_one_line(run: Run, what: &str, hint: &str) {
    let run = run.expect_code(1);
    let stderr = run.stderr();
    assert!(
        stderr
            .lines()
            .any(|line| line.starts_with("error: ") && line.contains(what) && line.contains(&format!("; {hint}"))),
        "no line has {what:?} and {hint:?}:\n{stderr}"
    );
}

/// A LAB with one worktree of a repository and one server behind a closed port.
fn lab() -> Lab {
    let lab = Lab::new();
    repository(&lab, "repo");
    lab.config("[mcp]\ndiscover = false\n[worktree]\nrepos = []\n[[mcp.server]]\nname = \"one\"\nurl = \"http://127.0.0.1:1/\"\n");
    lab
}

/// Every command that reads the configuration, as it would be called.
const READING: &[&[&str]] = &[
    &["--once"],
    &["check"],
    &["list"],
    &["config", "check"],
    &["config", "show"],
    &["trust", ".mcp.json"],
    &["withdraw"],
    &["report", "--html", "-"],
    &["summary"],
];

#[test]
fn a_configuration_that_cannot_be_used_ends_every_command_with_what_to_do() {
    let lab = lab();
    lab.write("wrong.toml", "[mcp]\nttl = 5\n");
    for command in READING {
        hinted(lab.run([&["-c", "wrong.toml"], *command].concat()), 2, "wrong.toml:2:7");
        hinted(lab.run([&["-c", "gone.toml"], *command].concat()), 2, "gone.toml: no such file");
    }
    let doctor = lab.run(["-c", "wrong.toml", "doctor"]).expect_code(1).stdout();
    assert!(doctor.contains("lab-probe config check"), "{doctor}");
}

#[test]
fn a_worktree_that_cannot_be_asked_for_want_of_git_says_to_install_it() {
    let lab = Lab::new();
    let repository = repository(&lab, "repo");
    lab.config(&format!("[mcp]\ndiscover = false\n[worktree]\nrepos = [{repository:?}]\n"));
    let mut command = lab.command(["check"]);
    let table = Run(command.env("PATH", lab.path()).output().expect("lab-probe starts")).expect_code(1).stdout();
    assert!(table.contains("no executable \"git\"") && table.contains("→ install git, or extend PATH"), "{table}");
}

#[test]
fn bad_usage_says_where_the_right_form_stands() {
    let lab = lab();
    for args in [
        &["--frsh"][..],
        &["chek"],
        &["--only", "mpc"],
        &["--deadline", "25"],
        &["--deadline", "0s"],
        &["check", "--deadline", "0s"],
        &["check", "--once"],
    ] {
        let run = lab.run(args).expect_code(2);
        assert!(run.stderr().contains("--help"), "{args:?}: {}", run.stderr());
    }
    hinted(lab.run(["--pushgateway", "127.0.0.1:9091"]), 2, "--pushgateway");
    hinted(lab.run(["check", "on"]), 2, "no target is called \"on\"");
    hinted(
        lab.run(["check", "--only", "worktree,service", "one"]),
        2,
        "no target of kind worktree, service is called \"one\": it is mcp/one",
    );
    hinted(lab.run(["explain", "time_out"]), 2, "did you mean \"timeout\"?");
}

#[test]
fn what_the_file_system_refuses_says_what_to_do_there() {
    let lab = lab();
    lab.write("file", "");
    hinted(lab.run(["report", "--html", "nowhere/page.html"]), 1, "cannot write nowhere/page.html");
    hinted(lab.run(["report", "--html", "home"]), 1, "cannot write home");
    hinted(lab.run(["config", "init", "file"]), 1, "file is there already");
    hinted(lab.run(["config", "init", "file/c.toml"]), 1, "cannot write file/c.toml");
    fs::create_dir_all(lab.path().join("state/history/2026-01-02.jsonl")).expect("a directory");
    hinted(lab.run(["summary", "--date", "2026-01-02"]), 1, "cannot read the history");
    hinted(lab.run(["trust", "gone/.mcp.json"]), 2, "gone/.mcp.json");
    hinted(lab.run(["trust", "file"]), 2, "no client reads a file of this name");
    lab.write("repo/.mcp.json", "{\"mcpServers\": {}}");
    fs::create_dir(lab.path().join("state/trust.json")).expect("a directory");
    fs::write(lab.path().join("state/trust.json.damaged"), "").expect("a file");
    hinted(lab.run(["trust", "repo/.mcp.json"]), 1, "nothing new is trusted");
}

#[test]
fn a_state_directory_that_is_none_says_what_to_do() {
    let lab = lab();
    fs::remove_dir(lab.path().join("state")).expect("removed");
    lab.write("state", "");
    hinted(lab.run(["--once"]), 1, "the state directory cannot be used");
    hinted(lab.run(["check"]), 1, "the state directory cannot be used");
    let doctor = lab.run(["doctor"]).expect_code(1).stdout();
    assert!(doctor.contains("is no directory"), "{doctor}");
    let recorded = lab.run(["record", "-C", "repo", "--", "true"]).expect_code(0);
    assert!(recorded.stderr().contains("not recorded: cannot write below"), "{}", recorded.stderr());
    assert!(recorded.stderr().contains("; "), "{}", recorded.stderr());
}

#[test]
fn a_pass_beside_another_says_when_to_try_again() {
    let lab = lab();
    let _lock = lab_probe::state::lock::take(&lab.path().join("state")).expect("the lock");
    for command in [&["--once"][..], &["check"], &["withdraw"]] {
        hinted(lab.run(command), 75, "another pass is running");
    }
}

#[test]
fn a_delivery_that_fails_says_what_to_do() {
    let lab = lab();
    told_in_one_line(lab.run(["--textfile-dir", "nowhere"]), "No such file", "make its directory (mkdir -p nowhere)");
    told_in_one_line(
        lab.run(["--textfile-dir", "lab-probe.toml"]),
        "Not a directory",
        "a part of the path is no directory: correct the path",
    );
    told_in_one_line(lab.run(["--pushgateway", "http://127.0.0.1:1"]), "pushgateway", "start the Pushgateway");
    lab.write("textfile/lab-probe.prom", "# mine\n");
    told_in_one_line(lab.run(["withdraw"]), "was not written by lab-probe", "remove it by hand");
    fs::remove_file(lab.path().join("textfile/lab-probe.prom")).expect("removed");
    fs::create_dir(lab.path().join("textfile/lab-probe.prom")).expect("a directory");
    told_in_one_line(lab.run(["withdraw"]), "no regular file", "move it away");
    told_in_one_line(lab.run(["--once"]), "Is a directory", "name a file, or move the directory away");
    let doctor = lab.run(["doctor"]).expect_code(1).stdout();
    assert!(doctor.contains("lab-probe.prom is no regular file") && !doctor.contains("was delivered"), "{doctor}");
    lab.config("[output.pushgateway]\nurl = \"${GATEWAY_OF_NOBODY}\"\n");
    told_in_one_line(lab.run(["--once"]), "GATEWAY_OF_NOBODY", "correct the setting");
}

#[test]
fn the_report_that_cannot_be_sent_says_what_to_do() {
    let lab = lab();
    let send = ["summary", "--send", "telegram"];
    hinted(lab.run(send), 2, "no bot token");
    lab.config("[telegram]\ntoken_file = \"token\"\napi_url = \"http://127.0.0.1:1\"\n");
    hinted(lab.run(send), 1, "cannot read");
    lab.write("token", "two words\n");
    hinted(lab.run(send), 2, "does not hold one line of text");
    lab.write("token", "1:secret\n");
    hinted(lab.run(send), 2, "no chat");
    lab.config("[telegram]\ntoken_file = \"token\"\nchat_id = \"-1\"\napi_url = \"ftp://127.0.0.1:1\"\n");
    let refused = lab.run(send);
    assert!(!refused.stderr().contains("1:secret"), "{}", refused.stderr());
    hinted(refused, 2, "api_url");
    lab.config("[telegram]\ntoken_file = \"token\"\nchat_id = \"-1\"\napi_url = \"http://127.0.0.1:1\"\n");
    fs::create_dir_all(lab.path().join("state/history/sent.json")).expect("a directory");
    hinted(lab.run(send), 1, "nothing is sent");
}

#[test]
fn commands_about_a_worktree_say_what_to_do_outside_of_one() {
    let lab = lab();
    hinted(lab.run(["worktree", "show", "-C", "home"]), 2, "home");
    hinted(lab.run(["worktree", "set", "-C", "repo", "status=done"]), 2, "valid are");
    hinted(lab.run(["worktree", "set", "-C", "repo", "status"]), 2, "no KEY=VALUE");
    fs::write(lab.path().join("repo/.worktree"), b"# caf\xe9\n").expect("a file");
    hinted(lab.run(["worktree", "set", "-C", "repo", "status=blocked"]), 1, ".worktree:1 is not UTF-8");
    assert_eq!(lab.run(["worktree", "show", "-C", "repo"]).expect_code(0).stdout(), "# caf\u{fffd}\n");
    fs::remove_file(lab.path().join("repo/.worktree")).expect("removed");
    fs::create_dir(lab.path().join("repo/.worktree")).expect("a directory");
    hinted(lab.run(["worktree", "set", "-C", "repo", "status=blocked"]), 1, ".worktree");
    let outside = lab.run(["record", "-C", "home", "--", "true"]).expect_code(0);
    assert!(outside.stderr().contains("; run it in a git worktree"), "{}", outside.stderr());
    hinted(lab.run(["record", "-C", "repo", "--", "no-such-program"]), 127, "cannot start");
    lab.write("repo/plain", "");
    hinted(lab.run(["record", "-C", "repo", "--", "./plain"]), 126, "cannot start");
}

#[test]
fn a_full_standard_output_says_what_to_do() {
    let lab = lab();
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    for command in [&["metrics"][..], &["explain", "timeout"], &["list"], &["doctor"], &["man"], &["config", "show"]] {
        let mut started: Command = lab.command(command);
        let run = Run(started
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|c| c.wait_with_output())
            .expect("a run"));
        hinted(run, 1, "standard output");
    }
}

#[test]
fn verify_says_what_to_do_about_a_file_that_is_not_there() {
    let said = lab().run(["verify", "gone.prom"]).expect_code(1).stdout();
    assert!(said.contains("gone.prom") && said.contains("correct the path"), "{said}");
}
