//! Every command while the machine refuses: limits of processes, files, sizes and memory, a full disk, read-only directories,
//! files of somebody else, closed streams. None hangs, panics or dies of it; what fails is said, with the contract's exit code.
//!
//! What stands in the place of files is in `out_of_place`, refused system calls are in `attack`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::git::repository;
use crate::harness::{Lab, Run};

/// Every command of the command line, most of them in one form; `lab-probe mcp` finds its input at its end.
const COMMANDS: &[&[&str]] = &[
    &["--once", "--fresh", "--format", "table", "--deadline", "8s"],
    &["--once", "--dry-run", "--format", "prometheus", "--deadline", "8s"],
    &["check", "--deadline", "8s"],
    &["list"],
    &["list", "--format", "json"],
    &["config", "init", "--config", "new.toml"],
    &["config", "check"],
    &["config", "show"],
    &["doctor"],
    &["record", "-C", "repository", "--", "true"],
    &["worktree", "show", "-C", "repository"],
    &["worktree", "set", "status=testing", "-C", "repository"],
    &["status"],
    &["trust", "repository/.mcp.json"],
    &["verify", "textfile"],
    &["explain", "timeout"],
    &["backtest", "--family", "cpu", "points.csv"],
    &["report", "--html", "page.html"],
    &["summary"],
    &["mcp"],
    &["metrics"],
    &["completions", "bash"],
    &["man"],
    &["withdraw"],
];

/// What a shell does before it becomes the command.
const FAULTS: &[(&str, &str)] = &[
    ("no descriptor to spare", "ulimit -n 4"),
    ("few descriptors", "ulimit -n 9"),
    ("no byte may be written", "ulimit -f 0"),
    ("512 bytes may be written", "ulimit -f 1"),
    ("no process may be started", "ulimit -u 0"),
    ("60 MB of address space", "ulimit -v 60000"),
    ("standard output is full", "exec >/dev/full"),
    ("standard streams are closed", "exec <&- >&- 2>&-"),
    ("standard input is closed", "exec <&-"),
];

/// The same in a mount namespace of its own, where nothing stays mounted.
const MOUNTS: &[(&str, &str)] = &[
    ("everything is read-only", "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\""),
    (
        "the disks are full",
        "for d in state textfile home; do mount -t tmpfs -o size=4k,mode=700 full $d; head -c 8k /dev/zero >$d/filling 2>/dev/null || :; done",
    ),
    (
        "everything is somebody else's",
        "for d in state textfile home repository; do mount -t tmpfs -o mode=700 other $d; chown 65534:65534 $d; done",
    ),
    ("everybody may write", "for d in state textfile home; do mount -t tmpfs other $d; chmod 777 $d; done"),
];

/// So long a command may take that has 8 s on a machine with other things to do.
const HANGS_AFTER: &str = "45";

fn lab() -> Lab {
    let lab = Lab::new();
    let main = repository(&lab, "repository");
    lab.write("repository/.mcp.json", "{\"mcpServers\":{}}");
    lab.write("repository/.worktree", "status=\"working\"\n");
    lab.write("points.csv", "timestamp,value\n1700000000,1\n1700000300,2\n");
    lab.write(
        "thunes/logs/audit_trail.jsonl",
        "{\"timestamp\":\"2026-11-29T10:00:00\",\"event\":\"TRADE_APPROVED\"}\n",
    );
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"ok\"\nhealth_command = [\"true\"]\n[worktree]\nrepos = [{main:?}]\n\
         [[thunes]]\nenvironment = \"paper\"\nroot = \"thunes\"\n[[service]]\nname = \"closed\"\ntcp = \"127.0.0.1:1\"\n"
    ));
    lab
}

/// Runs a command after what a shell does before.
fn run(lab: &Lab, fault: &str, command: &[&str], mounts: bool) -> Run {
    let script = format!("{fault} || exit 99; exec \"$@\"");
    let mut program: Command = if mounts { lab.program("unshare") } else { lab.program("timeout") };
    let user = if rustix::process::geteuid().is_root() { "--mount" } else { "--map-root-user" };
    if mounts {
        program.args([user, "--mount", "timeout"]);
    }
    program.args(["-k", "1", HANGS_AFTER, "bash", "-c", &script, "bash"]).arg(env!("CARGO_BIN_EXE_lab-probe"));
    Run(program.args(command).stdin(Stdio::null()).output().expect("timeout, bash and unshare are installed"))
}

/// What must hold however a run went.
fn judge(what: &str, command: &[&str], run: &Run, can_speak: bool) {
    let (code, said) = (run.code(), run.stderr());
    let when = format!("{what}: {command:?}: {code:?}\n{}\n{said}", run.stdout());
    assert!(code != Some(99), "the fault could not be made: {when}");
    // As a shell says it of a command that cannot be started.
    let not_started = command[0] == "record" && code == Some(126);
    assert!(matches!(code, Some(0..=2 | 75)) || not_started, "{when}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{when}");
    let is_said = code == Some(0) || said.contains("error: ") || said.contains("usage") || tells(command, run);
    assert!(is_said || !can_speak, "nothing says why: {when}");
}

/// Whether what these print says itself why they end with 1: a target or a link of the chain is in trouble.
fn tells(command: &[&str], run: &Run) -> bool {
    ["check", "doctor", "status", "verify"].contains(&command[0]) && !run.stdout().is_empty()
}

#[test]
fn limits_and_closed_streams_end_no_command_in_disorder() {
    let lab = lab();
    run(&lab, "true", COMMANDS[0], false).expect_code(0);
    for (what, fault) in FAULTS {
        for command in COMMANDS {
            judge(what, command, &run(&lab, fault, command, false), !what.contains("closed"));
            let _ = std::fs::remove_file(lab.path().join("new.toml"));
        }
    }
    run(&lab, "true", COMMANDS[0], false).expect_code(0);
}

#[test]
fn full_read_only_and_foreign_directories_end_no_command_in_disorder() {
    let lab = lab();
    let pass = run(&lab, "true", COMMANDS[0], false);
    pass.expect_code(0);
    // Nobody but root can give something away.
    let is_root = rustix::process::geteuid().is_root();
    for (what, fault) in MOUNTS.iter().filter(|(what, _)| is_root || !what.contains("somebody")) {
        for command in COMMANDS {
            judge(what, command, &run(&lab, fault, command, true), true);
            let _ = std::fs::remove_file(lab.path().join("new.toml"));
        }
        let pass = run(&lab, fault, COMMANDS[0], true);
        let refused = what.contains("somebody") || what.contains("everybody");
        assert_eq!(pass.code(), Some(if refused { 2 } else { 1 }), "{what}: {}", pass.stderr());
    }
    run(&lab, "true", COMMANDS[0], false).expect_code(0);
    assert!(Path::new(&lab.textfile_dir()).join("lab-probe.prom").exists());
}

#[test]
fn an_output_that_cannot_be_written_is_exit_1() {
    let lab = lab();
    for command in COMMANDS.iter().filter(|command| !["record", "trust", "mcp", "withdraw"].contains(&command[0])) {
        let run = run(&lab, "exec >/dev/full", command, false);
        let silent =
            ["config", "worktree"].contains(&command[0]) && command[1] != "show" || command.contains(&"page.html");
        assert!(run.code() == Some(1) || silent, "{command:?}: {:?} {}", run.code(), run.stderr());
    }
}
