//! The worktree's status: the first rule that holds. Pure.

use crate::model::worktree::{Status, StatusSource, WorktreeFacts};

/// What decides besides the facts.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// `status=` in `.worktree`.
    pub(super) declared: Option<Status>,
    pub(super) operation: Option<&'static str>,
    pub(super) recording: bool,
    pub(super) runner: Option<String>,
    /// Whether git may be told to remove the worktree.
    pub(super) removable: bool,
}

/// The status, its rule, and what a word says of the evidence.
pub(super) fn decide(facts: &WorktreeFacts, evidence: Evidence) -> (Status, StatusSource, Option<String>) {
    use StatusSource as Source;
    match evidence {
        Evidence { declared: Some(status), .. } => (status, Source::Declared, None),
        Evidence { operation, .. } if facts.conflicted_files > Some(0) => {
            (Status::Blocked, Source::Conflict, operation.map(str::to_owned))
        }
        Evidence { operation: Some(operation), .. } => (Status::Blocked, Source::Operation, Some(operation.to_owned())),
        Evidence { recording: true, .. } => (Status::Testing, Source::Record, None),
        Evidence { runner: Some(runner), .. } => (Status::Testing, Source::Runner, Some(runner)),
        _ if facts.changed_files > Some(0) => (Status::Working, Source::Changes, None),
        Evidence { removable, .. } if facts.unmerged > Some(0) => match &facts.base {
            Some(base) if facts.integrated == Some(true) => {
                let removable = if removable { "; the worktree may be removed" } else { "" };
                (Status::Complete, Source::Integrated, Some(format!("its content is in {base}{removable}")))
            }
            _ => (Status::Working, Source::Commits, None),
        },
        _ => (Status::Complete, Source::Clean, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_holds_decides() {
        let mut facts = WorktreeFacts {
            conflicted_files: Some(2),
            changed_files: Some(3),
            unmerged: Some(4),
            base: Some("main".into()),
            integrated: Some(true),
            ..WorktreeFacts::default()
        };
        let mut evidence = Evidence {
            declared: Some(Status::Complete),
            operation: Some("rebase"),
            recording: true,
            runner: Some("pytest".into()),
            removable: true,
        };
        let mut decided = |change: fn(&mut WorktreeFacts, &mut Evidence)| {
            let (status, source, said) = decide(&facts, evidence.clone());
            change(&mut facts, &mut evidence);
            (status.as_str(), source.as_str(), said.unwrap_or_default())
        };
        for (change, status, source, said) in [
            ((|_, e| e.declared = None) as fn(&mut WorktreeFacts, &mut Evidence), "complete", "declared", ""),
            (|f, _| f.conflicted_files = Some(0), "blocked", "conflict", "rebase"),
            (|_, e| e.operation = None, "blocked", "operation", "rebase"),
            (|_, e| e.recording = false, "testing", "record", ""),
            (|_, e| e.runner = None, "testing", "runner", "pytest"),
            (|f, _| f.changed_files = Some(0), "working", "changes", ""),
            (
                |_, e| e.removable = false,
                "complete",
                "integrated",
                "its content is in main; the worktree may be removed",
            ),
            (|f, _| f.integrated = None, "complete", "integrated", "its content is in main"),
            (|f, _| f.unmerged = None, "working", "commits", ""),
            (|_, _| (), "complete", "clean", ""),
        ] {
            assert_eq!(decided(change), (status, source, said.to_owned()));
        }
    }
}
