//! The clocks: Prometheus' against this machine's. What is judged by `time()` there is stamped here.

use super::Evidence;
use crate::model::checkup::{Finding, Link};

/// Ages of a few seconds are off by as much.
const WARN_SECONDS: f64 = 2.0;
/// Alerts on old passes begin to err.
const FAIL_SECONDS: f64 = 30.0;

pub(super) fn judge(evidence: &Evidence) -> Finding {
    let fix = "timedatectl set-ntp true, on both machines";
    let Some((ahead, give)) = evidence.prometheus.facts().and_then(|prometheus| prometheus.skew) else {
        return Link::Clock.skip("nothing to compare with: no Prometheus answers", fix);
    };
    let off = (ahead.abs() - give).max(0.0);
    let way = if ahead > 0.0 { "ahead of" } else { "behind" };
    if off >= WARN_SECONDS {
        let what = format!("Prometheus' clock is {off:.1}s {way} this machine's");
        Link::Clock.fail_if(off >= FAIL_SECONDS, what, fix)
    } else {
        Link::Clock.ok(format!("Prometheus' clock and this machine's agree (within {:.1}s)", off + give))
    }
}
