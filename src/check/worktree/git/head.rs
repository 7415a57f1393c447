//! What is checked out, by the file HEAD alone, where that says it.

use std::path::PathBuf;

use super::Git;
use crate::fs::read_capped;

/// A HEAD file or loose ref longer than this is none.
const MAX_BYTES: u64 = 4096;

/// Git follows no more symbolic refs either.
const MAX_LINKS: usize = 5;

/// What HEAD names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// This branch, without `refs/heads/`, and it is no name for another one.
    Branch(String),
    /// A commit.
    Detached,
    /// Something that only git can tell.
    Unclear,
}

/// Reads HEAD.
pub(super) fn read(git: &Git) -> Head {
    let Some(target) = target(git) else { return Head::Unclear };
    let Some(name) = target.strip_prefix("ref: ") else {
        let is_oid = matches!(target.len(), 40 | 64) && target.bytes().all(|b| b.is_ascii_hexdigit());
        return if is_oid { Head::Detached } else { Head::Unclear };
    };
    let is_symbolic = || read_capped(&git.common_dir.join(name), MAX_BYTES).is_ok_and(|ref_| ref_.starts_with(b"ref:"));
    match name.strip_prefix("refs/heads/") {
        // What a repository with a reftable has in this file for programs that know none.
        Some(".invalid") | None => Head::Unclear,
        Some(_) if is_symbolic() => Head::Unclear,
        Some(branch) => Head::Branch(branch.to_owned()),
    }
}

/// The loose file of the branch that is checked out, and of the one that it is another name for: a commit without
/// changes, or one that is taken back softly, shows nowhere else.
pub(super) fn ref_files(git: &Git) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut next = target(git);
    while let Some(name) = next.as_deref().and_then(|target| target.strip_prefix("ref: "))
        && files.len() < MAX_LINKS
    {
        let file = git.common_dir.join(name.trim_end());
        next = read_capped(&file, MAX_BYTES).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        files.push(file);
    }
    files
}

fn target(git: &Git) -> Option<String> {
    let file = git.git_dir.join("HEAD");
    if !file.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let text = String::from_utf8(read_capped(&file, MAX_BYTES).ok()?).ok()?;
    Some(text.strip_suffix('\n')?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{self, Deadline};

    #[test]
    fn a_branch_is_told_by_the_file_only_where_it_is_what_git_shows() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let git = Git::new(path, path, path, Deadline::after(Duration::from_secs(1)), clock::now());
        std::fs::create_dir_all(path.join("refs/heads")).expect("directories");
        std::fs::write(path.join("refs/heads/alias"), "ref: refs/heads/main\n").expect("written");
        let oid = "1".repeat(40);
        for (text, expected, files) in [
            ("ref: refs/heads/main\n", Head::Branch("main".into()), &["refs/heads/main"][..]),
            ("ref: refs/heads/alias\n", Head::Unclear, &["refs/heads/alias", "refs/heads/main"]),
            ("ref: refs/heads/.invalid\n", Head::Unclear, &["refs/heads/.invalid"]),
            ("ref: refs/remotes/origin/x\n", Head::Unclear, &["refs/remotes/origin/x"]),
            (&format!("{oid}\n"), Head::Detached, &[]),
            ("garbage\n", Head::Unclear, &[]),
            ("ref: refs/heads/cut", Head::Unclear, &[]),
        ] {
            std::fs::write(path.join("HEAD"), text).expect("written");
            let files: Vec<PathBuf> = files.iter().map(|file| path.join(file)).collect();
            assert_eq!((read(&git), ref_files(&git)), (expected, files), "{text:?}");
        }
    }
}
