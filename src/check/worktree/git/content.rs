//! Everything tracked, as one digest: it stays the same when nothing but times changes, and when what was tested is
//! committed; it is another one when a byte of a tracked file is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::index::Index;
use super::porcelain::Edited;
use super::{Git, GitError};
use crate::fs::stamp::Stamp;
use crate::model::digest::Digest;

/// More changed files than this are not read; the verdict of tests then goes by time.
pub(super) const MAX_FILES: usize = 2_000;

/// Nor are more bytes than this.
const MAX_BYTES: u64 = 64 << 20;

/// The digest over path, mode and object id of every tracked file as it is in the worktree; `None` if too much has
/// changed to read it.
///
/// # Errors
/// [`GitError::Hung`] and the like; that a file vanished meanwhile gives `None`.
pub(super) fn digest(git: &Git, index: &Index, edited: &[Edited]) -> Result<Option<String>, GitError> {
    let Some(edits) = edited_contents(git, edited)? else { return Ok(None) };
    let mut digest = Digest::default();
    let mut line = Vec::new();
    index.for_each(|entry| {
        // Notes to lab-probe and its own evidence are not what tests test.
        let path = entry.path();
        if path == b".worktree" || crate::check::worktree::reports::is_report_name(path) {
            return;
        }
        let (mode, oid) = match edits.get(path) {
            Some(Some((mode, oid))) => (mode.as_slice(), oid.as_slice()),
            Some(None) => return,
            None => (&entry.mode.to_be_bytes()[..], entry.oid),
        };
        // A path holds no NUL, a mode and an object id have their fixed lengths: no two lists give the same bytes.
        line.clear();
        line.extend_from_slice(path);
        line.push(0);
        line.extend_from_slice(mode);
        line.push(entry.stage);
        line.extend_from_slice(oid);
        digest.part(&line);
    });
    Ok(Some(digest.finish()))
}

/// Mode and object id by path of each edited file; `None` for a deleted one.
type Contents<'a> = HashMap<&'a [u8], Option<([u8; 4], Vec<u8>)>>;

fn edited_contents<'a>(git: &Git, edited: &'a [Edited]) -> Result<Option<Contents<'a>>, GitError> {
    let mut contents = Contents::new();
    let mut regular = Vec::new();
    let mut bytes = 0;
    if edited.len() > MAX_FILES {
        return Ok(None);
    }
    for edit in edited {
        let path = git.work_tree.join(OsStr::from_bytes(&edit.path));
        let mode = u32::from_str_radix(&String::from_utf8_lossy(&edit.mode), 8).unwrap_or(0).to_be_bytes();
        match path.symlink_metadata() {
            _ if edit.deleted => {
                contents.insert(&edit.path, None);
            }
            Ok(metadata) if metadata.is_file() => {
                bytes += metadata.len();
                regular.push((edit, mode));
            }
            Ok(metadata) if metadata.is_symlink() => {
                let target = path.read_link().map(|target| target.into_os_string().into_encoded_bytes());
                contents.insert(&edit.path, Some((mode, [b"link ".to_vec(), target.unwrap_or_default()].concat())));
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
    let paths: Vec<u8> = regular.iter().flat_map(|(edit, _)| quoted(&edit.path)).collect();
    let output = match git.run(&["hash-object", "--stdin-paths"], &paths) {
        Ok(output) => output,
        // A file vanished, or cannot be read.
        Err(GitError::Failed { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let oids: Vec<Vec<u8>> = output.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(from_hex).collect();
    if oids.len() != regular.len() {
        return Ok(None);
    }
    for ((edit, mode), oid) in regular.into_iter().zip(oids) {
        contents.insert(&edit.path, Some((mode, oid)));
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

fn from_hex(text: &[u8]) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    text.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The newest change of an edited file, nanoseconds since 1970; for a deleted one, of the nearest directory left.
pub(super) fn newest_edit(work_tree: &Path, edited: &[Edited]) -> Option<i64> {
    let newest = edited.iter().filter_map(|edit| Some(nearest(work_tree, &edit.path)?.changed_ns()));
    newest.max().and_then(|ns| i64::try_from(ns).ok())
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
    fn object_ids_are_compared_as_the_index_holds_them() {
        assert_eq!(from_hex(b"00ff10"), [0, 255, 16]);
    }
}
