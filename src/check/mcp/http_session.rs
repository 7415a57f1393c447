//! One conversation over HTTP, in either transport: Streamable HTTP, where a POST brings the answer back, or the
//! deprecated HTTP+SSE of 2024-11-05, where answers come on a stream that was opened before.

use std::sync::OnceLock;
use std::thread;

use serde_json::Value;
use url::Url;

use super::events::{Events, read_message};
use super::jsonrpc::{self, Incoming, Text, sort};
use super::limits::MESSAGE_BYTES;
use super::tools::Peer;
use super::web::{NoResult, Web, unusable};
use crate::clock::Deadline;
use crate::http::{self, ErrorKind, HttpError, Method, Request, Response};
use crate::mcp;
use crate::model::mcp::{Era, Transport};
use crate::model::reason::Failure;
use crate::redact::quoted;

const ACCEPT: &str = "application/json, text/event-stream";
const EVENT_STREAM: &str = "text/event-stream";
/// Requests of the server that are answered while one answer is awaited; further ones are ignored.
const MOST_SERVER_REQUESTS: u32 = 32;
const POST_STACK: usize = 256 * 1024;
const QUOTED: usize = 60;

#[derive(Debug)]
pub(super) struct HttpSession<'a> {
    web: &'a Web<'a>,
    /// Where requests go.
    url: Url,
    /// In the modern era, requests carry `Mcp-Method`, and the server may ask nothing.
    pub(super) era: Era,
    /// Sent as `MCP-Protocol-Version` once it is known.
    pub(super) version: Option<String>,
    session_id: Option<String>,
    /// Where answers come, if the transport is HTTP+SSE.
    stream: Option<Events>,
    last_id: i64,
}

impl<'a> HttpSession<'a> {
    pub(super) fn streamable(web: &'a Web<'a>) -> Self {
        let url = web.url.clone();
        HttpSession { web, url, era: Era::Legacy, version: None, session_id: None, stream: None, last_id: 0 }
    }

    /// Opens the stream of HTTP+SSE and waits until `endpoint_by` for the address to post to.
    /// Errors: Why this is no such server, or that its `endpoint` event names another origin.
    pub(super) fn sse(web: &'a Web<'a>, endpoint_by: Deadline) -> Result<Self, NoResult> {
        let request = Request::new(Method::GET, &web.url).header("accept", EVENT_STREAM);
        let response = web.send(&request, web.deadline)?;
        let status = response.status;
        if !response.is_success() {
            return Err(web.refusal(response, None));
        }
        if response.media_type() != EVENT_STREAM {
            let no_stream = unusable(format!("HTTP {status} without an event stream"));
            return Err(NoResult { status: Some(status), ..no_stream });
        }
        let base = response.url;
        let mut events = Events::new(response.body, MESSAGE_BYTES);
        let url = endpoint(&mut events, &base, endpoint_by)?;
        Ok(HttpSession { url, stream: Some(events), ..HttpSession::streamable(web) })
    }

    pub(super) fn transport(&self) -> Transport {
        if self.stream.is_some() { Transport::Sse } else { Transport::Http }
    }

    /// Sends a request and waits for its result.
    pub(super) fn ask(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, NoResult> {
        self.last_id += 1;
        let body = mcp::request(self.last_id, method, params).to_string();
        let answer = match self.stream.take() {
            Some(mut events) => {
                let answer = self.ask_beside(&mut events, &body, deadline);
                self.stream = Some(events);
                answer
            }
            None => self.ask_streamable(method, &body, deadline),
        };
        answer.map_err(|no_result| no_result.context(method))
    }

    /// Sends a message. `asked` is its method, if it is the last request.
    pub(super) fn send(&self, body: &str, asked: Option<&str>, deadline: Deadline) -> Result<Response, NoResult> {
        let mut request = Request::new(Method::POST, &self.url)
            .header("accept", ACCEPT)
            .header("content-type", "application/json")
            .body(body.as_bytes());
        let known = [
            ("mcp-protocol-version", self.version.clone()),
            ("mcp-method", asked.filter(|_| self.era == Era::Modern).map(str::to_owned)),
            ("mcp-session-id", self.session_id.clone()),
        ];
        request.headers.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let response = self.web.send(&request, deadline)?;
        self.web.note_session(&response);
        if response.is_success() { Ok(response) } else { Err(self.web.refusal(response, asked.map(|_| self.last_id))) }
    }

    /// Sends a request over Streamable HTTP, and reads the answer as one JSON object or from an event stream.
    fn ask_streamable(&mut self, method: &str, body: &str, deadline: Deadline) -> Result<Text, NoResult> {
        let response = self.send(body, Some(method), deadline)?;
        if method == mcp::INITIALIZE {
            self.session_id = response.header("mcp-session-id").map(str::to_owned);
        }
        // Further requests go straight to where the first one was redirected: a session that the new address has
        // opened is its own, and passes through nobody else's hands.
        if response.redirected && response.method == Method::POST {
            self.url = response.url.clone();
        }
        let status = response.status;
        match (status, response.media_type().as_str()) {
            (202 | 204, _) => Err(unusable(format!("HTTP {status} without an answer"))),
            (_, "application/json") => {
                match sort(read_message(response.body, deadline)?, self.last_id) {
                    Incoming::Answer(outcome) => outcome.map_err(NoResult::from),
                    // What answers this POST answers this request.
                    Incoming::Anonymous(error) => Err(error.into()),
                    Incoming::Unusable(what) => Err(unusable(format!("the answer is not valid: {what}"))),
                    _ => Err(unusable("the answer is not valid: it is a request or notification of the server".into())),
                }
            }
            (_, EVENT_STREAM) => self.listen(&mut Events::new(response.body, MESSAGE_BYTES), true, deadline),
            (_, "") => Err(unusable(format!("HTTP {status} without a content type instead of an MCP answer"))),
            (_, other) => {
                let after = self.web.after_redirect(&response);
                Err(unusable(format!("HTTP {status}{after} with {} instead of an MCP answer", quoted(other, QUOTED))))
            }
        }
    }

    /// Sends a request over HTTP+SSE and waits for its result on the stream, which a server may fill before it answers
    /// the POST: both are read at the same time, and where one fails the other is not waited for.
    fn ask_beside(&self, events: &mut Events, body: &str, deadline: Deadline) -> Result<Text, NoResult> {
        let first_failure = OnceLock::new();
        let fail = |failure| {
            let _ = first_failure.set(failure); // a later one follows from it
            self.web.client.close_connections();
        };
        let answer = thread::scope(|scope| {
            let sender = thread::Builder::new().name("post".into()).stack_size(POST_STACK);
            let sent = sender.spawn_scoped(scope, || self.send(body, None, deadline).map(drop).map_err(fail));
            sent.map_err(|e| {
                HttpError::new(ErrorKind::Shortage, format!("no thread to send a request beside the event stream: {e}"))
            })?;
            Ok::<_, HttpError>(self.listen(events, false, deadline).map_err(fail))
        })?;
        match (answer, first_failure.into_inner()) {
            (Ok(answer), None) => Ok(answer),
            (_, failure) => Err(failure.unwrap_or_else(|| unusable("the request was not sent".into()))),
        }
    }

    /// Reads an event stream up to the answer to the last request, and answers those of the server meanwhile. `is_own` is a
    /// stream that was opened for this request.
    fn listen(&self, events: &mut Events, is_own: bool, deadline: Deadline) -> Result<Text, NoResult> {
        let (mut anonymous, mut aside, mut answered) = (None, String::new(), 0);
        let end = loop {
            let data = match events.next(deadline) {
                // An event without data primes a stream for reconnecting; other names are no messages.
                Ok(Some((name, data))) if name != "message" || data.bytes.is_empty() => continue,
                Ok(Some((_, data))) => data,
                Ok(None) => break unusable(format!("the event stream ended without the answer{aside}")),
                Err(error) => break error.into(),
            };
            match sort(data, self.last_id) {
                Incoming::Answer(outcome) => return outcome.map_err(NoResult::from),
                Incoming::Anonymous(error) if is_own => return Err(error.into()),
                // It may answer a notification, which should have no answer: it counts if nothing else comes.
                Incoming::Anonymous(error) => anonymous = Some(error),
                Incoming::Request(id, method) if self.era == Era::Legacy && answered < MOST_SERVER_REQUESTS => {
                    answered += 1;
                    if let Some(reply) = jsonrpc::reply(&id, &method) {
                        self.send(&reply, None, deadline)?;
                    }
                }
                Incoming::Request(..) | Incoming::Other => {}
                Incoming::Unusable(what) => aside = format!("; one event was no use: {what}"),
            }
        };
        Err(anonymous.map_or(end, NoResult::from))
    }
}

impl Peer for HttpSession<'_> {
    fn call(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, Failure> {
        self.ask(method, params, deadline).map_err(|no_result| no_result.failure)
    }
}

fn endpoint(events: &mut Events, base: &Url, deadline: Deadline) -> Result<Url, NoResult> {
    let named = loop {
        match events.next(deadline)? {
            Some((name, data)) if name == "endpoint" => break String::from_utf8_lossy(&data.bytes).into_owned(),
            Some(_) => {}
            None => return Err(unusable("the event stream ended without an endpoint event".into())),
        }
    };
    let endpoint =
        base.join(named.trim()).map_err(|e| unusable(format!("the endpoint event names no address: {e}")))?;
    if endpoint.origin() != base.origin() {
        return Err(unusable(format!("the endpoint event names another origin ({})", http::shown(&endpoint))));
    }
    Ok(endpoint)
}
