//! A conversation with a server over its standard streams: requests out, lines in, whatever else comes sorted out.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::jsonrpc::{self, Id, Lines, Message, Text};
use super::limits::STALLED;
use super::tools::Peer;
use super::{eras, output};
use crate::clock::Deadline;
use crate::mcp::{self, RpcError};
use crate::model::reason::{Failure, Reason};
use crate::proc::{ChildIo, Event, Exit, Tail};
use crate::redact::KnownSecrets;
use crate::wording::plural;

/// Replies to a server's own requests are written only while it reads them.
const MOST_UNWRITTEN: usize = 64 << 10;

/// How long to wait for the permit for a large message before looking at the other streams again.
const PERMIT_TIMEOUT: Duration = Duration::from_millis(10);

/// After its standard output was closed, the program itself mostly ends within a moment.
const CLOSED_TIMEOUT: Duration = Duration::from_millis(500);

/// After a program has failed, what somebody else may still write into its standard output.
const FAILED_TIMEOUT: Duration = Duration::from_millis(250);

/// After a message that is no valid JSON-RPC, a valid answer may still come; but hardly later than this.
const BROKEN_TIMEOUT: Duration = Duration::from_secs(2);

const OURS: [&str; 3] = [mcp::DISCOVER, mcp::INITIALIZE, mcp::TOOLS_LIST];

const NOISE_BYTES: usize = 400;

#[derive(Debug)]
pub(super) enum Received {
    Answer(i64, Result<Text, RpcError>),
    /// Something that is meant as JSON-RPC and is none, or an error that names no request.
    Broken,
    /// The answer to one of the requests, where no client finds it: behind other text on its line.
    Embedded,
    /// Nothing, and the program does nothing any more.
    Idle,
    /// Nothing in the time given, or the program is too slow.
    Silence,
    /// It has exited, or closed its standard output and lives on.
    Ended,
    /// It sends too much, or a large message so slowly that others would run out of time waiting.
    Refused(Failure),
}

pub(super) struct StdioSession<'a> {
    begun: Instant,
    secrets: &'a KnownSecrets,
    pub(super) io: ChildIo,
    lines: Lines,
    last_id: i64,
    /// Set once only what is already on its way can still come.
    drain_until: Option<Deadline>,
    /// Lines on standard output that were no JSON-RPC.
    pub(super) noise: u64,
    noise_tail: Tail,
    broken: Option<String>,
    stray: Option<Id>,
    /// The first error that named no request …
    anonymous: Option<RpcError>,
    /// … and whether one that comes may be the answer to a notification, which should have none.
    notified: bool,
    answers_notifications: bool,
}

impl<'a> StdioSession<'a> {
    pub(super) fn new(io: ChildIo, begun: Instant, secrets: &'a KnownSecrets) -> StdioSession<'a> {
        StdioSession {
            begun,
            secrets,
            io,
            lines: Lines::default(),
            last_id: 0,
            drain_until: None,
            noise: 0,
            noise_tail: Tail::default(),
            broken: None,
            stray: None,
            anonymous: None,
            notified: false,
            answers_notifications: false,
        }
    }

    pub(super) fn request(&mut self, method: &str, params: &Value) -> i64 {
        self.last_id += 1;
        self.send(&mcp::request(self.last_id, method, params).to_string());
        self.last_id
    }

    pub(super) fn notify(&mut self, method: &str) {
        self.send(&mcp::notification(method, Value::Null).to_string());
        self.notified = true;
    }

    fn send(&mut self, message: &str) {
        self.io.send(message.as_bytes());
        self.io.send(b"\n");
    }

    pub(super) fn receive(&mut self, awaited: &[i64], until: Deadline) -> Received {
        loop {
            if let Some(heard) = self.read_lines(awaited) {
                return heard;
            }
            if until.passed() || self.io.slow().is_some() {
                return Received::Silence;
            }
            if let Some(heard) = self.wait(until) {
                return heard;
            }
        }
    }

    fn read_lines(&mut self, awaited: &[i64]) -> Option<Received> {
        while let Some(line) = self.lines.next_line() {
            match jsonrpc::parse(&line.bytes) {
                Message::Response(Id::Number(id), outcome) if awaited.contains(&id) => {
                    self.io.answered();
                    return Some(Received::Answer(id, outcome.map(|place| line.cut(place))));
                }
                // Only a modern server has these codes: it answers the oldest request, messages being read in order.
                Message::Response(Id::Null, Err(error)) if eras::is_modern_error(&error) && !awaited.is_empty() => {
                    return Some(Received::Answer(awaited[0], Err(error)));
                }
                Message::Response(Id::Null, Err(error)) => {
                    self.anonymous.get_or_insert(error);
                    if !std::mem::take(&mut self.notified) {
                        return Some(Received::Broken);
                    }
                    self.answers_notifications = true;
                }
                Message::Response(id, _) => {
                    let late = matches!(id, Id::Number(number) if (1..=self.last_id).contains(&number));
                    self.stray = self.stray.take().or(Some(id).filter(|_| !late));
                }
                // `cat`, an echoing shell: answering would make it answer itself.
                Message::Request(_, method) if OURS.contains(&method.as_str()) => {
                    self.broken.get_or_insert_with(|| "it only repeats what it is sent".into());
                    return Some(Received::Broken);
                }
                Message::Request(id, method) => {
                    if self.io.unwritten() < MOST_UNWRITTEN
                        && let Some(reply) = jsonrpc::reply(&id, &method)
                    {
                        self.send(&reply);
                    }
                }
                Message::Notification => {}
                Message::Broken(what) => {
                    self.broken.get_or_insert(what);
                    return Some(Received::Broken);
                }
                Message::Embedded(Id::Number(id)) if awaited.contains(&id) => {
                    self.broken = Some("it stands behind other text on its line, a banner without a line break".into());
                    return Some(Received::Embedded);
                }
                Message::Noise if line.bytes.trim_ascii().is_empty() => {}
                Message::Noise | Message::Embedded(_) => {
                    self.noise_tail.push(&line.bytes[..line.bytes.len().min(NOISE_BYTES)]);
                    self.noise_tail.push(b"\n");
                    self.noise += 1;
                }
            }
        }
        None
    }

    /// Waits for the next event of the program; `None` if there may be new lines.
    fn wait(&mut self, until: Deadline) -> Option<Received> {
        let may_read = self.lines.may_grow();
        if self.lines.until().is_some_and(Deadline::passed) {
            return Some(Received::Refused(Failure::new(Reason::Timeout, STALLED)));
        }
        let mut wake = [self.drain_until, self.lines.until()].into_iter().flatten().fold(until, Deadline::min);
        if !may_read {
            wake = wake.sooner(PERMIT_TIMEOUT);
        }
        match self.io.wait(wake, may_read) {
            Event::Stdout(amount) => self.lines.push(self.io.read(amount)).err().map(Received::Refused),
            Event::StdoutClosed => {
                self.lines.finish();
                self.drain_until = Some(Deadline::after(CLOSED_TIMEOUT));
                None
            }
            Event::Exited(exit) => {
                // A wrapper may end well and leave its standard streams to the real server; a failure is final.
                if !self.io.stdout_open() || exit == Exit::Lost {
                    self.drain_until = Some(Deadline::after(Duration::ZERO));
                } else if exit != Exit::Code(0) {
                    self.drain_until = Some(Deadline::after(FAILED_TIMEOUT));
                }
                None
            }
            Event::Idle => Some(Received::Idle),
            Event::Slow => Some(Received::Silence),
            Event::Quiet => self.drain_until.is_some_and(Deadline::passed).then_some(Received::Ended),
        }
    }

    /// What is odd about its output and breaks nothing here, but may elsewhere.
    pub(super) fn notes(&self) -> Vec<String> {
        let lines = plural(self.noise as usize, "line");
        let noise = (self.noise > 0).then(|| format!("prints {lines} on stdout that are no JSON-RPC"));
        let answers = self.answers_notifications.then(|| "answers a notification; some clients drop it".to_owned());
        noise.into_iter().chain(answers).collect()
    }

    /// The failure of a server that did not answer `what` in time.
    pub(super) fn too_late(&self, what: &str) -> Failure {
        if let Some(broken) = &self.broken {
            let detail = format!("the answer to {what} is no valid JSON-RPC: {broken}");
            return Failure::new(Reason::ProtocolError, detail);
        }
        if let Some(error) = &self.anonymous {
            return Failure::new(Reason::RpcError, format!("{what}: {error} (for no request in particular)"));
        }
        let stray = self.stray.as_ref().map(|id| format!("; an answer came with the id {id}, which was not asked"));
        let stray = stray.unwrap_or_default();
        if let Some(exit) = self.io.exit() {
            let left = "what it left running has not answered";
            return self
                .failure(Reason::Exited, format!("ended with {exit} before it had answered {what}; {left}{stray}"));
        }
        let (seconds, slow) = (self.begun.elapsed().as_secs_f64(), self.io.slow());
        let doing = slow.map_or_else(|| "cut off".to_owned(), output::too_slow);
        let detail = format!("no answer to {what} within {seconds:.1} s of its start: {doing}{stray}");
        Failure { hint: slow.map(|slow| output::hint(slow).to_owned()), ..self.failure(Reason::Timeout, detail) }
    }

    /// The failure of a server that can no longer answer `what`.
    pub(super) fn gone(&self, what: &str) -> Failure {
        let closed = || format!("closed its standard output before it had answered {what}, and runs on");
        match self.io.exit() {
            None => self.failure(Reason::ProtocolError, closed()),
            Some(_) if self.broken.is_some() => self.too_late(what),
            Some(exit) => self.failure(Reason::Exited, format!("ended with {exit} before it had answered {what}")),
        }
    }

    /// With what it has printed as evidence.
    fn failure(&self, reason: Reason, mut detail: String) -> Failure {
        let stderr = output::quote(&self.io.tail.text(), self.secrets);
        if let Some(quote) = &stderr {
            let _ = write!(detail, "; stderr: {quote}");
        } else if let Some(quote) = output::quote(&self.noise_tail.text(), self.secrets) {
            let _ = write!(detail, "; stdout: {quote}");
        }
        if self.noise > 0 && stderr.is_some() {
            let _ = write!(detail, "; lines on stdout that were no JSON-RPC: {}", self.noise);
        }
        Failure::new(reason, detail)
    }
}

impl Peer for StdioSession<'_> {
    fn call(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, Failure> {
        let id = self.request(method, params);
        let mut deadline = deadline;
        loop {
            match self.receive(&[id], deadline) {
                Received::Answer(_, outcome) => {
                    return outcome.map_err(|e| Failure::new(Reason::RpcError, format!("{method}: {e}")));
                }
                Received::Broken | Received::Embedded => deadline = deadline.sooner(BROKEN_TIMEOUT),
                Received::Idle => {}
                Received::Silence => return Err(self.too_late(method)),
                Received::Ended => return Err(self.gone(method)),
                Received::Refused(failure) => return Err(failure),
            }
        }
    }
}
