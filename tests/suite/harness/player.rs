//! The player of good, odd and hostile servers, built once for a test run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use lab_probe::clock::Deadline;

/// Its file. The suite alone would not build it (it is an example), so cargo is asked, which mostly finds it fresh.
pub(crate) fn player() -> &'static Path {
    static PLAYER: OnceLock<PathBuf> = OnceLock::new();
    PLAYER.get_or_init(|| {
        let suite = std::env::current_exe().expect("this test's own file");
        // target/PROFILE/deps/suite-HASH
        let profile = suite.ancestors().nth(2).expect("the profile's directory");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--example", "player", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().expect("the target directory"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo starts").success(), "the player does not build");
        profile.join("examples/player")
    })
}

/// Processes, zombies included, that were started with `NAME=value` in their environment, whatever they have done
/// since: the kernel shows the environment at the start of a process. Besides, supervisors whose probe is gone; their
/// own environment is empty.
pub(crate) fn marked_processes(name: &str, value: &str) -> Vec<String> {
    // A supervisor whose probe was killed ends its tree and then itself; other tests kill probes at the same time.
    let deadline = Deadline::after(Duration::from_secs(15));
    loop {
        let (orphans, marked): (Vec<String>, Vec<String>) =
            living_processes(&format!("{name}={value}")).into_iter().partition(|line| line.contains(SUPERVISOR));
        if !marked.is_empty() || orphans.is_empty() || deadline.passed() {
            return marked.into_iter().chain(orphans).collect();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn living_processes(mark: &str) -> Vec<String> {
    let of = |pid: &Path| -> Option<String> {
        let line = std::fs::read(pid.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let environment = std::fs::read(pid.join("environ")).ok()?;
        let marked = environment.split(|&b| b == 0).any(|variable| variable == mark.as_bytes());
        (marked || is_orphaned_supervisor(&line)).then(|| format!("{} {line}", pid.display()))
    };
    std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| of(&entry.path())).collect()
}

/// How a supervisor's command line begins.
const SUPERVISOR: &str = "lab-probe-supervisor ";

/// Whether this command line is that of a supervisor whose probe has ended.
fn is_orphaned_supervisor(command_line: &str) -> bool {
    let probe = command_line.strip_prefix(SUPERVISOR).map(str::trim);
    probe.is_some_and(|probe| !Path::new("/proc").join(probe).exists())
}
