//! What stands between the probe and a person: systemd, node_exporter, Pushgateway, Prometheus, Alertmanager, Grafana.
//!
//! In two steps. Each link is inspected on its own, in parallel and under one short deadline, and what it says becomes
//! plain facts. Then all facts are judged together, because whether something missing is a fault depends on what else
//! is there: a laptop without Grafana is no broken server. May query these services, `systemctl`, and read files; changes
//! nothing.
//!
//! What is judged is what the timer does. Where a unit starts the passes, this program runs itself once more with that
//! unit's user, variables and directory, in [`seats`], and shows what was seen from there.

mod alertmanager;
mod clock;
mod grafana;
mod node_exporter;
mod own;
mod prometheus;
mod pushgateway;
mod rules;
mod seats;
mod service;
mod textfile;
mod timer;
mod unit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::alertmanager::Alertmanager;
pub use self::grafana::DASHBOARDS;
use self::grafana::Grafana;
use self::node_exporter::NodeExporter;
use self::prometheus::Prometheus;
pub(crate) use self::prometheus::series;
pub use self::rules::GROUPS;
use self::seats::Seat;
use self::service::{Failure, Reply, Service, Trouble};
use self::timer::Timers;
use crate::clock::Deadline;
use crate::config::settings::{PushgatewaySettings, ServiceAddress, Settings};
use crate::model::checkup::{Delivered, Finding, Link, PushedGroup, PushgatewaySeen};
use crate::pool::{self, Class, Job};
use crate::redact::Secret;
use crate::{exit, fs, sink};

/// Where services of the stack answer that were not set up by this project, beside the places of `[doctor]`.
const ELSEWHERE: &[(Link, &str)] =
    &[(Link::Prometheus, "http://127.0.0.1:9090"), (Link::Grafana, "http://127.0.0.1:3000")];

/// Every query to a service is answered by then or counts as not answered.
const TIMEOUT: Duration = Duration::from_secs(3);

/// All queries have ended by then.
const ALL_QUERIES: Duration = Duration::from_millis(4500);

/// A pass every 30 seconds, a scrape every 15 to 60: what is older than this has stopped.
const STALE_SECONDS: f64 = 300.0;

#[derive(Debug)]
struct Evidence {
    now: f64,
    /// This machine's names, which `instance` or `host` labels may carry.
    hosts: Vec<String>,
    delivered: Delivered,
    timers: Timers,
    clients: Vec<Finding>,
    node_exporter: Reply<NodeExporter>,
    pushgateway: Option<PushgatewaySeen>,
    prometheus: Reply<Prometheus>,
    alertmanager: Reply<Alertmanager>,
    grafana: Reply<Grafana>,
}

/// All findings in the order of the chain; `seat` is the unit that this process stands for, see [`seats`]. A configuration
/// that cannot be used is a finding.
/// Errors: No thread to be had.
pub(crate) fn findings(config: Option<&Path>, seat: Option<&str>) -> anyhow::Result<Vec<Finding>> {
    let seen_by_units = if seat.is_none() && config.is_none() { seats::seen_by_units() } else { Vec::new() };
    let mut findings = if seen_by_units.is_empty() {
        let seat = Seat::find(seat);
        match crate::config::load(config) {
            Ok(settings) => examine(&settings, &seat)?,
            Err(error) => own::unusable(&error, &seat),
        }
    } else {
        seen_by_units
    };
    findings.sort_by_key(|finding| finding.link);
    Ok(findings)
}

fn examine(settings: &Settings, seat: &Seat) -> anyhow::Result<Vec<Finding>> {
    let mut findings = own::config(settings, seat);
    let (state, mut delivered) = own::state(settings, seat);
    findings.extend(state);
    findings.extend(textfile::inspect(settings, seat, &mut delivered));
    let mut evidence = unanswered(settings, seat);
    let ended = pool::run(queries(settings, seat, &delivered), Deadline::after(ALL_QUERIES), |_| ())
        .map_err(|error| exit::no_tasks("start the threads that checks run on", error))?;
    for store in ended.into_iter().flatten() {
        store(&mut evidence);
    }
    query_the_alertmanager_in_use(&mut evidence);
    findings.append(&mut evidence.clients);
    evidence.delivered = delivered;
    evidence.now = crate::clock::unix_seconds(crate::clock::now());
    findings.extend(judge(&evidence));
    Ok(findings)
}

/// Where none is at the usual place, the one that Prometheus sends to is queried.
fn query_the_alertmanager_in_use(evidence: &mut Evidence) {
    let trouble = evidence.alertmanager.trouble().filter(|_| !evidence.alertmanager.configured);
    let absent = trouble.is_some_and(|trouble| trouble != Trouble::Failing);
    let Some(prometheus) = evidence.prometheus.facts().filter(|_| absent) else { return };
    let bases = prometheus.alertmanagers.iter().filter_map(|url| url.split_once("/api/"));
    let addresses: Vec<Secret> = bases.map(|(base, _)| Secret::new(base)).collect();
    if !addresses.is_empty() {
        evidence.alertmanager = Reply::from_any(&addresses, false, Alertmanager::query, |_| true);
    }
}

/// What holds of a query that is not answered in time.
fn unanswered(settings: &Settings, seat: &Seat) -> Evidence {
    fn too_slow<T>(place: &ServiceAddress) -> Reply<T> {
        let addresses = std::slice::from_ref(&place.url);
        Reply::from_any(addresses, place.configured, |_| Err((Trouble::Failing, NO_ANSWER.to_owned())), |_| true)
    }
    const NO_ANSWER: &str = "no answer in time";
    let places = &settings.doctor;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let named = settings.probe.labels.get("host").into_iter();
    let pushed = settings.output.pushgateway.iter().filter_map(|gateway| gateway.grouping.get("instance"));
    let gateway = settings.output.pushgateway.as_ref();
    Evidence {
        now: 0.0,
        hosts: named.chain(pushed).cloned().chain([host]).collect(),
        delivered: Delivered::default(),
        timers: Timers { units: seat.units.clone(), cron: None },
        clients: own::clients_too_slow(),
        node_exporter: too_slow(&places.node_exporter),
        pushgateway: gateway.map(|_| Err((NO_ANSWER.to_owned(), "see why it is slow".into()))),
        prometheus: too_slow(&places.prometheus),
        alertmanager: too_slow(&places.alertmanager),
        grafana: too_slow(&places.grafana),
    }
}

/// Puts what a query brought into the evidence.
type Store = Box<dyn FnOnce(&mut Evidence) + Send>;

fn job<T: Send + 'static>(
    class: Class,
    query: impl FnOnce() -> T + Send + 'static,
    store: fn(&mut Evidence, T),
) -> Job<Store> {
    let work = move || {
        let found = query();
        Box::new(move |evidence: &mut Evidence| store(evidence, found)) as Store
    };
    Job { class, work: Box::new(work) }
}

/// The query of a service at its place, and at the usual ones where no other is named.
fn query<T: Send + 'static>(
    place: &ServiceAddress,
    link: Link,
    query: impl Fn(&Service) -> Result<T, Failure> + Send + 'static,
    wanted: fn(&T) -> bool,
    store: fn(&mut Evidence, Reply<T>),
) -> Job<Store> {
    let configured = place.configured;
    let elsewhere = ELSEWHERE.iter().filter(|(of, _)| *of == link && !configured);
    let addresses: Vec<Secret> =
        [place.url.clone()].into_iter().chain(elsewhere.map(|(_, url)| Secret::new(*url))).collect();
    job(Class::Waiting, move || Reply::from_any(&addresses, configured, query, wanted), store)
}

fn queries(settings: &Settings, seat: &Seat, delivered: &Delivered) -> Vec<Job<Store>> {
    let places = &settings.doctor;
    let (whole, textfile, account) = (settings.clone(), delivered.path.clone(), seat.account.clone());
    let node_exporter = move |service: &Service| NodeExporter::query(service, textfile.as_deref());
    let mut jobs = vec![
        job(Class::Local, move || own::clients(&whole), |evidence, found| evidence.clients = found),
        job(Class::Waiting, move || account?.crontab(), |evidence, cron| evidence.timers.cron = cron),
        query(
            &places.node_exporter,
            Link::NodeExporter,
            node_exporter,
            |_| true,
            |evidence, reply| {
                evidence.node_exporter = reply;
            },
        ),
        query(&places.prometheus, Link::Prometheus, Prometheus::query, Prometheus::knows_us, |evidence, reply| {
            evidence.prometheus = reply;
        }),
        query(
            &places.alertmanager,
            Link::Alertmanager,
            Alertmanager::query,
            |_| true,
            |evidence, reply| {
                evidence.alertmanager = reply;
            },
        ),
        query(&places.grafana, Link::Grafana, Grafana::query, |_| true, |evidence, reply| evidence.grafana = reply),
    ];
    if let Some(gateway) = settings.output.pushgateway.clone() {
        let at = seat.last_pass(delivered).unwrap_or_default();
        let pushed = delivered.outputs.get("pushgateway").map(|(_, error)| (at, error.clone()));
        let store = |evidence: &mut Evidence, seen| evidence.pushgateway = Some(seen);
        jobs.push(job(Class::Waiting, move || query_gateway(&gateway, pushed), store));
    }
    jobs
}

/// The group in the gateway; where only the unit may read the credential, what its last pass says.
fn query_gateway(gateway: &PushgatewaySettings, pushed: Option<(f64, Option<String>)>) -> PushgatewaySeen {
    let credentials: Vec<&PathBuf> = gateway.password_file.iter().chain(&gateway.bearer_token_file).collect();
    let closed = credentials.into_iter().find(|file| fs::read_capped(file, 1 << 16).is_err());
    if let (Some(file), Some((pushed_at, error))) = (closed, pushed) {
        let fix = format!("see the unit's journal; {} is readable for the unit alone", file.display());
        return error.map_or(Ok(Some(PushedGroup { pushed_at, failed_at: 0.0 })), |error| Err((error, fix)));
    }
    let seen = sink::pushgateway::group(gateway, Deadline::after(TIMEOUT));
    let hint = |error: &anyhow::Error| exit::hint_of(error).unwrap_or_default().to_owned();
    seen.map_err(|error| (format!("{}: {error:#}", sink::pushgateway::destination(gateway)), hint(&error)))
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
    findings.push(clock::judge(evidence));
    findings
}

/// One that does not answer: a fault where it is configured or others of the stack lean on it, else simply not used.
fn missing<T>(link: Link, reply: &Reply<T>, leaned_on: bool, (trouble, why): &Failure, fix: &str) -> Finding {
    let at = format!("nothing usable at {}: {why}", reply.origin);
    match trouble {
        _ if reply.configured || leaned_on => link.fail(at, fix),
        Trouble::Failing => link.warn(at, fix),
        Trouble::NotListening => link.skip(format!("not used here: nothing listens at {}", reply.origin), fix),
        Trouble::OtherService => link.skip(format!("not used here: at {} answers something else", reply.origin), fix),
    }
}

#[cfg(test)]
mod tests;
