//! `lab-probe check [NAME…]`: look now, print, deliver nothing; exit 1 if anything looked at is in trouble.

use crate::cli::{CheckArgs, Cli, PassFormat};
use crate::exit::{self, Exit};
use crate::log;
use crate::metrics;
use crate::model::observation::Severity;
use crate::model::snapshot::Outcome;
use crate::pass::{self, Audience, Selection, Timing};

pub(super) fn run(cli: &Cli, args: &CheckArgs) -> anyhow::Result<Exit> {
    let mut settings = super::load_settings(cli)?;
    if let Some(deadline) = args.deadline {
        settings.probe.deadline = deadline;
    }
    let selection = Selection { kinds: args.only.clone(), names: args.names.clone(), fresh: true };
    let show_progress = args.format == PassFormat::Table && !cli.global.quiet;
    let timing = Timing::new(&settings, Audience::Person, args.deadline, args.wait);
    let mut performed = pass::perform(&settings, &selection, timing, show_progress, || ())?;
    performed.warnings.iter().for_each(log::warn);
    // What was learned is worth keeping (and a journal's cursor must move with its totals), but nothing is delivered.
    let saved = performed.save_state(&settings);
    performed.snapshot.entries.retain(|entry| entry.outcome != Outcome::Cached);
    let exposition = || metrics::text::render(&performed.snapshot).map_err(exit::bug);
    let printed = super::pass::print(cli, args.format, &performed, &[], exposition);
    if let Some(trouble) = &performed.state_trouble {
        super::failed(trouble);
    }
    // Whatever could not be looked at is trouble, too.
    let in_trouble = performed.snapshot.entries.iter().any(|entry| {
        entry.severity() == Severity::Trouble || matches!(entry.outcome, Outcome::TimedOut | Outcome::Error)
    });
    Ok(if printed && saved && !in_trouble { Exit::Done } else { Exit::Trouble })
}
