//! What a check measures becomes the points of slots.

use crate::model::observation::Facts;
use crate::model::unusual::{Family, Pending};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measure {
    /// A value as it is now: the point is the mean of the slot's.
    Now(f64),
    /// Sum and count of everything so far: the point is what came in the slot.
    SoFar(f64, f64),
}

/// What is measured of a target; nothing of a server or service that is down. What a trading environment states is exact
/// also where another of its sources cannot be read.
pub(crate) fn of(facts: &Facts) -> Vec<(Family, Measure)> {
    let mut found = Vec::new();
    let mut now = |family, value: Option<f64>| found.extend(value.map(|value| (family, Measure::Now(value))));
    match facts {
        Facts::Mcp(facts) if facts.failure.is_none() => {
            now(Family::Handshake, facts.handshake.map(|time| time.as_secs_f64()));
            now(Family::Rss, facts.max_rss_bytes.map(|bytes| bytes as f64));
            now(Family::Cpu, facts.cpu.map(|time| time.as_secs_f64()));
            now(Family::Tools, facts.tools.filter(|_| !facts.tools_truncated).map(|tools| tools as f64));
        }
        Facts::Service(facts) if facts.failure.is_none() => {
            now(Family::Service, facts.duration.map(|time| time.as_secs_f64()))
        }
        Facts::Thunes(facts) => {
            found.extend(facts.orders_placed().map(|orders| (Family::Orders, Measure::SoFar(orders as f64, 0.0))));
            for (family, histogram) in [(Family::OrderLatency, &facts.order_latency), (Family::WsGap, &facts.ws_gaps)] {
                let so_far = histogram.as_ref().map(|all| Measure::SoFar(all.sum, all.count() as f64));
                found.extend(so_far.map(|so_far| (family, so_far)));
            }
        }
        Facts::Mcp(_) | Facts::Service(_) | Facts::Worktree(_) => {}
    }
    found
}

impl Pending {
    pub(crate) fn add(&mut self, measure: Measure) {
        match measure {
            Measure::Now(value) => {
                let (sum, count) = self.last.unwrap_or_default();
                (self.base, self.last) = (Some((0.0, 0.0)), Some((sum + value, count + 1.0)));
            }
            Measure::SoFar(sum, count) => {
                // What falls has begun anew: what came in this slot is not known.
                let has_fallen = |(before, count_before): (f64, f64)| sum < before || count < count_before;
                if self.last.or(self.base).is_some_and(has_fallen) {
                    self.base = None;
                }
                self.last = Some((sum, count));
            }
        }
    }

    /// Ends the slot: gives its point, if it has one. The next slot goes on where this one ended, if it is `adjacent`:
    /// what came in several slots together is no point of any.
    pub(crate) fn close(&mut self, family: Family, adjacent: bool) -> Option<f64> {
        let Pending { base, last } = std::mem::take(self);
        self.base = last.filter(|_| adjacent);
        let ((sum_before, count_before), (sum, count)) = (base?, last?);
        let (sum, count) = (sum - sum_before, count - count_before);
        match family {
            Family::Orders => Some(sum),
            _ => (count > 0.0).then(|| sum / count),
        }
        .filter(|point| point.is_finite())
    }
}
