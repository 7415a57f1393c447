//! `lab-probe list`: every target known, where it was found, when it is next due, its last verdict.

use crate::cli::{Cli, ListArgs, ListFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit::Exit;
use crate::log;
use crate::model::listing::{Listed, Listing};
use crate::model::mcp::{McpFacts, Reach};
use crate::model::observation::{Facts, Remembered};
use crate::model::target::{Kind, Probe, Target};
use crate::plan::due::Turn;
use crate::plan::surroundings::Surroundings;
use crate::plan::{self, Plan};
use crate::sink::listing;
use crate::state::store;

/// Lists everything. Checks nothing and changes nothing.
///
/// # Errors
/// A configuration that cannot be used (exit 2).
pub(super) fn run(cli: &Cli, args: &ListArgs) -> anyhow::Result<Exit> {
    let settings = super::load_settings(cli)?;
    let listing = gather(&settings, &args.only);
    listing.warnings.iter().for_each(log::warn);
    let text = match args.format {
        ListFormat::Json => listing::json(&listing)?,
        ListFormat::Table => listing::table(&listing, clock::now(), cli.global.verbose, &super::style(cli)),
    };
    Ok(if super::print(&text) { Exit::Done } else { Exit::Trouble })
}

fn gather(settings: &Settings, kinds: &[Kind]) -> Listing {
    let now = clock::now();
    let loaded = store::load(&settings.probe.state_dir, now);
    let Plan { targets, mut warnings } = plan::all(settings, Deadline::after(settings.probe.deadline));
    warnings.splice(0..0, settings.warnings.iter().cloned().chain(loaded.warnings));
    // The turns depend on all targets that share a ttl: chosen first, they would come out differently.
    let turns = plan::due::turns(&targets, &loaded.state.targets, loaded.state.created_at, now);
    let listed =
        targets.into_iter().zip(turns).filter(|(target, _)| kinds.is_empty() || kinds.contains(&target.kind()));
    let targets = listed
        .map(|(target, turn)| {
            let known = loaded.state.targets.get(&target.id().to_string());
            let next_due = match turn {
                Turn::At(at) => Some(at),
                Turn::Now => None,
            };
            list_one(target, known, next_due)
        })
        .collect();
    let files = plan::mcp::files(settings, &Surroundings::of_process());
    Listing { targets, files, warnings }
}

/// What is plain without a check goes before what was found by one.
fn list_one(target: Target, known: Option<&Remembered>, next_due: Option<jiff::Timestamp>) -> Listed {
    let seen =
        known.filter(|known| known.fingerprint == target.fingerprint).and_then(|known| known.observation.clone());
    let checked_at = seen.as_ref().map(|seen| seen.checked_at);
    let facts = match &target.probe {
        Probe::Mcp(mcp) => match &mcp.reach {
            Reach::Unreachable(failure) => Some(Facts::Mcp(McpFacts::failed(failure.clone()))),
            _ => seen.map(|seen| seen.facts),
        },
        _ => seen.map(|seen| seen.facts),
    };
    Listed { target, facts, checked_at, next_due }
}
