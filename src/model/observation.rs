//! What one check of one target found, and what the target wants remembered for next time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mcp::{McpFacts, McpMemory, McpVerdict};
use super::reason::{Failure, Reason};
use super::service::ServiceFacts;
use super::target::Kind;
use super::thunes::{ThunesFacts, ThunesMemory};
use super::worktree::{WorktreeFacts, WorktreeMemory};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Facts {
    Mcp(McpFacts),
    Worktree(WorktreeFacts),
    Thunes(ThunesFacts),
    Service(ServiceFacts),
}

words! {
    /// How much a finding wants a person's attention; tables sort by it.
    Severity {
        /// Down, failing or blocked: `check` exits 1.
        Trouble = "trouble",
        /// Not configured, or something odd that breaks nothing.
        Attention = "attention",
        Fine = "fine",
    }
}

/// A failed check that has used so much processor time is worth putting off: every 30 s this is a three-hundredth of a core.
const COSTLY_CPU: Duration = Duration::from_millis(100);

impl Facts {
    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        match self {
            Facts::Mcp(facts) => facts.verdict() == McpVerdict::Up,
            Facts::Worktree(facts) => facts.error.is_none(),
            Facts::Thunes(facts) => facts.problems.is_empty(),
            Facts::Service(facts) => facts.failure.is_none(),
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Facts::Mcp(facts) => facts.failure.as_ref(),
            Facts::Service(facts) => facts.failure.as_ref(),
            Facts::Worktree(_) | Facts::Thunes(_) => None,
        }
    }

    /// Why it is down, if it is so at the cost of processor time: looking again costs the same once more.
    pub fn costly_failure(&self) -> Option<Reason> {
        let Facts::Mcp(McpFacts { failure: Some(failure), cpu: Some(cpu), .. }) = self else { return None };
        (*cpu >= COSTLY_CPU).then_some(failure.reason)
    }

    pub fn severity(&self) -> Severity {
        match self {
            Facts::Mcp(facts) => facts.severity(),
            Facts::Worktree(facts) => facts.severity(),
            Facts::Thunes(facts) => facts.severity(),
            Facts::Service(facts) => facts.severity(),
        }
    }

    /// The verdict in one word, for the table's first column and JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Facts::Mcp(facts) => facts.verdict().as_str(),
            Facts::Worktree(facts) => facts.word(),
            Facts::Thunes(facts) => facts.word(),
            Facts::Service(facts) => facts.word(),
        }
    }

    /// The facts of a check that the pass's deadline ended: trouble, with the sentence as evidence.
    pub fn cut_off(kind: Kind, problem: String) -> Facts {
        let failure = Failure::new(Reason::Timeout, &problem);
        match kind {
            Kind::Mcp => Facts::Mcp(McpFacts::failed(failure)),
            Kind::Worktree => Facts::Worktree(WorktreeFacts { error: Some(problem), ..WorktreeFacts::default() }),
            Kind::Thunes => Facts::Thunes(ThunesFacts { problems: vec![problem], ..ThunesFacts::default() }),
            Kind::Service => Facts::Service(ServiceFacts::failed(failure)),
        }
    }
}

/// What the check wants to find again next time, one variant a kind. A check carries its memory in and out; nobody
/// else opens the state, so a check may be killed at any instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Memory {
    Mcp(McpMemory),
    Worktree(WorktreeMemory),
    Thunes(ThunesMemory),
    Service,
}

impl Memory {
    pub fn new(kind: Kind) -> Memory {
        match kind {
            Kind::Mcp => Memory::Mcp(McpMemory::default()),
            Kind::Worktree => Memory::Worktree(WorktreeMemory::default()),
            Kind::Thunes => Memory::Thunes(ThunesMemory::default()),
            Kind::Service => Memory::Service,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The start of the pass that made it (wall clock).
    pub checked_at: Timestamp,
    #[serde(with = "super::seconds")]
    pub duration: Duration,
    pub facts: Facts,
}

impl Observation {
    /// When values of it end to hold, whatever is reused for how long: those of a trading day, at UTC midnight.
    pub fn day_ends(&self) -> Option<Timestamp> {
        matches!(self.facts, Facts::Thunes(_)).then(|| ThunesFacts::day_ends(self.checked_at)).flatten()
    }

    /// Forgets what does not hold at `now` any more.
    pub fn expire(&mut self, now: Timestamp) {
        let is_over = self.day_ends().is_some_and(|end| now >= end);
        if let (Facts::Thunes(facts), true) = (&mut self.facts, is_over) {
            facts.forget_day();
        }
    }
}

/// What the state keeps of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// [`super::target::Target::fingerprint`] when it was checked.
    pub fingerprint: String,
    /// The last finished check; `None` if no check has finished yet.
    pub observation: Option<Observation>,
    /// The check's own memory. It survives a changed fingerprint only where the kind says so (counters do).
    pub memory: Memory,
    /// What decides when it is checked again and in which order.
    #[serde(default)]
    pub attempts: Attempts,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    /// How often in a row the same failure has been seen that costs processor time.
    pub same_failures: u32,
    /// The passes in a row in which it came to no verdict.
    pub not_reached: u32,
    /// How often in a row, those not counted in which it was not begun, the pass's deadline has cut it off.
    pub cut_offs: u32,
    pub cut_off_at: Option<Timestamp>,
    /// In the last pass it was cut off after so long; `None` if it was not begun.
    #[serde(with = "super::seconds::option")]
    pub cut_off_after: Option<Duration>,
}

/// Why a check came to no verdict. What is remembered of the target stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReached {
    /// Too little of the pass was left. It goes first in the next one.
    #[error("not reached in this pass: too little of it was left")]
    NotBegun,
    /// It goes first in the next pass.
    #[error("not reached in this pass: git gave no answer in another worktree of this repository")]
    Postponed,
    /// The pass's deadline ended it after this time. It goes first in the next pass.
    #[error("not reached in this pass: {}", cut_off_after(*.0))]
    CutOff(Duration),
    #[error("its files do not answer, as where a file system hangs; they are not touched until they do")]
    Hangs,
    /// The machine refused a process or a descriptor, as at a limit, or the check broke; the sentence says what.
    #[error("not checked: {0}")]
    Failed(String),
}

pub fn cut_off_after(had: Duration) -> String {
    format!("cut off by the pass's deadline after {:.1} s", had.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_may_stand_anywhere_and_must_be_known() {
        let facts = Facts::Mcp(McpFacts { tools: Some(3), ..McpFacts::default() });
        let text = serde_json::to_string(&facts).expect("written");
        assert!(text.starts_with(r#"{"kind":"mcp","#), "{text}");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("read"), facts);
        let last = text.replacen(r#""kind":"mcp","#, "", 1).replacen('}', r#","kind":"mcp"}"#, 1);
        assert_eq!(serde_json::from_str::<Facts>(&last).expect("read"), facts, "{last}");
        assert_eq!(serde_json::from_str::<Memory>(r#"{"kind":"service","later":[1]}"#).expect("read"), Memory::Service);
        for bad in [
            "{}",
            "[]",
            r#"{"kind":"other"}"#,
            r#"{"tools":3}"#,
            r#"{"tools":3,"kind":5}"#,
            r#"{"kind":"mcp","tools":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Facts>(bad).is_err(), "{bad}");
        }
    }
}
