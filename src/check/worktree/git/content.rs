//! Everything tracked, as one digest: it stays the same when nothing but times changes, and when what was tested is
//! committed; it is another one when a byte of a tracked file is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::porcelain::{Change, DECLARATION, Porcelain};
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
        git.run(&["ls-files", "-s", "-z"], b"").map(Tracked)
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
/// changed to read it, or a file vanished meanwhile.
pub(crate) fn digest(git: &Git, tracked: &Tracked, porcelain: &Porcelain) -> Result<Option<String>, GitError> {
    let Some(edits) = edited_contents(git, porcelain)? else { return Ok(None) };
    let mut digest = Digest::default();
    let mut line = Vec::new();
    for entry in tracked.entries() {
        // Notes to lab-probe and its own evidence are not what tests test.
        if entry.path == DECLARATION || is_report_name(entry.path) {
            continue;
        }
        let (mode, oid) = match edits.get(entry.path) {
            Some(Some((mode, oid))) => (*mode, oid.as_slice()),
            Some(None) => continue,
            None => (entry.mode, entry.oid),
        };
        // A path holds no NUL, the other fields no blank: no two lists give the same bytes.
        line.clear();
        for part in [entry.path, b"\0", mode, b" ", entry.stage, b" ", oid] {
            line.extend_from_slice(part);
        }
        digest.part(&line);
    }
    Ok(Some(digest.finish()))
}

/// Mode and object id by path of each edited file; `None` for a deleted one.
type Contents<'a> = HashMap<&'a [u8], Option<(&'a [u8], Vec<u8>)>>;

fn edited_contents<'a>(git: &Git, porcelain: &'a Porcelain) -> Result<Option<Contents<'a>>, GitError> {
    let mut contents = Contents::new();
    let mut regular: Vec<&Change> = Vec::new();
    let mut bytes = 0;
    if porcelain.modified().nth(MAX_FILES).is_some() {
        return Ok(None);
    }
    for edit in porcelain.modified() {
        let path = git.work_tree.join(OsStr::from_bytes(&edit.path));
        match path.symlink_metadata() {
            _ if edit.deleted => {
                contents.insert(&edit.path, None);
            }
            Ok(metadata) if metadata.is_file() => {
                bytes += metadata.len();
                regular.push(edit);
            }
            Ok(metadata) if metadata.is_symlink() => {
                let target = path.read_link().map(|target| target.into_os_string().into_encoded_bytes());
                contents
                    .insert(&edit.path, Some((&edit.mode, [b"link ".to_vec(), target.unwrap_or_default()].concat())));
            }
            // A submodule with another commit; its own digest is added by the caller.
            Ok(metadata) if metadata.is_dir() => {}
            _ => return Ok(None),
        }
    }
    if bytes > MAX_BYTES {
        return Ok(None);
    }
    if regular.is_empty() {
        return Ok(Some(contents));
    }
    let paths: Vec<u8> = regular.iter().flat_map(|edit| quoted(&edit.path)).collect();
    let output = match git.run(&["hash-object", "--stdin-paths"], &paths) {
        Ok(output) => output,
        // A file vanished, or cannot be read.
        Err(GitError::Failed { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let oids: Vec<&[u8]> = output.split(|&b| b == b'\n').filter(|line| !line.is_empty()).collect();
    if oids.len() != regular.len() {
        return Ok(None);
    }
    for (edit, oid) in regular.into_iter().zip(oids) {
        contents.insert(&edit.path, Some((&edit.mode, oid.to_owned())));
    }
    Ok(Some(contents))
}

/// A path on a line of its own, quoted as git unquotes it: bytes that could end the line as octal escapes.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut out = b"\"".to_vec();
    for &byte in path {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'\\' {
            out.push(byte);
        } else {
            out.extend(format!("\\{byte:03o}").bytes());
        }
    }
    out.extend(b"\"\n");
    out
}

/// The newest change of a modified file, nanoseconds since 1970; for a deleted one, of the nearest directory left.
pub(crate) fn newest_edit(work_tree: &Path, porcelain: &Porcelain) -> Option<i128> {
    porcelain.modified().filter_map(|edit| Some(nearest(work_tree, &edit.path)?.changed_ns())).max()
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
    fn paths_are_quoted_so_that_no_byte_ends_the_line() {
        assert_eq!(quoted(b"a b\n\"c\\\xff"), b"\"a\\040b\\012\\042c\\134\\377\"\n");
    }

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
