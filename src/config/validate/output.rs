//! `[output]`: where results go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};

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
    let child = |key| block.child(key).owned_by(Owner::Block);
    let (textfile, pushgateway, heartbeat) = (child("textfile"), child("pushgateway"), child("heartbeat"));
    // A bare `[output]` names no destination either: results that go nowhere are never what was meant.
    let to_textfile = textfile.is_present() || !pushgateway.is_present();
    let mut output = OutputSettings {
        textfile: to_textfile.then(|| read_textfile(&textfile, &probe.state_dir)),
        pushgateway: read_pushgateway(&pushgateway, probe),
        heartbeat: read_heartbeat(&heartbeat),
        defaulted: to_textfile && !textfile.has("directory"),
        broken: Vec::new(),
    };
    output.textfile.take_if(|_| textfile.fault().is_some());
    output.pushgateway.take_if(|_| pushgateway.fault().is_some());
    output.heartbeat.take_if(|_| heartbeat.fault().is_some());
    let blocks = [("textfile", textfile), ("pushgateway", pushgateway), ("heartbeat", heartbeat)];
    let broken = |(output, block): (_, Block<'_>)| Some(BrokenOutput { output, problem: block.fault()? });
    output.broken = blocks.into_iter().filter_map(broken).collect();
    output
}

fn read_heartbeat(block: &Block<'_>) -> Option<HeartbeatSettings> {
    let url = block.required("url", "https://hc-ping.com/…")?;
    rules::web_address(block, &url)?;
    Some(HeartbeatSettings { url: url.secret() })
}

fn read_textfile(block: &Block<'_>, state_dir: &Path) -> TextfileSettings {
    let file = block.filled("file");
    if let Some(file) = &file {
        let valid = !file.contains('/') && file.ends_with(".prom") && &**file != ".prom";
        block.ensure(file, valid, "it must be a file name without slash that ends in .prom, as in \"lab-probe.prom\"");
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
    let retries = block.count("retries", 0..=MOST_RETRIES).unwrap_or(RETRIES);
    Some(PushgatewaySettings {
        job: block.filled("job").map_or_else(|| JOB.to_owned(), |job| job.value),
        grouping: grouping(block, probe),
        username: block.filled("username").map(|username| username.value),
        password_file: block.path("password_file"),
        bearer_token_file: block.path("bearer_token_file"),
        ca_file: block.path("ca_file"),
        timeout: block.time_limit("timeout").unwrap_or(TIMEOUT),
        retries: u32::try_from(retries).unwrap_or(u32::MAX),
        // Last, here and in other sections: without it, too, the rest is read for its mistakes.
        url: base_url(block)?,
    })
}

/// The address that `/metrics/job/…` is put after.
fn base_url(block: &Block<'_>) -> Option<Secret> {
    let text = block.required("url", "http://127.0.0.1:9091")?;
    let url = rules::web_address(block, &text)?;
    let is_base = url.query().is_none() && url.fragment().is_none();
    block.ensure(&text, is_base, "the path of the group follows it, so it can have no \"?\" and no \"#\"");
    let userinfo = !url.username().is_empty() || url.password().is_some();
    let beside = block.has("username") || block.has("bearer_token_file");
    let once = "it holds a user name already; keep that or the keys beside it, not both";
    block.ensure(&text, !(userinfo && beside), once);
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
        name if rules::is_reserved(name) => {
            Some("is a label of lab-probe's own series, which a Pushgateway would refuse".into())
        }
        name if probe.labels.contains_key(name) => Some("is in \"labels\" of [probe] too; take it out of one".into()),
        _ => None,
    })
}
