//! The configuration in force as TOML, every secret masked.

use anyhow::Context;

use super::settings::Settings;
use crate::log::{is_invisible, printable};
use crate::model::mcp::Reach;
use crate::model::service::ServiceProbe;

/// Writes out `settings`. What cannot be checked or delivered is said in comments at the top.
pub fn show(settings: &Settings) -> anyhow::Result<String> {
    let mut comments = vec![match &settings.source {
        Some(path) => format!("In force from {} and by default.", path.display()),
        None => "In force by default: there is no configuration file.".to_owned(),
    }];
    comments.extend(settings.warnings.iter().map(|warning| format!("Warning: {warning}")));
    comments.extend(failures(settings).into_iter().map(|(name, why)| format!("{name} cannot be checked: {why}")));
    let broken = settings.output.broken.iter();
    comments.extend(broken.map(|broken| format!("{} cannot be delivered to: {}", broken.output, broken.problem)));
    let comments: String = comments.iter().map(|comment| format!("# {}\n", printable(comment))).collect();
    let table = toml::to_string(settings).context("the settings have no form in TOML")?;
    let mut out = format!("{comments}\n");
    for c in table.chars() {
        match c {
            c if c != '\n' && (c.is_control() || is_invisible(c)) => out.push_str(&format!("\\U{:08X}", c as u32)),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What spoils targets of the configuration: the target's name and why.
fn failures(settings: &Settings) -> Vec<(&str, String)> {
    let mut failures = Vec::new();
    for server in &settings.mcp.servers {
        if let Reach::Unreachable(failure) = &server.reach {
            failures.push((server.name.as_str(), format!("{}: {}", failure.reason.as_str(), failure.detail)));
        }
    }
    for thunes in &settings.thunes {
        failures.extend(thunes.target.unreachable.iter().map(|why| (thunes.target.environment.as_str(), why.clone())));
    }
    for service in &settings.services {
        if let ServiceProbe::Unreachable(failure) = &service.probe {
            failures.push((service.name.as_str(), format!("{}: {}", failure.reason.as_str(), failure.detail)));
        }
    }
    failures
}
