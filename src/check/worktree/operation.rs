//! Operations that git has stopped in the middle of, told by what they leave in the worktree's own git directory.

use super::git::Git;
use crate::fs::read_capped;

/// Longest `sequencer/todo` whose first word is looked at.
const MAX_TODO_BYTES: u64 = 1 << 20;

/// The operation that stands in the way, if any.
pub(super) fn stopped(git: &Git) -> Option<&'static str> {
    let is_there = |name: &str| git.git_dir.join(name).symlink_metadata().is_ok();
    if is_there("rebase-merge") {
        return Some("rebase");
    }
    if is_there("rebase-apply") {
        return Some(if is_there("rebase-apply/applying") { "am" } else { "rebase" });
    }
    // A reftable holds all of them but MERGE_HEAD, which may name several commits (gitglossary(7), "pseudoref").
    let has_reftable = is_there("reftable");
    let show_ref = |name: &str| git.run(&["show-ref", "--verify", "--quiet", name], b"").is_ok();
    let is_ref = |name: &str| is_there(name) || has_reftable && show_ref(name);
    let marks = [("MERGE_HEAD", "merge"), ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert")];
    if let Some((_, operation)) = marks.iter().find(|(mark, _)| is_ref(mark)) {
        return Some(operation);
    }
    // Between two commits of a sequence, when the conflict of one has been committed by hand.
    if let Ok(todo) = read_capped(&git.git_dir.join("sequencer/todo"), MAX_TODO_BYTES) {
        return Some(if todo.starts_with(b"revert") { "revert" } else { "cherry-pick" });
    }
    is_there("BISECT_LOG").then_some("bisect")
}
