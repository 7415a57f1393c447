//! One file a command, each thin: it strings rooms together. [`main`] chooses the command and the exit code.

pub(crate) mod backtest;
mod check;
mod completions;
mod config;
mod doctor;
pub mod documents;
mod explain;
mod list;
mod mcp;
mod metrics;
mod pass;
mod record;
mod report;
mod status;
mod summary;
mod trust;
mod verify;
mod withdraw;
mod worktree;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::ColorChoice;

use crate::cli::{self, Cli, Command};
use crate::config::diagnose::ConfigError;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::pass::load;
use crate::show::style::Style;
use crate::state::history;
use crate::{log, proc};

/// Runs what the command line asks for and says how it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    proc::keep_heap_small();
    proc::forbid_inspection();
    proc::signals::outlive_file_limits();
    let args: Vec<OsString> = args.into_iter().collect();
    if completions::answered(&args) {
        return Exit::Done.into();
    }
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => return not_run(&error).into(),
    };
    log::init(cli.verbose, cli.quiet);
    let exit = run(&cli).unwrap_or_else(|error| failed(&error));
    proc::signals::give_way();
    exit.into()
}

/// Says why a command ended and what to do, and gives the exit code.
fn failed(error: &anyhow::Error) -> Exit {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        config.lines().for_each(log::error);
        log::hint(config.next());
        return Exit::Usage;
    }
    log::error(format!("{error:#}"));
    exit::hint_of(error).into_iter().for_each(log::hint);
    exit::code_of(error)
}

fn no_history(state_dir: &Path, error: io::Error) -> anyhow::Error {
    exit::refused("cannot read the history in", &history::directory(state_dir), error)
}

/// What a command line leads to that runs nothing: the help or version it asks for, or what is wrong with it.
fn not_run(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        let _ = error.print();
        return Exit::Usage;
    }
    let text = error.render();
    let coloured = Style::of_stdout(ColorChoice::Auto).color;
    print(&if coloured { text.ansi().to_string() } else { text.to_string() }).unwrap_or_else(|error| failed(&error))
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        None => pass::run(cli),
        Some(Command::Backtest(args)) => backtest::run(cli, args),
        Some(Command::Check(args)) => check::run(cli, args),
        Some(Command::Completions { shell }) => completions::run(*shell),
        Some(Command::Config(command)) => config::run(command, cli.config.as_deref()),
        Some(Command::Doctor { format, starter }) => doctor::run(cli, *format, starter.as_deref()),
        Some(Command::List { format, only }) => list::run(cli, *format, only),
        Some(Command::Status { format }) => status::run(cli, *format),
        Some(Command::Explain { name }) => explain::run(cli, name),
        Some(Command::Metrics { format }) => metrics::run(cli, *format),
        Some(Command::Withdraw) => withdraw::run(cli),
        Some(Command::Man { page }) => documents::man(*page),
        Some(Command::Mcp) => mcp::run(cli),
        Some(Command::Report { html }) => report::run(cli, html),
        Some(Command::Summary(args)) => summary::run(cli, args),
        Some(Command::Trust { files }) => trust::run(cli, files),
        Some(Command::Record { directory, command }) => record::run(cli, directory.as_deref(), command),
        Some(Command::Worktree(command)) => worktree::run(command),
        Some(Command::Verify { paths }) => verify::run(cli, paths),
    }
}

/// So long the configuration may take to be read where no shorter deadline is asked for.
const SETTINGS_LIMIT: Duration = Duration::from_secs(10);

/// Reads the configuration, in a pass within its deadline.
fn load_settings(file: Option<&Path>, deadline: Option<Duration>) -> anyhow::Result<Settings> {
    load::settings(file, deadline.map_or(SETTINGS_LIMIT, |deadline| deadline.min(SETTINGS_LIMIT)))
}

/// Settings with their warnings on standard error, for commands that print none of their own.
fn load_settings_aloud(file: Option<&Path>) -> anyhow::Result<Settings> {
    let settings = load_settings(file, None)?;
    settings.warnings.iter().for_each(log::warn);
    Ok(settings)
}

fn style(cli: &Cli) -> Style {
    Style::of_stdout(cli.color)
}

/// Writes what was asked for to standard output; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(exit::trouble(
            format!("cannot write to standard output: {error}"),
            "see where it leads: a full disk, or a closed descriptor (`>&-`)",
        )),
        _ => Ok(Exit::Done),
    }
}
