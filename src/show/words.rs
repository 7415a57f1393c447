//! What was found, in words: a line that sums it up, and what to do.

mod mcp;
pub mod service;
mod thunes;
mod worktree;

use jiff::Timestamp;

use crate::model::observation::{Facts, NotReached};
use crate::model::snapshot::{Entry, Outcome};

impl Facts {
    /// What was found, in one line, ages as of `now`. Holds no secret; may hold foreign text that still has to be made printable.
    pub fn summary(&self, now: Timestamp) -> String {
        match self {
            Facts::Mcp(facts) => facts.summary(),
            Facts::Worktree(facts) => facts.summary(now),
            Facts::Thunes(facts) => facts.summary(),
            Facts::Service(facts) => facts.summary(),
        }
    }

    /// What to do, where something is to be done.
    pub fn hint(&self) -> Option<String> {
        match self {
            Facts::Mcp(facts) => facts.failure.as_ref().map(|failure| failure.hint().to_owned()),
            Facts::Worktree(facts) => facts.hint(),
            Facts::Thunes(facts) => facts.hint(),
            Facts::Service(facts) => facts.hint(),
        }
    }
}

impl Entry {
    /// What keeps it from being checked, and what was found, ages as of `now`; may hold foreign text as those of
    /// [`Facts::summary`] do.
    pub fn summary(&self, now: Timestamp) -> String {
        let found = self.facts().map(|facts| facts.summary(now));
        let parts: Vec<String> = self.trouble.iter().map(NotReached::to_string).chain(found).collect();
        if parts.is_empty() { "not checked yet".to_owned() } else { parts.join("; ") }
    }

    /// What to do, where something is to be done about the target or about its check.
    pub fn hint(&self) -> Option<String> {
        let of_check = match (self.outcome, &self.trouble) {
            (Outcome::Error, None | Some(NotReached::Hangs)) => {
                "see to the mount of its files (`findmnt -T` names it): a server that is gone, or a network"
            }
            (Outcome::Error, Some(NotReached::Postponed)) => {
                "see to the worktree in which git gave no answer; this one goes first in the next pass"
            }
            (Outcome::Error, _) => {
                "raise the limit that the sentence names (TasksMax= and LimitNOFILE= of the unit; ulimit -u, ulimit -n); if it \
                 names none, report it: it is a bug in lab-probe"
            }
            (Outcome::TimedOut, Some(_)) => {
                "it goes first in the next pass; `lab-probe check` goes on until everything was looked at"
            }
            _ => match self.facts() {
                None => "`lab-probe check` with its name looks at it now",
                Some(facts) => return facts.hint(),
            },
        };
        Some(of_check.to_owned())
    }
}
