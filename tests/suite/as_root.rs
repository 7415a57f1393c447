//! What holds for the process itself: root is told what it is about to do, and no credential ends up in a core dump.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::harness::player::player;
use crate::harness::{Lab, Run, install};

const SERVERS: &str = "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"script\"\nhealth_command = [\"true\"]\n\
                       [[mcp.server]]\nname = \"far\"\nurl = \"http://127.0.0.1:1/\"\n";

const NOTICE: &str = "running as root: the MCP servers script are started as root too";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn notices(run: &Run) -> usize {
    run.stderr().lines().filter(|line| line.contains(NOTICE)).count()
}

#[test]
fn root_is_told_once_and_the_output_stays_clean() {
    let lab = Lab::new();
    lab.config(SERVERS);
    let expected = usize::from(is_root());
    for line in [
        &["--once", "--format", "json"][..],
        &["check", "--format", "json"],
        &["--once", "--fresh", "--format", "json"],
    ] {
        let run = lab.run(line.iter().copied());
        assert_eq!(notices(&run), expected, "{line:?}: {}", run.stderr());
        let document: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON and nothing else");
        assert_eq!(document["warnings"], serde_json::json!([]), "{line:?}");
    }
    for quiet in [&["list"][..], &["-q", "--once"], &["--once", "--only", "service"], &["metrics"]] {
        let run = lab.run(quiet.iter().copied());
        let told = usize::from(is_root() && quiet.contains(&"--only"));
        assert_eq!(notices(&run), told, "{quiet:?}: {}", run.stderr());
    }
    lab.config("[mcp]\ndiscover = false\n");
    assert!(!lab.run(["--once"]).expect_code(0).stderr().contains("running as root"), "nothing is started");
}

#[test]
fn the_journal_is_told_once_not_at_every_tick() {
    let lab = Lab::new();
    lab.config(SERVERS);
    let pass = || Run(lab.command(["--once", "--fresh"]).env("JOURNAL_STREAM", "1:1").output().expect("a pass"));
    let told: Vec<usize> = (0..3).map(|_| notices(&pass())).collect();
    assert_eq!(told, [usize::from(is_root()), 0, 0]);
}

#[test]
fn a_user_is_told_nothing() {
    // Only root can become somebody else; for anybody else the tests above have shown it.
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    lab.config(SERVERS);
    let run = Run(as_a_user(&lab).output().expect("a pass")).expect_code(0);
    assert!(!run.stderr().contains("root"), "{}", run.stderr());
}

/// A pass of the user 12345, if this is root, and else of this one.
fn as_a_user(lab: &Lab) -> Command {
    as_user(lab, 12_345)
}

fn as_user(lab: &Lab, id: u32) -> Command {
    // The build's directory may be closed to others.
    let program = lab.path().join("lab-probe");
    install(env!("CARGO_BIN_EXE_lab-probe"), &program);
    let mut command = Command::new(program);
    command.arg("--once").env_clear().env("HOME", lab.home()).env("PATH", "/usr/bin:/bin").current_dir(lab.path());
    if is_root() {
        for path in ["", "home", "state", "textfile", "lab-probe.toml"] {
            chown(lab.path().join(path), Some(id), Some(id)).expect("given away");
        }
        command.uid(id).gid(id);
    }
    command
}

/// The soft limit of core dumps in the text of `/proc/PID/limits`.
fn core_limit(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("limits");
    let line = text.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    line["Max core file size".len()..].split_whitespace().next().expect("a limit").to_owned()
}

#[test]
fn programs_keep_the_limit_on_core_dumps() {
    let lab = Lab::new();
    let script = format!("cat /proc/$$/limits >{}/program", lab.path().display());
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\nhealth_command = [\"sh\", \"-c\", {script:?}]\n"
    ));
    // As high as this machine lets it be, which is what a person who hunts a crash would set.
    Run(with_core_dumps(&lab, "--once").output().expect("a pass")).expect_code(0);
    let limit = |name: &str| core_limit(&lab.path().join(name));
    assert_eq!(limit("program"), limit("before"));
}

/// What a server can read of the probe, of its own supervisor and of its neighbour's: all of the same user.
#[test]
fn no_server_can_read_the_variables_of_the_probe_or_of_a_supervisor() {
    let lab = Lab::new();
    let out = lab.path().display().to_string();
    let script = format!(
        "probe=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$PPID/status); \
         for pid in $probe $(pgrep -P $probe); do \
           tr '\\0' ' ' </proc/$pid/cmdline; cat /proc/$pid/environ | tr '\\0' ' '; readlink /proc/$pid/cwd; \
           head -c1 /proc/$pid/mem; \
         done >{out}/seen 2>&1; exit 0"
    );
    let server = |name: &str, script: &str| {
        format!(
            "[[mcp.server]]\nname = {name:?}\nhealth_command = [\"sh\", \"-c\", {script:?}]\nenv = {{ KEY = \"s3cret-of-{name}\" }}\n"
        )
    };
    lab.config(&format!("[mcp]\ndiscover = false\n{}{}", server("spy", &script), server("victim", "sleep 1")));
    let mut command = as_a_user(&lab);
    command.env("SECRET", "s3cret-of-the-probe");
    Run(command.output().expect("a pass")).expect_code(0);
    let seen = std::fs::read_to_string(lab.path().join("seen")).expect("what was seen");
    assert!(seen.contains("lab-probe-supervisor"), "{seen}");
    assert!(!seen.contains("s3cret"), "{seen}");
    if is_root() {
        // Variables and memory, of the probe and at least of its own supervisor.
        assert!(seen.matches("Permission denied").count() >= 4, "{seen}");
    }
}

/// A shell that lets core dumps be as large as may be, and becomes lab-probe.
fn with_core_dumps(lab: &Lab, args: &str) -> Command {
    let mut raised = Command::new("sh");
    raised.args(["-c", &format!("ulimit -S -c $(ulimit -H -c); cat /proc/$$/limits >before; exec \"$0\" {args}")]);
    raised.arg(env!("CARGO_BIN_EXE_lab-probe")).env("HOME", lab.home()).current_dir(lab.path());
    raised
}

#[test]
fn a_recorded_command_keeps_the_limit_on_core_dumps() {
    let lab = Lab::new();
    let script = "cat /proc/$$/limits >program";
    lab.write("script", script);
    Run(with_core_dumps(&lab, "record -- sh script").output().expect("a run")).expect_code(0);
    let limit = |name: &str| core_limit(&lab.path().join(name));
    assert_eq!(limit("program"), limit("before"));
}

#[test]
fn a_pass_that_is_aborted_dumps_nothing() {
    let lab = Lab::new();
    let up = lab.path().join("up");
    let script = format!("touch {}; sleep 60", up.display());
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\nhealth_command = [\"sh\", \"-c\", {script:?}]\n"
    ));
    let mut pass = with_core_dumps(&lab, "--once").stderr(Stdio::null()).spawn().expect("a pass");
    let begun = lab_probe::clock::instant();
    while !up.exists() && begun.elapsed() < Duration::from_secs(9) {
        std::thread::sleep(Duration::from_millis(20));
    }
    rustix::process::kill_process(Pid::from_child(&pass), Signal::ABORT).expect("aborted");
    let status = pass.wait().expect("ended");
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// A program that became root may not be ended by a pass of an ordinary user.
#[test]
fn a_child_that_became_root_lengthens_no_pass_and_is_said_to_live_on() {
    // Nobody else can make such a program.
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    let server = lab.path().join("server");
    install(player(), &server);
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o4755)).expect("the set-user-ID bit");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\ncommand = {server:?}\n\
         args = [\"becomes-root\"]\n"
    ));
    let begun = lab_probe::clock::instant();
    let run = Run(as_a_user(&lab).args(["--deadline", "6s"]).output().expect("a pass"));
    let took = begun.elapsed();
    let said = run.stderr();
    let pid = said.split("could not be ended: PID ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let pid = pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no survivor is named: {said}"));
    rustix::process::kill_process(pid, Signal::KILL).expect("it lives on");
    assert!(said.contains("it runs as root"), "{said}");
    assert!(!said.contains("killed"), "{said}");
    assert!(took < Duration::from_millis(7_800), "{took:?}");
}

/// The system unit gives the probe a group for the textfile directory, and the right to give groups up.
#[test]
fn a_server_has_neither_the_groups_of_the_probe_nor_the_right_to_take_them() {
    // Only root can bring a process into such a state.
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    // Of its supervisor, too.
    let script = "grep -Eh 'Cap(Inh|Prm|Eff|Amb)|Groups' /proc/self/status /proc/$PPID/status >seen";
    let script = format!("cd {}; {script}", lab.path().display());
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\nhealth_command = [\"sh\", \"-c\", {script:?}]\n"
    ));
    // Prepares the files; the command itself is not used.
    let program = as_a_user(&lab).get_program().to_owned();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "12345", "--regid", "12345", "--groups", "12345,54321"]);
    command.args(["--inh-caps", "-all,+setgid", "--ambient-caps", "-all,+setgid", "--bounding-set", "-all,+setgid"]);
    command.arg("--no-new-privs").arg(program).arg("--once").env_clear();
    command.env("HOME", lab.home()).env("PATH", "/usr/bin:/bin").current_dir(lab.path());
    Run(command.output().expect("a pass")).expect_code(0);
    let seen = std::fs::read_to_string(lab.path().join("seen")).expect("what was seen");
    let lines: Vec<&str> = seen.lines().collect();
    let groups: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("Groups:")).map(str::trim).collect();
    assert_eq!(groups, ["12345"; 2], "{seen}");
    let sets: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("Cap")?.split('\t').nth(1)).collect();
    assert_eq!(sets, ["0000000000000000"; 8], "{seen}");
}

/// The limit on processes is this machine's, not the server's: nothing is said of the server, and the reason is.
#[test]
fn a_server_that_no_process_can_supervise_is_neither_down_nor_late() {
    // RLIMIT_NPROC does not hold for root.
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\ncommand = \"sleep\"\nargs = [\"60\"]\n");
    // A user of its own: the limit counts all processes of a user, and tests run in parallel.
    let program = as_user(&lab, 23_456).get_program().to_owned();
    let (mut refused, mut all) = (0, String::new());
    // Threads count, too: how many the pass has by then is its own affair.
    for limit in 1..12 {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "23456", "--regid", "23456", "--clear-groups", "prlimit"]);
        command.arg(format!("--nproc={limit}")).arg(&program).args(["check", "--format", "table", "--deadline", "2s"]);
        command.env_clear().env("HOME", lab.home()).env("PATH", "/usr/bin:/bin").current_dir(lab.path());
        let run = Run(command.output().expect("a pass"));
        let said = format!("{}{}", run.stdout(), run.stderr());
        assert!(!said.contains("✗ down") && !said.contains("too little of it was left"), "{limit}: {said}");
        refused += usize::from(said.contains("unknown  x  not checked: cannot"));
        all += &said;
    }
    assert!(refused > 0, "{all}");
}
