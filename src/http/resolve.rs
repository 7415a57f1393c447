//! Host names to addresses, under the deadline.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::connector::Network;
use super::error::{ErrorKind, HttpError};
use crate::clock::Deadline;

const MOST_ADDRESSES: usize = 8;

/// A lookup needs little stack, and one that hangs keeps its thread until the process ends.
const LOOKUP_STACK: usize = 256 * 1024;

/// The addresses of a target or, where there is one, of the proxy, which looks the target up itself. Unlike ureq's own
/// resolver, it lives with a machine that has no thread left.
impl Resolver for Network {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        let proxy = self.0.proxies.route(uri).map(ureq::Proxy::uri);
        let (host, port) = host_and_port(proxy.unwrap_or(uri))?;
        for address in addresses_of(host, port, Deadline::after(*timeout.after))? {
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
fn addresses_of(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, HttpError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let failed = |what: String| HttpError::new(ErrorKind::Connect, format!("the host name {host} {what}"));
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let lookup = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|all| all.take(MOST_ADDRESSES).collect::<Vec<_>>());
        // Nobody listens any more once the deadline has passed.
        let _ = sender.send(found);
    };
    let thread = std::thread::Builder::new().name("lookup".into()).stack_size(LOOKUP_STACK).spawn(lookup);
    thread.map_err(|e| {
        HttpError::new(ErrorKind::Shortage, format!("the host name {host} cannot be looked up: no thread: {e}"))
    })?;
    match receiver.recv_timeout(deadline.left()) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(failed("has no address".into())),
        Ok(Err(e)) => Err(failed(format!("does not resolve: {e}"))),
        Err(_) => Err(HttpError::timeout("looking the host name up")),
    }
}

/// Connects to `host:port` and hangs up again. Each address but the last gets half of what is left of the time, so that
/// one that swallows packets does not use up the time of the others.
/// Errors: [`ErrorKind::Request`] if it is no such address, [`ErrorKind::Connect`], [`ErrorKind::Timeout`].
pub fn reach(address: &str, deadline: Deadline) -> Result<(), HttpError> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let no_address = || HttpError::new(ErrorKind::Request, format!("{address} is no host:port"));
    let (host, port) = parts.ok_or_else(no_address)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = addresses_of(host, port, deadline)?;
    let mut last = HttpError::timeout("connecting");
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.left() / if index + 1 == addresses.len() { 1 } else { 2 };
        // Of no time at all std makes an error of its own.
        last = match TcpStream::connect_timeout(address, left.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(()),
            Err(e) => HttpError::not_connected(&address.to_string(), &e),
        };
        if last.kind == ErrorKind::Shortage {
            break;
        }
    }
    Err(last)
}
