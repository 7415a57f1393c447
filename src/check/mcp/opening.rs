//! Which era a server on standard streams speaks: the order of openings, when to send the second one, which answer
//! counts.
//!
//! Both openings may be under way at once: a server that keeps silent on the unknown one is not told from a slow one
//! by waiting, so after a while the other is sent too and whichever is answered first decides.

use std::time::Duration;

use super::eras::{self, Dialect, Greeting, Next};
use super::jsonrpc::Text;
use super::session::{OutputEnd, Received, StdioSession};
use crate::clock::Deadline;
use crate::mcp::{self, RpcError};
use crate::model::mcp::Era;
use crate::model::observation::NotReached;
use crate::model::reason::{Failure, Reason};

/// A server that is idle and has not answered the first opening after so long is sent the second one …
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// … and one that is still busy after so long, or after two fifths of its time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Once `initialize` has failed or something broken has come instead of an answer, there is so much time left.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that answers both openings shall have answered the second one so soon after the first.
const BOTH_TIMEOUT: Duration = Duration::from_millis(500);

/// A server that has been idle for so long after both openings, or a quarter of its timeout, may be lost to the first.
const LOST_AFTER: Duration = Duration::from_secs(3);

const LOST_LOOK: Duration = Duration::from_millis(250);

/// Both openings, the remembered era's first.
pub(super) fn both(remembered: Option<Era>) -> &'static [Era] {
    match remembered {
        Some(Era::Legacy) => &[Era::Legacy, Era::Modern],
        _ => &[Era::Modern, Era::Legacy],
    }
}

/// What to try in a new process after the first one has ended or fallen silent on these openings: it may have done so
/// because of the first one, so the new process does not see that one first.
pub(super) fn anew(openings: &[Era]) -> &'static [Era] {
    match openings {
        [Era::Modern, ..] => &[Era::Legacy],
        _ => &[Era::Modern, Era::Legacy],
    }
}

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) greeting: Greeting,
    /// How to go on in this process: legacy if it has answered `initialize` too, for that chooses the era of the
    /// whole process (2026-07-28, versioning).
    pub(super) dialect: Dialect,
}

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

pub(super) fn open(session: &mut StdioSession<'_>, openings: &[Era], deadline: Deadline) -> Result<Opened, Stopped> {
    let mut opening = Opening {
        session,
        second: openings.get(1).copied(),
        asked: Vec::new(),
        versions: Vec::new(),
        failures: Vec::new(),
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
    failures: Vec<(Era, Failure)>,
    deadline: Deadline,
    /// When the second opening is sent at the latest.
    second_by: Deadline,
    /// When it is sent, should the server be idle.
    second_if_idle: Deadline,
    /// Idle time of the server when both were sent, where the first one may have been too much for it.
    both_sent: Option<Duration>,
}

impl Opening<'_, '_> {
    fn run(mut self) -> Result<Opened, Stopped> {
        loop {
            if self.asked.is_empty() && !self.ask_second() {
                return Err(Stopped::Failed(self.failure()));
            }
            let until = match (&self.second, self.both_sent) {
                (Some(_), _) => self.second_by.min(self.deadline),
                (None, Some(_)) => self.deadline.sooner(LOST_LOOK),
                (None, None) => self.deadline,
            };
            let awaited: Vec<i64> = self.asked.iter().map(|(id, _)| *id).collect();
            match self.session.receive(&awaited, until) {
                Received::Answer(id, outcome) => {
                    if let Some(greeting) = self.take_answer(id, outcome) {
                        return Ok(self.opened(greeting));
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
                Received::Ended(end) => return Err(self.gone(end)),
            }
        }
    }

    fn ask(&mut self, era: Era, version: Option<String>) {
        let id = match era {
            Era::Modern => {
                let version = version.unwrap_or_else(|| eras::MODERN.to_owned());
                let id = self.session.request(mcp::DISCOVER, &eras::discover_params(&version));
                self.versions.push(version);
                id
            }
            Era::Legacy => {
                let version = version.unwrap_or_else(|| eras::LEGACY.to_owned());
                self.session.request(mcp::INITIALIZE, &eras::initialize_params(&version))
            }
        };
        self.asked.push((id, era));
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
                next.ok_or_else(|| Failure::new(Reason::RpcError, format!("{}: {error}", method(era))))
            }
        };
        match found {
            Ok(Next::Opened(greeting)) => return Some(greeting),
            Ok(Next::Discover(version)) => self.ask(Era::Modern, Some(version)),
            Ok(Next::Initialize(version)) => self.turn_legacy(version),
            Err(failure) => {
                self.failures.push((era, failure));
                if era == Era::Legacy {
                    // It has passed over the other opening, if that was sent before.
                    self.deadline = self.deadline.sooner(LAST_TIMEOUT);
                }
            }
        }
        None
    }

    /// Opens with `initialize`, unless that has been tried already; but again where the server has listed another version.
    fn turn_legacy(&mut self, version: Option<String>) {
        self.second = None;
        let under_way = self.asked.iter().any(|(_, era)| *era == Era::Legacy);
        let is_new = version.as_deref().is_some_and(|version| version != eras::LEGACY);
        if !under_way && (is_new || !self.failures.iter().any(|(era, _)| *era == Era::Legacy)) {
            self.ask(Era::Legacy, version);
        }
    }

    fn opened(self, greeting: Greeting) -> Opened {
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
        Opened { greeting, dialect }
    }

    fn gone(&mut self, end: OutputEnd) -> Stopped {
        let failure = self.session.gone(end, &self.unanswered());
        match end {
            OutputEnd::Exited(_) if self.session.io.has_read_input() => Stopped::Lost(failure),
            _ => Stopped::Failed(failure),
        }
    }

    /// The failure to report: of `initialize`, which every server that is not modern has to answer, before that of
    /// `server/discover`, unless only a modern server can have given the latter.
    fn failure(&mut self) -> Failure {
        let of = |era: Era| self.failures.iter().rposition(|(failed, _)| *failed == era);
        // A server that refuses `initialize` is modern, if an invalid answer to the other request says so.
        if let (Some(legacy), Some(modern)) = (of(Era::Legacy), of(Era::Modern))
            && self.failures[legacy].1.reason == Reason::RpcError
            && self.failures[modern].1.reason == Reason::ProtocolError
        {
            return self.failures.swap_remove(modern).1;
        }
        match of(Era::Legacy).or_else(|| of(Era::Modern)) {
            Some(at) if self.asked.is_empty() || self.failures[at].0 == Era::Legacy => self.failures.swap_remove(at).1,
            _ => self.session.too_late(&self.unanswered()),
        }
    }

    fn unanswered(&self) -> String {
        let methods: Vec<&str> = self.asked.iter().map(|(_, era)| method(*era)).collect();
        methods.join(" and ")
    }
}

fn method(era: Era) -> &'static str {
    match era {
        Era::Modern => mcp::DISCOVER,
        Era::Legacy => mcp::INITIALIZE,
    }
}
