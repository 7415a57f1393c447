//! `lab-probe list`: every target known, where it was found, when it is next due, its last verdict.

use crate::cli::{Cli, ListFormat};
use crate::clock::{self, Deadline};
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::log;
use crate::model::listing::{Listed, Listing};
use crate::model::mcp::Reach;
use crate::model::snapshot::Entry;
use crate::model::target::{Kind, Probe};
use crate::pass::last_known::last_known;
use crate::plan;
use crate::plan::View;
use crate::show::listing;

/// Lists everything. Checks nothing and changes nothing.
pub(super) fn run(cli: &Cli, format: ListFormat, only: &[Kind]) -> anyhow::Result<Exit> {
    let settings = super::load_settings(cli)?;
    let listing = gather(&settings, only);
    listing.warnings.iter().for_each(log::warn);
    let text = match format {
        ListFormat::Json => listing::json(&listing).map_err(exit::bug)?,
        ListFormat::Table => listing::table(&listing, clock::now(), cli.global.verbose, &super::style(cli)),
    };
    super::print(&text)
}

fn gather(settings: &Settings, kinds: &[Kind]) -> Listing {
    let deadline = Deadline::after(settings.probe.deadline);
    let known = last_known(settings, View::Here);
    let asked_for = |entry: &Entry| kinds.is_empty() || kinds.contains(&entry.target.kind());
    let (entries, others): (Vec<Entry>, Vec<Entry>) = known.snapshot.entries.into_iter().partition(asked_for);
    let targets = entries.into_iter().map(list_one).collect();
    let mut files = plan::mcp::files(settings, &HostEnvironment::of_process(), deadline);
    for file in &mut files {
        // A warning of discovery begins with the file's place.
        let of_file = |warning: &&String| warning.starts_with(&format!("{}:", file.path.display()));
        file.problem = known.warnings.iter().find(of_file).cloned();
    }
    Listing { targets, others: others.len(), files, warnings: known.warnings }
}

/// What was never started or sent anything was never checked either.
fn list_one(entry: Entry) -> Listed {
    let seen = entry.observation;
    let checked = !matches!(&entry.target.probe, Probe::Mcp(mcp) if matches!(mcp.reach, Reach::Unreachable(_)));
    Listed {
        checked_at: seen.as_ref().filter(|_| checked).map(|seen| seen.checked_at),
        facts: seen.map(|seen| seen.facts),
        next_due: entry.next_due,
        target: entry.target,
    }
}
