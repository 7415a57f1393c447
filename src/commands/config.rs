//! `lab-probe config`: write a starter file, validate one, print the effective configuration.

mod proposals;

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::ConfigCommand;
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::config::show::show;
use crate::config::starter::STARTER;
use crate::exit::{self, Exit};
use crate::wording::plural;
use crate::{config, fs, log};

/// Everybody may read it, since it holds no secret; nobody else may write it, since it names what to run.
const MODE: u32 = 0o644;

/// `explicit` is what `--config` names.
pub(super) fn run(command: &ConfigCommand, explicit: Option<&Path>) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Init { file } => init(file.as_deref().or(explicit)),
        ConfigCommand::Check { file } => check(file.as_deref().or(explicit)),
        ConfigCommand::Show => super::print(&show(&super::load_settings_aloud(explicit)?)?),
    }
}

fn init(file: Option<&Path>) -> anyhow::Result<Exit> {
    if file == Some(Path::new("-")) {
        return super::print(STARTER);
    }
    let nowhere = || {
        let what = "this user has no home to keep a configuration in";
        exit::trouble(what, "name a file: `lab-probe config init FILE`")
    };
    let path: PathBuf = file.map(Path::to_owned).or_else(config::place_for_new).ok_or_else(nowhere)?;
    let (text, repositories, roots) = proposals::starter(&HostEnvironment::of_process());
    fs::create(&path, text.as_bytes(), MODE).map_err(|error| match fs::kind(&error) {
        Some(io::ErrorKind::AlreadyExists) => exit::trouble(
            format!("{} is there already and stays as it is", path.display()),
            "`lab-probe config init -` prints the starter file; compare it with yours",
        ),
        _ => exit::refused("cannot write", &path, error),
    })?;
    log::info(format!("wrote {}; edit it, then run `lab-probe config check`", path.display()));
    if repositories + roots > 0 {
        let counts = format!("repositories: {repositories}, THUNES roots: {roots}");
        log::info(format!("it proposes what is on this machine: {counts}"));
    }
    Ok(Exit::Done)
}

fn check(file: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(file)?;
    let line = match &settings.source {
        Some(path) => format!("{}: ok ({})", path.display(), contents(&settings)),
        None => {
            let places: Vec<String> = config::usual_places().iter().map(|place| place.display().to_string()).collect();
            format!("no configuration file, defaults hold (looked for {})", places.join(", "))
        }
    };
    super::print(&format!("{line}\n"))
}

/// "2 MCP servers, 1 repository, …": enough to see that it was the right file.
fn contents(settings: &Settings) -> String {
    let output = &settings.output;
    let counts = [
        (settings.mcp.servers.len(), "MCP server"),
        (settings.mcp.config_files.len(), "client config"),
        (if settings.worktree.discovered { 0 } else { settings.worktree.repos.len() }, "repository"),
        (settings.thunes.len(), "trading environment"),
        (settings.services.len(), "service"),
        (usize::from(output.textfile.is_some()) + usize::from(output.pushgateway.is_some()), "output"),
    ];
    let counted = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| plural(count, noun));
    counted.collect::<Vec<_>>().join(", ")
}
