//! A health script: exit 0 up, 1 down, 2 not configured.

use std::time::Duration;

use super::limits::CHECK_BYTES;
use super::output;
use super::stdio::{not_spawned, spec};
use crate::check::Context;
use crate::clock;
use crate::model::mcp::{HealthScript, McpFacts, Transport};
use crate::model::observation::NotReached;
use crate::model::reason::{Failure, Reason};
use crate::proc::{Captured, Exit, Outcome, capture_tail, list_survivors};
use crate::redact::KnownSecrets;

/// Runs the script.
/// Errors: [`NotReached`] when it was not started or did not have its own time in this pass.
pub(super) fn check(script: &HealthScript, context: &Context) -> Result<McpFacts, NotReached> {
    let meter = context.meter(Duration::ZERO)?;
    let begun = clock::instant();
    let (program, args) = match script.command.split_first() {
        Some((program, args)) => (program.expose(), args),
        None => ("", script.command.as_slice()),
    };
    let spec = spec(program, args, &script.env, script.cwd.as_ref());
    let mut facts = McpFacts { transport: Some(Transport::Script), ..McpFacts::default() };
    // Its exit code counts, whatever it prints; but it may print no more than a server.
    facts.failure = match capture_tail(&spec, meter, CHECK_BYTES as usize, context.pass_deadline) {
        Ok(Captured { outcome: Outcome::TimedOut, slow: None, .. }) => {
            return Err(NotReached::CutOff(begun.elapsed()));
        }
        Ok(captured) => {
            facts.cpu = captured.usage.map(|usage| usage.cpu);
            facts.max_rss_bytes = captured.usage.map(|usage| usage.max_rss_bytes);
            if !captured.survivors.is_empty() {
                facts.notes.push(format!("could not be ended: {}", list_survivors(&captured.survivors)));
            }
            verdict(&captured, &KnownSecrets::of_program(args, &script.env))
        }
        Err(error) => Some(not_spawned(program, &error, begun, context.timeout)?),
    };
    Ok(facts)
}

fn verdict(captured: &Captured, secrets: &KnownSecrets) -> Option<Failure> {
    let (reason, what) = match captured.outcome {
        Outcome::Exited(Exit::Code(0)) => return None,
        Outcome::Exited(Exit::Code(1)) => (Reason::ScriptFailed, "the script says down".to_owned()),
        Outcome::Exited(Exit::Code(2)) => (Reason::NotConfigured, "the script says not configured".to_owned()),
        Outcome::Exited(exit) => (Reason::ScriptFailed, format!("the script ended with {exit}")),
        Outcome::TimedOut => (Reason::Timeout, captured.slow.map_or_else(String::new, output::too_slow)),
        Outcome::TooLarge => (Reason::TooLarge, "the script printed more than 64 MiB".to_owned()),
    };
    let said = output::quote(&captured.stderr.text(), secrets)
        .or_else(|| output::quote(&String::from_utf8_lossy(&captured.stdout), secrets));
    let detail = said.map_or(what.clone(), |said| format!("{what}: {said}"));
    let failure = Failure::new(reason, detail);
    Some(match reason {
        Reason::NotConfigured => failure.with_hint("set up what the script misses; it says so with exit code 2"),
        _ => failure,
    })
}
