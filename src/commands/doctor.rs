//! `lab-probe doctor`: walks the chain from the configuration to Grafana and says what is broken and what mends it.
//!
//! What is judged is what the timer does. Where a unit starts the passes, this program runs itself once more with that
//! unit's user, variables and directory, in [`seats`], and shows what was seen from there.

mod own;
mod seats;
mod textfile;

use std::path::PathBuf;
use std::time::Duration;

use self::seats::Seat;
use crate::cli::{Cli, ListFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::{PushgatewaySettings, ServiceAddress, Settings};
use crate::doctor::{self, Alertmanager, Asked, Evidence, Grafana, NodeExporter, Prometheus, Timers, Trouble};
use crate::exit::{self, Exit};
use crate::fs;
use crate::model::checkup::{Delivered, Finding, Link, PushedGroup, PushgatewaySeen, Status};
use crate::redact::Secret;
use crate::run::pool::{self, Class, Ended, Job};
use crate::show::checklist;
use crate::sink::pushgateway;

/// Everything has answered by then, or counts as not answering. Each question has a shorter limit of its own.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Looks at everything and changes nothing.
///
/// # Errors
/// When no thread or signal handler can be had. A configuration that cannot be used is a finding.
pub(super) fn run(cli: &Cli, format: ListFormat, seat: Option<&str>) -> anyhow::Result<Exit> {
    crate::pass::catch_signals()?;
    let explicit = cli.global.config.as_deref();
    let seen_by_units = if seat.is_none() && explicit.is_none() { seats::seen_by_units() } else { Vec::new() };
    let mut findings = if seen_by_units.is_empty() {
        let seat = Seat::find(seat);
        match crate::config::load(explicit) {
            Ok(settings) => examine(&settings, &seat)?,
            Err(error) => own::unusable(&error, &seat),
        }
    } else {
        seen_by_units
    };
    findings.sort_by_key(|finding| finding.link);
    let text = match format {
        ListFormat::Json => checklist::json(&findings, clock::now()).map_err(exit::bug)?,
        ListFormat::Table => checklist::table(&findings, &super::style(cli)),
    };
    let broken = findings.iter().any(|finding| finding.status == Status::Fail);
    let printed = super::print(&text)?;
    Ok(if broken { Exit::Trouble } else { printed })
}

/// What one of the questions brought.
enum Seen {
    Clients(Vec<Finding>),
    Cron(Option<String>),
    NodeExporter(Asked<NodeExporter>),
    Pushgateway(PushgatewaySeen),
    Prometheus(Asked<Prometheus>),
    Alertmanager(Asked<Alertmanager>),
    Grafana(Asked<Grafana>),
}

fn examine(settings: &Settings, seat: &Seat) -> anyhow::Result<Vec<Finding>> {
    let mut findings = own::config(settings, seat);
    let (state, mut delivered) = own::state(settings, seat);
    findings.extend(state);
    let textfile = textfile::look(settings, seat, &mut delivered);
    let mut evidence = nothing_seen(settings, seat);
    let mut clients = None;
    for ended in pool::run(questions(settings, seat, &delivered), Deadline::after(PATIENCE), |_| ())
        .map_err(|error| exit::no_tasks("start the threads that checks run on", error))?
    {
        let Ended::Finished(seen) = ended else { continue };
        match seen {
            Seen::Clients(found) => clients = Some(found),
            Seen::Cron(cron) => evidence.timers.cron = cron,
            Seen::NodeExporter(asked) => evidence.node_exporter = asked,
            Seen::Pushgateway(seen) => evidence.pushgateway = Some(seen),
            Seen::Prometheus(asked) => evidence.prometheus = asked,
            Seen::Alertmanager(asked) => evidence.alertmanager = asked,
            Seen::Grafana(asked) => evidence.grafana = asked,
        }
    }
    ask_the_alertmanager_in_use(&mut evidence);
    findings.extend(clients.unwrap_or_else(own::clients_too_slow));
    findings.extend(textfile);
    evidence.delivered = delivered;
    evidence.now = clock::unix_seconds(clock::now());
    findings.extend(doctor::judge(&evidence));
    Ok(findings)
}

/// Where none is at the usual place, the one that Prometheus sends to is asked.
fn ask_the_alertmanager_in_use(evidence: &mut Evidence) {
    let absent = !evidence.alertmanager.configured
        && matches!(evidence.alertmanager.seen, Err(Trouble::Absent(_) | Trouble::Other(_)));
    let Some(prometheus) = evidence.prometheus.facts().filter(|_| absent) else { return };
    let bases = prometheus.alertmanagers.iter().filter_map(|url| url.split_once("/api/"));
    let addresses: Vec<Secret> = bases.map(|(base, _)| Secret::new(base)).collect();
    if !addresses.is_empty() {
        evidence.alertmanager = Asked::look(&addresses, false, Alertmanager::ask, |_| true);
    }
}

/// What holds of a question that is not answered in time.
fn nothing_seen(settings: &Settings, seat: &Seat) -> Evidence {
    let too_slow = || "no answer in time".to_owned();
    let places = &settings.doctor;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let named = settings.probe.labels.get("host").into_iter();
    let pushed = settings.output.pushgateway.iter().filter_map(|gateway| gateway.grouping.get("instance"));
    Evidence {
        now: 0.0,
        hosts: named.chain(pushed).cloned().chain([host]).collect(),
        delivered: Delivered::default(),
        timers: Timers { units: seat.units.clone(), cron: None },
        node_exporter: unanswered(&places.node_exporter, too_slow()),
        pushgateway: settings.output.pushgateway.as_ref().map(|_| Err((too_slow(), "see why it is slow".into()))),
        prometheus: unanswered(&places.prometheus, too_slow()),
        alertmanager: unanswered(&places.alertmanager, too_slow()),
        grafana: unanswered(&places.grafana, too_slow()),
    }
}

fn unanswered<T>(place: &ServiceAddress, why: String) -> Asked<T> {
    Asked::look(std::slice::from_ref(&place.url), place.configured, |_| Err(Trouble::Odd(why.clone())), |_| true)
}

/// Where a service is looked for: at its place, and at the usual ones where no other is named.
fn addresses(place: &ServiceAddress, link: Link) -> Vec<Secret> {
    let elsewhere = doctor::ELSEWHERE.iter().filter(|(of, _)| *of == link && !place.configured);
    [place.url.clone()].into_iter().chain(elsewhere.map(|(_, url)| Secret::new(*url))).collect()
}

fn questions(settings: &Settings, seat: &Seat, delivered: &Delivered) -> Vec<Job<Seen>> {
    let places = settings.doctor.clone();
    let whole = settings.clone();
    let textfile = delivered.path.clone();
    let ask = |place: &ServiceAddress, link, seen: fn(&[Secret], bool) -> Seen| {
        let (addresses, configured) = (addresses(place, link), place.configured);
        question(Class::Waiting, move || seen(&addresses, configured))
    };
    let node_exporter = places.node_exporter.clone();
    let account = seat.account.clone();
    let mut jobs = vec![
        question(Class::Local, move || Seen::Clients(own::clients(&whole))),
        question(Class::Waiting, move || Seen::Cron(account.and_then(|account| account.crontab()))),
        question(Class::Waiting, move || {
            let look = |service: &doctor::Service| NodeExporter::ask(service, textfile.as_deref());
            let place = [node_exporter.url];
            Seen::NodeExporter(Asked::look(&place, node_exporter.configured, look, |_| true))
        }),
        ask(&places.prometheus, Link::Prometheus, |addresses, configured| {
            Seen::Prometheus(Asked::look(addresses, configured, Prometheus::ask, Prometheus::knows_us))
        }),
        ask(&places.alertmanager, Link::Alertmanager, |addresses, configured| {
            Seen::Alertmanager(Asked::look(addresses, configured, Alertmanager::ask, |_| true))
        }),
        ask(&places.grafana, Link::Grafana, |addresses, configured| {
            Seen::Grafana(Asked::look(addresses, configured, Grafana::ask, |_| true))
        }),
    ];
    if let Some(gateway) = settings.output.pushgateway.clone() {
        let at = seat.last_pass(delivered).unwrap_or_default();
        let pushed = delivered.outputs.get("pushgateway").map(|(_, error)| (at, error.clone()));
        jobs.push(question(Class::Waiting, move || Seen::Pushgateway(look_at_gateway(&gateway, pushed))));
    }
    jobs
}
/// The group in the gateway; where only the unit may read the credential, what its last pass says.
fn look_at_gateway(gateway: &PushgatewaySettings, pushed: Option<(f64, Option<String>)>) -> PushgatewaySeen {
    let credentials: Vec<&PathBuf> = gateway.password_file.iter().chain(&gateway.bearer_token_file).collect();
    let closed = credentials.into_iter().find(|file| fs::read_capped(file, 1 << 16).is_err());
    if let (Some(file), Some((pushed_at, error))) = (closed, pushed) {
        let fix = format!("see the unit's journal; {} is readable for the unit alone", file.display());
        return error.map_or(Ok(Some(PushedGroup { pushed_at, failed_at: 0.0 })), |error| Err((error, fix)));
    }
    let seen = pushgateway::look(gateway, Deadline::after(doctor::TIMEOUT));
    let hint = |error: &anyhow::Error| exit::hint_of(error).unwrap_or_default().to_owned();
    seen.map_err(|error| (format!("{}: {error:#}", pushgateway::destination(gateway)), hint(&error)))
}

fn question(class: Class, work: impl FnOnce() -> Seen + Send + 'static) -> Job<Seen> {
    Job { class, work: Box::new(work) }
}
