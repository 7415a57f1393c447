//! The command line: every command and option, declared once. Help, man page and completions are made from this.

mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, ValueEnum, ValueHint};

pub use commands::*;

use crate::config::duration;
use crate::model::target::Kind;

/// What stands at the foot of `--help`.
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 something asked for was not done (or check, verify, doctor found trouble); 2 usage or \
configuration; 75 another pass holds the lock; 130, 143 ended by SIGINT, SIGTERM.

Start with `lab-probe --once`: it needs no configuration. `lab-probe doctor` says what is missing on the way to \
Prometheus, `lab-probe explain REASON` what a reason means.";

/// Health of MCP servers, git worktrees and a trading system, one pass at a time, for Prometheus
///
/// Without a command it makes one pass: checks everything that is due, in parallel, under one deadline; merges with
/// what is remembered; delivers to a textfile for node_exporter or to a Pushgateway; and exits.
#[derive(Debug, Parser)]
#[command(name = "lab-probe", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(flatten)]
    pub pass: PassArgs,
    /// None means a pass.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that go before or after any command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Configuration file (default: $LAB_PROBE_CONFIG, ./lab-probe.toml, the user's, /etc/lab-probe/config.toml)
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Say more on standard error
    #[arg(short, long, global = true, overrides_with = "verbose")]
    pub verbose: bool,
    /// Say only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose", overrides_with = "quiet")]
    pub quiet: bool,
    /// Colour in tables (NO_COLOR is honoured)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

#[derive(Debug, Clone, Args)]
pub struct PassArgs {
    /// Make one pass (what it always does, said explicitly)
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Ignore remembered results: check everything
    #[arg(long)]
    pub fresh: bool,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: PassFormat,
    /// Write the textfile into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub textfile_dir: Option<PathBuf>,
    /// Push to this Pushgateway
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub pushgateway: Option<String>,
    /// Check, but deliver nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What a pass or `check` looks at, and for how long.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Check only these kinds; the others keep what is remembered
    #[arg(long, value_name = "KIND", value_delimiter = ',', action = ArgAction::Append)]
    pub only: Vec<Kind>,
    /// End by then, whatever hangs ("25s"; the default is "90s" for `check` and on a terminal)
    #[arg(long, value_name = "DURATION", value_parser = time_limit, allow_hyphen_values = true)]
    pub deadline: Option<Duration>,
    /// Wait so long for another pass that is under way (the default is "30s" for `check` and on a terminal, else "0s")
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    pub wait: Option<Duration>,
}

/// A duration in which something can be done.
fn time_limit(text: &str) -> anyhow::Result<Duration> {
    let duration = duration::parse(text)?;
    anyhow::ensure!(!duration.is_zero(), "it must be longer than zero, as in \"25s\"");
    Ok(duration)
}

/// What a pass or `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PassFormat {
    /// A table on a terminal, else nothing
    Auto,
    /// A table for people
    Table,
    /// One JSON document
    Json,
    /// The exposition a pass would deliver
    Prometheus,
    /// Nothing
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Table,
    Json,
}

/// Parses a command line; clap's own errors keep their text and become exit 2 (0 for help and version).
///
/// # Errors
/// What clap says, ready to print; an option of a pass in front of another command, which would have no effect there;
/// `-v` and `-q` on either side of a command.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(args)?;
    if let Some((name, _)) = matches.subcommand() {
        let pass = PassArgs::augment_args(clap::Command::default());
        let typed = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        if let Some(option) = pass.get_arguments().find(typed) {
            let option = option.get_long().unwrap_or_default();
            let message = format!("--{option} is an option of a pass; it has no meaning before {name:?}");
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
    }
    let cli = Cli::from_arg_matches(&matches)?;
    // Each side of a command alone is clap's; one option before it and the other after it is not.
    if cli.global.verbose && cli.global.quiet {
        return Err(command.error(ErrorKind::ArgumentConflict, "--verbose and --quiet exclude each other"));
    }
    Ok(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_option_of_a_pass_is_known_as_one() {
        Cli::command().debug_assert();
        for option in ["--once", "--only=mcp", "--textfile-dir=d", "--dry-run", "--deadline=1s", "--wait=1s"] {
            let refused = parse(["lab-probe", option, "list"].map(OsString::from)).expect_err(option);
            assert!(refused.to_string().contains("is an option of a pass"), "{refused}");
        }
    }
}
