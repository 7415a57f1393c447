//! What one check of one target found, and what the target wants remembered for next time.

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
const COSTLY_CPU: std::time::Duration = std::time::Duration::from_millis(100);

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

    /// A failure that is this machine's and tells nothing of the target.
    pub fn shortage(&self) -> Option<&Failure> {
        self.failure().filter(|failure| failure.is_shortage)
    }

    /// Why it is down, if it is so at the cost of processor time: looking again costs the same once more.
    pub fn costly_failure(&self) -> Option<Reason> {
        let Facts::Mcp(McpFacts { failure: Some(failure), cpu: Some(cpu), .. }) = self else { return None };
        (*cpu >= COSTLY_CPU).then_some(failure.reason)
    }

    /// Whether the check ended because its time was over. Worktrees and trading say what they have, and that they could
    /// not finish; the pass's clock tells the rest.
    pub fn ran_out_of_time(&self) -> bool {
        self.failure().is_some_and(|failure| failure.reason == Reason::Timeout)
    }

    /// When values of these facts end to hold, whatever is reused for how long: those of a trading day, at UTC midnight.
    pub fn day_ends(&self, checked_at: Timestamp) -> Option<Timestamp> {
        matches!(self, Facts::Thunes(_)).then(|| ThunesFacts::day_ends(checked_at)).flatten()
    }

    /// What of facts found at `checked_at` still holds at `now`.
    pub fn as_of(mut self, checked_at: Timestamp, now: Timestamp) -> Self {
        if let Facts::Thunes(facts) = &mut self
            && ThunesFacts::day_ends(checked_at).is_some_and(|end| now >= end)
        {
            facts.forget_day();
        }
        self
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
    pub fn cut_off(kind: Kind, sentence: &str) -> Facts {
        let (problem, failure) = (sentence.to_owned(), Failure::new(Reason::Timeout, sentence));
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

    /// The memory after a check that could not hand back its own, with its result counted.
    pub fn counting(mut self, facts: &Facts) -> Memory {
        if let (Memory::Mcp(memory), Facts::Mcp(facts)) = (&mut self, facts) {
            memory.count(facts.verdict());
        }
        self
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The start of the pass that made it (wall clock).
    pub checked_at: Timestamp,
    #[serde(with = "super::seconds")]
    pub duration: std::time::Duration,
    pub facts: Facts,
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
    pub cut_off_after: Option<std::time::Duration>,
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

/// Why a check came to no verdict. What is remembered of the target stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReached {
    /// Too little of the pass was left. It goes first in the next one.
    NotBegun,
    /// Git gave no answer in another worktree of its repository. It goes first in the next pass.
    Postponed,
    /// The pass's deadline ended it after this time. It goes first in the next pass.
    CutOff(std::time::Duration),
    /// Its files do not answer, and are not touched.
    Hangs,
    /// The machine refused a process or a descriptor, as at a limit, or the check broke; the sentence says what.
    Failed(String),
}
