//! Real daemons of the field (node_exporter, Pushgateway) on loopback, for as long as a test needs them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Nothing in a test waits longer for a daemon.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that logs the address it listens on; ended with this value.
pub(crate) struct Daemon {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Daemon {
    /// Starts a program of the Prometheus family with `--web.listen-address` on a port of its own choice.
    ///
    /// As root it runs as nobody, as it would in earnest: file modes mean something then.
    pub(crate) fn start(program: &str, args: &[&str]) -> Daemon {
        Daemon::start_at(program, args, 0)
    }

    /// As [`Daemon::start`], on the port given.
    pub(crate) fn start_at(program: &str, args: &[&str], port: u16) -> Daemon {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", program]);
            command
        } else {
            Command::new(program)
        };
        let mut child = command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program} cannot be started ({e}); tests/deps.sh installs it"));
        let log = Arc::new(Mutex::new(String::new()));
        let listening = follow(child.stderr.take().expect("a pipe"), Arc::clone(&log));
        match listening.recv_timeout(PATIENCE) {
            Ok(port) => Daemon { child, port, log },
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{program} does not listen:\n{}", log.lock().expect("a log"));
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    /// Status and body of a GET, or why there is none within `patience`.
    pub(crate) fn get_within(&self, path: &str, patience: Duration) -> std::io::Result<(u16, Vec<u8>)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        // HTTP/1.0: the body ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n");
        let status = answer.get(9..12).and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
        match (status, end) {
            (Some(status), Some(end)) => Ok((status, answer[end + 4..].to_vec())),
            _ => Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "no answer")),
        }
    }

    /// The body of a GET that must succeed.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> String {
        match self.get_within(path, PATIENCE) {
            Ok((200, body)) => String::from_utf8(body).expect("text"),
            other => panic!("GET {path}: {other:?}\n{}", self.log()),
        }
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it in its tracks: connections are accepted by the kernel, and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a running daemon");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps what a daemon logs and tells the port it listens on.
fn follow(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> Receiver<u16> {
    let (tell, listening) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let port = line.split_once("address=127.0.0.1:").and_then(|(_, port)| port.trim_end().parse().ok());
            if let (Some(port), true) = (port, line.contains("Listening on")) {
                let _ = tell.send(port);
            }
            let mut log = log.lock().expect("a log");
            log.push_str(&line);
            log.push('\n');
        }
    });
    listening
}

/// Opens a directory to every user, as one that node_exporter reads must be.
pub(crate) fn open_to_all(directory: &Path) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}
