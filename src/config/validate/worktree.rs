//! `[worktree]` and `[[worktree.named]]`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::rules;
use crate::config::block::{Block, Text};
use crate::config::settings::WorktreeSettings;
use crate::model::target::Schedule;

/// Looked at in every pass, unless nothing changes there.
const SCHEDULE: Schedule =
    Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::from_secs(10) };

/// How long the answer of a worktree in which nothing changes is reused at most.
const IDLE_TTL: Duration = Duration::from_secs(300);

pub(super) fn read(block: &Block<'_>) -> WorktreeSettings {
    let repos = block.paths("repos");
    WorktreeSettings {
        discovered: repos.is_none(),
        repos: repos.unwrap_or_else(|| vec![block.context.environment.directory().to_owned()]),
        base: block.filled("base").filter(|base| is_revision(block, base)).map(|base| base.value),
        schedule: rules::schedule(block, SCHEDULE),
        idle_ttl: block.duration("idle_ttl").unwrap_or(IDLE_TTL),
        test_reports: test_reports(block),
        test_runners: test_runners(block),
        named: named(block),
    }
}

/// Refuses what git would take for an option or for more than one name.
fn is_revision(block: &Block<'_>, base: &Text) -> bool {
    let usable =
        !base.starts_with('-') && !base.contains(|c: char| c.is_whitespace() || c.is_control()) && !base.contains("..");
    block.ensure(base, usable, "it names no branch, tag or commit, as in \"main\" or \"origin/main\"")
}

fn test_reports(block: &Block<'_>) -> Vec<String> {
    let mut globs = block.texts("test_reports").unwrap_or_default();
    globs.retain(|glob| {
        let invalid = fast_glob::validate(glob.as_bytes()).map_err(|error| format!("it is no glob pattern: {error}"));
        let negated = "a pattern says what is a report, not what is none; a name that begins so is '\\!…'";
        block.ensure(glob, !glob.is_empty(), "an empty pattern matches nothing")
            && block.ensure(glob, !glob.starts_with('!'), negated)
            && block.ensure(glob, invalid.is_ok(), invalid.err().unwrap_or_default())
    });
    globs.into_iter().map(|glob| glob.value).collect()
}

fn test_runners(block: &Block<'_>) -> Vec<String> {
    let mut runners = block.texts("test_runners").unwrap_or_default();
    runners.retain(|runner| {
        let bare = !runner.trim().is_empty() && !runner.contains('/');
        block.ensure(runner, bare, "a test runner is the bare name of a command, as in \"nose2\"")
    });
    runners.into_iter().map(|runner| runner.value).collect()
}

fn named(worktree: &Block<'_>) -> Vec<(PathBuf, String)> {
    let (mut names, mut paths) = (HashMap::new(), HashMap::new());
    let named = worktree.children("named").into_iter().filter_map(|block| {
        let name = block.name("name", "thunes");
        let path = block.required("path", "~/LAB/worktrees/thunes");
        if let Some(name) = &name {
            block.unique(&mut names, name);
        }
        if let Some(path) = &path {
            block.unique(&mut paths, path);
        }
        Some((block.resolve(&path?), name?.value))
    });
    named.collect()
}
