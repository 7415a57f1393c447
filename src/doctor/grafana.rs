//! Grafana: is it healthy, and are our dashboards there?

use serde_json::Value;

use super::ask::{Service, Trouble, text};
use super::{Evidence, counted, missing};
use crate::model::checkup::{Finding, Link};

/// The `uid` of each dashboard in `monitoring/grafana/dashboards/`; a test compares.
pub const DASHBOARDS: &[&str] = &["lab-probe", "lab-mcp", "lab-thunes", "lab-trends", "lab-worktrees"];

/// What Grafana says.
#[derive(Debug, Clone, PartialEq)]
pub struct Grafana {
    version: String,
    /// The state of its database: `ok`, or what it says.
    database: String,
    /// The `uid`s of its dashboards, or the status with which it refused to list them.
    dashboards: Result<Vec<String>, u16>,
}

impl Grafana {
    /// Asks it.
    ///
    /// # Errors
    /// When nothing usable answers.
    pub fn ask(service: &Service) -> Result<Grafana, Trouble> {
        // An unhealthy one answers 503 with the same document.
        let answer = service.get("api/health", &[])?;
        let health: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if health.get("database").is_none() {
            return Err(Trouble::Other(format!("what answers is no Grafana (HTTP {} for /api/health)", answer.status)));
        }
        let found = service.get("api/search", &[("type", "dash-db"), ("limit", "5000")])?;
        let dashboards = match (found.status, serde_json::from_slice::<Vec<Value>>(&found.body)) {
            (200, Ok(dashboards)) => Ok(dashboards.iter().map(|dashboard| text(dashboard, "/uid")).collect()),
            (status, _) => Err(status),
        };
        Ok(Grafana { version: text(&health, "/version"), database: text(&health, "/database"), dashboards })
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let asked = &evidence.grafana;
    let facts = match &asked.seen {
        Ok(facts) => facts,
        Err(trouble) => {
            let fix = "sudo systemctl start grafana-server, or name its address in [doctor] grafana";
            return vec![missing(Link::Grafana, asked, false, trouble, fix)];
        }
    };
    let up = format!("Grafana {} at {}", facts.version, asked.origin);
    let health = if facts.database == "ok" {
        Finding::ok(Link::Grafana, format!("{up} is healthy"))
    } else {
        let what = format!("{up} is not healthy: its database is {:?}", facts.database);
        Finding::fail(Link::Grafana, what, "journalctl --unit grafana-server --lines 50")
    };
    vec![health, dashboards(facts, evidence)]
}

fn dashboards(facts: &Grafana, evidence: &Evidence) -> Finding {
    let found = match &facts.dashboards {
        Ok(found) => found,
        Err(401 | 403) => {
            let what = "its dashboards are listed only for who logs in";
            let fix = "name a user that may look, in [doctor] grafana = \"http://${GRAFANA_USER}:${GRAFANA_PASSWORD}@127.0.0.1:3001\"";
            return Finding::warn(Link::Grafana, what, fix);
        }
        Err(status) => {
            let what = format!("it does not list its dashboards (HTTP {status})");
            return Finding::warn(Link::Grafana, what, "journalctl --unit grafana-server --lines 50");
        }
    };
    let missing: Vec<&str> = DASHBOARDS.iter().copied().filter(|uid| !found.iter().any(|one| one == uid)).collect();
    if missing.is_empty() {
        return Finding::ok(
            Link::Grafana,
            format!("all {} are there", counted(DASHBOARDS.len(), "dashboard", "dashboards")),
        );
    }
    // A Grafana of somebody else's may stand at that port; with a Prometheus that knows us it is ours.
    let ours = evidence.grafana.configured
        || missing.len() < DASHBOARDS.len()
        || evidence.prometheus.facts().is_some_and(super::Prometheus::knows_us);
    let what = format!("dashboards are missing: {}", missing.join(", "));
    let fix = "let Grafana load them: monitoring/grafana/provisioning/dashboards names the directory monitoring/grafana/dashboards";
    Finding::fail_if(ours, Link::Grafana, what, fix)
}
