//! Everything tracked, as one digest: it stays the same when nothing but times changes, and when what was tested is
//! committed; it is another one when a byte of a tracked file is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::inspect::Inspection;
use super::porcelain::{Change, DECLARATION, Porcelain};
use super::private_index::PrivateIndex;
use super::{Git, GitError};
use crate::check::worktree::reports::is_report_name;
use crate::fs::stamp::Stamp;
use crate::model::digest::Digest;

/// More changed files than this are not read; the verdict of tests then goes by time.
const MAX_FILES: usize = 2_000;

/// Nor are more bytes than this.
const MAX_BYTES: u64 = 64 << 20;

/// The answer of `git ls-files -s -z`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracked(Vec<u8>);

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// As git writes it: `100644`.
    mode: &'a [u8],
    /// In hexadecimal.
    oid: &'a [u8],
    /// `0`; `1` to `3` in a conflict.
    stage: &'a [u8],
    pub(crate) path: &'a [u8],
}

impl Tracked {
    pub(crate) fn read(git: &Git) -> Result<Tracked, GitError> {
        git.ls_files(&["-s", "-z"]).map(Tracked)
    }

    /// `<mode> <oid> <stage>\t<path>`, each ended by NUL (git-ls-files(1)).
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.split(|&b| b == 0).filter_map(|line| {
            let tab = line.iter().position(|&b| b == b'\t')?;
            let mut words = line[..tab].split(|&b| b == b' ');
            Some(Entry { mode: words.next()?, oid: words.next()?, stage: words.next()?, path: &line[tab + 1..] })
        })
    }

    /// Paths of submodules, checked out or not.
    pub(super) fn submodules(&self) -> Vec<Vec<u8>> {
        let links = self.entries().filter(|entry| entry.mode == b"160000" && entry.stage == b"0");
        links.map(|entry| entry.path.to_owned()).collect()
    }
}

/// The digest over path, mode and object id of every tracked file as it is in the worktree; `None` if too much has
/// changed to read it, or git cannot: a file vanished meanwhile.
pub(crate) fn digest(inspection: &Inspection) -> Option<String> {
    let Inspection { git, porcelain, .. } = inspection;
    let edited = as_on_disk(git, &edited(git, porcelain)?).ok()?;
    let oids: HashMap<&[u8], &[u8]> = edited.entries().map(|entry| (entry.path, entry.oid)).collect();
    let edits: HashMap<&[u8], &Change> = porcelain.modified().map(|edit| (edit.path.as_slice(), edit)).collect();
    let mut digest = Digest::default();
    for Entry { mode, oid, stage, path } in inspection.tracked().ok()?.entries() {
        let edit = edits.get(path);
        // Notes to lab-probe and its own evidence are not what tests test.
        if path == DECLARATION || is_report_name(path) || edit.is_some_and(|edit| edit.deleted) {
            continue;
        }
        let (mode, oid) = match (edit, oids.get(path)) {
            (Some(edit), Some(oid)) => (edit.mode.as_slice(), *oid),
            _ => (mode, oid),
        };
        // A path holds no NUL, the other fields no blank: no two lists give the same bytes.
        digest.part(&[path, b"\0", mode, b" ", stage, b" ", oid].concat());
    }
    Some(digest.finish())
}

/// Paths of edited files, each ended by NUL; `None` if that is too much to read. Not a submodule with another commit: its
/// own digest is added by the caller.
fn edited(git: &Git, porcelain: &Porcelain) -> Option<Vec<u8>> {
    let mut paths = Vec::new();
    let mut bytes = 0;
    for (number, edit) in porcelain.modified().filter(|edit| !edit.deleted).enumerate() {
        let metadata = git.file(&edit.path).symlink_metadata().ok()?;
        bytes += metadata.len();
        if number >= MAX_FILES || bytes > MAX_BYTES {
            return None;
        }
        if !metadata.is_dir() {
            paths.extend([edit.path.as_slice(), b"\0"].concat());
        }
    }
    Some(paths)
}

/// The files at `paths` as they would be tracked: in an index of their own, and no object is written.
fn as_on_disk(git: &Git, paths: &[u8]) -> Result<Tracked, GitError> {
    if paths.is_empty() {
        return Ok(Tracked::default());
    }
    let mut git = Git { index: Some(Rc::new(PrivateIndex::empty()?)), ..git.clone() };
    // Trees are written into the repository where an index is made sparse.
    git.overrides.push(("index.sparse".into(), "false"));
    git.run(&["update-index", "--add", "--info-only", "-z", "--stdin"], paths)?;
    Tracked::read(&git)
}

/// The newest change of a modified file, nanoseconds since 1970; for a deleted one, of the nearest directory left.
pub(crate) fn newest_edit(Inspection { git, porcelain, .. }: &Inspection) -> Option<i128> {
    porcelain.modified().filter_map(|edit| Some(nearest(&git.work_tree, &edit.path)?.changed_ns())).max()
}

/// The deepest of a path and the directories above it that is there. What lies behind a symbolic link is not part of the
/// worktree: nobody watches it.
fn nearest(work_tree: &Path, path: &[u8]) -> Option<Stamp> {
    let mut at = work_tree.to_owned();
    let mut nearest = at.symlink_metadata().ok()?;
    for part in Path::new(OsStr::from_bytes(path)) {
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) if nearest.is_dir() => nearest = found,
            _ => break,
        }
    }
    Some(Stamp::from(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_behind_a_link_is_as_old_as_the_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        std::fs::create_dir(root.join("other")).expect("a directory");
        std::os::unix::fs::symlink("other", root.join("link")).expect("a link");
        let stamp = |name: &str| Stamp::from(root.join(name).symlink_metadata().expect("there"));
        let link = stamp("link");
        std::fs::write(root.join("other/file"), "x").expect("written");
        assert_eq!(nearest(root, b"link/file"), Some(link));
        assert_eq!(nearest(root, b"other/file"), Some(stamp("other/file")));
        assert_eq!(nearest(root, b"other/gone/deep"), Some(stamp("other")));
    }

    #[test]
    fn submodules_are_told_by_their_mode() {
        let tracked = Tracked(b"100644 aa 0\ta\tb\n\x00160000 bb 0\tsub\x00160000 cc 2\tboth\x00".to_vec());
        assert_eq!(tracked.submodules(), [b"sub".to_vec()]);
        assert_eq!(tracked.entries().next().map(|entry| entry.path), Some(b"a\tb\n".as_slice()));
    }
}
