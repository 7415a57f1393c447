//! A server behind a URL: which transport and era it speaks, whether it is usable, and leaving nothing behind there.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::http_sse::HttpSse;
use super::jsonrpc::Text;
use super::modern::{self, Discovery, MOST_RETRIES, Retry};
use super::peer::{CallError, Greeting, Peer};
use super::streamable::Streamable;
use super::web::{NoResult, Web};
use super::{legacy, output, tools};
use crate::check::Context;
use crate::clock::{self, Deadline};
use crate::mcp;
use crate::model::mcp::{Era, HttpServer, HttpTransport, McpFacts, McpMemory, Transport};
use crate::model::reason::{Failure, Reason};

/// Ending a session gets so long, also where the check's own time is used up.
const FAREWELL: Duration = Duration::from_secs(1);
/// Of the check's time, this much is kept for ending a session.
const RESERVE: Duration = Duration::from_millis(250);

pub(super) fn check(server: &HttpServer, list_tools: bool, memory: &McpMemory, context: &Context) -> McpFacts {
    let (web, url) = match Web::new(server) {
        Ok(way) => way,
        Err(failure) => return McpFacts::failed(failure),
    };
    let mut conversation = HttpCheck {
        web: &web,
        streamable: Streamable::new(&web, url.clone()),
        url,
        sse: None,
        transport: server.transport,
        last_id: 0,
        deadline: context.deadline.minus(RESERVE.min(context.timeout / 10)),
    };
    let mut facts = conversation.run(list_tools, memory);
    // Streams first: a server may not end a session while one of its streams is open.
    conversation.sse = None;
    conversation.streamable.end(context.pass_deadline.sooner(FAREWELL));
    output::make_harmless(&mut facts, &web.secrets);
    facts
}

/// A server that has fallen silent on what is remembered of it may have changed its ways in a manner that leaves no
/// time to find out: the next check does not rely on it.
pub(super) fn doubt(facts: &McpFacts, memory: &mut McpMemory) {
    if facts.era.is_none() && facts.failure.as_ref().is_some_and(|failure| failure.reason == Reason::Timeout) {
        (memory.era, memory.transport) = (None, None);
    }
}

struct HttpCheck<'a> {
    web: &'a Web,
    url: Url,
    streamable: Streamable<'a>,
    /// Set once HTTP+SSE is the transport in use.
    sse: Option<HttpSse<'a>>,
    transport: HttpTransport,
    last_id: i64,
    deadline: Deadline,
}

/// Why a transport did not work.
struct NotOpened {
    failure: Failure,
    /// The server may speak the other transport: it answers `initialize` with the status with which servers of the
    /// deprecated one refuse a POST, or GET brings no event stream.
    other_transport: bool,
}

impl From<Failure> for NotOpened {
    fn from(failure: Failure) -> NotOpened {
        NotOpened { failure, other_transport: false }
    }
}

impl HttpCheck<'_> {
    fn run(&mut self, list_tools: bool, memory: &McpMemory) -> McpFacts {
        let began = clock::instant();
        let greeting = match self.open(memory) {
            Ok(greeting) => greeting,
            Err(failure) => return McpFacts::failed(failure),
        };
        let transport = if self.sse.is_some() { Transport::Sse } else { Transport::Http };
        let mut facts =
            McpFacts { transport: Some(transport), handshake: Some(began.elapsed()), ..McpFacts::default() };
        if list_tools && greeting.has_tools {
            let deadline = self.deadline;
            let listed = tools::list(self, &greeting.dialect, deadline, &mut facts);
            facts.failure = listed.err().map(|error| error.into_failure(mcp::TOOLS_LIST));
        }
        greeting.note_in(&mut facts);
        facts
    }

    /// Opens a conversation: what worked last time first, and if that does not work any more, from the beginning.
    fn open(&mut self, memory: &McpMemory) -> Result<Greeting, Failure> {
        let (opened, by_initialize) = match (self.transport, memory.transport, memory.era) {
            (HttpTransport::Sse, _, _) => return self.open_sse(self.deadline).map_err(|refused| refused.failure),
            (HttpTransport::Auto, Some(Transport::Sse), _) => (self.open_sse(self.half()), false),
            (_, _, Some(Era::Legacy)) => (self.initialize(legacy::VERSION), true),
            (_, _, era) => return self.open_anew(era, None),
        };
        let refused = match opened {
            Ok(greeting) => return Ok(greeting),
            Err(refused) => refused,
        };
        // Not where it would fail in every other way, too.
        let about_the_era = matches!(
            refused.failure.reason,
            Reason::HttpStatus | Reason::ProtocolError | Reason::RpcError | Reason::Timeout
        );
        if !about_the_era || self.deadline.passed() {
            return Err(refused.failure);
        }
        self.open_anew(None, by_initialize.then_some(refused))
    }

    /// Finds out what the server speaks. `refused` is what `initialize` brought, if it has been tried.
    fn open_anew(&mut self, remembered: Option<Era>, refused: Option<NotOpened>) -> Result<Greeting, Failure> {
        // A server that has never answered `discover` may take it in silence: then `initialize` needs time too.
        let discover_by = if remembered == Some(Era::Modern) { self.deadline } else { self.half() };
        let version = match self.discover(discover_by)? {
            Discovery::Modern(greeting) => return Ok(greeting),
            Discovery::Legacy(version) => version,
        };
        let refused = match (version, refused) {
            (None, Some(refused)) => refused,
            (version, _) => match self.initialize(version.as_deref().unwrap_or(legacy::VERSION)) {
                Ok(greeting) => return Ok(greeting),
                Err(refused) => refused,
            },
        };
        let NotOpened { failure, other_transport } = refused;
        if !other_transport || self.transport != HttpTransport::Auto {
            return Err(failure);
        }
        self.open_sse(self.deadline).map_err(|get| match get.other_transport {
            true => Failure { detail: format!("{}; {}", failure.detail, get.failure.detail), ..failure },
            false => get.failure,
        })
    }

    /// Half of the time left, for an attempt that others may have to follow.
    fn half(&self) -> Deadline {
        self.deadline.sooner(self.deadline.left() / 2)
    }

    fn discover(&mut self, deadline: Deadline) -> Result<Discovery, Failure> {
        let mut versions = vec![modern::VERSION.to_owned()];
        loop {
            let version = versions[versions.len() - 1].clone();
            self.streamable.modern = true;
            self.streamable.version = Some(version.clone());
            let outcome = self.ask(mcp::DISCOVER, &modern::discover_params(&version), deadline);
            let error = match outcome {
                Ok(answer) => match modern::read_discover(&answer, &version) {
                    Ok(discovery) => {
                        if let Discovery::Modern(greeting) = &discovery {
                            self.streamable.version = Some(greeting.dialect.version.clone());
                        }
                        return Ok(discovery);
                    }
                    Err(_) => return Ok(Discovery::Legacy(None)),
                },
                Err(NoResult::Rpc { error, status }) if modern::is_modern_error(&error) => (error, status),
                Err(NoResult::Rpc { .. } | NoResult::Status { .. } | NoResult::Unusable(_)) => {
                    return Ok(Discovery::Legacy(None));
                }
                // Silence may be a legacy server's way to take an unknown request.
                Err(NoResult::Failed(failure)) if failure.reason == Reason::Timeout && !self.deadline.passed() => {
                    return Ok(Discovery::Legacy(None));
                }
                Err(other) => return Err(other.into_failure(mcp::DISCOVER)),
            };
            let (error, status) = error;
            match modern::retry(&error, &versions) {
                Retry::Modern(version) if versions.len() <= MOST_RETRIES => versions.push(version),
                Retry::Legacy(version) => return Ok(Discovery::Legacy(Some(version))),
                Retry::Modern(_) | Retry::No => {
                    return Err(NoResult::Rpc { error, status }.into_failure(mcp::DISCOVER));
                }
            }
        }
    }

    fn initialize(&mut self, version: &str) -> Result<Greeting, NotOpened> {
        self.streamable.modern = false;
        self.streamable.version = None;
        let params = legacy::initialize_params(version);
        let answer = self.ask(mcp::INITIALIZE, &params, self.deadline).map_err(|no_result| {
            let other_transport = matches!(
                no_result,
                NoResult::Status { status: 400 | 404 | 405, .. } | NoResult::Rpc { status: 400 | 404 | 405, .. }
            );
            NotOpened { failure: no_result.into_failure(mcp::INITIALIZE), other_transport }
        })?;
        let invalid = |what| format!("{}: the result is invalid: {what}", mcp::INITIALIZE);
        let greeting =
            legacy::read_initialize(&answer).map_err(|what| Failure::new(Reason::ProtocolError, invalid(what)))?;
        let version = greeting.dialect.version.clone();
        let initialized = mcp::notification(mcp::INITIALIZED, Value::Null).to_string();
        let sent = match &mut self.sse {
            Some(sse) => {
                sse.post.version = Some(version);
                sse.post.send(&initialized, self.deadline)
            }
            None => {
                self.streamable.adopt_session();
                self.streamable.version = Some(version);
                self.streamable.tell(&initialized, self.deadline)
            }
        };
        // A server that takes the notification badly may still be usable, and `tools/list` will tell; only a refused
        // credential is final.
        match sent {
            Err(NoResult::Credential(failure)) => Err(failure.into()),
            _ => Ok(greeting),
        }
    }

    fn open_sse(&mut self, endpoint_by: Deadline) -> Result<Greeting, NotOpened> {
        let opened = HttpSse::open(self.web, &self.url, endpoint_by, self.deadline);
        self.sse = Some(opened.map_err(|no_result| {
            let other_transport = matches!(no_result, NoResult::Status { .. } | NoResult::NoStream(_));
            NotOpened { failure: no_result.into_failure("GET"), other_transport }
        })?);
        let opened = self.initialize(legacy::VERSION);
        if opened.is_err() {
            self.sse = None;
        }
        opened.map_err(|refused| refused.failure.into())
    }

    fn ask(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, NoResult> {
        self.last_id += 1;
        let body = mcp::request(self.last_id, method, params).to_string();
        match &mut self.sse {
            Some(sse) => sse.call(self.last_id, &body, deadline),
            None => self.streamable.call(self.last_id, method, &body, deadline),
        }
    }
}

impl Peer for HttpCheck<'_> {
    fn call(&mut self, method: &str, params: Value, deadline: Deadline) -> Result<Text, CallError> {
        self.ask(method, &params, deadline).map_err(|no_result| match no_result {
            NoResult::Rpc { error, .. } => CallError::Rpc(error),
            other => CallError::Failed(other.into_failure(method)),
        })
    }
}
