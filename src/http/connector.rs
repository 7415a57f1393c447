//! Connections: ureq's own sockets, timeouts and tunnels, with what comes in counted, TLS by [`super::tls`], and plain
//! HTTP through a proxy.
//!
//! ureq hands the time that is left for the whole request to every wait: a peer that drips its bytes, in whichever phase,
//! gets no more time than one that is silent.

use std::cell::Cell;
use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memchr::memchr;
use rustls::{ClientConnection, StreamOwned};
use ureq::Proxy;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

use super::error::{ErrorKind, HttpError, wire_error};
use super::proxy::{Proxies, unsupported};
use super::resolve::host_and_port;
use super::{INPUT_BUFFER, MOST_BYTES, OUTPUT_BUFFER, tls};
use crate::clock::Deadline;
use crate::fs;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) proxies: Proxies,
    pub(super) ca_file: Option<PathBuf>,
    /// At most [`MOST_BYTES`], as are those after decompression.
    pub(super) received: AtomicU64,
    pub(super) decoded: AtomicU64,
    /// Connections made so far: tells a reused one from a new one.
    pub(super) connects: AtomicU64,
    /// Whether a byte of a request may have left.
    pub(super) sent: AtomicBool,
    /// When the certificate of the newest TLS connection ends, unix seconds; 0 while there was none.
    pub(super) not_after: AtomicU64,
}

impl Shared {
    pub(super) fn count(&self, counter: &AtomicU64, amount: usize) -> Result<(), HttpError> {
        let before = counter.fetch_add(amount as u64, Ordering::Relaxed);
        if before.saturating_add(amount as u64) <= MOST_BYTES {
            return Ok(());
        }
        let detail = format!("more than {} MiB received in one check", MOST_BYTES >> 20);
        Err(HttpError::new(ErrorKind::TooLarge, detail))
    }
}

thread_local! {
    static READ_UNTIL: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// While it lives, reads of this thread end by a deadline of their own, sooner than the request's. ureq stands between a
/// body and its connection: the thread is what they have in common.
pub struct ReadUntil;

impl ReadUntil {
    pub fn new(deadline: Deadline) -> ReadUntil {
        READ_UNTIL.set(Some(deadline));
        ReadUntil
    }
}

impl Drop for ReadUntil {
    fn drop(&mut self) {
        READ_UNTIL.set(None);
    }
}

/// What ureq asks of the network: here from a URL to a connection ready for a request, [`super::resolve`] for addresses.
#[derive(Debug, Clone)]
pub(super) struct Network(pub(super) Arc<Shared>);

impl Connector<()> for Network {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connects.fetch_add(1, Ordering::Relaxed);
        let proxy = self.0.proxies.route(details.uri);
        let mut inner = self.line(details, proxy).map_err(|error| not_connected(error, details, proxy))?;
        if details.needs_tls() {
            inner = Box::new(self.handshake(inner, details)?);
        }
        // What goes to a proxy itself is no request yet.
        if !self.0.proxies.is_one(details.uri) {
            self.0.sent.store(true, Ordering::Relaxed);
        }
        // What comes through a tunnel is counted where it comes out of the proxy's own connection.
        if proxy.is_some() && details.needs_tls() {
            return Ok(Some(inner));
        }
        let origin = proxy.and(details.uri.authority()).map(|authority| format!("http://{authority}"));
        Ok(Some(Box::new(LimitedTransport { inner, shared: Arc::clone(&self.0), origin, begins_request: true })))
    }
}

impl Network {
    /// A socket to the target or the proxy, or a tunnel through the proxy (which comes back here for its own connection).
    fn line(&self, details: &ConnectionDetails<'_>, proxy: Option<&Proxy>) -> Result<Box<dyn Transport>, ureq::Error> {
        if let Some(scheme) = proxy.and_then(unsupported) {
            let detail = format!("the environment names a {scheme} proxy, which is not supported");
            return Err(HttpError::new(ErrorKind::Connect, detail).into());
        }
        let tunnel = ConnectProxyConnector::default().connect(details, None::<()>)?;
        let line = TcpConnector::default().connect(details, tunnel)?;
        line.map(Transport::boxed).ok_or(ureq::Error::ConnectionFailed)
    }

    fn handshake(&self, line: Box<dyn Transport>, details: &ConnectionDetails<'_>) -> Result<Tls, ureq::Error> {
        let (host, _) = host_and_port(details.uri)?;
        let mut connection = tls::connection(self.0.ca_file.as_deref(), host)?;
        let mut line = TransportAdapter::new(line, Arc::clone(&details.current_time));
        line.set_timeout(details.timeout);
        connection.complete_io(&mut line).map_err(|e| match wire_error(e) {
            ureq::Error::Timeout(_) => HttpError::timeout("waiting for the TLS handshake").into(),
            ureq::Error::Io(e) => HttpError::new(ErrorKind::Tls, format!("the TLS handshake broke off: {e}")).into(),
            other => other,
        })?;
        if let Some(validity) = connection.peer_certificates().and_then(|chain| tls::validity(chain.first()?)) {
            self.0.not_after.store(*validity.end(), Ordering::Relaxed);
        }
        let buffers = LazyBuffers::new(INPUT_BUFFER, OUTPUT_BUFFER);
        Ok(Tls { stream: StreamOwned::new(connection, line), buffers })
    }
}

/// What to do about a proxy: its address stands in no configuration of ours.
const PROXY_HINT: &str = "correct the proxy's variable where lab-probe runs (https_proxy, http_proxy, all_proxy), or except the host in no_proxy";

fn not_connected(error: ureq::Error, details: &ConnectionDetails<'_>, proxy: Option<&Proxy>) -> HttpError {
    let tunnel = proxy.is_some() && details.needs_tls();
    let failed = match error {
        ureq::Error::ConnectProxyFailed(why) => {
            HttpError::new(ErrorKind::Connect, why.replace("proxy server responded ", "it refused the tunnel: HTTP "))
        }
        ureq::Error::Io(e) if !tunnel || fs::is_shortage(&e) => {
            HttpError::not_connected(&details.addrs.first().map(ToString::to_string).unwrap_or_default(), &e)
        }
        ureq::Error::Protocol(_) | ureq::Error::Io(_) if tunnel => {
            HttpError::new(ErrorKind::Connect, "it gave no proper answer to CONNECT")
        }
        other => HttpError::from_ureq(other, "connecting"),
    };
    match proxy {
        Some(_) => {
            HttpError { detail: format!("the environment's proxy: {}", failed.detail), ..failed }.with_hint(PROXY_HINT)
        }
        None => failed,
    }
}

struct Tls {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).and_then(|()| self.stream.flush()).map_err(wire_error)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf()).map_err(wire_error)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[derive(Debug)]
struct LimitedTransport {
    inner: Box<dyn Transport>,
    shared: Arc<Shared>,
    /// A proxy wants the whole URL in the first line of a plain-HTTP request (RFC 9112, section 3.2.2), which ureq's own
    /// proxies, made for tunnels, do not write: what is missing there.
    origin: Option<String>,
    /// Whether the next bytes written begin a request.
    begins_request: bool,
}

impl Transport for LimitedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let begins_request = std::mem::take(&mut self.begins_request);
        let Some(origin) = self.origin.as_ref().filter(|_| begins_request) else {
            return self.inner.transmit_output(amount, timeout);
        };
        // `POST /mcp HTTP/1.1` becomes `POST http://host/mcp HTTP/1.1`.
        let mut head = self.inner.buffers().output()[..amount].to_vec();
        let path = memchr(b' ', &head).map_or(0, |space| space + 1);
        head.splice(path..path, origin.bytes());
        for part in head.chunks(OUTPUT_BUFFER) {
            self.inner.buffers().output()[..part.len()].copy_from_slice(part);
            self.inner.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.begins_request = true;
        if let Some(until) = READ_UNTIL.get() {
            timeout.after = timeout.after.min(until.left().into());
        }
        let before = self.inner.buffers().input().len();
        let has_come = self.inner.await_input(timeout)?;
        let amount = self.inner.buffers().input().len().saturating_sub(before);
        self.shared.count(&self.shared.received, amount)?;
        Ok(has_come)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
