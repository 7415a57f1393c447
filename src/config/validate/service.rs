//! `[[service]]`.

use std::time::Duration;

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
        check_address(block, &address);
        return Some(ServiceProbe::Tcp(address.value));
    } else if let Some(unit) = block.filled("unit") {
        return Some(ServiceProbe::Unit { name: unit_name(block, &unit), user: block.flag("user").unwrap_or(false) });
    }
    let pattern = block.filled("process")?;
    // No words would be in every command line.
    if pattern.trim().is_empty() {
        block.complain_of(&pattern, "it holds nothing but blanks");
    }
    Some(ServiceProbe::Process(pattern.value))
}

fn http(block: &Block<'_>) -> Option<ServiceProbe> {
    let headers = rules::headers(block, "headers");
    let expect_status = block.statuses("expect_status");
    let body_contains = block.filled("body_contains").map(|text| text.value);
    let body_matches = rules::pattern(block, "body_matches");
    let ca_file = block.path("ca_file");
    let url = rules::url(block, "url")?;
    Some(ServiceProbe::Http(HttpProbe { url, headers, expect_status, body_contains, body_matches, ca_file }))
}

fn check_address(block: &Block<'_>, address: &Text) {
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host_is_one = match bracketed {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/:[]@".contains(c)),
        };
        host_is_one && port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit())
    });
    if !valid {
        block.complain_of(address, "it must be host:port, as in \"127.0.0.1:5432\" or \"[::1]:5432\"");
    }
}

/// The full name of a unit: without a suffix it is a service, as for systemctl.
fn unit_name(block: &Block<'_>, unit: &Text) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if !unit.chars().all(plain) || unit.starts_with('-') {
        block.complain_of(unit, "it is no unit name, as in \"thunes.service\" or \"backup.timer\"");
    }
    let typed = unit.rsplit_once('.').is_some_and(|(_, suffix)| UNIT_TYPES.contains(&suffix));
    if typed { unit.value.clone() } else { format!("{}.service", &**unit) }
}
