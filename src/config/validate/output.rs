//! `[output]`: where results go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::probe::RESERVED_LABELS;
use super::rules;
use crate::config::block::{Block, Owner};
use crate::config::settings::{
    BrokenOutput, HeartbeatSettings, OutputSettings, ProbeSettings, PushgatewaySettings, TextfileSettings,
};
use crate::redact::Secret;

/// Where Debian's prometheus-node-exporter reads textfiles.
const SYSTEM_DIRECTORY: &str = "/var/lib/prometheus/node-exporter";
const JOB: &str = "lab_probe";
const TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES: u64 = 2;
/// A pass has one deadline; more attempts than this never fit into it.
const MOST_RETRIES: u64 = 10;

pub(super) fn read(block: &Block<'_>, probe: &ProbeSettings) -> OutputSettings {
    let mut output = OutputSettings::default();
    let mut broken = Vec::new();
    let textfile = block.child("textfile").owned_by(Owner::Block);
    let pushgateway = block.child("pushgateway").owned_by(Owner::Block);
    // A bare `[output]` names no destination either: results that go nowhere are never what was meant.
    if textfile.is_present() || !pushgateway.is_present() {
        output.defaulted = !textfile.has("directory");
        let settings = read_textfile(&textfile, &probe.state_dir);
        output.textfile = unbroken("textfile", &textfile, Some(settings), &mut broken);
    }
    if pushgateway.is_present() {
        let settings = read_pushgateway(&pushgateway, probe);
        output.pushgateway = unbroken("pushgateway", &pushgateway, settings, &mut broken);
    }
    let heartbeat = block.child("heartbeat").owned_by(Owner::Block);
    if heartbeat.is_present() {
        let url = heartbeat.required("url", "https://hc-ping.com/…").and_then(|text| {
            rules::web_address(&heartbeat, &text)?;
            Some(HeartbeatSettings { url: text.secret() })
        });
        output.heartbeat = unbroken("heartbeat", &heartbeat, url, &mut broken);
    }
    OutputSettings { broken, ..output }
}

/// The settings, unless a variable that they need is missing: then the output is one of the `broken`.
fn unbroken<T>(
    output: &'static str,
    block: &Block<'_>,
    settings: Option<T>,
    broken: &mut Vec<BrokenOutput>,
) -> Option<T> {
    let fault = block.fault();
    let settings = settings.filter(|_| fault.is_none());
    broken.extend(fault.map(|problem| BrokenOutput { output, problem }));
    settings
}

fn read_textfile(block: &Block<'_>, state_dir: &Path) -> TextfileSettings {
    let file = block.filled("file");
    if let Some(file) = &file
        && (file.contains('/') || !file.ends_with(".prom") || &**file == ".prom")
    {
        block.complain_of(file, "it must be a file name without slash that ends in .prom, as in \"lab-probe.prom\"");
    }
    TextfileSettings {
        directory: block.path("directory").unwrap_or_else(|| default_directory(state_dir)),
        file: file.map_or_else(|| TextfileSettings::FILE.to_owned(), |file| file.value),
    }
}

/// node_exporter's directory if this user may write there, else one below the state.
fn default_directory(state_dir: &Path) -> PathBuf {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(CWD, SYSTEM_DIRECTORY, access, AtFlags::EACCESS) {
        Ok(()) => SYSTEM_DIRECTORY.into(),
        Err(_) => state_dir.join("textfile"),
    }
}

fn read_pushgateway(block: &Block<'_>, probe: &ProbeSettings) -> Option<PushgatewaySettings> {
    let job = block.filled("job").map_or_else(|| JOB.to_owned(), |job| job.value);
    let grouping = grouping(block, probe);
    let username = block.filled("username").map(|username| username.value);
    let password_file = block.path("password_file");
    let bearer_token_file = block.path("bearer_token_file");
    let ca_file = block.path("ca_file");
    let timeout = block.time_limit("timeout").unwrap_or(TIMEOUT);
    let retries = block.count("retries", 0..=MOST_RETRIES).unwrap_or(RETRIES);
    Some(PushgatewaySettings {
        url: base_url(block)?,
        job,
        grouping,
        username,
        password_file,
        bearer_token_file,
        ca_file,
        timeout,
        retries: u32::try_from(retries).unwrap_or(u32::MAX),
    })
}

/// The address that `/metrics/job/…` is put after.
fn base_url(block: &Block<'_>) -> Option<Secret> {
    let text = block.required("url", "http://127.0.0.1:9091")?;
    let url = rules::web_address(block, &text)?;
    if url.query().is_some() || url.fragment().is_some() {
        block.complain_of(&text, "the path of the group follows it, so it can have no \"?\" and no \"#\"");
    }
    let userinfo = !url.username().is_empty() || url.password().is_some();
    if userinfo && (block.has("username") || block.has("bearer_token_file")) {
        block.complain_of(&text, "it holds a user name already; keep that or the keys beside it, not both");
    }
    Some(text.secret())
}

fn grouping(block: &Block<'_>, probe: &ProbeSettings) -> BTreeMap<String, String> {
    if !block.has("grouping") {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        return BTreeMap::from([("instance".to_owned(), host)]);
    }
    rules::labels(block, "grouping", |name| match name {
        "job" => Some("has a key of its own beside \"grouping\"".into()),
        "instance" => None,
        name if RESERVED_LABELS.contains(&name) => {
            Some("is a label of lab-probe's own series, which a Pushgateway would refuse".into())
        }
        name if probe.labels.contains_key(name) => Some("is in \"labels\" of [probe] too; take it out of one".into()),
        _ => None,
    })
}
