//! The textfile: its directory, the file itself, and others beside it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::own;
use super::starters::Starter;
use crate::clock;
use crate::config::settings::{Settings, TextfileSettings};
use crate::fs::access;
use crate::metrics::check::{self, Inspector, Severity};
use crate::model::checkup::{Delivered, Finding, Link, age};
use crate::sink::survey;
use crate::wording::first_of;

/// Where node_exporter reads textfiles by default.
const USUAL: &str = "/var/lib/prometheus/node-exporter";
/// The group that the units and the package give the directory to.
pub(super) const GROUP: &str = "lab-probe";
/// A pass delivers at its end, which is a deadline after its beginning.
const DELIVERED_WITHIN_SECONDS: f64 = 120.0;
/// Findings about textfiles shown one by one.
const SHOWN: usize = 5;

/// Looks at outputs that cannot be, the textfile and its neighbours; completes what is known of deliveries.
pub(super) fn inspect(settings: &Settings, starter: &Starter, mut delivered: Delivered) -> (Vec<Finding>, Delivered) {
    let output = &settings.output;
    let broken = output.broken.iter().map(|broken| {
        let link = if broken.output == "pushgateway" { Link::Pushgateway } else { Link::Textfile };
        let fix = "set the variable (for the timer: in the unit's environment file)";
        starter.unless_closed(link.fail(&broken.problem, fix))
    });
    let mut findings: Vec<Finding> = broken.collect();
    let Some(textfile) = &output.textfile else {
        if !output.broken.iter().any(|broken| broken.output == "textfile") {
            let fix = "[output.textfile] in the configuration delivers one";
            findings.push(Link::Textfile.skip("not used here: none is configured", fix));
        }
        return (findings, delivered);
    };
    let directory = directory_of(settings, textfile, &delivered, starter);
    let path = directory.join(&textfile.file);
    let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file);
    delivered.fallback = output.defaulted && directory.starts_with(&settings.probe.state_dir);
    delivered.modified_at = metadata.map(|metadata| metadata.mtime() as f64 + metadata.mtime_nsec() as f64 / 1e9);
    findings.push(deliverable(&directory, &delivered, starter));
    findings.extend(closed(&directory, delivered.fallback));
    findings.extend(file(&path, &delivered, starter));
    findings.extend(path.exists().then(|| neighbours(&directory, &path)));
    delivered.path = Some(path);
    (findings, delivered)
}

/// Where the passes that count deliver: a directory that nobody named is chosen by what the unit may write, and its last
/// pass tells.
fn directory_of(settings: &Settings, textfile: &TextfileSettings, delivered: &Delivered, starter: &Starter) -> PathBuf {
    if !settings.output.defaulted {
        return textfile.directory.clone();
    }
    let destination = delivered.outputs.get("textfile").map(|(destination, _)| Path::new(destination));
    match destination.and_then(Path::parent) {
        Some(directory) => directory.to_owned(),
        None if starter.unit.is_some() && Path::new(USUAL).is_dir() => USUAL.into(),
        None => textfile.directory.clone(),
    }
}

/// Whether the passes that count may deliver there: the last one of a unit tells, else what this user may do.
fn deliverable(directory: &Path, delivered: &Delivered, starter: &Starter) -> Finding {
    let shown = directory.display();
    if delivered.fallback {
        let what = format!("the textfile goes to {shown}, which no node_exporter reads by default");
        let usual = Path::new(USUAL);
        if !usual.is_dir() {
            return Link::Textfile.skip(what, "sudo apt-get install prometheus-node-exporter");
        }
        let what = format!("{what}, because {} could not write in {USUAL}", starter.who());
        return Link::Textfile.fail_if(starter.unit.is_some(), what, starter.open_up(usual, ""));
    }
    let absent = || {
        let fix = format!("sudo install -d -m 2775 -g {GROUP} {}", access::quoted(directory));
        Link::Textfile.fail(format!("the directory {shown} is not there"), fix)
    };
    if let Err(finding) = own::is_directory(Link::Textfile, directory, "correct output.textfile.directory", absent) {
        return finding;
    }
    match (delivered.outputs.get("textfile"), &starter.unit) {
        (Some((_, Some(error))), _) => {
            let what = format!("the last pass of {} could not deliver: {error}", starter.who());
            Link::Textfile.fail(what, starter.open_up(directory, error))
        }
        (Some((_, None)), _) => Link::Textfile.ok(format!("{} delivers to {shown}", starter.who())),
        (None, Some(unit)) => {
            let what = format!("the first pass of {} tells whether it may write in {shown}", unit.service_name());
            Link::Textfile.warn(what, starter.again())
        }
        (None, None) => own::writable(Link::Textfile, directory, || starter.open_up(directory, "")),
    }
}

/// A directory on the way that node_exporter's user cannot pass.
fn closed(directory: &Path, fallback: bool) -> Option<Finding> {
    let (closed, _) = survey::closed_directory(directory).filter(|_| !fallback)?;
    let what = format!("node_exporter may not read the directory: {} is closed to other users", closed.display());
    Some(Link::Textfile.warn(what, format!("chmod o+rx {}", access::quoted(&closed))))
}

fn file(path: &Path, delivered: &Delivered, starter: &Starter) -> Option<Finding> {
    let shown = path.display().to_string();
    let now = clock::unix_seconds(clock::now());
    if delivered.modified_at.is_none() && path.exists() {
        let fix = format!("mv {0} {0}.old, then {1}", access::quoted(path), starter.again());
        return Some(Link::Textfile.fail(format!("{shown} is no regular file"), fix));
    }
    match (delivered.modified_at, starter.last_pass(delivered)) {
        (None, None) => None,
        (None, Some(_)) => {
            let what = format!("{shown} is not there: not delivered yet, or taken away since");
            Some(Link::Textfile.fail(what, starter.again()))
        }
        (Some(modified), Some(pass)) if pass - modified >= DELIVERED_WITHIN_SECONDS => {
            let (old, ago) = (age(now - modified), age(now - pass));
            let what = format!("{shown} is {old} old: the last pass, {ago} ago, did not deliver it");
            Some(Link::Textfile.fail(what, starter.again()))
        }
        (Some(modified), _) => Some(Link::Textfile.ok(format!("{shown} was delivered {} ago", age(now - modified)))),
    }
}

/// What node_exporter would say to all textfiles of the directory together.
fn neighbours(directory: &Path, ours: &Path) -> Finding {
    let fix = format!("lab-probe verify {}", access::quoted(directory));
    let entries = match survey::entries(directory) {
        Ok(entries) => entries,
        Err(error) => return Link::Clashes.fail(format!("cannot list {}: {error}", directory.display()), fix),
    };
    let mut inspector = Inspector::default();
    entries.into_iter().for_each(|path| inspector.add(&survey::open(path)));
    let mut report = inspector.finish();
    report.findings.retain(|found| found.severity == Severity::Error);
    if report.findings.is_empty() {
        return Link::Clashes.ok(format!("node_exporter takes all {} textfiles together", report.files));
    }
    let about_us = report.findings.iter().any(|found| found.path == ours || found.other.as_deref() == Some(ours));
    let errors: Vec<String> = report.findings.iter().map(check::Finding::to_string).collect();
    Link::Clashes.fail_if(about_us, first_of(&errors, SHOWN), fix)
}
