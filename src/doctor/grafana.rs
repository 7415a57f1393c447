//! Grafana: is it healthy, and are our dashboards there?

use serde_json::Value;

use super::Evidence;
use super::service::{Failure, Service, health, other_service, text};
use crate::model::checkup::{Finding, Link};
use crate::wording::plural;

/// The `uid` of each dashboard in `monitoring/grafana/dashboards/`; a test compares.
pub const DASHBOARDS: &[&str] = &["lab-probe", "lab-mcp", "lab-thunes", "lab-trends", "lab-worktrees"];

#[derive(Debug, Clone, PartialEq)]
pub struct Grafana {
    version: String,
    /// The state of its database: `ok`, or what it says.
    database: String,
    /// The `uid`s of its dashboards, or the status with which it refused to list them.
    dashboards: Result<Vec<String>, u16>,
}

impl Grafana {
    pub fn query(service: &Service) -> Result<Grafana, Failure> {
        // An unhealthy one answers 503 with the same document.
        let (status, body) = service.get("api/health", &[])?;
        let health: Value = serde_json::from_slice(&body).unwrap_or_default();
        if health.get("database").is_none() {
            return Err(other_service(format!("what answers is no Grafana (HTTP {status} for /api/health)")));
        }
        let (status, body) = service.get("api/search", &[("type", "dash-db"), ("limit", "5000")])?;
        let dashboards = match (status, serde_json::from_slice::<Vec<Value>>(&body)) {
            (200, Ok(dashboards)) => Ok(dashboards.iter().map(|dashboard| text(dashboard, "/uid")).collect()),
            (status, _) => Err(status),
        };
        Ok(Grafana { version: text(&health, "/version"), database: text(&health, "/database"), dashboards })
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let reply = &evidence.grafana;
    let Some(facts) = reply.facts() else {
        let fix = "sudo systemctl start grafana-server, or name its address in [doctor] grafana";
        return reply.missing(Link::Grafana, false, fix);
    };
    let up = format!("Grafana {} at {}", facts.version, reply.origin);
    let unwell = format!("healthy: its database is {:?}", facts.database);
    let unwell = Some(&unwell).filter(|_| facts.database != "ok");
    vec![health(Link::Grafana, &up, "healthy", unwell, "grafana-server"), dashboards(facts, evidence)]
}

fn dashboards(facts: &Grafana, evidence: &Evidence) -> Finding {
    let found = match &facts.dashboards {
        Ok(found) => found,
        Err(401 | 403) => {
            let what = "Grafana lists its dashboards only after a login";
            let fix = "name a user who may list them, in [doctor] grafana = \"http://${GRAFANA_USER}:${GRAFANA_PASSWORD}@127.0.0.1:3001\"";
            return Link::Grafana.warn(what, fix);
        }
        Err(status) => {
            let what = format!("Grafana does not list its dashboards (HTTP {status})");
            return Link::Grafana.warn(what, "journalctl --unit grafana-server --lines 50");
        }
    };
    let missing: Vec<&str> = DASHBOARDS.iter().copied().filter(|uid| !found.iter().any(|one| one == uid)).collect();
    if missing.is_empty() {
        return Link::Grafana.ok(format!("Grafana has all {}", plural(DASHBOARDS.len(), "dashboard")));
    }
    // A Grafana of somebody else's may stand at that port; with a Prometheus that knows us it is ours.
    let ours = evidence.grafana.configured
        || missing.len() < DASHBOARDS.len()
        || evidence.prometheus.facts().is_some_and(super::Prometheus::knows_us);
    let what = format!("Grafana lacks dashboards: {}", missing.join(", "));
    let fix = "let Grafana load them: monitoring/grafana/provisioning/dashboards names the directory monitoring/grafana/dashboards";
    Link::Grafana.fail_if(ours, what, fix)
}
