//! One file a command, each thin: it strings rooms together. [`main`] chooses the command and the exit code.

mod check;
mod config;
mod doctor;
pub mod documents;
mod explain;
mod list;
mod mcp;
mod metrics;
mod pass;
pub mod perform;
mod recall;
mod record;
mod report;
mod summary;
mod trust;
mod verify;
mod withdraw;
mod worktree;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{self, Cli, ColorChoice, Command};
use crate::config::diagnose::ConfigError;
use crate::config::settings::Settings;
use crate::exit::{Exit, UsageError};
use crate::log;
use crate::proc;
use crate::sink::style::Style;

/// Runs what the command line asks for and says how it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    proc::keep_heap_small();
    proc::signals::outlive_file_limits();
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = !error.use_stderr();
            let _ = error.print();
            return if asked_for { Exit::Done } else { Exit::Usage }.into();
        }
    };
    log::init(cli.global.verbose, cli.global.quiet);
    let exit = run(&cli).unwrap_or_else(|error| failed(&error));
    proc::signals::give_way();
    exit.into()
}

/// Says why a command ended and chooses the exit code. A bad configuration has a line for each of its problems.
fn failed(error: &anyhow::Error) -> Exit {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        config.lines().for_each(log::error);
        return Exit::Usage;
    }
    log::error(format!("{error:#}"));
    if error.is::<UsageError>() {
        Exit::Usage
    } else if error.is::<perform::AnotherPass>() {
        Exit::Locked
    } else {
        Exit::Trouble
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        None => pass::run(cli),
        Some(Command::Check(args)) => check::run(cli, args),
        Some(Command::Completions(args)) => Ok(documents::completions(args)),
        Some(Command::Config(args)) => config::run(args, cli.global.config.as_deref()),
        Some(Command::Doctor(args)) => doctor::run(cli, args),
        Some(Command::List(args)) => list::run(cli, args),
        Some(Command::Explain(args)) => explain::run(cli, args),
        Some(Command::Metrics(args)) => metrics::run(cli, args),
        Some(Command::Withdraw) => withdraw::run(cli),
        Some(Command::Man) => documents::man(),
        Some(Command::Mcp) => mcp::run(cli),
        Some(Command::Report(args)) => report::run(cli, args),
        Some(Command::Summary(args)) => summary::run(cli, args),
        Some(Command::Trust(args)) => trust::run(cli, args),
        Some(Command::Record(args)) => record::run(cli, args),
        Some(Command::Worktree(args)) => worktree::run(args),
        Some(Command::Verify(args)) => Ok(verify::run(cli, args)),
    }
}

/// The settings that this command line leads to.
fn load_settings(cli: &Cli) -> anyhow::Result<Settings> {
    Ok(crate::config::load(cli.global.config.as_deref())?)
}

/// How to write to standard output.
fn style(cli: &Cli) -> Style {
    Style::of_stdout(match cli.global.color {
        ColorChoice::Auto => None,
        ColorChoice::Always => Some(true),
        ColorChoice::Never => Some(false),
    })
}

/// Writes what was asked for to standard output. Says whether that worked; a reader that has gone away (`| head`) is
/// no failure.
fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
        Err(error) => {
            log::error(format!("cannot write to standard output: {error}"));
            false
        }
    }
}
