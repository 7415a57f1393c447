//! What the lines of a journal add up to.

use jiff::Timestamp;

use super::json::Object;
use super::tail::{Line, Lines, Tally};
use super::tally::{count_decision, count_order, cut, label};
use super::times;
use crate::model::thunes::{
    Breaker, BreakerState, JournalTotals, ORDER_LATENCY_BUCKETS, SwitchEvent, WS_GAP_BUCKETS, WsState,
};

/// A damaged line that holds this may have been an activation of the kill switch.
const KILL_SWITCH_MARK: &[u8] = b"KILL_SWITCH_";

/// What is kept of a reason or a name; the longest known one has 29 bytes.
const MAX_REASON_BYTES: usize = 200;

/// Breakers, or symbols, kept of one journal: more are no names any more but noise.
const MAX_NAMES: usize = 500;

/// No latency or gap is longer than a year, in milliseconds; what is, is a clock gone wrong.
const MAX_OBSERVATION: f64 = 3.2e10;

/// Adds up a journal, event by event.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) totals: JournalTotals,
    /// Events are compared by their own time, not by their place.
    late: bool,
    /// `timestamp` of the newest record of this look, as written; read at its end, not once a line.
    newest: Option<String>,
}

impl Journal {
    pub(super) fn new(totals: JournalTotals) -> Self {
        Journal { totals, ..Journal::default() }
    }

    /// The totals, complete.
    pub(super) fn finish(mut self) -> JournalTotals {
        self.settle_newest();
        self.totals
    }

    fn settle_newest(&mut self) {
        if let Some(at) = self.newest.take().and_then(|text| times::utc(&text))
            && !(self.late && self.totals.last_record.is_some_and(|known| known > at))
        {
            self.totals.last_record = Some(at);
        }
    }
}

impl Lines for Journal {
    fn line(&mut self, line: Line<'_>) {
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { marked } => {
                count(&mut self.totals.lines.too_long);
                if marked {
                    self.doubt("a line over 1 MiB speaks of it");
                }
                return;
            }
        };
        match Object::parse(bytes, &mut String::new()) {
            Some(object) => {
                count(&mut self.totals.lines.ok);
                self.record(&object);
            }
            None => {
                count(&mut self.totals.lines.malformed);
                if memchr::memmem::find(bytes, KILL_SWITCH_MARK).is_some() {
                    self.doubt("a malformed line speaks of it");
                }
            }
        }
    }

    fn marker(&self) -> &'static [u8] {
        KILL_SWITCH_MARK
    }
}

impl Tally for Journal {
    type Totals = JournalTotals;

    fn totals(&mut self) -> &mut JournalTotals {
        self.newest = None;
        &mut self.totals
    }

    fn late(&mut self, late: bool) {
        self.settle_newest();
        self.late = late;
    }

    /// Whatever was connected, open or active may have changed in the lines that are missing.
    fn lost(&mut self, why: &str) {
        self.doubt(why);
        self.totals.ws.clear();
        self.totals.breakers.clear();
    }
}

impl Journal {
    fn doubt(&mut self, why: &str) {
        self.totals.kill.doubt = Some(why.to_owned());
    }

    fn record(&mut self, object: &Object<'_>) {
        let written = object.text("timestamp");
        let Some(event) = object.text("event") else { return };
        match event.as_ref() {
            "TRADE_APPROVED" => self.decided(object, "approved"),
            "TRADE_REJECTED" => self.decided(object, "rejected"),
            "KILL_SWITCH_ACTIVATED" => self.switched(object, true),
            "KILL_SWITCH_DEACTIVATED" => self.switched(object, false),
            "ORDER_PLACED" => self.ordered(object),
            "WS_CONNECTED" => self.connected(object, true),
            "WS_DISCONNECTED" => self.connected(object, false),
            "WS_GAP" => self.gap(object),
            "CIRCUIT_BREAKER" => {
                if let (Some(name), Some(state)) = (object.text("breaker_name"), object.text("state")) {
                    self.breaker(&name, &state, at(object));
                }
            }
            _ => {}
        }
        // The last word of a look is its last time, not its last text.
        if let Some(written) = written.filter(|written| written.len() <= 40 && times::is_utc(written)) {
            let newest = self.newest.get_or_insert_default();
            newest.clear();
            newest.push_str(&written);
        }
    }

    fn decided(&mut self, object: &Object<'_>, decision: &str) {
        let reason = if decision == "rejected" { object.text("reason") } else { None };
        // An approval proves that the switch is off, and a rejection on its account that it is on; where nothing is in
        // doubt the events themselves are the better word.
        if self.totals.kill.doubt.is_some() {
            match reason.as_deref() {
                Some("kill_switch_active") => self.proved(object, true),
                None if decision == "approved" => self.proved(object, false),
                _ => {}
            }
        }
        if reason.as_deref() == Some("circuit_breaker_open") {
            self.breakers(object);
        }
        let unstated = if decision == "rejected" { "unknown" } else { "" };
        count_decision(&mut self.totals.decisions, decision, reason.as_deref().unwrap_or(unstated));
    }

    fn proved(&mut self, object: &Object<'_>, active: bool) {
        self.totals.kill.doubt = None;
        if self.totals.kill.last.as_ref().is_some_and(|last| last.active == active) {
            return;
        }
        // When it changed is not known, only that it had by now.
        let never_on = !active && self.totals.kill.last.is_none();
        let event = SwitchEvent { active, at: at(object), reason: None };
        self.totals.kill.last = (!never_on).then_some(event);
    }

    fn switched(&mut self, object: &Object<'_>, active: bool) {
        let at = at(object);
        self.breakers(object);
        if self.late && is_older(at, self.totals.kill.last.as_ref().and_then(|last| last.at)) {
            return;
        }
        let reason = object.text("reason").map(|reason| cut(&reason, MAX_REASON_BYTES).to_owned());
        self.totals.kill.last = Some(SwitchEvent { active, at, reason });
        self.totals.kill.doubt = None;
    }

    /// `circuit_breaker_status`: {name: {state, …}}.
    fn breakers(&mut self, object: &Object<'_>) {
        let Some(status) = object.object("circuit_breaker_status") else { return };
        let at = at(object);
        for (name, breaker) in status.objects() {
            if let Some(state) = breaker.text("state") {
                self.breaker(name, &state, at);
            }
        }
    }

    fn breaker(&mut self, name: &str, state: &str, at: Option<Timestamp>) {
        let name = label(name);
        let known = self.totals.breakers.get(&name);
        if (known.is_none() && self.totals.breakers.len() >= MAX_NAMES)
            || (self.late && is_older(at, known.and_then(|known| known.at)))
        {
            return;
        }
        self.totals.breakers.insert(name, Breaker { state: BreakerState::parse(state), at });
    }

    fn ordered(&mut self, object: &Object<'_>) {
        self.totals.instrumented = true;
        let named = |key: &str| object.text(key).unwrap_or("unknown".into());
        count_order(&mut self.totals.orders, &named("venue"), &named("order_type"), &named("side"));
        if let Some(latency) = observation(object, "latency_ms") {
            self.totals.latency.observe(ORDER_LATENCY_BUCKETS, latency);
        }
    }

    fn connected(&mut self, object: &Object<'_>, connected: bool) {
        self.totals.instrumented = true;
        let Some(symbol) = object.text("symbol").map(|symbol| label(&symbol)) else { return };
        let at = at(object);
        let known = self.totals.ws.get(&symbol);
        if (known.is_none() && self.totals.ws.len() >= MAX_NAMES)
            || (self.late && is_older(at, known.and_then(|known| known.at)))
        {
            return;
        }
        self.totals.ws.insert(symbol, WsState { connected, at });
    }

    fn gap(&mut self, object: &Object<'_>) {
        self.totals.instrumented = true;
        if let Some(gap) = observation(object, "gap_seconds") {
            self.totals.gaps.observe(WS_GAP_BUCKETS, gap);
        }
    }
}

fn count(lines: &mut u64) {
    *lines = lines.saturating_add(1);
}

fn at(object: &Object<'_>) -> Option<Timestamp> {
    object.text("timestamp").and_then(|text| times::utc(&text))
}

fn observation(object: &Object<'_>, key: &str) -> Option<f64> {
    object.number(key).filter(|value| (0.0..MAX_OBSERVATION).contains(value))
}

/// Whether an event is known to be older than another one.
fn is_older(event: Option<Timestamp>, known: Option<Timestamp>) -> bool {
    matches!((event, known), (Some(event), Some(known)) if event < known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(lines: &[&str]) -> JournalTotals {
        let mut journal = Journal::default();
        for line in lines {
            journal.line(Line::Whole(line.as_bytes()));
        }
        journal.finish()
    }

    #[test]
    fn orders_latency_and_gaps_are_counted_by_their_labels() {
        let totals = journal(&[
            r#"{"timestamp":"2025-10-08T14:38:22.5","event":"ORDER_PLACED","venue":"binance","order_type":"MARKET","side":"BUY","latency_ms":25,"symbol":"BTCUSDT"}"#,
            r#"{"timestamp":"2025-10-08T14:38:23","event":"ORDER_PLACED","venue":"binance","order_type":"MARKET","side":"BUY","latency_ms":NaN}"#,
            r#"{"timestamp":"2025-10-08T14:38:24","event":"ORDER_PLACED","latency_ms":-3}"#,
            r#"{"timestamp":"2025-10-08T14:38:25","event":"WS_GAP","symbol":"BTCUSDT","gap_seconds":61.5}"#,
            r#"{"timestamp":"2025-10-08T14:38:26","event":"SOMETHING_NEW","x":[1]}"#,
            "not json",
            "",
        ]);
        assert_eq!((totals.lines.ok, totals.lines.malformed), (5, 2));
        assert_eq!(
            totals.orders.iter().map(|o| (o.side.as_str(), o.count)).collect::<Vec<_>>(),
            [("BUY", 2), ("unknown", 1)]
        );
        assert_eq!((totals.latency.count(), totals.latency.counts[2], totals.latency.sum), (1, 1, 25.0));
        assert_eq!((totals.gaps.counts[8], totals.gaps.sum), (1, 61.5));
        assert_eq!(totals.last_record, Some("2025-10-08T14:38:26Z".parse().expect("a time")));
        assert!(totals.instrumented && totals.kill == Default::default());
    }

    #[test]
    fn the_last_word_on_the_kill_switch_stands_and_brings_the_breakers_along() {
        let totals = journal(&[
            r#"{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","reason":"daily loss","daily_pnl":NaN,"circuit_breaker_status":{"BinanceAPI":{"state":"open","fail_counter":5},"WS":{"state":"half-open"},"odd":{"state":"ajar"}}}"#,
            r#"{"timestamp":"2025-10-08T14:01:00","event":"TRADE_REJECTED","reason":"circuit_breaker_open","circuit_breaker_status":{"WS":{"state":"closed"}}}"#,
            r#"{"timestamp":"2025-10-08T14:01:30","event":"TRADE_APPROVED","symbol":"BTCUSDT"}"#,
        ]);
        let last = totals.kill.last.expect("an activation");
        assert_eq!((last.active, last.reason.as_deref()), (true, Some("daily loss")));
        let states: Vec<_> = totals.breakers.iter().map(|(name, b)| (name.as_str(), b.state)).collect();
        assert_eq!(
            states,
            [("BinanceAPI", Some(BreakerState::Open)), ("WS", Some(BreakerState::Closed)), ("odd", None)]
        );
        let decisions: Vec<_> =
            totals.decisions.iter().map(|d| (d.decision.as_str(), d.reason.as_str(), d.count)).collect();
        assert_eq!(decisions, [("rejected", "circuit_breaker_open", 1), ("approved", "", 1)]);
        let off = r#"{"timestamp":"2025-10-08T15:00:00","event":"KILL_SWITCH_DEACTIVATED","reason":"manual"}"#;
        assert!(!journal(&[off]).kill.last.expect("a deactivation").active);
    }

    #[test]
    fn a_damaged_line_about_the_kill_switch_puts_it_in_doubt_until_something_proves_its_state() {
        let torn = r#"{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","rea"#;
        let approved = r#"{"event":"TRADE_APPROVED"}"#;
        let refused = r#"{"timestamp":"2025-10-08T14:02:00","event":"TRADE_REJECTED","reason":"kill_switch_active"}"#;
        assert!(journal(&[torn]).kill.doubt.is_some());
        assert_eq!(journal(&[torn, approved]).kill, Default::default());
        let proved = journal(&[torn, refused]).kill;
        assert!(proved.doubt.is_none() && proved.last.expect("proved").active);
        // Without doubt, only the events themselves speak.
        assert_eq!(journal(&[refused]).kill, Default::default());
    }

    #[test]
    fn a_late_event_does_not_overturn_a_newer_one() {
        let mut journal = Journal::default();
        let event = |at: &str, name: &str| format!(r#"{{"timestamp":"{at}","event":"{name}","symbol":"X"}}"#);
        journal.line(Line::Whole(event("2025-10-08T14:00:00", "KILL_SWITCH_ACTIVATED").as_bytes()));
        journal.line(Line::Whole(event("2025-10-08T14:00:00", "WS_CONNECTED").as_bytes()));
        journal.late(true);
        journal.line(Line::Whole(event("2025-10-08T13:59:00", "KILL_SWITCH_DEACTIVATED").as_bytes()));
        journal.line(Line::Whole(event("2025-10-08T13:59:00", "WS_DISCONNECTED").as_bytes()));
        let totals = journal.finish();
        assert!(totals.kill.last.expect("an activation").active && totals.ws["X"].connected);
        assert_eq!(totals.last_record, Some("2025-10-08T14:00:00Z".parse().expect("a time")));
    }
}
