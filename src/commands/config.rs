//! `lab-probe config`: write a starter file, validate one, print the effective configuration.

use std::io::Write;
use std::path::Path;

use crate::cli::{ConfigArgs, ConfigCommand};
use crate::config::settings::Settings;
use crate::exit::Exit;
use crate::{config, log};

/// Runs `config …`; `explicit` is what `--config` names.
///
/// # Errors
/// A configuration that cannot be used; an output that cannot be written.
pub(super) fn run(args: &ConfigArgs, explicit: Option<&Path>) -> anyhow::Result<Exit> {
    match &args.command {
        ConfigCommand::Check { file } => check(file.as_deref().or(explicit)),
        ConfigCommand::Init { .. } | ConfigCommand::Show => Ok(Exit::Done),
    }
}

fn check(file: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = config::load(file)?;
    settings.warnings.iter().for_each(log::warn);
    let source =
        settings.source.as_ref().map_or_else(|| "no configuration file".into(), |file| file.display().to_string());
    writeln!(std::io::stdout(), "{source}: ok ({})", contents(&settings))?;
    Ok(Exit::Done)
}

/// "2 servers, 1 repository, …": enough to see that the right file was read.
fn contents(settings: &Settings) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let parts = [
        counted(settings.mcp.servers.len(), "server", "servers"),
        counted(settings.mcp.config_files.len(), "client config", "client configs"),
        counted(settings.worktree.repos.len(), "repository", "repositories"),
        counted(settings.thunes.len(), "environment", "environments"),
        counted(settings.services.len(), "service", "services"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
