//! What stands between the probe and a person: systemd, node_exporter, Pushgateway, Prometheus, Alertmanager, Grafana.
//!
//! In two steps. Each link is inspected on its own, the services in parallel, and what it says becomes plain facts; what
//! hangs or breaks meanwhile costs its own line alone. Then all facts are judged together, because whether something
//! missing is a fault depends on what else is there: a laptop without Grafana is no broken server. May query these
//! services, `systemctl`, and read files; changes nothing.
//!
//! What is judged is what the timer does. Where a unit starts the passes, this program runs itself once more with that
//! unit's user, variables and directory, in [`starters`], and shows what was seen from there.

mod alertmanager;
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

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::alertmanager::Alertmanager;
pub use self::grafana::DASHBOARDS;
use self::grafana::Grafana;
use self::node_exporter::NodeExporter;
use self::prometheus::Prometheus;
pub(crate) use self::prometheus::series;
pub use self::rules::GROUPS;
use self::service::{Reply, Service};
use self::starters::Starter;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit;
use crate::fs::access::quoted;
use crate::model::checkup::{Delivered, Finding, Link, PushgatewaySeen, Status};
use crate::pass::load;
use crate::proc::hung;

/// Where services of the stack answer that were not set up by this project, beside the places of `[doctor]`.
const ELSEWHERE_PROMETHEUS: &[&str] = &["http://127.0.0.1:9090"];
const ELSEWHERE_GRAFANA: &[&str] = &["http://127.0.0.1:3000"];

/// Every service has answered by then or counts as not answering.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Looking at files takes so long at most, and a query that reads a credential first.
const LOOK: Duration = Duration::from_secs(4);

const REPORT: &str = "report it with this line";

/// A pass every 30 seconds, a scrape every 15 to 60: what is older than this has stopped.
const STALE_SECONDS: f64 = 300.0;

#[derive(Debug)]
struct Evidence {
    now: f64,
    starter: Starter,
    delivered: Delivered,
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
    let mut findings = if starter.is_none() && config.is_none() { starters::seen_by_units() } else { Vec::new() };
    if findings.is_empty() {
        let starter = Starter::find(starter);
        findings = match load::settings(config, LOOK) {
            Ok(settings) => examine(&settings, starter)?,
            Err(error) => own::unusable(&error, &starter),
        };
    }
    findings.sort_by_key(|finding| finding.link);
    Ok(findings)
}

/// Looks at files of this place. Errors: A finding where they do not answer, or the look breaks.
fn look<T: Send + 'static>(
    link: Link,
    place: PathBuf,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Finding> {
    let fix = format!("see to its mount: findmnt -T {}", quoted(&place));
    hung::within(&[place], Deadline::after(LOOK), look).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => link.fail(error.to_string(), fix),
        _ => link.warn(error.to_string(), REPORT),
    })
}

fn examine(settings: &Settings, starter: Starter) -> anyhow::Result<Vec<Finding>> {
    let mut findings = own::config(settings, &starter);
    let mut unknown = Vec::new();
    let (shared, asked) = (settings.clone(), starter.clone());
    let state = look(Link::State, settings.probe.state_dir.clone(), move || own::state(&shared, &asked));
    let (state, delivered) = state.unwrap_or_else(|finding| {
        unknown.extend([Link::Timer, Link::Prometheus]);
        (vec![finding], Delivered::default())
    });
    findings.extend(state);
    let clients = hung::caught(|| own::clients(settings));
    findings.extend(clients.unwrap_or_else(|broke| vec![Link::Clients.warn(broke, REPORT)]));
    let directory = settings.output.textfile.as_ref().map_or_else(PathBuf::new, |textfile| textfile.directory.clone());
    let (shared, asked, known) = (settings.clone(), starter.clone(), delivered.clone());
    let textfile = look(Link::Textfile, directory, move || textfile::inspect(&shared, &asked, known));
    let (textfile, delivered) = textfile.unwrap_or_else(|finding| {
        unknown.push(Link::NodeExporter);
        (vec![finding], delivered)
    });
    findings.extend(textfile);
    let mut judged = judge(&query(settings, starter, delivered)?);
    judged.retain(|finding| finding.status == Status::Ok || !unknown.contains(&finding.link));
    findings.extend(judged);
    let why = "not judged: state or textfile could not be looked at, as said above";
    findings.extend(unknown.into_iter().map(|link| link.warn(why, "mend that first")));
    Ok(findings)
}

/// Queries everything that has to be waited for, at once.
fn query(settings: &Settings, starter: Starter, delivered: Delivered) -> anyhow::Result<Evidence> {
    let places = &settings.doctor;
    let cron = || hung::caught(|| unit::crontab_of(starter.user.as_ref()?)).unwrap_or_default();
    let pushgateway = || Some(pushgateway::query(settings.output.pushgateway.as_ref()?, &starter, &delivered));
    let node_exporter = || {
        let query = |service: &Service| NodeExporter::query(service, delivered.path.as_deref());
        Reply::of(&places.node_exporter, &[], query, |_| true)
    };
    let prometheus = || {
        let reply = Reply::of(&places.prometheus, ELSEWHERE_PROMETHEUS, Prometheus::query, Prometheus::knows_us);
        // Where no Alertmanager is at the usual place, the one that Prometheus sends to.
        let urls = reply.facts().map_or(&[][..], |prometheus| &prometheus.alertmanagers);
        let bases = urls.iter().filter_map(|url| Some(url.split_once("/api/")?.0));
        let elsewhere: Vec<&str> = bases.filter(|base| *base != places.alertmanager.url.expose()).collect();
        let alertmanager = Reply::of(&places.alertmanager, &elsewhere, Alertmanager::query, |_| true);
        (reply, alertmanager)
    };
    let grafana = || Reply::of(&places.grafana, ELSEWHERE_GRAFANA, Grafana::query, |_| true);
    // One for each closure above.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(5).build();
    let threads = threads.map_err(|error| exit::no_tasks("start the threads that queries run on", error))?;
    let local = || rayon::join(cron, || rayon::join(pushgateway, node_exporter));
    let stack = || rayon::join(prometheus, grafana);
    let ((cron, (pushgateway, node_exporter)), ((prometheus, alertmanager), grafana)) =
        threads.install(|| rayon::join(local, stack));
    Ok(Evidence {
        now: clock::unix_seconds(clock::now()),
        starter,
        delivered,
        cron,
        node_exporter,
        pushgateway,
        prometheus,
        alertmanager,
        grafana,
    })
}

/// Judges all links of the chain beyond the probe's own files.
fn judge(evidence: &Evidence) -> Vec<Finding> {
    let links: [fn(&Evidence) -> Vec<Finding>; 8] = [
        timer::judge,
        node_exporter::judge,
        |evidence| vec![pushgateway::judge(evidence)],
        prometheus::judge,
        rules::judge,
        alertmanager::judge,
        grafana::judge,
        |evidence| vec![prometheus::clock(evidence)],
    ];
    links.iter().flat_map(|judge| judge(evidence)).collect()
}

#[cfg(test)]
mod tests;
