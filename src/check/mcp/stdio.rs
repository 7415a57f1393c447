//! A server that is started for the check and spoken to over its standard streams.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::opening::{LEGACY_FIRST, MODERN_FIRST, Stopped, open};
use super::session::StdioSession;
use super::{output, tools};
use crate::check::Context;
use crate::clock::{self, Deadline};
use crate::model::mcp::{Era, McpFacts, StdioServer, Transport};
use crate::model::observation::NotReached;
use crate::model::reason::{Failure, Reason};
use crate::proc::{ChildIo, CommandSpec, Ended, Exit, Force, Meter, SpawnError, list_survivors};
use crate::redact::{KnownSecrets, Secret};

/// Kept of the pass's time for ending a server and reporting, so that the result is out before the pass closes.
const RESERVE: Duration = Duration::from_millis(400);

/// Starts the server, opens, lists its tools, ends it.
/// Errors: [`NotReached`] when it was not started or did not have its own time in this pass.
pub(super) fn check(
    server: &StdioServer,
    list_tools: bool,
    remembered: Option<Era>,
    context: &Context,
) -> Result<McpFacts, NotReached> {
    let meter = context.meter(Duration::ZERO)?;
    let reserve = RESERVE.min(context.pass_deadline.left() / 5);
    let deadline = context.pass_deadline.minus(reserve);
    let secrets = KnownSecrets::of_program(&server.args, &server.env);
    let mut attempt = Attempt {
        server,
        list_tools,
        deadline,
        timeout: context.timeout,
        secrets: &secrets,
        facts: McpFacts { transport: Some(Transport::Stdio), ..McpFacts::default() },
        idle: Duration::ZERO,
        notes: Vec::new(),
    };
    let openings = if remembered == Some(Era::Legacy) { LEGACY_FIRST } else { MODERN_FIRST };
    let mut outcome = attempt.run(openings, meter);
    if let Err(Stopped::Lost(first)) = outcome {
        // One that has ended has used up its time; one that fell silent may only have been spoilt by the first opening.
        let idle = if first.reason == Reason::Timeout { Duration::ZERO } else { attempt.idle };
        // The new process does not see first what the old one may have ended or fallen silent on.
        let openings = if openings == LEGACY_FIRST { MODERN_FIRST } else { &[Era::Legacy] };
        outcome = match attempt.run(openings, context.meter(idle)?) {
            Err(Stopped::Failed(second)) if second.reason == Reason::Timeout && first.reason == Reason::Exited => {
                Err(Stopped::Failed(first))
            }
            second => second,
        };
    }
    let Attempt { mut facts, notes, .. } = attempt;
    facts.notes.extend(notes);
    match outcome {
        Ok(()) => {}
        Err(Stopped::Lost(failure) | Stopped::Failed(failure)) => facts.failure = Some(failure),
        Err(Stopped::NotReached(why)) => return Err(why),
    }
    output::make_harmless(&mut facts, &secrets);
    Ok(facts)
}

struct Attempt<'a> {
    server: &'a StdioServer,
    list_tools: bool,
    deadline: Deadline,
    timeout: Duration,
    secrets: &'a KnownSecrets,
    facts: McpFacts,
    idle: Duration,
    notes: Vec<String>,
}

impl Attempt<'_> {
    fn run(&mut self, openings: &[Era], meter: Meter) -> Result<(), Stopped> {
        let begun = clock::instant();
        let StdioServer { command, args, env, cwd } = self.server;
        let io = match ChildIo::start(&spec(command, args, env, cwd.as_ref()), Some(meter), self.deadline) {
            Ok(io) => io,
            Err(error) => {
                let failure = not_spawned(command, &error, begun, self.timeout);
                return Err(failure.map_or_else(Stopped::NotReached, Stopped::Failed));
            }
        };
        let mut session = StdioSession::new(io, begun, self.secrets);
        let result = match open(&mut session, openings, self.deadline) {
            Ok((greeting, dialect)) => {
                self.facts.handshake = Some(clock::instant() - begun);
                let lists_tools = self.list_tools && greeting.has_tools;
                greeting.note_in(&mut self.facts);
                let mut list = || tools::list(&mut session, &dialect, self.deadline, &mut self.facts);
                if lists_tools { list().map_err(Stopped::Failed) } else { Ok(()) }
            }
            Err(Stopped::Lost(failure)) if self.deadline.passed() => Err(Stopped::Failed(failure)),
            Err(stopped) => Err(stopped),
        };
        let result = match result {
            // That somebody else has not answered yet does not tell either that the program has failed.
            Err(Stopped::Failed(Failure { reason: Reason::Timeout | Reason::Exited, .. }))
                if self.deadline.passed() && session.io.slow().is_none() =>
            {
                Err(Stopped::NotReached(NotReached::CutOff(begun.elapsed())))
            }
            result => result,
        };
        self.idle += session.io.idle();
        self.facts.noise_lines += session.noise;
        self.notes = session.notes();
        let exited_before = session.io.exit().is_some();
        let ended = session.io.end(self.deadline);
        self.note_end(&ended, exited_before);
        result
    }

    /// Adds up what the processes used, and says so when one would not end.
    fn note_end(&mut self, ended: &Ended, exited_before: bool) {
        if let Some(usage) = ended.usage {
            self.facts.cpu = Some(self.facts.cpu.unwrap_or_default() + usage.cpu);
            self.facts.max_rss_bytes = Some(self.facts.max_rss_bytes.unwrap_or_default().max(usage.max_rss_bytes));
        }
        let note = match (ended.force, ended.exit) {
            _ if !ended.survivors.is_empty() => format!("could not be ended: {}", list_survivors(&ended.survivors)),
            (Force::Kill, Some(Exit::Signal(libc::SIGKILL))) if !exited_before => {
                "ignored SIGTERM and was killed".into()
            }
            (Force::Kill, _) => "left processes behind that ignored SIGTERM and were killed".into(),
            (Force::Term, Some(Exit::Code(_))) if exited_before => "left processes behind".into(),
            _ => return,
        };
        self.facts.notes.push(note);
    }
}

pub(super) fn spec(
    program: &str,
    args: &[Secret],
    env: &BTreeMap<String, Secret>,
    cwd: Option<&PathBuf>,
) -> CommandSpec {
    CommandSpec {
        program: program.into(),
        args: args.iter().map(|arg| arg.expose().into()).collect(),
        env: env.iter().map(|(name, value)| (name.into(), value.expose().into())).collect(),
        cwd: cwd.cloned(),
    }
}

/// The failure of a program that could not be started, tried since `begun`.
/// Errors: [`NotReached`] where that tells nothing of the program.
pub(super) fn not_spawned(
    command: &str,
    error: &SpawnError,
    begun: Instant,
    timeout: Duration,
) -> Result<Failure, NotReached> {
    let reason = match error {
        SpawnError::Ending => return Err(NotReached::NotBegun),
        _ if error.is_out_of_time() && begun.elapsed() < timeout => return Err(NotReached::CutOff(begun.elapsed())),
        SpawnError::NotFound { .. } => Reason::CommandNotFound,
        _ => Reason::SpawnFailed,
    };
    let failure = Failure::new(reason, error.to_string()).if_shortage(error.is_out_of_resources());
    Ok(match error {
        SpawnError::NotFound { .. } if command.trim().contains(char::is_whitespace) => failure
            .with_hint("the command looks like a whole command line: put the program in `command`, the rest in `args`"),
        SpawnError::NotExecutable { file } if file.is_dir() => {
            failure.with_hint("name the program in it, not the directory")
        }
        SpawnError::NotExecutable { file } => failure.with_hint(format!("chmod +x {}", file.display())),
        SpawnError::NoDirectory { directory, .. } if directory.exists() => {
            failure.with_hint(format!("correct `cwd`: {} is no directory", directory.display()))
        }
        SpawnError::NoDirectory { directory, .. } => {
            failure.with_hint(format!("create {} or correct `cwd`", directory.display()))
        }
        // The file is there: what the system does not find, or may not execute, is what its first line names.
        SpawnError::Refused { file, source } => failure.with_hint(match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                format!("install that interpreter, or correct the first line of {}", file.display())
            }
            _ => format!("give {} a first line such as #!/bin/sh, or a build for this machine", file.display()),
        }),
        _ => failure,
    })
}
