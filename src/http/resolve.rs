//! Names to addresses, under the deadline.

use std::net::TcpStream;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::dial::{Shared, deadline_of};
use super::error::{ErrorKind, HttpError};
use super::proxy::Route;
use crate::clock::Deadline;

/// Addresses tried of one name.
const MOST_ADDRESSES: usize = 8;

/// A lookup needs little stack, and one that hangs keeps its thread until the process ends.
const LOOKUP_STACK: usize = 256 * 1024;

/// ureq's resolver: looks a target's name up, except where a proxy is to do that.
#[derive(Debug)]
pub(super) struct Names(pub(super) Arc<Shared>);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        if let Route::Via(_) = self.0.proxies.route(uri) {
            return Ok(addresses);
        }
        let (host, port) = host_and_port(uri)?;
        for address in addresses_of(host, port, deadline_of(timeout))? {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// Host without brackets, and the port in force.
pub(super) fn host_and_port(uri: &Uri) -> Result<(&str, u16), HttpError> {
    let host = uri.host().ok_or_else(|| HttpError::new(ErrorKind::Request, "the URL has no host"))?;
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Ok((host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(default)))
}

/// Looks a name up. The system's resolver cannot be interrupted, so it runs in a thread that is left behind when the
/// deadline passes first.
pub(super) fn addresses_of(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, HttpError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let lookup = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|all| all.take(MOST_ADDRESSES).collect::<Vec<_>>());
        // Nobody listens any more once the deadline has passed.
        let _ = sender.send(found);
    };
    std::thread::Builder::new()
        .name("lookup".into())
        .stack_size(LOOKUP_STACK)
        .spawn(lookup)
        .map_err(|e| HttpError::new(ErrorKind::Connect, format!("no thread to look the host name up: {e}")))?;
    match receiver.recv_timeout(deadline.left()) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(HttpError::new(ErrorKind::Connect, format!("the host name {host} has no address"))),
        Ok(Err(e)) => Err(HttpError::new(ErrorKind::Connect, format!("the host name {host} does not resolve: {e}"))),
        Err(_) => Err(HttpError::timeout("looking the host name up")),
    }
}

/// Connects to the first address that accepts. Each attempt but the last gets half of what is left, so that one
/// address that swallows packets does not use up the time of the others.
pub(super) fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, HttpError> {
    let mut last = HttpError::new(ErrorKind::Connect, "the host name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let budget = if index + 1 == addresses.len() { deadline.left() } else { deadline.left() / 2 };
        if budget.is_zero() {
            return Err(HttpError::timeout("connecting"));
        }
        match TcpStream::connect_timeout(address, budget) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => last = HttpError::timeout("connecting"),
            Err(e) => last = HttpError::new(ErrorKind::Connect, format!("no connection to {address}: {}", plain(&e))),
        }
    }
    Err(last)
}

/// An operating-system error without Rust's "(os error N)".
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
