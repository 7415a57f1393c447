//! The worktree's status: the first rule that holds. Pure.

use crate::model::worktree::{Status, StatusSource};

#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// `status=` in `.worktree`.
    pub(super) declared: Option<Status>,
    /// What is missing, if the directory is gone.
    pub(super) missing: Option<String>,
    pub(super) conflicted: u64,
    pub(super) operation: Option<&'static str>,
    pub(super) recording: bool,
    pub(super) runner: Option<String>,
    pub(super) changed: u64,
    /// Commits that the base does not have; `None` where there is no base.
    pub(super) unmerged: Option<u64>,
    /// What is to be said of them if their content is in the base all the same.
    pub(super) integrated: Option<String>,
}

/// The status, its rule, and what a word says of the evidence.
pub(super) fn decide(evidence: Evidence) -> (Status, StatusSource, Option<String>) {
    use StatusSource as Source;
    match evidence {
        Evidence { declared: Some(status), .. } => (status, Source::Declared, None),
        Evidence { missing: Some(what), .. } => (Status::Blocked, Source::Missing, Some(what)),
        Evidence { conflicted: 1.., .. } => (Status::Blocked, Source::Conflict, evidence.operation.map(str::to_owned)),
        Evidence { operation: Some(operation), .. } => (Status::Blocked, Source::Operation, Some(operation.to_owned())),
        Evidence { recording: true, .. } => (Status::Testing, Source::Record, None),
        Evidence { runner: Some(runner), .. } => (Status::Testing, Source::Runner, Some(runner)),
        Evidence { changed: 1.., .. } => (Status::Working, Source::Changes, None),
        Evidence { unmerged: Some(1..), integrated: Some(what), .. } => {
            (Status::Complete, Source::Integrated, Some(what))
        }
        Evidence { unmerged: Some(1..), .. } => (Status::Working, Source::Commits, None),
        Evidence { .. } => (Status::Complete, Source::Clean, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_holds_decides() {
        let mut evidence = Evidence {
            declared: Some(Status::Complete),
            missing: Some("/x is gone".into()),
            conflicted: 2,
            operation: Some("rebase"),
            recording: true,
            runner: Some("pytest".into()),
            changed: 3,
            unmerged: Some(4),
            integrated: Some("its content is in main".into()),
        };
        let mut decided = |change: fn(&mut Evidence)| {
            let (status, source, _) = decide(evidence.clone());
            change(&mut evidence);
            (status.as_str(), source.as_str())
        };
        assert_eq!(decided(|e| e.declared = None), ("complete", "declared"));
        assert_eq!(decided(|e| e.missing = None), ("blocked", "missing"));
        assert_eq!(decided(|e| e.conflicted = 0), ("blocked", "conflict"));
        assert_eq!(decided(|e| e.operation = None), ("blocked", "operation"));
        assert_eq!(decided(|e| e.recording = false), ("testing", "record"));
        assert_eq!(decided(|e| e.runner = None), ("testing", "runner"));
        assert_eq!(decided(|e| e.changed = 0), ("working", "changes"));
        assert_eq!(decided(|e| e.integrated = None), ("complete", "integrated"));
        assert_eq!(decided(|e| e.unmerged = None), ("working", "commits"));
        assert_eq!(decided(|_| ()), ("complete", "clean"));
    }
}
