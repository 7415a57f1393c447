//! lab-probe's own part of the chain: configuration, the clients' configurations, state and lock.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Access;

use super::starters::Starter;
use super::unit::Unit;
use crate::clock::{self, Deadline};
use crate::config::diagnose::ConfigError;
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::exit;
use crate::fs::access;
use crate::model::checkup::{Delivered, Finding, Link, age};
use crate::model::listing::ClientFile;
use crate::model::mcp::{McpTarget, Reach};
use crate::model::observation::{Facts, Remembered};
use crate::model::reason::Reason;
use crate::model::target::{Origin, Probe, Target};
use crate::plan::{self, Plan, View};
use crate::state::store::{Loaded, State};
use crate::state::{history, lock, store};
use crate::wording::plural;

/// Reading the clients' files, a home on a slow network included.
const CLIENTS_TIMEOUT: Duration = Duration::from_secs(3);
/// How far back a pass that Prometheus has is known for one of this host.
const RECENT_SECONDS: f64 = 86_400.0;
/// No pass takes so long; one that holds the lock for longer hangs.
const HELD_TOO_LONG_SECONDS: f64 = 300.0;

/// A configuration that cannot be used: a finding for each of its problems, and nothing else can be known.
pub(super) fn unusable(error: &anyhow::Error, starter: &Starter) -> Vec<Finding> {
    match error.downcast_ref::<ConfigError>() {
        Some(error) => error.lines().map(|line| starter.unless_closed(Link::Config.fail(line, error.next()))).collect(),
        None => vec![Link::Config.fail(error.to_string(), exit::hint_of(error).unwrap_or_default())],
    }
}

pub(super) fn config(settings: &Settings, starter: &Starter) -> Vec<Finding> {
    let of = starter.unit.as_ref().map_or(String::new(), |unit| format!(", for {}", unit.service_name()));
    let what = match &settings.source {
        None => "there is no configuration file; the defaults hold".to_owned(),
        Some(path) => format!("{} is valid, and nobody else may change it", path.display()),
    };
    let mut findings = vec![Link::Config.ok(what + &of)];
    findings.extend(settings.warnings.iter().map(|warning| Link::Config.warn(warning, "lab-probe config show")));
    findings
}

/// A finding for each client's file that is there, and for what could not be read.
pub(super) fn clients(settings: &Settings) -> Vec<Finding> {
    let deadline = Deadline::after(CLIENTS_TIMEOUT);
    let environment = HostEnvironment::of_process();
    let files = plan::mcp::files(settings, &environment, deadline);
    let Plan { targets, warnings, .. } = plan::mcp::plan(settings, &environment, View::Anywhere, deadline);
    let present = files.iter().filter(|file| file.present);
    let mut findings: Vec<Finding> = present.map(|file| client(file, &targets)).collect();
    let fix = "correct the file; lab-probe list --verbose shows what was found where";
    findings.extend(warnings.into_iter().map(|warning| Link::Clients.warn(warning, fix)));
    if !findings.is_empty() {
        return findings;
    }
    let own = plural(targets.len(), "server");
    let looked = format!("no MCP client's configuration was found in {} places", files.len());
    vec![match targets.len() {
        0 => Link::Clients.skip(looked, "lab-probe config init, and name servers there"),
        _ => Link::Clients.ok(format!("no client's configuration is there; {own} by other means")),
    }]
}

fn client(file: &ClientFile, targets: &[Target]) -> Finding {
    let is_here = |origin: &Origin| origin.path == file.path;
    let servers: Vec<&Target> = targets.iter().filter(|target| target.origins.iter().any(is_here)).collect();
    // A server is reached by the first file that names it.
    let is_untrusted = |target: &&&Target| {
        let Probe::Mcp(McpTarget { reach: Reach::Unreachable(failure), .. }) = &target.probe else { return false };
        failure.reason == Reason::Untrusted && target.origins.first().is_some_and(is_here)
    };
    let untrusted = servers.iter().filter(is_untrusted).count();
    let count = plural(servers.len(), "server");
    let what = format!("{}, {}: {}: {count}", file.source, file.scope, file.path.display());
    if untrusted == 0 {
        return Link::Clients.ok(what);
    }
    let fix = format!("read it, then lab-probe trust {}", access::quoted(&file.path));
    Link::Clients.warn(format!("{what}, {untrusted} not started because the file is not trusted"), fix)
}

/// State directory, state and lock; and what is known of the last passes.
pub(super) fn state(settings: &Settings, starter: &Starter) -> (Vec<Finding>, Delivered) {
    let directory = &settings.probe.state_dir;
    let Loaded { mut state, warnings, unreadable } = store::peek(directory, clock::now());
    let now = clock::unix_seconds(clock::now());
    let last_pass = state.last_pass.map(|last| clock::unix_seconds(last.started_at));
    let fix = format!("ls -l {}; the next pass sets a damaged file aside", access::quoted(&store::path(directory)));
    let mut findings = vec![place(directory)];
    findings.extend(warnings.into_iter().map(|warning| Link::State.fail_if(unreadable, warning, &fix)));
    findings.push(remembered(&state, starter, now));
    findings.extend(kill_switches(&state));
    findings.extend(held(directory, last_pass, now));
    let starters: BTreeMap<String, f64> =
        state.starters.iter().map(|(unit, pass)| (unit.clone(), clock::unix_seconds(pass.at))).collect();
    let records = history::of_two_days(directory, clock::now()).unwrap_or_default();
    let recorded = records.iter().map(|record| clock::unix_seconds(record.at)).filter(|at| now - at < RECENT_SECONDS);
    let passes = recorded.chain(starters.values().copied()).chain(last_pass).collect();
    let service = starter.unit.as_ref().map(Unit::service_name).unwrap_or_default();
    let young = starter.unit.as_ref().and_then(|unit| unit.awaits_first_pass(now, starters.get(&service).copied()));
    let outputs = state.starters.remove(&service).map(|pass| pass.outputs).unwrap_or_default();
    (findings, Delivered { last_pass, passes, starters, outputs, young, ..Delivered::default() })
}

/// What the last pass has left.
fn remembered(state: &State, starter: &Starter, now: f64) -> Finding {
    let Some(last) = state.last_pass else {
        return Link::State.warn("there has been no pass yet", starter.again());
    };
    let (targets, took) = (plural(state.targets.len(), "target"), last.duration.as_secs_f64());
    let ago = age(now - clock::unix_seconds(last.started_at));
    let what = format!("{targets} remembered; the last pass began {ago} ago, took {took:.1}s");
    if !last.deadline_exceeded {
        return Link::State.ok(what);
    }
    let fix = "lab-probe --once --fresh --format table shows what takes so long; raise probe.deadline if it has to";
    Link::State.warn(format!("{what}, and was cut off by its deadline"), fix)
}

/// Each environment whose kill switch is unknown: for how long, why, and what ends it.
fn kill_switches(state: &State) -> Vec<Finding> {
    let fix = "make the sources that it names readable, or wait for that event";
    let unknown = |(id, known): (&String, &Remembered)| {
        let Facts::Thunes(facts) = &known.observation.as_ref()?.facts else { return None };
        let sentence = facts.kill_switch_unknown.as_ref()?.lasting(clock::now());
        Some(Link::State.warn(format!("{id}: {sentence}"), fix))
    };
    state.targets.iter().filter_map(unknown).collect()
}

/// Whether state can be kept where it belongs.
fn place(directory: &Path) -> Finding {
    let (shown, quoted) = (directory.display(), access::quoted(directory));
    let absent = || {
        let parent = directory.ancestors().skip(1).find(|above| above.exists());
        if parent.is_some_and(may_write) {
            Link::State.ok(format!("{shown} will be made by the first pass"))
        } else {
            Link::State.fail(format!("{shown} is not there"), format!("mkdir -p {quoted}"))
        }
    };
    if let Err(finding) = is_directory(Link::State, directory, &format!("mv {quoted} {quoted}.old"), absent) {
        return finding;
    }
    let user = access::user(rustix::process::geteuid().as_raw());
    writable(Link::State, directory, || format!("sudo chown -R {user} {quoted}"))
}

/// Errors: The finding where a file is in the place of a directory, nothing at all, or it cannot be looked at.
pub(super) fn is_directory(
    link: Link,
    path: &Path,
    if_file: &str,
    if_absent: impl FnOnce() -> Finding,
) -> Result<(), Finding> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(link.fail(format!("{shown} is no directory"), if_file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(if_absent()),
        Err(error) => Err(link.fail(format!("{shown}: {error}"), format!("ls -ld {}", access::quoted(path)))),
    }
}

/// Whether this user may make files in a directory.
pub(super) fn writable(link: Link, directory: &Path, if_closed: impl FnOnce() -> String) -> Finding {
    let shown = directory.display();
    if may_write(directory) {
        link.ok(format!("{shown} is there, and this user may write there"))
    } else {
        link.fail(format!("{shown}: this user may not write there"), if_closed())
    }
}

fn may_write(directory: &Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, directory, access, rustix::fs::AtFlags::EACCESS).is_ok()
}

fn held(directory: &Path, last_pass: Option<f64>, now: f64) -> Option<Finding> {
    let pid = lock::holder(directory)?;
    let since = last_pass.map_or(0.0, |at| now - at);
    Some(if since > HELD_TOO_LONG_SECONDS {
        let what = format!("process {pid} holds the lock, and the last pass that ended is {} old", age(since));
        Link::State.fail(what, format!("ps -o pid,etime,args -p {pid}; if it hangs, kill {pid}"))
    } else {
        Link::State.ok(format!("a pass is running just now (process {pid} holds the lock)"))
    })
}
