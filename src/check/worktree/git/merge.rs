//! Whether HEAD's content is in the base, by whatever commits (a squash, a rebase), and whether a merge would conflict.
//!
//! `git merge-tree` would say both, but writes objects, and touches those in the repository that it would write again. So
//! files are compared one by one: what HEAD has changed since the merge base is in the base if the base has the same, or
//! if merging it into what the base has since made of the file changes nothing. Renames are not followed: a file that
//! the base has moved away counts as not integrated.

use std::collections::HashMap;
use std::time::Duration;

use super::refs::Tip;
use super::{Git, GitError, refs};
use crate::model::worktree::MergeMemory;

/// A comparison that takes longer is given up; it is not tried again for the same two commits.
const LIMIT: Duration = Duration::from_secs(4);

/// With more changed files than this nothing is compared.
const MAX_CHANGES: usize = 5_000;

/// With more files that both sides have changed, nothing is merged.
const MAX_MERGED: usize = 50;

/// Changed paths beyond this many are not kept.
pub(crate) const MAX_PATHS: usize = 200;

/// What one side has made of a path: mode and object id, in the merge base and now; zeros where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    old: Version,
    new: Version,
}

type Version = (Vec<u8>, Vec<u8>);

impl Difference {
    fn is_edit(&self) -> bool {
        self.old.0.starts_with(b"100") && self.old.0 == self.new.0
    }

    /// Whether the path is there no more, or was not there before.
    fn comes_or_goes(&self) -> bool {
        self.old.0 == b"000000" || self.new.0 == b"000000"
    }
}

/// Compares HEAD with the base. Nothing is written anywhere.
/// Errors: [`GitError::Spawn`] and the like, where another try may succeed.
pub(crate) fn compare(git: &Git, head: &str, base: &Tip) -> Result<MergeMemory, GitError> {
    let mut memory = MergeMemory { commits: (head.to_owned(), base.oid.clone()), ..MergeMemory::default() };
    let git = Git { deadline: git.deadline.sooner(LIMIT), ..git.clone() };
    match merged(&git, head, &base.oid, &mut memory) {
        // Unrelated histories, missing objects, a git older than 2.43, or too slow.
        Ok(()) | Err(GitError::Failed { .. } | GitError::TimedOut { .. }) => Ok(memory),
        Err(error) => Err(error),
    }
}

fn merged(git: &Git, head: &str, base: &str, memory: &mut MergeMemory) -> Result<(), GitError> {
    let fork = git.run(&["merge-base", base, head], b"")?;
    let fork = String::from_utf8_lossy(&fork).trim().to_owned();
    let ours = changes(git, &fork, head)?;
    memory.paths = ours.keys().take(MAX_PATHS).map(|path| path.escape_ascii().to_string()).collect();
    let theirs = changes(git, &fork, base)?;
    if ours.len() > MAX_CHANGES {
        return Ok(());
    }
    let both: Vec<(&Vec<u8>, &Difference, &Difference)> = ours
        .iter()
        .filter_map(|(path, our)| Some((path, our, theirs.get(path)?)))
        .filter(|(_, our, their)| our.new != their.new)
        .collect();
    let mut integrated = ours.keys().all(|path| theirs.contains_key(path));
    let mut conflict = Some(false);
    if both.len() > MAX_MERGED {
        memory.integrated = (!integrated).then_some(false);
        return Ok(());
    }
    for (path, our, their) in both {
        // One that is no edit on both sides may be renamed, which a merge follows.
        let is_told = our.is_edit() && their.is_edit();
        match if is_told { merge_file(git, our, their)? } else { None } {
            Some(is_theirs) => integrated &= is_theirs,
            None if is_told && !is_merged_by_rule(git, path)? => (integrated, conflict) = (false, Some(true)),
            None => (integrated, conflict) = (false, conflict.filter(|conflict| *conflict)),
        }
    }
    let moved = |side: &HashMap<Vec<u8>, Difference>| side.values().any(Difference::comes_or_goes);
    memory.integrated = Some(integrated);
    memory.conflict = conflict.filter(|conflict| *conflict || !(moved(&ours) && moved(&theirs)));
    Ok(())
}

/// `git diff-tree --raw -z`: `:<mode> <mode> <oid> <oid> <status>`, NUL, path, NUL (git-diff-tree(1)).
fn changes(git: &Git, from: &str, to: &str) -> Result<HashMap<Vec<u8>, Difference>, GitError> {
    let output = git.run(&["diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev", from, to, "--"], b"")?;
    let mut changes = HashMap::new();
    let mut fields = output.split(|&b| b == 0);
    while let (Some(line), Some(path)) = (fields.next().and_then(|line| line.strip_prefix(b":")), fields.next()) {
        let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let &[old_mode, new_mode, old, new, _] = words.as_slice() else {
            return Err(GitError::malformed("diff-tree"));
        };
        let version = |mode: &[u8], oid: &[u8]| (mode.to_owned(), oid.to_owned());
        changes.insert(path.to_owned(), Difference { old: version(old_mode, old), new: version(new_mode, new) });
    }
    Ok(changes)
}

/// Merges one file in memory. Whether the result is what the base has; `None` in a conflict.
fn merge_file(git: &Git, our: &Difference, their: &Difference) -> Result<Option<bool>, GitError> {
    let oids = [&our.new.1, &our.old.1, &their.new.1].map(|oid| String::from_utf8_lossy(oid).into_owned());
    let args = ["merge-file", "-p", "--object-id", &oids[0], &oids[1], &oids[2]];
    // The exit code is the number of conflicts, 127 at most.
    let (conflicts, merged) = git.run_up_to(&args, b"", 127)?;
    if conflicts > 0 {
        return Ok(None);
    }
    let base = refs::objects(git, format!("{}\n", oids[2]).as_bytes(), 1, "blob")?.pop().flatten();
    Ok(Some(base.is_some_and(|(_, base)| base == merged)))
}

/// Whether an attribute says how the file is merged.
fn is_merged_by_rule(git: &Git, path: &[u8]) -> Result<bool, GitError> {
    let output = git.run(&["check-attr", "-z", "--stdin", "merge"], &[path, b"\0"].concat())?;
    Ok(output.split(|&b| b == 0).nth(2) != Some(b"unspecified"))
}
