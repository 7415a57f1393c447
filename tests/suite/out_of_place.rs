//! Something else where a file is expected, and directories named by mistake: nothing hangs, nothing is followed that
//! should not be, nothing elsewhere changes, and what is wrong is said.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab_probe::clock::Deadline;

use crate::harness::git::repository;
use crate::harness::{Lab, Run};

/// What a file elsewhere holds: nobody may see it, nobody may change it.
const ELSEWHERE: &str = "the words of a file elsewhere\n";

/// What can stand in a file's place.
const KINDS: &[&str] =
    &["fifo", "socket", "directory", "endless device", "link to elsewhere", "link to itself", "link to nothing"];

/// Every file that a pass or another command reads or writes, the configuration itself apart.
const FILES: &[&str] = &[
    "home/.claude.json",
    "home/.cursor/mcp.json",
    "home/.codex/config.toml",
    "home/.config/goose/config.yaml",
    "named.json",
    "repository/.mcp.json",
    "repository/.worktree",
    "repository/junit.xml",
    "repository/.pytest_cache/v/cache/lastfailed",
    "repository/.pytest_cache/v/cache/nodeids",
    "thunes/.env",
    "thunes/data/positions.db",
    "thunes/logs/audit_trail.jsonl",
    "thunes/logs/audit_trail.jsonl.1",
    "thunes/logs/scheduler.log",
    "health/mcp-scripted-health",
    "password",
    "token",
    "ca.pem",
    "textfile/lab-probe.prom",
    "textfile/.lab-probe.prom.tmp",
    "textfile/other.prom",
    "state/.state.json.tmp",
];

/// A LAB that reads them all; the gateway is one that nobody serves.
fn lab() -> Lab {
    let lab = Lab::new();
    let repository = repository(&lab, "repository");
    lab.config(&format!(
        "[output.pushgateway]\nurl = \"http://127.0.0.1:1\"\nretries = 0\nusername = \"x\"\npassword_file = \"password\"\n\
         ca_file = \"ca.pem\"\n[mcp]\nconfig_files = [\"named.json\"]\nhealth_dir = \"health\"\n\
         [[mcp.server]]\nname = \"ok\"\nhealth_command = [\"true\"]\n[worktree]\nrepos = [{repository:?}]\n\
         [[thunes]]\nenvironment = \"paper\"\nroot = \"thunes\"\n\
         [telegram]\nchat_id = \"1\"\ntoken_file = \"token\"\napi_url = \"http://127.0.0.1:1\"\n",
    ));
    lab
}

/// Puts something of this kind at a path, in place of what is there.
fn put(lab: &Lab, kind: &str, path: &Path, kept: &mut Vec<UnixListener>) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    let _ = std::fs::remove_file(path);
    match kind {
        "fifo" => rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).expect("a FIFO"),
        // A socket's address is short, so it is made elsewhere.
        "socket" => {
            let short = lab.path().join(format!("s{}", kept.len()));
            kept.push(UnixListener::bind(&short).expect("a socket"));
            std::fs::rename(short, path).expect("moved");
        }
        "directory" => std::fs::create_dir(path).expect("a directory"),
        "endless device" => symlink("/dev/zero", path).expect("a link"),
        "link to elsewhere" => symlink(lab.path().join("elsewhere"), path).expect("a link"),
        "link to itself" => symlink(path, path).expect("a link"),
        "link to nothing" => symlink(lab.path().join("nothing"), path).expect("a link"),
        other => panic!("{other}"),
    }
}

/// Runs a command, which must end by itself soon, as a command ends.
#[track_caller]
fn run(lab: &Lab, line: &[&str]) -> Run {
    let mut child = lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let patience = Deadline::after(Duration::from_secs(60));
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = std::io::Read::read_to_end(&mut from, &mut bytes);
            bytes
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let status = loop {
        if let Some(status) = child.try_wait().expect("waited") {
            break status;
        }
        if patience.passed() {
            let _ = child.kill();
            panic!("{line:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let run =
        Run(std::process::Output { status, stdout: out.join().expect("read"), stderr: err.join().expect("read") });
    assert!(matches!(run.code(), Some(0..=2)), "{line:?}: {:?}\n{}", status, run.stderr());
    run
}

#[test]
fn nothing_in_a_files_place_hangs_a_command_or_leads_it_elsewhere() {
    for kind in KINDS {
        let lab = lab();
        let elsewhere = lab.write("elsewhere", ELSEWHERE);
        let before = elsewhere.metadata().expect("metadata");
        run(&lab, &["--once"]);
        let mut kept = Vec::new();
        let mut paths: Vec<PathBuf> = FILES.iter().map(|file| lab.path().join(file)).collect();
        let history = std::fs::read_dir(lab.path().join("state/history")).expect("a history").flatten();
        paths.extend(history.map(|entry| entry.path()).chain([lab.path().join("state/state.json")]));
        for path in &paths {
            put(&lab, kind, path, &mut kept);
        }
        for line in [
            &["-v", "--once", "--fresh", "--deadline", "12s", "--format", "json"][..],
            &["-v", "list"],
            &["-v", "doctor"],
            &["-v", "summary"],
            &["-v", "summary", "--send", "telegram"],
            &["-v", "verify", "textfile"],
            &["-v", "trust", "repository/.mcp.json"],
            &["-v", "worktree", "show", "-C", "repository"],
            &["-v", "worktree", "set", "-C", "repository", "status=testing"],
            &["-v", "report", "--html", "-"],
            &["-v", "withdraw"],
        ] {
            let run = run(&lab, line);
            for text in [run.stdout(), run.stderr()] {
                assert!(!text.contains(ELSEWHERE.trim_end()), "{kind}, {line:?}: {text}");
            }
        }
        let after = elsewhere.metadata().expect("still there");
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("read"), ELSEWHERE, "{kind}");
        assert_eq!(
            (before.modified().ok(), before.permissions()),
            (after.modified().ok(), after.permissions()),
            "{kind}"
        );
        assert!(!lab.path().join("nothing").exists(), "{kind}: a link to nothing was followed");
    }
}

#[test]
fn a_repositorys_link_leads_no_edit_and_no_status_out_of_it() {
    let lab = lab();
    let elsewhere = lab.write("elsewhere", "status=\"blocked\"\n");
    let link = lab.path().join("repository/.worktree");
    symlink(&elsewhere, &link).expect("a link");
    let refused = run(&lab, &["worktree", "set", "-C", "repository", "status=testing"]).expect_code(1);
    assert!(refused.stderr().contains("leads out of the worktree"), "{}", refused.stderr());
    let pass = run(&lab, &["--once", "--only", "worktree", "--format", "json"]).stdout();
    assert!(pass.contains("leads out of the worktree") && !pass.contains("\"blocked\""), "{pass}");
    // One that stays inside is the file it names, and stays a link.
    std::fs::remove_file(&link).expect("removed");
    lab.write("repository/declared", "# mine\n");
    symlink("declared", &link).expect("a link");
    run(&lab, &["worktree", "set", "-C", "repository", "status=testing"]).expect_code(0);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&link).expect("read"), "# mine\nstatus=\"testing\"\n");
    assert_eq!(std::fs::read_to_string(&elsewhere).expect("read"), "status=\"blocked\"\n");
}

#[test]
fn a_configuration_that_is_no_file_is_refused_at_once() {
    for kind in KINDS {
        let lab = Lab::new();
        lab.write("elsewhere", ELSEWHERE);
        let path = lab.path().join("lab-probe.toml");
        put(&lab, kind, &path, &mut Vec::new());
        for line in [&["--once"][..], &["config", "check"], &["list"], &["--once", "--config", "lab-probe.toml"]] {
            let run = run(&lab, line);
            // A link to nothing is no configuration, unless it is asked for by name.
            let absent = *kind == "link to nothing" && !line.contains(&"--config");
            assert!(absent || run.code() == Some(2), "{kind}, {line:?}: {:?} {}", run.code(), run.stderr());
            assert!(absent || run.stderr().contains("lab-probe.toml"), "{kind}, {line:?}: {}", run.stderr());
            assert!(!run.stderr().contains("the words"), "{}", run.stderr());
        }
    }
}

#[test]
fn a_textfile_directory_named_by_mistake_is_harmless_and_named() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n");
    lab.write("file", "");
    std::fs::create_dir_all(lab.path().join("taken/lab-probe.prom/x")).expect("directories");
    let mut kept = Vec::new();
    put(&lab, "fifo", &lab.path().join("fifo"), &mut kept);
    put(&lab, "link to nothing", &lab.path().join("dangling"), &mut kept);
    let at_root = Path::new("/lab-probe.prom").exists();
    for (directory, said) in [
        ("/", "is the root of the file system"),
        ("//", "is the root of the file system"),
        ("/usr/..", "is the root of the file system"),
        ("none/such", "No such file"),
        ("dangling", "No such file"),
        ("file", "Not a directory"),
        ("fifo", "Not a directory"),
        ("/dev/null", "Not a directory"),
        ("taken", "Is a directory"),
        ("/proc", "/proc"),
        ("a\n<0>b", "No such file"),
    ] {
        let run = run(&lab, &["--once", "--textfile-dir", directory]).expect_code(1);
        let errors: Vec<String> =
            run.stderr().lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
        assert!(errors.len() == 1 && errors[0].contains(said), "{directory:?}: {}", run.stderr());
    }
    assert_eq!(Path::new("/lab-probe.prom").exists(), at_root);
    for directory in [".", "home/.."] {
        run(&lab, &["--once", "--textfile-dir", directory]).expect_code(0);
        assert!(lab.path().join("lab-probe.prom").is_file());
    }
}

#[test]
fn a_state_directory_named_by_mistake_is_harmless_and_named() {
    let lab = Lab::new();
    lab.write("file", "");
    let rest = "[output.textfile]\ndirectory = \"textfile\"\n[mcp]\ndiscover = false\n";
    for (directory, code, said) in [
        ("/", 2, "is the root of the file system"),
        ("/usr/..", 2, "is the root of the file system"),
        ("", 2, "state_dir"),
        ("file", 1, "cannot be used"),
        ("file/below", 1, "cannot be used"),
        ("/proc/none", 1, "cannot be used"),
        ("/dev/null", 1, "cannot be used"),
    ] {
        lab.write("lab-probe.toml", format!("[probe]\nstate_dir = {directory:?}\n{rest}"));
        let run = run(&lab, &["--once"]).expect_code(code);
        assert!(run.stderr().contains(said), "{directory:?}: {}", run.stderr());
        // What cannot be remembered is delivered all the same.
        let delivered = lab.textfile_dir().join("lab-probe.prom");
        assert_eq!(std::fs::remove_file(delivered).is_ok(), code == 1, "{directory:?}");
    }
    assert!(!Path::new("/state.json").exists());
}

#[test]
fn a_race_for_the_temporary_file_leads_nowhere() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n");
    let victim = lab.write("victim", ELSEWHERE);
    let temporary = lab.textfile_dir().join(".lab-probe.prom.tmp");
    let stop = AtomicBool::new(false);
    let planted = std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let mut planted = 0_u32;
            while !stop.load(Ordering::SeqCst) {
                // Whenever the name is free, between removal and creation too.
                planted += u32::from(symlink(&victim, &temporary).is_ok());
            }
            planted
        });
        for _ in 0..40 {
            // Delivered or refused, but never through the link.
            run(&lab, &["--once"]);
        }
        stop.store(true, Ordering::SeqCst);
        attacker.join().expect("no panic")
    });
    assert!(planted >= 40, "the attacker never won: {planted}");
    assert_eq!(std::fs::read_to_string(&victim).expect("read"), ELSEWHERE);
    let _ = std::fs::remove_file(&temporary);
    run(&lab, &["--once"]).expect_code(0);
    let delivered = lab.textfile_dir().join("lab-probe.prom");
    assert!(delivered.symlink_metadata().expect("delivered").is_file());
}
