//! Which era a server on standard streams speaks: the order of openings, when to send the second one, which answer
//! counts.
//!
//! Both openings may be under way at once: a server that keeps silent on the unknown one is not told from a slow one
//! by waiting, so after a while the other is sent too and whichever is answered first decides.

use std::time::Duration;

use super::eras::{self, Dialect, Greeting, Next};
use super::jsonrpc::Text;
use super::session::{Received, StdioSession};
use crate::clock::Deadline;
use crate::mcp::{self, RpcError};
use crate::model::mcp::Era;
use crate::model::observation::NotReached;
use crate::model::reason::{Failure, Reason};

/// Without an answer to the first opening, an idle server is sent the second one after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The same for one that computes, or after two fifths of its time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Once `initialize` has failed or something broken has come instead of an answer, there is so much time left.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that answers both openings shall have answered the second one so soon after the first.
const BOTH_TIMEOUT: Duration = Duration::from_millis(500);

/// A server that has been idle for so long after both openings, or a quarter of its timeout, may hang in the first one.
const LOST_AFTER: Duration = Duration::from_secs(3);
const LOST_INTERVAL: Duration = Duration::from_millis(250);

/// Both openings, in which order.
pub(super) const MODERN_FIRST: &[Era] = &[Era::Modern, Era::Legacy];
pub(super) const LEGACY_FIRST: &[Era] = &[Era::Legacy, Era::Modern];

/// How an attempt with one process failed.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It read the opening and ended, or is idle and silent after both; another process may fare better with the other
    /// opening.
    Lost(Failure),
    Failed(Failure),
    /// It came to no verdict in this pass.
    NotReached(NotReached),
}

/// What the server says of itself, and how to go on in this process: in the legacy era if it has answered `initialize`
/// too, for that chooses the era of the whole process (2026-07-28, versioning).
pub(super) fn open(
    session: &mut StdioSession<'_>,
    openings: &[Era],
    deadline: Deadline,
) -> Result<(Greeting, Dialect), Stopped> {
    let mut opening = Opening {
        session,
        second: openings.get(1).copied(),
        asked: Vec::new(),
        versions: Vec::new(),
        modern: None,
        legacy: None,
        deadline,
        second_by: deadline.sooner(BUSY_TIMEOUT.min(deadline.left() * 2 / 5)),
        second_if_idle: Deadline::after(IDLE_TIMEOUT),
        both_sent: None,
    };
    opening.ask(openings[0], None);
    opening.run()
}

struct Opening<'a, 'b> {
    session: &'a mut StdioSession<'b>,
    second: Option<Era>,
    /// Requests without an answer: id and era; the oldest first.
    asked: Vec<(i64, Era)>,
    versions: Vec<String>,
    /// How the last request of either era has failed.
    modern: Option<Failure>,
    legacy: Option<Failure>,
    deadline: Deadline,
    /// When the second opening is sent at the latest.
    second_by: Deadline,
    /// When it is sent, should the server be idle.
    second_if_idle: Deadline,
    /// Idle time of the server when both were sent, where the first one may have been too much for it.
    both_sent: Option<Duration>,
}

impl Opening<'_, '_> {
    fn run(mut self) -> Result<(Greeting, Dialect), Stopped> {
        loop {
            if self.asked.is_empty() && !self.ask_second() {
                return Err(Stopped::Failed(self.failure()));
            }
            let until = match (&self.second, self.both_sent) {
                (Some(_), _) => self.second_by.min(self.deadline),
                (None, Some(_)) => self.deadline.sooner(LOST_INTERVAL),
                (None, None) => self.deadline,
            };
            let awaited: Vec<i64> = self.asked.iter().map(|(id, _)| *id).collect();
            match self.session.receive(&awaited, until) {
                Received::Answer(id, outcome) => {
                    if let Some(greeting) = self.take_answer(id, outcome) {
                        let dialect = self.dialect(&greeting);
                        return Ok((greeting, dialect));
                    }
                }
                Received::Idle => self.second_by = self.second_by.min(self.second_if_idle),
                Received::Broken if !self.ask_second() => self.deadline = self.deadline.sooner(LAST_TIMEOUT),
                Received::Broken => {}
                // A client's first request would have had its answer there: another one is no help.
                Received::Embedded => {
                    self.second = None;
                    self.deadline = self.deadline.sooner(LAST_TIMEOUT);
                }
                Received::Silence if self.deadline.passed() || self.session.io.slow().is_some() => {
                    return Err(Stopped::Failed(self.failure()));
                }
                Received::Silence if self.is_lost() => return Err(Stopped::Lost(self.failure())),
                Received::Silence => _ = self.ask_second(),
                Received::Ended => return Err(self.gone()),
                Received::Refused(failure) => return Err(Stopped::Failed(failure)),
            }
        }
    }

    fn ask(&mut self, era: Era, version: Option<&str>) {
        let version = version.unwrap_or_else(|| eras::newest(era));
        let id = self.session.request(eras::method(era), &eras::params(era, version));
        self.asked.push((id, era));
        if era == Era::Modern {
            self.versions.push(version.to_owned());
        }
    }

    /// Sends the second opening; whether there was one to send.
    fn ask_second(&mut self) -> bool {
        let second = self.second.take();
        if let Some(era) = second {
            // Every client of before 2026 sends `initialize` first: that cannot have been too much.
            let unanswered = matches!(self.asked[..], [(_, Era::Modern)]);
            self.both_sent = unanswered.then(|| self.session.io.idle());
            self.ask(era, None);
        }
        second.is_some()
    }

    fn is_lost(&self) -> bool {
        let lost_after = LOST_AFTER.min(self.session.io.idle_limit() / 4);
        let waited = self.both_sent.is_some_and(|before| self.session.io.idle() >= before + lost_after);
        waited && self.asked.len() == 2 && self.session.io.has_read_input()
    }

    fn take_answer(&mut self, id: i64, outcome: Result<Text, RpcError>) -> Option<Greeting> {
        let at = self.asked.iter().position(|(asked, _)| *asked == id)?;
        let (_, era) = self.asked.remove(at);
        let found = match (era, outcome) {
            (Era::Legacy, Ok(answer)) => eras::read_initialize(&answer).map(Next::Opened),
            (Era::Modern, Ok(answer)) => {
                eras::read_discover(&answer, self.versions.last().map_or(eras::MODERN, String::as_str))
            }
            (_, Err(error)) => {
                let is_modern = era == Era::Modern && eras::is_modern_error(&error);
                let next = if is_modern { eras::retry(&error, &self.versions) } else { None };
                if is_modern {
                    // The other opening would be wrong, unless it asks for it.
                    self.second = None;
                }
                next.ok_or_else(|| Failure::new(Reason::RpcError, format!("{}: {error}", eras::method(era))))
            }
        };
        match found {
            Ok(Next::Opened(greeting)) => return Some(greeting),
            Ok(Next::Open(Era::Modern, version)) => self.ask(Era::Modern, Some(&version)),
            Ok(Next::Open(Era::Legacy, version)) => self.turn_legacy(&version),
            Err(failure) if era == Era::Modern => self.modern = Some(failure),
            Err(failure) => {
                self.legacy = Some(failure);
                // It has passed over the other opening, if that was sent before.
                self.deadline = self.deadline.sooner(LAST_TIMEOUT);
            }
        }
        None
    }

    /// Opens with `initialize`, unless that has been tried already; but again where the server has listed another version.
    fn turn_legacy(&mut self, version: &str) {
        self.second = None;
        let under_way = self.asked.iter().any(|(_, era)| *era == Era::Legacy);
        if !under_way && (self.legacy.is_none() || version != eras::LEGACY) {
            self.ask(Era::Legacy, Some(version));
        }
    }

    fn dialect(self, greeting: &Greeting) -> Dialect {
        let mut dialect = greeting.dialect.clone();
        if dialect.era == Era::Modern
            && let Some(id) = self.asked.iter().find(|(_, era)| *era == Era::Legacy).map(|(id, _)| *id)
            && let Received::Answer(_, Ok(answer)) = self.session.receive(&[id], self.deadline.sooner(BOTH_TIMEOUT))
            && let Ok(legacy) = eras::read_initialize(&answer)
        {
            dialect = legacy.dialect;
        }
        if dialect.era == Era::Legacy {
            self.session.notify(mcp::INITIALIZED);
        }
        dialect
    }

    fn gone(&self) -> Stopped {
        let failure = self.session.gone(&self.unanswered());
        let io = &self.session.io;
        if io.exit().is_some() && io.has_read_input() { Stopped::Lost(failure) } else { Stopped::Failed(failure) }
    }

    /// The failure to report: of `initialize`, which every server that is not modern has to answer, before that of
    /// `server/discover`, unless only a modern server can have given the latter.
    fn failure(&mut self) -> Failure {
        let is = |failure: &Failure, reason| failure.reason == reason;
        match (self.legacy.take(), self.modern.take()) {
            // A server that refuses `initialize` is modern, if an invalid answer to the other request says so.
            (Some(legacy), Some(modern)) if is(&legacy, Reason::RpcError) && is(&modern, Reason::ProtocolError) => {
                modern
            }
            (Some(legacy), _) => legacy,
            (None, Some(modern)) if self.asked.is_empty() => modern,
            _ => self.session.too_late(&self.unanswered()),
        }
    }

    fn unanswered(&self) -> String {
        let methods: Vec<&str> = self.asked.iter().map(|(_, era)| eras::method(*era)).collect();
        methods.join(" and ")
    }
}
