//! What makes a worktree due before its time: a file that git, a person or `record` writes, or somebody who has come to
//! stand in it. A handful of `stat` calls and the walk over the processes; git is not asked.

use crate::fs::stamp::Stamp;
use crate::model::worktree::{WorktreeMemory, WorktreeTarget};
use crate::proc::{Process, ProcessTable};

/// Whether something has changed since the last look that makes the worktree worth another one now.
pub(crate) fn since_last_look(worktree: &WorktreeTarget, memory: &WorktreeMemory, processes: &ProcessTable) -> bool {
    let is_newcomer = |process: &Process| {
        process.directory.as_deref().is_some_and(|directory| worktree.holds(directory))
            && !memory.processes.contains(&(process.stat.pid, process.stat.start_ticks))
            && !processes.is_own(process)
    };
    memory.watched.iter().any(|(path, known)| Stamp::text_of(path.as_ref()) != *known)
        || processes.all().into_iter().flatten().any(is_newcomer)
}
