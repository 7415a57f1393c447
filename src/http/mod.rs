//! A bounded HTTP client: every exchange has one absolute deadline and limits on size and redirects.
//!
//! The deadline covers name lookup, connecting, proxy and TLS handshakes, headers and body, however slowly they drip.
//! Limits hold after decompression too. Credentials go to the configured origin and nowhere else. Nothing that this
//! room reports quotes a URL beyond its origin, or a header's value.

mod connector;
mod error;
mod message;
mod proxy;
mod resolve;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use ureq::http;
use url::{Origin, Position, Url};

pub use self::connector::ReadUntil;
use self::connector::{Network, Shared};
pub use self::error::{ErrorKind, HttpError};
pub use self::message::{Body, Method, Request, Response};
pub use self::resolve::reach;
use crate::clock::Deadline;
use crate::redact::{Secret, credential_of, secrets_in_url};

/// What one client may receive in its life, and again after decompression.
pub const MOST_BYTES: u64 = 64 << 20;
/// Redirects followed for one request.
pub const MOST_REDIRECTS: u32 = 10;

/// Longest status line and headers of an answer together. Larger than any honest one, small enough that parsing it
/// again after every packet costs nothing that matters.
const MOST_HEADER_BYTES: usize = 32 << 10;
/// Larger than [`MOST_HEADER_BYTES`]: a full buffer must read as "too large", not as "nothing came".
const INPUT_BUFFER: usize = 48 << 10;
const OUTPUT_BUFFER: usize = 16 << 10;

/// Headers that decide how a message is framed or encoded: ours to set, whatever the configuration says.
const RESERVED_HEADERS: &[&str] =
    &["accept-encoding", "connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// Headers of a request that are as good as a credential: dropped when a redirect leads to another origin.
const ORIGIN_BOUND_HEADERS: &[&str] = &["authorization", "mcp-session-id"];

/// Headers that say what is wanted, not who wants it; `X-MCP-*` too.
const PLAIN_HEADERS: &[&str] = &["accept", "accept-language", "cache-control", "content-type", "user-agent"];

/// Whether a configured header may be a credential: not one of those, and not an empty value or a scheme alone, which
/// a variable that is not set leaves behind.
pub(crate) fn may_be_credential(name: &str, value: &Secret) -> bool {
    let is_plain = is_among(name, PLAIN_HEADERS) || name.to_ascii_lowercase().starts_with("x-mcp-");
    !is_plain && !credential_of(value.expose()).is_empty()
}

fn is_among(name: &str, headers: &[&str]) -> bool {
    headers.iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// Reads an address as configured.
/// Errors: [`ErrorKind::Request`] if it is no `http` or `https` URL with a host.
pub fn parse_url(url: &Secret) -> Result<Url, HttpError> {
    let refused = |why: &str| Err(HttpError::new(ErrorKind::Request, format!("the URL cannot be used: {why}")));
    match Url::parse(url.expose()) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => refused("it is neither http nor https"),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => refused("it has no host"),
        Ok(url) => Ok(url),
        Err(e) => refused(&e.to_string()),
    }
}

/// A URL as it may be shown: scheme, host and port. Paths and queries of MCP servers often hold a key.
pub fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn agent(shared: &Arc<Shared>) -> ureq::Agent {
    let config = ureq::config::Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .max_response_header_size(MOST_HEADER_BYTES)
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .user_agent(concat!("lab-probe/", env!("CARGO_PKG_VERSION")))
        .build();
    let network = Network(Arc::clone(shared));
    ureq::Agent::with_parts(config, network.clone(), network)
}

/// A client for one configured address: its connections, its credentials, its budget.
///
/// Connections are kept open between requests and closed with the client.
#[derive(Debug)]
pub struct Client {
    agent: Mutex<ureq::Agent>,
    shared: Arc<Shared>,
    origin: Origin,
    credentials: Vec<(String, Secret)>,
}

impl Client {
    /// A client for the origin of `url`. Userinfo in the URL becomes basic authentication.
    pub fn new(url: &Url) -> Self {
        Client::with(url, Vec::new(), None)
    }

    /// With headers for every request to that origin (one named `Authorization` wins over userinfo), and with PEM
    /// certificates trusted besides the system's.
    pub fn with(url: &Url, headers: Vec<(String, Secret)>, ca_file: Option<PathBuf>) -> Self {
        let mut credentials = headers;
        credentials.retain(|(name, _)| !is_among(name, RESERVED_HEADERS));
        if let Some(value) = basic_auth(url)
            && !credentials.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            credentials.push(("authorization".into(), value));
        }
        let shared = Arc::new(Shared { proxies: proxy::Proxies::from_env(), ca_file, ..Shared::default() });
        let agent = Mutex::new(agent(&shared));
        Client { agent, shared, origin: url.origin(), credentials }
    }

    /// Whether anything configured is sent along that could be a credential.
    pub fn has_credential(&self) -> bool {
        self.credentials.iter().any(|(name, value)| may_be_credential(name, value))
    }

    pub fn certificate_end(&self) -> Option<i64> {
        i64::try_from(self.shared.not_after.load(Ordering::Relaxed)).ok().filter(|&at| at != 0)
    }

    /// Whether anything of a request may have reached the other side: without, a failed request certainly did nothing.
    pub fn has_sent(&self) -> bool {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether anything was received of any answer.
    pub fn has_received(&self) -> bool {
        self.shared.received.load(Ordering::Relaxed) > 0
    }

    /// Ends every connection at once; reads and writes under way in other threads fail.
    pub fn close_connections(&self) {
        std::mem::replace(&mut *self.agent.lock(), agent(&self.shared)).shutdown();
    }

    /// Sends a request and returns the answer with its body still to be read. Any status is an answer.
    ///
    /// Redirects are followed as browsers and `fetch` do: 307 and 308 repeat the request, 303 and, for a POST, 301 and
    /// 302 continue with GET.
    /// Errors: What [`ErrorKind`] lists; [`ErrorKind::Redirect`] when there are too many redirects, or one leads to another
    /// origin while a credential is configured.
    pub fn send(&self, request: &Request<'_>, deadline: Deadline) -> Result<Response, HttpError> {
        let mut request = request.clone();
        for redirects in 0..=MOST_REDIRECTS {
            let mut response = self.exchange(&request, deadline)?;
            response.redirected = redirects > 0;
            let target = if request.follow { self.redirect(&response)? } else { None };
            let Some(target) = target else { return Ok(response) };
            if response.status == 303 || (request.method == Method::POST && matches!(response.status, 301 | 302)) {
                request.method = Method::GET;
                request.body = &[];
                request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            }
            if target.origin() != request.url.origin() {
                request.headers.retain(|(name, _)| !is_among(name, ORIGIN_BOUND_HEADERS));
            }
            request.url = target;
        }
        Err(HttpError::new(ErrorKind::Redirect, format!("more than {MOST_REDIRECTS} redirects in a row")))
    }

    /// Where an answer redirects to; `None` if it is no redirect.
    fn redirect(&self, response: &Response) -> Result<Option<Url>, HttpError> {
        let status = response.status;
        let location = response.header("location").filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
        let Some(location) = location else { return Ok(None) };
        let refused = |why: String| Err(HttpError::new(ErrorKind::Redirect, format!("HTTP {status} redirects {why}")));
        let Ok(mut target) = response.url.join(location) else { return refused("to no valid address".into()) };
        if !matches!(target.scheme(), "http" | "https") {
            return refused(format!("to a {} address", target.scheme()));
        }
        if self.has_credential() && target.origin() != self.origin {
            return refused(format!("to another origin ({}), and a credential is configured", shown(&target)));
        }
        if target.fragment().is_none() {
            target.set_fragment(response.url.fragment());
        }
        Ok(Some(target))
    }

    /// One request, one answer. A kept connection that the server closed in the meantime is replaced once.
    fn exchange(&self, request: &Request<'_>, deadline: Deadline) -> Result<Response, HttpError> {
        let connects = self.shared.connects.load(Ordering::Relaxed);
        let is_kept = || connects > 0 && self.shared.connects.load(Ordering::Relaxed) == connects;
        match self.attempt(request, deadline) {
            Err(e) if e.kind == ErrorKind::Protocol && is_kept() => self.attempt(request, deadline),
            done => done,
        }
    }

    fn attempt(&self, request: &Request<'_>, deadline: Deadline) -> Result<Response, HttpError> {
        const DOING: &str = "waiting for the answer";
        if deadline.passed() {
            return Err(HttpError::timeout("starting the request"));
        }
        let mut message = self.message(request)?;
        // ureq's own proxies are for tunnels.
        let proxy = self.shared.proxies.route(message.uri()).cloned();
        let (tunnel, proxy) = if request.url.scheme() == "https" { (proxy, None) } else { (None, proxy) };
        if let Some(credential) = proxy.as_ref().and_then(proxy::authorization) {
            let value = checked_value("proxy-authorization", credential.expose())?;
            message.headers_mut().insert(http::header::PROXY_AUTHORIZATION, value);
        }
        let agent = self.agent.lock().clone();
        let message = agent.configure_request(message).timeout_global(Some(deadline.left())).proxy(tunnel).build();
        let has_body = !request.body.is_empty() || request.method == Method::POST || request.method == Method::PUT;
        let answer = if has_body { agent.run(message.map(|()| request.body)) } else { agent.run(message) };
        let answer = answer.map_err(|e| HttpError::from_ureq(e, DOING))?;
        let (parts, body) = answer.into_parts();
        let reader = body.into_with_config().limit(u64::MAX).reader();
        Ok(Response {
            status: parts.status.as_u16(),
            url: request.url.clone(),
            method: request.method.clone(),
            redirected: false,
            headers: parts.headers,
            body: Body { reader, shared: Arc::clone(&self.shared) },
        })
    }

    fn message(&self, request: &Request<'_>) -> Result<http::Request<()>, HttpError> {
        let mut bare = request.url.clone();
        // Neither can fail for a URL with a host.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let mut message = http::Request::builder().method(request.method.clone()).uri(&bare[..Position::AfterQuery]);
        let ours = |name: &str| request.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        if bare.origin() == self.origin {
            for (name, value) in self.credentials.iter().filter(|(name, _)| !ours(name)) {
                message = message.header(checked_name(name)?, checked_value(name, value.expose())?);
            }
        }
        for (name, value) in &request.headers {
            message = message.header(*name, checked_value(name, value)?);
        }
        message.body(()).map_err(|e| HttpError::from_ureq(e.into(), ""))
    }
}

fn checked_name(name: &str) -> Result<http::HeaderName, HttpError> {
    http::HeaderName::try_from(name).map_err(|_why| {
        let detail = format!("the configured header {name:?} cannot be sent: its name is not allowed in HTTP");
        HttpError::new(ErrorKind::Request, detail)
    })
}

fn checked_value(name: &str, value: &str) -> Result<http::HeaderValue, HttpError> {
    let mut value = http::HeaderValue::try_from(value.trim()).map_err(|_why| {
        let detail =
            format!("the header {name} cannot be sent: its value holds a line break or another control character");
        HttpError::new(ErrorKind::Request, detail)
    })?;
    // Keeps it out of any debug output.
    value.set_sensitive(true);
    Ok(value)
}

/// Everything in a URL and in configured headers that may be a credential, in each form in which it is sent.
pub fn secrets_of(url: &Url, headers: &[(String, Secret)]) -> Vec<Secret> {
    let basic = basic_auth(url);
    let proxies = proxy::Proxies::from_env();
    let headers = headers.iter().filter(|(name, value)| may_be_credential(name, value)).map(|(_, value)| value);
    let sent = headers.cloned().chain(basic).chain(proxies.credentials()).flat_map(|value| {
        // The scheme is no secret and says what was refused.
        let credential = credential_of(value.expose());
        [Secret::new(credential), Secret::new(credential.rsplit(' ').next().unwrap_or_default())]
    });
    sent.chain(secrets_in_url(url).into_iter().map(Secret::new)).collect()
}

fn basic_auth(url: &Url) -> Option<Secret> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(proxy::basic(&decode(url.username()), &decode(url.password().unwrap_or_default())))
}
