//! The operating system refuses: every system call of a pass on its state and textfile in turn, and disks and limits
//! that are really full.
//!
//! What must hold: exit 1 and an error that names the file and what to do, the last good output as it was, and a
//! normal pass as soon as the refusals end. A call that a signal interrupts is made again, in silence.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::clocks::moved;
use super::full;
use super::injection::{self, REFUSALS, Site, Whose};
use super::scene::{Scene, complaints};
use crate::harness::{Lab, Run};

/// Calls that write, or open what is written or read.
const CALLS: &str = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,mkdir,fchmod,flock";

/// What a refusal of a site must lead to.
#[derive(Debug, PartialEq, Eq)]
enum Duty {
    /// Exit 1; the textfile is delivered and the state saved as ever, or each stays as it was.
    Fail { textfile_stays: bool, state_stays: bool },
    /// Exit 0 and a warning about this file.
    Warn(&'static str),
    /// Exit 0: the call was only for comfort.
    GoOn,
}

fn duty(refusal: &str, index: usize, sites: &[Site]) -> Duty {
    let site = &sites[index];
    let renamed = |of: &str| sites[..index].iter().any(|site| site.call == "rename" && site.is_at(of));
    if refusal == "EINTR" || site.call == "mkdir" || site.is_at("O_DIRECTORY") || site.is_at("LOCK_UN") {
        // The directories are there; neighbours are looked at for warnings only; the lock ends with the process too.
        Duty::GoOn
    } else if site.is_at("fingerprint.key") {
        Duty::Warn("/state/fingerprint.key")
    } else if site.is_at("/history") {
        Duty::Warn("/state/history/")
    } else if site.is_at("/textfile") {
        Duty::Fail { textfile_stays: !renamed("lab-probe.prom"), state_stays: false }
    } else {
        Duty::Fail { textfile_stays: false, state_stays: !renamed("state.json") }
    }
}

/// Files of the directory of textfiles: another thread works there, in case it hangs.
fn textfiles(scene: &Scene) -> [PathBuf; 3] {
    ["textfile", "textfile/lab-probe.prom", "textfile/.lab-probe.prom.tmp"].map(|name| scene.lab.path().join(name))
}

/// Every call of an undisturbed pass on state and textfile.
fn sites(scene: &Scene) -> Vec<Site> {
    let log = scene.lab.path().join("calls");
    let of = |whose: &Whose<'_>, name: &str| {
        leave_temporary_files(scene);
        let directory = scene.lab.path().join(name).display().to_string();
        let ours = |line: &str| line.contains(&directory);
        let (run, sites) = injection::sites(&scene.command(["--once"]), whose, CALLS, ours, &log);
        run.expect_code(0);
        sites
    };
    let mut sites = of(&Whose::Main, "state");
    sites.extend(of(&Whose::On(&textfiles(scene)), "textfile"));
    sites
}

#[test]
fn a_refused_system_call_is_told_and_destroys_nothing() {
    let mut scene = Scene::small();
    let sites = sites(&scene);
    for call in ["openat", "write", "fsync", "rename", "fchmod", "unlink", "flock"] {
        assert!(sites.iter().any(|site| site.call == call), "no {call} among {sites:#?}");
    }
    let mut injections = 0;
    for index in 0..sites.len() {
        let sample = [REFUSALS[fastrand::usize(..REFUSALS.len() - 1)], "EINTR"];
        for refusal in if full() { &REFUSALS[..] } else { &sample[..] } {
            refuse(&mut scene, &sites, index, refusal);
            injections += 1;
        }
    }
    super::report(&format!("{injections} refusals at {} system calls on state and textfile", sites.len()));
}

/// What a killed pass has left: the next one has to remove it.
fn leave_temporary_files(scene: &Scene) {
    for file in ["textfile/.lab-probe.prom.tmp", "state/.state.json.tmp"] {
        scene.lab.write(file, "half a fi");
    }
}

/// Refuses one call once and looks at everything that must hold.
fn refuse(scene: &mut Scene, sites: &[Site], index: usize, refusal: &str) {
    let site = &sites[index];
    let when = format!("{refusal} at {}", site.line);
    scene.append();
    leave_temporary_files(scene);
    let before = (scene.textfile(), std::fs::read(scene.state_path()).expect("a state"));
    let log = scene.lab.path().join("calls");
    let files = textfiles(scene);
    let whose = if site.is_at("/textfile") { Whose::On(&files) } else { Whose::Main };
    let run = injection::refused(&scene.command(["--once"]), &whose, site, refusal, &log);
    let said = run.stderr();
    let stays = (scene.textfile() == before.0, std::fs::read(scene.state_path()).expect("a state") == before.1);
    match duty(refusal, index, sites) {
        Duty::Fail { textfile_stays, state_stays } => {
            assert_eq!(run.code(), Some(1), "{when}: {said}");
            assert_eq!(stays, (textfile_stays, state_stays), "{when}: {said}");
            let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
            let place = if site.is_at("/textfile") { "/textfile" } else { "/state" };
            let remedy = error.contains("; ") || said.contains("\nhint: ");
            assert!(error.contains(place) && remedy, "{when}: no file or no remedy: {said}");
        }
        Duty::Warn(file) => {
            assert_eq!(run.code(), Some(0), "{when}: {said}");
            assert!(said.contains("warning: ") && said.contains(file), "{when}: {said}");
        }
        Duty::GoOn => {
            assert_eq!(run.code(), Some(0), "{when}: {said}");
            assert_eq!(complaints(&said), Vec::<String>::new(), "{when}");
        }
    }
    scene.assert_nothing_fell_since(&before.0, &when);
    if site.call == "openat" && site.is_at("/state.json") && run.code() == Some(1) {
        // What was counted before is not known: no counter is shown for once.
        scene.assert_sound(&when);
        assert!(!scene.shows_counters(), "{when}: {}", scene.textfile());
    } else {
        scene.assert_whole(&when);
    }
    scene.assert_next_pass_is_normal(&when);
}

/// A shell that sets a limit and becomes a pass.
fn limited(scene: &Scene, limit: &str) -> Run {
    let pass = scene.command(["--once"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]).arg(pass.get_program()).args(pass.get_args());
    shell.env_clear().envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run(shell.current_dir(scene.lab.path()).stdin(Stdio::null()).output().expect("a shell"))
}

#[test]
fn a_limit_on_file_sizes_is_a_write_that_fails_and_not_the_end() {
    let mut scene = Scene::small();
    scene.append();
    let before = (scene.textfile(), std::fs::read(scene.state_path()).expect("a state"));
    // The first write is cut short after 512 bytes, the second one fails.
    let run = limited(&scene, "-f 1").expect_code(1);
    for what in ["error: textfile ", "error: cannot save the state ", "LimitFSIZE="] {
        assert!(run.stderr().contains(what), "{}", run.stderr());
    }
    assert_eq!((scene.textfile(), std::fs::read(scene.state_path()).expect("a state")), before);
    scene.assert_next_pass_is_normal("without the limit");
}

#[test]
fn a_pass_without_descriptors_ends_in_order_and_the_next_one_is_normal() {
    let mut scene = Scene::new();
    let mut refused = 0;
    for limit in 4..32 {
        scene.append();
        let when = format!("{limit} open files");
        let run = limited(&scene, &format!("-n {limit}"));
        // 2: not even the configuration could be read.
        assert!(matches!(run.code(), Some(0..=2)), "{when}: {:?} {}", run.code(), run.stderr());
        refused += usize::from(run.code() != Some(0));
        scene.assert_sound(&when);
        scene.assert_nobody_is_left(&when);
        if full() || limit % 7 == 0 {
            scene.assert_next_pass_is_normal(&when);
        }
    }
    assert!(refused > 0);
    scene.assert_next_pass_is_normal("at the end");
    super::report(&format!("28 limits on open files, {refused} of them too low for a pass"));
}

/// Everything happens in a mount namespace of its own, so nothing stays mounted, whatever ends the test.
const ON_A_SMALL_DISK: &str = r#"
set -eu
disk=$1 out=$2; shift 2
mount -t tmpfs -o size=96k,mode=0755 lab-probe-test "$disk"
"$@"
"$@" 2>"$out/first"
cp -r "$disk" "$out/before"
head -c 1m /dev/zero >"$disk/filling" 2>/dev/null || :
# One page is left: a longer write is cut short there, and the next one fails.
truncate -s "$(($(stat -c %s "$disk/filling") - 4096))" "$disk/filling"
code=0; "$@" 2>"$out/said" || code=$?
echo "$code" >"$out/code"
rm "$disk/filling"
cp -r "$disk" "$out/full"
"$@" 2>"$out/last"
cp -r "$disk" "$out/after"
"#;

fn on_a_small_disk(scene: &Scene, directory: &str) -> Option<PathBuf> {
    let out = scene.lab.path().join(format!("out-{directory}"));
    std::fs::create_dir(&out).expect("a directory");
    let pass = scene.command(["--once"]);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(scene.lab.path().join(directory)).arg(&out);
    command.arg(pass.get_program()).args(pass.get_args()).current_dir(scene.lab.path());
    command.env_clear().envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Run(command.output().expect("unshare is installed"));
    if !rustix::process::geteuid().is_root() {
        // Only root can mount.
        return None;
    }
    run.expect_code(0);
    Some(out)
}

#[test]
fn a_write_cut_short_by_a_full_disk_leaves_the_last_good_file() {
    let scene = Scene::new();
    for (directory, file, error) in
        [("textfile", "lab-probe.prom", "No space left on device"), ("state", "state.json", "cannot save the state ")]
    {
        let Some(out) = on_a_small_disk(&scene, directory) else { return };
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (before, full, after) =
            (read(&format!("before/{file}")), read(&format!("full/{file}")), read(&format!("after/{file}")));
        assert!(before.len() > 4096, "{file} would fit into the page that is left");
        assert_eq!(read("code"), "1\n");
        let said = read("said");
        assert!(said.contains(error) && said.contains("free some"), "{said}");
        assert!(full == before && after != before, "{directory}");
        assert!(!out.join(format!("full/.{file}.tmp")).exists());
        assert_eq!(complaints(&read("last")), Vec::<String>::new());
    }
}

/// Calls of a pass on its detectors' file.
const LEARNING_CALLS: &str = "openat,write,fsync,fdatasync,rename,renameat,renameat2,fchmod";

#[test]
fn what_cannot_be_learnt_is_told_and_costs_neither_the_textfile_nor_the_state() {
    let lab = Lab::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    lab.config(&format!("[mcp]\ndiscover = false\n[[service]]\nname = \"app\"\ntcp = \"{address}\"\n"));
    let (log, mut slot) = (lab.path().join("calls"), 0);
    // Every pass is the first of a slot: its points go to the detectors.
    let mut next = || {
        slot += 1;
        moved(lab.command(["--once", "--fresh"]), slot * 300)
    };
    let file = lab.path().join("state/unusual.bin");
    let learnt = || std::fs::read(&file).unwrap_or_default();
    let textfile = || std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("a textfile");
    (0..2).for_each(|_| drop(Run(next().output().expect("it runs")).expect_code(0)));
    let ours = |line: &str| line.contains("unusual.bin");
    let (run, sites) = injection::sites(&next(), &Whose::Main, LEARNING_CALLS, ours, &log);
    run.expect_code(0);
    for call in ["openat", "write", "fsync", "rename"] {
        assert!(sites.iter().any(|site| site.call == call), "no {call} among {sites:#?}");
    }
    let failures = || {
        let text = textfile();
        let value = text.lines().find_map(|line| line.strip_prefix("lab_probe_pass_failures_total "));
        value.and_then(|value| value.parse::<f64>().ok()).expect("a number of failures")
    };
    for (site, refusal) in sites.iter().flat_map(|site| ["EIO", "ENOSPC", "EACCES"].map(|refusal| (site, refusal))) {
        let when = format!("{refusal} at {}", site.line);
        let (before, failed) = (learnt(), failures());
        let run = injection::refused(&next(), &Whose::Main, site, refusal, &log);
        let (said, delivered) = (run.stderr(), textfile());
        assert_eq!(run.code(), Some(1), "{when}: {said}");
        let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains("unusual.bin") && said.contains("hint: "), "{when}: {said}");
        assert!(delivered.contains("lab_service_up{service_name=\"app\"} 1"), "{when}: {delivered}");
        assert_eq!((learnt() == before, failures()), (true, failed), "{when}");
        let run = Run(next().output().expect("it runs")).expect_code(0);
        assert_eq!((run.stderr().contains("unusual"), learnt() == before), (false, false), "{when}: {}", run.stderr());
        assert_eq!(failures(), failed + 1.0, "{when}: the state was saved");
    }
    std::fs::write(&file, "half a fi").expect("damaged");
    let run = Run(next().output().expect("it runs")).expect_code(0);
    assert!(run.stderr().contains("warning: ") && run.stderr().contains("set aside"), "{}", run.stderr());
    assert!(learnt().starts_with(b"lab-probe unusual "), "it begins anew");
}

/// That nothing can be supervised is this machine's affair: nothing is said of the server, and the reason is.
#[test]
fn where_the_system_lets_no_process_be_a_supervisor_a_server_is_unknown() {
    let lab = Lab::new();
    lab.config("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"x\"\ncommand = \"sleep\"\nargs = [\"60\"]\n");
    // prctl(2) makes a process a child subreaper.
    let options = ["-e", "trace=prctl", "-e", "inject=prctl:error=EINVAL"];
    let command = lab.command(["check", "--format", "table"]);
    let run = injection::strace(&command, &Whose::Every, &options, &lab.path().join("calls")).expect_code(1);
    let said = run.stdout();
    assert!(said.contains("unknown  x  not checked: cannot start its supervising process"), "{said}");
    assert!(said.contains("Invalid argument"), "{said}");
}
