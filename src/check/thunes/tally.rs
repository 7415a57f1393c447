//! Counting by label values that come from somebody else's file.

use std::borrow::Cow;

use crate::model::thunes::{DecisionCount, OrderCount};

/// Label values are cut to this: they name venues, sides, symbols and reasons.
const MAX_LABEL_BYTES: usize = 100;

/// Breakers, or symbols, kept of one source: more are no names any more but noise.
pub(super) const MAX_NAMES: usize = 500;

/// Combinations counted one by one; further ones add up under [`OTHER`], so that no file can fill Prometheus.
pub(super) const MAX_COMBINATIONS: usize = 200;

/// Stands for every combination past the limit.
const OTHER: &str = "other";

/// A foreign string as a label value.
pub(super) fn label(text: &str) -> String {
    let text = cut(text, MAX_LABEL_BYTES);
    let clean: Cow<'_, str> = if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    };
    clean.into_owned()
}

/// The beginning of a text, at most `most` bytes of it.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Counts one order, its labels as somebody else wrote them.
pub(super) fn count_order(orders: &mut Vec<OrderCount>, venue: &str, order_type: &str, side: &str) {
    // Almost always known already, as it is: then nothing is copied.
    if let Some(known) = orders.iter_mut().find(|o| o.venue == venue && o.order_type == order_type && o.side == side) {
        known.count = known.count.saturating_add(1);
        return;
    }
    let [venue, order_type, side] = [venue, order_type, side].map(label);
    add_orders(orders, &OrderCount { venue, order_type, side, count: 1 });
}

/// Adds orders with the same labels.
pub(super) fn add_orders(orders: &mut Vec<OrderCount>, more: &OrderCount) {
    let is_it = |order: &&mut OrderCount| {
        (&order.venue, &order.order_type, &order.side) == (&more.venue, &more.order_type, &more.side)
    };
    if let Some(known) = orders.iter_mut().find(is_it) {
        known.count = known.count.saturating_add(more.count);
    } else if orders.len() < MAX_COMBINATIONS {
        orders.push(more.clone());
    } else {
        let other = || OTHER.to_owned();
        let rest = OrderCount { venue: other(), order_type: other(), side: other(), count: more.count };
        match orders.iter_mut().find(|order| order.venue == OTHER && order.side == OTHER) {
            Some(known) => known.count = known.count.saturating_add(rest.count),
            None => orders.push(rest),
        }
    }
}

/// Counts one decision, its reason as somebody else wrote it.
pub(super) fn count_decision(decisions: &mut Vec<DecisionCount>, decision: &str, reason: &str) {
    if let Some(known) = decisions.iter_mut().find(|known| known.decision == decision && known.reason == reason) {
        known.count = known.count.saturating_add(1);
        return;
    }
    add_decisions(decisions, &DecisionCount { decision: decision.to_owned(), reason: label(reason), count: 1 });
}

/// Adds decisions with the same labels.
pub(super) fn add_decisions(decisions: &mut Vec<DecisionCount>, more: &DecisionCount) {
    let find = |decisions: &mut Vec<DecisionCount>, reason: &str| {
        decisions.iter().position(|known| known.decision == more.decision && known.reason == reason)
    };
    let reason = match find(decisions, &more.reason) {
        None if decisions.len() >= MAX_COMBINATIONS => OTHER,
        _ => &more.reason,
    };
    match find(decisions, reason) {
        Some(at) => decisions[at].count = decisions[at].count.saturating_add(more.count),
        None => decisions.push(DecisionCount { reason: reason.to_owned(), ..more.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_full_of_names_adds_up_under_other() {
        let (mut orders, mut decisions) = (Vec::new(), Vec::new());
        for number in 0..1000 {
            count_order(&mut orders, &format!("venue {number}"), "MARKET", "BUY");
            count_decision(&mut decisions, "rejected", &format!("reason {number}"));
        }
        assert_eq!((orders.len(), orders.iter().map(|o| o.count).sum::<u64>()), (201, 1000));
        assert_eq!((decisions.len(), decisions.iter().map(|d| d.count).sum::<u64>()), (201, 1000));
        assert_eq!(label("a\nb\u{1b}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(label(&"ä".repeat(100)).len(), 100);
    }
}
