//! The flow of one pass up to its snapshot: lock, load, plan, choose, check in parallel, merge. What follows (deliver,
//! save, print) is the caller's: a pass delivers, `check` only prints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::check;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit::Failed;
use crate::fs::access;
use crate::log;
use crate::model::mcp::Reach;
use crate::model::observation::{Facts, Memory, Remembered};
use crate::model::snapshot::{Entry, Outcome, PassFacts, Snapshot};
use crate::model::target::{Kind, Probe, Target};
use crate::plan::due::Turn;
use crate::plan::{self, Plan};
use crate::proc;
use crate::run::merge::{self, Checked, Fate};
use crate::run::pool::{self, Ended, Job, Lane, Progress};
use crate::sink::progress::ProgressLine;
use crate::state::lock::{self, Lock, LockError};
use crate::state::store::{self, LastPass, State};

/// Kept back from the deadline for merging and for writing the textfile.
const RESERVE_FOR_FILES: Duration = Duration::from_millis(250);

/// How long after a check's own deadline the pass still listens for its result: a check that notices the deadline
/// itself ends its process tree first, and its evidence is better than none.
const LISTEN_ON: Duration = Duration::from_millis(350);

/// Which targets a pass checks.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these kinds; empty means all.
    pub kinds: Vec<Kind>,
    /// Only these targets, as they were typed: `name` or `kind/name`; empty means all.
    pub names: Vec<String>,
    /// Whether targets are checked whether due or not.
    pub fresh: bool,
}

impl Selection {
    fn takes(&self, target: &Target) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.contains(&target.kind());
        kind && (self.names.is_empty() || self.names.iter().any(|name| named(target, name)))
    }
}

/// Whether `text`, as typed, means this target.
pub fn named(target: &Target, text: &str) -> bool {
    target.name == text || target.id().to_string() == text
}

/// A pass between its snapshot and its end.
#[derive(Debug)]
pub struct Performed {
    /// What was found.
    pub snapshot: Snapshot,
    /// What is to be saved.
    pub state: State,
    /// The deadline of the whole pass: deliveries end by it too.
    pub deadline: Deadline,
    /// When it began, on the wall clock.
    pub started_at: Timestamp,
    /// What was odd on the way.
    pub warnings: Vec<String>,
    /// What was said before anything was started, where root runs the pass.
    pub notice: Option<String>,
    /// Why the state must not, or cannot, be saved; this alone makes the pass end with exit 1.
    pub state_trouble: Option<Failed>,
    /// Held until the pass ends.
    _lock: Option<Lock>,
}

/// Checks what is due and selected.
///
/// # Errors
/// Another pass (exit 75), an unknown target name (exit 2), or no threads to be had.
pub fn perform(settings: &Settings, selection: &Selection, show_progress: bool) -> Result<Performed, Failed> {
    let begun = clock::instant();
    let started_at = clock::now();
    // A signal from here on ends every child, lets a replacement under way finish, and ends the pass.
    super::catch_signals()?;
    let deadline = Deadline::after(settings.probe.deadline);
    let (lock, mut state_trouble) = take_lock(&settings.probe.state_dir)?;
    let mut loaded = store::load(&settings.probe.state_dir, started_at);
    let mut state = loaded.state;
    if loaded.unreadable {
        // Said once, as what makes the pass fail.
        let said = loaded.warnings.pop().unwrap_or_default();
        state_trouble.get_or_insert_with(|| unreadable(&settings.probe.state_dir, said));
    }
    let Plan { targets, mut warnings, excerpts } = plan::all(settings, &state.excerpts, deadline);
    state.excerpts = excerpts;
    warnings.splice(0..0, settings.warnings.iter().cloned().chain(loaded.warnings));
    refuse_unknown_names(&targets, selection)?;
    let notice = super::as_root::notice(&targets);
    // Before anything is started. The journal's reader need not be told again every 30 seconds.
    notice.iter().filter(|notice| !log::to_journal() || !state.warned.contains(notice)).for_each(log::warn);

    let turns = plan::due::turns(&targets, &state.targets, state.created_at, started_at);
    let due: Vec<bool> = targets
        .iter()
        .zip(&turns)
        .map(|(target, turn)| selection.takes(target) && (selection.fresh || *turn == Turn::Now))
        .collect();
    let checks_end = deadline.minus(reserve(settings));
    let fates = check_all(settings, &targets, &due, &state, checks_end, started_at, show_progress)?;

    let elapsed = begun.elapsed();
    let mut entries: Vec<Entry> = targets
        .into_iter()
        .zip(fates)
        .map(|(target, fate)| merge::settle(target, fate, started_at, elapsed, &mut state.targets))
        .collect();
    note_next_due(&mut entries, &state, started_at);
    let planned: std::collections::BTreeSet<String> =
        entries.iter().map(|entry| entry.target.id().to_string()).collect();
    state.forget_unplanned(started_at, |id| planned.contains(id));
    let snapshot = Snapshot {
        pass: PassFacts {
            started_at,
            duration: begun.elapsed(),
            deadline_exceeded: entries.iter().any(|entry| entry.outcome == Outcome::TimedOut),
            output_failures: failures_of(settings, &state),
            pass_failures: state.pass_failures,
            counting: !loaded.unreadable,
        },
        entries,
        labels: settings.probe.labels.clone(),
    };
    state.last_pass = Some(LastPass {
        started_at,
        duration: snapshot.pass.duration,
        deadline_exceeded: snapshot.pass.deadline_exceeded,
    });
    Ok(Performed { snapshot, state, deadline, started_at, warnings, notice, state_trouble, _lock: lock })
}

fn take_lock(state_dir: &Path) -> Result<(Option<Lock>, Option<Failed>), Failed> {
    match lock::take(state_dir) {
        Ok(lock) => Ok((Some(lock), None)),
        Err(LockError::Held) => Err(Failed::locked(state_dir)),
        Err(LockError::Unavailable(error)) => {
            let trouble = super::refused("the state directory cannot be used:", state_dir, &error);
            let hint = format!("{}; or set `probe.state_dir`", trouble.hint);
            Ok((None, Some(Failed { hint, ..trouble })))
        }
    }
}

fn unreadable(state_dir: &Path, said: String) -> Failed {
    let file = access::quoted(&store::path(state_dir));
    Failed::trouble(said, format!("let this user read it (ls -l {file}), or move it away to begin anew"))
}

fn refuse_unknown_names(targets: &[Target], selection: &Selection) -> Result<(), Failed> {
    let of_kind = |target: &&Target| selection.kinds.is_empty() || selection.kinds.contains(&target.kind());
    for name in &selection.names {
        if targets.iter().filter(of_kind).any(|target| named(target, name)) {
            continue;
        }
        if let Some(other) = targets.iter().find(|target| named(target, name)) {
            let wanted: Vec<&str> = selection.kinds.iter().map(|kind| kind.as_str()).collect();
            return Err(Failed::usage(
                format!("{name:?} is {}, and --only leaves no kind but {}", other.id(), wanted.join(", ")),
                "leave out --only, or the name",
            ));
        }
        let nearest = targets
            .iter()
            .filter(of_kind)
            .map(|target| target.name.as_str())
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
            .filter(|nearest| strsim::jaro_winkler(nearest, name) > 0.7);
        let suggestion = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
        return Err(Failed::usage(
            format!("no target is called {name:?}{suggestion}"),
            "`lab-probe list` shows all targets",
        ));
    }
    Ok(())
}

/// What must remain of the deadline once the checks have ended.
fn reserve(settings: &Settings) -> Duration {
    let for_push = match &settings.output.pushgateway {
        // A slow gateway may use its whole timeout once, but never more than a fifth of the pass.
        Some(push) => push.timeout.min(settings.probe.deadline / 5),
        None => Duration::ZERO,
    };
    (RESERVE_FOR_FILES + for_push + LISTEN_ON).min(settings.probe.deadline / 3)
}

/// Runs the due checks and says how each target fared, in order.
fn check_all(
    settings: &Settings,
    targets: &[Target],
    due: &[bool],
    state: &State,
    checks_end: Deadline,
    started_at: Timestamp,
    show_progress: bool,
) -> Result<Vec<Fate>, Failed> {
    let mut fates: Vec<Fate> = targets.iter().map(|_| Fate::Reused).collect();
    let mut chosen: Vec<usize> = (0..targets.len()).filter(|&index| due[index]).collect();
    plan::due::longest_first(&mut chosen, targets, &state.targets);
    if chosen.is_empty() {
        return Ok(fates);
    }
    let places = proc::Places::new(settings.probe.max_starts());
    let mut ran = Vec::new();
    let mut jobs = Vec::new();
    for index in chosen {
        let job = job(&targets[index], state, checks_end, started_at, &places);
        match job {
            // Nothing to start and nothing to wait for: a thread would cost more than the look.
            Job { lane: Lane::Local, work } if is_free(&targets[index]) => {
                fates[index] = Fate::Ran(Ended::Finished(work()));
            }
            job => {
                ran.push(index);
                jobs.push(job);
            }
        }
    }
    if jobs.is_empty() {
        return Ok(fates);
    }
    let names = ran.iter().map(|&index| targets[index].name.clone()).collect();
    let mut line = if show_progress { ProgressLine::for_terminal(names) } else { None };
    let listen_until = Deadline::after(checks_end.left() + LISTEN_ON);
    let ended = pool::run(jobs, listen_until, |progress| {
        if let Some(line) = &mut line {
            match progress {
                Progress::Started(index) => line.started(index),
                Progress::Ended(index) => line.ended(index),
                Progress::Heartbeat => line.draw(),
            }
        }
    })
    .map_err(|error| super::no_threads(&error))?;
    // Whatever is still running belongs to a check that was cut off, or left its check behind.
    proc::end_everything();
    proc::signals::give_way();
    for (index, ended) in ran.into_iter().zip(ended) {
        fates[index] = Fate::Ran(ended);
    }
    Ok(fates)
}

fn is_free(target: &Target) -> bool {
    matches!(&target.probe, Probe::Mcp(mcp) if matches!(mcp.reach, Reach::Unreachable(_)))
}

/// The check of one target, with everything it needs moved into it.
fn job(
    target: &Target,
    state: &State,
    checks_end: Deadline,
    started_at: Timestamp,
    places: &Arc<proc::Places>,
) -> Job<Option<Checked>> {
    let known = state.targets.get(&target.id().to_string());
    let memory = memory_for(target, known);
    let probe = target.probe.clone();
    let timeout = target.schedule.timeout;
    let places = Arc::clone(places);
    let work = move || {
        let begun = clock::instant();
        // A check ends its program before its deadline is over: that it ran out of time is known by its own word.
        let time_is_the_passs = checks_end.left() < timeout;
        let context = check::Context::new(timeout, checks_end, started_at, places);
        let (facts, memory) = look(&probe, memory, &context).ok()?;
        let cut_off = checks_end.passed() || time_is_the_passs && facts.ran_out_of_time();
        Some(Checked { facts, memory, duration: begun.elapsed(), cut_off })
    };
    Job { lane: lane(target), work: Box::new(work) }
}

/// What the check finds of its own earlier runs. How a server is spoken to belongs to its configuration; counters
/// and what its tools were do not.
fn memory_for(target: &Target, known: Option<&Remembered>) -> Memory {
    let Some(known) = known else { return Memory::new(target.kind()) };
    let mut memory = known.memory.clone();
    if let Memory::Mcp(memory) = &mut memory
        && known.fingerprint != target.fingerprint
    {
        memory.era = None;
        memory.transport = None;
    }
    memory
}

fn lane(target: &Target) -> Lane {
    match &target.probe {
        Probe::Mcp(mcp) => match mcp.reach {
            Reach::Http(_) => Lane::Network,
            Reach::Stdio(_) | Reach::Script(_) => Lane::Process,
            Reach::Unreachable(_) => Lane::Local,
        },
        Probe::Service(_) => Lane::Network,
        Probe::Worktree(_) | Probe::Thunes(_) => Lane::Local,
    }
}

/// Runs the check of the target's kind.
fn look(probe: &Probe, memory: Memory, context: &check::Context) -> Result<(Facts, Memory), check::NotStarted> {
    match (probe, memory) {
        (Probe::Mcp(target), Memory::Mcp(memory)) => {
            let (facts, memory) = check::mcp::check(target, memory, context)?;
            Ok((Facts::Mcp(facts), Memory::Mcp(memory)))
        }
        (Probe::Service(target), memory @ Memory::Service) => {
            Ok((Facts::Service(check::service::check(target, context)), memory))
        }
        (Probe::Worktree(target), Memory::Worktree(memory)) => {
            let (facts, memory) = check::worktree::check(target, memory, context);
            Ok((Facts::Worktree(facts), Memory::Worktree(memory)))
        }
        (Probe::Thunes(target), Memory::Thunes(memory)) => {
            let (facts, memory) = check::thunes::check(target, memory, context);
            Ok((Facts::Thunes(facts), Memory::Thunes(memory)))
        }
        // A memory of another kind cannot come from our own state; treat it as none.
        (probe, _) => look(probe, Memory::new(kind_of(probe)), context),
    }
}

fn kind_of(probe: &Probe) -> Kind {
    match probe {
        Probe::Mcp(_) => Kind::Mcp,
        Probe::Worktree(_) => Kind::Worktree,
        Probe::Thunes(_) => Kind::Thunes,
        Probe::Service(_) => Kind::Service,
    }
}

fn note_next_due(entries: &mut [Entry], state: &State, now: Timestamp) {
    let targets = entries.iter().map(|entry| &entry.target);
    let turns = plan::due::turns(targets, &state.targets, state.created_at, now);
    for (entry, turn) in entries.iter_mut().zip(turns) {
        entry.next_due = match turn {
            Turn::At(at) => Some(at),
            Turn::Now => None,
        };
    }
}

/// The failures of every configured output so far; one that never failed has its zero.
pub(super) fn failures_of(settings: &Settings, state: &State) -> BTreeMap<String, u64> {
    let names = settings.output.names().into_iter();
    names.map(|name| (name.to_owned(), state.output_failures.get(name).copied().unwrap_or(0))).collect()
}

/// Adds one to a counter.
pub fn count(counters: &mut BTreeMap<String, u64>, name: &str) {
    *counters.entry(name.to_owned()).or_default() += 1;
}

/// Says what was odd, once each.
pub fn say_warnings(warnings: &[String]) {
    for warning in warnings {
        log::warn(warning);
    }
}
