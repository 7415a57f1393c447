//! What ran and what is remembered become one snapshot's entries, and the memory for next time. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::pool::Ended;
use crate::model::observation::{Facts, Memory, Observation, Remembered};
use crate::model::snapshot::{Entry, Outcome};
use crate::model::target::Target;

/// What a finished check hands back.
#[derive(Debug)]
pub struct Checked {
    /// What was found.
    pub facts: Facts,
    /// What to remember.
    pub memory: Memory,
    /// How long it took.
    pub duration: Duration,
    /// Whether it was the pass's deadline that ended it, and not its own end or its own timeout.
    pub cut_off: bool,
}

/// How one target fared in this pass.
#[derive(Debug)]
pub enum Fate {
    /// Not due, or not asked for: what is remembered stands.
    Reused,
    /// Its job ended so; `None` inside means that the check never got to start.
    Ran(Ended<Option<Checked>>),
}

/// Makes the entry of one target and updates what is remembered of it.
///
/// A check that was cut off is down as of now; one that had not been started, or that broke, keeps what is remembered.
pub fn settle(
    target: Target,
    fate: Fate,
    started_at: Timestamp,
    elapsed: Duration,
    remembered: &mut BTreeMap<String, Remembered>,
) -> Entry {
    let id = target.id().to_string();
    let (outcome, trouble) = match fate {
        Fate::Reused => (Outcome::Cached, None),
        Fate::Ran(Ended::Finished(Some(checked))) => {
            let outcome = if checked.cut_off { Outcome::TimedOut } else { Outcome::Fresh };
            let observation = Observation { checked_at: started_at, duration: checked.duration, facts: checked.facts };
            remembered.insert(
                id.clone(),
                Remembered {
                    fingerprint: target.fingerprint.clone(),
                    observation: Some(observation),
                    memory: checked.memory,
                },
            );
            (outcome, None)
        }
        Fate::Ran(Ended::Finished(None) | Ended::NotStarted) => {
            (Outcome::TimedOut, Some("not started before the pass's deadline".to_owned()))
        }
        Fate::Ran(Ended::CutOff) => {
            let memory = remembered.remove(&id).map_or_else(|| Memory::new(target.kind()), |known| known.memory);
            let facts = Facts::cut_off(target.kind(), &cut_off_sentence(elapsed));
            let memory = memory.counting(&facts);
            let observation = Observation { checked_at: started_at, duration: elapsed, facts };
            remembered.insert(
                id.clone(),
                Remembered { fingerprint: target.fingerprint.clone(), observation: Some(observation), memory },
            );
            (Outcome::TimedOut, None)
        }
        Fate::Ran(Ended::Panicked(message)) => {
            (Outcome::Error, Some(format!("the check broke ({message}); this is a bug in lab-probe")))
        }
    };
    let known = remembered.get(&id);
    // What an older configuration of this target answered says nothing about the new one.
    let current = known.filter(|known| known.fingerprint == target.fingerprint);
    Entry {
        outcome,
        observation: current.and_then(|known| known.observation.clone()),
        memory: known.map(|known| known.memory.clone()),
        next_due: None,
        trouble,
        target,
    }
}

fn cut_off_sentence(elapsed: Duration) -> String {
    format!("cut off by the pass's deadline after {:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{McpFacts, McpMemory, McpTarget, McpVerdict, Reach, StdioServer};
    use crate::model::target::{Probe, Schedule};

    fn target(fingerprint: &str) -> Target {
        Target {
            name: "a".into(),
            probe: Probe::Mcp(McpTarget { reach: Reach::Stdio(StdioServer::default()), list_tools: true }),
            schedule: Schedule {
                ttl: Duration::from_secs(300),
                retry_after: Duration::from_secs(30),
                timeout: Duration::from_secs(10),
            },
            fingerprint: fingerprint.into(),
            origins: Vec::new(),
        }
    }

    fn up_before() -> BTreeMap<String, Remembered> {
        let mut memory = McpMemory::default();
        memory.checks.insert("up".into(), 4);
        let facts = Facts::Mcp(McpFacts { tools: Some(7), ..McpFacts::default() });
        let observation = Observation { checked_at: Timestamp::UNIX_EPOCH, duration: Duration::ZERO, facts };
        BTreeMap::from([(
            "mcp/a".into(),
            Remembered { fingerprint: "f".into(), observation: Some(observation), memory: Memory::Mcp(memory) },
        )])
    }

    fn settled(fate: Fate, fingerprint: &str) -> (Entry, BTreeMap<String, Remembered>) {
        let mut remembered = up_before();
        let now = Timestamp::from_second(1000).expect("a time");
        let entry = settle(target(fingerprint), fate, now, Duration::from_secs(5), &mut remembered);
        (entry, remembered)
    }

    fn verdict(entry: &Entry) -> Option<McpVerdict> {
        match &entry.observation.as_ref()?.facts {
            Facts::Mcp(facts) => Some(facts.verdict()),
            _ => None,
        }
    }

    #[test]
    fn a_check_that_was_not_started_or_that_broke_keeps_what_is_remembered() {
        for (fate, outcome) in [
            (Fate::Reused, Outcome::Cached),
            (Fate::Ran(Ended::NotStarted), Outcome::TimedOut),
            (Fate::Ran(Ended::Finished(None)), Outcome::TimedOut),
            (Fate::Ran(Ended::Panicked("x".into())), Outcome::Error),
        ] {
            let (entry, remembered) = settled(fate, "f");
            assert_eq!((entry.outcome, verdict(&entry)), (outcome, Some(McpVerdict::Up)));
            assert_eq!(remembered, up_before());
        }
    }

    #[test]
    fn a_check_cut_off_by_the_deadline_is_down_and_counted_and_its_counters_go_on() {
        let (entry, _) = settled(Fate::Ran(Ended::CutOff), "f");
        assert_eq!((entry.outcome, verdict(&entry)), (Outcome::TimedOut, Some(McpVerdict::Down)));
        let Some(Memory::Mcp(memory)) = entry.memory else { panic!("an MCP memory") };
        assert_eq!((memory.checks["up"], memory.checks["down"]), (4, 1));
    }

    #[test]
    fn the_answer_of_another_configuration_is_not_shown() {
        let (entry, _) = settled(Fate::Ran(Ended::NotStarted), "changed");
        assert!(entry.observation.is_none() && entry.memory.is_some());
    }
}
