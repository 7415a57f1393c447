//! Which era a server on standard streams speaks: the order of openings, when to send the second one, which answer
//! counts.
//!
//! Both openings may be under way at once: a server that keeps silent on the unknown one is not told from a slow one
//! by waiting, so after a while the other is sent too and whichever is answered first decides.

use std::time::Duration;

use super::jsonrpc::Text;
use super::legacy;
use super::modern::{self, Discovery, Retry};
use super::peer::{Dialect, Greeting, invalid};
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) first: Era,
    pub(super) second: Option<Era>,
}

impl Plan {
    /// Both, the remembered era first.
    pub(super) fn both(remembered: Option<Era>) -> Plan {
        match remembered {
            Some(Era::Legacy) => Plan { first: Era::Legacy, second: Some(Era::Modern) },
            _ => Plan { first: Era::Modern, second: Some(Era::Legacy) },
        }
    }

    /// What to try in a new process after the first one has ended or fallen silent on this plan: it may have done so
    /// because of the first opening, so the new one does not see that one first.
    pub(super) fn anew(self) -> Plan {
        match self.first {
            Era::Modern => Plan { first: Era::Legacy, second: None },
            Era::Legacy => Plan { first: Era::Modern, second: Some(Era::Legacy) },
        }
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

pub(super) fn open(session: &mut StdioSession<'_>, plan: Plan, deadline: Deadline) -> Result<Opened, Stopped> {
    let mut opening = Opening {
        session,
        second: plan.second,
        asked: Vec::new(),
        versions: Vec::new(),
        failures: Vec::new(),
        deadline,
        second_by: deadline.sooner(BUSY_TIMEOUT.min(deadline.left() * 2 / 5)),
        second_if_idle: Deadline::after(IDLE_TIMEOUT),
        both_sent: None,
    };
    opening.ask(plan.first, None);
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
    /// When it is sent at the second_if_idle, should the server be idle.
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
                Received::Silence if self.is_lost() => return Err(Stopped::Lost(self.failure())),
                Received::Silence if self.second.is_none() && !self.deadline.passed() && !self.session.is_slow() => {}
                Received::Silence if self.deadline.passed() || self.session.is_slow() || !self.ask_second() => {
                    return Err(Stopped::Failed(self.failure()));
                }
                Received::Silence => {}
                Received::Ended(end) => return Err(self.gone(end)),
            }
        }
    }

    fn ask(&mut self, era: Era, version: Option<String>) {
        let id = match era {
            Era::Modern => {
                let version = version.unwrap_or_else(|| modern::VERSION.to_owned());
                let id = self.session.request(mcp::DISCOVER, &modern::discover_params(&version));
                self.versions.push(version);
                id
            }
            Era::Legacy => {
                let version = version.unwrap_or_else(|| legacy::VERSION.to_owned());
                self.session.request(mcp::INITIALIZE, &legacy::initialize_params(&version))
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
        waited
            && self.asked.len() == 2
            && self.session.io.has_read_input()
            && !self.deadline.passed()
            && !self.session.is_slow()
    }

    fn take_answer(&mut self, id: i64, outcome: Result<Text, RpcError>) -> Option<Greeting> {
        let at = self.asked.iter().position(|(asked, _)| *asked == id)?;
        let (_, era) = self.asked.remove(at);
        let read = match (era, outcome) {
            (Era::Legacy, Ok(answer)) => legacy::read_initialize(&answer),
            (Era::Modern, Ok(answer)) => match self.read_discover(&answer) {
                Ok(Discovery::Modern(greeting)) => Ok(greeting),
                Ok(Discovery::Legacy(version)) => {
                    self.turn_legacy(version);
                    return None;
                }
                Err(failure) => Err(failure),
            },
            (_, Err(error)) => Err(self.refused(era, &error)?),
        };
        match read {
            Ok(greeting) => Some(greeting),
            Err(failure) => {
                self.failures.push((era, failure));
                if era == Era::Legacy {
                    // It has passed over the other opening, if that was sent before.
                    self.deadline = self.deadline.sooner(LAST_TIMEOUT);
                }
                None
            }
        }
    }

    fn read_discover(&self, answer: &Text) -> Result<Discovery, Failure> {
        let version = self.versions.last().map_or(modern::VERSION, String::as_str);
        modern::read_discover(answer, version).map_err(|why| invalid(mcp::DISCOVER, &why))
    }

    /// Opens with `initialize` in a version that the server has listed, unless that opening has been tried already.
    fn turn_legacy(&mut self, version: Option<String>) {
        self.second = None;
        let under_way = self.asked.iter().any(|(_, era)| *era == Era::Legacy);
        if !under_way && !self.failures.iter().any(|(era, _)| *era == Era::Legacy) {
            self.ask(Era::Legacy, version);
        }
    }

    /// An error in answer to an opening; `None` if it led to another request.
    fn refused(&mut self, era: Era, error: &RpcError) -> Option<Failure> {
        let refused = Failure::new(Reason::RpcError, format!("{}: {error}", method(era)));
        if era == Era::Modern && modern::is_modern_error(error) {
            // It is modern, so the other opening would be wrong, unless it asks for it.
            self.second = None;
            let (era, version) = match modern::retry(error, &self.versions) {
                Retry::Modern(version) => (Era::Modern, version),
                Retry::Legacy(version) => (Era::Legacy, version),
                Retry::No => return Some(refused),
            };
            self.ask(era, Some(version));
            return None;
        }
        Some(refused)
    }

    fn opened(self, greeting: Greeting) -> Opened {
        let mut dialect = greeting.dialect.clone();
        if dialect.era == Era::Modern
            && let Some(id) = self.asked.iter().find(|(_, era)| *era == Era::Legacy).map(|(id, _)| *id)
            && let Received::Answer(_, Ok(answer)) = self.session.receive(&[id], self.deadline.sooner(BOTH_TIMEOUT))
            && let Ok(legacy) = legacy::read_initialize(&answer)
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
