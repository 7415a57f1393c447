//! Git's index, read only: which files are tracked, and what git recorded of each (gitformat-index(5)).
//!
//! Versions 2 to 4, SHA-1 and SHA-256, sparse. A split index is not read here; its worktrees are asked of git instead.

use std::ffi::CStr;
use std::path::Path;

use super::stamp::Stamp;
use crate::fs::read_capped;

/// Index larger than this (some three million files) is left to git.
const MAX_BYTES: u64 = 512 << 20;

/// Type bits of an entry's mode.
const TYPE_MASK: u32 = 0o170_000;
/// A submodule's commit.
const GITLINK: u32 = 0o160_000;
/// A directory of a sparse index, outside the sparse checkout.
const SPARSE_DIRECTORY: u32 = 0o040_000;

/// Seconds and nanoseconds as the index holds them: 32 bits each.
pub(in crate::check::worktree) type Time = (u32, u32);

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check::worktree) struct Entry<'a> {
    /// Relative to the worktree, with its NUL.
    path_with_nul: &'a [u8],
    /// Object id, binary.
    pub(in crate::check::worktree) oid: &'a [u8],
    /// As recorded: type and executable bit.
    pub(in crate::check::worktree) mode: u32,
    /// Change time of the inode.
    pub(in crate::check::worktree) ctime: Time,
    /// Modification time.
    pub(in crate::check::worktree) mtime: Time,
    /// Low 32 bits of the inode number.
    pub(in crate::check::worktree) ino: u32,
    /// Low 32 bits of the size in bytes.
    pub(in crate::check::worktree) size: u32,
    /// 0, or 1 to 3 in a conflict.
    pub(in crate::check::worktree) stage: u8,
    /// Git has been told not to look at the file.
    pub(in crate::check::worktree) assume_valid: bool,
    /// Outside the sparse checkout.
    pub(in crate::check::worktree) skip_worktree: bool,
}

impl<'a> Entry<'a> {
    /// The path, relative to the worktree.
    pub(in crate::check::worktree) fn path(&self) -> &'a [u8] {
        &self.path_with_nul[..self.path_with_nul.len() - 1]
    }

    /// The directory's path (empty for the worktree itself) and the file's name.
    pub(in crate::check::worktree) fn split(&self) -> (&'a [u8], &'a CStr) {
        // A directory of a sparse index ends in a slash of its own.
        let path = self.path();
        let searched = path.strip_suffix(b"/").unwrap_or(path);
        let slash = searched.iter().rposition(|&b| b == b'/');
        let name = slash.map_or(self.path_with_nul, |slash| &self.path_with_nul[slash + 1..]);
        (slash.map_or(b"", |slash| &path[..slash]), CStr::from_bytes_with_nul(name).unwrap_or_default())
    }

    /// Whether this is a submodule.
    pub(in crate::check::worktree) fn is_submodule(&self) -> bool {
        self.mode & TYPE_MASK == GITLINK
    }

    /// Whether this stands for a whole directory outside the sparse checkout.
    pub(in crate::check::worktree) fn is_sparse_directory(&self) -> bool {
        self.mode & TYPE_MASK == SPARSE_DIRECTORY
    }
}

/// Why an index cannot be used here; git has to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::check::worktree) enum IndexError {
    /// Split, too large, of an unknown version, or unreadable.
    Unsupported,
    /// Not an index, or cut off.
    Damaged,
}

/// The bytes of an index, checked as a whole before anything is done with it.
#[derive(Debug)]
pub(in crate::check::worktree) struct Index {
    bytes: Vec<u8>,
    version: u32,
    count: u32,
    oid_bytes: usize,
    /// When the file was last written, nanoseconds since 1970; `None` if there is no file.
    pub(in crate::check::worktree) written: Option<i128>,
}

impl Index {
    /// Reads the index of a git directory; one that is not there yet is empty.
    ///
    /// # Errors
    /// [`IndexError`] if git has to be asked instead.
    pub(in crate::check::worktree) fn read(git_dir: &Path) -> Result<Index, IndexError> {
        let path = git_dir.join("index");
        // Git replaces the file as a whole, so a time taken first is never newer than the bytes.
        let written = Stamp::of(&path).map(|stamp| stamp.mtime_ns);
        match read_capped(&path, MAX_BYTES) {
            Ok(bytes) => Index::parse(bytes, written),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Ok(Index { bytes: Vec::new(), version: 2, count: 0, oid_bytes: 20, written: None })
            }
            Err(_) => Err(IndexError::Unsupported),
        }
    }

    fn parse(bytes: Vec<u8>, written: Option<i128>) -> Result<Index, IndexError> {
        if bytes.get(..4) != Some(b"DIRC".as_slice()) {
            return Err(IndexError::Damaged);
        }
        let version = u32_at(&bytes, 4).ok_or(IndexError::Damaged)?;
        let count = u32_at(&bytes, 8).ok_or(IndexError::Damaged)?;
        if !(2..=4).contains(&version) {
            return Err(IndexError::Unsupported);
        }
        let mut index = Index { bytes, version, count, oid_bytes: 20, written };
        // Nothing in the file says how long an object id is; with the wrong length the extensions do not end where
        // the checksum begins.
        for oid_bytes in [20, 32] {
            index.oid_bytes = oid_bytes;
            if let Some(after) = index.for_each(|_| ())
                && let Some(split) = index.extensions(after)
            {
                return if split { Err(IndexError::Unsupported) } else { Ok(index) };
            }
        }
        Err(IndexError::Damaged)
    }

    /// Calls `visit` with every entry in git's order (by path, then stage); returns where the entries end, or `None` if
    /// they are cut off, which [`Index::read`] has ruled out.
    pub(in crate::check::worktree) fn for_each(&self, mut visit: impl FnMut(&Entry<'_>)) -> Option<usize> {
        let mut at = 12;
        let mut path = Vec::new();
        for _ in 0..self.count {
            at = self.entry(at, &mut path, &mut visit)?;
        }
        Some(at)
    }

    fn entry(&self, start: usize, unpacked: &mut Vec<u8>, visit: &mut impl FnMut(&Entry<'_>)) -> Option<usize> {
        let fixed = self.bytes.get(start..start + 40)?;
        let field = |number: usize| u32_at(fixed, number * 4).unwrap_or(0);
        let mut at = start + 40;
        let oid = self.bytes.get(at..at + self.oid_bytes)?;
        at += self.oid_bytes;
        let flags = u16_at(&self.bytes, at)?;
        at += 2;
        let extended = flags & 0x4000 != 0;
        let more = if extended && self.version >= 3 { u16_at(&self.bytes, at)? } else { 0 };
        at += if extended && self.version >= 3 { 2 } else { 0 };
        let path_with_nul = if self.version == 4 {
            let (strip, after) = varint(&self.bytes, at)?;
            let end = after + nul(self.bytes.get(after..)?)?;
            // Drop the last path's NUL and as much of its tail as this one does not share.
            let keep = unpacked.len().saturating_sub(1).checked_sub(strip)?;
            unpacked.truncate(keep);
            unpacked.extend_from_slice(&self.bytes[after..=end]);
            at = end + 1;
            unpacked.as_slice()
        } else {
            let end = at + nul(self.bytes.get(at..)?)?;
            let path = &self.bytes[at..=end];
            // One to eight NULs, so that the next entry begins at a multiple of eight.
            at = start + (end - start + 8) / 8 * 8;
            path
        };
        visit(&Entry {
            path_with_nul,
            oid,
            mode: field(6),
            ctime: (field(0), field(1)),
            mtime: (field(2), field(3)),
            ino: field(5),
            size: field(9),
            stage: ((flags >> 12) & 3) as u8,
            assume_valid: flags & 0x8000 != 0,
            skip_worktree: more & 0x4000 != 0,
        });
        Some(at)
    }

    /// Whether the index is split; `None` if the extensions do not fill the file up to its checksum.
    fn extensions(&self, mut at: usize) -> Option<bool> {
        let end = self.bytes.len().checked_sub(self.oid_bytes)?;
        let mut split = false;
        while at < end {
            let name = self.bytes.get(at..at + 4)?;
            let length = u32_at(&self.bytes, at + 4)? as usize;
            split |= name == b"link";
            at = at.checked_add(8)?.checked_add(length)?;
        }
        (at == end).then_some(split)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn nul(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == 0)
}

/// Git's offset varint: seven bits a byte, each continuation adding one.
fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut byte = *bytes.get(at)?;
    let mut value = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        at += 1;
        byte = *bytes.get(at)?;
        value = value.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    Some((value, at + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A version 2 index with these paths, as git lays it out.
    fn version_2(paths: &[&str]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(2u32.to_be_bytes());
        bytes.extend((paths.len() as u32).to_be_bytes());
        for path in paths {
            let start = bytes.len();
            for number in 0..10u32 {
                bytes.extend(if number == 6 { 0o100_644u32 } else { number }.to_be_bytes());
            }
            bytes.extend([7; 20]);
            bytes.extend((path.len() as u16).to_be_bytes());
            bytes.extend(path.as_bytes());
            let padded = start + (bytes.len() - start + 8) / 8 * 8;
            bytes.resize(padded, 0);
        }
        bytes.extend([0; 20]);
        bytes
    }

    #[test]
    fn entries_come_back_with_their_directories_and_names() {
        let index = Index::parse(version_2(&["a", "dir/deep/file name", "dir/x1234567"]), None).expect("an index");
        let mut seen = Vec::new();
        index.for_each(|entry| {
            let (directory, name) = entry.split();
            seen.push((String::from_utf8_lossy(directory).into_owned(), name.to_string_lossy().into_owned()));
            assert_eq!((entry.ctime, entry.mtime, entry.ino, entry.size), ((0, 1), (2, 3), 5, 9));
        });
        let expected = [("", "a"), ("dir/deep", "file name"), ("dir", "x1234567")];
        assert_eq!(seen, expected.map(|(directory, name)| (directory.to_owned(), name.to_owned())));
    }

    #[test]
    fn a_split_index_is_left_to_git_and_a_cut_one_is_damaged() {
        let mut split = version_2(&["a"]);
        split.truncate(split.len() - 20);
        split.extend(b"link");
        split.extend(4u32.to_be_bytes());
        split.extend([0; 24]);
        assert_eq!(Index::parse(split, None).expect_err("split"), IndexError::Unsupported);
        let whole = version_2(&["a", "b"]);
        assert_eq!(Index::parse(whole[..whole.len() - 30].to_vec(), None).expect_err("cut"), IndexError::Damaged);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..400), version in 0u8..6) {
            let mut bytes = b"DIRC\0\0\0".to_vec();
            bytes.push(version);
            bytes.extend(tail);
            let _ = Index::parse(bytes, None);
        }
    }
}
