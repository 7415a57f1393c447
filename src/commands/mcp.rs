//! `lab-probe mcp`: the LAB's state for AI clients, over MCP on standard streams.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::clock::{self, Deadline};
use crate::config::diagnose::ConfigError;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::model::observation::Severity;
use crate::model::snapshot::Entry;
use crate::pass::Selection;
use crate::pass::last_known::{LastKnown, last_known};
use crate::plan::View;
use crate::proc::{self, CommandSpec, Outcome};
use crate::serve::tools::{Call, Resource};
use crate::serve::{self, Client, Lab, ToolAnswer};
use crate::show::style::Style;
use crate::{log, metrics, show};

/// Beyond its deadline a check ends its children and prints; nothing may hold a client up for longer.
const PAST_DEADLINE: Duration = Duration::from_secs(3);

/// A LAB of five thousand targets fits; more is no status any more.
const MOST_OUTPUT: usize = 32 << 20;

/// Answers until the client closes the input.
pub(super) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    crate::pass::catch_signals()?;
    let mut lab = RealLab { config: leave_directory(cli)? };
    match serve::serve(io::BufReader::new(io::stdin()), io::stdout().lock(), &mut lab) {
        Ok(()) => Ok(Exit::Done),
        // The client went away without closing its end first; there is nobody to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(exit::trouble(
            format!("the streams to the client broke: {error}"),
            "start `lab-probe mcp` from an MCP client; it speaks on standard input and output",
        )),
    }
}

/// An AI client starts its servers in the project that is open, and what lies there is not the user's word: from here on
/// nothing is looked for in the current directory. Gives the file that the user has named.
fn leave_directory(cli: &Cli) -> anyhow::Result<Option<PathBuf>> {
    let variable = || std::env::var_os("LAB_PROBE_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = cli.config.clone().or_else(variable).map(std::path::absolute).transpose();
    let named = named.context("cannot tell the current directory, in which the configuration is named")?;
    std::env::set_current_dir("/").context("cannot leave the current directory")?;
    Ok(named)
}

/// Answers from the configuration and state as they are at each call: a client keeps its server for days.
struct RealLab {
    config: Option<PathBuf>,
}

/// Of the document that `lab-probe check` prints.
#[derive(Deserialize)]
struct Checked {
    targets: Vec<Value>,
    warnings: Vec<String>,
}

impl Lab for RealLab {
    fn call(&mut self, call: &Call, client: &mut Client<'_>) -> anyhow::Result<ToolAnswer> {
        match call {
            Call::Status { kinds, names, only_trouble } => {
                let selection = Selection { kinds: kinds.clone(), names: names.clone(), fresh: false };
                status(last_known(&self.settings()?, View::Anywhere), &selection, *only_trouble)
            }
            Call::CheckNow { names } => self.check_now(names, client),
            Call::Explain { topic } => {
                let text = super::explain::text(topic, Style::PLAIN)?;
                Ok(ToolAnswer { data: json!({ "topic": topic, "text": text }), text })
            }
        }
    }

    fn read(&mut self, resource: Resource) -> anyhow::Result<String> {
        let settings = self.settings()?;
        match resource {
            Resource::Exposition => {
                let known = last_known(&settings, View::Anywhere);
                if !known.ever {
                    bail!("there has been no pass yet; run `lab-probe --once`");
                }
                metrics::text::render(&known.snapshot)
            }
            Resource::Config => crate::config::show::show(&settings),
        }
    }
}

impl RealLab {
    fn settings(&self) -> anyhow::Result<Settings> {
        super::load_settings(self.config.as_deref(), None).map_err(|error| match error.downcast_ref::<ConfigError>() {
            Some(error) => anyhow!("the configuration cannot be used: {error}; {}", error.next()),
            None => error,
        })
    }

    /// Runs `lab-probe check` as a process of its own: its children, its deadline and its lock are then exactly those
    /// of a pass, and whatever it does leaves this server as it was.
    fn check_now(&self, names: &[String], client: &mut Client<'_>) -> anyhow::Result<ToolAnswer> {
        let settings = self.settings()?;
        let spec = self.check_command(names);
        let whole = settings.probe.deadline + PAST_DEADLINE;
        client.progress(0.0, 1.0, "checking");
        let wanted = || !client.has_cancelled();
        let captured = proc::capture_while(&spec, MOST_OUTPUT, Deadline::after(whole), wanted)
            .context("cannot start the check")
            .map_err(|error| exit::hinted(Exit::Trouble, error, "see whether `lab-probe check` works in a shell"))?;
        client.progress(1.0, 1.0, "checked");
        let Checked { targets, warnings } = match serde_json::from_slice(&captured.stdout) {
            Ok(checked) => checked,
            Err(_) if client.has_cancelled() => bail!("cancelled"),
            Err(_) if matches!(captured.outcome, Outcome::Exited(proc::Exit::Code(75))) => {
                bail!("another pass is running just now; try again in a moment, or use lab_status");
            }
            Err(_) => bail!("the check gave no answer: {}", log::printable(&captured.stderr.text())),
        };
        let (text, data) = show::answer::answer(targets, &warnings, clock::now());
        Ok(ToolAnswer { text, data })
    }

    /// By the file that this process runs: a client keeps its server for days, and an upgrade may have taken its name away.
    fn check_command(&self, names: &[String]) -> CommandSpec {
        let config = self.config.iter().flat_map(|file| [OsString::from("--config"), file.into()]);
        let spec = CommandSpec::new("/proc/self/exe").args(config).args(["--quiet", "check", "--format", "json", "--"]);
        let mut spec = spec.args(names).cwd("/");
        // The whole environment: `${VAR}` in a configuration means the same in both processes.
        spec.env.extend(std::env::vars_os());
        spec
    }
}

/// What is remembered of the targets that are asked for; what wants attention first.
fn status(mut known: LastKnown, selection: &Selection, only_trouble: bool) -> anyhow::Result<ToolAnswer> {
    let entries = &mut known.snapshot.entries;
    selection.refuse_unknown_names(entries.iter().map(|entry| &entry.target))?;
    entries.retain(|entry| selection.takes(&entry.target) && !(only_trouble && entry.severity() == Severity::Fine));
    entries.sort_by_key(Entry::severity);
    let unusual = known.snapshot.unusual.as_ref();
    let targets = entries.iter().map(|entry| json!(show::json::TargetDocument::new(entry, unusual))).collect();
    let (mut text, data) = show::answer::answer(targets, &known.warnings, clock::now());
    if let Some(event) = unusual.and_then(|unusual| unusual.widespread) {
        text.push_str(&format!("{}\n", show::unusual::widespread(&event)));
    }
    if !known.ever {
        text.push_str("There has been no pass yet: use check_now, or run `lab-probe --once`.\n");
    }
    Ok(ToolAnswer { text, data })
}
