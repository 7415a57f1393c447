//! The exit codes of every command, and nothing else.

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

/// A failure that is the user's to mend before anything can run (exit 2): a bad flag, a bad config line.
///
/// Commands return it inside an [`anyhow::Error`]; [`crate::commands::main`] looks for it to choose the exit code.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
