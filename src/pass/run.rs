//! Runs the due checks in parallel, to the deadline and no longer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::dispatch;
use crate::check;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit;
use crate::model::mcp::Reach;
use crate::model::target::{Probe, Target};
use crate::plan;
use crate::proc;
use crate::run::merge::{Checked, Fate};
use crate::run::pool::{self, Ended, Job, Lane, Progress};
use crate::show::progress::ProgressLine;
use crate::state::store::State;

/// Kept back from the deadline for merging and for writing the textfile.
const RESERVE_FOR_FILES: Duration = Duration::from_millis(250);

/// How long after a check's own deadline the pass still listens for its result: a check that notices the deadline
/// itself ends its process tree first, and its evidence is better than none.
const LISTEN_ON: Duration = Duration::from_millis(350);

/// What must remain of the deadline once the checks have ended.
pub(super) fn reserve(settings: &Settings) -> Duration {
    let for_push = match &settings.output.pushgateway {
        // A slow gateway may use its whole timeout once, but never more than a fifth of the pass.
        Some(push) => push.timeout.min(settings.probe.deadline / 5),
        None => Duration::ZERO,
    };
    (RESERVE_FOR_FILES + for_push + LISTEN_ON).min(settings.probe.deadline / 3)
}

/// Runs the due checks and says how each target fared, in order.
pub(super) fn check_all(
    settings: &Settings,
    targets: &[Target],
    due: &[bool],
    state: &State,
    checks_end: Deadline,
    started_at: Timestamp,
    show_progress: bool,
) -> anyhow::Result<Vec<Fate>> {
    let mut fates: Vec<Fate> = targets.iter().map(|_| Fate::Reused).collect();
    let mut chosen: Vec<usize> = (0..targets.len()).filter(|&index| due[index]).collect();
    plan::due::longest_first(&mut chosen, targets, &state.targets);
    if chosen.is_empty() {
        return Ok(fates);
    }
    let places = proc::Places::new(settings.probe.max_starts());
    let processes = Arc::new(proc::ProcessTable::default());
    let mut ran = Vec::new();
    let mut jobs = Vec::new();
    for index in chosen {
        let job = job(&targets[index], state, checks_end, started_at, (&places, &processes));
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
    .map_err(|error| exit::no_threads(&error))?;
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
    (places, processes): (&Arc<proc::Places>, &Arc<proc::ProcessTable>),
) -> Job<Option<Checked>> {
    let known = state.targets.get(&target.id().to_string());
    let memory = dispatch::memory_for(target, known);
    let probe = target.probe.clone();
    let timeout = target.schedule.timeout;
    let (places, processes) = (Arc::clone(places), Arc::clone(processes));
    let work = move || {
        let begun = clock::instant();
        // A check ends its program before its deadline is over: that it ran out of time is known by its own word.
        let time_is_the_passs = checks_end.left() < timeout;
        let context = check::Context::new(timeout, checks_end, started_at, places).with_processes(&processes);
        let (facts, memory) = dispatch::look(&probe, memory, &context).ok()?;
        let cut_off = checks_end.passed() || time_is_the_passs && facts.ran_out_of_time();
        Some(Checked { facts, memory, duration: begun.elapsed(), cut_off })
    };
    Job { lane: lane(target), work: Box::new(work) }
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
