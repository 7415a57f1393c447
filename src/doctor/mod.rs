//! What stands between the probe and a person: systemd, node_exporter, Pushgateway, Prometheus, Alertmanager, Grafana.
//!
//! In two steps. Each link is asked on its own, in parallel and under one short deadline, and what it says becomes
//! plain facts. Then all facts are judged together, because whether something missing is a fault depends on what else
//! is there: a laptop without Grafana is no broken server. May ask these services, `systemctl`, and read files; changes nothing.

mod alertmanager;
mod ask;
mod clock;
mod grafana;
mod node_exporter;
mod prometheus;
mod pushgateway;
mod rules;
mod timer;
mod unit;

use std::time::Duration;

pub use self::alertmanager::Alertmanager;
pub use self::ask::{Asked, Service, Trouble};
pub use self::grafana::{DASHBOARDS, Grafana};
pub use self::node_exporter::NodeExporter;
pub use self::prometheus::{Prometheus, Range, range};
pub use self::rules::GROUPS;
pub use self::timer::Timers;
pub use self::unit::{Account, Unit, may_write};
use crate::model::checkup::{Delivered, Finding, Link, PushgatewaySeen};

/// Where services of the stack answer that were not set up by this project, beside the places of `[doctor]`.
pub const ELSEWHERE: &[(Link, &str)] =
    &[(Link::Prometheus, "http://127.0.0.1:9090"), (Link::Grafana, "http://127.0.0.1:3000")];

/// Every question to a service is answered by then or counts as not answered.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// A pass every 30 seconds, a scrape every 15 to 60: what is older than this has stopped.
const STALE_SECONDS: f64 = 300.0;

/// Everything that was seen.
#[derive(Debug)]
pub struct Evidence {
    /// Now, unix seconds.
    pub now: f64,
    /// This machine's names, which `instance` or `host` labels may carry.
    pub hosts: Vec<String>,
    /// What this machine knows of its deliveries.
    pub delivered: Delivered,
    /// What starts passes.
    pub timers: Timers,
    /// node_exporter.
    pub node_exporter: Asked<NodeExporter>,
    /// The Pushgateway, if one is configured.
    pub pushgateway: Option<PushgatewaySeen>,
    /// Prometheus.
    pub prometheus: Asked<Prometheus>,
    /// Alertmanager.
    pub alertmanager: Asked<Alertmanager>,
    /// Grafana.
    pub grafana: Asked<Grafana>,
}

/// Judges all links of the chain beyond the probe's own files.
pub fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = timer::judge(evidence);
    findings.extend(node_exporter::judge(evidence));
    findings.extend(pushgateway::judge(evidence));
    findings.extend(prometheus::judge(evidence));
    findings.extend(rules::judge(evidence));
    findings.extend(alertmanager::judge(evidence));
    findings.extend(grafana::judge(evidence));
    findings.extend(clock::judge(evidence));
    findings
}

/// One that does not answer: a fault where it is configured or others of the stack lean on it, else simply not used.
fn missing<T>(link: Link, asked: &Asked<T>, leaned_on: bool, trouble: &Trouble, fix: &str) -> Finding {
    let at = format!("nothing usable at {}: {}", asked.origin, trouble.why());
    match trouble {
        Trouble::Absent(_) if !asked.configured && !leaned_on => {
            Finding::skip(link, format!("not used here: nothing listens at {}", asked.origin), fix)
        }
        Trouble::Other(_) if !asked.configured && !leaned_on => {
            Finding::skip(link, format!("not used here: at {} answers something else", asked.origin), fix)
        }
        Trouble::Odd(_) if !asked.configured && !leaned_on => Finding::warn(link, at, fix),
        _ => Finding::fail(link, at, fix),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
