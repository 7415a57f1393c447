//! `lab-probe trust FILE…`: allow the servers of project files to be started, or a
//! `lab-probe.toml` of a repository to be used, as those files stand now.

use std::path::{Path, PathBuf};

use crate::cli::Cli;
use crate::config::environment::HostEnvironment;
use crate::config::{here, show};
use crate::exit::{self, Exit};
use crate::log::{self, printable};
use crate::plan::mcp::inspect::{self, Inspection};
use crate::trust::{self, TrustStore};
use crate::{clock, fs, plan};

/// Allows every file, or none if one of them cannot be allowed.
pub(super) fn run(cli: &Cli, files: &[PathBuf]) -> anyhow::Result<Exit> {
    let (ours, projects): (Vec<_>, Vec<_>) = files.iter().partition(|file| here::is_one(file));
    let ours = ours.into_iter().map(|file| here::inspect(file)).collect::<Result<Vec<_>, _>>()?;
    let mut text = projects_files(cli, &projects)?;
    if !ours.is_empty() {
        let state_dir = here::trust_directory()?;
        let files = ours.iter().map(|file| (file.canonical.as_path(), file.digest.as_str()));
        allow(&state_dir, files)?;
    }
    for file in &ours {
        let shown = printable(&file.canonical.display().to_string());
        text += &format!("trusted {shown} (lab-probe), as it stands now; what holds where it is used:\n");
        text += &show::show(&file.settings).map_err(exit::bug)?;
    }
    super::print(&text)
}

fn projects_files(cli: &Cli, files: &[&PathBuf]) -> anyhow::Result<String> {
    if files.is_empty() {
        return Ok(String::new());
    }
    let settings = super::load_settings_aloud(cli.config.as_deref())?;
    let environment = HostEnvironment::of_process();
    let inspections = files.iter().map(|file| inspect::inspect(file, &environment));
    let inspections: Vec<Inspection> = inspections.collect::<Result<_, _>>().map_err(|why| {
        let next = "nothing is trusted; name a project's file that is yours, as in `lab-probe trust .mcp.json`";
        exit::usage(why, next)
    })?;
    let state_dir = &settings.probe.state_dir;
    let allowed = inspections.iter().map(|file| (file.canonical.as_path(), file.digest.as_str()));
    allow(state_dir, allowed)?;
    for inspection in &inspections {
        // A timer's pass starts in no project; its user would wait in vain.
        if settings.mcp.discover && !plan::mcp::is_found_from_anywhere(&settings, &environment, &inspection.canonical) {
            log::info(format!(
                "{} is looked at by passes that start in its project; for others, name the repository in \
                 `worktree.repos` or the file in `mcp.config_files`",
                inspection.canonical.display()
            ));
        }
    }
    Ok(inspections.iter().map(shown).collect())
}

fn allow<'a>(state_dir: &Path, files: impl Iterator<Item = (&'a Path, &'a str)>) -> anyhow::Result<()> {
    let kept = || {
        fs::ensure_private_directory(state_dir)?;
        let (mut store, warning) = TrustStore::load_for_update(state_dir)?;
        warning.iter().for_each(log::warn);
        for (canonical, digest) in files {
            store.allow(canonical, digest.to_owned(), clock::now())?;
        }
        store.save(state_dir)
    };
    kept().map_err(|error| exit::refused("nothing new is trusted: cannot write", &trust::path(state_dir), error))
}

fn shown(inspection: &Inspection) -> String {
    let file = printable(&inspection.canonical.display().to_string());
    if inspection.servers.is_empty() {
        return format!("trusted {file} ({}): it names no server\n", inspection.client);
    }
    let mut out = format!("trusted {file} ({}), as it stands now:\n", inspection.client);
    for server in &inspection.servers {
        out.push_str(&format!("  {}: {}\n", printable(&server.name), printable(&server.what)));
        for detail in &server.details {
            out.push_str(&format!("      {}\n", printable(detail)));
        }
    }
    out
}
