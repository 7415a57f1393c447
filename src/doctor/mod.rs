//! What stands between the probe and a person: systemd, node_exporter, Pushgateway, Prometheus, Alertmanager, Grafana.
//!
//! In two steps. Each link is inspected on its own, the services in parallel, and what it says becomes plain facts. Then all facts are judged together, because whether something missing is a fault depends on what else
//! is there: a laptop without Grafana is no broken server. May query these services, `systemctl`, and read files; changes
//! nothing.
//!
//! What is judged is what the timer does. Where a unit starts the passes, this program runs itself once more with that
//! unit's user, variables and directory, in [`starters`], and shows what was seen from there.

mod alertmanager;
mod clocks;
mod grafana;
mod node_exporter;
mod own;
mod prometheus;
mod pushgateway;
mod rules;
mod service;
mod starters;
mod textfile;
mod timer;
mod unit;

use std::path::Path;
use std::time::Duration;

use self::alertmanager::Alertmanager;
pub use self::grafana::DASHBOARDS;
use self::grafana::Grafana;
use self::node_exporter::NodeExporter;
use self::prometheus::Prometheus;
pub(crate) use self::prometheus::series;
pub use self::rules::GROUPS;
use self::service::{Reply, Service, Trouble};
use self::starters::Starter;
use self::unit::Unit;
use crate::clock::{self, Deadline};
use crate::config::settings::{PushgatewaySettings, Settings};
use crate::model::checkup::{Delivered, Finding, PushedGroup, PushgatewaySeen};
use crate::redact::Secret;
use crate::{exit, fs, sink};

/// Where services of the stack answer that were not set up by this project, beside the places of `[doctor]`.
const ELSEWHERE_PROMETHEUS: &[&str] = &["http://127.0.0.1:9090"];
const ELSEWHERE_GRAFANA: &[&str] = &["http://127.0.0.1:3000"];

/// A thread for each query.
const QUERIES: usize = 6;

/// Every service has answered by then or counts as not answering.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A pass every 30 seconds, a scrape every 15 to 60: what is older than this has stopped.
const STALE_SECONDS: f64 = 300.0;

#[derive(Debug)]
struct Evidence {
    now: f64,
    delivered: Delivered,
    /// This user's units that a manager knows, the system's first; empty where no systemd answers.
    units: Vec<Unit>,
    /// The crontab that starts passes of this user.
    cron: Option<String>,
    node_exporter: Reply<NodeExporter>,
    pushgateway: Option<PushgatewaySeen>,
    prometheus: Reply<Prometheus>,
    alertmanager: Reply<Alertmanager>,
    grafana: Reply<Grafana>,
}

/// All findings in the order of the chain; `starter` is the unit that this process stands for, see [`starters`]. A configuration
/// that cannot be used is a finding.
/// Errors: No thread to be had.
pub(crate) fn findings(config: Option<&Path>, starter: Option<&str>) -> anyhow::Result<Vec<Finding>> {
    let seen_by_units = if starter.is_none() && config.is_none() { starters::seen_by_units() } else { Vec::new() };
    let mut findings = if seen_by_units.is_empty() {
        let starter = Starter::find(starter);
        match crate::config::load(config) {
            Ok(settings) => examine(&settings, starter)?,
            Err(error) => own::unusable(&error, &starter),
        }
    } else {
        seen_by_units
    };
    findings.sort_by_key(|finding| finding.link);
    Ok(findings)
}

fn examine(settings: &Settings, starter: Starter) -> anyhow::Result<Vec<Finding>> {
    let mut findings = own::config(settings, &starter);
    let (state, mut delivered) = own::state(settings, &starter);
    findings.extend(state);
    findings.extend(own::clients(settings));
    findings.extend(textfile::inspect(settings, &starter, &mut delivered));
    findings.extend(judge(&query(settings, starter, delivered)?));
    Ok(findings)
}

/// Queries everything that has to be waited for, at once.
fn query(settings: &Settings, starter: Starter, delivered: Delivered) -> anyhow::Result<Evidence> {
    let places = &settings.doctor;
    let cron = || starter.account.as_ref()?.crontab();
    let pushgateway = || Some(query_gateway(settings.output.pushgateway.as_ref()?, &starter, &delivered));
    let node_exporter = || {
        let query = |service: &Service| NodeExporter::query(service, delivered.path.as_deref());
        Reply::of(&places.node_exporter, &[], query, |_| true)
    };
    let prometheus = || Reply::of(&places.prometheus, ELSEWHERE_PROMETHEUS, Prometheus::query, Prometheus::knows_us);
    let alertmanager = || Reply::of(&places.alertmanager, &[], Alertmanager::query, |_| true);
    let grafana = || Reply::of(&places.grafana, ELSEWHERE_GRAFANA, Grafana::query, |_| true);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(QUERIES).build();
    let threads = threads.map_err(|error| exit::no_tasks("start the threads that queries run on", error))?;
    let local = || rayon::join(cron, || rayon::join(pushgateway, node_exporter));
    let stack = || rayon::join(prometheus, || rayon::join(alertmanager, grafana));
    let ((cron, (pushgateway, node_exporter)), (prometheus, (alertmanager, grafana))) =
        threads.install(|| rayon::join(local, stack));
    Ok(Evidence {
        now: clock::unix_seconds(clock::now()),
        alertmanager: in_use(alertmanager, &prometheus),
        units: starter.units,
        cron,
        delivered,
        node_exporter,
        pushgateway,
        prometheus,
        grafana,
    })
}

/// Where no Alertmanager is at the usual place, the one that Prometheus sends to.
fn in_use(usual: Reply<Alertmanager>, prometheus: &Reply<Prometheus>) -> Reply<Alertmanager> {
    let is_absent = matches!(&usual.result, Err((trouble, _)) if *trouble != Trouble::Failing) && !usual.configured;
    let urls = prometheus.facts().filter(|_| is_absent).map_or(&[][..], |prometheus| &prometheus.alertmanagers);
    let bases = urls.iter().filter_map(|url| url.split_once("/api/"));
    let addresses: Vec<Secret> = bases.map(|(base, _)| Secret::new(base)).collect();
    if addresses.is_empty() { usual } else { Reply::from_any(&addresses, false, Alertmanager::query, |_| true) }
}

/// The group in the gateway; where only the unit may read the credential, what its last pass says.
fn query_gateway(gateway: &PushgatewaySettings, starter: &Starter, delivered: &Delivered) -> PushgatewaySeen {
    let mut credentials = gateway.password_file.iter().chain(&gateway.bearer_token_file);
    let closed = credentials.find(|file| fs::read_capped(file, 1 << 16).is_err());
    if let (Some(file), Some((_, error))) = (closed, delivered.outputs.get("pushgateway")) {
        let fix = format!("see the unit's journal; {} is readable for the unit alone", file.display());
        let pushed_at = starter.last_pass(delivered).unwrap_or_default();
        return match error {
            Some(error) => Err((error.clone(), fix)),
            None => Ok(Some(PushedGroup { pushed_at, failed_at: 0.0 })),
        };
    }
    sink::pushgateway::group(gateway, Deadline::after(TIMEOUT)).map_err(|error| {
        let hint = exit::hint_of(&error).unwrap_or_default().to_owned();
        (format!("{}: {error:#}", sink::pushgateway::destination(gateway)), hint)
    })
}

/// Judges all links of the chain beyond the probe's own files.
fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = timer::judge(evidence);
    findings.extend(node_exporter::judge(evidence));
    findings.push(pushgateway::judge(evidence));
    findings.extend(prometheus::judge(evidence));
    findings.extend(rules::judge(evidence));
    findings.extend(alertmanager::judge(evidence));
    findings.extend(grafana::judge(evidence));
    findings.push(clocks::judge(evidence));
    findings
}

#[cfg(test)]
mod tests;
