//! A server behind a URL: which transport and era it speaks, whether it is usable, and leaving nothing behind there.

use std::time::Duration;

use serde_json::Value;

use super::eras::{self, Greeting, Next};
use super::http_session::HttpSession;
use super::web::{NoResult, Web};
use super::{output, tools};
use crate::check::Context;
use crate::clock::{self, Deadline};
use crate::mcp;
use crate::model::mcp::{Era, HttpServer, HttpTransport, McpFacts, McpMemory, Transport};
use crate::model::reason::{Failure, Reason};

/// For ending sessions, also where the check's own time is used up.
const SESSION_END_TIMEOUT: Duration = Duration::from_secs(1);
/// Kept of the check's time for ending sessions.
const RESERVE: Duration = Duration::from_millis(250);

pub(super) fn check(server: &HttpServer, list_tools: bool, memory: &McpMemory, context: &Context) -> McpFacts {
    let deadline = context.deadline.minus(RESERVE.min(context.timeout / 10));
    let web = match Web::new(server, deadline) {
        Ok(web) => web,
        Err(failure) => return McpFacts::failed(failure),
    };
    // Its stream is closed by then: a server may not end a session while one of its streams is open.
    let mut facts = web.check(list_tools, memory);
    web.end_sessions(&facts, context.pass_deadline.sooner(SESSION_END_TIMEOUT));
    output::make_harmless(&mut facts, &web.secrets);
    facts
}

type Opened<'a> = (HttpSession<'a>, Greeting);

impl Web<'_> {
    fn check(&self, list_tools: bool, memory: &McpMemory) -> McpFacts {
        let began = clock::instant();
        let (mut session, greeting) = match self.open(memory) {
            Ok(opened) => opened,
            Err(failure) => return McpFacts::failed(failure),
        };
        let transport = Some(session.transport());
        let mut facts = McpFacts { transport, handshake: Some(began.elapsed()), ..McpFacts::default() };
        if list_tools && greeting.has_tools {
            facts.failure = tools::list(&mut session, &greeting.dialect, self.deadline, &mut facts).err();
        }
        greeting.note_in(&mut facts);
        facts
    }

    /// Opens a conversation: what worked last time first, and if that does not work any more, from the beginning.
    fn open(&self, memory: &McpMemory) -> Result<Opened<'_>, Failure> {
        let (opened, by_initialize) = match (self.server.transport, memory.transport, memory.era) {
            (HttpTransport::Sse, _, _) => return self.open_sse(self.deadline).map_err(|refused| refused.failure),
            (HttpTransport::Auto, Some(Transport::Sse), _) => (self.open_sse(self.half()), false),
            (_, _, Some(Era::Legacy)) => (self.initialize(HttpSession::streamable(self), eras::LEGACY), true),
            (_, _, era) => return self.open_anew(era, None),
        };
        // Not where it would fail in every other way, too.
        let is_of_era = |failure: &Failure| {
            matches!(failure.reason, Reason::HttpStatus | Reason::ProtocolError | Reason::RpcError | Reason::Timeout)
        };
        match opened {
            Err(refused) if is_of_era(&refused.failure) && !self.deadline.passed() => {
                self.open_anew(None, by_initialize.then_some(refused))
            }
            opened => opened.map_err(|refused| refused.failure),
        }
    }

    /// Finds out what the server speaks. `refused` is what `initialize` brought, if it has been tried.
    fn open_anew(&self, remembered: Option<Era>, refused: Option<NoResult>) -> Result<Opened<'_>, Failure> {
        let mut session = HttpSession::streamable(self);
        // A server that has never answered `discover` may take it in silence: then `initialize` needs time too.
        let discover_by = if remembered == Some(Era::Modern) { self.deadline } else { self.half() };
        let mut tried = vec![eras::MODERN.to_owned()];
        let version = loop {
            match self.discover(&mut session, &tried, discover_by)? {
                Next::Opened(greeting) => {
                    session.version = Some(greeting.dialect.version.clone());
                    return Ok((session, greeting));
                }
                Next::Open(Era::Modern, version) => tried.push(version),
                Next::Open(Era::Legacy, version) => break version,
            }
        };
        let NoResult { failure, status, .. } = match refused {
            Some(refused) if version == eras::LEGACY => refused,
            _ => match self.initialize(session, &version) {
                Ok(opened) => return Ok(opened),
                Err(refused) => refused,
            },
        };
        // The statuses with which servers of the deprecated transport refuse a POST.
        if !matches!(status, Some(400 | 404 | 405)) || self.server.transport != HttpTransport::Auto {
            return Err(failure);
        }
        self.open_sse(self.deadline).map_err(|get| match get.status {
            Some(_) => Failure { detail: format!("{}; {}", failure.detail, get.failure.detail), ..failure },
            None => get.failure,
        })
    }

    /// Half of the time left, for an attempt that others may have to follow.
    fn half(&self) -> Deadline {
        self.deadline.sooner(self.deadline.left() / 2)
    }

    /// Asks for `server/discover` in the last of these versions.
    fn discover(&self, session: &mut HttpSession<'_>, tried: &[String], deadline: Deadline) -> Result<Next, Failure> {
        let version = tried.last().map_or(eras::MODERN, String::as_str);
        (session.era, session.version) = (Era::Modern, Some(version.to_owned()));
        let legacy = Next::Open(Era::Legacy, eras::LEGACY.to_owned());
        let refused = match session.ask(mcp::DISCOVER, &eras::params(Era::Modern, version), deadline) {
            Ok(answer) => return Ok(eras::read_discover(&answer, version).unwrap_or(legacy)),
            Err(refused) => refused,
        };
        if let Some(error) = refused.error.as_deref().filter(|error| eras::is_modern_error(error)) {
            return eras::retry(error, tried).ok_or(refused.failure);
        }
        // Silence may be a legacy server's way to take an unknown request.
        let is_silent = refused.failure.reason == Reason::Timeout && !self.deadline.passed();
        if refused.is_answer() || is_silent { Ok(legacy) } else { Err(refused.failure) }
    }

    fn initialize<'a>(&self, mut session: HttpSession<'a>, version: &str) -> Result<Opened<'a>, NoResult> {
        (session.era, session.version) = (Era::Legacy, None);
        let answer = session.ask(mcp::INITIALIZE, &eras::params(Era::Legacy, version), self.deadline)?;
        let greeting = eras::read_initialize(&answer)?;
        session.version = Some(greeting.dialect.version.clone());
        let initialized = mcp::notification(mcp::INITIALIZED, Value::Null).to_string();
        // A server that takes the notification badly may still be usable, and `tools/list` will tell; only a refused
        // credential is final.
        match session.send(&initialized, None, self.deadline) {
            Err(no) if matches!(no.failure.reason, Reason::AuthRequired | Reason::Unauthorized) => Err(no),
            _ => Ok((session, greeting)),
        }
    }

    fn open_sse(&self, endpoint_by: Deadline) -> Result<Opened<'_>, NoResult> {
        let session = HttpSession::sse(self, endpoint_by).map_err(|refused| refused.context("GET"))?;
        // Whatever comes of this, it is the right transport.
        self.initialize(session, eras::LEGACY).map_err(|refused| refused.failure.into())
    }
}
