//! `lab-probe [--once]`: perform, deliver, save, print, and say how it ended.

use std::io::IsTerminal;

use crate::cli::{Cli, PassArgs, PassFormat};
use crate::clock::{self, Deadline};
use crate::config;
use crate::config::settings::{Settings, TextfileSettings};
use crate::exit::{self, Exit};
use crate::log;
use crate::metrics;
use crate::model::delivery::Delivery;
use crate::model::observation::Severity;
use crate::model::snapshot::Outcome;
use crate::pass::deliver::{self, Delivered};
use crate::pass::{self, Audience, Performed, Selection, Timing, save};
use crate::show;
use crate::sink::heartbeat::{self, Heartbeat};
use crate::wording::{first_of, plural};

/// Warnings remembered as said; a LAB with more has them said again.
const MOST_WARNED: usize = 100;

pub(super) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let mut settings = super::load_settings(cli)?;
    override_with(&mut settings, &cli.pass)?;
    let format = resolve(cli.pass.format);
    let selection = Selection { kinds: cli.pass.only.clone(), names: Vec::new(), fresh: cli.pass.fresh };
    let audience = if std::io::stdout().is_terminal() { Audience::Person } else { Audience::Timer };
    let timing = Timing::new(&settings, audience, cli.pass.deadline, cli.pass.wait);
    let mut heartbeat = None;
    let begin = || {
        let switch = settings.output.heartbeat.as_ref().filter(|_| !cli.pass.dry_run);
        heartbeat = switch.map(|switch| Heartbeat::begin(switch, settings.probe.deadline));
    };
    let performed = pass::perform(&settings, &selection, timing, !cli.global.quiet, begin);
    let mut performed =
        performed.inspect_err(|error| drop(end_heartbeat(&mut heartbeat, &exit::sentence(error), None)))?;
    if !cli.pass.dry_run {
        pass::unusual::learn(&settings, &mut performed);
    }
    let exposition = metrics::text::render_limited(&performed.snapshot, &mut performed.state.growth);
    let exposition = exposition.map(|(text, left_out)| {
        performed.warnings.extend(left_out);
        text
    });
    let Delivered { mut deliveries, clashes } = match (&exposition, cli.pass.dry_run) {
        (_, true) => Delivered::default(),
        (Ok(text), false) => deliver::deliver(&settings.output, text, performed.deadline),
        (Err(error), false) => deliver::undeliverable(&settings.output, &exit::bug(error)),
    };
    performed.warnings.extend(clashes);
    say_warnings(&mut performed);
    let undelivered = deliveries.iter().filter(|delivery| delivery.error.is_some()).map(Delivery::to_string);
    let wrong: Vec<String> = undelivered.chain(performed.troubles().map(exit::sentence)).collect();
    deliveries.extend(end_heartbeat(&mut heartbeat, &wrong.join("\n"), Some(performed.deadline)));
    if !cli.pass.dry_run {
        save::keep_history(&settings, &mut performed, &deliveries);
    }
    let saved = save::save(&settings, &mut performed, &deliveries);
    let text = || Ok(exposition.as_deref().unwrap_or_default().to_owned());
    let printed = print(cli, format, &performed, &deliveries, text);
    report(format, &settings, &performed, &deliveries);
    if !saved && wrong.is_empty() {
        let why = performed.state_trouble.as_ref().map(exit::sentence).unwrap_or_default();
        end_heartbeat(&mut heartbeat, &why, Some(performed.deadline));
    }
    let is_delivered = exposition.is_ok() && deliveries.iter().all(|delivery| delivery.error.is_none());
    let complete = saved && performed.unlearnt.is_none() && printed && is_delivered;
    Ok(if complete { Exit::Done } else { Exit::Trouble })
}

/// Tells the dead man's switch, if there is one, how the pass ended.
fn end_heartbeat(heartbeat: &mut Option<Heartbeat<'_>>, wrong: &str, deadline: Option<Deadline>) -> Option<Delivery> {
    let result = heartbeat.as_mut()?.end(wrong, deadline.unwrap_or_else(|| Deadline::after(heartbeat::ONE_PING)));
    Some(Delivery {
        output: "heartbeat",
        destination: heartbeat.as_ref()?.destination(),
        error: result.err().map(|error| exit::sentence(&error)),
    })
}

/// The command line wins over the configuration.
fn override_with(settings: &mut Settings, args: &PassArgs) -> anyhow::Result<()> {
    if let Some(deadline) = args.deadline {
        if deadline.is_zero() {
            return Err(exit::usage(
                "--deadline must be longer than zero",
                "leave it out, or give a duration such as 25s",
            ));
        }
        settings.probe.deadline = deadline;
    }
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

/// Prints the warnings. A timer's pass prints one once, when it is new: 2,880 passes a day would hide everything else.
fn say_warnings(performed: &mut Performed) {
    let said = std::mem::take(&mut performed.state.warned);
    let news = |warning: &&String| !log::to_journal() || !said.contains(warning);
    performed.warnings.iter().filter(news).for_each(log::warn);
    let all = performed.notice.iter().chain(&performed.warnings);
    performed.state.warned = all.take(MOST_WARNED).cloned().collect();
}

/// Prints what a pass or `check` was asked for; whether that worked.
pub(super) fn print(
    cli: &Cli,
    format: PassFormat,
    performed: &Performed,
    deliveries: &[Delivery],
    exposition: impl FnOnce() -> anyhow::Result<String>,
) -> bool {
    let snapshot = &performed.snapshot;
    let text = match resolve(format) {
        PassFormat::None | PassFormat::Auto => Ok(String::new()),
        PassFormat::Table => Ok(show::table::table(snapshot, deliveries, clock::now(), &super::style(cli))),
        PassFormat::Json => {
            show::json::Document::new(snapshot, deliveries, &performed.warnings).to_text().map_err(exit::bug)
        }
        PassFormat::Prometheus => exposition(),
    };
    text.and_then(|text| super::print(&text)).map_err(|error| super::failed(&error)).is_ok()
}

/// What goes wrong is said on standard error; a pass that prints nothing says one line about itself.
fn report(format: PassFormat, settings: &Settings, performed: &Performed, deliveries: &[Delivery]) {
    for failed in deliveries.iter().filter(|delivery| delivery.error.is_some()) {
        log::error(failed.to_string());
    }
    for trouble in performed.troubles() {
        super::failed(trouble);
    }
    if format == PassFormat::None {
        log::pass(line(performed, deliveries, settings.output.defaulted));
    }
}

/// Targets in trouble that the line names; the rest is a number.
const MOST_IN_TROUBLE: usize = 20;

/// `18 targets: 2 fresh, 16 cached; trouble: rag-query (timeout); 0.41 s; textfile: /…/lab-probe.prom`.
fn line(performed: &Performed, deliveries: &[Delivery], defaulted: bool) -> String {
    let snapshot = &performed.snapshot;
    let of = |outcome| snapshot.entries.iter().filter(|entry| entry.outcome == outcome).count();
    let counts = Outcome::ALL.iter().map(|&outcome| (of(outcome), outcome.as_str())).filter(|(count, _)| *count > 0);
    let parts: Vec<String> = counts.map(|(count, outcome)| format!("{count} {outcome}")).collect();
    let trouble = snapshot.entries.iter().filter(|entry| entry.severity() == Severity::Trouble);
    let trouble: Vec<String> = trouble.map(|entry| format!("{} ({})", entry.target.id(), entry.word())).collect();
    let mut line = plural(snapshot.entries.len(), "target");
    if !parts.is_empty() {
        line.push_str(&format!(": {}", parts.join(", ")));
    }
    if !trouble.is_empty() {
        line.push_str(&format!("; trouble: {}", first_of(&trouble, MOST_IN_TROUBLE)));
    }
    line.push_str(&format!("; {:.2} s", snapshot.pass.duration.as_secs_f64()));
    for delivery in deliveries.iter().filter(|delivery| delivery.error.is_none()) {
        let default = if defaulted { " (no output is configured)" } else { "" };
        line.push_str(&format!("; {delivery}{default}"));
    }
    line
}
