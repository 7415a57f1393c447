//! `lab-probe check [NAME…]`: look now, print, deliver nothing; exit 1 if anything looked at is in trouble.

use crate::cli::{CheckArgs, Cli, PassFormat};
use crate::exit::Exit;
use crate::metrics;
use crate::model::observation::Severity;
use crate::model::snapshot::Outcome;
use crate::pass::{self, Audience, Selection, Timing};

pub(super) fn run(cli: &Cli, args: &CheckArgs) -> anyhow::Result<Exit> {
    let limits = &args.limits;
    let mut settings = super::load_settings(cli.config.as_deref(), limits.deadline)?;
    settings.probe.deadline = limits.deadline.unwrap_or(settings.probe.deadline);
    let selection = Selection { kinds: limits.only.clone(), names: args.names.clone(), fresh: true };
    let show_progress = args.format == PassFormat::Table && !cli.quiet;
    let timing = Timing::new(&settings, Audience::Person, limits.deadline, limits.wait);
    let mut performed = pass::check(&settings, &selection, timing, show_progress)?;
    performed.snapshot.entries.retain(|entry| entry.outcome != Outcome::Cached);
    let exposition = metrics::text::render(&performed.snapshot);
    let is_done = super::pass::report(cli, args.format, &performed, &exposition);
    // Whatever could not be looked at is trouble, too.
    let in_trouble = performed.snapshot.entries.iter().any(|entry| {
        entry.severity() == Severity::Trouble || matches!(entry.outcome, Outcome::TimedOut | Outcome::Error)
    });
    Ok(if is_done && !in_trouble { Exit::Done } else { Exit::Trouble })
}
