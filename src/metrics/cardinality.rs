//! Limits the cardinality of labels that hold foreign text: see [`crate::model::cardinality`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use prometheus::proto::MetricFamily;

use super::catalogue::{
    Family, LAB_MCP_SERVER_INFO, LAB_WORKTREE_INFO, THUNES_CIRCUIT_BREAKER_STATE, THUNES_ORDERS_PLACED_TOTAL,
    THUNES_TRADE_DECISIONS_TOTAL, THUNES_WS_CONNECTED,
};
use crate::log::printable;
use crate::model::cardinality::{LabelSets, MOST};
use crate::model::digest;

const SECONDS_A_DAY: i64 = 86_400;

/// Hexadecimal digits kept of a label set: enough to tell a few thousand apart.
const DIGITS: usize = 16;

/// The families with labels that somebody else chooses. The first label of each names the target.
static WITH_FOREIGN_LABELS: [&Family; 6] = [
    &LAB_MCP_SERVER_INFO, &LAB_WORKTREE_INFO, &THUNES_CIRCUIT_BREAKER_STATE, &THUNES_ORDERS_PLACED_TOTAL,
    &THUNES_TRADE_DECISIONS_TOTAL, &THUNES_WS_CONNECTED,
];

/// Takes out the series that are past the limit of their target and returns a sentence for each family and target.
pub(super) fn limit(families: &mut Vec<MetricFamily>, label_sets: &mut LabelSets, now: Timestamp) -> Vec<String> {
    let day = now.as_second() / SECONDS_A_DAY;
    label_sets.forget(day);
    let mut left_out = BTreeSet::new();
    for family in families.iter_mut() {
        let name = family.name().to_owned();
        if !WITH_FOREIGN_LABELS.iter().any(|foreign| foreign.name == name) {
            continue;
        }
        let mut metrics = family.take_metric();
        metrics.retain(|metric| {
            let mut labels = metric.get_label().iter().map(|label| label.value());
            let owner = format!("{name} of {}", labels.next().unwrap_or_default());
            let set = digest::of(labels.map(str::as_bytes));
            label_sets.admits(&owner, &set[..DIGITS], day) || {
                left_out.insert(owner);
                false
            }
        });
        family.set_metric(metrics);
    }
    families.retain(|family| !family.get_metric().is_empty());
    let sentence = |owner: String| {
        format!("{}: more than {MOST} different label sets in a week; further ones are left out", printable(&owner))
    };
    left_out.into_iter().map(sentence).collect()
}
