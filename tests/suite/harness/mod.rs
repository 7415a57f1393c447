//! What every test stands on: the binary under test in a directory and an environment of its own.

pub(crate) mod daemon;
pub(crate) mod git;
pub(crate) mod hostile_http;
pub(crate) mod http;
pub(crate) mod mcp_http;
pub(crate) mod player;
pub(crate) mod servers;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use lab_probe::check::{Context, Start};
use lab_probe::clock::{self, Deadline};
use lab_probe::proc::Permits;
use lab_probe::proc::supervisor::use_executable;
use tempfile::TempDir;

/// The context of a check whose turn is at once, in a pass that ends at `pass`.
pub(crate) fn context(timeout: Duration, pass: Deadline) -> Context {
    queued(timeout, pass, &Permits::new(1))
}

/// The context of a check that waits for its turn, until the end of the pass.
pub(crate) fn queued(timeout: Duration, pass: Deadline, permits: &Arc<Permits>) -> Context {
    // A check starts lab-probe once more as supervisor; this is another program.
    use_executable(env!("CARGO_BIN_EXE_lab-probe"));
    Context::new(timeout, pass, clock::now(), Start::new(permits, Some(permits.ticket()), pass, pass.left()))
}

/// An address where nothing listens. A port that was free a moment ago may be another test's by now; this one is only root's.
pub(crate) const CLOSED: &str = "127.0.0.1:1";

/// A free port, of those that the kernel gives to nobody who does not name one (ip_local_port_range, ip(7)).
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).find(is_free).expect("one is free")
}

/// Installs a script as a program; see [`install`].
pub(crate) fn install_script(script: &str, path: &Path) {
    let mut command = Command::new("install");
    command.args(["-D", "-m", "755", "/dev/stdin"]).arg(path).stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("install is started");
    let mut input = child.stdin.take().expect("its input");
    std::io::Write::write_all(&mut input, script.as_bytes()).expect("the script is written");
    drop(input);
    assert!(child.wait().expect("install ends").success(), "{}", path.display());
}

/// Installs a copy of a program. Another process writes it: a file that this one holds open for writing is open in every
/// child that another thread starts until the child executes its own program, and Linux executes no such file (`ETXTBSY`).
pub(crate) fn install(program: impl AsRef<Path>, path: &Path) {
    let status = Command::new("install").args(["-D", "-m", "755"]).arg(program.as_ref()).arg(path).status();
    assert!(status.expect("install is started").success(), "{}", path.display());
}

/// A home of its own for one test: nothing of the machine's user is seen, nothing of the test is left behind.
pub(crate) struct Lab {
    directory: TempDir,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Lab {
    /// An empty LAB.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("lab-probe-test-").tempdir().expect("a temporary directory");
        for name in ["home", "state", "textfile"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Lab { directory }
    }

    /// The root of everything this test owns.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The probed user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The directory textfiles are delivered to, if the config says so.
    pub(crate) fn textfile_dir(&self) -> PathBuf {
        self.path().join("textfile")
    }

    /// Writes a file below the root, directories included, and returns its path.
    pub(crate) fn write(&self, relative: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// Installs a script below the root as a program, directories included, and returns its path.
    pub(crate) fn install(&self, relative: impl AsRef<Path>, script: &str) -> PathBuf {
        let path = self.path().join(relative);
        install_script(script, &path);
        path
    }

    /// Writes `lab-probe.toml` with the state and textfile directories of this LAB in front of `rest`.
    pub(crate) fn config(&self, rest: &str) -> PathBuf {
        let state = self.path().join("state");
        let textfile = self.textfile_dir();
        self.write(
            "lab-probe.toml",
            format!("[probe]\nstate_dir = {state:?}\n[output.textfile]\ndirectory = {textfile:?}\n{rest}"),
        )
    }

    /// The binary under test, in this LAB's root, with a scrubbed environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_lab-probe"));
        command.args(args);
        command
    }

    /// Any program, in the same environment.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "dumb")
            .current_dir(self.path());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run(self.command(args).output().expect("lab-probe starts"))
    }
}

/// A finished run.
pub(crate) struct Run(pub(crate) Output);

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Run {
    /// Exit code; `None` if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// Standard output as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// Standard error as text.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Fails the test with everything that was printed unless the exit code is the one expected.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }
}
