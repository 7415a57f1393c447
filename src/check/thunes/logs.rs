//! What the records of a log add up to: orders and their latency, breakers, WebSocket states.
//!
//! A record is a line that begins with a time, or a JSON object; other lines go on with the message of the record before
//! them and are never records themselves, whatever they quote.

use jiff::Timestamp;

use super::json::Object;
use super::tail::Line;
use super::tally::{Format, Tally, add_orders, cut, label};
use super::times;
use crate::model::thunes::{ORDER_LATENCY_BUCKETS, OpenRecord, OrderCount, PendingOrder, WS_GAP_BUCKETS};

/// The exchange that the application trades on; its logs do not name it.
const VENUE: &str = "binance";

const UNKNOWN: &str = "unknown";

/// Orders announced and not answered; more than that were never answered.
const MAX_PENDING: usize = 64;

const MAX_LOGGER_BYTES: usize = 200;

const MAX_MESSAGE_BYTES: usize = 8 << 10;

const PLACING: &str = "Placing order: ";

impl Tally {
    pub(super) fn log_line(&mut self, line: Line<'_>) {
        let Line::Whole(bytes) = line else {
            self.totals.open_record = None;
            return;
        };
        let (text, is_json) = (String::from_utf8_lossy(bytes), bytes.first() == Some(&b'{'));
        if !is_json && !times::is_shaped(bytes) {
            return self.goes_on(&text);
        }
        self.totals.open_record = None;
        if is_json {
            if let Some(object) = Object::parse(bytes, &mut String::new())
                && let (Some(written), Some(message)) = (object.text("asctime"), object.text("message"))
            {
                self.record(&written, &object.text("name").unwrap_or_default(), &message);
            }
        // `TIME - NAME - LEVEL - MESSAGE`.
        } else if let [written, logger, _, message] = text.splitn(4, " - ").collect::<Vec<_>>()[..] {
            self.record(written, logger, message);
        }
    }

    fn record(&mut self, written: &str, logger: &str, message: &str) {
        let at = self.instant(written);
        let logger = cut(logger, MAX_LOGGER_BYTES);
        if message.starts_with(PLACING) || message.starts_with("First WebSocket message received: ") {
            // What matters stands in braces, which may close on a later line.
            self.totals.open_record = Some(OpenRecord { logger: logger.to_owned(), at, message: String::new() });
            self.goes_on(message);
        } else if message.starts_with("Order executed: ") {
            self.executed(logger, at);
        } else if message.starts_with("Order failed: ") {
            self.answered(logger);
        } else if let Some(rest) = message.strip_prefix("Circuit breaker '") {
            // `BinanceAPI' state changed: closed -> open`.
            if let Some((name, change)) = rest.split_once("' state changed: ")
                && let Some((_, state)) = change.split_once(" -> ")
            {
                self.breaker(name, Some(state.trim()), at);
            }
        } else if let Some(symbol) = message.strip_prefix("Started bookTicker stream for ") {
            self.connected(symbol.split_whitespace().next().unwrap_or_default(), true, at);
        } else if let Some(rest) = message.strip_prefix("WebSocket unhealthy: no messages for ") {
            self.unhealthy(rest);
            self.disconnected(at);
        } else if message.starts_with("Stopped WebSocket stream") || message.starts_with("Max reconnection attempts") {
            self.disconnected(at);
        }
    }

    /// One more line of the message that is still open, if one is.
    fn goes_on(&mut self, line: &str) {
        let Some(mut open) = self.totals.open_record.take() else { return };
        if !open.message.is_empty() {
            open.message.push('\n');
        }
        open.message.push_str(cut(line, MAX_MESSAGE_BYTES.saturating_sub(open.message.len())));
        if line.contains('}') || open.message.len() >= MAX_MESSAGE_BYTES {
            self.braced(open);
        } else {
            self.totals.open_record = Some(open);
        }
    }

    fn braced(&mut self, OpenRecord { logger, at, message }: OpenRecord) {
        if message.starts_with(PLACING) {
            let known = |key| python_value(&message, key).map_or_else(|| UNKNOWN.to_owned(), label);
            let order = PendingOrder { logger, order_type: known("type"), side: known("side"), at };
            if self.totals.pending.len() >= MAX_PENDING {
                self.totals.pending.remove(0);
            }
            self.totals.pending.push(order);
        } else if let Some(symbol) = python_value(&message, "s") {
            self.connected(symbol, true, at);
        }
    }

    fn executed(&mut self, logger: &str, at: Option<Timestamp>) {
        // Announced in lines that are gone, it is an order all the same.
        let PendingOrder { order_type, side, at: placed_at, .. } = self.answered(logger).unwrap_or_else(|| {
            let [order_type, side] = [UNKNOWN; 2].map(str::to_owned);
            PendingOrder { order_type, side, ..PendingOrder::default() }
        });
        add_orders(&mut self.totals.orders, OrderCount { venue: VENUE.to_owned(), order_type, side, count: 1 });
        if let (Some(from), Some(to)) = (placed_at, at)
            && to >= from
        {
            let latency = to.duration_since(from).as_secs_f64() * 1000.0;
            self.totals.latency.observe(ORDER_LATENCY_BUCKETS, latency);
        }
    }

    fn answered(&mut self, logger: &str) -> Option<PendingOrder> {
        let pending = &mut self.totals.pending;
        let at = pending.iter().position(|order| order.logger == logger)?;
        Some(pending.remove(at))
    }

    /// Such messages name no symbol: they are about the stream, and so about every symbol on it.
    fn disconnected(&mut self, at: Option<Timestamp>) {
        let symbols: Vec<String> = self.totals.ws.keys().cloned().collect();
        for symbol in symbols {
            self.connected(&symbol, false, at);
        }
    }

    /// `60s`: the gap is at least that long. It is reported again as long as it lasts; it counts once.
    fn unhealthy(&mut self, rest: &str) {
        let number: &str = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next().unwrap_or_default();
        if let Ok(seconds) = number.parse::<f64>()
            && seconds < 1e9
            && !self.totals.in_gap
        {
            self.totals.gaps.observe(WS_GAP_BUCKETS, seconds);
            self.totals.in_gap = true;
        }
    }

    /// When a record was written. Every record is asked, used or not: in the hour that clocks repeat only those before it
    /// tell.
    fn instant(&mut self, written: &str) -> Option<Timestamp> {
        let Format::Log(zone) = &self.format else { return None };
        let at = times::local(written, zone, self.totals.last_record)?;
        self.totals.last_record = Some(at);
        Some(at)
    }
}

/// The text of a key in a Python dictionary as `str()` writes it: `{'symbol': 'BTCUSDT', …}`. JSON's quotes do too.
fn python_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let braces = &text[text.find('{')?..];
    ['\'', '"'].iter().find_map(|quote| {
        let after = braces.split_once(&format!("{quote}{key}{quote}:"))?.1.trim_start();
        let open = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        after[1..].split_once(open).map(|(value, _)| value)
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::check::thunes::tail::Lines;
    use crate::model::thunes::{BreakerState, Totals};

    fn totals_of(lines: &str) -> Totals {
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database");
        let mut totals = Totals::default();
        // Through the state after every line, as if each came in a pass of its own.
        for line in lines.lines() {
            let mut log = Tally::new(Format::Log(zone.clone()), totals, Timestamp::UNIX_EPOCH);
            log.line(Line::Whole(line.as_bytes()));
            let text = serde_json::to_string(&log.totals).expect("serialised");
            totals = serde_json::from_str(&text).expect("read back");
        }
        totals
    }

    #[test]
    fn an_order_counts_when_it_is_executed_and_takes_as_long_as_its_records_say() {
        let totals = totals_of(
            "2025-10-08 14:38:22 - src.live.paper_trader - INFO - Placing order: {'symbol': 'BTCUSDT', 'side': 'BUY', 'type': 'MARKET', 'quantity': 0.001}
2025-10-08 14:38:22 - src.live.other - INFO - Order executed: 99
2025-10-08 14:38:23 - src.live.paper_trader - INFO - Order executed: 12345678
2025-10-08 14:38:30 - src.live.paper_trader - INFO - Placing order: {'symbol': 'ETHUSDT',
 'side': 'SELL',
2025 is no time and this line no record: Order executed: 5
 'type': 'LIMIT'}
2025-10-08 14:38:30 - src.live.paper_trader - ERROR - Order failed: APIError(code=-2010)
Traceback (most recent call last):
  Order executed: 1
{\"asctime\": \"2025-10-08 14:39:00,250\", \"name\": \"t\", \"levelname\": \"INFO\", \"message\": \"Placing order: {'symbol': 'X', 'side': 'SELL', 'type': 'LIMIT'}\"}
{\"asctime\": \"2025-10-08 14:39:00,750\", \"name\": \"t\", \"levelname\": \"INFO\", \"message\": \"Order executed: 7\"}",
        );
        let orders: Vec<_> = totals.orders.iter().map(|o| (o.order_type.as_str(), o.side.as_str(), o.count)).collect();
        assert_eq!(orders, [("unknown", "unknown", 1), ("MARKET", "BUY", 1), ("LIMIT", "SELL", 1)]);
        assert_eq!((totals.latency.count(), totals.latency.sum, totals.latency.counts[7]), (2, 1500.0, 1));
        assert!(totals.pending.is_empty());
        assert_eq!(totals.last_record, Some("2025-10-08T12:39:00.75Z".parse().expect("a time")));
    }

    #[test]
    fn breakers_and_streams_have_the_state_of_their_last_record() {
        let totals = totals_of(
            "2025-10-26 02:30:00 - cb - WARNING - Circuit breaker 'BinanceAPI' state changed: closed -> open
2025-10-26 02:10:00 - cb - WARNING - Circuit breaker 'BinanceAPI' state changed: open -> half-open
2025-10-26 02:30:00 - ws - INFO - Started bookTicker stream for BTCUSDT
2025-10-26 02:30:01 - ws - INFO - First WebSocket message received: {'u': 1, 's': 'ETHUSDT', 'b': '1'}
2025-10-26 02:35:00 - ws - WARNING - WebSocket unhealthy: no messages for 60s
2025-10-26 02:35:30 - ws - WARNING - WebSocket unhealthy: no messages for 90s
2025-10-26 02:36:00 - ws - INFO - Started bookTicker stream for BTCUSDT
2025-10-26 02:37:00 - ws - INFO - say: Stopped WebSocket stream",
        );
        let breaker = &totals.breakers["BinanceAPI"];
        assert_eq!(breaker.value, Some(BreakerState::HalfOpen));
        // The second record lies in the repeated hour's second run.
        assert_eq!(breaker.at, Some("2025-10-26T01:10:00Z".parse().expect("a time")));
        assert!(totals.ws["BTCUSDT"].value && !totals.ws["ETHUSDT"].value);
        assert_eq!((totals.gaps.count(), totals.gaps.sum), (1, 60.0));
        assert!(!totals_of("2025-01-01 00:00:00 - ws - INFO - Started bookTicker stream for A\n2025-01-01 00:00:01 - ws - INFO - Stopped WebSocket stream").ws["A"].value);
    }
}
