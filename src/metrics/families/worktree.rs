//! `lab_worktree_*`. What was not found out has no sample.

use crate::clock::unix_seconds;
use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::worktree::{Tests, WorktreeFacts};
use crate::redact::shortened;

/// Longest branch name that becomes a label, in characters; git allows what the file system allows.
const MAX_BRANCH_CHARS: usize = 256;

pub(super) fn add(name: &str, facts: &WorktreeFacts, samples: &mut Samples) {
    samples.add(&LAB_WORKTREE_UP, [name], f64::from(facts.error.is_none()));
    if let Some((status, status_source)) = facts.status {
        // Both are declared in the order of their values.
        samples.add(&LAB_WORKTREE_STATUS, [name], f64::from(status as u8));
        samples.add(&LAB_WORKTREE_TEST_STATUS, [name], f64::from(facts.test_status() as u8));
        let branch = shortened(facts.branch.as_deref().unwrap_or_default(), MAX_BRANCH_CHARS);
        let labels = [name, &branch, status_source.as_str(), facts.test_source().as_str()];
        samples.add(&LAB_WORKTREE_INFO, labels, 1.0);
    }
    let number = |value: Option<u64>| value.map(|value| value as f64);
    samples.add(&LAB_WORKTREE_CHANGED_FILES, [name], number(facts.changed_files));
    for (state, count) in
        [("staged", facts.staged_files), ("modified", facts.modified_files), ("untracked", facts.untracked_files)]
    {
        samples.add(&LAB_WORKTREE_FILES, [name, state], number(count));
    }
    if facts.error.is_none() {
        samples.add(&LAB_WORKTREE_LOCKED, [name], f64::from(facts.locked));
    }
    samples.add(&LAB_WORKTREE_INTEGRATED, [name], facts.integrated.map(f64::from));
    samples.add(&LAB_WORKTREE_CONFLICTED_FILES, [name], number(facts.conflicted_files));
    samples.add(&LAB_WORKTREE_AHEAD_COMMITS, [name], number(facts.ahead));
    samples.add(&LAB_WORKTREE_BEHIND_COMMITS, [name], number(facts.behind));
    let committed_at = facts.last_commit_at.map(|seconds| seconds as f64);
    samples.add(&LAB_WORKTREE_LAST_COMMIT_TIMESTAMP_SECONDS, [name], committed_at);
    if let Some(tests) = &facts.tests {
        add_tests(name, tests, samples);
    }
}

fn add_tests(name: &str, tests: &Tests, samples: &mut Samples) {
    if let Some(counts) = tests.counts {
        for (result, count) in [("passed", counts.passed), ("failed", counts.failed), ("skipped", counts.skipped)] {
            samples.add(&LAB_WORKTREE_TESTS, [name, result], count as f64);
        }
    }
    samples.add(&LAB_WORKTREE_TESTS_DURATION_SECONDS, [name], tests.duration.map(|d| d.as_secs_f64()));
    samples.add(&LAB_WORKTREE_TESTED_TIMESTAMP_SECONDS, [name], tests.tested_at.map(unix_seconds));
}
