//! `lab-probe [--once]`: makes a pass, prints it, and says how it ended.

use std::io::IsTerminal;

use anyhow::Result;

use crate::cli::{Cli, PassArgs, PassFormat};
use crate::config::settings::{Settings, TextfileSettings};
use crate::exit::{self, Exit};
use crate::model::observation::Severity;
use crate::model::snapshot::Outcome;
use crate::pass::{self, Audience, Performed, Selection, Timing};
use crate::wording::{first_of, plural};
use crate::{clock, config, log, show};

pub(super) fn run(cli: &Cli) -> Result<Exit> {
    let mut settings = super::load_settings(cli.config.as_deref(), cli.pass.limits.deadline)?;
    override_with(&mut settings, &cli.pass)?;
    let format = resolve(cli.pass.format);
    let selection = Selection { kinds: cli.pass.limits.only.clone(), names: Vec::new(), fresh: cli.pass.fresh };
    let audience = if std::io::stdout().is_terminal() { Audience::Person } else { Audience::Timer };
    let timing = Timing::new(&settings, audience, cli.pass.limits.deadline, cli.pass.limits.wait);
    let (performed, exposition) = pass::run(&settings, &selection, timing, !cli.quiet, cli.pass.dry_run)?;
    let is_done = report(cli, format, &performed, &exposition);
    if format == PassFormat::None {
        log::pass(line(&performed, settings.output.defaulted));
    }
    Ok(if is_done && exposition.is_ok() { Exit::Done } else { Exit::Trouble })
}

/// Prints what a pass or `check` was asked for, and says what was not done; whether all was.
pub(super) fn report(cli: &Cli, format: PassFormat, performed: &Performed, exposition: &Result<String>) -> bool {
    let (snapshot, deliveries) = (&performed.snapshot, &performed.deliveries);
    let text = match resolve(format) {
        PassFormat::None | PassFormat::Auto => Ok(String::new()),
        PassFormat::Table => Ok(show::table::table(snapshot, deliveries, clock::now(), &super::style(cli))),
        PassFormat::Json => show::json::document(snapshot, deliveries, &performed.warnings).map_err(exit::bug),
        PassFormat::Prometheus => exposition.as_ref().map_err(exit::bug).cloned(),
    };
    let printed = text.and_then(|text| super::print(&text)).map_err(|error| super::failed(&error));
    performed.undelivered().for_each(|failed| log::error(failed.to_string()));
    for trouble in performed.troubles() {
        super::failed(trouble);
    }
    printed.is_ok() && performed.undelivered().next().is_none() && performed.troubles().next().is_none()
}

/// The command line wins over the configuration.
fn override_with(settings: &mut Settings, args: &PassArgs) -> Result<()> {
    settings.probe.deadline = args.limits.deadline.unwrap_or(settings.probe.deadline);
    let output = &mut settings.output;
    if let Some(url) = &args.pushgateway {
        // Somebody who names a destination does not mean the built-in one.
        if output.defaulted {
            output.textfile = None;
            output.defaulted = false;
        }
        output.pushgateway = Some(config::command_line::pushgateway(url, output.pushgateway.as_ref())?);
        output.broken.retain(|broken| broken.output != "pushgateway");
    }
    if let Some(directory) = &args.textfile_dir {
        let file = output.textfile.take().map_or_else(|| TextfileSettings::FILE.to_owned(), |textfile| textfile.file);
        output.textfile = Some(TextfileSettings { directory: directory.clone(), file });
        output.broken.retain(|broken| broken.output != "textfile");
        output.defaulted = false;
    }
    Ok(())
}

/// `auto` is a table for a person and nothing for a timer.
fn resolve(format: PassFormat) -> PassFormat {
    match format {
        PassFormat::Auto if std::io::stdout().is_terminal() => PassFormat::Table,
        PassFormat::Auto => PassFormat::None,
        chosen => chosen,
    }
}

/// Targets in trouble that the line names; the rest is a number.
const MOST_IN_TROUBLE: usize = 20;

/// `18 targets: 2 fresh, 16 cached; trouble: rag-query (timeout); 0.41 s; textfile: /…/lab-probe.prom`.
fn line(performed: &Performed, defaulted: bool) -> String {
    let entries = &performed.snapshot.entries;
    let of = |outcome| entries.iter().filter(|entry| entry.outcome == outcome).count();
    let counts = Outcome::ALL.iter().map(|&outcome| (of(outcome), outcome.as_str())).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, outcome)| format!("{count} {outcome}")).collect();
    let trouble = entries.iter().filter(|entry| entry.severity() == Severity::Trouble);
    let trouble: Vec<String> = trouble.map(|entry| format!("{} ({})", entry.target.id(), entry.word())).collect();
    let default = if defaulted { " (no output is configured)" } else { "" };
    let delivered = performed.deliveries.iter().filter(|delivery| delivery.error.is_none());
    let delivered = delivered.map(|delivery| format!("; {delivery}{default}"));
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let named = first_of(&trouble, MOST_IN_TROUBLE);
    let named = if trouble.is_empty() { String::new() } else { format!("; trouble: {named}") };
    let seconds = performed.snapshot.pass.duration.as_secs_f64();
    format!("{}{counts}{named}; {seconds:.2} s{}", plural(entries.len(), "target"), delivered.collect::<String>())
}
