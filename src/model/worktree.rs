//! Git worktrees: what to look at, what was found, and what to remember.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observation::Severity;
use super::seconds;

/// A worktree to look at.
#[derive(Debug, Clone)]
pub struct WorktreeTarget {
    /// The repository it belongs to: the directory that all its worktrees share, or the path as configured where that
    /// could not be read.
    pub repository: PathBuf,
    /// Its own directory.
    pub path: PathBuf,
    /// Whether it can be looked at, and where git keeps what it knows of it.
    pub standing: Standing,
    /// Worktrees (of any repository) that lie inside this one's directory: no changes of this one.
    pub nested: Vec<PathBuf>,
    /// What "complete" is merged into, if configured.
    pub base: Option<String>,
    /// Globs of test reports besides the built-in places.
    pub test_reports: Vec<String>,
    /// Commands that mean "testing" while alive in a worktree, besides the built-in ones.
    pub test_runners: Vec<String>,
    /// Where `record` keeps its verdicts.
    pub records: PathBuf,
    /// Whether it is a linked worktree, which `git worktree` can lock, prune and remove.
    pub linked: bool,
    /// Why git keeps it from being pruned or moved, perhaps without a word; `None` if it does not.
    pub lock: Option<String>,
    /// A worktree in which nothing changes is looked at ever less often, up to this; zero: never less often.
    pub idle_ttl: Duration,
}

impl WorktreeTarget {
    /// Whether a directory, canonical, lies in this worktree and in no other one inside it.
    pub fn holds(&self, directory: &Path) -> bool {
        directory.starts_with(&self.path) && !self.nested.iter().any(|nested| directory.starts_with(nested))
    }
}

/// What the plan found out about a worktree from git's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Present {
        /// Its own git directory: index, HEAD, stopped operations.
        git_dir: PathBuf,
        /// The directory shared by all worktrees of the repository: objects, refs, config.
        common_dir: PathBuf,
    },
    /// Git knows it, but its directory is gone.
    Gone {
        /// A sentence that says what is missing.
        reason: String,
    },
    /// It cannot be read.
    Unreadable {
        /// The sentence for people.
        reason: String,
    },
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every value, in the contract's order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The label value, and the word in files and tables.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// The value of this word, compared exactly.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
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
        /// Conflicted paths.
        Conflict = "conflict",
        /// A stopped merge, rebase, cherry-pick, revert, bisect or am.
        Operation = "operation",
        /// The directory is gone.
        Missing = "missing",
        /// A `lab-probe record` run is alive.
        Record = "record",
        /// A known test runner is alive.
        Runner = "runner",
        /// Changed or untracked files.
        Changes = "changes",
        /// Commits that are not in the base.
        Commits = "commits",
        /// Commits that are not in the base, but their content is.
        Integrated = "integrated",
        /// None of these.
        Clean = "clean",
    }
}

words! {
    /// Values of `lab_worktree_test_status`; the number is the place in this list.
    TestStatus {
        /// 0: no verdict, or none that still counts.
        Unknown = "unknown",
        /// 1.
        Passing = "passing",
        /// 2.
        Failing = "failing",
    }
}

words! {
    /// Where the test status comes from.
    TestSource {
        /// `test_status=` in `.worktree`.
        Declared = "declared",
        /// `lab-probe record`.
        Record = "record",
        /// JUnit XML.
        Junit = "junit",
        /// pytest's cache.
        Pytest = "pytest",
        /// Nothing that counts.
        None = "none",
    }
}

/// Tests of one verdict by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestCounts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed or broke.
    pub failed: u64,
    /// Tests that were skipped.
    pub skipped: u64,
}

impl TestCounts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }

    /// Both together.
    pub fn plus(self, other: TestCounts) -> TestCounts {
        TestCounts {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

/// The tests' verdict in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// What it says.
    pub status: TestStatus,
    /// Who says so.
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
    /// Its directory, as text.
    pub path: String,
    /// The branch; `None` with a detached HEAD.
    pub branch: Option<String>,
    /// Object id of the checked-out commit; `None` on a branch without commits.
    pub head: Option<String>,
    /// The status, and the rule that decided it.
    pub status: Option<(Status, StatusSource)>,
    /// What the status rests on, where a word says it: the operation, the runner, what is missing.
    pub evidence: Option<String>,
    /// The verdict of its tests, if any counts.
    pub tests: Option<Tests>,
    /// Why a verdict that is there does not count.
    pub tests_ignored: Option<String>,
    /// Changed and untracked paths, conflicted ones not counted.
    pub changed_files: Option<u64>,
    /// Conflicted paths.
    pub conflicted_files: Option<u64>,
    /// Commits that the upstream, or else the base, does not have.
    pub ahead: Option<u64>,
    /// Commits of the upstream, or else the base, that this worktree does not have.
    pub behind: Option<u64>,
    /// What `ahead` and `behind` are counted against.
    pub compared_with: Option<String>,
    /// Commits that the base does not have.
    pub unmerged: Option<u64>,
    /// The base's name.
    pub base: Option<String>,
    /// Committer time of `head`, seconds since 1970.
    pub last_commit_at: Option<i64>,
    /// Git keeps it from being pruned or moved.
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
    /// AI clients at work in it.
    pub agents: Vec<Agent>,
    /// What it changes besides the base, committed or not, relative paths; at most a few hundred.
    pub changed_paths: Vec<String>,
    /// Those of them that other worktrees of the repository change too, and the names of these.
    pub changed_elsewhere: BTreeMap<String, Vec<String>>,
    /// What a person should know besides: a line of `.worktree` that was ignored, a base that does not exist.
    pub notes: Vec<String>,
}

/// A client's process that stands in a worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The client's name.
    pub client: String,
    /// Since when it runs.
    pub since: Timestamp,
    /// When its process tree was last seen to compute; `None` if it never was.
    pub active_at: Option<Timestamp>,
}

/// What is remembered of a worktree beyond its last facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeMemory {
    /// What the index of the worktree (key: empty) and of each submodule (key: its path) was seen to hold.
    pub index: BTreeMap<String, IndexMemory>,
    /// The digest of everything tracked, and since when it has been that; kept while there is a verdict to judge by it.
    pub content: Option<Since>,
    /// The digest of all that git said and of the times of what is changed, and since when it has been that.
    pub state: Option<Since>,
    /// Files whose change makes the worktree due at once, each with its stamp before the last look; empty: not there.
    pub watched: BTreeMap<String, String>,
    /// Processes that stood in it during the last look, by number and start (clock ticks since boot).
    pub standing: BTreeSet<(i32, u64)>,
    /// The CPU time of each agent's process tree, by number and start of its process.
    pub agents: BTreeMap<String, AgentMemory>,
    /// What merging two commits gave.
    pub merge: Option<MergeMemory>,
    /// CPU time of the last look.
    #[serde(with = "seconds")]
    pub cost: Duration,
    /// Test reports by path: their stamp and what they said, so that an unchanged file is not read again.
    pub reports: BTreeMap<String, ReportMemory>,
}

/// What an agent's process tree had used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentMemory {
    /// User and system time of all its processes.
    #[serde(with = "seconds")]
    pub cpu: Duration,
    /// When that was.
    pub at: Timestamp,
    /// When it was last seen to compute.
    pub active_at: Option<Timestamp>,
}

/// What a merge of HEAD and the base gave; it holds as long as both are the same commits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergeMemory {
    /// Object ids of HEAD and of the base.
    pub commits: (String, String),
    /// Whether the result is what the base has; `None` if git gave no answer.
    pub integrated: Option<bool>,
    /// Whether it stops in a conflict.
    pub conflict: Option<bool>,
    /// Paths that HEAD changes since it left the base.
    pub paths: Vec<String>,
}

/// What an index was seen to hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexMemory {
    /// Stamp of the file.
    pub stamp: String,
    /// Paths of submodules, any bytes.
    pub submodules: Vec<Vec<u8>>,
}

/// A digest, and since when it has been the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Since {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// Start of the first pass that saw this digest, with no other in between.
    pub since: Timestamp,
}

impl Since {
    /// What is to be remembered of `digest`, which is seen at `now`; `first` is since when it has been that if nothing is
    /// remembered yet.
    pub fn renewed(known: Option<Since>, digest: String, now: Timestamp, first: Timestamp) -> Since {
        match known {
            Some(known) if known.digest == digest => known,
            Some(_) => Since { digest, since: now },
            None => Since { digest, since: first.min(now) },
        }
    }
}

/// What a test report said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportMemory {
    /// Stamp of the file.
    pub stamp: String,
    /// What it said; `None` if it is no report.
    pub counts: Option<TestCounts>,
    /// How long the tests ran, if it says so.
    #[serde(with = "seconds::option")]
    pub duration: Option<Duration>,
    /// The digest of everything tracked under which it counts, once known.
    pub content: Option<String>,
}

impl WorktreeFacts {
    /// The facts of a worktree that could not be read.
    pub fn unreadable(path: String, sentence: impl Into<String>) -> Self {
        WorktreeFacts { error: Some(sentence.into()), path, ..WorktreeFacts::default() }
    }

    /// The facts of a look that the pass's deadline ended.
    pub fn cut_off(sentence: &str) -> Self {
        WorktreeFacts { error: Some(sentence.to_owned()), ..WorktreeFacts::default() }
    }

    /// Whether this is a good answer, reused for `ttl` rather than `retry_after`.
    pub fn is_good(&self) -> bool {
        self.error.is_none()
    }

    /// The test status, unknown where nothing counts.
    pub fn test_status(&self) -> TestStatus {
        self.tests.as_ref().map_or(TestStatus::Unknown, |tests| tests.status)
    }

    /// Where the test status comes from.
    pub fn test_source(&self) -> TestSource {
        self.tests.as_ref().map_or(TestSource::None, |tests| tests.source)
    }

    /// How much it wants attention: blocked, failing and unreadable are trouble.
    pub fn severity(&self) -> Severity {
        match self.status {
            None => Severity::Trouble,
            Some((Status::Blocked, _)) => Severity::Trouble,
            Some(_) if self.test_status() == TestStatus::Failing => Severity::Trouble,
            Some(_) if !self.notes.is_empty() => Severity::Attention,
            Some(_) => Severity::Fine,
        }
    }

    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        self.status.map_or("unreadable", |(status, _)| status.as_str())
    }

    /// What was found, in one line: branch, tests, changes, distance.
    pub fn summary(&self) -> String {
        if let Some(error) = &self.error {
            return error.clone();
        }
        let mut parts = Vec::new();
        if let Some((_, source)) = self.status {
            parts.push(match &self.evidence {
                Some(evidence) => format!("{}: {evidence}", source.as_str()),
                None => source.as_str().to_owned(),
            });
        }
        if let Some(place) =
            self.branch.clone().or_else(|| Some(format!("detached at {}", self.head.as_ref()?.get(..10)?)))
        {
            parts.push(place);
        }
        parts.push(self.tests_in_words());
        parts.extend(count(self.conflicted_files, "conflicted"));
        parts.extend(count(self.changed_files, "changed"));
        parts.extend(count(Some(self.changed_elsewhere.len() as u64), "changed in another worktree too"));
        if let (Some(ahead), Some(behind), Some(other)) = (self.ahead, self.behind, &self.compared_with)
            && ahead + behind > 0
        {
            parts.push(format!("+{ahead} -{behind} {other}"));
        }
        if self.merge_conflict == Some(true) {
            parts.push("would conflict with the base".to_owned());
        }
        parts.extend(self.agents.iter().map(Agent::in_words));
        if self.locked {
            parts.push(self.lock_reason.as_ref().map_or_else(|| "locked".to_owned(), |why| format!("locked: {why}")));
        }
        parts.extend(self.notes.first().cloned());
        parts.join(", ")
    }

    fn tests_in_words(&self) -> String {
        match (&self.tests, &self.tests_ignored) {
            (Some(Tests { status, counts: Some(counts), .. }), _) if counts.failed > 0 => {
                format!("tests {} ({} of {})", status.as_str(), counts.failed, counts.total())
            }
            (Some(Tests { status, counts: Some(counts), .. }), _) => {
                format!("tests {} ({})", status.as_str(), counts.total())
            }
            (Some(Tests { status, .. }), _) => format!("tests {}", status.as_str()),
            (None, Some(why)) => format!("tests unknown ({why})"),
            (None, None) => "tests unknown".to_owned(),
        }
    }

    /// What to do, where something is to be done.
    pub fn hint(&self) -> Option<String> {
        let Some((status, source)) = self.status else { return Some(self.hint_of_unreadable()) };
        let hint = match source {
            StatusSource::Conflict => "resolve the conflicts and `git add` the files",
            StatusSource::Operation => "finish it with `--continue`, or undo it with `--abort`",
            StatusSource::Missing if self.locked => "bring the directory back, or `git worktree unlock` it",
            StatusSource::Missing => "restore the directory, or forget it with `git worktree prune`",
            StatusSource::Declared if status == Status::Blocked => {
                "change it with `lab-probe worktree set status=…` when the block is gone"
            }
            _ if status == Status::Blocked => "see what `git status` says there",
            _ if self.test_status() == TestStatus::Failing => "mend the tests, then run them again",
            _ if !self.notes.is_empty() => {
                "see to what the note names: `base` in [worktree], the file `.worktree`, a submodule, or a filter"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// A look that was cut off has no path.
    fn hint_of_unreadable(&self) -> String {
        if self.path.is_empty() {
            return "raise `timeout` in [worktree] or `probe.deadline`, if the repository is so large".to_owned();
        }
        "see what `git status` says there, as the user lab-probe runs as; where it is gone, restore it, or take it out of \
         `repos` in [worktree] (a single worktree: `git worktree prune`)"
            .to_owned()
    }
}

impl Agent {
    /// The client, and since when its processes have used no CPU time worth the word.
    fn in_words(&self) -> String {
        match self.active_at {
            Some(at) => format!("{} last active {at:.0}", self.client),
            None => format!("{} since {:.0}", self.client, self.since),
        }
    }
}

fn count(number: Option<u64>, what: &str) -> Option<String> {
    number.filter(|&number| number > 0).map(|number| format!("{number} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_says_in_one_line_what_is_going_on() {
        let facts = WorktreeFacts {
            branch: Some("topic".into()),
            status: Some((Status::Working, StatusSource::Changes)),
            changed_files: Some(3),
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
        assert_eq!(facts.summary(), "changes, topic, tests failing (2 of 10), 3 changed, +2 -0 main");
        assert_eq!(facts.severity(), Severity::Trouble);
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
