//! AI clients at work in a worktree: processes of known clients that stand in it, and when they last did something.
//!
//! A client that waits for its user stands in the worktree for days. Whether it works is told by the CPU time of its
//! process tree between two looks, never by its being there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::runners;
use crate::model::worktree::{Agent, AgentMemory, WorktreeTarget};
use crate::proc::{Process, ProcessTable};

/// Commands that are called as their client is. Scripts are known by their own name, not by that of their interpreter.
pub(super) const CLIENTS: &[&str] = &[
    "aider", "amp", "auggie", "claude-code", "cline", "codex", "copilot", "crush", "droid", "gemini", "goose",
    "opencode", "qwen",
];

/// Commands of clients that are called otherwise.
pub(super) const OTHER_COMMANDS: &[(&str, &str)] =
    &[("claude", "claude-code"), ("cursor-agent", "cursor"), ("kiro-cli", "kiro")];

/// A process that merely waits uses less than this part of a core (timers, a blinking cursor).
const IDLE_PART: u32 = 50;

/// Less CPU time than this says nothing: the kernel counts in ticks of 10 ms.
const MIN_CPU: Duration = Duration::from_millis(50);

/// The clients in this worktree. `memory` holds what the last look has learnt of them, and takes what this one learns.
pub(super) fn in_worktree(
    target: &WorktreeTarget,
    processes: &ProcessTable,
    now: Timestamp,
    memory: &mut BTreeMap<String, AgentMemory>,
) -> Vec<Agent> {
    let known = std::mem::take(memory);
    let holds = |directory: &Path| target.holds(directory);
    let mut agents = Vec::new();
    for process in processes.standing_in(holds) {
        let Some(name) = client_of(&process.arguments) else { continue };
        let is_same = |above: &Process| {
            above.directory.as_deref().is_some_and(holds) && client_of(&above.arguments) == Some(name)
        };
        // A client's own helpers are not further clients.
        if processes.ancestors(process).any(is_same) {
            continue;
        }
        let is_below = |other: &&Process| processes.ancestors(other).any(|above| above.stat.pid == process.stat.pid);
        let below = processes.all().into_iter().flatten().filter(is_below);
        let cpu = process.stat.cpu + below.map(|other| other.stat.cpu).sum::<Duration>();
        let key = format!("{}.{}", process.stat.pid, process.stat.start_ticks);
        let active_at = active_at(known.get(&key), cpu, now);
        memory.insert(key, AgentMemory { cpu, at: now, active_at });
        agents.push(Agent { client: name.to_owned(), since: process.started_at, active_at });
    }
    agents.sort_by_key(|agent| agent.since);
    agents
}

/// When the process tree was last seen to compute. The first look has nothing to compare with.
fn active_at(known: Option<&AgentMemory>, cpu: Duration, now: Timestamp) -> Option<Timestamp> {
    let known = known?;
    let elapsed = Duration::try_from(now.duration_since(known.at)).unwrap_or_default();
    // Less than before: a program that the client had started has ended, so there was one.
    let worked = cpu < known.cpu || cpu - known.cpu >= (elapsed / IDLE_PART).max(MIN_CPU);
    if worked { Some(now) } else { known.active_at }
}

fn client_of(arguments: &[String]) -> Option<&'static str> {
    let (program, _) = runners::program(arguments)?;
    let other = || OTHER_COMMANDS.iter().find(|(command, _)| *command == program).map(|(_, client)| *client);
    CLIENTS.iter().find(|client| **client == program).copied().or_else(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_however_they_are_started() {
        let named = |command: &str| {
            let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
            client_of(&arguments)
        };
        for (command, client) in [
            ("claude", Some("claude-code")),
            ("/usr/bin/node --no-warnings /home/u/.npm/bin/gemini -y", Some("gemini")),
            ("/usr/bin/python3 /home/u/.local/bin/aider --model x", Some("aider")),
            ("/opt/codex/codex exec", Some("codex")),
            ("vim claude", None),
            ("bash", None),
        ] {
            assert_eq!(named(command), client, "{command}");
        }
    }

    #[test]
    fn a_client_is_active_by_what_it_computes_and_not_by_being_there() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let seconds = Duration::from_secs_f64;
        let known = |cpu: f64| AgentMemory { cpu: seconds(cpu), at: at(1_000), active_at: Some(at(500)) };
        assert_eq!(active_at(None, seconds(9.0), at(1_100)), None);
        assert_eq!(active_at(Some(&known(9.0)), seconds(9.5), at(1_100)), Some(at(500)), "half a percent");
        assert_eq!(active_at(Some(&known(9.0)), seconds(12.0), at(1_100)), Some(at(1_100)));
        assert_eq!(active_at(Some(&known(9.0)), seconds(4.0), at(1_100)), Some(at(1_100)), "a helper has ended");
    }
}
