//! What is known of a series: whether its value is as usual. The detector is in [`crate::unusual`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::target::Kind;

/// Length of a slot in seconds: a series has one point for each at most. A `ttl` of five minutes gives each its own.
pub const SLOT_SECONDS: i64 = 300;

pub const DAY_SLOTS: i64 = 86_400 / SLOT_SECONDS;

/// Points before anything is said of a series: two days.
pub const LEARNING_POINTS: u32 = 2 * DAY_SLOTS as u32;

/// For so long after the first switching on nothing alerts, in seconds: two weeks.
const SILENT_SECONDS: i64 = 14 * 86_400;

/// A kind of series. Each has its own scale, and its own least difference worth a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Family {
    /// Time of an MCP handshake, in seconds.
    #[default]
    Handshake,
    /// Largest resident set of a server's processes, in bytes.
    Rss,
    /// Processor time that a check's process tree used, in seconds.
    Cpu,
    Tools,
    Orders,
    /// Mean latency of a slot's orders, in milliseconds.
    OrderLatency,
    /// Mean WebSocket gap of a slot, in seconds.
    WsGap,
    /// Time of a service's answer, in seconds.
    Service,
}

impl Family {
    /// The metric that has its values, which is the `metric` label, and a noun for sentences.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Family::Handshake => ("lab_mcp_server_handshake_seconds", "handshake"),
            Family::Rss => ("lab_mcp_server_max_rss_bytes", "memory"),
            Family::Cpu => ("lab_mcp_server_cpu_seconds", "processor time"),
            Family::Tools => ("lab_mcp_server_tools", "tool list"),
            Family::Orders => ("thunes_orders_placed_total", "order rate"),
            Family::OrderLatency => ("thunes_order_latency_ms", "order latency"),
            Family::WsGap => ("thunes_ws_gap_seconds", "WebSocket gaps"),
            Family::Service => ("lab_service_duration_seconds", "answer"),
        }
    }

    pub fn metric(self) -> &'static str {
        self.names().0
    }

    pub fn noun(self) -> &'static str {
        self.names().1
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unusual {
    /// When it was first switched on, Unix seconds.
    pub begun_at: Option<i64>,
    /// The slot that is open: Unix seconds divided by [`SLOT_SECONDS`].
    pub slot: i64,
    /// The series of each target, by `kind/name`.
    pub series: BTreeMap<String, BTreeMap<Family, Watch>>,
    pub totals: BTreeMap<Family, AnomalyCounts>,
    pub widespread: Option<Widespread>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    pub pending: Pending,
    #[serde(alias = "said")]
    pub state: SeriesState,
}

/// What was measured in a slot, as sum and count so far. A gauge begins at nothing with every slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pending {
    /// At the end of the slot before; missing where that is not known.
    pub base: Option<(f64, f64)>,
    /// At the last measurement in the slot; missing where there was none.
    pub last: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriesState {
    pub points: u32,
    /// Ends of the expected band at the last point.
    pub lower: f64,
    pub upper: f64,
    pub level: Option<Level>,
    pub trend: Option<Trend>,
    #[serde(alias = "settled")]
    pub new_normal: Option<NewNormal>,
}

/// A run of points at which a level is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Beginning of its first slot, Unix seconds.
    pub since: i64,
    /// End of its last slot, Unix seconds.
    pub until: i64,
    /// The value farthest from what was expected.
    pub value: f64,
    /// The band at that point.
    pub lower: f64,
    pub upper: f64,
    /// Whether the first of its values was above the band.
    pub above: bool,
    pub is_normal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// When it was said, Unix seconds.
    pub at: i64,
    /// Days from the first to the last mean.
    pub days: u32,
    /// Value on the line at the first day.
    pub from: f64,
    pub to: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NewNormal {
    /// Since when, Unix seconds.
    pub at: i64,
    pub value: f64,
}

/// Anomalies of a family so far, those of a widespread event left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnomalyCounts {
    pub level: u64,
    pub trend: u64,
}

/// One event in many series: the machine, the network, an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widespread {
    /// Since when, Unix seconds.
    pub since: i64,
    pub series: u32,
}

/// A value of a series that is known of, with whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    pub id: &'a str,
    pub family: Family,
    pub state: &'a SeriesState,
}

impl Series<'_> {
    /// The target; `None` where the state holds no target's name.
    pub fn target(&self) -> Option<(Kind, &str)> {
        let (kind, name) = self.id.split_once('/')?;
        Some((Kind::from_word(kind)?, name))
    }
}

impl Unusual {
    pub fn all(&self) -> impl Iterator<Item = Series<'_>> {
        self.series.keys().flat_map(|id| self.of(id))
    }

    pub fn of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = Series<'a>> {
        let families = self.series.get(id).into_iter().flatten();
        families.map(move |(&family, watch)| Series { id, family, state: &watch.state })
    }

    /// Whether nothing alerts yet, at `now` in Unix seconds.
    pub fn is_silent(&self, now: i64) -> bool {
        self.begun_at.is_none_or(|begun| now < begun.saturating_add(SILENT_SECONDS))
    }
}

impl SeriesState {
    pub fn is_learning(&self) -> bool {
        self.points < LEARNING_POINTS
    }
}
