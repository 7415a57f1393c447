//! A worktree in which nothing happens is looked at ever less often, and none takes more than a twentieth of a core.
//! Pure arithmetic; what makes one due at once is in [`crate::plan::worktrees::changed_since_last_look`].

use std::time::Duration;

use jiff::Timestamp;

use super::{Due, JITTER, add};
use crate::model::observation::{Facts, Memory, Remembered};
use crate::model::target::{Probe, Target};
use crate::model::worktree::{Standing, StatusSource, WorktreeFacts, WorktreeMemory, WorktreeTarget};

/// A worktree that has been the same for a time t is looked at again after t divided by this.
const PART_OF_IDLE: u32 = 60;

/// Between two looks lies this many times what one costs.
const TIMES_COST: u32 = 20;

/// Puts a worktree off for as long as nothing is expected to have changed in it, and for as long as its cost demands.
pub(super) fn put_off(due: Due, target: &Target, known: &Remembered, now: Timestamp) -> Due {
    let Some((worktree, facts, memory, checked_at)) = parts(target, known) else { return due };
    let rest = by_cost(memory).max(by_idleness(worktree, facts, memory, checked_at));
    let until = add(checked_at, rest);
    if add(now, JITTER) >= until {
        return due;
    }
    match due {
        Due::Now => Due::At(until),
        Due::At(at) => Due::At(at.max(until)),
    }
}

/// Whether neither its cost nor its ttl forbid to look at it now.
pub(crate) fn may_be_early(target: &Target, known: &Remembered, now: Timestamp) -> bool {
    parts(target, known).is_some_and(|(_, _, memory, checked_at)| {
        add(now, JITTER) >= add(checked_at, by_cost(memory).max(target.schedule.ttl))
    })
}

type Parts<'a> = (&'a WorktreeTarget, &'a WorktreeFacts, &'a WorktreeMemory, Timestamp);

fn parts<'a>(target: &'a Target, known: &'a Remembered) -> Option<Parts<'a>> {
    let observation = known.observation.as_ref().filter(|_| known.fingerprint == target.fingerprint)?;
    match (&target.probe, &observation.facts, &known.memory) {
        (Probe::Worktree(worktree), Facts::Worktree(facts), Memory::Worktree(memory)) => {
            Some((worktree, facts, memory, observation.checked_at))
        }
        _ => None,
    }
}

fn by_cost(memory: &WorktreeMemory) -> Duration {
    memory.cost.saturating_mul(TIMES_COST)
}

fn by_idleness(
    worktree: &WorktreeTarget,
    facts: &WorktreeFacts,
    memory: &WorktreeMemory,
    checked_at: Timestamp,
) -> Duration {
    // That tests have ended shows in no file that is watched.
    let testing = matches!(facts.status, Some((_, StatusSource::Record | StatusSource::Runner)));
    let present = matches!(worktree.standing, Standing::Present { .. });
    match &memory.state {
        Some(state) if facts.error.is_none() && present && !testing && !memory.watched.is_empty() => {
            let idle = Duration::try_from(checked_at.duration_since(state.since)).unwrap_or_default();
            (idle / PART_OF_IDLE).min(worktree.idle_ttl)
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::observation::{Attempts, Observation};
    use crate::model::target::Schedule;
    use crate::model::worktree::{Since, Status};

    const IDLE_TTL: Duration = Duration::from_secs(300);

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(second.cast_signed()).expect("a time")
    }

    /// A worktree that was the same for `idle` when it was looked at, at 1,000,000.
    fn seen(idle: u64, source: StatusSource, cost: Duration, idle_ttl: Duration) -> (Target, Remembered) {
        let worktree = WorktreeTarget {
            repository: "/r".into(),
            path: "/r".into(),
            standing: Standing::Present { git_dir: "/r/.git".into() },
            nested: Vec::new(),
            base: None,
            test_reports: Vec::new(),
            test_runners: Vec::new(),
            records: "/s".into(),
            linked: false,
            lock: None,
            idle_ttl,
        };
        let target = Target {
            only_here: false,
            name: "main".into(),
            probe: Probe::Worktree(worktree),
            schedule: Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::from_secs(10) },
            fingerprint: "same".into(),
            origins: Vec::new(),
        };
        let facts = WorktreeFacts { status: Some((Status::Complete, source)), ..WorktreeFacts::default() };
        let memory = WorktreeMemory {
            state: Some(Since { digest: "x".into(), since: at(1_000_000 - idle) }),
            watched: BTreeMap::from([("/r/.git/HEAD".to_owned(), "1".to_owned())]),
            cost,
            ..WorktreeMemory::default()
        };
        let observation =
            Observation { checked_at: at(1_000_000), duration: Duration::ZERO, facts: Facts::Worktree(facts) };
        let known = Remembered {
            fingerprint: "same".into(),
            observation: Some(observation),
            memory: Memory::Worktree(memory),
            attempts: Attempts::default(),
        };
        (target, known)
    }

    fn due_after(idle: u64, source: StatusSource, cost: Duration, idle_ttl: Duration) -> u64 {
        let (target, known) = seen(idle, source, cost, idle_ttl);
        let is_due = |after: u64| put_off(Due::Now, &target, &known, at(1_000_000 + after)) == Due::Now;
        (0..10_000).find(|&after| is_due(after)).expect("due at some time")
    }

    #[test]
    fn what_has_been_the_same_for_long_is_looked_at_seldom() {
        let free = Duration::ZERO;
        for (idle, after) in [(0, 0), (120, 0), (1_800, 28), (3_600, 58), (18_000, 298), (1_000_000, 298)] {
            assert_eq!(due_after(idle, StatusSource::Clean, free, IDLE_TTL), after, "the same for {idle} s");
        }
        assert_eq!(due_after(1_000_000, StatusSource::Clean, free, Duration::ZERO), 0, "idle_ttl = \"0s\"");
        assert_eq!(due_after(1_000_000, StatusSource::Runner, free, IDLE_TTL), 0, "tests run");
    }

    #[test]
    fn no_worktree_takes_more_than_a_twentieth_of_a_core() {
        let cost = Duration::from_secs(3);
        assert_eq!(due_after(0, StatusSource::Runner, cost, IDLE_TTL), 58);
        let (target, known) = seen(1_000_000, StatusSource::Clean, cost, IDLE_TTL);
        assert!(!may_be_early(&target, &known, at(1_000_050)));
        assert!(may_be_early(&target, &known, at(1_000_060)));
    }
}
