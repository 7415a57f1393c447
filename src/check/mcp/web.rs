//! What both HTTP transports share: sending under the server's credentials, and telling what a refusal means.

use std::time::Duration;

use url::Url;

use super::modern;
use super::wire::{self, Id, Message, RpcError, shortened};
use crate::clock::Deadline;
use crate::http::{self, Client, ClientOptions, HttpError, Request, Response};
use crate::log;
use crate::model::mcp::HttpServer;
use crate::model::reason::{Failure, Reason};
use crate::model::secret::{Secret, redact};

/// Of an answer without success, this much is looked at: a JSON-RPC error is far shorter.
const MOST_REFUSAL_BYTES: usize = 1 << 20;
/// And so long: some servers never end the body of a refusal, and the status says the most anyway.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Characters quoted of what a server said.
const QUOTED: usize = 300;

/// The way to one server.
#[derive(Debug)]
pub(super) struct Web {
    client: Client,
    secrets: Vec<Secret>,
}

/// Why a request got no result.
#[derive(Debug)]
pub(super) enum NoResult {
    /// The server answered this request with a JSON-RPC error.
    Rpc {
        /// The error.
        error: RpcError,
        /// The HTTP status it came with.
        status: u16,
    },
    /// It answered with an HTTP status that is no success, and with nothing more telling.
    Status {
        /// The status.
        status: u16,
        /// The same as a failure.
        failure: Failure,
    },
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
    /// What the check reports when this request was needed.
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
    ///
    /// # Errors
    /// A failure if the URL cannot be used.
    pub(super) fn new(server: &HttpServer) -> Result<(Web, Url), Failure> {
        let url = http::parse_url(&server.url)?;
        let options = ClientOptions { headers: server.headers.clone(), ca_file: server.ca_file.clone() };
        Ok((Web { client: Client::new(&url, options), secrets: http::secrets_of(&url, &server.headers) }, url))
    }

    /// Sends one request. Any status is an answer.
    pub(super) fn send(&self, request: &Request<'_>, deadline: Deadline) -> Result<Response, HttpError> {
        self.client.send(request, deadline)
    }

    /// Ends every connection, those that another thread reads from included.
    pub(super) fn hang_up(&self) {
        self.client.hang_up();
    }

    /// Takes what the configuration keeps secret out of what a server said, and makes it one harmless line.
    pub(super) fn harmless(&self, text: &str) -> String {
        log::printable(&redact(text, &self.secrets))
    }

    /// What an answer without success means. `asked` is the id of the request it answers, if it was one.
    pub(super) fn refusal(&self, mut response: Response, asked: Option<i64>) -> NoResult {
        let status = response.status;
        let challenge = response.header("www-authenticate").map(|value| shortened(value, QUOTED));
        let is_text = response.media_type() == "text/plain";
        let body = response.body.read_what_comes(MOST_REFUSAL_BYTES, REFUSAL_TIME);
        let mut detail = format!("HTTP {status}");
        if response.redirected {
            let method = response.method.as_str();
            detail.push_str(&format!(" to {method} {} after a redirect", http::shown(&response.url)));
        }
        if let Some(said) = said(&body, is_text) {
            detail.push_str(&format!(": {said}"));
        }
        if matches!(status, 401 | 403) {
            if let Some(challenge) = challenge {
                detail.push_str(&format!(" (it asks for {challenge})"));
            }
            let reason = if self.client.has_credential() { Reason::Unauthorized } else { Reason::AuthRequired };
            return NoResult::Credential(Failure::new(reason, detail));
        }
        match asked.and_then(|id| rpc_error(&body, id)) {
            Some(error) => NoResult::Rpc { error, status },
            None => NoResult::Status { status, failure: Failure::new(Reason::HttpStatus, detail) },
        }
    }
}

/// The JSON-RPC error in a refusal. One that names no request counts only where its code is one that modern servers
/// alone use: proxies and frameworks have errors of their own that look the same.
fn rpc_error(body: &[u8], id: i64) -> Option<RpcError> {
    match wire::parse(body) {
        Message::Response(Id::Number(number), Err(error)) if number == id => Some(error),
        Message::Response(Id::Null, Err(error)) if modern::is_modern_error(&error) => Some(error),
        _ => None,
    }
}

/// One sentence of a refusing body, if it has one that a person would want to read.
fn said(body: &[u8], is_text: bool) -> Option<String> {
    if body.trim_ascii_start().starts_with(b"{") {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let places = ["/error/message", "/error_description", "/message", "/detail", "/error"];
        return places.iter().find_map(|place| body.pointer(place)?.as_str()).map(|said| shortened(said, QUOTED));
    }
    let text = String::from_utf8_lossy(body);
    Some(shortened(text.trim(), QUOTED)).filter(|text| is_text && !text.is_empty())
}
