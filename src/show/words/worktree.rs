//! A worktree in words.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::seconds::age;
use crate::model::worktree::{Agent, Status, StatusSource, TestStatus, Tests, WorktreeFacts};
use crate::wording::{first_of, plural};

/// Work on which nothing has changed for so long is said to be old.
const OLD: SignedDuration = SignedDuration::from_hours(1);

/// A client that has computed within this time works now: a few passes.
const ACTIVE: SignedDuration = SignedDuration::from_secs(90);

/// Other worktrees that a line names.
const MOST_NAMES: usize = 2;

impl WorktreeFacts {
    /// What was found, in one line: why it has its status, branch, tests, changes, distance. Of a fact there
    /// is nothing to be said of, it says nothing.
    pub fn summary(&self, now: Timestamp) -> String {
        if let Some(error) = &self.error {
            return error.clone();
        }
        let mut parts = Vec::new();
        parts.extend(self.status.and_then(|(_, source)| self.why(source)));
        let detached = || Some(format!("no branch, at {}", self.head.as_ref()?.get(..10)?));
        parts.extend(self.branch.as_ref().map(|branch| format!("branch {branch}")).or_else(detached));
        parts.push(self.tests_in_words());
        parts.extend(files(self.conflicted_files, "with conflicts"));
        parts.extend(self.changes_in_words());
        parts.extend(self.overlap_in_words());
        if let (Some(ahead), Some(behind), Some(other)) = (self.ahead, self.behind, &self.compared_with) {
            let ahead = (ahead > 0).then(|| format!("{ahead} ahead of {other}"));
            let behind = (behind > 0).then(|| format!("{behind} behind {other}"));
            parts.extend([ahead, behind].into_iter().flatten());
        }
        if self.merge_conflict == Some(true) {
            parts.push(format!("would conflict with {}", self.base.as_deref().unwrap_or("the base")));
        }
        let is_unfinished = !matches!(self.status, Some((Status::Complete, _)));
        let last_change = self.last_change_at.filter(|&at| is_unfinished && now.duration_since(at) >= OLD);
        parts.extend(last_change.map(|at| format!("last changed {} ago", age(at, now))));
        parts.extend(self.agents.iter().map(|agent| agent.in_words(now)));
        if self.prunable {
            parts.push("prunable".to_owned());
        }
        if self.locked {
            parts.push(self.lock_reason.as_ref().map_or_else(|| "locked".to_owned(), |why| format!("locked: {why}")));
        }
        parts.extend(self.notes.first().cloned());
        parts.join(", ")
    }

    /// Why it has its status, where no other part of the summary says so.
    fn why(&self, source: StatusSource) -> Option<String> {
        let evidence = self.evidence.as_deref();
        match source {
            StatusSource::Declared => Some("declared in .worktree".to_owned()),
            StatusSource::Conflict | StatusSource::Operation => evidence.map(|what| format!("{what} has stopped")),
            StatusSource::Record => Some("`lab-probe record` runs".to_owned()),
            StatusSource::Runner => evidence.map(|runner| format!("{runner} runs")),
            StatusSource::Missing | StatusSource::Integrated => evidence.map(str::to_owned),
            StatusSource::Changes | StatusSource::Commits | StatusSource::Clean => None,
        }
    }

    /// `3 files changed (1 staged, 2 untracked)`; a path may be in two of these.
    fn changes_in_words(&self) -> Option<String> {
        let total = files(self.changed_files, "changed")?;
        let kinds =
            [(self.staged_files, "staged"), (self.modified_files, "modified"), (self.untracked_files, "untracked")];
        let kinds = kinds.iter().filter_map(|(number, what)| Some(format!("{} {what}", number.filter(|&n| n > 0)?)));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        Some(if kinds.is_empty() { total } else { format!("{total} ({kinds})") })
    }

    /// `2 files also changed in topic`.
    fn overlap_in_words(&self) -> Option<String> {
        let names: BTreeSet<&String> = self.changed_elsewhere.values().flatten().collect();
        let names: Vec<&String> = names.into_iter().collect();
        files(Some(self.changed_elsewhere.len() as u64), &format!("also changed in {}", first_of(&names, MOST_NAMES)))
    }

    fn tests_in_words(&self) -> String {
        match (&self.tests, &self.tests_ignored) {
            (Some(Tests { status, counts: Some(counts), .. }), _) if counts.failed > 0 => {
                format!("tests {} ({} of {} failed)", status.as_str(), counts.failed, counts.total())
            }
            (Some(Tests { status, counts: Some(counts), .. }), _) => {
                format!("tests {} ({})", status.as_str(), counts.total())
            }
            (Some(Tests { status, .. }), _) => format!("tests {}", status.as_str()),
            (None, Some(why)) => format!("tests unknown ({why})"),
            (None, None) => "tests unknown".to_owned(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        let Some((status, source)) = self.status else { return Some(self.hint_of_unreadable()) };
        let hint = match source {
            StatusSource::Conflict => "resolve the conflicts and `git add` the files",
            StatusSource::Operation => "finish it with `--continue`, or undo it with `--abort`",
            StatusSource::Missing if self.locked => "bring the directory back, or `git worktree unlock` it",
            StatusSource::Missing if self.prunable => "restore the directory, or forget it with `git worktree prune`",
            StatusSource::Missing => "restore the directory, or take its repository out of `repos` in [worktree]",
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
        let usual = match self.path.as_str() {
            "" => "raise `timeout` in [worktree] or `probe.deadline`, if the repository is so large",
            _ => {
                "see what `git status` says there, as the user lab-probe runs as; where it is gone, restore it, or take it \
                 out of `repos` in [worktree] (a single worktree: `git worktree prune`)"
            }
        };
        self.remedy.clone().unwrap_or_else(|| usual.to_owned())
    }
}

impl Agent {
    /// The client, and how long ago its processes used CPU time worth the word, if they were ever seen to.
    fn in_words(&self, now: Timestamp) -> String {
        match self.active_at {
            Some(at) if now.duration_since(at) < ACTIVE => format!("{} active", self.client),
            Some(at) => format!("{} last active {} ago", self.client, age(at, now)),
            None => format!("{} there for {}", self.client, age(self.since, now)),
        }
    }
}

fn files(number: Option<u64>, what: &str) -> Option<String> {
    let number = number.filter(|&number| number > 0)?;
    Some(format!("{} {what}", plural(usize::try_from(number).ok()?, "file")))
}
