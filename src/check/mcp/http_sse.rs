//! The deprecated HTTP+SSE transport of 2024-11-05: one stream for everything the server says, and an address, named by
//! its first event, for everything the client says.

use std::sync::OnceLock;
use std::thread;

use url::Url;

use super::events::Events;
use super::incoming::{Incoming, sort};
use super::jsonrpc::{self, Text};
use super::web::{MOST_SERVER_REQUESTS, NoResult, Web, unusable};
use crate::clock::Deadline;
use crate::http::{self, ErrorKind, HttpError, Method, Request};
use crate::model::reason::{Failure, Reason};

const POST_STACK: usize = 256 * 1024;

/// One conversation over HTTP+SSE.
#[derive(Debug)]
pub(super) struct HttpSse<'a> {
    events: Events,
    pub(super) post: Post<'a>,
    answered: u32,
}

/// The way for what the client says.
#[derive(Debug)]
pub(super) struct Post<'a> {
    web: &'a Web,
    to: Url,
    /// Sent as `MCP-Protocol-Version` once it is known.
    pub(super) version: Option<String>,
}

impl Post<'_> {
    pub(super) fn send(&self, body: &str, deadline: Deadline) -> Result<(), NoResult> {
        let request = Request::new(Method::POST, &self.to).header("content-type", "application/json");
        let mut request = request.body(body.as_bytes());
        if let Some(version) = &self.version {
            request = request.header("mcp-protocol-version", version.clone());
        }
        let response = self.web.send(&request, deadline)?;
        if response.is_success() { Ok(()) } else { Err(self.web.refusal(response, None)) }
    }
}

impl<'a> HttpSse<'a> {
    /// Opens the stream and waits for the address to post to, until `endpoint_by`.
    /// Errors: Why this is no such server, or that its `endpoint` event names another origin.
    pub(super) fn open(web: &'a Web, url: &Url, endpoint_by: Deadline, deadline: Deadline) -> Result<Self, NoResult> {
        let request = Request::new(Method::GET, url).header("accept", "text/event-stream");
        let response = web.send(&request, deadline)?;
        if !response.is_success() {
            return Err(web.refusal(response, None));
        }
        if response.media_type() != "text/event-stream" {
            let detail = format!("HTTP {} without an event stream", response.status);
            return Err(NoResult::NoStream(Failure::new(Reason::ProtocolError, detail)));
        }
        let base = response.url;
        let mut events = Events::new(response.body);
        let to = endpoint(&mut events, &base, endpoint_by)?;
        Ok(HttpSse { events, post: Post { web, to, version: None }, answered: 0 })
    }

    /// Sends a request and waits for its result on the stream, which a server may fill before it answers the POST: both
    /// are read at the same time, and where one fails the other is not waited for.
    pub(super) fn call(&mut self, id: i64, body: &str, deadline: Deadline) -> Result<Text, NoResult> {
        let HttpSse { events, post, answered } = self;
        let post = &*post;
        let first_failure = OnceLock::new();
        let fail = |failure| {
            let _ = first_failure.set(failure); // a later one follows from it
            post.web.client.close_connections();
        };
        let answer = thread::scope(|scope| {
            let sender = thread::Builder::new().name("post".into()).stack_size(POST_STACK);
            let sent = sender.spawn_scoped(scope, || post.send(body, deadline).map_err(fail));
            sent.map_err(|e| {
                HttpError::new(ErrorKind::Shortage, format!("no thread to send a request beside the event stream: {e}"))
            })?;
            Ok::<_, HttpError>(answer(events, post, answered, id, deadline).map_err(fail))
        })?;
        match (answer, first_failure.into_inner()) {
            (Ok(answer), None) => Ok(answer),
            (_, failure) => Err(failure.unwrap_or_else(|| unusable("the request was not sent".into()))),
        }
    }
}

/// The next event, which is awaited: a stream that ends has not answered.
fn next(events: &mut Events, deadline: Deadline) -> Result<(String, Text), HttpError> {
    let ended = || HttpError::new(ErrorKind::Protocol, "the server ended the event stream");
    events.next(deadline)?.ok_or_else(ended)
}

fn endpoint(events: &mut Events, base: &Url, deadline: Deadline) -> Result<Url, NoResult> {
    let named = loop {
        let (name, data) = next(events, deadline)?;
        if name == "endpoint" {
            break String::from_utf8_lossy(&data.bytes).into_owned();
        }
    };
    let endpoint =
        base.join(named.trim()).map_err(|e| unusable(format!("the endpoint event names no address: {e}")))?;
    if endpoint.origin() != base.origin() {
        return Err(unusable(format!("the endpoint event names another origin ({})", http::shown(&endpoint))));
    }
    Ok(endpoint)
}

/// Reads the stream up to the answer to a request; answers those of the server meanwhile.
fn answer(
    events: &mut Events,
    post: &Post<'_>,
    answered: &mut u32,
    id: i64,
    deadline: Deadline,
) -> Result<Text, NoResult> {
    let rpc = |error| NoResult::Rpc { error, status: 200 };
    // An error that names no request may answer a notification, which should have no answer: it counts if nothing else
    // comes.
    let mut anonymous = None;
    loop {
        let (_, data) = match next(events, deadline) {
            Ok(next) => next,
            Err(end) => return Err(anonymous.map_or(end.into(), rpc)),
        };
        match sort(data, id) {
            Incoming::Answer(outcome) => return outcome.map_err(rpc),
            Incoming::Anonymous(error) => anonymous = Some(error),
            Incoming::Request(id, method) if *answered < MOST_SERVER_REQUESTS => {
                *answered += 1;
                if let Some(reply) = jsonrpc::reply(&id, &method) {
                    post.send(&reply, deadline)?;
                }
            }
            _ => {}
        }
    }
}
