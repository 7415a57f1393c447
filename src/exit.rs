//! How every command ends: its exit code and, where it failed, what to do about it.

use std::fmt;
use std::io;
use std::path::Path;

use crate::fs::remedy::remedy;

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
    /// 130: ended by SIGINT.
    Interrupted,
    /// 143: ended by SIGTERM.
    Terminated,
    /// The exit code of the command that `record` ran, passed through.
    Child(u8),
}

impl Exit {
    /// The number handed to the operating system.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Trouble => 1,
            Exit::Usage => 2,
            Exit::Locked => 75,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
            Exit::Child(code) => code,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what it was asked for: what failed and where, and what to do next. Every command returns this
/// one, and it cannot be made without a hint, so none leaves a person with a bare error of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// How the command ends.
    pub exit: Exit,
    /// What failed and where. A bad configuration has a line for each of its problems.
    pub what: Vec<String>,
    /// What to do next.
    pub hint: String,
}

impl Failed {
    /// Something asked for was not done (exit 1).
    pub fn trouble(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failed { exit: Exit::Trouble, what: vec![what.into()], hint: hint.into() }
    }

    /// The user's to mend before anything can run (exit 2): a bad flag, a name that there is not.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failed { exit: Exit::Usage, ..Failed::trouble(what, hint) }
    }

    /// Another pass holds the lock on this directory (exit 75).
    pub fn locked(directory: &Path) -> Self {
        let what = format!("another pass is running (it holds the lock on {})", directory.display());
        Failed { exit: Exit::Locked, ..Failed::trouble(what, "try again when it has ended") }
    }

    /// A file that the operating system refuses.
    pub fn refused(what: &str, path: &Path, error: &io::Error) -> Self {
        Failed::trouble(format!("{what} {}: {error}", path.display()), remedy(path, error))
    }

    /// Signal handlers that cannot be installed.
    pub fn no_signals(error: &io::Error) -> Self {
        Failed::trouble(format!("cannot install the signal handlers: {error}"), TASKS)
    }

    /// Threads that cannot be had.
    pub fn no_threads(error: &impl fmt::Display) -> Self {
        Failed::trouble(format!("cannot start the threads that checks run on: {error}"), TASKS)
    }

    /// What cannot happen unless lab-probe is wrong.
    pub fn bug(what: impl fmt::Display) -> Self {
        Failed::trouble(what.to_string(), "this is a bug in lab-probe: report it with the command and this message")
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what.join("; "), self.hint)
    }
}

impl std::error::Error for Failed {}
