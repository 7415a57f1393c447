//! The textfile: its directory, the file itself, and others beside it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::own::may_write;
use crate::clock;
use crate::config::settings::{Settings, TextfileSettings};
use crate::fs::{self, access};
use crate::metrics::check::{self, Inspector, Severity};
use crate::model::checkup::{Delivered, Finding, Link, age};
use crate::sink::{self, survey};

/// The group that the units and the package give the directory to.
const GROUP: &str = "lab-probe";
/// A pass delivers at its end, which is a deadline after its beginning.
const DELIVERED_WITHIN_SECONDS: f64 = 120.0;
/// Findings about textfiles shown one by one.
const SHOWN: usize = 5;

/// Looks at outputs that cannot be, the textfile and its neighbours.
pub(super) fn look(settings: &Settings, last_pass: Option<f64>) -> (Vec<Finding>, Delivered) {
    let output = &settings.output;
    let mut findings: Vec<Finding> = output
        .broken
        .iter()
        .map(|broken| {
            let link = if broken.output == "pushgateway" { Link::Pushgateway } else { Link::Textfile };
            Finding::fail(link, &broken.problem, "set the variable (for the timer: in the unit's environment file)")
        })
        .collect();
    let Some(textfile) = &output.textfile else {
        if !output.broken.iter().any(|broken| broken.output == "textfile") {
            let fix = "[output.textfile] in the configuration delivers one";
            findings.push(Finding::skip(Link::Textfile, "not used here: none is configured", fix));
        }
        return (findings, Delivered { last_pass, ..Delivered::default() });
    };
    let path = sink::textfile::path(textfile);
    let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file);
    let delivered = Delivered {
        fallback: output.defaulted && textfile.directory.starts_with(&settings.probe.state_dir),
        modified_at: metadata.map(|metadata| metadata.mtime() as f64 + metadata.mtime_nsec() as f64 / 1e9),
        last_pass,
        path: Some(path),
    };
    findings.push(directory(textfile, &delivered));
    findings.extend(closed(&textfile.directory, delivered.fallback));
    findings.extend(file(&delivered));
    if delivered.path.as_ref().is_some_and(|path| path.exists()) {
        findings.push(neighbours(textfile));
    }
    (findings, delivered)
}

/// Whether this user may deliver there.
fn directory(textfile: &TextfileSettings, delivered: &Delivered) -> Finding {
    let directory = &textfile.directory;
    let shown = directory.display();
    let user = access::user(rustix::process::geteuid().as_raw());
    let join = format!("sudo usermod -aG {GROUP} {user}, then log in anew");
    if delivered.fallback {
        let what = format!("goes to {shown}, which no node_exporter reads by itself");
        let usual = Path::new("/var/lib/prometheus/node-exporter");
        return if usual.is_dir() {
            Finding::warn(Link::Textfile, format!("{what}: this user may not write in {}", usual.display()), join)
        } else {
            Finding::skip(Link::Textfile, what, "sudo apt-get install prometheus-node-exporter")
        };
    }
    match std::fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => {
            Finding::fail(Link::Textfile, format!("{shown} is no directory"), "correct output.textfile.directory")
        }
        Ok(_) if may_write(directory) => {
            Finding::ok(Link::Textfile, format!("{shown} is there, and this user may write"))
        }
        Ok(metadata) => {
            let of_group = group_name(metadata.gid()).as_deref() == Some(GROUP);
            let fix = if of_group {
                join
            } else {
                format!("sudo chgrp {GROUP} {0} && sudo chmod 2775 {0}; {join}", access::quoted(directory))
            };
            // The system's unit has the group of its own accord.
            let by_timer = of_group && fresh(delivered);
            Finding::fail_if(!by_timer, Link::Textfile, format!("this user may not write in {shown}"), fix)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fix = format!("sudo install -d -m 2775 -g {GROUP} {}", access::quoted(directory));
            Finding::fail(Link::Textfile, format!("the directory {shown} is not there"), fix)
        }
        Err(error) => {
            Finding::fail(Link::Textfile, format!("{shown}: {error}"), format!("ls -ld {}", access::quoted(directory)))
        }
    }
}

fn group_name(gid: u32) -> Option<String> {
    let groups = fs::read_capped(Path::new("/etc/group"), 4 << 20).ok()?;
    let groups = String::from_utf8_lossy(&groups).into_owned();
    groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(gid)).then(|| fields[0].to_owned())
    })
}

/// Whether the last pass brought the file.
fn fresh(delivered: &Delivered) -> bool {
    match (delivered.modified_at, delivered.last_pass) {
        (Some(modified), Some(pass)) => pass - modified < DELIVERED_WITHIN_SECONDS,
        _ => false,
    }
}

/// A directory on the way that node_exporter's user cannot pass.
fn closed(directory: &Path, fallback: bool) -> Option<Finding> {
    let (closed, _) = survey::closed_directory(directory).filter(|_| !fallback)?;
    let what = format!("node_exporter may not get in: {} is closed to other users", closed.display());
    Some(Finding::warn(Link::Textfile, what, format!("chmod o+rx {}", access::quoted(&closed))))
}

fn file(delivered: &Delivered) -> Option<Finding> {
    let path = delivered.path.as_ref()?;
    let shown = path.display().to_string();
    let now = clock::unix_seconds(clock::now());
    if delivered.modified_at.is_none() && path.exists() {
        let fix = format!("mv {0} {0}.old, then lab-probe --once", access::quoted(path));
        return Some(Finding::fail(Link::Textfile, format!("{shown} is no regular file"), fix));
    }
    match (delivered.modified_at, delivered.last_pass) {
        (None, None) => None,
        (None, Some(_)) => Some(Finding::fail(
            Link::Textfile,
            format!("{shown} is not there: nothing has been delivered yet"),
            "lab-probe --once",
        )),
        (Some(modified), Some(pass)) if pass - modified >= DELIVERED_WITHIN_SECONDS => {
            let what = format!(
                "{shown} is {} old: the last pass, {} ago, did not deliver it",
                age(now - modified),
                age(now - pass)
            );
            Some(Finding::fail(Link::Textfile, what, "lab-probe --once"))
        }
        (Some(modified), _) => {
            Some(Finding::ok(Link::Textfile, format!("{shown} was delivered {} ago", age(now - modified))))
        }
    }
}

/// What node_exporter would say to all textfiles of the directory together.
fn neighbours(textfile: &TextfileSettings) -> Finding {
    let directory = &textfile.directory;
    let fix = format!("lab-probe verify {}", access::quoted(directory));
    let entries = match survey::entries(directory) {
        Ok(entries) => entries,
        Err(error) => {
            return Finding::fail(Link::Clashes, format!("cannot list {}: {error}", directory.display()), fix);
        }
    };
    let ours = sink::textfile::path(textfile);
    let mut inspector = Inspector::default();
    for path in entries {
        inspector.add(&survey::open(path));
    }
    let report = inspector.finish();
    let errors: Vec<&check::Finding> =
        report.findings.iter().filter(|found| found.severity == Severity::Error).collect();
    if errors.is_empty() {
        let what = format!("node_exporter takes all {} textfiles together", report.files);
        return Finding::ok(Link::Clashes, what);
    }
    let involved = |found: &&check::Finding| found.path == ours || found.other.as_ref() == Some::<&PathBuf>(&ours);
    let about_us = errors.iter().any(involved);
    let shown: Vec<String> = errors.iter().take(SHOWN).map(|found| found.to_string()).collect();
    let more = if errors.len() > SHOWN { format!(" … and {} more", errors.len() - SHOWN) } else { String::new() };
    Finding::fail_if(about_us, Link::Clashes, format!("{}{more}", shown.join("; ")), fix)
}
