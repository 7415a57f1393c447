//! `[[service]]`.

use std::time::Duration;

use url::{Position, Url};

use super::rules;
use crate::config::block::{Block, Text};
use crate::config::settings::ServiceSettings;
use crate::model::service::{HttpProbe, ServiceProbe};
use crate::model::target::Schedule;

/// A look costs one request or one question to systemd, so nothing is reused.
const SCHEDULE: Schedule =
    Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::from_secs(5) };

/// What systemd calls its kinds of unit (systemd.unit(5)).
const UNIT_TYPES: &[&str] =
    &["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

pub(super) fn read(blocks: Vec<Block<'_>>) -> Vec<ServiceSettings> {
    rules::named(blocks, "name", "prometheus", |block, name| {
        let schedule = rules::schedule(block, SCHEDULE);
        let probe = probe(block);
        let probe = block.failure().map(ServiceProbe::Unreachable).or(probe)?;
        Some(ServiceSettings { name, probe, schedule })
    })
}

/// How the service is looked at; `None` after a complaint or where the environment spoils the block.
fn probe(block: &Block<'_>) -> Option<ServiceProbe> {
    if block.has("url") {
        return http(block);
    } else if let Some(address) = block.filled("tcp") {
        // A URL's parser passes over blanks, control characters and an empty user name.
        let is_clean = !address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
        let is_address = |url: Url| url.port().is_some_and(|port| port > 0) && url[Position::AfterPort..].is_empty();
        let valid = is_clean && Url::parse(&format!("tcp://{}", &*address)).is_ok_and(is_address);
        block.ensure(&address, valid, "it must be host:port, as in \"127.0.0.1:5432\" or \"[::1]:5432\"");
        return Some(ServiceProbe::Tcp(address.value));
    } else if let Some(unit) = block.filled("unit") {
        return Some(ServiceProbe::Unit { name: unit_name(block, &unit), user: block.flag("user").unwrap_or(false) });
    }
    let pattern = block.filled("process")?;
    // No words would be in every command line.
    block.ensure(&pattern, !pattern.trim().is_empty(), "it holds nothing but blanks");
    Some(ServiceProbe::Process(pattern.value))
}

fn http(block: &Block<'_>) -> Option<ServiceProbe> {
    Some(ServiceProbe::Http(HttpProbe {
        headers: rules::headers(block, "headers"),
        expect_status: block.statuses("expect_status"),
        body_contains: block.filled("body_contains").map(|text| text.value),
        body_matches: rules::pattern(block, "body_matches"),
        ca_file: block.path("ca_file"),
        url: rules::url(block, "url")?,
    }))
}

/// The full name of a unit: without a suffix it is a service, as for systemctl.
fn unit_name(block: &Block<'_>, unit: &Text) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let valid = unit.chars().all(plain) && !unit.starts_with('-');
    block.ensure(unit, valid, "it is no unit name, as in \"thunes.service\" or \"backup.timer\"");
    let typed = unit.rsplit_once('.').is_some_and(|(_, suffix)| UNIT_TYPES.contains(&suffix));
    if typed { unit.value.clone() } else { format!("{}.service", &**unit) }
}
