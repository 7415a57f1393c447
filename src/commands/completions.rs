//! `completions`: a script for the shell that asks lab-probe itself at every Tab, so that the names of targets, reasons,
//! metrics and alerts are offered as they are then.

use std::ffi::{OsStr, OsString};

use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::explain;
use crate::cli::Cli;
use crate::clock;
use crate::exit::{self, Exit};
use crate::log::printable;
use crate::state::store;

/// The program as it is called.
const NAME: &str = "lab-probe";

/// The variable by which a script asks. Not clap's own `COMPLETE`, which anybody may have set: a pass would not be made.
const ASKS: &str = "LAB_PROBE_COMPLETE";

pub(super) fn run(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let (mut script, shell, shells) = (Vec::new(), shell.to_string(), Shells::builtins());
    let shell = shells.completer(&shell).ok_or_else(|| exit::bug(format!("no completions for {shell}")))?;
    shell.write_registration(ASKS, NAME, NAME, NAME, &mut script).map_err(exit::bug)?;
    if shell.is("zsh") {
        // In a directory of `fpath` the script is loaded by the first Tab, which would otherwise complete nothing.
        script.extend_from_slice(b"[[ $funcstack[1] == _lab-probe ]] && _clap_dynamic_completer_lab_probe\n");
    }
    super::print(&String::from_utf8_lossy(&script))
}

/// Answers a shell that asks for completions; whether one did.
pub(super) fn answered(args: &[OsString]) -> bool {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command).var(ASKS).bin(NAME).completer(NAME);
    // The line is half written: what is wrong with it is no news, and would stand in the middle of it.
    asked.try_complete(args, here.as_deref()).unwrap_or(true)
}

fn command() -> Command {
    Cli::command()
        .mut_subcommand("check", |check| check.mut_arg("names", |names| names.add(ArgValueCompleter::new(targets))))
        .mut_subcommand("explain", |explain| explain.mut_arg("name", |name| name.add(ArgValueCandidates::new(names))))
}

/// Names of remembered targets; with their kind where two have the same name, or where a `/` has been typed.
fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(settings) = crate::config::load(None) else { return Vec::new() };
    let state = store::peek(&settings.probe.state_dir, clock::now()).state;
    let ids: Vec<(&str, &str)> = state.targets.keys().filter_map(|id| id.split_once('/')).collect();
    let typed = typed.to_string_lossy();
    let offers = ids.iter().map(|(kind, name)| {
        let is_alone = ids.iter().filter(|(_, other)| other == name).count() == 1;
        let offer = if is_alone && !typed.contains('/') { (*name).to_owned() } else { format!("{kind}/{name}") };
        (offer, *kind)
    });
    let offers = offers.filter(|(offer, _)| offer.starts_with(&*typed) && printable(offer) == *offer);
    offers.map(|(offer, kind)| CompletionCandidate::new(offer).help(Some(kind.to_owned().into()))).collect()
}

fn names() -> Vec<CompletionCandidate> {
    explain::names().map(|(name, what)| CompletionCandidate::new(name).help(Some(what.into()))).collect()
}
