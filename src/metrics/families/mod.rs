//! Snapshot → families: one file a kind, each filling only families of the catalogue.

use prometheus::proto::MetricFamily;

use crate::model::snapshot::Snapshot;

/// Every family that has at least one sample, in the catalogue's order.
pub fn collect(_snapshot: &Snapshot) -> Vec<MetricFamily> {
    Vec::new()
}
