//! `lab_worktree_*`.

use super::{Samples, bool_value};
use crate::metrics::catalogue::LAB_WORKTREE_UP;
use crate::model::worktree::WorktreeFacts;

pub(super) fn add(name: &str, facts: &WorktreeFacts, samples: &mut Samples<'_>) {
    samples.add(&LAB_WORKTREE_UP, [name], bool_value(facts.error.is_none()));
}
