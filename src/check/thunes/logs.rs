//! What the records of a log add up to: orders and their latency, breakers, WebSocket states.
//!
//! A record is a line that begins with a time, or a JSON object; other lines go on with the message of the record before
//! them and are never records themselves, whatever they quote.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::journal::is_older;
use super::json::Object;
use super::tail::{Line, Lines, Tally};
use super::tally::{MAX_NAMES, count_order, cut, label};
use super::times;
use crate::model::thunes::{
    Breaker, BreakerState, Doubt, LogTotals, ORDER_LATENCY_BUCKETS, OpenRecord, PendingOrder, WS_GAP_BUCKETS, WsState,
};

/// The exchange that the application trades on; its logs do not name it.
const VENUE: &str = "binance";

/// What a log does not tell.
const UNKNOWN: &str = "unknown";

/// Orders announced and not answered; more than that were never answered.
const MAX_PENDING: usize = 64;

/// Bytes of a message that spans lines.
const MAX_MESSAGE: usize = 8 << 10;

const PLACING: &str = "Placing order: ";
const EXECUTED: &str = "Order executed: ";
const FAILED: &str = "Order failed: ";
const BREAKER: &str = "Circuit breaker '";
const STARTED: &str = "Started bookTicker stream for ";
const FIRST_MESSAGE: &str = "First WebSocket message received: ";
const UNHEALTHY: &str = "WebSocket unhealthy: no messages for ";
const STOPPED: &str = "Stopped WebSocket stream";
const GAVE_UP: &str = "Max reconnection attempts";

/// One record.
#[derive(Debug, Clone, Copy)]
struct Record<'a> {
    /// Local time as written.
    written: &'a str,
    at: Option<Timestamp>,
    logger: &'a str,
    message: &'a str,
}

/// Adds up a log, record by record.
#[derive(Debug)]
pub(super) struct Log {
    totals: LogTotals,
    zone: TimeZone,
    /// The start of the pass.
    now: Timestamp,
    late: bool,
}

impl Log {
    pub(super) fn new(totals: LogTotals, zone: TimeZone, now: Timestamp) -> Self {
        Log { totals, zone, now, late: false }
    }
}

impl Lines for Log {
    fn line(&mut self, line: Line<'_>) {
        let Line::Whole(bytes) = line else {
            self.totals.open_record = None;
            return;
        };
        if bytes.first() == Some(&b'{') {
            self.json(bytes);
        } else if times::is_shaped(bytes) {
            let text = String::from_utf8_lossy(bytes);
            match self.text_record(&text) {
                Some(record) => self.record(record),
                None => self.totals.open_record = None,
            }
        } else if self.totals.open_record.is_some() {
            self.goes_on(&String::from_utf8_lossy(bytes));
        }
    }
}

impl Tally for Log {
    type Totals = LogTotals;

    fn totals(&mut self) -> &mut LogTotals {
        &mut self.totals
    }

    fn last_record(&self) -> Option<Timestamp> {
        self.totals.last_record
    }

    fn late(&mut self, late: bool) {
        self.late = late;
    }

    /// Whatever was connected, open or under way may have changed in the lines that are missing.
    fn lost(&mut self, why: &str) {
        self.totals.breaker_doubt = Some(Doubt { why: why.to_owned(), before: self.now });
        self.totals.ws.clear();
        self.totals.breakers.clear();
        self.totals.pending.clear();
        self.totals.open_record = None;
    }

    fn unfinished(&mut self, _: Option<&[u8]>, _: bool) {}
}

impl Log {
    /// `TIME - NAME - LEVEL - MESSAGE`.
    fn text_record<'a>(&mut self, text: &'a str) -> Option<Record<'a>> {
        let mut fields = text.splitn(4, " - ");
        let (written, logger) = (fields.next()?, fields.next()?);
        let _level = fields.next()?;
        Some(Record { written, at: self.instant(written), logger, message: fields.next()? })
    }

    fn json(&mut self, bytes: &[u8]) {
        let mut spare = String::new();
        self.totals.open_record = None;
        if let Some(object) = Object::parse(bytes, &mut spare)
            && let (Some(written), Some(message)) = (object.text("asctime"), object.text("message"))
        {
            let logger = object.text("name").unwrap_or_default();
            let at = self.instant(&written);
            self.record(Record { written: &written, at, logger: &logger, message: &message });
        }
    }

    fn record(&mut self, record: Record<'_>) {
        self.totals.open_record = None;
        let Record { message, .. } = record;
        if message.starts_with(PLACING) || message.starts_with(FIRST_MESSAGE) {
            // What matters stands in braces, which may close on a later line.
            if message.contains('}') {
                self.braced(record);
            } else {
                let Record { written, logger, message, .. } = record;
                let [written, logger, message] = [cut(written, 40), cut(logger, 200), cut(message, MAX_MESSAGE)];
                let open = OpenRecord { logger: logger.into(), written: written.into(), message: message.into() };
                self.totals.open_record = Some(open);
            }
        } else if message.starts_with(EXECUTED) {
            self.executed(record);
        } else if message.starts_with(FAILED) {
            self.answered(record.logger);
        } else if let Some(rest) = message.strip_prefix(BREAKER) {
            self.breaker(record, rest);
        } else if let Some(symbol) = message.strip_prefix(STARTED) {
            self.connected(record, symbol.split_whitespace().next().unwrap_or_default());
        } else if let Some(rest) = message.strip_prefix(UNHEALTHY) {
            self.unhealthy(record, rest);
        } else if message.starts_with(STOPPED) || message.starts_with(GAVE_UP) {
            self.disconnected(record);
        }
    }

    /// One more line of the message that is still open.
    fn goes_on(&mut self, line: &str) {
        let Some(mut open) = self.totals.open_record.take() else { return };
        open.message.push('\n');
        open.message.push_str(cut(line, MAX_MESSAGE.saturating_sub(open.message.len())));
        let closed = line.contains('}');
        if closed || open.message.len() >= MAX_MESSAGE {
            let at = self.instant(&open.written);
            self.braced(Record { written: &open.written, at, logger: &open.logger, message: &open.message });
        } else {
            self.totals.open_record = Some(open);
        }
    }

    fn braced(&mut self, record: Record<'_>) {
        if record.message.starts_with(PLACING) {
            let known = |key| python_value(record.message, key).map_or_else(|| UNKNOWN.to_owned(), label);
            let order = PendingOrder {
                logger: cut(record.logger, 200).to_owned(),
                order_type: known("type"),
                side: known("side"),
                at: record.at,
            };
            if self.totals.pending.len() >= MAX_PENDING {
                self.totals.pending.remove(0);
            }
            self.totals.pending.push(order);
        } else if let Some(symbol) = python_value(record.message, "s") {
            self.connected(record, symbol);
        }
    }

    fn executed(&mut self, record: Record<'_>) {
        let Some(order) = self.answered(record.logger) else {
            // Announced in lines that are gone: an order all the same.
            count_order(&mut self.totals.orders, VENUE, UNKNOWN, UNKNOWN);
            return;
        };
        count_order(&mut self.totals.orders, VENUE, &order.order_type, &order.side);
        if let (Some(from), Some(to)) = (order.at, record.at)
            && to >= from
        {
            let latency = to.duration_since(from).as_secs_f64() * 1000.0;
            self.totals.latency.observe(ORDER_LATENCY_BUCKETS, latency);
        }
    }

    /// The oldest order that this logger announced.
    fn answered(&mut self, logger: &str) -> Option<PendingOrder> {
        let pending = &mut self.totals.pending;
        let at = pending.iter().position(|order| order.logger == cut(logger, 200))?;
        Some(pending.remove(at))
    }

    /// `BinanceAPI' state changed: closed -> open`.
    fn breaker(&mut self, record: Record<'_>, rest: &str) {
        let Some((name, change)) = rest.split_once("' state changed: ") else { return };
        let Some((_, state)) = change.split_once(" -> ") else { return };
        let (name, at) = (label(name), record.at);
        let known = self.totals.breakers.get(&name);
        if (known.is_none() && self.totals.breakers.len() >= MAX_NAMES) || self.is_stale(at, known.and_then(|k| k.at)) {
            return;
        }
        self.totals.breakers.insert(name, Breaker { state: BreakerState::parse(state.trim()), at });
    }

    fn connected(&mut self, record: Record<'_>, symbol: &str) {
        let (symbol, at) = (label(symbol), record.at);
        let known = self.totals.ws.get(&symbol);
        if symbol.is_empty()
            || (known.is_none() && self.totals.ws.len() >= MAX_NAMES)
            || self.is_stale(at, known.and_then(|k| k.at))
        {
            return;
        }
        self.totals.ws.insert(symbol, WsState { connected: true, at });
        self.totals.in_gap = false;
    }

    /// Such messages name no symbol: they are about the stream, and so about every symbol on it.
    fn disconnected(&mut self, record: Record<'_>) {
        let at = record.at;
        let late = self.late;
        for state in self.totals.ws.values_mut() {
            if !(late && is_older(at, state.at)) {
                *state = WsState { connected: false, at };
            }
        }
    }

    /// `60s`: the gap is at least that long. It is reported again as long as it lasts; it counts once.
    fn unhealthy(&mut self, record: Record<'_>, rest: &str) {
        let number: &str = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next().unwrap_or_default();
        if let Ok(seconds) = number.parse::<f64>()
            && seconds < 1e9
            && !self.totals.in_gap
        {
            self.totals.gaps.observe(WS_GAP_BUCKETS, seconds);
            self.totals.in_gap = true;
        }
        self.disconnected(record);
    }

    /// When a record was written. Every record is asked, used or not: in the hour that clocks repeat only those before it
    /// tell.
    fn instant(&mut self, written: &str) -> Option<Timestamp> {
        let at = times::local(written, &self.zone, self.totals.last_record)?;
        self.totals.last_record = Some(at);
        Some(at)
    }

    fn is_stale(&self, at: Option<Timestamp>, known: Option<Timestamp>) -> bool {
        self.late && is_older(at, known)
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
    use super::*;

    fn totals_of(lines: &str) -> LogTotals {
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database");
        let mut totals = LogTotals::default();
        // Through the state after every line, as if each came in a pass of its own.
        for line in lines.lines() {
            let mut log = Log::new(totals, zone.clone(), Timestamp::UNIX_EPOCH);
            log.line(Line::Whole(line.as_bytes()));
            let text = serde_json::to_string(log.totals()).expect("serialised");
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
        assert_eq!(breaker.state, Some(BreakerState::HalfOpen));
        // The second record lies in the repeated hour's second run.
        assert_eq!(breaker.at, Some("2025-10-26T01:10:00Z".parse().expect("a time")));
        assert!(totals.ws["BTCUSDT"].connected && !totals.ws["ETHUSDT"].connected);
        assert_eq!((totals.gaps.count(), totals.gaps.sum), (1, 60.0));
        assert!(!totals_of("2025-01-01 00:00:00 - ws - INFO - Started bookTicker stream for A\n2025-01-01 00:00:01 - ws - INFO - Stopped WebSocket stream").ws["A"].connected);
    }
}
