//! The command line: every command and option, declared once. The doc comments are what help, man page and completions say.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use jiff::civil::Date;

use crate::config::duration;
use crate::model::delivery::Receiver;
use crate::model::target::Kind;
use crate::model::unusual::Family;

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
    #[command(flatten)]
    pub pass: PassArgs,
    /// None means a pass.
    #[command(subcommand)]
    pub command: Option<Command>,
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

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check now, print, deliver nothing; exit 1 if anything checked is down, failing, blocked or (trading) halted
    Check(CheckArgs),
    /// Every target known, where it was found, when it is next due, and its last verdict
    List {
        /// Table or JSON
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: ListFormat,
        /// List only these kinds
        #[arg(long, value_name = "KIND", value_delimiter = ',', action = ArgAction::Append)]
        only: Vec<Kind>,
    },
    /// One short line from what is remembered, for a prompt or a status bar; exit 1 if anything is in trouble
    Status {
        /// A line, or one JSON document with `text` and `class` as status bars read them
        #[arg(long, value_name = "FORMAT", default_value = "line")]
        format: StatusFormat,
    },
    /// Write a starter configuration, validate one, or print the effective one
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Walk the chain from the configuration to Grafana: what is broken, and what mends it; exit 1 if anything is
    Doctor {
        /// Table or JSON
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: ListFormat,
        /// Judge as this unit, whose user, variables and directory this process has: how the command starts itself
        #[arg(long, value_name = "UNIT", hide = true)]
        starter: Option<String>,
    },
    /// Run a test command, pass its output and exit code through, remember the verdict for the worktree
    Record {
        /// Run the command there (default: here); its worktree is the one that gets the verdict
        #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
        /// The command and its arguments
        #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
        command: Vec<OsString>,
    },
    /// Print or edit a worktree's .worktree file
    #[command(subcommand)]
    Worktree(WorktreeCommand),
    /// Allow the servers of a project's MCP config to be started, or a repository's lab-probe.toml to be used, as that file stands now
    Trust {
        /// Project config files whose servers may be started; a `lab-probe.toml` of a repository that may be used
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Would node_exporter accept these textfiles, together? Exit 1 if not
    Verify {
        /// Directories as node_exporter reads them, or single files
        #[arg(value_name = "DIR|FILE", required = true, value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
    },
    /// Take back what was delivered: remove the textfile, delete the Pushgateway group
    Withdraw,
    /// What a reason, a metric or an alert means and what to do
    Explain {
        /// A reason (`auth_required`), a metric (`lab_mcp_server_health`) or an alert (`KillSwitchActive`)
        #[arg(value_name = "REASON|METRIC|ALERT")]
        name: String,
    },
    /// Replay the detector of unusual values over a file of points
    Backtest(BacktestArgs),
    /// One self-contained status page
    Report {
        /// Write the page here (`-` prints it)
        #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        html: PathBuf,
    },
    /// The daily report
    Summary(SummaryArgs),
    /// Serve the LAB's state to AI clients, as an MCP server on standard streams
    Mcp,
    /// The metric catalogue: name, type, labels, help, unit
    Metrics {
        /// Table or JSON
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: ListFormat,
    },
    /// Shell completions on standard output
    Completions {
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// A man page on standard output
    Man {
        /// Which page
        #[arg(value_name = "PAGE", default_value = "lab-probe")]
        page: ManPage,
    },
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Targets by name (`fetch`) or kind and name (`mcp/fetch`); none means all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: PassFormat,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a commented starter file (default: the user's configuration; `-` prints it); never overwrites
    Init {
        /// Where to write
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Validate the configuration and say what is wrong, where, and what would be right
    Check {
        /// The file (default: the one a pass would use)
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print the effective configuration, defaults filled in, secrets redacted
    Show,
}

#[derive(Debug, Subcommand)]
pub enum WorktreeCommand {
    /// Print the file
    Show {
        /// A directory in the worktree (default: here)
        #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
    /// Set keys, keeping comments and other keys: status (complete, working, testing, blocked), test_status (unknown, passing, failing); an empty value takes a key out
    Set {
        /// A directory in the worktree (default: here)
        #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
        /// As in status=blocked
        #[arg(value_name = "KEY=VALUE", required = true)]
        declarations: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    Line,
    Json,
}

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// What the values are: it decides which differences matter
    #[arg(long, value_name = "FAMILY")]
    pub family: Family,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: BacktestFormat,
    /// Lines of `timestamp,value`, one a slot of five minutes; each file is a series of its own. Times are Unix seconds,
    /// RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC; a header is optional; an empty value is no point. Without a file: the points
    /// that passes have kept, two weeks of them
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "prometheus")]
    pub files: Vec<PathBuf>,
    /// Replay series of this Prometheus
    #[arg(long, value_name = "URL", requires = "query")]
    pub prometheus: Option<String>,
    /// The expression whose series are replayed, one value each five minutes
    #[arg(long, value_name = "EXPR", requires = "prometheus")]
    pub query: Option<String>,
    /// How far back
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "14d", requires = "prometheus")]
    pub range: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BacktestFormat {
    /// A line for each point
    Csv,
    /// The anomalies in words
    Table,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// The UTC day, as in 2026-11-24 (default: today)
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub date: Option<Date>,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: SummaryFormat,
    /// Send it instead of printing it; a day is sent once
    #[arg(long, value_name = "WHERE")]
    pub send: Option<Receiver>,
}

fn parse_day(text: &str) -> anyhow::Result<Date> {
    text.parse().with_context(|| format!("{text:?} is no day; write it as in \"2026-11-24\""))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// Text for a terminal
    Text,
    /// One JSON document
    Json,
    /// Telegram's HTML
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManPage {
    /// The commands, lab-probe(1)
    LabProbe,
    /// The configuration, lab-probe.toml(5)
    #[value(name = "lab-probe.toml")]
    Configuration,
}

/// Parses a command line; clap's own errors keep their text and become exit 2 (0 for help and version).
/// Errors: What clap says, ready to print; an option of a pass in front of another command, which would have no effect
/// there; `-v` and `-q` on either side of a command.
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
    if cli.verbose && cli.quiet {
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
