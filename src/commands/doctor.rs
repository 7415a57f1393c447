//! `lab-probe doctor`: walks the chain from the configuration to Grafana and says what is broken and what mends it.

mod own;
mod textfile;

use std::time::Duration;

use crate::cli::{Cli, DoctorArgs, ListFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::{ServiceAddress, Settings};
use crate::doctor::{self, Alertmanager, Asked, Evidence, Grafana, NodeExporter, Prometheus, Timers, Trouble};
use crate::exit::{self, Exit};
use crate::fs::access;
use crate::model::checkup::{Finding, PushgatewaySeen, Status};
use crate::run::pool::{self, Class, Ended, Job};
use crate::show::checklist;
use crate::sink::pushgateway;

/// Everything has answered by then, or counts as not answering. Each question has a shorter limit of its own.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Looks at everything and changes nothing.
///
/// # Errors
/// When no thread or signal handler can be had. A configuration that cannot be used is a finding.
pub(super) fn run(cli: &Cli, args: &DoctorArgs) -> anyhow::Result<Exit> {
    crate::pass::catch_signals()?;
    let mut findings = match crate::config::load(cli.global.config.as_deref()) {
        Ok(settings) => examine(&settings)?,
        Err(error) => own::unusable(&error),
    };
    findings.sort_by_key(|finding| finding.link);
    let text = match args.format {
        ListFormat::Json => checklist::json(&findings, clock::now()).map_err(exit::bug)?,
        ListFormat::Table => checklist::table(&findings, &super::style(cli)),
    };
    let broken = findings.iter().any(|finding| finding.status == Status::Fail);
    Ok(if super::print(&text) && !broken { Exit::Done } else { Exit::Trouble })
}

/// What one of the questions brought.
enum Seen {
    Clients(Vec<Finding>),
    Timers(Timers),
    NodeExporter(Asked<NodeExporter>),
    Pushgateway(PushgatewaySeen),
    Prometheus(Asked<Prometheus>),
    Alertmanager(Asked<Alertmanager>),
    Grafana(Asked<Grafana>),
}

fn examine(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let user = access::user(rustix::process::geteuid().as_raw());
    let mut evidence = nothing_seen(settings, user.clone());
    let mut clients = None;
    for ended in pool::run(questions(settings, user), Deadline::after(PATIENCE), |_| ())
        .map_err(|error| exit::no_threads(&error))?
    {
        let Ended::Finished(seen) = ended else { continue };
        match seen {
            Seen::Clients(found) => clients = Some(found),
            Seen::Timers(timers) => evidence.timers = timers,
            Seen::NodeExporter(asked) => evidence.node_exporter = asked,
            Seen::Pushgateway(seen) => evidence.pushgateway = Some(seen),
            Seen::Prometheus(asked) => evidence.prometheus = asked,
            Seen::Alertmanager(asked) => evidence.alertmanager = asked,
            Seen::Grafana(asked) => evidence.grafana = asked,
        }
    }
    let mut findings = own::config(settings);
    findings.extend(clients.unwrap_or_else(own::clients_too_slow));
    let (state, last_pass) = own::state(settings);
    findings.extend(state);
    let (textfile, delivered) = textfile::look(settings, last_pass);
    findings.extend(textfile);
    evidence.delivered = delivered;
    evidence.now = clock::unix_seconds(clock::now());
    findings.extend(doctor::judge(&evidence));
    Ok(findings)
}

/// What holds of a question that is not answered in time.
fn nothing_seen(settings: &Settings, user: String) -> Evidence {
    let too_slow = || "no answer in time".to_owned();
    let places = &settings.doctor;
    Evidence {
        now: 0.0,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        delivered: crate::model::checkup::Delivered::default(),
        timers: Timers { user, ..Timers::default() },
        node_exporter: unanswered(&places.node_exporter, too_slow()),
        pushgateway: settings.output.pushgateway.as_ref().map(|_| Err((too_slow(), "see why it is slow".into()))),
        prometheus: unanswered(&places.prometheus, too_slow()),
        alertmanager: unanswered(&places.alertmanager, too_slow()),
        grafana: unanswered(&places.grafana, too_slow()),
    }
}

fn unanswered<T>(place: &ServiceAddress, why: String) -> Asked<T> {
    Asked::look(&place.url, place.configured, |_| Err(Trouble::Odd(why)))
}

fn questions(settings: &Settings, user: String) -> Vec<Job<Seen>> {
    let places = settings.doctor.clone();
    let ask = |place: ServiceAddress, seen: fn(&ServiceAddress) -> Seen| question(Class::Waiting, move || seen(&place));
    let whole = settings.clone();
    let mut jobs = vec![
        question(Class::Local, move || Seen::Clients(own::clients(&whole))),
        question(Class::Waiting, move || Seen::Timers(Timers::ask(user))),
        ask(places.node_exporter, |place| {
            Seen::NodeExporter(Asked::look(&place.url, place.configured, NodeExporter::ask))
        }),
        ask(places.prometheus, |place| Seen::Prometheus(Asked::look(&place.url, place.configured, Prometheus::ask))),
        ask(places.alertmanager, |place| {
            Seen::Alertmanager(Asked::look(&place.url, place.configured, Alertmanager::ask))
        }),
        ask(places.grafana, |place| Seen::Grafana(Asked::look(&place.url, place.configured, Grafana::ask))),
    ];
    if let Some(gateway) = settings.output.pushgateway.clone() {
        jobs.push(question(Class::Waiting, move || {
            let seen = pushgateway::look(&gateway, Deadline::after(doctor::TIMEOUT));
            let at = pushgateway::destination(&gateway);
            Seen::Pushgateway(
                seen.map_err(|error| {
                    (format!("{at}: {error:#}"), exit::hint_of(&error).unwrap_or_default().to_owned())
                }),
            )
        }));
    }
    jobs
}

fn question(class: Class, work: impl FnOnce() -> Seen + Send + 'static) -> Job<Seen> {
    Job { class, work: Box::new(work) }
}
