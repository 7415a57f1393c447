//! Which targets are due: pure arithmetic on what is remembered.
//!
//! A good answer is reused for `ttl`, a bad one for `retry_after`, and ever longer, up to `ttl`, while the same failure costs
//! processor time. Targets with the same ttl would all fall due in the
//! same tick, five minutes after the first pass, and again every five minutes: a burst of process starts. So every
//! answer that is reused for its ttl expires on a grid of its target's own: the n targets that share a ttl have their grid points ttl/n
//! apart, counted from the state's beginning. An answer is never reused longer than its ttl; after the first round
//! each target is due exactly once a ttl, and whatever bunches targets up (a network outage, `--fresh`) is spread
//! again by the next round.

pub(crate) mod worktree;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::mcp::Reach;
use crate::model::observation::{Attempts, Facts, Remembered};
use crate::model::target::{Probe, Schedule, Target};

/// An answer from the future by more than this means that the clock was set back: it is not believed.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// A timer's ticks jitter: one that comes a moment early must not put a check off by a whole period.
const JITTER: Duration = Duration::from_secs(2);

/// For every target, in their order, until when its remembered answer holds; `None`: it is due at `now`. `anchor` is when
/// the state began.
pub fn when(
    targets: &[&Target],
    remembered: &BTreeMap<String, Remembered>,
    anchor: Timestamp,
    now: Timestamp,
) -> Vec<Option<Timestamp>> {
    let until = |(target, phase): (&&Target, Duration)| {
        let known = remembered.get(&target.id()).filter(|known| known.fingerprint == target.fingerprint)?;
        let rests_until = worktree::rests_until(target, known, now).filter(|until| *until > add(now, JITTER));
        one_due(target, known, phase, anchor, now).max(rests_until)
    };
    targets.iter().zip(phases(targets)).map(until).collect()
}

/// A check that was cut off after this part of a pass had its chance.
const CHANCE: u32 = 4;

/// The chosen ones in the order in which they shall begin: what the last pass did not reach, what nothing is known of, the
/// rest. Among equals what has waited for more passes comes first, then what takes longest: a pass is over when its last
/// check is, so a server that hangs must not begin when all others have ended. `pass` is the time that all have together.
pub fn in_order(
    targets: &[Target],
    chosen: &[bool],
    remembered: &BTreeMap<String, Remembered>,
    pass: Duration,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..targets.len()).filter(|&index| chosen[index]).collect();
    order.sort_by_cached_key(|&index| {
        let known = remembered.get(&targets[index].id());
        let attempts = known.map(|known| known.attempts.clone()).unwrap_or_default();
        // One that had its chance stands behind those that had none, or it would take every pass from them.
        let had_a_chance = attempts.cut_off_after.is_some_and(|had| had >= pass / CHANCE);
        let rank = match known {
            Some(_) if attempts.not_reached > 0 => u8::from(had_a_chance),
            Some(Remembered { observation: Some(_), .. }) => 3,
            _ => 2,
        };
        (
            rank,
            Reverse(attempts.not_reached),
            attempts.cut_off_after,
            Reverse(known.and_then(took).unwrap_or(Duration::MAX)),
        )
    });
    order
}

/// How much of a pass must be left for a check to be worth beginning: half as much again as the last one took. Of a
/// server that nothing is known of the usual time to start is assumed.
pub fn need(target: &Target, known: Option<&Remembered>) -> Duration {
    const USUAL: Duration = Duration::from_secs(3);
    const SLACK: Duration = Duration::from_millis(300);
    let current = known.filter(|known| known.fingerprint == target.fingerprint);
    let took = current.and_then(took).map_or(USUAL.min(target.schedule.timeout), |took| took * 3 / 2 + SLACK);
    // It took longer than it had.
    let cut_off_after = current.and_then(|known| known.attempts.cut_off_after).unwrap_or_default();
    took.max(cut_off_after * 2)
}

/// How long a check took, as far as that says anything of the next one.
fn took(known: &Remembered) -> Option<Duration> {
    let observation = known.observation.as_ref()?;
    Some(match &observation.facts {
        Facts::Mcp(facts) => facts.handshake.unwrap_or(observation.duration),
        _ => observation.duration,
    })
}

fn one_due(
    target: &Target,
    known: &Remembered,
    phase: Duration,
    anchor: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    if let Some(expires) = cut_off_until(target, &known.attempts, now)
        && expires > add(now, JITTER)
    {
        return Some(expires);
    }
    let observation = known.observation.as_ref()?;
    if costs_nothing(target) || observation.checked_at > now + CLOCK_SLACK {
        return None;
    }
    let ttl = target.schedule.ttl;
    let period = if observation.facts.is_good() { ttl } else { retry_after(target, known.attempts.same_failures) };
    let on_grid = period == ttl;
    let expires =
        if on_grid { expiry(observation.checked_at, ttl, phase, anchor) } else { add(observation.checked_at, period) };
    let expires = observation.day_ends().map_or(expires, |end| expires.min(end));
    let slack = (period / 10).min(JITTER);
    Some(expires).filter(|_| !period.is_zero() && add(now, slack) < expires)
}

/// One that is cut off goes first in the next pass; if that cuts it off, too, it is put off ever longer: a server that
/// needs more than a pass would take a core from all others for ever. A person's pass hears it out.
fn cut_off_until(target: &Target, attempts: &Attempts, now: Timestamp) -> Option<Timestamp> {
    let again = attempts.cut_offs.checked_sub(1).filter(|again| *again > 0)?;
    let at = attempts.cut_off_at.filter(|at| *at <= now + CLOCK_SLACK)?;
    Some(add(at, retry_after(target, again)))
}

/// How long a bad answer is reused: twice as long each time the same failure has cost processor time again, up to the ttl.
fn retry_after(target: &Target, same_failures: u32) -> Duration {
    let Schedule { ttl, retry_after, .. } = target.schedule;
    let doublings = same_failures.saturating_sub(1).min(31);
    retry_after.saturating_mul(1 << doublings).min(ttl.max(retry_after))
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
fn phases(targets: &[&Target]) -> Vec<Duration> {
    let mut phases = vec![Duration::ZERO; targets.len()];
    let mut sharing: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
    for (index, target) in targets.iter().enumerate().filter(|(_, target)| !costs_nothing(target)) {
        sharing.entry(target.schedule.ttl).or_default().push(index);
    }
    for (ttl, members) in sharing {
        let count = members.len() as u32;
        for (rank, index) in members.into_iter().enumerate() {
            // The last one has the whole ttl, the first 1/n of it: right after the first pass nothing is due.
            phases[index] = ttl / count * (rank as u32 + 1);
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{HttpServer, HttpTransport, McpFacts, McpMemory, McpTarget};
    use crate::model::observation::{Memory, Observation};
    use crate::model::reason::{Failure, Reason};
    use crate::redact::Secret;

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
            login: None,
        };
        Target {
            only_here: false,
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
            attempts: Attempts::default(),
        }
    }

    fn each(targets: &[Target]) -> Vec<&Target> {
        targets.iter().collect()
    }

    fn one(remembered: Remembered, now: i64) -> Option<Timestamp> {
        when(&[&target("a")], &BTreeMap::from([("mcp/a".into(), remembered)]), at(0), at(now))[0]
    }

    #[test]
    fn a_good_answer_is_reused_for_its_ttl_and_a_bad_one_for_retry_after() {
        assert_eq!(one(seen(0, true), 200), Some(at(300)));
        assert_eq!(one(seen(0, true), 300), None);
        assert_eq!(one(seen(0, false), 20), Some(at(30)));
        assert_eq!(one(seen(0, false), 30), None);
        assert_eq!(one(seen(0, false), 28), None, "a tick that comes a moment early counts");
    }

    #[test]
    fn a_trading_day_ends_at_utc_midnight_whatever_the_ttl_is() {
        let mut remembered = seen(86_400 - 100, true);
        remembered.observation.as_mut().expect("seen").facts = Facts::Thunes(Default::default());
        assert_eq!(one(remembered.clone(), 86_400 - 50), Some(at(86_400)));
        assert_eq!(one(remembered, 86_400), None);
    }

    #[test]
    fn nothing_remembered_another_configuration_and_an_answer_from_the_future_are_due() {
        assert_eq!(when(&[&target("a")], &BTreeMap::new(), at(0), at(1)), [None]);
        assert_eq!(one(Remembered { fingerprint: "other".into(), ..seen(0, true) }, 1), None);
        assert_eq!(one(Remembered { observation: None, ..seen(0, true) }, 1), None);
        assert_eq!(one(seen(1000, true), 1), None);
    }

    #[test]
    fn a_failure_that_costs_is_retried_ever_later_up_to_the_ttl_and_then_on_the_grid() {
        let failed = |same_failures: u32| {
            let attempts = Attempts { same_failures, ..Attempts::default() };
            one(Remembered { attempts, ..seen(0, false) }, 1)
        };
        let expected = [30, 30, 60, 120, 240, 300, 300].map(|second| Some(at(second)));
        assert_eq!([0, 1, 2, 3, 4, 5, 99].map(failed), expected);
        let targets: Vec<Target> = ["a", "b"].into_iter().map(target).collect();
        let attempts = Attempts { same_failures: 9, ..Attempts::default() };
        let known = Remembered { attempts, ..seen(0, false) };
        let remembered = ["mcp/a", "mcp/b"].map(|id| (id.to_owned(), known.clone()));
        let due = when(&each(&targets), &BTreeMap::from(remembered), at(0), at(1));
        assert_eq!(due, [Some(at(150)), Some(at(300))], "they do not fall due together");
    }

    #[test]
    fn what_is_cut_off_again_and_again_is_put_off_ever_longer() {
        let cut_off = |cut_offs: u32, now: i64| {
            let attempts = Attempts { cut_offs, cut_off_at: Some(at(0)), not_reached: cut_offs, ..Attempts::default() };
            one(Remembered { attempts, observation: None, ..seen(0, true) }, now)
        };
        assert_eq!(cut_off(1, 1), None, "first in the next pass");
        assert_eq!([2, 3, 4, 99].map(|times| cut_off(times, 1)), [30, 60, 120, 300].map(|second| Some(at(second))));
        assert_eq!([cut_off(2, 29), cut_off(99, 300)], [None; 2]);
        assert_eq!(cut_off(2, -86_400), None, "the clock was set back");
    }

    #[test]
    fn what_was_not_reached_begins_first_then_what_is_new_then_what_takes_longest() {
        let names = ["quick", "hung", "new", "had", "cut", "waited", "waited-longer"];
        let targets: Vec<Target> = names.into_iter().map(target).collect();
        let took = |duration: u64, handshake: Option<u64>| {
            let mut known = seen(0, handshake.is_some());
            let observation = known.observation.as_mut().expect("an observation");
            observation.duration = Duration::from_secs(duration);
            if let Facts::Mcp(facts) = &mut observation.facts {
                facts.handshake = handshake.map(Duration::from_secs);
            }
            known
        };
        let missed = |not_reached: u32, cut_off_after: Option<u64>| Remembered {
            attempts: Attempts {
                not_reached,
                cut_off_after: cut_off_after.map(Duration::from_secs),
                ..Attempts::default()
            },
            ..took(1, Some(1))
        };
        let remembered = BTreeMap::from([
            ("mcp/quick".into(), took(2, Some(2))),
            ("mcp/hung".into(), took(5, None)),
            ("mcp/had".into(), missed(9, Some(20))),
            ("mcp/cut".into(), missed(3, Some(2))),
            ("mcp/waited".into(), missed(1, None)),
            ("mcp/waited-longer".into(), missed(2, None)),
        ]);
        let order = in_order(&targets, &[true; 7], &remembered, Duration::from_secs(24));
        let order: Vec<&str> = order.into_iter().map(|index| names[index]).collect();
        assert_eq!(order, ["cut", "waited-longer", "waited", "had", "new", "hung", "quick"]);
        assert_eq!(in_order(&targets, &[false; 7], &remembered, Duration::ZERO), [] as [usize; 0]);
        let need = |name: &str| need(&target(name), remembered.get(&format!("mcp/{name}")));
        assert_eq!(need("quick"), Duration::from_millis(3300));
        assert_eq!(need("new"), Duration::from_secs(3));
        assert_eq!(need("cut"), Duration::from_secs(4));
    }

    #[test]
    fn what_costs_nothing_is_looked_at_every_time() {
        let mut free = target("a");
        let failure = Failure::new(Reason::Disabled, "switched off");
        free.probe = Probe::Mcp(McpTarget { reach: Reach::Unreachable(failure), list_tools: true });
        let remembered = BTreeMap::from([("mcp/a".into(), seen(0, false))]);
        assert_eq!(when(&[&free], &remembered, at(0), at(1)), [None]);
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
            let due = when(&each(&targets), &remembered, at(0), at(tick));
            let due: Vec<usize> = (0..18).filter(|&i| due[i].is_none()).collect();
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
