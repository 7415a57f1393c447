//! Adds up the lines of a journal or log: what both formats count in the same way, under label values that come from
//! somebody else's file.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::journal::is_harmless;
use super::tail::{Line, Lines};
use crate::model::thunes::{BreakerState, DecisionCount, Doubt, OrderCount, Stated, Totals};

/// Label values are cut to this: they name venues, sides, symbols and reasons.
const MAX_LABEL_BYTES: usize = 100;

/// Breakers, or symbols, kept of one source: more are no names any more but noise.
pub(super) const MAX_NAMES: usize = 500;

/// Combinations counted one by one; further ones add up under [`OTHER`], so that no file can fill Prometheus.
pub(super) const MAX_COMBINATIONS: usize = 200;

/// Stands for every combination past the limit.
const OTHER: &str = "other";

#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) format: Format,
    pub(super) now: Timestamp,
    /// Events are compared by their own time, not by their place.
    pub(super) late: bool,
    /// The file ends in an unfinished line that may be any event.
    pub(super) is_waiting: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Format {
    Journal,
    /// Records of Python's `logging`, in local time of this zone.
    Log(TimeZone),
}

impl Lines for Tally {
    fn line(&mut self, line: Line<'_>) {
        match self.format {
            Format::Journal => self.journal_line(line),
            Format::Log(_) => self.log_line(line),
        }
    }

    fn late(&mut self, late: bool) {
        self.late = late;
    }

    /// Whatever was connected, open, active or under way may have changed in lines that could not be read.
    fn lost(&mut self, why: &str) {
        let doubt = Doubt { why: why.to_owned(), before: self.now };
        self.totals.kill_switch.doubt = Some(doubt.clone());
        self.totals.breaker_doubt = Some(doubt);
        self.totals.ws.clear();
        self.totals.breakers.clear();
        self.totals.pending.clear();
        self.totals.open_record = None;
    }

    fn unfinished(&mut self, rest: Option<&[u8]>, given_up: bool) {
        let may_be_event = matches!(self.format, Format::Journal) && !rest.is_some_and(is_harmless);
        if given_up && may_be_event {
            self.lost("the last line of a rotated part is unfinished and may have been any event");
        }
        self.is_waiting = !given_up && may_be_event;
    }
}

impl Tally {
    pub(super) fn new(format: Format, totals: Totals, now: Timestamp) -> Self {
        Tally { totals, format, now, late: false, is_waiting: false }
    }

    /// A breaker's new state; `None` where it cannot be read.
    pub(super) fn breaker(&mut self, name: &str, state: Option<&str>, at: Option<Timestamp>) {
        let name = label(name);
        let known = self.totals.breakers.get(&name);
        if !self.is_news(known, at, self.totals.breakers.len()) {
            return;
        }
        let state = state.and_then(|state| BreakerState::from_word(&state.replace('_', "-")));
        let is_undecided =
            self.late && known.is_some_and(|known| known.value != state && (at.is_none() || known.at.is_none()));
        self.totals.breakers.insert(name, Stated { value: state.filter(|_| !is_undecided), at });
    }

    pub(super) fn connected(&mut self, symbol: &str, connected: bool, at: Option<Timestamp>) {
        let symbol = label(symbol);
        let known = self.totals.ws.get(&symbol);
        if symbol.is_empty() || !self.is_news(known, at, self.totals.ws.len()) {
            return;
        }
        self.totals.ws.insert(symbol, Stated { value: connected, at });
        self.totals.in_gap &= !connected;
    }

    /// Whether an event is not known to be older than what is known under its name, and there is room for the name.
    fn is_news<T>(&self, known: Option<&Stated<T>>, at: Option<Timestamp>, names: usize) -> bool {
        let Some(known) = known else { return names < MAX_NAMES };
        !(self.late && matches!((at, known.at), (Some(at), Some(known)) if at < known))
    }
}

/// A foreign string as a label value.
pub(super) fn label(text: &str) -> String {
    cut(text, MAX_LABEL_BYTES).replace(char::is_control, "\u{fffd}")
}

pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

pub(super) fn add_orders(orders: &mut Vec<OrderCount>, mut more: OrderCount) {
    let find = |orders: &[OrderCount], OrderCount { venue, order_type, side, .. }: &OrderCount| {
        orders.iter().position(|known| (&known.venue, &known.order_type, &known.side) == (venue, order_type, side))
    };
    if orders.len() >= MAX_COMBINATIONS && find(orders, &more).is_none() {
        let [venue, order_type, side] = [OTHER; 3].map(str::to_owned);
        more = OrderCount { venue, order_type, side, count: more.count };
    }
    match find(orders, &more) {
        Some(at) => orders[at].count = orders[at].count.saturating_add(more.count),
        None => orders.push(more),
    }
}

pub(super) fn add_decisions(decisions: &mut Vec<DecisionCount>, mut more: DecisionCount) {
    let find = |decisions: &[DecisionCount], wanted: &DecisionCount| {
        decisions.iter().position(|known| known.decision == wanted.decision && known.reason == wanted.reason)
    };
    if decisions.len() >= MAX_COMBINATIONS && find(decisions, &more).is_none() {
        more.reason = OTHER.to_owned();
    }
    match find(decisions, &more) {
        Some(at) => decisions[at].count = decisions[at].count.saturating_add(more.count),
        None => decisions.push(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_full_of_names_adds_up_under_other() {
        let (mut orders, mut decisions) = (Vec::new(), Vec::new());
        for number in 0..1000 {
            let [venue, order_type, side] = [&format!("venue {number}"), "MARKET", "BUY"].map(label);
            add_orders(&mut orders, OrderCount { venue, order_type, side, count: 1 });
            let [decision, reason] = ["rejected", &format!("reason {number}")].map(label);
            add_decisions(&mut decisions, DecisionCount { decision, reason, count: 1 });
        }
        assert_eq!((orders.len(), orders.iter().map(|o| o.count).sum::<u64>()), (201, 1000));
        assert_eq!((decisions.len(), decisions.iter().map(|d| d.count).sum::<u64>()), (201, 1000));
        assert_eq!(label("a\nb\u{1b}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(label(&"ä".repeat(100)).len(), 100);
    }
}
