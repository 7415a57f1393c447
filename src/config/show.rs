//! The configuration in force as TOML, every secret masked.

use std::fmt::Display;

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
    let cannot = |name: &str, why: &dyn Display| format!("{name} cannot be checked: {why}");
    for server in &settings.mcp.servers {
        if let Reach::Unreachable(failure) = &server.reach {
            comments.push(cannot(&server.name, failure));
        }
    }
    for thunes in settings.thunes.iter().map(|thunes| &thunes.target) {
        comments.extend(thunes.unreachable.iter().map(|why| cannot(&thunes.environment, why)));
    }
    for service in &settings.services {
        if let ServiceProbe::Unreachable(failure) = &service.probe {
            comments.push(cannot(&service.name, failure));
        }
    }
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
