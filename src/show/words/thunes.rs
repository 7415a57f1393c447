//! A trading environment in words.

use jiff::Timestamp;

use crate::model::checkup::age;
use crate::model::thunes::{BreakerState, KILL_SWITCH_ACTIVE, KillSwitch, ThunesFacts};

impl ThunesFacts {
    /// What was found, in one line: what halts trading, problems, then the rest of its state.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self.kill_switch.iter().map(KillSwitch::summary).collect();
        parts.extend(self.risks().into_iter().filter(|part| part != KILL_SWITCH_ACTIVE));
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

impl KillSwitch {
    /// Active since when, for how long and why, as far as that is known, and by which evidence if it is newer.
    pub fn summary(&self) -> String {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::observation::Severity;

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
            assert_eq!(facts.risks().join(", "), standing);
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
