//! Which targets are due: pure arithmetic on what is remembered.
//!
//! A good answer is reused for `ttl`, a bad one for `retry_after`. Targets with the same ttl would all fall due in the
//! same tick, five minutes after the first pass, and again every five minutes: a burst of process starts. So every
//! good answer expires on a grid of its target's own: the n targets that share a ttl have their grid points ttl/n
//! apart, counted from the state's beginning. An answer is never reused longer than its ttl; after the first round
//! each target is due exactly once a ttl, and whatever bunches targets up (a network outage, `--fresh`) is spread
//! again by the next round.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::mcp::Reach;
use crate::model::observation::{Facts, Observation, Remembered};
use crate::model::target::{Probe, Target};

/// What is known about a target's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// To be checked in this pass.
    Now,
    /// Its remembered answer holds until then.
    At(Timestamp),
}

/// An answer from the future by more than this means that the clock was set back: it is not believed.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// Says for every target, in their order, whether it is due at `now`. `anchor` is when the state began.
pub fn turns<'a>(
    targets: impl IntoIterator<Item = &'a Target, IntoIter: Clone>,
    remembered: &BTreeMap<String, Remembered>,
    anchor: Timestamp,
    now: Timestamp,
) -> Vec<Turn> {
    let targets = targets.into_iter();
    let spread = Spread::over(targets.clone());
    targets
        .enumerate()
        .map(|(index, target)| {
            let known = remembered.get(&target.id().to_string());
            match known.and_then(|known| known.observation.as_ref().filter(|_| known.fingerprint == target.fingerprint))
            {
                Some(observation) => turn(target, observation, spread.phase(index), anchor, now),
                None => Turn::Now,
            }
        })
        .collect()
}

/// Puts those that took longest last time first, what nothing is known of before all: a pass is over when its last
/// check is, so a server that hangs must not begin when all others have ended. Equals stay in the order of the plan.
pub fn longest_first(chosen: &mut [usize], targets: &[Target], remembered: &BTreeMap<String, Remembered>) {
    chosen.sort_by_cached_key(|&index| {
        let known = remembered.get(&targets[index].id().to_string());
        Reverse(known.and_then(|known| known.observation.as_ref()).map_or(Duration::MAX, took))
    });
}

/// How long a check took, as far as that says anything of the next one: not the time it waited for its start.
fn took(observation: &Observation) -> Duration {
    match &observation.facts {
        Facts::Mcp(facts) => facts.handshake.unwrap_or(observation.duration),
        _ => observation.duration,
    }
}

fn turn(target: &Target, observation: &Observation, phase: Duration, anchor: Timestamp, now: Timestamp) -> Turn {
    if costs_nothing(target) || observation.checked_at > now + CLOCK_SLACK {
        return Turn::Now;
    }
    let (period, expires) = if observation.facts.is_good() {
        let ttl = target.schedule.ttl;
        (ttl, expiry(observation.checked_at, ttl, phase, anchor))
    } else {
        let retry_after = target.schedule.retry_after;
        (retry_after, add(observation.checked_at, retry_after))
    };
    // A timer's ticks jitter: one that comes a moment early must not put the check off by a whole period.
    let slack = (period / 10).min(Duration::from_secs(2));
    if period.is_zero() || add(now, slack) >= expires { Turn::Now } else { Turn::At(expires) }
}

/// Whether looking again is free: nothing is started or sent, so a mended config shows at once.
fn costs_nothing(target: &Target) -> bool {
    matches!(&target.probe, Probe::Mcp(mcp) if matches!(mcp.reach, Reach::Unreachable(_)))
}

/// The last point of the target's grid that is not later than `checked_at + ttl`.
fn expiry(checked_at: Timestamp, ttl: Duration, phase: Duration, anchor: Timestamp) -> Timestamp {
    let latest = add(checked_at, ttl);
    let since_grid = latest.as_nanosecond() - add(anchor, phase).as_nanosecond();
    let over = since_grid.rem_euclid((ttl.as_nanos() as i128).max(1));
    Timestamp::from_nanosecond(latest.as_nanosecond() - over).unwrap_or(latest)
}

fn add(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// The phase of each target among those that share its ttl.
struct Spread {
    phases: Vec<Duration>,
}

impl Spread {
    fn over<'a>(targets: impl Iterator<Item = &'a Target>) -> Self {
        let mut sharing: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
        let mut count = 0;
        for (index, target) in targets.enumerate() {
            count = index + 1;
            if !costs_nothing(target) {
                sharing.entry(target.schedule.ttl).or_default().push(index);
            }
        }
        let mut phases = vec![Duration::ZERO; count];
        for (ttl, members) in sharing {
            let count = members.len() as u32;
            for (rank, index) in members.into_iter().enumerate() {
                // The last one has the whole ttl, the first 1/n of it: right after the first pass nothing is due.
                phases[index] = ttl / count * (rank as u32 + 1);
            }
        }
        Spread { phases }
    }

    fn phase(&self, index: usize) -> Duration {
        self.phases[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{HttpServer, HttpTransport, McpFacts, McpMemory, McpTarget};
    use crate::model::observation::Memory;
    use crate::model::reason::{Failure, Reason};
    use crate::model::secret::Secret;
    use crate::model::target::Schedule;

    const TTL: Duration = Duration::from_secs(300);
    const RETRY: Duration = Duration::from_secs(30);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn target(name: &str) -> Target {
        let server = HttpServer {
            url: Secret::new("http://127.0.0.1/"),
            transport: HttpTransport::Auto,
            headers: Vec::new(),
            ca_file: None,
        };
        Target {
            name: name.into(),
            probe: Probe::Mcp(McpTarget { reach: Reach::Http(server), list_tools: true }),
            schedule: Schedule { ttl: TTL, retry_after: RETRY, timeout: Duration::from_secs(10) },
            fingerprint: "same".into(),
            origins: Vec::new(),
        }
    }

    fn seen(second: i64, up: bool) -> Remembered {
        let failure = (!up).then(|| Failure::new(Reason::Timeout, "no answer"));
        Remembered {
            fingerprint: "same".into(),
            observation: Some(Observation {
                checked_at: at(second),
                duration: Duration::ZERO,
                facts: Facts::Mcp(McpFacts { failure, ..McpFacts::default() }),
            }),
            memory: Memory::Mcp(McpMemory::default()),
        }
    }

    fn one(remembered: Remembered, now: i64) -> Turn {
        turns(&[target("a")], &BTreeMap::from([("mcp/a".into(), remembered)]), at(0), at(now))[0]
    }

    #[test]
    fn a_good_answer_is_reused_for_its_ttl_and_a_bad_one_for_retry_after() {
        assert_eq!(one(seen(0, true), 200), Turn::At(at(300)));
        assert_eq!(one(seen(0, true), 300), Turn::Now);
        assert_eq!(one(seen(0, false), 20), Turn::At(at(30)));
        assert_eq!(one(seen(0, false), 30), Turn::Now);
        assert_eq!(one(seen(0, false), 28), Turn::Now, "a tick that comes a moment early counts");
    }

    #[test]
    fn nothing_remembered_another_configuration_and_an_answer_from_the_future_are_due() {
        assert_eq!(turns(&[target("a")], &BTreeMap::new(), at(0), at(1)), [Turn::Now]);
        assert_eq!(one(Remembered { fingerprint: "other".into(), ..seen(0, true) }, 1), Turn::Now);
        assert_eq!(one(Remembered { observation: None, ..seen(0, true) }, 1), Turn::Now);
        assert_eq!(one(seen(1000, true), 1), Turn::Now);
    }

    #[test]
    fn what_took_longest_begins_first() {
        let targets: Vec<Target> = ["new", "quick", "hung", "queued"].into_iter().map(target).collect();
        let took = |duration: u64, handshake: Option<u64>| {
            let mut known = seen(0, handshake.is_some());
            let observation = known.observation.as_mut().expect("an observation");
            observation.duration = Duration::from_secs(duration);
            if let Facts::Mcp(facts) = &mut observation.facts {
                facts.handshake = handshake.map(Duration::from_secs);
            }
            known
        };
        let remembered = BTreeMap::from([
            ("mcp/quick".into(), took(2, Some(2))),
            ("mcp/hung".into(), took(5, None)),
            ("mcp/queued".into(), took(9, Some(1))),
        ]);
        let mut chosen = [1, 3, 2, 0];
        longest_first(&mut chosen, &targets, &remembered);
        assert_eq!(chosen.map(|index| targets[index].name.as_str()), ["new", "hung", "quick", "queued"]);
    }

    #[test]
    fn what_costs_nothing_is_looked_at_every_time() {
        let mut free = target("a");
        let failure = Failure::new(Reason::Disabled, "switched off");
        free.probe = Probe::Mcp(McpTarget { reach: Reach::Unreachable(failure), list_tools: true });
        let remembered = BTreeMap::from([("mcp/a".into(), seen(0, false))]);
        assert_eq!(turns(&[free], &remembered, at(0), at(1)), [Turn::Now]);
    }

    #[test]
    fn eighteen_servers_are_spread_over_their_ttl_and_none_waits_longer_than_it() {
        let targets: Vec<Target> = (0..18).map(|i| target(&format!("s{i:02}"))).collect();
        let mut remembered: BTreeMap<String, Remembered> = BTreeMap::new();
        let mut last = [0; 18];
        let mut most = 0;
        for tick in (0..3600).step_by(30) {
            // An outage of everything in the middle bunches them up; the next round must spread them again.
            let up = !(1500..1600).contains(&tick);
            let turns = turns(&targets, &remembered, at(0), at(tick));
            let due: Vec<usize> = (0..18).filter(|&i| turns[i] == Turn::Now).collect();
            if tick > 0 && !(1500..2000).contains(&tick) {
                most = most.max(due.len());
            }
            for i in due {
                assert!(tick - last[i] <= 330, "s{i} waited {} s", tick - last[i]);
                last[i] = tick;
                remembered.insert(format!("mcp/s{i:02}"), seen(tick, up));
            }
        }
        assert!(most <= 3, "{most} of 18 in one tick");
    }
}
