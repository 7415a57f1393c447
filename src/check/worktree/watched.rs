//! What makes a worktree due at once: a handful of files, and who stands in it. The plan compares them with what is there
//! at its next pass, without asking git.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::declared;
use super::git::Git;
use super::record;
use crate::fs::read_capped;
use crate::fs::stamp::Stamp;
use crate::model::worktree::{WorktreeMemory, WorktreeTarget};

/// A HEAD file longer than this names no branch.
const MAX_HEAD_BYTES: u64 = 4096;

/// Of so many reports a new version is noticed at once.
const MAX_REPORTS: usize = 16;

/// Files whose change makes the worktree due, each with its stamp now; empty: it is not there. Paths that are no UTF-8
/// cannot be kept in the state: such a worktree is looked at in every pass.
pub(super) fn stamps(target: &WorktreeTarget, git: &Git, memory: &WorktreeMemory) -> BTreeMap<String, String> {
    let own = ["HEAD", "index", "reftable/tables.list"].map(|name| git.git_dir.join(name));
    let shared = ["packed-refs", "reftable/tables.list", "FETCH_HEAD"].map(|name| git.common_dir.join(name));
    let mut files: Vec<PathBuf> = own.into_iter().chain(shared).collect();
    files.extend(branch_file(git));
    files.push(target.path.join(declared::FILE_NAME));
    files.extend(record::watched(&target.records, &target.path));
    files.extend(memory.reports.keys().take(MAX_REPORTS).map(PathBuf::from));
    stamped(&files).unwrap_or_default().into_iter().collect()
}

/// The loose files of the base, which a merge writes.
pub(super) fn base_stamps(git: &Git, base: Option<&str>) -> Vec<(String, String)> {
    let files = base.map(|base| ["refs/heads", "refs/remotes"].map(|kind| git.common_dir.join(kind).join(base)));
    stamped(files.iter().flatten()).unwrap_or_default()
}

fn stamped<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Option<Vec<(String, String)>> {
    files.into_iter().map(|file| Some((file.to_str()?.to_owned(), Stamp::text_of(file)))).collect()
}

/// The loose file of the branch that is checked out, which a commit without changes, or one taken back, writes alone.
fn branch_file(git: &Git) -> Option<PathBuf> {
    let head = read_capped(&git.git_dir.join("HEAD"), MAX_HEAD_BYTES).ok()?;
    let name = String::from_utf8(head).ok()?;
    Some(git.common_dir.join(name.strip_prefix("ref: ")?.trim_end()))
}
