//! Is an MCP server usable?

#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod legacy;
#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod limits;
#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod modern;
#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod peer;
#[allow(dead_code, reason = "the transports that use it follow")]
mod shape;
#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod tools;
#[allow(dead_code, reason = "the transports that use it follow")]
pub(crate) mod wire;

use super::{Context, NotStarted};
use crate::model::mcp::{McpFacts, McpMemory, McpTarget, Reach};
use crate::model::reason::{Failure, Reason};

/// Checks one server, by its deadline or at most about a second and a half later.
///
/// # Errors
/// [`NotStarted`] when no place to start came free in time; `memory` is not used up then, the caller still has it.
pub fn check(target: &McpTarget, memory: McpMemory, _context: &Context) -> Result<(McpFacts, McpMemory), NotStarted> {
    let facts = match &target.reach {
        Reach::Unreachable(failure) => McpFacts::failed(failure.clone()),
        _ => McpFacts::failed(Failure::new(Reason::Timeout, "not checked")),
    };
    Ok((facts, memory))
}
