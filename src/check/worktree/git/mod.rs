//! Git, called so that it can do nothing but read.
//!
//! The repository's own directory is named outright (`GIT_DIR`), so git neither discovers an outer repository nor
//! writes the worktree's place back into it, which discovery does once a day. The environment is built from nothing:
//! no `GIT_*` of the caller gets through. What git would run by configuration is overridden by `GIT_CONFIG_COUNT`,
//! which comes last and can name keys that `-c` cannot (a filter called `e=vil`).

mod config;
pub(super) mod content;
mod filters;
pub(super) mod inspect;
pub(super) mod merge;
pub(super) mod names;
mod owner;
pub(super) mod porcelain;
mod private_index;
pub(super) mod refs;
pub(super) mod submodules;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use self::config::Config;
use self::private_index::PrivateIndex;
use crate::clock::Deadline;
use crate::model::worktree::WorktreeTarget;
use crate::proc::{self, CommandSpec, Exit, Outcome, SpawnError};

/// The most output of one git that is kept: a status of half a million paths.
const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// Variables of the caller that git may see besides the few that every program gets; none of them begins with `GIT_`.
const INHERITED: &[&str] = &["XDG_CONFIG_HOME", "TMPDIR"];

/// What is set for every git. Old versions do not know some; those that matter have a second guard in [`OVERRIDES`].
const ENVIRONMENT: &[(&str, &str)] = &[
    // Never take index.lock to write a refreshed index back.
    ("GIT_OPTIONAL_LOCKS", "0"),
    // A missing object of a partial clone is an error here, not a reason to use the network (git 2.44) …
    ("GIT_NO_LAZY_FETCH", "1"),
    // … and an older git that tries all the same finds every transport forbidden.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "true"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
    // A trace that the user's configuration asks for would be written for each of our calls.
    ("GIT_TRACE2", "0"),
    ("GIT_TRACE2_EVENT", "0"),
    ("GIT_TRACE2_PERF", "0"),
    // Messages as this program knows them, bytes as they are.
    ("LC_ALL", "C"),
];

/// Configuration that no file can take back.
const OVERRIDES: &[(&str, &str)] = &[
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.sshCommand", "false"),
    ("core.askPass", "true"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("gpg.program", "false"),
    ("gpg.ssh.program", "false"),
    ("gpg.x509.program", "false"),
    ("diff.external", ""),
    ("maintenance.auto", "false"),
    ("gc.auto", "0"),
    // The shared part of a split index would be written into the repository.
    ("core.splitIndex", "false"),
    // Worktrees are looked at in parallel: threads inside each git would only get in each other's way.
    ("core.preloadIndex", "false"),
    ("index.threads", "1"),
];

/// Why a worktree could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// It belongs to another user.
    #[error("{0}")]
    Refused(String),
    /// There is no git on this machine's PATH, or it cannot be started.
    #[error("cannot start git: {0}")]
    Spawn(SpawnError),
    /// It ran into its limit; it and what it started have been ended.
    #[error("git {command} gave no answer within {seconds:.1} s")]
    TimedOut { command: String, seconds: f64 },
    /// It ended with a failure, or what it wrote cannot be used.
    #[error("git {command}: {message}")]
    Failed { command: String, message: String },
}

impl GitError {
    fn failed(command: &str, message: impl Into<String>) -> GitError {
        GitError::Failed { command: command.to_owned(), message: message.into() }
    }

    /// What it wrote is not in its documented format.
    fn malformed(command: &str) -> GitError {
        GitError::failed(command, "it answered in an unknown format")
    }

    /// What to do, where that is not to ask git by hand.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            GitError::Spawn(_) => Some("install git, or extend PATH (for the timer: in the unit's environment file)"),
            GitError::TimedOut { .. } => Some(
                "see whether its file system answers; raise `timeout` in [worktree], if the repository is so large",
            ),
            _ => None,
        }
    }
}

/// How to call git for one worktree or submodule.
#[derive(Debug, Clone)]
pub(super) struct Git {
    pub(super) git_dir: PathBuf,
    /// The directory shared by all worktrees of the repository.
    pub(super) common_dir: PathBuf,
    pub(super) work_tree: PathBuf,
    /// When everything about this worktree must have ended.
    pub(super) deadline: Deadline,
    /// Configuration besides [`OVERRIDES`]: what keeps this worktree's drivers from running.
    overrides: Vec<(OsString, &'static str)>,
    sparse_index: bool,
    /// What is read in place of the repository's own index.
    index: Option<Rc<PrivateIndex>>,
    /// CPU time that git has used so far for this worktree, submodules included.
    cpu: Rc<Cell<Duration>>,
}

impl Git {
    /// No command that reads file contents may run before [`Git::blank`].
    pub(super) fn of(target: &WorktreeTarget, deadline: Deadline) -> Git {
        Git::new(&target.git_dir(), &target.repository, &target.path, deadline)
    }

    pub(super) fn new(git_dir: &Path, common_dir: &Path, work_tree: &Path, deadline: Deadline) -> Git {
        Git {
            git_dir: git_dir.to_owned(),
            common_dir: common_dir.to_owned(),
            work_tree: work_tree.to_owned(),
            deadline,
            overrides: Vec::new(),
            sparse_index: false,
            index: None,
            cpu: Rc::default(),
        }
    }

    /// Keeps the filter drivers that the configuration names from running.
    fn blank(&mut self, config: &Config) {
        self.sparse_index = config.sparse_index;
        self.overrides.clear();
        for filter in config.filters.keys() {
            for (key, value) in [(".clean", ""), (".smudge", ""), (".process", ""), (".required", "false")] {
                let key = [b"filter.".as_slice(), filter, key.as_bytes()].concat();
                self.overrides.push((OsString::from_vec(key), value));
            }
        }
    }

    /// `git ls-files`. A sparse index is listed as it is: to expand it, git writes trees into the repository.
    fn ls_files(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let sparse = self.sparse_index.then_some("--sparse");
        let args: Vec<&str> = ["ls-files"].into_iter().chain(sparse).chain(args.iter().copied()).collect();
        self.run(&args, b"")
    }

    /// Where a path of git's lies.
    pub(super) fn file(&self, path: &[u8]) -> PathBuf {
        self.work_tree.join(OsStr::from_bytes(path))
    }

    pub(super) fn cpu(&self) -> Duration {
        self.cpu.get()
    }

    /// Runs `git ARGS` in the worktree and returns its output.
    /// Errors: for everything but exit 0.
    pub(super) fn run<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Result<Vec<u8>, GitError> {
        self.run_up_to(args, stdin, 0).map(|(_, output)| output)
    }

    /// The same with every exit code up to `most` as an answer.
    fn run_up_to<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8], most: i32) -> Result<(i32, Vec<u8>), GitError> {
        let command = args.first().map_or_else(String::new, |arg| arg.as_ref().to_string_lossy().into_owned());
        let began = crate::clock::instant();
        // A submodule that hangs leaves time for the others.
        let limit = self.deadline.sooner(self.deadline.left() * 2 / 3);
        let captured =
            proc::capture(&self.command(args), Some(stdin), MAX_OUTPUT_BYTES, limit).map_err(GitError::Spawn)?;
        self.cpu.set(self.cpu.get() + captured.usage.map_or(Duration::ZERO, |usage| usage.cpu));
        match captured.outcome {
            Outcome::Exited(Exit::Code(code)) if (0..=most).contains(&code) => Ok((code, captured.stdout)),
            Outcome::Exited(_) => Err(GitError::failed(&command, first_line(&captured.stderr.text()))),
            Outcome::TooLarge => {
                Err(GitError::failed(&command, format!("more than {MAX_OUTPUT_BYTES} bytes of output")))
            }
            Outcome::TimedOut => {
                let seconds = limit.instant().saturating_duration_since(began).as_secs_f64();
                Err(GitError::TimedOut { command, seconds })
            }
        }
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> CommandSpec {
        let mut spec = CommandSpec::new("git")
            .args(args.iter().map(|arg| arg.as_ref().to_owned()))
            .cwd(&self.work_tree)
            .env("GIT_DIR", &self.git_dir)
            .env("GIT_WORK_TREE", &self.work_tree);
        if let Some(index) = &self.index {
            spec = spec.env("GIT_INDEX_FILE", index.path());
        }
        for (name, value) in INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))) {
            spec = spec.env(name, value);
        }
        for (name, value) in ENVIRONMENT {
            spec = spec.env(name, value);
        }
        let fixed = OVERRIDES.iter().map(|(key, value)| (OsStr::new(key), *value));
        let pairs = fixed.chain(self.overrides.iter().map(|(key, value)| (key.as_os_str(), *value)));
        spec = spec.env("GIT_CONFIG_COUNT", (OVERRIDES.len() + self.overrides.len()).to_string());
        for (number, (key, value)) in pairs.enumerate() {
            spec = spec.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        spec
    }
}

/// What git complained of, without its prefix; the first line says it, with the next one where it announces that.
fn first_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let at = lines.iter().position(|line| line.starts_with("fatal:") || line.starts_with("error:")).unwrap_or(0);
    let line = lines.get(at).copied().unwrap_or("it failed without a word");
    let line = line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")).unwrap_or(line);
    let detail = lines.get(at + 1).filter(|_| line.ends_with(':')).map(|detail| format!(" {detail}"));
    line.chars().chain(detail.unwrap_or_default().chars()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_kept() {
        assert_eq!(first_line("warning: odd\nfatal: bad object HEAD\nhint: more\n"), "bad object HEAD");
        let extension = "fatal: unknown repository extension found:\n\n\tfuture\n";
        assert_eq!(first_line(extension), "unknown repository extension found: future");
        assert_eq!(first_line("fatal: nothing follows:\n"), "nothing follows:");
        assert_eq!(first_line(""), "it failed without a word");
    }
}
