//! The arguments of each command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Subcommand, ValueEnum, ValueHint};

use super::{ListFormat, parse_duration};
use crate::model::target::Kind;
use crate::model::unusual::Family;

/// Reads "2026-11-24".
///
/// # Errors
/// A sentence with the right form for anything else.
fn parse_day(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().ok().ok_or_else(|| format!("{text:?} is no day; write it as in \"2026-11-24\""))
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Targets by name (`fetch`) or kind and name (`mcp/fetch`); none means all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Check only these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', action = ArgAction::Append)]
    pub only: Vec<Kind>,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: CheckFormat,
    /// End by then, whatever hangs ("25s"; the default is "90s")
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_hyphen_values = true)]
    pub deadline: Option<Duration>,
    /// Wait so long for another pass that is under way ("0s": not at all; the default is "30s")
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_hyphen_values = true)]
    pub wait: Option<Duration>,
}

/// What `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// A table for people
    Table,
    /// One JSON document
    Json,
    /// The exposition a pass would deliver
    Prometheus,
    /// Nothing: the exit code says it
    None,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Table or JSON
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ListFormat,
    /// List only these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', action = ArgAction::Append)]
    pub only: Vec<Kind>,
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `config …`.
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

/// `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Run the command there (default: here); its worktree is the one that gets the verdict
    #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// `worktree`.
#[derive(Debug, Args)]
pub struct WorktreeArgs {
    /// What to do
    #[command(subcommand)]
    pub command: WorktreeCommand,
}

/// `worktree …`.
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

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// A line, or one JSON document with `text` and `class` as status bars read them
    #[arg(long, value_name = "FORMAT", default_value = "line")]
    pub format: StatusFormat,
}

/// What `status` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// One line
    Line,
    /// One JSON document
    Json,
}

/// `trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Project config files whose servers may be started; a `lab-probe.toml` of a repository that may be used
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Directories as node_exporter reads them, or single files
    #[arg(value_name = "DIR|FILE", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Table or JSON
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ListFormat,
    /// Judge as this unit, whose user, variables and directory this process has: how the command starts itself
    #[arg(long, value_name = "UNIT", hide = true)]
    pub seat: Option<String>,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A reason (`auth_required`), a metric (`lab_mcp_server_health`) or an alert (`KillSwitchActive`)
    #[arg(value_name = "REASON|METRIC|ALERT")]
    pub name: String,
}

/// `backtest`.
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
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "14d", requires = "prometheus")]
    pub range: Duration,
}

/// What `backtest` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BacktestFormat {
    /// A line for each point
    Csv,
    /// The anomalies in words
    Table,
    /// One JSON document
    Json,
}

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write the page here (`-` prints it)
    #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub html: PathBuf,
}

/// `summary`.
#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// The UTC day, as in 2026-11-24 (default: today)
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub date: Option<jiff::civil::Date>,
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: SummaryFormat,
    /// Send it instead of printing it; a day is sent once
    #[arg(long, value_name = "WHERE")]
    pub send: Option<SendTo>,
}

/// What `summary` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// Text for a terminal
    Text,
    /// One JSON document
    Json,
    /// Telegram's HTML
    Html,
}

/// Where a summary is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SendTo {
    /// The chat of `[telegram]`
    Telegram,
    /// The topic of `[ntfy]`
    Ntfy,
    /// The incoming webhook of `[slack]`
    Slack,
    /// The address of `[webhook]`: the report as JSON
    Webhook,
}

/// `metrics`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Table or JSON
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ListFormat,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Which page
    #[arg(value_name = "PAGE", default_value = "lab-probe")]
    pub page: ManPage,
}

/// The man pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManPage {
    /// The commands, lab-probe(1)
    LabProbe,
    /// The configuration, lab-probe.toml(5)
    #[value(name = "lab-probe.toml")]
    Configuration,
}
