//! What both HTTP transports share: sending under the server's credentials, and telling what a refusal means.

use std::time::Duration;

use url::Url;

use super::jsonrpc::{self, Id, Message};
use super::modern;
use crate::clock::Deadline;
use crate::http::{self, Client, ClientOptions, ErrorKind, HttpError, Request, Response};
use crate::mcp::RpcError;
use crate::model::mcp::HttpServer;
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
/// Requests of the server answered during one check; further ones are ignored.
pub(super) const MOST_SERVER_REQUESTS: u32 = 32;

#[derive(Debug)]
pub(super) struct Web {
    pub(super) client: Client,
    url: Url,
    /// What must not show, even if the server quotes it.
    pub(super) secrets: KnownSecrets,
    /// How the user has the client itself log in.
    login: Option<String>,
}

#[derive(Debug)]
pub(super) enum NoResult {
    /// The server answered this request with a JSON-RPC error.
    Rpc { error: RpcError, status: u16 },
    /// It answered with an HTTP status that is no success, and with nothing more telling.
    Status { status: u16, failure: Failure },
    /// It answered GET with something other than an event stream.
    NoStream(Failure),
    /// It asks for a credential, or refuses the one that was sent.
    Credential(Failure),
    /// It answered something that is no MCP, or broke off.
    Unusable(Failure),
    /// There was no answer: no connection, no time, too much.
    Failed(Failure),
}

impl From<HttpError> for NoResult {
    fn from(error: HttpError) -> Self {
        match error.kind {
            http::ErrorKind::Protocol => NoResult::Unusable(error.into()),
            _ => NoResult::Failed(error.into()),
        }
    }
}

impl NoResult {
    pub(super) fn into_failure(self, method: &str) -> Failure {
        match self {
            NoResult::Rpc { error, status: 200 } => Failure::new(Reason::RpcError, format!("{method}: {error}")),
            NoResult::Rpc { error, status } => {
                Failure::new(Reason::RpcError, format!("{method}: {error} (HTTP {status})"))
            }
            NoResult::Status { failure, .. }
            | NoResult::NoStream(failure)
            | NoResult::Credential(failure)
            | NoResult::Unusable(failure)
            | NoResult::Failed(failure) => Failure { detail: format!("{method}: {}", failure.detail), ..failure },
        }
    }
}

impl Web {
    /// The way to a configured server, and its address.
    pub(super) fn new(server: &HttpServer) -> Result<(Web, Url), Failure> {
        let url = http::parse_url(&server.url)?;
        let options = ClientOptions { headers: server.headers.clone(), ca_file: server.ca_file.clone() };
        let secrets = KnownSecrets::new(&http::secrets_of(&url, &server.headers));
        Ok((Web { client: Client::new(&url, options), url: url.clone(), secrets, login: server.login.clone() }, url))
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
        let challenge = response.header("www-authenticate").map(quote);
        let wait = response.header("retry-after").map(quote);
        let is_text = matches!(response.media_type().as_str(), "text/plain" | "");
        let body = response.body.read_what_comes(MOST_REFUSAL_BYTES, REFUSAL_TIME);
        let mut detail = format!("HTTP {status}{}", self.after_redirect(&response));
        let mut hint = hint(status, wait.as_deref());
        if response.redirected {
            let target = self.redirect_target(&response.url);
            // The status of what answered says more than the redirect, where it says anything.
            hint = hint.or_else(|| Some(redirect_hint(&target)));
        }
        let said = said(&body, is_text);
        if let Some(said) = &said {
            detail.push_str(&format!(": {}", quote(said)));
        }
        let of_host = matches!(status, 403 | 421) && said.as_deref().is_some_and(speaks_of_host);
        if of_host {
            hint = Some(HOST_HINT.into());
        } else if matches!(status, 401 | 403) {
            if let Some(challenge) = challenge {
                detail.push_str(&format!(" (it asks for {challenge})"));
            }
            let reason = if self.client.has_credential() { Reason::Unauthorized } else { Reason::AuthRequired };
            let login = self.login.as_ref().filter(|_| reason == Reason::AuthRequired);
            let hint = login.map(|login| format!("{login}, or configure a header or token for it"));
            return NoResult::Credential(Failure { hint, ..Failure::new(reason, detail) });
        }
        match asked.and_then(|id| rpc_error(&body, id)) {
            Some(error) if !of_host => NoResult::Rpc { error, status },
            _ => NoResult::Status { status, failure: Failure { hint, ..Failure::new(Reason::HttpStatus, detail) } },
        }
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
            return format!("{SAME_ADDRESS} {change} at its end");
        }
        self.secrets.redact(&redact::url(target.as_str()))
    }
}

pub(super) fn unusable(detail: String) -> NoResult {
    NoResult::Unusable(Failure::new(Reason::ProtocolError, detail))
}

/// How a redirect is told that only adds a slash or takes one away.
const SAME_ADDRESS: &str = "the same address";

/// What to do about a redirect that turned the request into another one. It may as well lead to a page for people.
fn redirect_hint(target: &str) -> String {
    if target.starts_with(SAME_ADDRESS) {
        return format!("put the address it redirects to into the config: {target}");
    }
    format!(
        "if {target} is where the server is now, put that into the config; if it is a page to log in, configure a header \
         or token"
    )
}

/// What to do about a server that refuses the name it is called by.
const HOST_HINT: &str =
    "the server refuses the host or origin it is called by: use the address it listens on, or allow this one there";

/// What to do about a status, where more is known than that the address may be wrong.
fn hint(status: u16, retry_after: Option<&str>) -> Option<String> {
    match status {
        429 => {
            let wait = retry_after.map(|wait| format!(" (it asks to wait {wait})")).unwrap_or_default();
            Some(format!("the server was asked too often{wait}: raise `ttl` and `retry_after`"))
        }
        421 => Some(HOST_HINT.into()),
        500.. => Some("the server, or what stands in front of it, is not ready: see its log".into()),
        _ => None,
    }
}

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
        Message::Response(Id::Null, Err(error)) if modern::is_modern_error(&error) => Some(error),
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
