//! System calls that the operating system refuses, by strace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::Run;

/// What is asked for: a full disk, a broken one, no descriptor left, no permission, a read-only disk, a signal.
pub(super) const REFUSALS: [&str; 6] = ["ENOSPC", "EIO", "EMFILE", "EACCES", "EROFS", "EINTR"];

/// One system call of a program.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) call: String,
    /// The one of the files asked for that it is on.
    file: Option<PathBuf>,
    /// It is the so-and-so-manieth of its name on that file: strace counts for each thread.
    nth: usize,
    /// As strace shows it.
    pub(super) line: String,
}

impl Site {
    pub(super) fn is_at(&self, what: &str) -> bool {
        self.line.contains(what)
    }
}

/// Whose calls are counted.
pub(super) enum Whose<'a> {
    /// Those of the program's main thread.
    Main,
    /// Those on these files, of whatever thread.
    On(&'a [PathBuf]),
    /// Those of the one thread that makes any.
    Every,
}

/// Runs a program under strace.
pub(super) fn strace(program: &Command, whose: &Whose<'_>, options: &[&str], log: &Path) -> Run {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-y", "-s", "0", "-e", "signal=none", "-o"]).arg(log).args(options);
    match whose {
        Whose::Main => {}
        Whose::On(files) => {
            strace.arg("-f");
            for file in *files {
                strace.arg("-P").arg(file);
            }
        }
        Whose::Every => _ = strace.arg("-f"),
    }
    strace.arg(program.get_program()).args(program.get_args());
    strace.current_dir(program.get_current_dir().expect("a directory"));
    strace.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run(strace.stdin(Stdio::null()).output().expect("strace is installed"))
}

/// Runs a program undisturbed, and finds those of its `calls` whose line in the log is one of `ours`.
pub(super) fn sites(
    program: &Command,
    whose: &Whose<'_>,
    calls: &str,
    ours: impl Fn(&str) -> bool,
    log: &Path,
) -> (Run, Vec<Site>) {
    let run = strace(program, whose, &["-e", &format!("trace={calls}")], log);
    let mut counts = BTreeMap::<(String, Option<PathBuf>), usize>::new();
    let mut sites = Vec::new();
    for line in std::fs::read_to_string(log).expect("a log").lines() {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let call = line.split('(').next().unwrap_or_default().to_owned();
        // Of two, as a rename has them, the first.
        let place = |file: &&PathBuf| ['"', '>'].iter().find_map(|end| line.find(&format!("{}{end}", file.display())));
        let file = match whose {
            Whose::On(files) => files.iter().filter(|file| place(file).is_some()).min_by_key(place).cloned(),
            Whose::Main | Whose::Every => None,
        };
        let nth = counts.entry((call.clone(), file.clone())).or_default();
        *nth += 1;
        if ours(line) {
            sites.push(Site { call, file, nth: *nth, line: line.to_owned() });
        }
    }
    (run, sites)
}

/// Runs a program once more, one of its calls refused.
#[track_caller]
pub(super) fn refused(program: &Command, whose: &Whose<'_>, site: &Site, refusal: &str, log: &Path) -> Run {
    let (run, injected) = inject(program, whose, site, refusal, log);
    assert!(same_call(&injected, &site.line), "{refusal} at {}: injected at {injected}", site.line);
    run
}

/// The same for a program that waits for a child: how often it looks at it is chance, and calls are counted. Where another
/// call was met it is tried again, with what was there before.
#[track_caller]
pub(super) fn refused_once_met(
    program: &Command,
    site: &Site,
    refusal: &str,
    log: &Path,
    mut prepare: impl FnMut(),
) -> Run {
    for _ in 1..MOST_TRIES {
        prepare();
        let (run, injected) = inject(program, &Whose::Main, site, refusal, log);
        if same_call(&injected, &site.line) {
            return run;
        }
    }
    prepare();
    refused(program, &Whose::Main, site, refusal, log)
}

const MOST_TRIES: usize = 20;

/// The run, and the line of the call that was refused.
fn inject(program: &Command, whose: &Whose<'_>, site: &Site, refusal: &str, log: &Path) -> (Run, String) {
    let injection = format!("inject={}:error={refusal}:when={}", site.call, site.nth);
    let on_file = site.file.as_ref().map(|file| Whose::On(std::slice::from_ref(file)));
    let run = strace(
        program,
        on_file.as_ref().unwrap_or(whose),
        &["-e", &format!("trace={}", site.call), "-e", &injection],
        log,
    );
    let log = std::fs::read_to_string(log).expect("a log");
    (run, log.lines().find(|line| line.contains("(INJECTED)")).unwrap_or_default().to_owned())
}

/// Whether two lines of strace show the same call on the same files, whatever it returned. Numbers may differ.
fn same_call(one: &str, other: &str) -> bool {
    let call = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let line = line.rsplit_once(" = ").map_or(line, |(call, _)| call);
        let line = line.split(" <unfinished").next().unwrap_or(line);
        let quoted = line.split(['"', '<', '>']).skip(1).step_by(2);
        let quoted = quoted.filter(|text| !text.is_empty());
        let files: Vec<String> = quoted.map(|text| text.chars().filter(|c| !c.is_ascii_digit()).collect()).collect();
        (line.split('(').next().unwrap_or_default().to_owned(), files)
    };
    call(one) == call(other)
}

/// Whether a signal can interrupt this call, on a network file system if nowhere else.
pub(super) fn is_interruptible(call: &str) -> bool {
    !["statx", "newfstatat", "readlink", "getdents64", "lseek", "fcntl"].contains(&call)
}
