//! When each target was last checked and how long that answer is reused, alike for every kind: an alert can tell a late
//! check from a reused answer.

use crate::clock::unix_seconds;
use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::observation::Observation;
use crate::model::target::{Kind, Probe, Target};

/// The families of a kind: time of the check, seconds of reuse.
fn of(kind: Kind) -> (&'static Family<[&'static str; 1]>, &'static Family<[&'static str; 1]>) {
    match kind {
        Kind::Mcp => (&LAB_MCP_SERVER_CHECKED_TIMESTAMP_SECONDS, &LAB_MCP_SERVER_TTL_SECONDS),
        Kind::Worktree => (&LAB_WORKTREE_CHECKED_TIMESTAMP_SECONDS, &LAB_WORKTREE_TTL_SECONDS),
        Kind::Thunes => (&THUNES_CHECKED_TIMESTAMP_SECONDS, &THUNES_TTL_SECONDS),
        Kind::Service => (&LAB_SERVICE_CHECKED_TIMESTAMP_SECONDS, &LAB_SERVICE_TTL_SECONDS),
    }
}

pub(super) fn add(target: &Target, observation: &Observation, samples: &mut Samples) {
    let (checked, reused) = of(target.kind());
    let schedule = &target.schedule;
    // A bad answer is kept for another time than a good one; with the wrong one of the two, a server that is down and
    // rarely retried would look late.
    let kept = match &target.probe {
        _ if observation.facts.costly_failure().is_some() => schedule.ttl.max(schedule.retry_after),
        _ if !observation.facts.is_good() => schedule.retry_after,
        Probe::Worktree(worktree) => schedule.ttl.max(worktree.idle_ttl),
        _ => schedule.ttl,
    };
    samples.add(checked, [&target.name], unix_seconds(observation.checked_at));
    samples.add(reused, [&target.name], kept.as_secs_f64());
}
