//! What one look at an environment found: values that are exact, and nothing where a value is not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::memory::{BreakerState, DecisionCount, Histogram, LineCounts, OrderCount};
use crate::model::checkup::age;
use crate::model::observation::Severity;
use crate::wording::first_of;

/// What the kill switch is called where a few words have to do.
const KILL_SWITCH_ACTIVE: &str = "kill switch active";

/// Symbols named one by one; the rest is a number.
const MOST_SYMBOLS: usize = 5;

/// What one look found. `None` means: could not be told, so there is no sample; never 0 instead.
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
    /// Why its state is not known, where it is not.
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
    /// Order latency in milliseconds.
    pub order_latency: Option<Histogram>,
    /// WebSocket by symbol: connected or not.
    pub ws_connected: Option<BTreeMap<String, bool>>,
    /// Gaps between WebSocket messages in seconds.
    pub ws_gaps: Option<Histogram>,
    pub decisions: Option<Vec<DecisionCount>>,
    /// Every journal that has ever been read.
    pub journals: Vec<JournalFacts>,
}

/// Positions closed on the current UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradesToday {
    pub closed: u64,
    /// Of these, with a profit.
    pub won: u64,
}

/// How one source fared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFacts {
    /// The `source` label.
    pub name: String,
    pub up: bool,
    /// Why not, or what else to know about it.
    pub problem: Option<String>,
    /// The time that its newest record states, where records have one.
    pub last_record: Option<Timestamp>,
    /// Rotated parts that were gone before their end could be read; `None` for a source that is not rotated.
    pub gaps: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KillSwitch {
    pub active: bool,
    /// When it last changed, where that is known.
    pub since: Option<Timestamp>,
    /// How long ago that was at the time of the look, in whole seconds.
    pub age_seconds: Option<u64>,
    /// Why it was activated, in the application's words.
    pub reason: Option<String>,
    /// The newest evidence: an event's name, or `metrics_url`; none if no readable journal has any.
    pub evidence: Option<String>,
    /// When that was, by its own time.
    pub evidence_at: Option<Timestamp>,
}

/// Why the state of the kill switch is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// The start of the first pass since which it is not.
    pub since: Timestamp,
    /// The sources that could say otherwise, a sentence each.
    pub why: Vec<String>,
}

impl Unknown {
    /// Since when, why, and what ends it.
    pub fn sentence(&self) -> String {
        format!(
            "whether the kill switch is active is unknown since {}: {}; the next KILL_SWITCH event, TRADE_APPROVED, or \
             TRADE_REJECTED with reason kill_switch_active ends this once every source can be read",
            self.since.strftime("%Y-%m-%d %H:%M:%S UTC"),
            self.why.join("; ")
        )
    }

    /// The same, with how long that is at `now`.
    pub fn lasting(&self, now: Timestamp) -> String {
        format!("{} (for {})", self.sentence(), age(now.duration_since(self.since).as_secs_f64()))
    }
}

/// Lines of one journal so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JournalFacts {
    /// The path as the config has it.
    pub name: String,
    pub lines: LineCounts,
}

impl KillSwitch {
    /// Active since when, for how long and why, as far as that is known, and by which evidence if it is newer.
    fn summary(&self) -> String {
        if !self.active {
            return format!("kill switch off{}", self.evidence_summary());
        }
        let since = self.since.map(|at| format!(" since {}", shown(at)));
        #[expect(clippy::cast_precision_loss, reason = "an age is far below 2^53 seconds")]
        let age = self.age_seconds.map(|seconds| format!(", {} ago", age(seconds as f64)));
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})"));
        let evidence = (self.evidence_at != self.since || self.since.is_none()).then(|| self.evidence_summary());
        format!("kill switch active{}", [since, age, reason, evidence].into_iter().flatten().collect::<String>())
    }

    fn evidence_summary(&self) -> String {
        let at = self.evidence_at.map(|at| format!(" of {}", shown(at))).unwrap_or_default();
        self.evidence.as_ref().map(|event| format!(", by {event}{at}")).unwrap_or_default()
    }
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl ThunesFacts {
    /// Where the value of a family comes from, and that of the kill switch by which evidence; or why it is not known.
    pub fn origin(&self, family: &str, now: Timestamp) -> Option<String> {
        let is_switch = family == "thunes_kill_switch_active";
        if let Some(unknown) = self.kill_switch_unknown.as_ref().filter(|_| is_switch) {
            return Some(unknown.lasting(now));
        }
        let sources = self.family_sources.get(family)?.join(", ");
        let switch = self.kill_switch.as_ref().filter(|_| is_switch);
        Some(match switch {
            Some(switch) if switch.evidence.is_none() => {
                format!("{}, as {sources} has no event on it", switch.summary())
            }
            Some(switch) => format!("{}, by {sources}", switch.summary()),
            None => format!("from {sources}"),
        })
    }

    /// The facts of a look that the pass's deadline ended.
    pub fn cut_off(sentence: &str) -> Self {
        ThunesFacts { problems: vec![sentence.to_owned()], ..ThunesFacts::default() }
    }

    /// The UTC midnight after a look: from then on its values of the day are yesterday's.
    pub fn day_ends(checked_at: Timestamp) -> Option<Timestamp> {
        let tomorrow = TimeZone::UTC.to_datetime(checked_at).date().tomorrow().ok()?;
        TimeZone::UTC.to_timestamp(tomorrow.at(0, 0, 0, 0)).ok()
    }

    /// Leaves out the values of a day that is over.
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

    /// What was found, in one line: what halts trading, problems, then the rest of its state.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self.kill_switch.iter().map(KillSwitch::summary).collect();
        parts.extend(self.standing().into_iter().filter(|part| part != KILL_SWITCH_ACTIVE));
        parts.splice(if self.halted() { parts.len()..parts.len() } else { 0..0 }, self.problems.iter().cloned());
        if let Some(open) = self.open_positions {
            parts.push(format!("{open} open {}", if open == 1.0 { "position" } else { "positions" }));
        }
        if let Some(pnl) = self.realized_pnl {
            parts.push(format!("PnL today {pnl:+.2}"));
        }
        parts.extend(self.decisions_summary());
        parts.join("; ")
    }

    /// What halts trading or may do so, a few words each: the kill switch, breakers, WebSockets, the share of the loss limit.
    pub fn standing(&self) -> Vec<String> {
        let switch = self.kill_switch.iter().filter(|switch| switch.active).map(|_| KILL_SWITCH_ACTIVE.to_owned());
        let breakers = self.breakers.iter().flatten().filter(|(_, state)| **state != BreakerState::Closed);
        let breakers = breakers.map(|(name, state)| format!("breaker {name} {}", state.as_str()));
        let sockets = Some(self.disconnected()).filter(|symbols| !symbols.is_empty());
        let sockets = sockets.map(|symbols| format!("WebSocket of {} disconnected", first_of(&symbols, MOST_SYMBOLS)));
        let used = self.daily_pnl_used.map(|used| format!("{:.0} % of the loss limit used", used * 100.0));
        switch.chain(breakers).chain(sockets).chain(used).collect()
    }

    /// Whether no order can go out: by the kill switch, an open breaker, or a loss limit that is used up.
    pub fn halted(&self) -> bool {
        let open = |breakers: &BTreeMap<_, _>| breakers.values().any(|state| *state == BreakerState::Open);
        self.switched_off() || self.breakers.as_ref().is_some_and(open) || self.limit_reached()
    }

    fn switched_off(&self) -> bool {
        self.kill_switch.as_ref().is_some_and(|switch| switch.active)
    }

    fn limit_reached(&self) -> bool {
        self.daily_pnl_used.is_some_and(|used| used >= 1.0)
    }

    /// The symbols whose WebSocket is not connected.
    fn disconnected(&self) -> Vec<&str> {
        let sockets = self.ws_connected.iter().flatten().filter(|(_, connected)| !**connected);
        sockets.map(|(symbol, _)| symbol.as_str()).collect()
    }

    fn decisions_summary(&self) -> Option<String> {
        let decisions = self.decisions.as_ref()?;
        let total = |wanted: &str| {
            let counts = decisions.iter().filter(|d| d.decision == wanted).map(|d| d.count);
            counts.fold(0, u64::saturating_add)
        };
        let (approved, rejected) = (total("approved"), total("rejected"));
        let most = decisions.iter().filter(|d| d.decision == "rejected" && d.count > 0).max_by_key(|d| d.count);
        let most = most.map(|d| format!(" (most: {})", d.reason)).unwrap_or_default();
        (approved > 0 || rejected > 0).then(|| format!("{approved} approved, {rejected} rejected{most}"))
    }

    /// What to do, where something is to be done.
    pub fn hint(&self) -> Option<String> {
        let down = self.sources.iter().find(|source| !source.up && source.problem.is_some());
        match (self.is_good() || self.halted(), down) {
            (true, _) => self.hint_of_halt().map(str::to_owned),
            (false, Some(source)) => Some(format!("make {} readable for lab-probe, or correct its path", source.name)),
            (false, None) if self.sources.is_empty() => Some(
                "raise `timeout` of the [[thunes]] block or `probe.deadline`, if its files are so large".to_owned(),
            ),
            (false, None) => Some(
                "correct the file or setting that the sentence names; `lab-probe check --format json` has all of them"
                    .to_owned(),
            ),
        }
    }

    fn hint_of_halt(&self) -> Option<&'static str> {
        let breaker = self.breakers.iter().flatten().any(|(_, state)| *state != BreakerState::Closed);
        match () {
            () if self.switched_off() => Some(
                "read the newest KILL_SWITCH event of the audit trail for who halted trading and why; release it \
                 through the application",
            ),
            () if self.limit_reached() => {
                Some("the kill switch has to be active by now: see that it is; close positions by hand if it is not")
            }
            () if breaker => {
                Some("see whether what the breaker guards answers again; it closes by itself after a good call")
            }
            () if !self.disconnected().is_empty() => {
                Some("look for reconnection attempts in the trading log; restart the stream if they have ended")
            }
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(active: bool, breaker: BreakerState, connected: bool, used: f64) -> ThunesFacts {
        let since = Timestamp::from_second(1_795_000_000).ok();
        let switch = KillSwitch { active, since: since.filter(|_| active), ..KillSwitch::default() };
        ThunesFacts {
            kill_switch: Some(switch),
            breakers: Some(BTreeMap::from([("BinanceAPI".to_owned(), breaker)])),
            ws_connected: Some(BTreeMap::from([("BTCUSDT".to_owned(), connected)])),
            daily_pnl_used: Some(used),
            ..ThunesFacts::default()
        }
    }

    #[test]
    fn halted_trading_is_trouble_and_names_what_halts_it() {
        use BreakerState::{Closed, HalfOpen, Open};
        for (facts, word, severity, standing) in [
            (facts(false, Closed, true, 0.25), "read", Severity::Fine, "25 % of the loss limit used"),
            (
                facts(true, Open, false, 1.12),
                "halted",
                Severity::Trouble,
                "kill switch active, breaker BinanceAPI open, WebSocket of BTCUSDT disconnected, 112 % of the loss limit used",
            ),
            (
                facts(false, Open, true, 0.0),
                "halted",
                Severity::Trouble,
                "breaker BinanceAPI open, 0 % of the loss limit used",
            ),
            (facts(false, Closed, true, 1.0), "halted", Severity::Trouble, "100 % of the loss limit used"),
            (
                facts(false, HalfOpen, true, 0.0),
                "read",
                Severity::Attention,
                "breaker BinanceAPI half-open, 0 % of the loss limit used",
            ),
            (
                facts(false, Closed, false, 0.0),
                "read",
                Severity::Attention,
                "WebSocket of BTCUSDT disconnected, 0 % of the loss limit used",
            ),
        ] {
            assert_eq!((facts.word(), facts.severity()), (word, severity), "{standing}");
            assert_eq!(facts.standing().join(", "), standing);
            assert_eq!(facts.hint().is_none(), severity == Severity::Fine, "{standing}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_read_does_not_hide_that_trading_is_halted() {
        let unread =
            ThunesFacts { problems: vec!["logs/a.jsonl: no".into()], ..facts(true, BreakerState::Closed, true, 0.5) };
        assert_eq!(
            (unread.word(), unread.summary().as_str()),
            (
                "halted",
                "kill switch active since 2026-11-18 11:06:40 UTC; 50 % of the loss limit used; logs/a.jsonl: no"
            )
        );
        assert!(unread.hint().is_some_and(|hint| hint.contains("KILL_SWITCH")));
    }
}
