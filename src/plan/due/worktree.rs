//! A worktree in which nothing happens is looked at ever less often, and none takes more than a twentieth of a core.
//! Pure arithmetic; what makes one due at once is in [`crate::plan::worktrees::changed_since_last_look`].

use std::time::Duration;

use jiff::Timestamp;

use super::{CLOCK_SLACK, JITTER, add};
use crate::model::observation::{Facts, Memory, Observation, Remembered};
use crate::model::target::{Probe, Target};
use crate::model::worktree::{Standing, StatusSource};

/// A worktree that has been the same for a time t is looked at again after t divided by this.
const PART_OF_IDLE: u32 = 60;

/// Between two looks lies this many times what one costs.
const TIMES_COST: u32 = 20;

/// Until when it is put off: for as long as nothing is expected to have changed in it, and as its cost demands.
pub(super) fn rests_until(target: &Target, known: &Remembered, now: Timestamp) -> Option<Timestamp> {
    let (checked_at, by_cost, by_idleness) = rests(target, known, now)?;
    Some(add(checked_at, by_cost.max(by_idleness)))
}

/// Whether neither its cost nor its ttl forbid to look at it now.
pub(crate) fn may_be_early(target: &Target, known: &Remembered, now: Timestamp) -> bool {
    let rests = rests(target, known, now).filter(|_| known.fingerprint == target.fingerprint);
    rests.is_some_and(|(checked_at, by_cost, _)| add(now, JITTER) >= add(checked_at, by_cost.max(target.schedule.ttl)))
}

/// When it was last looked at, and how long it rests after that by its cost and by its idleness; `None` after a time that
/// is still to come: the clock was set back.
fn rests(target: &Target, known: &Remembered, now: Timestamp) -> Option<(Timestamp, Duration, Duration)> {
    let Observation { checked_at, facts, .. } = known.observation.as_ref()?;
    let (Probe::Worktree(worktree), Facts::Worktree(facts), Memory::Worktree(memory)) =
        (&target.probe, facts, &known.memory)
    else {
        return None;
    };
    if *checked_at > now + CLOCK_SLACK {
        return None;
    }
    // That tests have ended shows in no file that is watched.
    let testing = matches!(facts.status, Some((_, StatusSource::Record | StatusSource::Runner)));
    let readable = facts.error.is_none() && worktree.standing == Standing::Present && !memory.watched.is_empty();
    let same_since = memory.state.as_ref().filter(|_| readable && !testing).map_or(*checked_at, |state| state.since);
    let idle = Duration::try_from(checked_at.duration_since(same_since)).unwrap_or_default();
    let by_idleness = (idle / PART_OF_IDLE).min(worktree.idle_ttl);
    Some((*checked_at, memory.cost.saturating_mul(TIMES_COST), by_idleness))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::observation::Attempts;
    use crate::model::target::Schedule;
    use crate::model::worktree::{Since, Status, WorktreeFacts, WorktreeMemory, WorktreeTarget};

    const IDLE_TTL: Duration = Duration::from_secs(300);

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(second.cast_signed()).expect("a time")
    }

    /// A worktree that was the same for `idle` when it was looked at, at 1,000,000.
    fn seen(idle: u64, source: StatusSource, cost: Duration, idle_ttl: Duration) -> (Target, Remembered) {
        let worktree = WorktreeTarget { path: "/r".into(), idle_ttl, ..WorktreeTarget::default() };
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
        let remembered = BTreeMap::from([(target.id(), known)]);
        let is_due =
            |after: u64| crate::plan::due::when(&[&target], &remembered, at(0), at(1_000_000 + after))[0].is_none();
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
        let (target, known) = seen(1_000_000, StatusSource::Clean, free, IDLE_TTL);
        assert_eq!(rests_until(&target, &known, at(900_000)), None, "the clock was set back");
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
