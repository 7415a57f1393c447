//! `record`: transparent, visible while it lives, and a verdict that expires by content.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::harness::Lab;
use crate::harness::git::{commit, git, pass, repository, wall_clock, watch};

fn pair(status: &str, source: &str) -> (String, String) {
    (status.to_owned(), source.to_owned())
}

fn record(lab: &Lab, directory: &Path, script: &str) -> crate::harness::Run {
    lab.run(["record", "-C", directory.to_str().expect("text"), "--", "sh", "-c", script])
}

/// A recorded command that runs until its standard input is closed.
struct Running(Child);

impl Running {
    fn start(lab: &Lab, directory: &Path, script: &str) -> Running {
        // Tests that a shell has put into the background ignore an interrupt, and so would what they start.
        let mut command = lab.program("env");
        command.args(["--default-signal=HUP,INT,QUIT", env!("CARGO_BIN_EXE_lab-probe"), "record", "-C"]);
        command.arg(directory).args(["--", "sh", "-c", script]);
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
        Running(child)
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.0.id().cast_signed()).expect("a pid")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("signalled");
    }

    /// Waits until the command has said that it runs.
    fn wait_for_ready(&mut self) {
        use std::io::Read;
        let mut byte = [0];
        self.0.stdout.as_mut().expect("stdout").read_exact(&mut byte).expect("a sign of life");
    }

    fn end(mut self) -> Option<i32> {
        drop(self.0.stdin.take());
        self.0.wait().expect("ended").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn streams_exit_code_and_environment_pass_through() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    let script = "read line; echo \"out $line $VALUE\"; echo err >&2; pwd; exit 7";
    let mut child = lab
        .command(["record", "-C", main.to_str().expect("text"), "--", "sh", "-c", script, "--help"])
        .env("VALUE", "kept")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("stdin").write_all(b"hello\n").expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("out hello kept\n{}\n", main.display()));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n");
    assert_eq!(record(&lab, &main, "kill -SEGV $$").code(), Some(139));
    assert_eq!(lab.run(["record", "--", "/no/such/command"]).code(), Some(127));
    let nowhere = lab.run(["record", "-C", "/no/such/directory", "--", "true"]).expect_code(127).stderr();
    assert!(nowhere.contains("cannot run anything in /no/such/directory"), "{nowhere}");
    assert_eq!(lab.run(["record", "--", "/etc/passwd"]).code(), Some(126));
}

#[test]
fn the_verdict_expires_by_content_and_not_by_clock() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    symlink("file", main.join("link")).expect("a link");
    git(&lab, &main, &["add", "link"]);
    commit(&lab, &main, "gone", "x\n");
    watch(&lab, &[&main], "");
    assert_eq!(record(&lab, &main, "exit 1").code(), Some(1));
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("failing", "record"));
    assert!(series.value("lab_worktree_tests_duration_seconds", "main").is_some());
    assert!(series.value("lab_worktree_tested_timestamp_seconds", "main").is_some());
    std::fs::write(main.join("file"), "mended\n").expect("written");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "an edit");
    std::fs::remove_file(main.join("gone")).expect("removed");
    std::fs::remove_file(main.join("link")).expect("removed");
    symlink("elsewhere", main.join("link")).expect("another link");
    assert_eq!(record(&lab, &main, "true").code(), Some(0));
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
    git(&lab, &main, &["commit", "-q", "-a", "-m", "what was tested is committed"]);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
    let file = std::fs::File::options().write(true).open(main.join("file")).expect("opened");
    let before = file.metadata().expect("metadata").modified().expect("a time");
    file.set_modified(wall_clock()).expect("touched");
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"), "a touch");
    std::fs::write(main.join("file"), "mendex\n").expect("written");
    file.set_modified(before).expect("put back");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "an edit whose time was put back");
    std::fs::write(main.join("file"), "mended\n").expect("written");
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"), "the tested content is back");
    std::fs::write(main.join("untracked"), "x").expect("written");
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"), "nothing tracked has changed");
    commit(&lab, &main, "other", "x\n");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "another commit");
}

#[test]
fn counts_come_from_the_report_that_the_command_left() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    lab.write("LAB/old/junit.xml", "<testsuite><testcase><failure/></testcase></testsuite>");
    std::thread::sleep(Duration::from_millis(20));
    let xml = "<testsuite><testcase/><testcase/><testcase><skipped/></testcase></testsuite>";
    record(&lab, &main, &format!("echo '{xml}' > junit.xml")).expect_code(0);
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("passing", "record"));
    assert_eq!(series.counts("main"), Some((2.0, 0.0, 1.0)));
}

#[test]
fn a_run_means_testing_while_it_lives_and_no_longer_however_it_dies() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "other", "../other"]);
    let other = lab.path().join("other");
    watch(&lab, &[&main], "");
    let wait = "echo; read line";
    let mut first = Running::start(&lab, &main, wait);
    first.wait_for_ready();
    assert_eq!(pass(&lab).status("main"), pair("testing", "record"));
    assert_eq!(pass(&lab).status("other"), pair("complete", "clean"));
    let (mut second, mut third) = (Running::start(&lab, &main, wait), Running::start(&lab, &other, wait));
    second.wait_for_ready();
    third.wait_for_ready();
    assert_eq!(first.end(), Some(1), "`read` at the end of its input");
    let series = pass(&lab);
    assert_eq!(series.status("main"), pair("testing", "record"), "two at once in one worktree");
    assert_eq!(series.status("other"), pair("testing", "record"), "two at once in two");
    // The first one's verdict is there already.
    assert_eq!(series.tests("main"), pair("failing", "record"));
    second.signal(rustix::process::Signal::KILL);
    second.0.wait().expect("killed");
    drop(third);
    let series = pass(&lab);
    assert_eq!(series.status("main"), pair("complete", "clean"));
    assert_eq!(series.status("other"), pair("complete", "clean"));
}

#[test]
fn signals_reach_the_command_and_an_interrupted_run_is_no_verdict() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    for (signal, name, code) in [
        (rustix::process::Signal::TERM, "TERM", 42),
        (rustix::process::Signal::INT, "INT", 42),
        (rustix::process::Signal::USR1, "USR1", 42),
    ] {
        let script = format!("trap 'exit 42' {name}; echo; while :; do sleep 0.05; done");
        let mut running = Running::start(&lab, &main, &script);
        running.wait_for_ready();
        running.signal(signal);
        let began = lab_probe::clock::instant();
        assert_eq!(running.0.wait().expect("ended").code(), Some(code), "{name}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let expected = if name == "USR1" { pair("failing", "record") } else { pair("unknown", "none") };
        assert_eq!(pass(&lab).tests("main"), expected, "{name}");
    }
    // Without a handler the command dies of it, and the code says so.
    let mut running = Running::start(&lab, &main, "echo; exec sleep 60");
    running.wait_for_ready();
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.0.wait().expect("ended").code(), Some(143));
}

#[test]
fn what_goes_wrong_on_our_side_never_keeps_the_command_from_running() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    lab.write("lab-probe.toml", "nonsense = true\n");
    let run = record(&lab, &main, "echo ran; exit 3");
    assert_eq!((run.code(), run.stdout().as_str()), (Some(3), "ran\n"));
    assert!(run.stderr().contains("not recorded"), "{}", run.stderr());
    watch(&lab, &[&main], "");
    let outside = record(&lab, Path::new("/"), "echo ran");
    assert_eq!((outside.code(), outside.stdout().as_str()), (Some(0), "ran\n"));
    // The state directory is private.
    record(&lab, &main, "true").expect_code(0);
    use std::os::unix::fs::PermissionsExt;
    let records = lab.path().join("state/records");
    assert_eq!(records.metadata().expect("metadata").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_hooks_environment_does_not_confuse_it() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    let config = lab.path().join("lab-probe.toml");
    let hook = format!(
        "#!/bin/sh\nexec {:?} --config {config:?} record -- sh -c 'test -n \"$GIT_INDEX_FILE\"'\n",
        env!("CARGO_BIN_EXE_lab-probe")
    );
    lab.install("LAB/.git/hooks/pre-commit", &hook);
    std::fs::write(main.join("file"), "committed\n").expect("written");
    git(&lab, &main, &["add", "file"]);
    git(&lab, &main, &["commit", "-q", "-m", "with a hook"]);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
}
