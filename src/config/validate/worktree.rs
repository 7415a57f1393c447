//! `[worktree]` and `[[worktree.named]]`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::rules;
use crate::config::block::{Block, Text};
use crate::config::settings::WorktreeSettings;
use crate::model::target::Schedule;

/// Git's own answer is cheap and always current, so nothing is reused.
const SCHEDULE: Schedule =
    Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::from_secs(10) };

pub(super) fn read(block: &Block<'_>) -> WorktreeSettings {
    let repos = block.paths("repos");
    WorktreeSettings {
        discovered: repos.is_none(),
        repos: repos.unwrap_or_else(|| vec![block.context().environment.directory().to_owned()]),
        base: block.filled("base").inspect(|base| check_revision(block, base)).map(|base| base.value),
        schedule: rules::schedule(block, SCHEDULE),
        test_reports: test_reports(block),
        test_runners: test_runners(block),
        named: named(block),
    }
}

/// Refuses what git would take for an option or for more than one name.
fn check_revision(block: &Block<'_>, base: &Text) {
    if base.starts_with('-') || base.contains(|c: char| c.is_whitespace() || c.is_control()) || base.contains("..") {
        block.complain_of(base, "it names no branch, tag or commit, as in \"main\" or \"origin/main\"");
    }
}

fn test_reports(block: &Block<'_>) -> Vec<String> {
    let globs = block.texts("test_reports").unwrap_or_default();
    for glob in &globs {
        if glob.is_empty() {
            block.complain_of(glob, "an empty pattern matches nothing");
        } else if glob.starts_with('!') {
            block.complain_of(
                glob,
                "a pattern says what is a report, not what is none; a name that begins so is '\\!…'",
            );
        } else if let Err(error) = fast_glob::validate(glob.as_bytes()) {
            block.complain_of(glob, format!("it is no glob pattern: {error}"));
        }
    }
    globs.into_iter().map(|glob| glob.value).collect()
}

fn test_runners(block: &Block<'_>) -> Vec<String> {
    let runners = block.texts("test_runners").unwrap_or_default();
    for runner in runners.iter().filter(|runner| runner.is_empty() || runner.contains('/')) {
        block.complain_of(runner, "a test runner is the bare name of a command, as in \"nose2\"");
    }
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
