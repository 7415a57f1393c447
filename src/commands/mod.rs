//! One file a command, each thin: it strings rooms together. [`main`] chooses the command and the exit code.

mod config;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{self, Cli, Command};
use crate::config::diagnose::ConfigError;
use crate::exit::{Exit, UsageError};
use crate::log;

/// Runs what the command line asks for and says how it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = !error.use_stderr();
            let _ = error.print();
            return if asked_for { Exit::Done } else { Exit::Usage }.into();
        }
    };
    log::init(cli.global.verbose, cli.global.quiet);
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => failed(&error).into(),
    }
}

/// Says why a command ended and chooses the exit code. A bad configuration has a line for each of its problems.
fn failed(error: &anyhow::Error) -> Exit {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        config.lines().for_each(log::error);
        return Exit::Usage;
    }
    log::error(format!("{error:#}"));
    if error.is::<UsageError>() { Exit::Usage } else { Exit::Trouble }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        None => Ok(Exit::Done),
        Some(Command::Completions(_)) => Ok(Exit::Done),
        Some(Command::Config(args)) => config::run(args, cli.global.config.as_deref()),
        Some(_) => Ok(Exit::Done),
    }
}
