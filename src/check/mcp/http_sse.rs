//! The deprecated HTTP+SSE transport of 2024-11-05: one stream for everything the server says, and an address, named by
//! its first event, for everything the client says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use url::Url;

use super::events::Events;
use super::incoming::{Incoming, sort};
use super::limits::Room;
use super::sse::Event;
use super::web::{MOST_SERVER_REQUESTS, NoResult, Web, unusable};
use super::wire::{self, Answer};
use crate::clock::Deadline;
use crate::http::{self, ErrorKind, HttpError, Method, Request};
use crate::mcp::RpcError;
use crate::model::reason::{Failure, Reason};

const READ_AHEAD: usize = 4;
const READER_STACK: usize = 256 * 1024;
/// Stands for "no answer is awaited"; ids begin at 1.
const NONE_AWAITED: i64 = 0;

/// One conversation over HTTP+SSE.
///
/// A thread of its own reads the stream, because a server may fill it before it answers the POST that asked for it.
#[derive(Debug)]
pub(super) struct HttpSse<'a> {
    web: &'a Web,
    post_to: Url,
    /// Sent as `MCP-Protocol-Version` once it is known.
    pub(super) version: Option<String>,
    awaited: Arc<AtomicI64>,
    heard: Option<Receiver<Heard>>,
    reader: Option<JoinHandle<()>>,
}

/// What the reading thread hands on; everything else it drops, so that no flood piles up.
#[derive(Debug)]
enum Heard {
    Endpoint(String),
    Answer(Result<Answer, RpcError>),
    Anonymous(RpcError),
    Request(String, String),
    End(HttpError),
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
        let base = response.url.clone();
        let awaited = Arc::new(AtomicI64::new(NONE_AWAITED));
        let (sender, heard) = sync_channel(READ_AHEAD);
        let reader = Reader { awaited: Arc::clone(&awaited), sender, requests: 0 };
        let reader = std::thread::Builder::new()
            .name("event stream".into())
            .stack_size(READER_STACK)
            .spawn(move || reader.run(Events::new(response.body), deadline))
            .map_err(|e| HttpError::new(ErrorKind::Shortage, format!("no thread to read the event stream: {e}")))?;
        let mut conversation =
            HttpSse { web, post_to: base.clone(), version: None, awaited, heard: Some(heard), reader: Some(reader) };
        conversation.post_to = conversation.endpoint(&base, endpoint_by)?;
        Ok(conversation)
    }

    /// Sends a request and waits for its result on the stream.
    pub(super) fn call(&mut self, id: i64, body: &str, deadline: Deadline) -> Result<Answer, NoResult> {
        self.awaited.store(id, Ordering::SeqCst);
        self.tell(body, deadline)?;
        // It may answer a notification, which should have no answer: it counts if nothing else comes.
        let mut anonymous = None;
        loop {
            let heard = match (self.next(deadline), anonymous.take()) {
                (Err(_), Some(error)) => return Err(NoResult::Rpc { error, status: 200 }),
                (heard, before) => {
                    anonymous = before;
                    heard?
                }
            };
            match heard {
                Heard::Anonymous(error) => anonymous = Some(error),
                Heard::Answer(outcome) => return outcome.map_err(|error| NoResult::Rpc { error, status: 200 }),
                Heard::Request(id, method) => {
                    if let Some(reply) = wire::reply(&id, &method) {
                        self.tell(&reply, deadline)?;
                    }
                }
                Heard::Endpoint(_) => {}
                Heard::End(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a message to which no answer is awaited.
    pub(super) fn tell(&mut self, body: &str, deadline: Deadline) -> Result<(), NoResult> {
        let request = Request::new(Method::POST, &self.post_to).header("content-type", "application/json");
        let mut request = request.body(body.as_bytes());
        if let Some(version) = &self.version {
            request = request.header("mcp-protocol-version", version.clone());
        }
        let response = self.web.send(&request, deadline)?;
        if response.is_success() { Ok(()) } else { Err(self.web.refusal(response, None)) }
    }

    fn endpoint(&mut self, base: &Url, deadline: Deadline) -> Result<Url, NoResult> {
        let named = loop {
            match self.next(deadline)? {
                Heard::Endpoint(named) => break named,
                Heard::End(error) => return Err(error.into()),
                Heard::Answer(_) | Heard::Anonymous(_) | Heard::Request(..) => {}
            }
        };
        let endpoint =
            base.join(named.trim()).map_err(|e| unusable(format!("the endpoint event names no address: {e}")))?;
        if endpoint.origin() != base.origin() {
            return Err(unusable(format!("the endpoint event names another origin ({})", http::shown(&endpoint))));
        }
        Ok(endpoint)
    }

    fn next(&self, deadline: Deadline) -> Result<Heard, HttpError> {
        let heard = self.heard.as_ref().map(|heard| heard.recv_timeout(deadline.left()));
        match heard {
            Some(Ok(heard)) => Ok(heard),
            Some(Err(RecvTimeoutError::Timeout)) => {
                Err(HttpError::new(ErrorKind::Timeout, "no time left while waiting on the event stream"))
            }
            // The reader says why it ends, but only once.
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                Err(HttpError::new(ErrorKind::Protocol, "the event stream has ended"))
            }
        }
    }
}

impl Drop for HttpSse<'_> {
    fn drop(&mut self) {
        // Without a receiver the reader cannot wait to hand something over, without a socket it cannot wait for input.
        self.heard = None;
        self.web.hang_up();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

struct Reader {
    awaited: Arc<AtomicI64>,
    sender: SyncSender<Heard>,
    requests: u32,
}

impl Reader {
    fn run(mut self, mut events: Events, deadline: Deadline) {
        let error = self.read(&mut events, deadline);
        // Nobody may be listening any more.
        let _ = self.sender.send(Heard::End(error));
    }

    fn read(&mut self, events: &mut Events, deadline: Deadline) -> HttpError {
        loop {
            let (event, room) = match events.next(deadline) {
                Ok(Some(next)) => next,
                Ok(None) => return HttpError::new(ErrorKind::Protocol, "the server ended the event stream"),
                Err(error) => return error,
            };
            if let Some(heard) = self.sort(event, room)
                && self.sender.send(heard).is_err()
            {
                return HttpError::new(ErrorKind::Protocol, "the conversation is over");
            }
        }
    }

    fn sort(&mut self, event: Event, room: Option<Room>) -> Option<Heard> {
        if event.name == "endpoint" {
            return Some(Heard::Endpoint(String::from_utf8_lossy(&event.data).into_owned()));
        }
        let awaited = self.awaited.load(Ordering::SeqCst);
        match sort(event.data, room, awaited) {
            // Of several answers to one request the first counts.
            Incoming::Answer(outcome) if self.take_awaited(awaited) => Some(Heard::Answer(outcome)),
            Incoming::Anonymous(error) => Some(Heard::Anonymous(error)),
            Incoming::Request(id, method) if self.requests < MOST_SERVER_REQUESTS => {
                self.requests += 1;
                Some(Heard::Request(id, method))
            }
            _ => None,
        }
    }

    fn take_awaited(&self, awaited: i64) -> bool {
        let taken = self.awaited.compare_exchange(awaited, NONE_AWAITED, Ordering::SeqCst, Ordering::SeqCst);
        awaited != NONE_AWAITED && taken.is_ok()
    }
}
