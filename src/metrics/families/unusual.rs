//! `lab_anomaly_*` and the expected bands: what is usual, and what is not.

use std::collections::BTreeSet;

use crate::metrics::catalogue::{
    LAB_ANOMALIES_TOTAL, LAB_ANOMALY_ACTIVE, LAB_ANOMALY_SERIES, LAB_ANOMALY_WIDESPREAD,
    LAB_MCP_SERVER_CPU_EXPECTED_SECONDS, LAB_MCP_SERVER_HANDSHAKE_EXPECTED_SECONDS,
    LAB_MCP_SERVER_MAX_RSS_EXPECTED_BYTES, LAB_SERVICE_DURATION_EXPECTED_SECONDS, THUNES_ORDER_LATENCY_EXPECTED_MS,
};
use crate::metrics::vectors::Samples;
use crate::model::target::Kind;
use crate::model::unusual::{Family, Series, Unusual};

/// `now` in Unix seconds.
pub(super) fn add(unusual: &Unusual, now: i64, samples: &mut Samples) {
    let is_silent = unusual.is_silent(now);
    let mut counts = [0, 0];
    for one in unusual.all() {
        counts[usize::from(!is_silent && !one.state.is_learning())] += 1;
        add_band(&one, samples);
        add_active(&one, samples);
    }
    for family in unusual.all().map(|one| one.family).collect::<BTreeSet<Family>>() {
        let totals = unusual.totals.get(&family).copied().unwrap_or_default();
        for (kind, total) in [("level", totals.level), ("trend", totals.trend)] {
            samples.add(&LAB_ANOMALIES_TOTAL, [family.metric(), kind], total as f64);
        }
    }
    for (state, count) in ["learning", "watching"].into_iter().zip(counts) {
        samples.add(&LAB_ANOMALY_SERIES, [state], f64::from(count));
    }
    samples.add(&LAB_ANOMALY_WIDESPREAD, [], f64::from(unusual.widespread.is_some()));
}

fn add_band(one: &Series<'_>, samples: &mut Samples) {
    // A series that comes in bursts has a band so wide that it says nothing, and no axis can show it.
    let (declared, widest) = match one.family {
        Family::Handshake => (&LAB_MCP_SERVER_HANDSHAKE_EXPECTED_SECONDS, 3_600.0),
        Family::Cpu => (&LAB_MCP_SERVER_CPU_EXPECTED_SECONDS, 3_600.0),
        Family::Rss => (&LAB_MCP_SERVER_MAX_RSS_EXPECTED_BYTES, (1_u64 << 40) as f64),
        Family::OrderLatency => (&THUNES_ORDER_LATENCY_EXPECTED_MS, 3_600_000.0),
        Family::Service => (&LAB_SERVICE_DURATION_EXPECTED_SECONDS, 3_600.0),
        Family::Tools | Family::Orders | Family::WsGap => return,
    };
    let says_something = !one.state.is_learning() && one.state.upper <= widest;
    let Some((_, name)) = one.target().filter(|_| says_something) else { return };
    samples.add(declared, [name, "lower"], one.state.lower);
    samples.add(declared, [name, "upper"], one.state.upper);
}

fn add_active(one: &Series<'_>, samples: &mut Samples) {
    let Some((of, name)) = one.target() else { return };
    let name = |kind: Kind| if of == kind { name } else { "" };
    let whose = [name(Kind::Mcp), name(Kind::Thunes), name(Kind::Service)];
    let level = one.state.level.map(|level| ("level", level.above));
    let trend = one.state.trend.map(|trend| ("trend", trend.to > trend.from));
    for (kind, above) in [level, trend].into_iter().flatten() {
        let direction = if above { "above" } else { "below" };
        let [server, environment, service] = whose;
        let labels = [one.family.metric(), kind, direction, server, environment, service];
        samples.add(&LAB_ANOMALY_ACTIVE, labels, 1.0);
    }
}
