//! The operating system refuses what a command does to a file: every system call on it in turn.
//!
//! What must hold: the file is as it was or as it should be, and the code and the words say which; the next run is
//! normal. `record` gives the code of the command that it ran, whatever happens to its own files. A call that a signal
//! interrupts is made again, in silence.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::full;
use super::injection::{self, REFUSALS, Site, Whose, is_interruptible};
use super::scene::complaints;
use crate::harness::http::{Fake, Then};
use crate::harness::{Lab, Run, git};

/// Calls that ask about files, open, read, write, list and remove them.
const CALLS: &str = "openat,read,pread64,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,mkdir,rmdir,\
                     fchmod,flock,statx,newfstatat,readlink,getdents64,lseek";

/// Refusals of each command where not all are tried, on average.
const SAMPLE: usize = 10;

/// A command and what it does to files.
pub(super) struct Case {
    pub(super) name: &'static str,
    lab: Lab,
    args: Vec<&'static str>,
    /// The code of an undisturbed run.
    code: i32,
    /// Parts of the paths that it reads or writes.
    touches: Vec<&'static str>,
    /// Brings about what was before.
    prepare: fn(&Lab),
    /// What the command has changed or printed, in a word.
    outcome: fn(&Lab, &str) -> String,
}

impl Case {
    pub(super) fn command(&self) -> Command {
        let mut command = self.lab.command(&self.args);
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// Brings about what was before, and says what that is.
    pub(super) fn prepared(&self) -> String {
        (self.prepare)(&self.lab);
        self.changed("")
    }

    /// What the command has changed, and what it has `printed`.
    pub(super) fn changed(&self, printed: &str) -> String {
        (self.outcome)(&self.lab, printed)
    }

    /// A run right afterwards does what it should, in silence, and leaves nothing lying about.
    #[track_caller]
    pub(super) fn assert_next_run_is_normal(&self, after: &str, when: &str) {
        let again = self.command().output().map(Run).expect("a run").expect_code(self.code);
        assert_eq!(self.changed(&again.stdout()), after, "{when}: the next run");
        assert_eq!(complaints(&again.stderr()), Vec::<String>::new(), "{when}: the next run");
        assert_nothing_lies_about(self.lab.path(), when);
    }

    fn log(&self) -> PathBuf {
        self.lab.path().join("calls")
    }

    fn is_record(&self) -> bool {
        self.args[0] == "record"
    }

    /// Refuses every call in turn, or a sample of them, and returns how many refusals that were and at how many calls.
    fn attack(&self) -> (usize, usize) {
        let before = self.prepared();
        let ours = |line: &str| self.touches.iter().any(|part| line.contains(part));
        // The configuration is read on a thread of its own.
        let files = [PathBuf::from("lab-probe.toml")];
        let whose = if self.args.starts_with(&["config", "check"]) { Whose::On(&files) } else { Whose::Main };
        let (run, sites) = injection::sites(&self.command(), &whose, CALLS, ours, &self.log());
        let after = self.changed(&run.expect_code(self.code).stdout());
        assert!(!sites.is_empty() && before != after, "{}: {before} {sites:#?}", self.name);
        let mut refusals = 0;
        for site in &sites {
            for refusal in REFUSALS.into_iter().filter(|r| *r != "EINTR" || is_interruptible(&site.call)) {
                if full() || fastrand::usize(..sites.len() * REFUSALS.len()) < SAMPLE {
                    self.refuse(site, refusal, &before, &after);
                    refusals += 1;
                }
            }
        }
        (refusals, sites.len())
    }

    fn refuse(&self, site: &Site, refusal: &str, before: &str, after: &str) {
        let when = format!("{}: {refusal} at {}", self.name, site.line);
        let prepare = || _ = self.prepared();
        let run = injection::refused_once_met(&self.command(), site, refusal, &self.log(), prepare);
        let (said, printed) = (run.stderr(), run.stdout());
        let outcome = self.changed(&printed);
        assert!(outcome == before || outcome == after, "{when}: {outcome}\n{said}");
        // `verify` says what it finds on standard output: that is what it is asked for.
        let told = complaints(&if self.args[0] == "verify" { printed.clone() } else { said.clone() });
        if refusal == "EINTR" {
            assert_eq!((run.code(), &*outcome), (Some(self.code), after), "{when}: {said}");
            assert_eq!(told, Vec::<String>::new(), "{when}");
        } else if told.is_empty() {
            assert_eq!((run.code(), &*outcome), (Some(self.code), after), "{when}: nothing is said: {said}");
        } else {
            self.assert_told(&run, &told, &when);
        }
        if self.is_record() {
            assert_eq!(printed, "tested\n", "{when}");
        }
        assert_nothing_lies_about(self.lab.path(), &when);
        if outcome == before {
            self.assert_next_run_is_normal(after, &when);
        }
    }

    /// The complaints name a file and what mends it, and the code says whether they are errors.
    fn assert_told(&self, run: &Run, told: &[String], when: &str) {
        let said = run.stderr();
        let names = |line: &&String| self.touches.iter().any(|part| line.contains(part));
        let remedy = said.contains("\nhint: ") || told.iter().any(|line| line.contains("; "));
        assert!(told.iter().any(|line| names(&line)) && remedy, "{when}: no file or no remedy: {said}");
        let failed = told.iter().any(|line| line.contains("error: ")) && !self.is_record();
        let codes = if failed { vec![1, 2] } else { vec![self.code] };
        assert!(run.code().is_some_and(|code| codes.contains(&code)), "{when}: exit {:?}: {said}", run.code());
    }
}

/// No temporary file, and no file set aside, is left.
fn assert_nothing_lies_about(root: &Path, when: &str) {
    for entry in everything_below(root) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(!name.ends_with(".tmp") && !name.contains("damaged"), "{when}: {}", entry.display());
    }
}

fn everything_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("listed").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() && !entry.is_symlink() && !entry.ends_with(".git") {
            found.extend(everything_below(&entry));
        }
        found.push(entry);
    }
    found
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|_absent| "none".into())
}

fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    std::fs::copy(from, to).expect("copied");
}

fn lab(rest: &str) -> Lab {
    let lab = Lab::new();
    lab.config(&format!("[mcp]\ndiscover = false\n{rest}"));
    lab
}

fn attack(cases: Vec<Case>) {
    for case in cases {
        let (refusals, sites) = case.attack();
        super::report(&format!("{refusals} refusals at {sites} system calls of `{}`", case.name));
    }
}

#[test]
fn a_file_that_a_command_writes_is_old_or_new_and_its_words_say_which() {
    attack(vec![record(7), trust(), worktree_set(), config_init(), report_html(), withdraw()]);
}

#[test]
fn a_report_is_remembered_as_sent_whatever_is_refused_or_sent_again() {
    let (case, _telegram, sent) = summary_sent();
    attack(vec![case]);
    assert!(sent.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_file_that_a_command_cannot_read_is_never_taken_for_an_empty_one() {
    attack(vec![config_check(), worktree_show(), verify(), summary(), list()]);
}

/// The verdict of a test that ends with `code` over another one.
pub(super) fn record(code: i32) -> Case {
    let lab = lab("");
    git::repository(&lab, "repo");
    let other = if code == 0 { "false" } else { "true" };
    lab.run(["record", "-C", "repo", "--", other]).expect_code(i32::from(code == 0));
    std::fs::rename(verdict_of(&lab), lab.path().join("other.json")).expect("a verdict");
    let script = if code == 0 { "echo tested" } else { "echo tested; exit 7" };
    Case {
        name: "record",
        lab,
        args: vec!["record", "-C", "repo", "--", "sh", "-c", script],
        code,
        touches: vec!["/state/"],
        prepare: |lab| copy(lab.path().join("other.json"), verdict_of(lab)),
        outcome: |lab, _| {
            let running = record_running(lab);
            let verdict: serde_json::Value = serde_json::from_str(&read(verdict_of(lab))).expect("a whole verdict");
            format!("passed {}, running {running}", verdict["passed"])
        },
    }
}

/// The verdict of the LAB's one worktree, there or not.
fn verdict_of(lab: &Lab) -> PathBuf {
    let records = std::fs::read_dir(lab.path().join("state/records")).expect("records");
    let directories: Vec<PathBuf> = records.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(directories.len(), 1, "{directories:?}");
    directories[0].join("verdict.json")
}

fn record_running(lab: &Lab) -> bool {
    let records = lab.path().join("state/records");
    lab_probe::check::worktree::record::read(&records, &lab.path().join("repo")).running
}

/// A second file beside one that is trusted already.
pub(super) fn trust() -> Case {
    let lab = lab("");
    for name in ["first", "second"] {
        lab.write(format!("{name}/.mcp.json"), "{\"mcpServers\": {\"a\": {\"command\": \"true\"}}}");
    }
    lab.run(["trust", "first/.mcp.json"]).expect_code(0);
    std::fs::copy(lab.path().join("state/trust.json"), lab.path().join("trusted")).expect("copied");
    Case {
        name: "trust",
        lab,
        args: vec!["trust", "second/.mcp.json"],
        code: 0,
        touches: vec!["/state", "second/.mcp.json"],
        prepare: |lab| copy(lab.path().join("trusted"), lab.path().join("state/trust.json")),
        outcome: |lab, _| {
            let store: serde_json::Value =
                serde_json::from_str(&read(lab.path().join("state/trust.json"))).expect("a whole store");
            let files: Vec<&String> = store["files"].as_object().expect("files").keys().collect();
            format!("{files:?}")
        },
    }
}

pub(super) fn worktree_set() -> Case {
    let lab = lab("");
    git::repository(&lab, "repo");
    Case {
        name: "worktree set",
        lab,
        args: vec!["worktree", "set", "-C", "repo", "status=blocked"],
        code: 0,
        touches: vec!["/repo/.worktree"],
        prepare: |lab| {
            let path = lab.write("repo/.worktree", "# mine\nstatus=\"working\"\n");
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
        },
        outcome: |lab, _| {
            let path = lab.path().join("repo/.worktree");
            let mode = path.metadata().expect("a file").permissions().mode() & 0o777;
            format!("{mode:o} {}", read(path))
        },
    }
}

fn worktree_show() -> Case {
    let set = worktree_set();
    Case {
        name: "worktree show",
        args: vec!["worktree", "show", "-C", "repo"],
        outcome: |_, printed| printed.to_owned(),
        ..set
    }
}

fn config_init() -> Case {
    Case {
        name: "config init",
        lab: Lab::new(),
        args: vec!["config", "init", "conf/new.toml"],
        code: 0,
        touches: vec!["conf"],
        prepare: |lab| drop(std::fs::remove_dir_all(lab.path().join("conf"))),
        outcome: |lab, _| read(lab.path().join("conf/new.toml")),
    }
}

fn config_check() -> Case {
    Case {
        name: "config check",
        lab: lab("[[service]]\nname = \"a\"\ntcp = \"127.0.0.1:1\"\n"),
        args: vec!["config", "check", "lab-probe.toml"],
        code: 0,
        touches: vec!["lab-probe.toml"],
        prepare: |_| {},
        outcome: |_, printed| printed.to_owned(),
    }
}

pub(super) fn report_html() -> Case {
    let lab = lab("");
    lab.run(["--once"]).expect_code(0);
    Case {
        name: "report",
        lab,
        args: vec!["report", "--html", "page.html"],
        code: 0,
        touches: vec!["page.html", "/state"],
        prepare: |lab| drop(lab.write("page.html", "old")),
        outcome: |lab, _| read(lab.path().join("page.html")).chars().take(15).collect(),
    }
}

fn withdraw() -> Case {
    let lab = lab("");
    lab.run(["--once"]).expect_code(0);
    std::fs::copy(lab.textfile_dir().join("lab-probe.prom"), lab.path().join("delivered")).expect("copied");
    Case {
        name: "withdraw",
        lab,
        args: vec!["withdraw"],
        code: 0,
        touches: vec!["/textfile", "/state"],
        prepare: |lab| copy(lab.path().join("delivered"), lab.textfile_dir().join("lab-probe.prom")),
        outcome: |lab, _| read(lab.textfile_dir().join("lab-probe.prom")),
    }
}

fn verify() -> Case {
    let lab = Lab::new();
    lab.write("textfile/a.prom", "# HELP a a\n# TYPE a gauge\na 1\n");
    // node_exporter must get there.
    std::fs::set_permissions(lab.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    Case {
        name: "verify",
        lab,
        args: vec!["verify", "textfile"],
        code: 0,
        touches: vec!["textfile"],
        prepare: |_| {},
        outcome: |_, printed| if printed.contains("takes them whole") { "taken" } else { "" }.to_owned(),
    }
}

fn summary() -> Case {
    let lab = lab("[[service]]\nname = \"a\"\nprocess = \"no such program\"\n");
    lab.run(["--once"]).expect_code(0);
    Case {
        name: "summary",
        lab,
        args: vec!["summary"],
        code: 0,
        touches: vec!["/state"],
        prepare: |_| {},
        outcome: |_, printed| printed.lines().take(3).collect(),
    }
}

/// A report sent beside one of another day, the Telegram it is sent to, and how often that got it.
fn summary_sent() -> (Case, Fake, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let telegram = Fake::serve(move |_, peer| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}");
        Then::Close
    });
    let lab = lab("");
    let token = lab.write("token", "123:secret-token\n");
    lab.config(&format!(
        "[mcp]\ndiscover = false\n[telegram]\nchat_id = \"-100\"\ntoken_file = {token:?}\napi_url = {:?}\n",
        telegram.url("/")
    ));
    let case = Case {
        name: "summary --send",
        lab,
        args: vec!["summary", "--send", "telegram", "--date", "2025-10-08"],
        code: 0,
        touches: vec!["/state", "/token"],
        prepare: |lab| drop(lab.write("state/history/sent.json", "{\"2025-10-07\":{\"whole\":true}}")),
        outcome: |lab, _| {
            let sent: BTreeMap<String, serde_json::Value> =
                serde_json::from_str(&read(lab.path().join("state/history/sent.json"))).expect("a whole file");
            assert!(sent.contains_key("2025-10-07"), "{sent:?}");
            // Handed over, whether or not it could be remembered afterwards that it arrived.
            format!("{:?}", sent.get("2025-10-08").map(|report| &report["whole"]))
        },
    };
    (case, telegram, sent)
}

fn list() -> Case {
    let lab = lab("[[service]]\nname = \"a\"\nprocess = \"no such program\"\n");
    lab.run(["--once"]).expect_code(0);
    Case {
        name: "list",
        lab,
        args: vec!["list", "--format", "json"],
        code: 0,
        touches: vec!["/state"],
        prepare: |_| {},
        outcome: |_, printed| if printed.contains("\"down\"") { "remembered" } else { "" }.to_owned(),
    }
}
