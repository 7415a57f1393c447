//! `lab-probe trust FILE…`: allow the servers of project files to be started, as those files stand now.

use std::path::Path;

use crate::cli::{Cli, TrustArgs};
use crate::clock;
use crate::exit::{self, Exit};
use crate::fs;
use crate::log::{self, printable};
use crate::plan;
use crate::plan::mcp::inspect::{self, Inspection};
use crate::plan::mcp::trust::{self, TrustStore};
use crate::plan::surroundings::Surroundings;

/// Allows every file, or none if one of them cannot be allowed.
///
/// # Errors
/// A file that is no project's or cannot be read (exit 2); a store that cannot be written (exit 1).
pub(super) fn run(cli: &Cli, args: &TrustArgs) -> anyhow::Result<Exit> {
    let settings = super::load_settings(cli)?;
    let surroundings = Surroundings::of_process();
    let inspections: Vec<Inspection> =
        args.files.iter().map(|file| inspect::inspect(file, &surroundings)).collect::<Result<_, _>>().map_err(
            |why| {
                exit::usage(
                    why,
                    "nothing is trusted; name a project's file that is yours, as in `lab-probe trust .mcp.json`",
                )
            },
        )?;
    let state_dir = &settings.probe.state_dir;
    allow(state_dir, &inspections)
        .map_err(|error| exit::refused("nothing new is trusted: cannot write", &trust::path(state_dir), error))?;
    let text: String = inspections.iter().map(shown).collect();
    for inspection in &inspections {
        // A timer's pass starts in no project; its user would wait in vain.
        if settings.mcp.discover && !plan::mcp::is_found_from_anywhere(&settings, &surroundings, &inspection.canonical)
        {
            log::info(format!(
                "{} is looked at by passes that start in its project; for others, name the repository in \
                 `worktree.repos` or the file in `mcp.config_files`",
                inspection.canonical.display()
            ));
        }
    }
    Ok(if super::print(&text) { Exit::Done } else { Exit::Trouble })
}

fn allow(state_dir: &Path, inspections: &[Inspection]) -> std::io::Result<()> {
    fs::ensure_private_directory(state_dir)?;
    let (mut store, warning) = TrustStore::load_for_update(state_dir)?;
    warning.iter().for_each(log::warn);
    for inspection in inspections {
        store.allow(&inspection.canonical, inspection.digest.clone(), clock::now())?;
    }
    store.save(state_dir)
}

/// What has been allowed, server by server.
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
