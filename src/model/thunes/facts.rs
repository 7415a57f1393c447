//! What one check of an environment found: values that are exact, and nothing where a value is not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{BreakerState, DecisionCount, Histogram, LineCounts, OrderCount};
use crate::model::checkup::age;
use crate::model::observation::Severity;
use crate::wording::first_of;

pub const KILL_SWITCH_ACTIVE: &str = "kill switch active";

/// Symbols named one by one; the rest is a number.
const MOST_SYMBOLS: usize = 5;

/// What one check found. `None` means: could not be told, so there is no sample; never 0 instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThunesFacts {
    /// What went wrong, a sentence each; every one names the source and what is missing because of it.
    pub problems: Vec<String>,
    /// Every configured source, in the order of the config: endpoint, database, journals, logs.
    pub sources: Vec<SourceFacts>,
    /// Each family that has a value, with the sources it comes from (more than one only where they add up to one
    /// kind of source: two journals).
    pub family_sources: BTreeMap<String, Vec<String>>,
    pub kill_switch: Option<KillSwitch>,
    pub kill_switch_unknown: Option<Unknown>,
    /// Today's realised loss divided by the daily limit; 0 on a profit.
    pub daily_pnl_used: Option<f64>,
    /// Today's realised profit (negative: loss), in quote currency.
    pub realized_pnl: Option<f64>,
    pub trades_today: Option<TradesToday>,
    /// The daily loss limit in force, in quote currency.
    pub max_daily_loss: Option<f64>,
    pub open_positions: Option<f64>,
    pub breakers: Option<BTreeMap<String, BreakerState>>,
    pub orders: Option<Vec<OrderCount>>,
    pub order_latency: Option<Histogram>,
    pub ws_connected: Option<BTreeMap<String, bool>>,
    /// Gaps between WebSocket messages in seconds.
    pub ws_gaps: Option<Histogram>,
    pub decisions: Option<Vec<DecisionCount>>,
}

/// Positions closed on the current UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradesToday {
    pub closed: u64,
    /// Of these, with a profit.
    pub won: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFacts {
    pub name: String,
    pub up: bool,
    /// Why not, or what else to know about it.
    pub problem: Option<String>,
    /// The time that its newest record states, where records have one.
    pub last_record: Option<Timestamp>,
    /// Rotated parts that were gone before their end could be read; `None` for a source that is not rotated.
    pub gaps: Option<u64>,
    /// Lines so far of a journal that has ever been read.
    pub lines: Option<LineCounts>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KillSwitch {
    pub active: bool,
    /// When it last changed, where an event said so.
    pub since: Option<Timestamp>,
    /// How long ago that was at the time of the check, in whole seconds.
    pub age_seconds: Option<u64>,
    /// Why it changed, in the application's words.
    pub reason: Option<String>,
    /// The newest evidence: an event's name, or `metrics_url`; none if no readable journal has any.
    #[serde(alias = "event")]
    pub evidence: Option<String>,
    /// When that was, by its own time.
    #[serde(alias = "at")]
    pub evidence_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// The start of the first pass since which it is not.
    pub since: Timestamp,
    /// The sources that could say otherwise, a sentence each.
    pub why: Vec<String>,
}

impl Unknown {
    pub fn sentence(&self) -> String {
        format!(
            "whether the kill switch is active is unknown since {}: {}; the next KILL_SWITCH event, TRADE_APPROVED, or \
             TRADE_REJECTED with reason kill_switch_active ends this once every source can be read",
            self.since.strftime("%Y-%m-%d %H:%M:%S UTC"),
            self.why.join("; ")
        )
    }

    pub fn lasting(&self, now: Timestamp) -> String {
        format!("{} (for {})", self.sentence(), age(now.duration_since(self.since).as_secs_f64()))
    }
}

impl ThunesFacts {
    /// The UTC midnight after a check: from then on its values of the day are yesterday's.
    pub fn day_ends(checked_at: Timestamp) -> Option<Timestamp> {
        let day = checked_at.as_second().div_euclid(86_400) + 1;
        Timestamp::from_second(day * 86_400).ok()
    }

    pub fn forget_day(&mut self) {
        (self.daily_pnl_used, self.realized_pnl, self.trades_today) = (None, None, None);
        for family in ["thunes_daily_pnl_used", "thunes_realized_pnl"] {
            self.family_sources.remove(family);
        }
    }

    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// How much it wants attention: trading that is halted, and a source that cannot be read, are trouble; what may halt
    /// it soon is worth a look.
    pub fn severity(&self) -> Severity {
        let half_open = self.breakers.iter().flatten().any(|(_, state)| *state != BreakerState::Closed);
        match () {
            () if self.halted() || !self.is_good() => Severity::Trouble,
            () if half_open || !self.disconnected().is_empty() => Severity::Attention,
            () => Severity::Fine,
        }
    }

    pub fn word(&self) -> &'static str {
        match () {
            () if self.halted() => "halted",
            () if !self.is_good() => "incomplete",
            () => "read",
        }
    }

    /// What halts trading or may do so, a few words each: the kill switch, breakers, WebSockets, the share of the loss limit.
    pub fn risks(&self) -> Vec<String> {
        let mut risks = Vec::from_iter(self.switched_off().then(|| KILL_SWITCH_ACTIVE.to_owned()));
        let breakers = self.breakers.iter().flatten().filter(|(_, state)| **state != BreakerState::Closed);
        risks.extend(breakers.map(|(name, state)| format!("breaker {name} {}", state.as_str())));
        let symbols = self.disconnected();
        if !symbols.is_empty() {
            risks.push(format!("WebSocket of {} disconnected", first_of(&symbols, MOST_SYMBOLS)));
        }
        risks.extend(self.daily_pnl_used.map(|used| format!("{:.0} % of the loss limit used", used * 100.0)));
        risks
    }

    /// Whether no order can go out: by the kill switch, an open breaker, or a loss limit that is used up.
    pub fn halted(&self) -> bool {
        let open = |breakers: &BTreeMap<_, _>| breakers.values().any(|state| *state == BreakerState::Open);
        self.switched_off() || self.breakers.as_ref().is_some_and(open) || self.limit_reached()
    }

    pub fn switched_off(&self) -> bool {
        self.kill_switch.as_ref().is_some_and(|switch| switch.active)
    }

    pub fn limit_reached(&self) -> bool {
        self.daily_pnl_used.is_some_and(|used| used >= 1.0)
    }

    pub fn orders_placed(&self) -> Option<u64> {
        let orders = self.orders.as_ref()?.iter();
        Some(orders.fold(0, |sum, order| order.count.saturating_add(sum)))
    }

    pub fn disconnected(&self) -> Vec<&str> {
        let sockets = self.ws_connected.iter().flatten().filter(|(_, connected)| !**connected);
        sockets.map(|(symbol, _)| symbol.as_str()).collect()
    }
}
