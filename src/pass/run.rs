//! Runs the due checks in parallel, to the deadline and no longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::dispatch;
use super::due::Inspect;
use super::merge::{CheckResult, Checked};
use super::pool::{self, Class, Job};
use crate::check::service::Units;
use crate::check::{self, Shared, Start};
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit;
use crate::model::mcp::{McpTarget, Reach};
use crate::model::observation::{Memory, NotReached};
use crate::model::reason::Reason;
use crate::model::target::{Probe, Target};
use crate::plan;
use crate::proc::{self, Permits, ProcessTable, Survivor, hung};
use crate::show::progress::ProgressLine;
use crate::state::store::State;

/// Kept back from the deadline for merging and for writing the textfile.
const RESERVE_FOR_FILES: Duration = Duration::from_millis(250);

/// How long after a check's own deadline the pass still listens for its result: a check that notices the deadline
/// itself ends its process tree first, and its evidence is better than none.
const LISTEN_ON: Duration = Duration::from_millis(350);

/// How long after the end of the checks the last of their processes are ended.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A ping that is answered; one that is not may take what is left.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What must remain of the deadline once the checks have ended.
pub(super) fn reserve(settings: &Settings) -> Duration {
    let for_push = match &settings.output.pushgateway {
        // A slow gateway may use its whole timeout once, but never more than a fifth of the pass.
        Some(push) => push.timeout.min(settings.probe.deadline / 5),
        None => Duration::ZERO,
    };
    let for_heartbeat = settings.output.heartbeat.as_ref().map_or(Duration::ZERO, |_| HEARTBEAT);
    (RESERVE_FOR_FILES + for_push + for_heartbeat + LISTEN_ON).min(settings.probe.deadline / 3)
}

/// A default timeout says nothing about a server; a longer one says that this server may take so long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to one origin at a time, as browsers have it: a small gateway before many servers accepts no more.
const CONNECTIONS_PER_ORIGIN: usize = 6;

/// A check begins within this part of the pass whatever time it is known to need: it would never begin otherwise.
const BEGINNING: u32 = 10;

pub(super) struct Round<'a> {
    settings: &'a Settings,
    state: &'a State,
    started_at: Timestamp,
    /// The last check ends by then.
    end: Deadline,
    /// Until then a check begins whatever time it needs.
    beginning: Deadline,
    permits: Arc<Permits>,
    pub(super) shared: Arc<Shared>,
    origins: BTreeMap<String, Arc<Permits>>,
}

/// Whether an earlier inspection of the target has not come back.
pub(super) fn hangs(target: &Target) -> bool {
    target.files().first().is_some_and(|place| hung::is_noted(place))
}

impl<'a> Round<'a> {
    pub(super) fn new(settings: &'a Settings, state: &'a State, started_at: Timestamp, end: Deadline) -> Self {
        let permits = Permits::new(settings.probe.max_starts());
        let beginning = Deadline::after(end.left() / BEGINNING);
        let units = Units::of(settings.services.iter().map(|service| &service.probe));
        let shared = Arc::new(Shared { units, ..Shared::default() });
        Round { settings, state, started_at, end, beginning, permits, shared, origins: BTreeMap::new() }
    }

    /// The result of each target, and the processes that could not be ended.
    pub(super) fn check_all(
        mut self,
        targets: &[Target],
        due: &[Inspect],
        show_progress: bool,
    ) -> anyhow::Result<(Vec<CheckResult>, Vec<Survivor>)> {
        let mut results: Vec<CheckResult> = targets.iter().map(|_| Ok(None)).collect();
        let mut ran = Vec::new();
        let mut jobs = Vec::new();
        let taken: Vec<bool> = due.iter().map(|due| *due != Inspect::No).collect();
        for index in plan::due::in_order(targets, &taken, &self.state.targets, self.end.left()) {
            let target = &targets[index];
            if hangs(target) {
                results[index] = Err(NotReached::Hangs);
                continue;
            }
            let (work, thread) = hung::noting_its_thread(self.job(target, due[index]));
            ran.push((index, thread));
            jobs.push(Job { class: class(target), work: Box::new(work) });
        }
        let names = ran.iter().map(|&(index, _)| targets[index].name.clone()).collect();
        let mut line = if show_progress { ProgressLine::for_terminal(names) } else { None };
        let listen_until = Deadline::after(self.end.left() + LISTEN_ON);
        let draw = |running: &[usize], done| line.iter_mut().for_each(|line| line.draw(running, done));
        let ended = pool::run(jobs, listen_until, draw)
            .map_err(|error| exit::no_tasks("start the threads that checks run on", error))?;
        // Whatever is still running belongs to a check that was cut off, or left its check behind.
        let survivors = proc::end_everything(Deadline::after(self.end.left() + END_LIMIT));
        proc::signals::give_way();
        hung::note_survivors(&survivors, ran.iter().map(|&(index, _)| targets[index].files()));
        for ((index, thread), ended) in ran.into_iter().zip(ended) {
            results[index] = match ended {
                // It was only to see whether something has changed.
                Err(NotReached::NotBegun) if due[index] == Inspect::IfChanged => Ok(None),
                Err(NotReached::CutOff(had)) => {
                    hung::note(&targets[index].files(), &thread);
                    Err(NotReached::CutOff(had))
                }
                ended => ended.flatten(),
            };
        }
        Ok((results, survivors))
    }

    /// The check of one target, with everything it needs moved into it.
    fn job(&mut self, target: &Target, due: Inspect) -> impl FnOnce() -> CheckResult + Send + use<> {
        let known = self.state.targets.get(&target.id());
        let memory = dispatch::memory_for(target, known);
        let probe = target.probe.clone();
        let timeout = target.schedule.timeout;
        let latest = self.end.minus(plan::due::need(target, known)).max(self.beginning);
        let ticket = probe.starts_program().then(|| self.permits.ticket());
        let start = Start::new(&self.permits, ticket, latest, self.whole_pass(timeout));
        let connection = self.origin(target).map(Permits::ticket);
        let (end, started_at, shared) = (self.end, self.started_at, Arc::clone(&self.shared));
        // As many wait for the disk as there are threads for them; the last may get a thread when the pass is all but over.
        let queues = class(target) == Class::Local;
        move || {
            if due == Inspect::IfChanged && !has_changed(&probe, &memory, &shared.processes) {
                return Ok(None);
            }
            if queues && latest.passed() {
                return Err(NotReached::NotBegun);
            }
            let _connection = connection.map(|ticket| ticket.wait(latest).ok_or(NotReached::NotBegun)).transpose()?;
            let (begun, given) = (clock::instant(), end.left());
            let context = check::Context { shared, ..check::Context::new(timeout, end, started_at, start) };
            let (facts, memory) = dispatch::check(&probe, memory, &context)?;
            // Waiting for its turn is no part of it.
            let duration = context.start.let_in().unwrap_or(begun).elapsed();
            // A program that was started has a clock of its own: its check has said so already. Worktrees and trading say
            // what they have, and that they could not finish.
            let is_out_of_time = facts.failure().is_some_and(|failure| failure.reason == Reason::Timeout);
            if given < timeout && !probe.starts_program() && is_out_of_time {
                return Err(NotReached::CutOff(duration.min(given)));
            }
            Ok(Some(Checked { facts, memory, duration, cut_off: end.passed() }))
        }
    }

    /// How long a server may compute: a whole pass of a timer, or its own timeout if that is longer on purpose.
    fn whole_pass(&self, timeout: Duration) -> Duration {
        let pass = self.settings.probe.deadline.saturating_sub(reserve(self.settings));
        if timeout > DEFAULT_TIMEOUT { pass.max(timeout) } else { pass }
    }

    fn origin(&mut self, target: &Target) -> Option<&Arc<Permits>> {
        let Probe::Mcp(McpTarget { reach: Reach::Http(server), .. }) = &target.probe else { return None };
        let origin = url::Url::parse(server.url.expose()).ok()?.origin().ascii_serialization();
        Some(self.origins.entry(origin).or_insert_with(|| Permits::new(CONNECTIONS_PER_ORIGIN)))
    }
}

fn has_changed(probe: &Probe, memory: &Memory, processes: &ProcessTable) -> bool {
    match (probe, memory) {
        (Probe::Worktree(worktree), Memory::Worktree(memory)) => {
            plan::worktrees::changed_since_last_look(worktree, memory, processes)
        }
        _ => false,
    }
}

fn class(target: &Target) -> Class {
    match &target.probe {
        Probe::Mcp(_) | Probe::Service(_) => Class::Waiting,
        Probe::Worktree(_) | Probe::Thunes(_) => Class::Local,
    }
}
