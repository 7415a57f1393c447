//! The flow of one pass up to its snapshot: lock, load, plan, choose, check in parallel, merge. What follows (deliver,
//! save, print) is the caller's: a pass delivers, `check` only prints.

mod as_root;
pub mod deliver;
mod dispatch;
mod due;
mod here;
pub mod last_known;
mod load;
mod lock;
mod overlap;
mod run;
pub mod save;
mod select;
mod timing;
pub mod unusual;

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::run::Inspect;
pub use self::select::Selection;
pub use self::timing::{Audience, Timing};
use crate::check;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::log;
use crate::model::history::Points;
use crate::model::snapshot::{Entry, Outcome, PassFacts, Snapshot};
use crate::model::target::Kind;
use crate::plan::due::Due;
use crate::plan::{self, Plan, View};
use crate::proc::{self, hung};
use crate::run::merge;
use crate::state::lock::Lock;
use crate::state::store::{self, LastPass, State};

/// A pass between its snapshot and its end.
#[derive(Debug)]
pub struct Performed {
    pub snapshot: Snapshot,
    pub state: State,
    /// The deadline of the whole pass: deliveries end by it too.
    pub deadline: Deadline,
    pub started_at: Timestamp,
    pub warnings: Vec<String>,
    /// What was said before anything was started, where root runs the pass.
    pub notice: Option<String>,
    /// Why the state must not, or cannot, be saved; this alone makes the pass end with exit 1 …
    pub state_trouble: Option<anyhow::Error>,
    /// … or why what was learnt of usual values could not be read or saved, which keeps nothing else from being saved.
    pub unlearnt: Option<anyhow::Error>,
    /// The points of the slot that ended, for the history.
    pub points: Option<Points>,
    /// Held until the state is saved.
    lock: Option<Lock>,
}

impl Performed {
    /// Why the pass ends with exit 1, whatever it has delivered.
    pub fn troubles(&self) -> impl Iterator<Item = &anyhow::Error> {
        self.state_trouble.iter().chain(&self.unlearnt)
    }

    /// Saves the state and lets other passes begin; whether it is saved. The lock is given up here, because a process
    /// ends only when its last thread does, and one that waits in the kernel for a file system that never answers does not.
    pub fn save_state(&mut self, settings: &Settings) -> bool {
        self.state.hung = hung::all();
        if self.state_trouble.is_none()
            && let Err(error) = store::save(&settings.probe.state_dir, &self.state)
        {
            let next = exit::remedy_for(&store::path(&settings.probe.state_dir), &error);
            self.state_trouble = Some(exit::hinted(Exit::Trouble, error, next));
        }
        self.lock = None;
        self.state_trouble.is_none()
    }
}

/// Checks what is due and selected; `begun_with_lock` is called once this pass is the one that runs.
/// Errors: Another pass (exit 75), an unknown target name (exit 2), or no threads to be had.
pub fn perform(
    settings: &Settings,
    selection: &Selection,
    timing: Timing,
    show_progress: bool,
    begun_with_lock: impl FnOnce(),
) -> anyhow::Result<Performed> {
    // A signal from here on ends every child, lets a replacement under way finish, and ends the pass.
    catch_signals()?;
    let (lock, mut state_trouble) = lock::take_lock(&settings.probe.state_dir, timing.lock_wait)?;
    begun_with_lock();
    let begun = clock::instant();
    let started_at = clock::now();
    let deadline = Deadline::after(timing.deadline);
    let mut loaded = store::load(&settings.probe.state_dir, started_at);
    let mut state = loaded.state;
    hung::restore(std::mem::take(&mut state.hung));
    if loaded.unreadable {
        // Said once, as what makes the pass fail.
        let said = loaded.warnings.pop().unwrap_or_default();
        state_trouble.get_or_insert_with(|| load::unreadable(&settings.probe.state_dir, said));
    }
    let Plan { targets, mut warnings } = plan::all(settings, View::Anywhere, deadline);
    warnings.splice(0..0, settings.warnings.iter().cloned().chain(loaded.warnings));
    selection.refuse_unknown_names(targets.iter())?;
    let notice = as_root::notice(&targets);
    // Before anything is started. The journal's reader need not have it again every 30 seconds.
    notice.iter().filter(|notice| !log::to_journal() || !state.warned.contains(notice)).for_each(log::warn);

    let set_aside = here::set_aside(&targets, &mut state);
    let round = run::Round::new(settings, &state, started_at, deadline.minus(run::reserve(settings)));
    let turns = plan::due::when(&targets, &state.targets, state.created_at, started_at);
    let due: Vec<Inspect> = targets
        .iter()
        .zip(&turns)
        .map(|(target, turn)| match state.targets.get(&target.id().to_string()) {
            _ if !selection.takes(target) => Inspect::No,
            _ if selection.fresh || *turn == Due::Now || run::hangs(target) => Inspect::Now,
            Some(known) if plan::due::worktree::may_be_early(target, known, started_at) => Inspect::IfChanged,
            _ => Inspect::No,
        })
        .collect();
    // Before anything is started: the probe's own are none of a client's.
    let mut running = check::mcp::left_behind::processes(&targets, &round.shared.processes);
    let run::Results { results, survivors } = round.check_all(&targets, &due, show_progress)?;
    if !survivors.is_empty() {
        warnings.push(format!("could not be ended: {}", proc::list_survivors(&survivors)));
    }

    let mut entries: Vec<Entry> = targets
        .into_iter()
        .zip(results)
        .map(|(target, result)| merge::settle(target, result, started_at, &mut state.targets))
        .collect();
    for entry in entries.iter_mut().filter(|entry| entry.target.kind() == Kind::Mcp) {
        entry.processes = running.remove(&entry.target.name);
    }
    here::put_back(set_aside, &mut state);
    overlap::note(&mut entries);
    due::note_next_due(&mut entries, &state, started_at);
    let delivered = entries.iter().filter(|entry| !entry.target.only_here);
    let planned: BTreeSet<String> = delivered.clone().map(|entry| entry.target.id().to_string()).collect();
    let deadline_exceeded = delivered.into_iter().any(|entry| entry.outcome == Outcome::TimedOut);
    state.forget_unplanned(started_at, |id| planned.contains(id));
    let unusual = unusual::view(settings, &state.unusual, &entries);
    let snapshot = Snapshot {
        pass: PassFacts {
            started_at,
            duration: begun.elapsed(),
            deadline_exceeded,
            output_failures: save::failures_of(settings, &state),
            pass_failures: state.pass_failures,
            counting: !loaded.unreadable,
        },
        entries,
        labels: settings.probe.labels.clone(),
        unusual,
    };
    state.last_pass = Some(LastPass {
        started_at,
        duration: snapshot.pass.duration,
        deadline_exceeded: snapshot.pass.deadline_exceeded,
    });
    Ok(Performed {
        snapshot,
        state,
        deadline,
        started_at,
        warnings,
        notice,
        state_trouble,
        unlearnt: None,
        points: None,
        lock,
    })
}

/// From here on a signal ends every child before it ends the command.
pub fn catch_signals() -> anyhow::Result<()> {
    proc::signals::install().map_err(|error| exit::no_tasks("install the signal handlers", error))
}
