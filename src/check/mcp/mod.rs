//! Is an MCP server usable? A valid answer to the opening of either era and, where it has tools, a valid first page
//! of them, within the timeout.
//!
//! The transports ([`stdio`], [`http`]) find out the era and give a [`tools::Peer`]; [`eras`] knows what an answer has to
//! look like, [`tools`] counts over any peer, [`jsonrpc`] reads JSON-RPC without trusting it.

pub(crate) mod eras;
mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod http_session;
pub(crate) mod jsonrpc;
pub mod left_behind;
pub(crate) mod limits;
mod opening;
mod output;
pub(crate) mod schema;
mod script;
mod session;
pub(crate) mod shape;
mod stdio;
pub(crate) mod tools;
mod web;

use super::Context;
use crate::clock::unix_seconds;
use crate::model::mcp::{Era, McpFacts, McpMemory, McpTarget, Reach, Transport};
use crate::model::observation::NotReached;
use crate::model::reason::Reason;

/// Checks one server, by its deadline or at most about a second and a half later.
/// Errors: [`NotReached`] when it came to no verdict in this pass: nothing is to be remembered.
pub fn check(target: &McpTarget, memory: McpMemory, context: &Context) -> Result<(McpFacts, McpMemory), NotReached> {
    let facts = match &target.reach {
        Reach::Unreachable(failure) => McpFacts::failed(failure.clone()),
        Reach::Stdio(server) => stdio::check(server, target.list_tools, memory.era, context)?,
        Reach::Script(script) => script::check(script, context)?,
        Reach::Http(server) => http::check(server, target.list_tools, &memory, context),
    };
    let memory = remember(memory, &facts, context);
    Ok((facts, memory))
}

/// What the next check should know: the era and transport that worked, the tool list, the count of verdicts.
///
/// Other failures forget nothing: a server that is down for an hour still speaks the same era afterwards.
fn remember(mut memory: McpMemory, facts: &McpFacts, context: &Context) -> McpMemory {
    let timed_out = facts.failure.as_ref().is_some_and(|failure| failure.reason == Reason::Timeout);
    memory.count(facts.verdict());
    if facts.era.is_some() {
        memory.era = facts.era;
        memory.transport = facts.transport;
    } else if timed_out {
        match facts.transport {
            // A server that is lost to an unknown request is not started twice each time.
            Some(Transport::Stdio) => memory.era = Some(Era::Legacy),
            // One behind a URL that has fallen silent on what is remembered of it may have changed its ways in a manner
            // that leaves no time to find out: the next check does not rely on it.
            None => (memory.era, memory.transport) = (None, None),
            Some(_) => {}
        }
    }
    if let Some(digest) = &facts.tools_digest {
        if memory.tools_digest.as_ref().is_some_and(|known| known != digest) {
            memory.tools_changed_at = Some(unix_seconds(context.started_at));
        }
        memory.tools_digest = Some(digest.clone());
    }
    memory
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::check::Start;
    use crate::clock::Deadline;
    use crate::model::reason::Failure;
    use crate::proc::Permits;

    fn context() -> Context {
        let deadline = Deadline::after(Duration::from_secs(20));
        let started_at = Timestamp::from_second(1_800_000_000).expect("a time");
        Context::new(
            Duration::from_secs(10),
            deadline,
            started_at,
            Start::new(&Permits::new(1), None, deadline, Duration::MAX),
        )
    }

    #[test]
    fn a_changed_tool_list_is_dated_and_the_first_one_is_not() {
        let facts = |digest: &str| McpFacts { tools_digest: Some(digest.into()), ..McpFacts::default() };
        let memory = remember(McpMemory::default(), &facts("a"), &context());
        assert_eq!(memory.tools_changed_at, None);
        let memory = remember(memory, &facts("a"), &context());
        assert_eq!(memory.tools_changed_at, None);
        let memory = remember(memory, &facts("b"), &context());
        assert_eq!(memory.tools_changed_at, Some(1_800_000_000.0));
        assert_eq!(memory.checks["up"], 3);
    }

    #[test]
    fn a_failure_forgets_neither_the_era_nor_the_tools() {
        let up = McpFacts {
            era: Some(Era::Legacy),
            transport: Some(Transport::Stdio),
            tools_digest: Some("a".into()),
            ..McpFacts::default()
        };
        let known = remember(McpMemory::default(), &up, &context());
        let down = McpFacts::failed(Failure::new(Reason::Exited, "x"));
        let memory = remember(known.clone(), &down, &context());
        assert_eq!((memory.era, &memory.tools_digest), (Some(Era::Legacy), &known.tools_digest));
        assert_eq!(memory.checks["down"], 1);
    }

    #[test]
    fn a_target_that_cannot_be_asked_carries_its_reason_and_starts_nothing() {
        let failure = Failure::new(Reason::MissingEnv, "TOKEN is not set");
        let target = McpTarget { reach: Reach::Unreachable(failure.clone()), list_tools: true };
        let (facts, memory) = check(&target, McpMemory::default(), &context()).expect("started");
        assert_eq!(facts.failure, Some(failure));
        assert_eq!(memory.checks["not_configured"], 1);
    }
}
