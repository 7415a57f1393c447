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
use self::service::{Reply, Service, Trouble};
use self::starters::Starter;
use self::unit::Unit;
use crate::clock::{self, Deadline};
use crate::config::settings::{PushgatewaySettings, Settings};
use crate::fs::access::quoted;
use crate::model::checkup::{Delivered, Finding, Link, PushedGroup, PushgatewaySeen, Status};
use crate::proc::hung;
use crate::redact::Secret;
use crate::{exit, fs, sink};

/// Where services of the stack answer that were not set up by this project, beside the places of `[doctor]`.
const ELSEWHERE_PROMETHEUS: &[&str] = &["http://127.0.0.1:9090"];
const ELSEWHERE_GRAFANA: &[&str] = &["http://127.0.0.1:3000"];

/// A thread for each query.
const QUERIES: usize = 6;

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
        let named = config.map(Path::to_owned);
        let place = named.clone().or_else(std::env::home_dir).unwrap_or_default();
        match look(Link::Config, place, move || crate::config::load(named.as_deref())) {
            Ok(Ok(settings)) => examine(&settings, starter)?,
            Ok(Err(error)) => own::unusable(&error, &starter),
            Err(finding) if finding.status == Status::Fail => {
                let what =
                    "the configuration, or a directory that it names, does not answer, as where a file system hangs";
                vec![Link::Config.fail(what, "findmnt shows what is mounted; ls each directory that the file names")]
            }
            Err(finding) => vec![finding],
        }
    } else {
        seen_by_units
    };
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
    let (state, mut delivered) = state.unwrap_or_else(|finding| {
        unknown.extend([Link::Timer, Link::Prometheus]);
        (vec![finding], Delivered { again: starter.again(), ..Delivered::default() })
    });
    findings.extend(state);
    let clients = hung::caught(|| own::clients(settings));
    findings.extend(clients.unwrap_or_else(|broke| vec![Link::Clients.warn(broke, REPORT)]));
    let directory = settings.output.textfile.as_ref().map_or_else(PathBuf::new, |textfile| textfile.directory.clone());
    let (shared, asked, mut known) = (settings.clone(), starter.clone(), delivered.clone());
    match look(Link::Textfile, directory, move || (textfile::inspect(&shared, &asked, &mut known), known)) {
        Ok((textfile, known)) => {
            findings.extend(textfile);
            delivered = known;
        }
        Err(finding) => {
            findings.push(finding);
            unknown.push(Link::NodeExporter);
        }
    }
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
    let cron = || hung::caught(|| starter.account.as_ref()?.crontab()).unwrap_or_default();
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
    let credentials: Vec<PathBuf> = gateway.password_file.iter().chain(&gateway.bearer_token_file).cloned().collect();
    let place = credentials.first().cloned().unwrap_or_default();
    let settings = gateway.clone();
    let pushed_at = starter.last_pass(delivered).unwrap_or_default();
    let last = delivered.outputs.get("pushgateway").map(|(_, error)| error.clone());
    let query = move || {
        let closed = credentials.iter().find(|file| fs::read_capped(file, 1 << 16).is_err());
        if let (Some(file), Some(error)) = (closed, last) {
            let fix = format!("see the unit's journal; {} is readable for the unit alone", file.display());
            return match error {
                Some(error) => Err((error, fix)),
                None => Ok(Some(PushedGroup { pushed_at, failed_at: 0.0 })),
            };
        }
        sink::pushgateway::group(&settings, Deadline::after(TIMEOUT)).map_err(|error| {
            let hint = exit::hint_of(&error).unwrap_or_default().to_owned();
            (format!("{}: {error:#}", sink::pushgateway::destination(&settings)), hint)
        })
    };
    let seen = look(Link::Pushgateway, place, query);
    seen.unwrap_or_else(|finding| Err((finding.evidence, finding.fix.unwrap_or_default())))
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
