//! Connections: a socket under a deadline and a budget, a proxy if the environment says so, and TLS on top.
//!
//! ureq drives the protocol; every byte goes through [`Line`], which asks the deadline before each system call. So a
//! peer that drips its bytes, in whichever phase, gets no more time than one that is silent.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::error::{ErrorKind, HttpError, wire_error};
use super::proxy::{Proxies, Proxy, Route};
use super::resolve::{addresses_of, connect, host_and_port};
use super::{INPUT_BUFFER, OUTPUT_BUFFER, tls};
use crate::clock::Deadline;

/// Answer of a proxy to `CONNECT`: a status line and a few headers.
const MOST_PROXY_ANSWER: usize = 16 * 1024;

/// What all connections of one client share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) proxies: Proxies,
    pub(super) ca_file: Option<PathBuf>,
    /// Most bytes received, TLS taken off or not, and most bytes after decompression.
    pub(super) budget: u64,
    pub(super) received: AtomicU64,
    pub(super) decoded: AtomicU64,
    /// Connections made so far: tells a reused one from a new one.
    pub(super) dials: AtomicU64,
    /// Whether a byte of a request may have left.
    pub(super) sent: AtomicBool,
    /// When the certificate of the newest TLS connection ends, unix seconds; 0 while there was none.
    pub(super) not_after: AtomicI64,
    /// Sockets in use, so that [`super::Client::hang_up`] can end reads of another thread.
    pub(super) sockets: Mutex<Vec<Weak<TcpStream>>>,
}

impl Shared {
    fn count(&self, counter: &AtomicU64, amount: usize) -> io::Result<()> {
        let before = counter.fetch_add(amount as u64, Ordering::Relaxed);
        if before.saturating_add(amount as u64) <= self.budget {
            return Ok(());
        }
        let detail = format!("more than {} MiB received in one check", self.budget >> 20);
        Err(io::Error::other(HttpError::new(ErrorKind::TooLarge, detail)))
    }

    pub(super) fn count_decoded(&self, amount: usize) -> io::Result<()> {
        self.count(&self.decoded, amount)
    }
}

/// The deadline behind ureq's "time left until the next timeout".
pub(super) fn deadline_of(timeout: NextTimeout) -> Deadline {
    Deadline::after(*timeout.after)
}

thread_local! {
    /// How long a read of this thread waits before it reports [`StillWaiting`]; `None` means to the deadline.
    static READ_TIMEOUT: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Sets the read timeout of this thread for as long as this lives. ureq stands between a body and its connection, and the two
/// may belong to different requests of one client: the thread is what they have in common.
pub(super) struct ReadTimeout;

impl ReadTimeout {
    pub(super) fn of(timeout: Duration) -> ReadTimeout {
        READ_TIMEOUT.set(Some(timeout));
        ReadTimeout
    }
}

impl Drop for ReadTimeout {
    fn drop(&mut self) {
        READ_TIMEOUT.set(None);
    }
}

/// Nothing has come within the thread's timeout; the read may be tried again.
#[derive(Debug)]
pub(super) struct StillWaiting;

impl StillWaiting {
    pub(super) fn is(error: &ureq::Error) -> bool {
        matches!(error, ureq::Error::Other(inner) if inner.is::<StillWaiting>())
    }
}

impl fmt::Display for StillWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing has come yet")
    }
}

impl std::error::Error for StillWaiting {}

/// A TCP connection with its deadline.
#[derive(Debug)]
pub(super) struct Line {
    socket: Arc<TcpStream>,
    shared: Arc<Shared>,
    pub(super) deadline: Deadline,
}

impl Line {
    pub(super) fn new(socket: TcpStream, shared: Arc<Shared>, deadline: Deadline) -> Self {
        // Answers are waited for one by one: delaying small packets would only cost time.
        let _ = socket.set_nodelay(true);
        let socket = Arc::new(socket);
        let mut sockets = shared.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&socket));
        drop(sockets);
        Line { socket, shared, deadline }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.left();
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Whether the peer has neither closed nor sent anything: only then may the connection serve another request.
    fn is_idle(&self) -> bool {
        let mut byte = [0];
        self.socket.set_nonblocking(true).is_ok()
            && matches!(self.socket.peek(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
            && self.socket.set_nonblocking(false).is_ok()
    }
}

/// Runs one blocking call on the socket again after a signal; an expired socket timeout reads as `TimedOut`.
fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            done => return done,
        }
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let timeout = READ_TIMEOUT.get();
        let amount = uninterrupted(|| {
            let left = self.left()?;
            self.socket.set_read_timeout(Some(timeout.map_or(left, |timeout| timeout.min(left))))?;
            (&*self.socket).read(into)
        });
        let amount = match amount {
            Err(e) if e.kind() == io::ErrorKind::TimedOut && timeout.is_some() && !self.deadline.passed() => {
                return Err(io::Error::other(StillWaiting));
            }
            amount => amount?,
        };
        self.shared.count(&self.shared.received, amount)?;
        Ok(amount)
    }
}

impl Write for Line {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        uninterrupted(|| {
            self.socket.set_write_timeout(Some(self.left()?))?;
            (&*self.socket).write(from)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// ureq's connector: from a URL to a connection ready for a request.
#[derive(Debug)]
pub(super) struct Dial(pub(super) Arc<Shared>);

impl Connector<()> for Dial {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        let deadline = deadline_of(details.timeout);
        self.0.dials.fetch_add(1, Ordering::Relaxed);
        let secure = details.needs_tls();
        let (line, forward) = match self.0.proxies.route(details.uri) {
            Route::Direct => (self.line(connect(&details.addrs, deadline)?, deadline), None),
            Route::Via(proxy) => {
                let mut line = self.reach_proxy(proxy, deadline)?;
                if secure {
                    tunnel(&mut line, proxy, details.uri)?;
                    (line, None)
                } else {
                    (line, Some(Forward::new(proxy, details.uri)))
                }
            }
        };
        let stream =
            if secure { Stream::Tls(Box::new(self.handshake(line, details.uri)?)) } else { Stream::Plain(line) };
        Ok(Some(Wire { stream, buffers: LazyBuffers::new(INPUT_BUFFER, OUTPUT_BUFFER), forward, fresh: true }))
    }
}

/// What to do about a proxy: its address stands in no configuration of ours.
const PROXY_HINT: &str = "correct the proxy's variable where lab-probe runs (https_proxy, http_proxy, all_proxy), or except the host in no_proxy";

impl Dial {
    fn reach_proxy(&self, proxy: &Proxy, deadline: Deadline) -> Result<Line, HttpError> {
        if let Some(scheme) = &proxy.unsupported {
            let detail = format!("the environment names a {scheme} proxy, which is not supported");
            return Err(HttpError::new(ErrorKind::Connect, detail).with_hint(PROXY_HINT));
        }
        let of_proxy = |e: HttpError| {
            HttpError { detail: format!("{} (the environment's proxy)", e.detail), ..e }.with_hint(PROXY_HINT)
        };
        let addresses = addresses_of(&proxy.host, proxy.port, deadline).map_err(of_proxy)?;
        let socket = connect(&addresses, deadline).map_err(of_proxy)?;
        Ok(self.line(socket, deadline))
    }

    fn line(&self, socket: TcpStream, deadline: Deadline) -> Line {
        Line::new(socket, Arc::clone(&self.0), deadline)
    }

    fn handshake(&self, mut line: Line, uri: &Uri) -> Result<StreamOwned<ClientConnection, Line>, ureq::Error> {
        let (host, _) = host_and_port(uri)?;
        let mut connection = tls::connection(self.0.ca_file.as_deref(), host)?;
        connection.complete_io(&mut line).map_err(|e| match wire_error(e) {
            ureq::Error::Timeout(_) => HttpError::timeout("waiting for the TLS handshake").into(),
            ureq::Error::Io(e) => HttpError::new(ErrorKind::Tls, format!("the TLS handshake broke off: {e}")).into(),
            other => other,
        })?;
        if let Some(validity) = connection.peer_certificates().and_then(|chain| tls::validity(chain.first()?)) {
            self.0.not_after.store(validity.not_after, Ordering::Relaxed);
        }
        Ok(StreamOwned::new(connection, line))
    }
}

/// Asks a proxy for a tunnel to the target (RFC 9110, section 9.3.6).
fn tunnel(line: &mut Line, proxy: &Proxy, uri: &Uri) -> Result<(), HttpError> {
    let broken = |e: io::Error| match HttpError::from_ureq(wire_error(e), "waiting for the proxy") {
        e if e.kind == ErrorKind::Protocol => no_tunnel(format!("proxy: {}", e.detail)),
        e => e,
    };
    let (_, port) = host_and_port(uri)?;
    let target = format!("{}:{port}", uri.host().unwrap_or_default());
    let authorization = proxy.authorization.as_ref();
    let authorization =
        authorization.map(|value| format!("Proxy-Authorization: {}\r\n", value.expose())).unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    line.write_all(request.as_bytes()).map_err(broken)?;
    let mut answer = Vec::new();
    // Byte by byte, so that nothing behind the proxy's own answer is taken away from TLS.
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if line.read(&mut byte).map_err(broken)? == 0 || answer.len() > MOST_PROXY_ANSWER {
            return Err(no_tunnel("the environment's proxy gave no proper answer to CONNECT".into()));
        }
        answer.push(byte[0]);
    }
    let status = answer.split(|&b| b == b' ').nth(1).unwrap_or_default();
    if status.first() == Some(&b'2') {
        return Ok(());
    }
    let status = String::from_utf8_lossy(&status[..status.len().min(3)]).into_owned();
    Err(no_tunnel(format!("the environment's proxy refused the tunnel: HTTP {status}")))
}

fn no_tunnel(detail: String) -> HttpError {
    HttpError::new(ErrorKind::Connect, detail).with_hint(PROXY_HINT)
}

/// What a plain-HTTP request needs to go through a proxy: the whole URL in its first line (RFC 9112, section 3.2.2).
struct Forward {
    /// `http://host:port`.
    origin: String,
    /// A complete `Proxy-Authorization` line, or nothing.
    authorization: String,
}

impl Forward {
    fn new(proxy: &Proxy, uri: &Uri) -> Self {
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let authorization = proxy.authorization.as_ref();
        Forward {
            origin: format!("http://{authority}"),
            authorization: authorization
                .map(|value| format!("Proxy-Authorization: {}\r\n", value.expose()))
                .unwrap_or_default(),
        }
    }

    /// `POST /mcp HTTP/1.1\r\n…` becomes `POST http://host/mcp HTTP/1.1\r\nProxy-Authorization: …\r\n…`.
    fn rewrite(&self, head: &[u8]) -> Option<Vec<u8>> {
        let space = head.iter().position(|&b| b == b' ')?;
        let line_end = head.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let mut out = Vec::with_capacity(head.len() + self.origin.len() + self.authorization.len());
        out.extend_from_slice(&head[..=space]);
        out.extend_from_slice(self.origin.as_bytes());
        out.extend_from_slice(&head[space + 1..line_end]);
        out.extend_from_slice(self.authorization.as_bytes());
        out.extend_from_slice(&head[line_end..]);
        Some(out)
    }
}

enum Stream {
    Plain(Line),
    Tls(Box<StreamOwned<ClientConnection, Line>>),
}

/// A connection in the form ureq wants it.
pub(super) struct Wire {
    stream: Stream,
    buffers: LazyBuffers,
    forward: Option<Forward>,
    /// Whether the next bytes written begin a request.
    fresh: bool,
}

impl Wire {
    fn line(&mut self) -> &mut Line {
        match &mut self.stream {
            Stream::Plain(line) => line,
            Stream::Tls(stream) => &mut stream.sock,
        }
    }

    fn write_out(&mut self, amount: usize) -> io::Result<()> {
        let output = &self.buffers.output()[..amount];
        let rewritten = match &self.forward {
            Some(forward) if self.fresh => forward.rewrite(output),
            _ => None,
        };
        let output = rewritten.as_deref().unwrap_or(output);
        match &mut self.stream {
            Stream::Plain(line) => line.write_all(output),
            Stream::Tls(stream) => stream.write_all(output).and_then(|()| stream.flush()),
        }
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.line().deadline = deadline_of(timeout);
        self.line().shared.sent.store(true, Ordering::Relaxed);
        self.write_out(amount).map_err(wire_error)?;
        self.fresh = false;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.line().deadline = deadline_of(timeout);
        self.fresh = true;
        let into = self.buffers.input_append_buf();
        let amount = match &mut self.stream {
            Stream::Plain(line) => line.read(into),
            Stream::Tls(stream) => stream.read(into),
        }
        .map_err(wire_error)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.line().is_idle()
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("tls", &self.is_tls()).finish_non_exhaustive()
    }
}
