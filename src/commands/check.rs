//! `lab-probe check [NAME…]`: look now, print, deliver nothing; exit 1 if anything looked at is in trouble.

use crate::cli::{CheckArgs, CheckFormat, Cli};
use crate::clock;
use crate::exit::{self, Exit};
use crate::metrics;
use crate::model::observation::Severity;
use crate::model::snapshot::{Outcome, Snapshot};
use crate::pass::{self, Audience, Selection, Timing};
use crate::show;
use crate::state::store;

pub(super) fn run(cli: &Cli, args: &CheckArgs) -> anyhow::Result<Exit> {
    let mut settings = super::load_settings(cli)?;
    if let Some(deadline) = args.deadline {
        settings.probe.deadline = deadline;
    }
    let selection = Selection { kinds: args.only.clone(), names: args.names.clone(), fresh: true };
    let show_progress = args.format == CheckFormat::Table && !cli.global.quiet;
    let timing = Timing::new(&settings, Audience::Person, args.deadline, args.wait);
    let mut performed = pass::perform(&settings, &selection, timing, show_progress, || ())?;
    pass::say_warnings(&performed.warnings);
    performed.note_hung();
    // What was learned is worth keeping (and a journal's cursor must move with its totals), but nothing is delivered.
    if performed.state_trouble.is_none()
        && let Err(error) = store::save(&settings.probe.state_dir, &performed.state)
    {
        performed.state_trouble = Some(pass::save::not_saved(&settings, error));
    }
    performed.give_up_lock();
    performed.snapshot.entries.retain(|entry| entry.outcome != Outcome::Cached);
    let snapshot = &performed.snapshot;
    let text = match args.format {
        CheckFormat::None => String::new(),
        CheckFormat::Table => show::table::table(snapshot, &[], clock::now(), &super::style(cli)),
        CheckFormat::Json => {
            show::json::Document::new(snapshot, &[], &performed.warnings).to_text().map_err(exit::bug)?
        }
        CheckFormat::Prometheus => metrics::text::render(snapshot).map_err(exit::bug)?,
    };
    let printed = super::print_or_say(&text);
    if let Some(trouble) = &performed.state_trouble {
        super::failed(trouble);
    }
    let fine = printed && performed.state_trouble.is_none() && !in_trouble(snapshot);
    Ok(if fine { Exit::Done } else { Exit::Trouble })
}

/// Whether anything that was to be looked at is down, failing or blocked, or could not be looked at.
fn in_trouble(snapshot: &Snapshot) -> bool {
    snapshot.entries.iter().any(|entry| {
        let bad = entry.observation.as_ref().is_some_and(|seen| seen.facts.severity() == Severity::Trouble);
        bad || matches!(entry.outcome, Outcome::TimedOut | Outcome::Error)
    })
}
