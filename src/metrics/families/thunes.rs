//! `thunes_*`: every family that has a value in the facts, and none that has not.

use crate::clock::unix_seconds;
use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::thunes::{LineCounts, ThunesFacts};

/// Everything comes from the facts: what is remembered may belong to files that can no longer be read.
pub(super) fn add(environment: &str, facts: &ThunesFacts, samples: &mut Samples) {
    let active = facts.kill_switch.as_ref().map(|switch| f64::from(switch.active));
    samples.add(&THUNES_KILL_SWITCH_ACTIVE, [environment], active);
    samples.add(&THUNES_DAILY_PNL_USED, [environment], facts.daily_pnl_used);
    samples.add(&THUNES_OPEN_POSITIONS, [environment], facts.open_positions);
    samples.add(&THUNES_REALIZED_PNL, [environment], facts.realized_pnl);
    for (name, state) in facts.breakers.iter().flatten() {
        samples.add(&THUNES_CIRCUIT_BREAKER_STATE, [environment, name], state.value());
    }
    for order in facts.orders.iter().flatten() {
        let labels = [environment, &order.venue, &order.order_type, &order.side];
        samples.add(&THUNES_ORDERS_PLACED_TOTAL, labels, order.count as f64);
    }
    if let Some(latency) = &facts.order_latency {
        samples.add_histogram(&THUNES_ORDER_LATENCY_MS, [environment], latency);
    }
    for (symbol, connected) in facts.ws_connected.iter().flatten() {
        samples.add(&THUNES_WS_CONNECTED, [environment, symbol], f64::from(*connected));
    }
    if let Some(gaps) = &facts.ws_gaps {
        samples.add_histogram(&THUNES_WS_GAP_SECONDS, [environment], gaps);
    }
    for decision in facts.decisions.iter().flatten() {
        let labels = [environment, &decision.decision, &decision.reason];
        samples.add(&THUNES_TRADE_DECISIONS_TOTAL, labels, decision.count as f64);
    }
    add_sources(environment, facts, samples);
}

/// What the values were read from, and how that went.
fn add_sources(environment: &str, facts: &ThunesFacts, samples: &mut Samples) {
    for source in &facts.sources {
        let labels = [environment, source.name.as_str()];
        samples.add(&THUNES_SOURCE_UP, labels, f64::from(source.up));
        let last_record = source.last_record.map(unix_seconds);
        samples.add(&THUNES_SOURCE_LAST_RECORD_TIMESTAMP_SECONDS, labels, last_record);
        if let Some(gaps) = source.gaps {
            samples.add(&THUNES_SOURCE_GAPS_TOTAL, labels, gaps as f64);
        }
        if let Some(LineCounts { ok, malformed, too_long }) = source.lines {
            for (result, lines) in [("ok", ok), ("malformed", malformed), ("too_long", too_long)] {
                samples.add(&THUNES_JOURNAL_LINES_TOTAL, [environment, &source.name, result], lines as f64);
            }
        }
    }
    for (family, sources) in &facts.family_sources {
        for source in sources {
            samples.add(&THUNES_FAMILY_SOURCE, [environment, family, source], 1.0);
        }
    }
}
