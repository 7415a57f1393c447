//! What makes a worktree due before its time: a file that git, a person or `record` writes, or somebody who has come to
//! stand in it. A handful of `stat` calls and the walk over the processes; git is not asked.

use jiff::Timestamp;

use crate::fs::stamp::Stamp;
use crate::model::observation::{Memory, Remembered};
use crate::model::target::{Probe, Target};
use crate::plan::due;
use crate::proc::ProcessTable;

/// Whether something has changed since the last look that makes the target worth another one now.
pub(crate) fn since_last_look(
    target: &Target,
    known: Option<&Remembered>,
    processes: &ProcessTable,
    now: Timestamp,
) -> bool {
    let (Probe::Worktree(worktree), Some(known)) = (&target.probe, known) else { return false };
    let Memory::Worktree(memory) = &known.memory else { return false };
    if !due::worktree::may_be_early(target, known, now) {
        return false;
    }
    let stamp = |path: &String| Stamp::of(path.as_ref()).map_or_else(String::new, |stamp| stamp.text());
    let is_newcomer = |process: &crate::proc::Process| {
        process.directory.as_deref().is_some_and(|directory| worktree.holds(directory))
            && !memory.standing.contains(&(process.stat.pid, process.stat.start_ticks))
            && !processes.is_own(process)
    };
    memory.watched.iter().any(|(path, known)| stamp(path) != *known)
        || processes.all().into_iter().flatten().any(is_newcomer)
}
