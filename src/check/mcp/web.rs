//! What both HTTP transports share: sending under the server's credentials, and telling what a refusal means.

use std::time::Duration;

use parking_lot::Mutex;
use url::Url;

use super::eras;
use super::jsonrpc::{self, Id, Message};
use crate::clock::Deadline;
use crate::http::{self, Client, ErrorKind, HttpError, Method, Request, Response};
use crate::log;
use crate::mcp::RpcError;
use crate::model::mcp::{Era, HttpServer, McpFacts};
use crate::model::reason::{Failure, Reason};
use crate::redact::{self, KnownSecrets, quoted};

/// Of an answer without success, this much is looked at: a JSON-RPC error is far shorter. Many servers may refuse at once,
/// and as a tree of values it takes up to sixteen times that.
const MOST_REFUSAL_BYTES: u64 = 64 << 10;
/// And so long: some servers never end the body of a refusal, and the status says the most anyway.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
const QUOTED: usize = 300;
/// A listener empties a full queue meanwhile.
const BEFORE_RETRY: Duration = Duration::from_millis(100);
/// Sessions ended after a check. One is usual; a server that opens one for every POST makes two or three.
const MOST_SESSIONS: usize = 8;

#[derive(Debug)]
pub(super) struct Web<'a> {
    pub(super) server: &'a HttpServer,
    /// Of the whole check.
    pub(super) deadline: Deadline,
    pub(super) client: Client,
    pub(super) url: Url,
    /// What must not show, even if the server quotes it.
    pub(super) secrets: KnownSecrets,
    /// Every session that the server has named, even in passing, and where: sessions left behind at every check exhaust
    /// a server.
    sessions: Mutex<Vec<(Url, String)>>,
}

/// Why there is no result.
#[derive(Debug)]
pub(super) struct NoResult {
    pub(super) failure: Failure,
    /// The server's JSON-RPC error, if it answered with one.
    pub(super) error: Option<Box<RpcError>>,
    /// The HTTP status that refused the request, where the server did not ask for a credential.
    pub(super) status: Option<u16>,
}

impl<F: Into<Failure>> From<F> for NoResult {
    fn from(failure: F) -> Self {
        NoResult { failure: failure.into(), error: None, status: None }
    }
}

impl From<RpcError> for NoResult {
    fn from(error: RpcError) -> Self {
        let failure = Failure::new(Reason::RpcError, error.to_string());
        NoResult { failure, error: Some(Box::new(error)), status: None }
    }
}

impl NoResult {
    /// Whether the server has answered something, if nothing usable.
    pub(super) fn is_answer(&self) -> bool {
        self.error.is_some() || self.status.is_some() || self.failure.reason == Reason::ProtocolError
    }

    /// With the request's method in front of what is said.
    pub(super) fn context(mut self, method: &str) -> Self {
        self.failure.detail = format!("{method}: {}", self.failure.detail);
        self
    }
}

impl<'a> Web<'a> {
    /// Errors: When the configured URL cannot be used.
    pub(super) fn new(server: &'a HttpServer, deadline: Deadline) -> Result<Web<'a>, Failure> {
        let url = http::parse_url(&server.url)?;
        let secrets = KnownSecrets::new(&http::secrets_of(&url, &server.headers));
        let client = Client::with(&url, server.headers.clone(), server.ca_file.clone());
        Ok(Web { server, deadline, client, url, secrets, sessions: Mutex::default() })
    }

    pub(super) fn note_session(&self, response: &Response) {
        let Some(session) = response.header("mcp-session-id") else { return };
        let session = (response.url.clone(), session.to_owned());
        let mut sessions = self.sessions.lock();
        if sessions.len() < MOST_SESSIONS && !sessions.contains(&session) {
            sessions.push(session);
        }
    }

    /// Ends every session, however the check went. Servers that do not let clients do that answer 405, which is fine.
    pub(super) fn end_sessions(&self, facts: &McpFacts, deadline: Deadline) {
        let version = facts.protocol_version.as_ref().filter(|_| facts.era == Some(Era::Legacy));
        for (url, session) in self.sessions.lock().drain(..) {
            let mut request = Request::new(Method::DELETE, &url).header("mcp-session-id", session);
            request.headers.extend(version.map(|version| ("mcp-protocol-version", version.clone())));
            if let Err(error) = self.send(&request, deadline) {
                log::debug(format!("an MCP session could not be ended: {}", self.secrets.redact(&error.detail)));
            }
        }
    }

    /// A connection that is closed before any byte of the first answer is tried once more: a listener whose queue is full
    /// resets it, which says nothing about the server.
    pub(super) fn send(&self, request: &Request<'_>, deadline: Deadline) -> Result<Response, HttpError> {
        match self.client.send(request, deadline) {
            Err(error) if error.kind == ErrorKind::Protocol && !self.client.has_received() => {
                std::thread::sleep(BEFORE_RETRY.min(deadline.left()));
                self.client.send(request, deadline)
            }
            sent => sent,
        }
    }

    /// What an answer without success means. `asked` is the id of the request it answers, if it was one.
    pub(super) fn refusal(&self, mut response: Response, asked: Option<i64>) -> NoResult {
        let status = response.status;
        let quote = |text: &str| quoted(&self.secrets.redact(text), QUOTED);
        let is_text = matches!(response.media_type().as_str(), "text/plain" | "");
        let body = response.body.read_what_comes(MOST_REFUSAL_BYTES, REFUSAL_TIME);
        let mut detail = format!("HTTP {status}{}", self.after_redirect(&response));
        let said = said(&body, is_text);
        if let Some(said) = &said {
            detail.push_str(&format!(": {}", quote(said)));
        }
        let of_host = matches!(status, 403 | 421) && said.as_deref().is_some_and(speaks_of_host);
        if matches!(status, 401 | 403) && !of_host {
            if let Some(challenge) = response.header("www-authenticate").map(quote) {
                detail.push_str(&format!(" (it asks for {challenge})"));
            }
            let reason = if self.client.has_credential() { Reason::Unauthorized } else { Reason::AuthRequired };
            let login = self.server.login.as_ref().filter(|_| reason == Reason::AuthRequired);
            let hint = login.map(|login| format!("{login}, or configure a header or token for it"));
            return Failure { hint, ..Failure::new(reason, detail) }.into();
        }
        let error = asked.filter(|_| !of_host).and_then(|id| rpc_error(&body, id));
        let failure = match &error {
            Some(error) => Failure::new(Reason::RpcError, format!("{error} (HTTP {status})")),
            None => {
                let hint = if of_host { Some(HOST_HINT.to_owned()) } else { self.hint(&response) };
                Failure { hint, ..Failure::new(Reason::HttpStatus, detail) }
            }
        };
        NoResult { failure, error: error.map(Box::new), status: Some(status) }
    }

    /// What to do, where more is known than that the address may be wrong. A status that says something says more than a
    /// redirect on the way to it.
    fn hint(&self, response: &Response) -> Option<String> {
        Some(match response.status {
            429 => {
                let wait = response.header("retry-after").map(|wait| quoted(&self.secrets.redact(wait), QUOTED));
                let wait = wait.map(|wait| format!(" (it asks to wait {wait})")).unwrap_or_default();
                format!("the server was asked too often{wait}: raise `ttl` and `retry_after`")
            }
            421 => HOST_HINT.into(),
            500.. => "the server, or what stands in front of it, is not ready: see its log".into(),
            // It turned the request into another one, and may as well have led to a page for people.
            _ if response.redirected => format!(
                "if {} is where the server is now, put that into the config; if it is a page to log in, configure a \
                 header or token",
                self.redirect_target(&response.url)
            ),
            _ => return None,
        })
    }

    /// What came of the request where it was redirected, to be put behind the status.
    pub(super) fn after_redirect(&self, response: &Response) -> String {
        if !response.redirected {
            return String::new();
        }
        format!(" to {} after a redirect to {}", response.method.as_str(), self.redirect_target(&response.url))
    }

    /// Where a redirect has led, in words where only a slash differs.
    fn redirect_target(&self, target: &Url) -> String {
        let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
        if target.origin() == self.url.origin() && path(target) == path(&self.url) {
            let change = if target.path().ends_with('/') { "with a slash" } else { "without the slash" };
            return format!("the same address {change} at its end");
        }
        self.secrets.redact(&redact::url(target.as_str()))
    }
}

pub(super) fn unusable(detail: String) -> NoResult {
    Failure::new(Reason::ProtocolError, detail).into()
}

/// What to do about a server that refuses the name it is called by.
const HOST_HINT: &str =
    "the server refuses the host or origin it is called by: use the address it listens on, or allow this one there";

/// Whether a refusal is about the name in the address and no credential would help.
fn speaks_of_host(said: &str) -> bool {
    let said = said.to_lowercase();
    ["host", "origin"].iter().any(|word| said.split(|c: char| !c.is_alphanumeric()).any(|said| said.starts_with(word)))
}

/// The JSON-RPC error in a refusal. One that names no request counts only where its code is one that modern servers
/// alone use: proxies and frameworks have errors of their own that look the same.
fn rpc_error(body: &[u8], id: i64) -> Option<RpcError> {
    match jsonrpc::parse(body) {
        Message::Response(Id::Number(number), Err(error)) if number == id => Some(error),
        Message::Response(Id::Null, Err(error)) if eras::is_modern_error(&error) => Some(error),
        _ => None,
    }
}

/// What a refusing body says, if it says something that a person would want to read.
fn said(body: &[u8], is_text: bool) -> Option<String> {
    let body = body.trim_ascii();
    if body.starts_with(b"{") {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let places = ["/error/message", "/error_description", "/message", "/detail", "/error"];
        return places.iter().find_map(|place| Some(body.pointer(place)?.as_str()?.to_owned()));
    }
    let text = std::str::from_utf8(body).ok()?;
    // A page is written for people with a browser.
    Some(text.to_owned()).filter(|text| is_text && !text.is_empty() && !text.starts_with('<'))
}
