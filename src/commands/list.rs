//! `lab-probe list`: every target known, where it was found, when it is next due, its last verdict.

use crate::cli::{Cli, ListFormat};
use crate::clock::{self, Deadline};
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::model::snapshot::Entry;
use crate::model::target::Kind;
use crate::pass::last_known::last_known;
use crate::plan::View;
use crate::show::listing::{self, Listing};
use crate::{log, plan};

pub(super) fn run(cli: &Cli, format: ListFormat, only: &[Kind]) -> anyhow::Result<Exit> {
    let settings = super::load_settings(cli.config.as_deref(), None)?;
    let listing = gather(&settings, only);
    listing.warnings.iter().for_each(log::warn);
    let text = match format {
        ListFormat::Json => listing::json(&listing).map_err(exit::bug)?,
        ListFormat::Table => listing::table(&listing, clock::now(), cli.verbose, &super::style(cli)),
    };
    super::print(&text)
}

fn gather(settings: &Settings, kinds: &[Kind]) -> Listing {
    let deadline = Deadline::after(settings.probe.deadline);
    let known = last_known(settings, View::Here);
    let asked_for = |entry: &Entry| kinds.is_empty() || kinds.contains(&entry.target.kind());
    let (targets, others): (Vec<Entry>, Vec<Entry>) = known.snapshot.entries.into_iter().partition(asked_for);
    let mut files = plan::mcp::files(settings, &HostEnvironment::of_process(), deadline);
    for file in &mut files {
        // A warning of discovery begins with the file's place.
        let of_file = |warning: &&String| warning.starts_with(&format!("{}:", file.path.display()));
        file.problem = known.warnings.iter().find(of_file).cloned();
    }
    Listing { targets, others: others.len(), files, warnings: known.warnings }
}
