//! The events of a journal.

use jiff::Timestamp;

use super::json::Object;
use super::tail::{Line, Lines};
use super::tally::{Tally, add_decisions, add_orders, cut, label};
use super::times;
use crate::model::thunes::{DecisionCount, KillSwitch, ORDER_LATENCY_BUCKETS, OrderCount, WS_GAP_BUCKETS};

/// Events that are evidence on the kill switch, or can be.
const EVIDENCE: [&str; 4] = ["KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED", "TRADE_APPROVED", "TRADE_REJECTED"];

/// What is kept of a reason or a name; the longest known one has 29 bytes.
const MAX_REASON_BYTES: usize = 200;

/// No latency or gap is longer than a year, in milliseconds; what is, is a clock gone wrong.
const MAX_OBSERVATION: f64 = 3.2e10;

impl Tally {
    pub(super) fn journal_line(&mut self, line: Line<'_>) {
        let lines = &mut self.totals.lines;
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong => {
                lines.too_long = lines.too_long.saturating_add(1);
                return self.lost("a line over 1 MiB was not read");
            }
            Line::Hole => return self.lost("it has NUL bytes where lines may have been, as after a crash"),
        };
        match Object::parse(bytes, &mut String::new()) {
            Some(object) => {
                lines.ok = lines.ok.saturating_add(1);
                self.event(&object);
            }
            None => {
                lines.malformed = lines.malformed.saturating_add(1);
                if !is_harmless(bytes) {
                    self.lost("a malformed line may have been any event");
                }
            }
        }
    }

    /// The record's time, which is also that of whatever was written before it.
    fn passed(&mut self, at: Timestamp) {
        let last = self.totals.last_record;
        if !self.late && at <= self.now {
            let bound = last.map_or(at, |last| last.max(at));
            for doubt in [&mut self.totals.kill_switch.doubt, &mut self.totals.breaker_doubt].into_iter().flatten() {
                doubt.before = doubt.before.min(bound);
            }
        }
        if !(self.late && last.is_some_and(|known| known > at)) {
            self.totals.last_record = Some(at);
        }
    }

    fn event(&mut self, object: &Object<'_>) {
        let at = object.text("timestamp").and_then(|text| times::utc(&text));
        if let Some(at) = at {
            self.passed(at);
        }
        let Some(event) = object.text("event") else { return };
        match &*event {
            "TRADE_APPROVED" => {
                self.decided("approved", "");
                self.evidence(&event, false, at, None);
            }
            "TRADE_REJECTED" => {
                let reason = object.text("reason").unwrap_or("unknown".into());
                match &*reason {
                    "kill_switch_active" => self.evidence(&event, true, at, None),
                    "circuit_breaker_open" => self.breaker_status(object, at),
                    _ => {}
                }
                self.decided("rejected", &reason);
            }
            "KILL_SWITCH_ACTIVATED" | "KILL_SWITCH_DEACTIVATED" => {
                self.breaker_status(object, at);
                let reason = object.text("reason").unwrap_or_default();
                self.evidence(&event, event == "KILL_SWITCH_ACTIVATED", at, Some(&reason));
            }
            "ORDER_PLACED" => self.ordered(object),
            "WS_CONNECTED" | "WS_DISCONNECTED" => {
                self.totals.instrumented = true;
                let symbol = object.text("symbol").unwrap_or_default();
                self.connected(&symbol, event == "WS_CONNECTED", at);
            }
            "WS_GAP" => {
                self.totals.instrumented = true;
                if let Some(gap) = observation(object, "gap_seconds") {
                    self.totals.gaps.observe(WS_GAP_BUCKETS, gap);
                }
            }
            "CIRCUIT_BREAKER" => match object.text("breaker_name") {
                Some(name) => self.breaker(&name, object.text("state").as_deref(), at),
                None => self.totals.breakers.clear(),
            },
            _ => {}
        }
    }

    fn decided(&mut self, decision: &str, reason: &str) {
        let (decision, reason) = (decision.to_owned(), label(reason));
        add_decisions(&mut self.totals.decisions, DecisionCount { decision, reason, count: 1 });
    }

    /// Takes an event that says whether the kill switch is active. A `reason` is that of a change.
    fn evidence(&mut self, event: &str, active: bool, at: Option<Timestamp>, reason: Option<&str>) {
        let kill = &mut self.totals.kill_switch;
        if self.late
            && let Some(last) = &kill.last
        {
            match (last.evidence_at, at) {
                (Some(known), Some(at)) if at < known => return,
                (Some(known), Some(at)) if at > known => {}
                _ if last.active == active => return,
                _ => {
                    return self
                        .lost("two events on the kill switch contradict each other, and nothing tells which is newer");
                }
            }
        }
        let known = kill.last.take_if(|last| last.active == active && kill.doubt.is_none());
        let (since, reason) = match reason {
            // What brought it into this state stands, whatever has confirmed it since.
            None => known.map(|known| (known.since, known.reason)).unwrap_or_default(),
            Some(reason) => (at, Some(cut(reason, MAX_REASON_BYTES).to_owned()).filter(|reason| !reason.is_empty())),
        };
        let evidence = Some(event.to_owned());
        kill.last = Some(KillSwitch { active, since, age_seconds: None, reason, evidence, evidence_at: at });
        if !self.late || kill.doubt.as_ref().is_some_and(|doubt| at.is_some_and(|at| at > doubt.before)) {
            kill.doubt = None;
        }
    }

    /// `circuit_breaker_status`: {name: {state, …}}.
    fn breaker_status(&mut self, object: &Object<'_>, at: Option<Timestamp>) {
        let Some(status) = object.object("circuit_breaker_status") else { return };
        for (name, breaker) in status.members() {
            let state = breaker.and_then(|breaker| breaker.text("state"));
            self.breaker(&name, state.as_deref(), at);
        }
    }

    fn ordered(&mut self, object: &Object<'_>) {
        self.totals.instrumented = true;
        let [venue, order_type, side] = ["venue", "order_type", "side"]
            .map(|key| object.text(key).map_or_else(|| "unknown".to_owned(), |text| label(&text)));
        add_orders(&mut self.totals.orders, OrderCount { venue, order_type, side, count: 1 });
        if let Some(latency) = observation(object, "latency_ms") {
            self.totals.latency.observe(ORDER_LATENCY_BUCKETS, latency);
        }
    }
}

fn observation(object: &Object<'_>, key: &str) -> Option<f64> {
    object.number(key).filter(|value| (0.0..MAX_OBSERVATION).contains(value))
}

/// Whether a malformed or unfinished line is certain to be no evidence: it is blank, or whatever was written to it names
/// another event before its damage.
///
/// A line that was torn has the next one behind it, so every opening brace may begin a record. A backslash may hide a name, and
/// a control character stands for bytes that are lost: with one of these nothing is certain.
pub(super) fn is_harmless(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    if line.contains(|c: char| c == '\\' || c.is_control() && c != '\t') {
        return false;
    }
    let mut pieces = line.split('{');
    let before = pieces.next().unwrap_or_default();
    before.trim().is_empty() && pieces.all(names_another_event)
}

/// Whether a record that begins like this has exactly one `event`, whole and another one than the evidence.
fn names_another_event(record: &str) -> bool {
    const KEY: &str = "\"event\"";
    let Some((before, after)) = record.split_once(KEY) else { return false };
    let is_key = matches!(before.trim_end().chars().next_back(), None | Some(','));
    let value = after.trim_start().strip_prefix(':').and_then(|value| value.trim_start().strip_prefix('"'));
    let Some((name, rest)) = value.and_then(|value| value.split_once('"')) else { return false };
    is_key && !rest.contains(KEY) && !EVIDENCE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::thunes::tally::Format;
    use crate::model::thunes::{BreakerState, KillState, Totals};

    fn now() -> Timestamp {
        "2025-10-09T00:00:00Z".parse().expect("a time")
    }

    fn journal(lines: &[&str]) -> Totals {
        let mut journal = Tally::new(Format::Journal, Totals::default(), now());
        for line in lines {
            journal.line(Line::Whole(line.as_bytes()));
        }
        journal.totals
    }

    #[test]
    fn orders_latency_and_gaps_are_counted_by_their_labels() {
        let totals = journal(&[
            r#"{"timestamp":"2025-10-08T14:38:22.5","event":"ORDER_PLACED","venue":"binance","order_type":"MARKET","side":"BUY","latency_ms":25,"symbol":"BTCUSDT"}"#,
            r#"{"timestamp":"2025-10-08T14:38:23","event":"ORDER_PLACED","venue":"binance","order_type":"MARKET","side":"BUY","latency_ms":NaN}"#,
            r#"{"timestamp":"2025-10-08T14:38:24","event":"ORDER_PLACED","latency_ms":-3}"#,
            r#"{"timestamp":"2025-10-08T14:38:25","event":"WS_GAP","symbol":"BTCUSDT","gap_seconds":61.5}"#,
            r#"{"timestamp":"2025-10-08T14:38:26","event":"SOMETHING_NEW","x":[1]}"#,
            r#"{"event":"HEARTBEAT","tor"#,
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
        assert!(totals.instrumented && totals.kill_switch == KillState::default());
    }

    #[test]
    fn the_newest_evidence_on_the_kill_switch_stands_and_brings_the_breakers_along() {
        let lines = [
            r#"{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","reason":"daily loss","daily_pnl":NaN,"circuit_breaker_status":{"BinanceAPI":{"state":"open","fail_counter":Infinity},"WS":{"state":"half-open"},"odd":{"state":"ajar"},"none":7}}"#,
            r#"{"timestamp":"2025-10-08T14:01:00","event":"TRADE_REJECTED","reason":"circuit_breaker_open","circuit_breaker_status":{"WS":{"state":"closed"}}}"#,
            r#"{"timestamp":"2025-10-08T14:01:15","event":"TRADE_REJECTED","reason":"kill_switch_active"}"#,
            r#"{"timestamp":"2025-10-08T14:01:30","event":"TRADE_APPROVED","symbol":"BTCUSDT"}"#,
            r#"{"timestamp":"2025-10-08T14:02:00","event":"TRADE_REJECTED","reason":"kill_switch_active"}"#,
        ];
        let last = |count: usize| journal(&lines[..count]).kill_switch.last.expect("evidence");
        let activated = last(3);
        assert_eq!((activated.active, activated.evidence.as_deref()), (true, Some("TRADE_REJECTED")));
        // Confirmed since, but activated then and for that.
        assert_eq!((activated.since, activated.reason.as_deref()), (last(1).evidence_at, Some("daily loss")));
        assert_eq!((last(4).active, last(4).evidence.as_deref(), last(4).since), (false, Some("TRADE_APPROVED"), None));
        assert_eq!((last(5).active, last(5).since, last(5).reason), (true, None, None));
        let totals = journal(&lines);
        let states: Vec<_> = totals.breakers.iter().map(|(name, b)| (name.as_str(), b.value)).collect();
        assert_eq!(
            states,
            [
                ("BinanceAPI", Some(BreakerState::Open)),
                ("WS", Some(BreakerState::Closed)),
                ("none", None),
                ("odd", None)
            ]
        );
        let decisions: Vec<_> =
            totals.decisions.iter().map(|d| (d.decision.as_str(), d.reason.as_str(), d.count)).collect();
        assert_eq!(
            decisions,
            [("rejected", "circuit_breaker_open", 1), ("rejected", "kill_switch_active", 2), ("approved", "", 1)]
        );
    }

    #[test]
    fn what_may_have_been_any_event_is_a_doubt_until_the_next_evidence() {
        let activation = r#"{"timestamp":"2025-10-08T14:00:00","event":"KILL_SWITCH_ACTIVATED","reason":"daily loss"}"#;
        let next = r#"{"timestamp":"2025-10-08T14:00:05","event":"HEARTBEAT"}"#;
        let approved = r#"{"timestamp":"2025-10-08T14:00:06","event":"TRADE_APPROVED"}"#;
        for cut in 1..activation.len() {
            let torn = format!("{}{next}", &activation[..cut]);
            let doubt = journal(&[next, &torn]).kill_switch.doubt.unwrap_or_else(|| panic!("{torn}"));
            assert_eq!(doubt.before, now(), "nothing came after it");
            let doubt = journal(&[&torn, next]).kill_switch.doubt.expect("as well");
            assert_eq!(doubt.before, "2025-10-08T14:00:05Z".parse().expect("a time"));
            let ended = journal(&[&torn, approved]).kill_switch;
            assert!(ended.doubt.is_none() && !ended.last.expect("evidence").active, "{torn}");
            let mut waiting = Tally::new(Format::Journal, Totals::default(), now());
            waiting.unfinished(Some(&activation.as_bytes()[..cut]), false);
            assert!(waiting.is_waiting, "{cut}");
        }
    }

    #[test]
    fn what_could_not_be_read_leaves_no_breaker_and_no_stream_known() {
        let lines = [
            r#"{"timestamp":"2025-10-08T14:00:00","event":"CIRCUIT_BREAKER","breaker_name":"A","state":"closed"}"#,
            r#"{"timestamp":"2025-10-08T14:00:00","event":"WS_CONNECTED","symbol":"BTCUSDT"}"#,
        ];
        let known = journal(&lines);
        assert!(known.breaker_doubt.is_none() && !known.breakers.is_empty() && !known.ws.is_empty());
        for line in [Line::TooLong, Line::Hole, Line::Whole(b"\xff\xfe{\0"), Line::Whole(b"<html>")] {
            let mut journal = Tally::new(Format::Journal, known.clone(), now());
            journal.line(line);
            let totals = journal.totals;
            assert!(totals.breaker_doubt.is_some() && totals.breakers.is_empty() && totals.ws.is_empty(), "{line:?}");
        }
    }

    #[test]
    fn a_late_event_does_not_overturn_a_newer_one() {
        let mut journal = Tally::new(Format::Journal, Totals::default(), now());
        let event = |at: &str, name: &str| format!(r#"{{"timestamp":"{at}","event":"{name}","symbol":"X"}}"#);
        journal.line(Line::Whole(event("2025-10-08T14:00:00", "KILL_SWITCH_ACTIVATED").as_bytes()));
        journal.line(Line::Whole(event("2025-10-08T14:00:00", "WS_CONNECTED").as_bytes()));
        journal.late(true);
        journal.line(Line::Whole(event("2025-10-08T13:59:00", "KILL_SWITCH_DEACTIVATED").as_bytes()));
        journal.line(Line::Whole(event("2025-10-08T13:59:00", "WS_DISCONNECTED").as_bytes()));
        let totals = journal.totals.clone();
        assert!(totals.kill_switch.last.as_ref().expect("an activation").active && totals.ws["X"].value);
        assert!(totals.kill_switch.doubt.is_none());
        assert_eq!(totals.last_record, Some("2025-10-08T14:00:00Z".parse().expect("a time")));
        journal.line(Line::Whole(event("yesterday", "KILL_SWITCH_DEACTIVATED").as_bytes()));
        assert!(journal.totals.kill_switch.doubt.is_some(), "it may be the newest");
    }

    #[test]
    fn only_a_line_whose_every_record_names_another_event_is_harmless() {
        for (line, expected) in [
            ("", true),
            ("  \t", true),
            (r#"{"timestamp":"2025-10-08T14:00:00","event":"HEARTBEAT","x":tru"#, true),
            (r#"{"event": "WS_GAP", "x": 1{"timestamp": "2025", "event" : "HEARTBEAT"}"#, true),
            (r#"{"event":"HEARTBEAT"#, false),
            (r#"{"timestamp":"2025-10-08T14:0{"timestamp":"2025","event":"HEARTBEAT"}"#, false),
            (r#"{"timestamp":"2025","event":"HEARTBEAT"}{"#, false),
            (r#"{"event":"HEARTBEAT","event":"KILL_SW"#, false),
            (r#"{"event":"KILL\u005fSWITCH_ACTIVATED","x":tru"#, false),
            (r#"{"event":"TRADE_REJECTED","reason":"kill_sw"#, false),
            (r#"{"event":"TRADE_APPROVED","x"#, false),
            (r#"{"event":1,"x"#, false),
            (r#"{"no \"event\":"HEARTBEAT""#, false),
            (r#"{"note":"of an "event":"HEARTBEAT""#, false),
            ("<html>", false),
            ("[]", false),
            ("null", false),
            ("{\"event\":\"HEARTBEAT\",\"x\":\"\0\0\"", false),
        ] {
            assert_eq!(is_harmless(line.as_bytes()), expected, "{line}");
        }
        assert!(!is_harmless(b"{\"event\":\"HEARTBEAT\",\"x\":\"\xff\""));
    }
}
