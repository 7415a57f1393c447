//! The one place where a target's kind chooses its check.

use crate::check::Context;
use crate::model::observation::{Facts, Memory, NotReached, Remembered};
use crate::model::target::{Probe, Target};

/// What the check finds of its own earlier runs. How a server is spoken to belongs to its configuration; counters
/// and what its tools were do not.
pub(super) fn memory_for(target: &Target, known: Option<&Remembered>) -> Memory {
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

pub(super) fn check(probe: &Probe, memory: Memory, context: &Context) -> Result<(Facts, Memory), NotReached> {
    let (facts, memory) = by_kind(probe, memory, context)?;
    // What this machine is short of tells nothing of the target.
    match facts.failure().filter(|failure| failure.is_shortage) {
        Some(failure) => Err(NotReached::Failed(failure.detail.clone())),
        None => Ok((facts, memory)),
    }
}

fn by_kind(probe: &Probe, memory: Memory, context: &Context) -> Result<(Facts, Memory), NotReached> {
    match (probe, memory) {
        (Probe::Mcp(target), Memory::Mcp(memory)) => {
            let (facts, memory) = crate::check::mcp::check(target, memory, context)?;
            Ok((Facts::Mcp(facts), Memory::Mcp(memory)))
        }
        (Probe::Service(target), memory @ Memory::Service) => {
            Ok((Facts::Service(crate::check::service::check(target, context)), memory))
        }
        (Probe::Worktree(target), Memory::Worktree(memory)) => {
            let (facts, memory) = crate::check::worktree::check(target, memory, context)?;
            Ok((Facts::Worktree(facts), Memory::Worktree(memory)))
        }
        (Probe::Thunes(target), Memory::Thunes(memory)) => {
            let (facts, memory) = crate::check::thunes::check(target, memory, context);
            Ok((Facts::Thunes(facts), Memory::Thunes(memory)))
        }
        // A memory of another kind cannot come from our own state; treat it as none.
        (probe, _) => by_kind(probe, Memory::new(probe.kind()), context),
    }
}
