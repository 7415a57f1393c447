//! The textfile output: whole, readable, and honest about what stood in its way.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Lab;

const QUIET: &str = "[mcp]\ndiscover = false\nexpected = [\"fetch\"]\n[worktree]\nrepos = []\n";

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("listed").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_pass_leaves_one_file_that_everybody_may_read() {
    let lab = Lab::new();
    lab.config(QUIET);
    // What a killed pass may have left.
    lab.write("textfile/.lab-probe.prom.tmp", "half");
    lab.run(["--once"]).expect_code(0);
    assert_eq!(names_in(&lab.textfile_dir()), ["lab-probe.prom"]);
    let file = lab.textfile_dir().join("lab-probe.prom");
    assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o7777, 0o644);
    let text = std::fs::read_to_string(&file).expect("read");
    assert!(text.contains("\nlab_mcp_server_health{server_name=\"fetch\"} 2\n"), "{text}");
    assert!(text.ends_with('\n'));
    lab.run(["verify", "textfile/lab-probe.prom"]).expect_code(if lab_is_open(&lab) { 0 } else { 1 });
}

/// Whether other users can reach the textfile: `verify` minds if they cannot.
fn lab_is_open(lab: &Lab) -> bool {
    let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode();
    mode(lab.path()) & 0o001 != 0
}

#[test]
fn withdraw_takes_the_file_back_and_leaves_others_alone() {
    let lab = Lab::new();
    lab.config(QUIET);
    lab.write("textfile/other.prom", "# HELP a x\n# TYPE a gauge\na 1\n");
    lab.run(["--once"]).expect_code(0);
    let said = lab.run(["withdraw"]).expect_code(0).stdout();
    assert!(said.ends_with("/textfile/lab-probe.prom withdrawn\n"), "{said}");
    assert_eq!(names_in(&lab.textfile_dir()), ["other.prom"]);
    assert!(lab.run(["withdraw"]).expect_code(0).stdout().ends_with("is not there: nothing to withdraw\n"));
    lab.write("textfile/lab-probe.prom", "mine 1\n");
    assert!(lab.run(["withdraw"]).expect_code(1).stderr().contains("was not written by lab-probe"));
    assert_eq!(names_in(&lab.textfile_dir()), ["lab-probe.prom", "other.prom"]);
}

#[test]
fn a_missing_directory_is_named_with_what_creates_it_and_the_failure_counts() {
    let lab = Lab::new();
    lab.config(QUIET);
    std::fs::remove_dir(lab.textfile_dir()).expect("removed");
    let said = lab.run(["--once"]).expect_code(1).stderr();
    assert!(said.contains("No such file or directory (os error 2); make its directory (mkdir -p "), "{said}");
    let text = lab.run(["--once", "--format", "prometheus"]).expect_code(1).stdout();
    assert!(text.contains("\nlab_probe_output_failures_total{output=\"textfile\"} 1\n"), "{text}");
    assert!(text.contains("\nlab_probe_pass_failures_total 1\n"), "{text}");
}

#[test]
fn a_slip_in_textfile_dir_does_no_harm() {
    let lab = Lab::new();
    lab.config(QUIET);
    let file = lab.write("a-file", "precious");
    for slip in [file.to_str().expect("a path"), "/proc/1", "/dev/null"] {
        lab.run(["--once", "--textfile-dir", slip]).expect_code(1);
    }
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "precious");
}

#[test]
fn a_neighbour_that_would_clash_is_told_of() {
    let lab = Lab::new();
    lab.config(QUIET);
    lab.write(
        "textfile/zz.prom",
        "# HELP lab_mcp_server_health Another text.\nlab_mcp_server_health{server_name=\"x\"} 1\n",
    );
    let said = lab.run(["--once"]).expect_code(0).stderr();
    assert!(said.contains("zz.prom:1: error: HELP of lab_mcp_server_health differs from"), "{said}");
}

/// A small tmpfs, unmounted with this value; `None` where this user may mount nothing.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir(at).expect("a directory");
        let options = "size=64k,mode=0755";
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "lab-probe-test"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(at.to_owned()))
    }

    fn remount(&self, option: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0).status();
        assert!(status.expect("mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_or_read_only_disk_keeps_what_was_delivered_before() {
    let lab = Lab::new();
    let at = lab.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at) else {
        // Only root can mount; the rest of the promise is held by the unit tests.
        assert!(!rustix::process::geteuid().is_root(), "root cannot mount a tmpfs here");
        return;
    };
    lab.config(QUIET);
    let pass = || lab.run(["--once", "--textfile-dir", at.to_str().expect("a path")]);
    pass().expect_code(0);
    let delivered = std::fs::read(at.join("lab-probe.prom")).expect("delivered");

    // As much as fits, to the last page.
    let mut filling = std::fs::File::create(at.join("filling")).expect("a file");
    while std::io::Write::write_all(&mut filling, &[b'x'; 512]).is_ok() {}
    let said = pass().expect_code(1).stderr();
    assert!(said.contains("No space left on device") && said.contains("free some space (df -h "), "{said}");
    assert_eq!(std::fs::read(at.join("lab-probe.prom")).expect("still there"), delivered);
    assert_eq!(names_in(&at), ["filling", "lab-probe.prom"]);
    drop(filling);

    disk.remount("ro");
    let said = pass().expect_code(1).stderr();
    assert!(said.contains("Read-only file system") && said.contains("ReadWritePaths= of the unit"), "{said}");
    assert_eq!(std::fs::read(at.join("lab-probe.prom")).expect("still there"), delivered);
}
