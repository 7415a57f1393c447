//! One pass, each step a file: lock, load, plan, due, run, merge, learn, deliver, save. `check` ends after the merge, and
//! [`last_known`] does without the run.

pub mod deliver;
mod dispatch;
mod due;
pub mod last_known;
mod learn;
pub mod load;
mod lock;
mod merge;
mod overlap;
mod plan;
mod pool;
mod run;
mod save;
mod select;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use self::lock::{Audience, Timing};
pub use self::select::Selection;
use crate::check;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit;
use crate::log;
use crate::metrics;
use crate::model::delivery::Delivery;
use crate::model::history::Points;
use crate::model::observation::Remembered;
use crate::model::snapshot::{Entry, LastPass, Outcome, Snapshot};
use crate::model::target::{Kind, Target};
use crate::plan::{Plan, View};
use crate::proc;
use crate::sink::heartbeat::Heartbeat;
use crate::state::lock::Lock;
use crate::state::store::{Loaded, State};

#[derive(Debug)]
pub struct Performed {
    pub snapshot: Snapshot,
    pub deliveries: Vec<Delivery>,
    pub warnings: Vec<String>,
    state: State,
    /// The deadline of the whole pass: deliveries end by it too.
    deadline: Deadline,
    /// What was said before anything was started, where root runs the pass.
    notice: Option<String>,
    /// Why the state must not, or cannot, be saved; this alone makes the pass end with exit 1 …
    state_trouble: Option<anyhow::Error>,
    /// … or why what was learnt of usual values could not be read or saved, which keeps nothing else from being saved.
    unlearnt: Option<anyhow::Error>,
    /// The points of the slot that ended, for the history.
    points: Option<Points>,
    /// Held until the state is saved.
    lock: Option<Lock>,
}

impl Performed {
    /// Why the pass ends with exit 1, whatever it has delivered.
    pub fn troubles(&self) -> impl Iterator<Item = &anyhow::Error> {
        self.state_trouble.iter().chain(&self.unlearnt)
    }

    pub fn undelivered(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().filter(|delivery| delivery.error.is_some())
    }
}

/// A whole pass, and the exposition that it has delivered. With `dry_run` nothing is delivered or told to anybody.
/// Errors: Another pass (exit 75), or no threads to be had.
pub fn run(
    settings: &Settings,
    selection: &Selection,
    timing: Timing,
    show_progress: bool,
    dry_run: bool,
) -> anyhow::Result<(Performed, anyhow::Result<String>)> {
    let lock = begin(settings, timing)?;
    let switch = settings.output.heartbeat.as_ref().filter(|_| !dry_run);
    let mut heartbeat = switch.map(|switch| Heartbeat::begin(switch, settings.probe.deadline));
    let mut performed = perform(settings, selection, timing, show_progress, lock)
        .inspect_err(|error| drop(deliver::end_heartbeat(&mut heartbeat, &exit::sentence(error), None)))?;
    if !dry_run {
        learn::learn(settings, &mut performed);
    }
    let exposition = metrics::text::render_limited(&performed.snapshot, &mut performed.state.label_sets);
    let exposition = exposition.map(|(text, left_out)| {
        performed.warnings.extend(left_out);
        text
    });
    if !dry_run {
        deliver::deliver(&settings.output, &exposition, &mut performed);
    }
    save::say_warnings(&mut performed);
    let undelivered = performed.undelivered().map(Delivery::to_string);
    let wrong: Vec<String> = undelivered.chain(performed.troubles().map(exit::sentence)).collect();
    let end = Some(performed.deadline);
    performed.deliveries.extend(deliver::end_heartbeat(&mut heartbeat, &wrong.join("\n"), end));
    if !dry_run {
        save::keep_history(settings, &mut performed);
    }
    save::count_failures(settings, &mut performed);
    save::save(settings, &mut performed);
    if let (true, Some(trouble)) = (wrong.is_empty(), &performed.state_trouble) {
        deliver::end_heartbeat(&mut heartbeat, &exit::sentence(trouble), end);
    }
    Ok((performed, exposition))
}

/// A pass that delivers nothing. What it has learned is kept all the same: a journal's cursor must move with its totals.
/// Errors: Another pass (exit 75), an unknown target name (exit 2), or no threads to be had.
pub fn check(
    settings: &Settings,
    selection: &Selection,
    timing: Timing,
    show_progress: bool,
) -> anyhow::Result<Performed> {
    let lock = begin(settings, timing)?;
    let mut performed = perform(settings, selection, timing, show_progress, lock)?;
    performed.warnings.iter().for_each(log::warn);
    save::save(settings, &mut performed);
    Ok(performed)
}

/// A signal from here on ends every child, lets a replacement under way finish, and ends the pass.
fn begin(settings: &Settings, timing: Timing) -> anyhow::Result<lock::Taken> {
    catch_signals()?;
    lock::take(&settings.probe.state_dir, timing.lock_wait)
}

/// Checks what is due and selected, and merges it with what is remembered.
fn perform(
    settings: &Settings,
    selection: &Selection,
    timing: Timing,
    show_progress: bool,
    (lock, mut state_trouble): lock::Taken,
) -> anyhow::Result<Performed> {
    let begun = clock::instant();
    let started_at = clock::now();
    let deadline = Deadline::after(timing.deadline);
    let Loaded { mut state, warnings, unreadable } =
        load::load(&settings.probe.state_dir, started_at, &mut state_trouble);
    let Plan { targets, mut warnings } = plan::plan(settings, View::Anywhere, warnings, deadline);
    selection.refuse_unknown_names(targets.iter())?;
    let notice = plan::notice_to_root(&targets);
    // Before anything is started. The journal's reader need not have it again every 30 seconds.
    notice.iter().filter(|notice| !log::to_journal() || !state.warned.contains(notice)).for_each(log::warn);

    // What is found only from the current directory has no memory: under its name something of another directory, or of an
    // earlier configuration, may be remembered, which is put back afterwards.
    let here: BTreeSet<String> = targets.iter().filter(|target| target.only_here).map(Target::id).collect();
    let set_aside: Vec<(String, Remembered)> = here.iter().filter_map(|id| state.targets.remove_entry(id)).collect();
    let round = run::Round::new(settings, &state, started_at, deadline.minus(run::reserve(settings)));
    let due = due::choose(&targets, selection, &state, started_at);
    // Before anything is started: the probe's own are none of a client's.
    let mut running = check::mcp::left_behind::processes(&targets, &round.shared.processes);
    let (results, survivors) = round.check_all(&targets, &due, show_progress)?;
    if !survivors.is_empty() {
        warnings.push(format!("could not be ended: {}", proc::list_survivors(&survivors)));
    }
    let merged = targets.into_iter().zip(results).map(|(target, result)| {
        let processes = if target.kind() == Kind::Mcp { running.remove(&target.name) } else { None };
        Entry { processes, ..merge::merge(target, result, started_at, &mut state.targets) }
    });
    let entries: Vec<Entry> = merged.collect();
    state.targets.retain(|id, _| !here.contains(id));
    state.targets.extend(set_aside);
    let delivered = entries.iter().filter(|entry| !entry.target.only_here);
    let planned: BTreeSet<String> = delivered.clone().map(|entry| entry.target.id()).collect();
    let deadline_exceeded = delivered.into_iter().any(|entry| entry.outcome == Outcome::TimedOut);
    state.forget_unplanned(started_at, |id| planned.contains(id));
    state.last_pass = Some(LastPass { started_at, duration: begun.elapsed(), deadline_exceeded });
    let mut snapshot = snapshot(settings, &state, entries, started_at);
    snapshot.counters_lost = unreadable;
    Ok(Performed {
        snapshot,
        deliveries: Vec::new(),
        warnings,
        state,
        deadline,
        notice,
        state_trouble,
        unlearnt: None,
        points: None,
        lock,
    })
}

/// The snapshot of these entries after the last pass.
fn snapshot(settings: &Settings, state: &State, mut entries: Vec<Entry>, now: Timestamp) -> Snapshot {
    overlap::note(&mut entries);
    due::note_next(&mut entries, state, now);
    let failures = |name: &str| (name.to_owned(), state.output_failures.get(name).copied().unwrap_or(0));
    Snapshot {
        pass: state.last_pass.unwrap_or_default(),
        // One that never failed has its zero.
        output_failures: settings.output.names().into_iter().map(failures).collect(),
        pass_failures: state.pass_failures,
        counters_lost: false,
        unusual: learn::view(settings, &state.unusual, &entries),
        entries,
        labels: settings.probe.labels.clone(),
    }
}

/// From here on a signal ends every child before it ends the command.
pub fn catch_signals() -> anyhow::Result<()> {
    proc::signals::install().map_err(|error| exit::no_tasks("install the signal handlers", error))
}
