//! An index outside the repository, gone when dropped.
//!
//! Whenever git reads a split index (git-update-index(1), `--split-index`) it touches the shared part of it, so that it
//! does not expire: a write in the repository. So git is given a copy, joined in a directory of its own that stands in for
//! the worktree's git directory.

use std::path::{Path, PathBuf};

use super::{Git, GitError};
use crate::fs::{create, open_regular};

/// Larger is no index.
const MAX_BYTES: u64 = 2 << 30;

#[derive(Debug)]
pub(super) struct PrivateIndex(tempfile::TempDir);

impl PrivateIndex {
    /// The joined copy of a split index; `None` where it is not split.
    pub(super) fn of(git: &Git) -> Result<Option<PrivateIndex>, GitError> {
        let entries = git.git_dir.read_dir().into_iter().flatten().flatten();
        let shared: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("sharedindex."))
            .map(|entry| entry.path())
            .collect();
        if shared.is_empty() {
            return Ok(None);
        }
        let private = PrivateIndex::empty()?;
        let written = stand_in(git, &shared, private.0.path()).map_err(not_copied)?;
        // Young entries are compared by content when an index is written: not with filters.
        let joiner = Git { git_dir: private.0.path().to_owned(), ..git.clone() };
        joiner.run(&["update-index", "--no-split-index"], b"")?;
        // What is as young as the index is compared by content (racy git): the copy is as old as its original.
        let index = std::fs::File::options().write(true).open(private.path()).map_err(not_copied)?;
        index.set_modified(written).map_err(not_copied)?;
        Ok(Some(private))
    }

    /// One that is yet to be written.
    pub(super) fn empty() -> Result<PrivateIndex, GitError> {
        tempfile::tempdir().map(PrivateIndex).map_err(not_copied)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("index")
    }
}

fn not_copied(error: impl Into<anyhow::Error>) -> GitError {
    GitError::failed("update-index", format!("the index cannot be copied: {:#}", error.into()))
}

/// Fills a directory that git takes for the worktree's own (gitrepository-layout(5)). Returns when the index was written.
fn stand_in(git: &Git, shared: &[PathBuf], directory: &Path) -> anyhow::Result<std::time::SystemTime> {
    create(&directory.join("HEAD"), b"ref: refs/heads/main\n", 0o600)?;
    let common = [git.common_dir.as_os_str().as_encoded_bytes(), b"\n"].concat();
    create(&directory.join("commondir"), &common, 0o600)?;
    for part in shared {
        let bytes = crate::fs::read_capped(part, MAX_BYTES)?;
        create(&directory.join(part.file_name().unwrap_or_default()), &bytes, 0o600)?;
    }
    // Through one handle: git replaces the file, and content and time have to be of one version.
    let index = open_regular(&git.git_dir.join("index"))?;
    create(&directory.join("index"), &crate::fs::read_open(&index, MAX_BYTES)?, 0o600)?;
    Ok(index.metadata()?.modified()?)
}
