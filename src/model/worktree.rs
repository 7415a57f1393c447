//! Git worktrees: what to look at, what was found, and what to remember.

mod memory;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use memory::{AgentMemory, MergeMemory, ReportMemory, Since, WorktreeMemory};

use super::observation::Severity;
use super::seconds;

#[derive(Debug, Clone, Default)]
pub struct WorktreeTarget {
    /// The repository it belongs to: the directory that all its worktrees share (objects, refs, config), or the path as
    /// configured where that could not be read.
    pub repository: PathBuf,
    /// Git's own name for a linked worktree, which `git worktree` can lock, prune and remove; `None` for the main one.
    pub id: Option<OsString>,
    /// Canonical where it exists.
    pub path: PathBuf,
    pub standing: Standing,
    /// Worktrees (of any repository) that lie inside this one's directory: no changes of this one.
    pub nested: Vec<PathBuf>,
    /// What "complete" is merged into, if configured.
    pub base: Option<String>,
    /// Globs of test reports besides the built-in places.
    pub test_reports: Vec<String>,
    /// Commands that mean "testing" while alive in a worktree, besides the built-in ones.
    pub test_runners: Vec<String>,
    pub records: PathBuf,
    /// Why git keeps it from being pruned or moved, perhaps without a word; `None` if it does not.
    pub lock: Option<String>,
    /// A worktree in which nothing changes is looked at ever less often, up to this; zero: never less often.
    pub idle_ttl: Duration,
}

impl WorktreeTarget {
    /// Its own git directory: index, HEAD, stopped operations (gitrepository-layout(5)).
    pub fn git_dir(&self) -> PathBuf {
        match &self.id {
            Some(id) => self.repository.join("worktrees").join(id),
            None => self.repository.clone(),
        }
    }

    /// Whether a directory, canonical, lies in this worktree and in no other one inside it.
    pub fn holds(&self, directory: &Path) -> bool {
        directory.starts_with(&self.path) && !self.nested.iter().any(|nested| directory.starts_with(nested))
    }
}

/// What the plan found out about a worktree from git's own files; a sentence says why it cannot be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Present,
    /// Git knows it, but its directory is gone.
    Gone(String),
    Unreadable(String),
}

words! {
    /// Values of `lab_worktree_status`; the number is the place in this list.
    Status {
        /// 0: nothing uncommitted, nothing unmerged.
        Complete = "complete",
        /// 1: changes, or commits that the base does not have.
        Working = "working",
        /// 2: tests are running.
        Testing = "testing",
        /// 3: a person has to do something first.
        Blocked = "blocked",
    }
}

words! {
    /// The rule that decided the status.
    StatusSource {
        /// `status=` in `.worktree`.
        Declared = "declared",
        Conflict = "conflict",
        /// A stopped merge, rebase, cherry-pick, revert, bisect or am.
        Operation = "operation",
        Missing = "missing",
        Record = "record",
        Runner = "runner",
        Changes = "changes",
        Commits = "commits",
        /// Commits that are not in the base, but their content is.
        Integrated = "integrated",
        Clean = "clean",
    }
}

words! {
    /// Values of `lab_worktree_test_status`; the number is the place in this list.
    TestStatus {
        /// 0: no verdict, or none that still counts.
        Unknown = "unknown",
        Passing = "passing",
        Failing = "failing",
    }
}

words! {
    TestSource {
        Declared = "declared",
        Record = "record",
        Junit = "junit",
        Pytest = "pytest",
        None = "none",
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestCounts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl TestCounts {
    pub fn total(self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }

    pub fn plus(self, other: TestCounts) -> TestCounts {
        TestCounts {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    pub status: TestStatus,
    pub source: TestSource,
    /// How many of each result; `None` where the source does not count.
    pub counts: Option<TestCounts>,
    /// How long the tests ran, where the source says so.
    #[serde(with = "seconds::option")]
    pub duration: Option<Duration>,
    /// When they ran (wall clock); `None` for a declared status.
    pub tested_at: Option<Timestamp>,
}

/// What one look found. A fact that could not be had is `None`, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeFacts {
    /// Why it could not be read; `None` means it was.
    pub error: Option<String>,
    pub remedy: Option<String>,
    pub path: String,
    /// The branch; `None` with a detached HEAD.
    pub branch: Option<String>,
    /// Object id of the checked-out commit; `None` on a branch without commits.
    pub head: Option<String>,
    /// The status, and the rule that decided it.
    pub status: Option<(Status, StatusSource)>,
    /// What the status rests on, where a word says it: the operation, the runner, what is missing.
    pub evidence: Option<String>,
    pub tests: Option<Tests>,
    pub tests_ignored: Option<String>,
    /// Changed and untracked paths, conflicted ones not counted.
    pub changed_files: Option<u64>,
    pub conflicted_files: Option<u64>,
    /// Commits that the upstream, or else the base, does not have.
    pub ahead: Option<u64>,
    /// Commits of the upstream, or else the base, that this worktree does not have.
    pub behind: Option<u64>,
    pub compared_with: Option<String>,
    /// Commits that the base does not have.
    pub unmerged: Option<u64>,
    pub base: Option<String>,
    /// Committer time of `head`, seconds since 1970.
    pub last_commit_at: Option<i64>,
    pub locked: bool,
    /// Why, if whoever locked it said so.
    pub lock_reason: Option<String>,
    /// `git worktree prune` would forget it.
    pub prunable: bool,
    /// Tracked paths in which the index differs from HEAD.
    pub staged_files: Option<u64>,
    /// Tracked paths in which the worktree differs from the index.
    pub modified_files: Option<u64>,
    /// Untracked paths; a directory is one.
    pub untracked_files: Option<u64>,
    /// Whether its content is in the base, by whatever commits; `None` where that could not be told.
    pub integrated: Option<bool>,
    /// Whether a merge with the base would stop in a conflict; `None` where that could not be told.
    pub merge_conflict: Option<bool>,
    /// When something in it last changed: a commit, the index, a changed or untracked file.
    pub last_change_at: Option<Timestamp>,
    pub agents: Vec<Agent>,
    /// What it changes besides the base, committed or not, relative paths; at most a few hundred.
    pub changed_paths: Vec<String>,
    /// Those of them that other worktrees of the repository change too, and the names of these.
    pub changed_elsewhere: BTreeMap<String, Vec<String>>,
    /// What a person should know besides: a line of `.worktree` that was ignored, a base that does not exist.
    pub notes: Vec<String>,
}

impl WorktreeFacts {
    pub fn test_status(&self) -> TestStatus {
        self.tests.as_ref().map_or(TestStatus::Unknown, |tests| tests.status)
    }

    pub fn test_source(&self) -> TestSource {
        self.tests.as_ref().map_or(TestSource::None, |tests| tests.source)
    }

    pub fn severity(&self) -> Severity {
        match self.status {
            None => Severity::Trouble,
            Some((Status::Blocked, _)) => Severity::Trouble,
            Some(_) if self.test_status() == TestStatus::Failing => Severity::Trouble,
            Some(_) if !self.notes.is_empty() => Severity::Attention,
            Some(_) => Severity::Fine,
        }
    }

    pub fn word(&self) -> &'static str {
        self.status.map_or("unreadable", |(status, _)| status.as_str())
    }
}

/// A client's process that stands in a worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub client: String,
    pub since: Timestamp,
    /// When its process tree was last seen to compute; `None` if it never was.
    pub active_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observation::Severity;

    #[test]
    fn a_worktree_says_in_one_line_what_is_going_on() {
        let facts = WorktreeFacts {
            branch: Some("topic".into()),
            status: Some((Status::Working, StatusSource::Changes)),
            changed_files: Some(3),
            staged_files: Some(1),
            modified_files: Some(0),
            untracked_files: Some(2),
            ahead: Some(2),
            behind: Some(0),
            compared_with: Some("main".into()),
            tests: Some(Tests {
                status: TestStatus::Failing,
                source: TestSource::Junit,
                counts: Some(TestCounts { passed: 8, failed: 2, skipped: 0 }),
                duration: None,
                tested_at: None,
            }),
            ..WorktreeFacts::default()
        };
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let line =
            "branch topic, tests failing (2 of 10 failed), 3 files changed (1 staged, 2 untracked), 2 ahead of main";
        assert_eq!(facts.summary(now), line);
        assert_eq!(facts.severity(), Severity::Trouble);
        let ago = |seconds: i64| Timestamp::from_second(1_000_000 - seconds).expect("a time");
        let agent =
            |seconds: Option<i64>| Agent { client: "codex".into(), since: ago(7_300), active_at: seconds.map(ago) };
        let more = WorktreeFacts {
            changed_elsewhere: BTreeMap::from([
                ("a".into(), vec!["x".into(), "y".into()]),
                ("b".into(), vec!["x".into()]),
            ]),
            base: Some("main".into()),
            merge_conflict: Some(true),
            last_change_at: Some(ago(3 * 86_400)),
            agents: vec![agent(None), agent(Some(30)), agent(Some(300))],
            locked: true,
            lock_reason: Some("on a disk".into()),
            ..facts
        };
        let rest = "would conflict with main, last changed 3d ago, codex there for 2h, codex active, codex last active 5m \
                    ago, locked: on a disk";
        let line = line.replacen(", 2 ahead", ", 2 files also changed in x, y, 2 ahead", 1);
        assert_eq!(more.summary(now), format!("{line}, {rest}"));
    }

    #[test]
    fn a_quiet_worktree_says_little_however_old_it_is() {
        let facts = WorktreeFacts {
            branch: Some("main".into()),
            status: Some((Status::Complete, StatusSource::Clean)),
            changed_files: Some(0),
            staged_files: Some(0),
            integrated: Some(true),
            merge_conflict: Some(false),
            last_change_at: Some(Timestamp::UNIX_EPOCH),
            ..WorktreeFacts::default()
        };
        assert_eq!(facts.summary(Timestamp::from_second(1_000_000).expect("a time")), "branch main, tests unknown");
    }

    #[test]
    fn facts_and_memory_come_back_from_the_state_as_they_went_in() {
        let facts =
            WorktreeFacts { status: Some((Status::Blocked, StatusSource::Missing)), ..WorktreeFacts::default() };
        let text = serde_json::to_string(&facts).expect("written");
        assert_eq!(serde_json::from_str::<WorktreeFacts>(&text).expect("read"), facts);
        let memory: WorktreeMemory = serde_json::from_str(r#"{"of_the_future": 1}"#).expect("read");
        assert_eq!(memory, WorktreeMemory::default());
    }
}
