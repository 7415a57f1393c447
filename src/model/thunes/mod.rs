//! The trading system: where one environment keeps its data, what was read from it, and what to remember.

mod facts;
mod memory;

use std::path::PathBuf;

pub use facts::{KILL_SWITCH_ACTIVE, KillSwitch, SourceFacts, ThunesFacts, TradesToday, Unknown};
pub use memory::*;

use serde::Serialize;

use crate::redact::{self, Secret};

/// Upper bounds of the buckets of `thunes_order_latency_ms`, in milliseconds; one more bucket takes what is above.
pub const ORDER_LATENCY_BUCKETS: &[f64] = &[5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
/// Upper bounds of the buckets of `thunes_ws_gap_seconds`, in seconds; one more bucket takes what is above.
pub const WS_GAP_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// The `source` label of an instrumented application's endpoint.
pub const METRICS_URL: &str = "metrics_url";
pub const POSITIONS_DB: &str = "positions_db";

/// The reasons a risk manager gives for turning a trade down. Every one is exported from the start, at 0: a counter
/// that first appears at 1 has no increase.
pub const REJECTION_REASONS: &[&str] = &[
    "kill_switch_active",
    "daily_loss_limit_exceeded",
    "per_trade_loss_limit_exceeded",
    "max_position_limit_reached",
    "duplicate_position",
    "cool_down_active",
    "circuit_breaker_open",
];

/// One environment. Relative paths are relative to `root`; they are shown as the config has them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThunesTarget {
    pub environment: String,
    pub root: PathBuf,
    pub positions_db: PathBuf,
    pub journals: Vec<PathBuf>,
    pub logs: Vec<PathBuf>,
    /// An instrumented application's metrics endpoint; may hold credentials.
    #[serde(serialize_with = "redact::as_url")]
    pub metrics_url: Option<Secret>,
    /// Daily loss limit in quote currency; else `MAX_DAILY_LOSS` in `.env`, else 20.
    pub max_daily_loss: Option<f64>,
    /// Why nothing of it can be looked for: a variable in its paths is not set.
    #[serde(skip)]
    pub unreachable: Option<String>,
}
