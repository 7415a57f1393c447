//! What ran and what is remembered become one snapshot's entries, and the memory for next time. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::observation::{Attempts, Facts, Memory, NotReached, Observation, Remembered, cut_off_after};
use crate::model::snapshot::{Entry, Outcome};
use crate::model::target::{Kind, Target};

#[derive(Debug)]
pub(super) struct Checked {
    pub(super) facts: Facts,
    pub(super) memory: Memory,
    pub(super) duration: Duration,
    /// Whether it was the pass's deadline that ended it, and not its own end or its own timeout.
    pub(super) cut_off: bool,
}

/// `None` where it was not due, or not asked for: what is remembered stands.
pub(super) type CheckResult = Result<Option<Checked>, NotReached>;

/// Makes the entry of one target and updates what is remembered of it.
///
/// A check that came to no verdict, or that broke, keeps what is remembered.
pub(super) fn merge(
    target: Target,
    result: CheckResult,
    started_at: Timestamp,
    remembered: &mut BTreeMap<String, Remembered>,
) -> Entry {
    let id = target.id();
    let known = remembered.remove(&id);
    let (outcome, trouble, known) = match result {
        Ok(None) => (Outcome::Cached, None, known),
        Ok(Some(checked)) => {
            let outcome = if checked.cut_off { Outcome::TimedOut } else { Outcome::Fresh };
            (outcome, None, Some(remember(&target, known.as_ref(), checked, started_at)))
        }
        Err(why) => {
            let is_deadlines = matches!(why, NotReached::CutOff(_) | NotReached::NotBegun);
            let (trouble, known) = without_verdict(&target, known, why, started_at);
            (if is_deadlines { Outcome::TimedOut } else { Outcome::Error }, trouble, known)
        }
    };
    let entry = entry(target, known.as_ref(), outcome, trouble);
    remembered.extend(known.map(|known| (id, known)));
    entry
}

/// The entry of a target by what is remembered of it. What an older configuration of it answered says nothing about the
/// new one.
pub(super) fn entry(
    target: Target,
    known: Option<&Remembered>,
    outcome: Outcome,
    trouble: Option<NotReached>,
) -> Entry {
    let current = known.filter(|known| known.fingerprint == target.fingerprint);
    Entry {
        outcome,
        observation: current.and_then(|known| known.observation.clone()),
        memory: known.map(|known| known.memory.clone()),
        next_due: None,
        processes: None,
        trouble,
        target,
    }
}

/// Why a target has no verdict, and what is remembered of it then; no reason where that is a verdict.
fn without_verdict(
    target: &Target,
    known: Option<Remembered>,
    why: NotReached,
    at: Timestamp,
) -> (Option<NotReached>, Option<Remembered>) {
    // A check of an MCP server waits for its turn and hears its server out: that it is still at work when the pass ends is
    // the probe's delay, and that its files hang no fault of the server's. The others begin at once and have no excuse.
    let has_excuse = target.kind() == Kind::Mcp;
    let known = match &why {
        NotReached::Hangs if !has_excuse => {
            return (None, Some(cut_off(target, known, Duration::ZERO, why.to_string(), at)));
        }
        NotReached::CutOff(had) if !has_excuse && *had >= target.schedule.timeout => {
            return (None, Some(cut_off(target, known, *had, cut_off_after(*had), at)));
        }
        NotReached::Hangs | NotReached::Failed(_) => known,
        NotReached::CutOff(had) => Some(not_reached(target, known, Some(*had), at)),
        NotReached::NotBegun | NotReached::Postponed => Some(not_reached(target, known, None, at)),
    };
    (Some(why), known)
}

fn remember(target: &Target, before: Option<&Remembered>, checked: Checked, checked_at: Timestamp) -> Remembered {
    let Checked { facts, memory, duration, .. } = checked;
    let before = before.filter(|known| known.fingerprint == target.fingerprint);
    let attempts = Attempts { same_failures: same_failures(before, &facts), ..Attempts::default() };
    let observation = Some(Observation { checked_at, duration, facts });
    Remembered { fingerprint: target.fingerprint.clone(), observation, memory, attempts }
}

/// Nothing is known of it now, and this sentence says why.
fn cut_off(target: &Target, known: Option<Remembered>, had: Duration, why: String, at: Timestamp) -> Remembered {
    let facts = Facts::cut_off(target.kind(), why);
    let memory = known.map_or_else(|| Memory::new(target.kind()), |known| known.memory);
    remember(target, None, Checked { facts, memory, duration: had, cut_off: true }, at)
}

/// How often in a row this costly failure has been seen by now.
fn same_failures(before: Option<&Remembered>, facts: &Facts) -> u32 {
    let Some(reason) = facts.costly_failure() else { return 0 };
    let seen = |known: &Remembered| known.observation.as_ref().and_then(|seen| seen.facts.costly_failure());
    let same = before.filter(|known| seen(known) == Some(reason));
    same.map_or(0, |known| known.attempts.same_failures).saturating_add(1)
}

fn not_reached(target: &Target, known: Option<Remembered>, had: Option<Duration>, at: Timestamp) -> Remembered {
    let mut known = known.unwrap_or_else(|| Remembered {
        fingerprint: target.fingerprint.clone(),
        observation: None,
        memory: Memory::new(target.kind()),
        attempts: Attempts::default(),
    });
    let attempts = &mut known.attempts;
    attempts.not_reached = attempts.not_reached.saturating_add(1);
    attempts.cut_off_after = had;
    if had.is_some() {
        attempts.cut_offs = attempts.cut_offs.saturating_add(1);
        attempts.cut_off_at = Some(at);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{McpFacts, McpMemory, McpTarget, McpVerdict, Reach, StdioServer};
    use crate::model::reason::{Failure, Reason};
    use crate::model::service::ServiceProbe;
    use crate::model::target::{Probe, Schedule};

    fn target(fingerprint: &str) -> Target {
        Target {
            only_here: false,
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
            Remembered {
                fingerprint: "f".into(),
                observation: Some(observation),
                memory: Memory::Mcp(memory),
                attempts: Attempts::default(),
            },
        )])
    }

    fn merged(result: CheckResult, fingerprint: &str) -> (Entry, BTreeMap<String, Remembered>) {
        let mut remembered = up_before();
        let now = Timestamp::from_second(1000).expect("a time");
        let entry = merge(target(fingerprint), result, now, &mut remembered);
        (entry, remembered)
    }

    fn verdict(entry: &Entry) -> Option<McpVerdict> {
        match &entry.observation.as_ref()?.facts {
            Facts::Mcp(facts) => Some(facts.verdict()),
            _ => None,
        }
    }

    const HAD: Duration = Duration::from_secs(3);

    #[test]
    fn a_check_without_a_verdict_or_that_broke_keeps_what_is_remembered() {
        for (result, outcome, not_reached) in [
            (Ok(None), Outcome::Cached, 0),
            (Err(NotReached::NotBegun), Outcome::TimedOut, 1),
            (Err(NotReached::Postponed), Outcome::Error, 1),
            (Err(NotReached::CutOff(HAD)), Outcome::TimedOut, 1),
            (Err(NotReached::CutOff(Duration::from_secs(60))), Outcome::TimedOut, 1),
            (Err(NotReached::Failed("x".into())), Outcome::Error, 0),
            (Err(NotReached::Hangs), Outcome::Error, 0),
        ] {
            let (entry, mut remembered) = merged(result, "f");
            assert_eq!((entry.outcome, verdict(&entry)), (outcome, Some(McpVerdict::Up)));
            let attempts = std::mem::take(&mut remembered.get_mut("mcp/a").expect("remembered").attempts);
            assert_eq!(attempts.not_reached, not_reached);
            assert_eq!(remembered, up_before());
        }
    }

    #[test]
    fn one_that_was_never_reached_is_absent_and_remembered_as_that() {
        let mut remembered = BTreeMap::new();
        for passes in 1..3 {
            let now = Timestamp::from_second(1000).expect("a time");
            let result = Err(NotReached::CutOff(HAD));
            let entry = merge(target("f"), result, now, &mut remembered);
            assert!(entry.observation.is_none());
            let trouble = entry.trouble.map(|trouble| trouble.to_string()).unwrap_or_default();
            assert_eq!(trouble, "not reached in this pass: cut off by the pass's deadline after 3.0 s");
            let attempts = Attempts {
                not_reached: passes,
                cut_offs: passes,
                cut_off_at: Some(now),
                cut_off_after: Some(HAD),
                same_failures: 0,
            };
            assert_eq!(remembered["mcp/a"].attempts, attempts);
        }
    }

    fn failed(reason: Reason, cpu: Duration) -> CheckResult {
        let mut facts = McpFacts::failed(Failure::new(reason, "x"));
        facts.cpu = Some(cpu);
        let memory = Memory::Mcp(McpMemory::default());
        let checked = Checked { facts: Facts::Mcp(facts), memory, duration: cpu, cut_off: false };
        Ok(Some(checked))
    }

    #[test]
    fn the_same_failure_is_counted_while_it_costs_and_nothing_changes() {
        let mut remembered = BTreeMap::new();
        let mut count = |result: CheckResult, fingerprint: &str| {
            merge(target(fingerprint), result, Timestamp::UNIX_EPOCH, &mut remembered);
            remembered["mcp/a"].attempts.same_failures
        };
        let second = Duration::from_secs(1);
        assert_eq!(count(failed(Reason::Exited, second), "f"), 1);
        assert_eq!(count(failed(Reason::Exited, second), "f"), 2);
        assert_eq!(count(Err(NotReached::NotBegun), "f"), 2, "no verdict changes nothing");
        assert_eq!(count(failed(Reason::Exited, second), "f"), 3);
        assert_eq!(count(failed(Reason::Timeout, second), "f"), 1, "another failure");
        assert_eq!(count(failed(Reason::Timeout, second), "changed"), 1, "another configuration");
        assert_eq!(count(failed(Reason::Timeout, Duration::ZERO), "changed"), 0, "it costs nothing");
    }

    #[test]
    fn what_has_no_excuse_is_down_when_the_deadline_cuts_it_off_after_its_own_time() {
        let mut remembered = BTreeMap::new();
        let mut service = target("f");
        service.probe = Probe::Service(ServiceProbe::Tcp("127.0.0.1:1".into()));
        let mut cut_off_after = |seconds: u64| {
            let result = Err(NotReached::CutOff(Duration::from_secs(seconds)));
            merge(service.clone(), result, Timestamp::UNIX_EPOCH, &mut remembered).observation.is_some()
        };
        assert!(!cut_off_after(9));
        assert!(cut_off_after(10));
    }

    #[test]
    fn what_is_not_touched_because_it_hangs_is_unknown_and_says_so() {
        let mut remembered = BTreeMap::new();
        let mut service = target("f");
        service.probe = Probe::Service(ServiceProbe::Tcp("127.0.0.1:1".into()));
        let entry = merge(service, Err(NotReached::Hangs), Timestamp::UNIX_EPOCH, &mut remembered);
        let facts = entry.observation.map(|observation| observation.facts);
        assert_eq!(
            (entry.outcome, facts),
            (Outcome::Error, Some(Facts::cut_off(Kind::Service, NotReached::Hangs.to_string())))
        );
        let (server, _) = merged(Err(NotReached::Hangs), "f");
        assert_eq!((server.outcome, verdict(&server)), (Outcome::Error, Some(McpVerdict::Up)));
    }

    #[test]
    fn the_answer_of_another_configuration_is_not_shown() {
        let (entry, _) = merged(Err(NotReached::NotBegun), "changed");
        assert!(entry.observation.is_none() && entry.memory.is_some());
    }
}
