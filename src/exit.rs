//! How every command ends: its exit code and, in the chain of an error, the [`Hint`] that says what to do next.
//!
//! `.context(…)` names the step that failed; a hint says what to do. `commands` prints both, once, at the end.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use anyhow::anyhow;

use crate::fs;
use crate::fs::remedy;

/// Signal handlers and checks need a thread or a descriptor each.
const TASKS: &str =
    "raise the limits on tasks and open files (TasksMax= and LimitNOFILE= of the unit; ulimit -u, ulimit -n)";

/// How a command ended, as the exit code that systemd and scripts see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything that was asked for was done. A target being down is not a failure of a pass.
    Done,
    /// 1: something asked for was not done (an output, the state), or `check`, `verify` or `doctor` found trouble.
    Trouble,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 75 (`EX_TEMPFAIL` of sysexits.h): another pass holds the lock; trying again later may work.
    Locked,
    /// The exit code of the command that `record` ran, passed through.
    Child(u8),
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        let code: u8 = match exit {
            Exit::Done => 0,
            Exit::Trouble => 1,
            Exit::Usage => 2,
            Exit::Locked => 75,
            Exit::Child(code) => code,
        };
        code.into()
    }
}

/// What to do about the error that it wraps, and the exit code that follows. It adds no text to the chain.
#[derive(Debug)]
pub struct Hint {
    exit: Exit,
    next: String,
    error: anyhow::Error,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Hint {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

pub fn hinted(exit: Exit, error: impl Into<anyhow::Error>, next: impl Into<String>) -> anyhow::Error {
    Hint { exit, next: next.into(), error: error.into() }.into()
}

/// Something asked for was not done (exit 1).
pub fn trouble(what: impl fmt::Display, next: impl Into<String>) -> anyhow::Error {
    hinted(Exit::Trouble, anyhow!("{what}"), next)
}

/// The user's to mend before anything can run (exit 2): a bad flag, a name that there is not.
pub fn usage(what: impl fmt::Display, next: impl Into<String>) -> anyhow::Error {
    hinted(Exit::Usage, anyhow!("{what}"), next)
}

/// Another pass holds the lock on this directory (exit 75).
pub fn locked(directory: &Path) -> anyhow::Error {
    let what = format!("another pass is running (it holds the lock on {})", directory.display());
    hinted(Exit::Locked, anyhow!("{what}"), "try again when it has ended")
}

/// What failed at a file (exit 1); what to do follows from what the operating system said in the chain of the error.
pub fn failed_at(path: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let next = fs::io_error(&error).map_or_else(|| remedy(path, &io::Error::other("")), |said| remedy(path, said));
    hinted(Exit::Trouble, error, next)
}

pub fn refused(what: &str, path: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    failed_at(path, error.into().context(format!("{what} {}", path.display())))
}

/// No signal handler or thread is to be had.
pub fn no_tasks(what: &str, error: impl fmt::Display) -> anyhow::Error {
    trouble(format!("cannot {what}: {error}"), TASKS)
}

/// What cannot happen unless lab-probe is wrong.
pub fn bug(what: impl fmt::Display) -> anyhow::Error {
    trouble(format!("{what:#}"), "this is a bug in lab-probe: report it with the command and this message")
}

fn find(error: &anyhow::Error) -> Option<&Hint> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

pub fn code_of(error: &anyhow::Error) -> Exit {
    find(error).map_or(Exit::Trouble, |hint| hint.exit)
}

pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    find(error).map(|hint| hint.next.as_str())
}

/// The chain of an error and what to do about it, in one line.
pub fn sentence(error: &anyhow::Error) -> String {
    hint_of(error).map_or_else(|| format!("{error:#}"), |hint| format!("{error:#}; {hint}"))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_hint_and_its_code_are_found_below_the_steps_that_failed() {
        let denied = refused("cannot write", Path::new("/etc/a"), io::Error::from_raw_os_error(libc::EROFS));
        let error = Err::<(), _>(denied).context("the report is not sent").expect_err("an error");
        assert_eq!(code_of(&error), Exit::Trouble);
        assert!(sentence(&error).starts_with("the report is not sent: cannot write /etc/a: Read-only"), "{error:#}");
        assert!(hint_of(&error).is_some_and(|hint| hint.contains("ReadWritePaths=")));
        assert!(error.downcast_ref::<Hint>().is_some());
        assert_eq!(code_of(&usage("no such name", "list").context("check")), Exit::Usage);
        assert_eq!((code_of(&anyhow!("x")), hint_of(&anyhow!("x"))), (Exit::Trouble, None));
    }
}
