//! Streamable HTTP: one POST a message, the answer as one JSON object or inside an event stream.

use url::Url;

use super::events::{Events, read_message};
use super::incoming::{Incoming, sort};
use super::jsonrpc::{self, Text};
use super::web::{MOST_SERVER_REQUESTS, NoResult, Web, unusable};
use crate::clock::Deadline;
use crate::http::{HttpError, Method, Request, Response};
use crate::log;
use crate::redact::quoted;

const ACCEPT: &str = "application/json, text/event-stream";
/// What some frameworks put before JSON; every HTTP client drops it when it decodes the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Sessions ended after a check. One is usual; a server that opens one for every POST makes two or three.
const MOST_SESSIONS: usize = 8;
const QUOTED: usize = 60;

/// One conversation over Streamable HTTP.
///
/// Every session that the server names, even in passing, is kept until [`Streamable::end`] has deleted it: sessions
/// left behind at every check exhaust a server.
#[derive(Debug)]
pub(super) struct Streamable<'a> {
    web: &'a Web,
    url: Url,
    pub(super) version: Option<String>,
    /// Whether this is the modern era: requests carry `Mcp-Method`, and the server may ask nothing.
    pub(super) modern: bool,
    session: Option<String>,
    /// What the answer to the last request named.
    named_session: Option<String>,
    opened: Vec<(Url, String)>,
    answered: u32,
}

impl<'a> Streamable<'a> {
    pub(super) fn new(web: &'a Web, url: Url) -> Self {
        Streamable {
            web,
            url,
            version: None,
            modern: false,
            session: None,
            named_session: None,
            opened: Vec::new(),
            answered: 0,
        }
    }

    /// Sends a request and waits for its result.
    pub(super) fn call(&mut self, id: i64, method: &str, body: &str, deadline: Deadline) -> Result<Text, NoResult> {
        self.named_session = None;
        let response = self.post(Some(method), body, deadline)?;
        self.named_session = response.header("mcp-session-id").map(str::to_owned);
        if !response.is_success() {
            return Err(self.web.refusal(response, Some(id)));
        }
        let status = response.status;
        match (status, response.media_type().as_str()) {
            (202 | 204, _) => Err(unusable(format!("HTTP {status} without an answer"))),
            (_, "application/json") => self.read_json(response, id, deadline),
            (_, "text/event-stream") => self.read_events(response, id, deadline),
            (_, "") => Err(unusable(format!("HTTP {status} without a content type instead of an MCP answer"))),
            (_, other) => {
                let after = self.web.after_redirect(&response);
                Err(unusable(format!("HTTP {status}{after} with {} instead of an MCP answer", quoted(other, QUOTED))))
            }
        }
    }

    /// Sends a message to which nothing comes back but a status.
    pub(super) fn tell(&mut self, body: &str, deadline: Deadline) -> Result<(), NoResult> {
        let response = self.post(None, body, deadline)?;
        if response.is_success() { Ok(()) } else { Err(self.web.refusal(response, None)) }
    }

    /// Takes over the session that the last answer named, if it named one, for all further requests.
    pub(super) fn adopt_session(&mut self) {
        self.session = self.named_session.take();
    }

    /// Ends every session, however the check went. Servers that do not let clients do that answer 405, which is fine.
    pub(super) fn end(&mut self, deadline: Deadline) {
        for (url, session) in std::mem::take(&mut self.opened) {
            let mut request = Request::new(Method::DELETE, &url).header("mcp-session-id", session);
            if let Some(version) = self.version.as_ref().filter(|_| !self.modern) {
                request = request.header("mcp-protocol-version", version.clone());
            }
            if let Err(error) = self.web.send(&request, deadline) {
                log::debug(format!("an MCP session could not be ended: {}", self.web.secrets.redact(&error.detail)));
            }
        }
    }

    fn post(&mut self, method: Option<&str>, body: &str, deadline: Deadline) -> Result<Response, HttpError> {
        let mut request = Request::new(Method::POST, &self.url)
            .header("accept", ACCEPT)
            .header("content-type", "application/json")
            .body(body.as_bytes());
        if let Some(version) = &self.version {
            request = request.header("mcp-protocol-version", version.clone());
        }
        if let Some(method) = method.filter(|_| self.modern) {
            request = request.header("mcp-method", method);
        }
        // Until it is taken over, the session of the request under way holds for replies to the server.
        if let Some(session) = self.session.as_ref().or(self.named_session.as_ref()) {
            request = request.header("mcp-session-id", session.clone());
        }
        let response = self.web.send(&request, deadline)?;
        if let Some(session) = response.header("mcp-session-id") {
            let session = (response.url.clone(), session.to_owned());
            if !self.opened.contains(&session) && self.opened.len() < MOST_SESSIONS {
                self.opened.push(session);
            }
        }
        // Further requests go straight to where the first one was redirected: a session that the new address has
        // opened is its own, and passes through nobody else's hands.
        if response.redirected && response.method == Method::POST && response.is_success() {
            self.url = response.url.clone();
        }
        Ok(response)
    }

    fn read_json(&self, mut response: Response, id: i64, deadline: Deadline) -> Result<Text, NoResult> {
        let mut message = read_message(&mut response.body, deadline)?;
        if message.bytes.starts_with(BYTE_ORDER_MARK) {
            message.bytes.drain(..BYTE_ORDER_MARK.len());
        }
        match sort(message, id) {
            Incoming::Answer(outcome) => outcome.map_err(|error| NoResult::Rpc { error, status: response.status }),
            // What answers this POST answers this request.
            Incoming::Anonymous(error) => Err(NoResult::Rpc { error, status: response.status }),
            other => Err(unusable(format!("the answer is not valid: {}", other.instead()))),
        }
    }

    fn read_events(&mut self, response: Response, id: i64, deadline: Deadline) -> Result<Text, NoResult> {
        let status = response.status;
        let mut events = Events::new(response.body);
        let mut unusable_event = None;
        while let Some((name, data)) = events.next(deadline)? {
            // An event without data primes a stream for reconnecting; other names are no messages.
            if name != "message" || data.bytes.is_empty() {
                continue;
            }
            match sort(data, id) {
                Incoming::Answer(outcome) => return outcome.map_err(|error| NoResult::Rpc { error, status }),
                Incoming::Anonymous(error) => return Err(NoResult::Rpc { error, status }),
                Incoming::Request(id, method) => self.reply(&id, &method, deadline)?,
                Incoming::Other => {}
                Incoming::Unusable(what) => unusable_event = Some(what),
            }
        }
        let aside = unusable_event.map(|what| format!("; one event was no use: {what}")).unwrap_or_default();
        Err(unusable(format!("the event stream ended without the answer{aside}")))
    }

    /// Answers a request of the server's. The modern era forbids those: there it is ignored.
    fn reply(&mut self, id: &str, method: &str, deadline: Deadline) -> Result<(), NoResult> {
        if self.modern || self.answered >= MOST_SERVER_REQUESTS {
            return Ok(());
        }
        self.answered += 1;
        match jsonrpc::reply(id, method) {
            Some(reply) => self.tell(&reply, deadline),
            None => Ok(()),
        }
    }
}
