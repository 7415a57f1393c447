//! The facts in words: severity, verdict, summary and hint.

use super::{Agent, Status, StatusSource, TestSource, TestStatus, Tests, WorktreeFacts};
use crate::model::observation::Severity;

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
