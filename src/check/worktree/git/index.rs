//! Git's index, read only: which files are tracked, and what git recorded of each (gitformat-index(5)).
//!
//! Versions 2 to 4, SHA-1 and SHA-256, sparse, split (in versions 2 and 3).

mod split;

use std::ffi::CStr;
use std::ops::Range;
use std::path::Path;

use crate::fs::read_capped;
use crate::fs::stamp::Stamp;
use crate::model::digest::hex;

/// Index larger than this (some three million files) is left to git.
const MAX_BYTES: u64 = 512 << 20;

/// Type bits of an entry's mode.
const TYPE_MASK: u32 = 0o170_000;
/// A submodule's commit.
const GITLINK: u32 = 0o160_000;
/// A directory of a sparse index, outside the sparse checkout.
const SPARSE_DIRECTORY: u32 = 0o040_000;

/// Object ids of an empty file.
const EMPTY_SHA1: [u8; 20] = *b"\xe6\x9d\xe2\x9b\xb2\xd1\xd6\x43\x4b\x8b\x29\xae\x77\x5a\xd8\xc2\xe4\x8c\x53\x91";
const EMPTY_SHA256: [u8; 32] = *b"\x47\x3a\x0f\x4c\x3b\xe8\xa9\x36\x81\xa2\x67\xe3\xb1\xe9\xa7\xdc\
    \xda\x11\x85\x43\x6f\xe1\x41\xf7\x74\x91\x20\xa3\x03\x72\x18\x13";

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
    /// Only announced by `git add --intent-to-add`.
    intent_to_add: bool,
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

    /// Whether git knows the file by its content alone: no submodule, no conflict, nothing it was told to overlook.
    fn is_plain(&self) -> bool {
        let overlooked = self.assume_valid || self.skip_worktree || self.intent_to_add;
        self.stage == 0 && !overlooked && !self.is_submodule() && !self.is_sparse_directory()
    }

    /// Whether a recorded size of 0 is that of the file. Git also writes 0 where it has to look at the content again.
    pub(in crate::check::worktree) fn size_counts(&self) -> bool {
        self.size != 0 || self.oid == EMPTY_SHA1 || self.oid == EMPTY_SHA256
    }

    /// Whether this stands for a whole directory outside the sparse checkout.
    pub(in crate::check::worktree) fn is_sparse_directory(&self) -> bool {
        self.mode & TYPE_MASK == SPARSE_DIRECTORY
    }
}

/// Why an index cannot be used here; git has to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::check::worktree) enum IndexError {
    /// Too large, of an unknown version, split in version 4, or unreadable.
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
    /// Whether all entries and extensions are of the everyday kind.
    plain: bool,
    /// Root of the cached tree, if it is valid: object id, binary.
    tree: Option<Vec<u8>>,
    /// Where the extension stands that makes this one part of a split index.
    link: Option<Range<usize>>,
    /// The entries of a split index.
    joined: Option<Vec<split::Joined>>,
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
            Ok(bytes) => {
                let mut index = Index::parse(bytes, written)?;
                if let Some(link) = index.link.clone().and_then(|link| index.bytes.get(link)) {
                    index.joined = Some(split::join(&index, link, git_dir)?);
                }
                Ok(index)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Index::empty()),
            Err(_) => Err(IndexError::Unsupported),
        }
    }

    fn empty() -> Index {
        Index {
            bytes: Vec::new(),
            version: 2,
            count: 0,
            oid_bytes: 20,
            // Where the file is missing from a sparse checkout, git's word on a path is not that on the whole.
            plain: false,
            tree: None,
            link: None,
            joined: None,
            written: None,
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
        let mut index = Index { bytes, version, count, written, ..Index::empty() };
        // Nothing in the file says how long an object id is; with the wrong length the extensions do not end where
        // the checksum begins.
        for oid_bytes in [20, 32] {
            index.oid_bytes = oid_bytes;
            let mut plain = true;
            if let Some(after) = index.for_each(|entry| plain &= entry.is_plain())
                && let Some(extensions) = index.extensions(after)
            {
                index.plain = plain && !extensions.unknown;
                // Of a split index it covers more entries than stand here.
                index.tree = extensions.tree.filter(|_| extensions.link.is_none());
                index.link = extensions.link;
                return Ok(index);
            }
        }
        Err(IndexError::Damaged)
    }

    /// Calls `visit` with every entry in git's order (by path, then stage); returns where the entries end in the file, or
    /// `None` if they are cut off, which [`Index::read`] has ruled out, or not all in one.
    pub(in crate::check::worktree) fn for_each(&self, mut visit: impl FnMut(&Entry<'_>)) -> Option<usize> {
        if let Some(joined) = &self.joined {
            joined.iter().for_each(|entry| visit(&entry.entry()));
            return None;
        }
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
            intent_to_add: more & 0x2000 != 0,
        });
        Some(at)
    }

    /// What the extensions say; `None` if they do not fill the file up to its checksum.
    fn extensions(&self, mut at: usize) -> Option<Extensions> {
        let end = self.bytes.len().checked_sub(self.oid_bytes)?;
        let mut found = Extensions::default();
        while at < end {
            let name = self.bytes.get(at..at + 4)?;
            let length = u32_at(&self.bytes, at + 4)? as usize;
            let from = at + 8;
            at = from.checked_add(length)?;
            match name {
                b"link" => (found.link, found.unknown) = (Some(from..at), true),
                b"TREE" => found.tree = self.bytes.get(from..at).and_then(|bytes| self.tree_root(bytes)),
                // Only the others may be left out of account by a reader that does not know them.
                [b'a'..=b'z', ..] => found.unknown = true,
                _ => {}
            }
        }
        (at == end).then_some(found)
    }

    /// The root of a cached tree: an empty path, how many entries it covers (-1 once one of them has changed), how many
    /// subtrees, and the object id.
    fn tree_root(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let rest = bytes.strip_prefix(b"\0")?;
        let end = rest.iter().position(|&b| b == b'\n')?;
        let (entries, _subtrees) = std::str::from_utf8(&rest[..end]).ok()?.split_once(' ')?;
        let covers_all = entries.parse() == Ok(self.count);
        let oid = rest.get(end + 1..)?.get(..self.oid_bytes)?;
        covers_all.then(|| oid.to_vec())
    }

    /// Whether every entry is an ordinary file or link that git compares with the worktree, and nothing stands in the
    /// file that is not understood here.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The tree that the index holds, in hexadecimal, where git has noted it since the last change of an entry.
    pub(super) fn tree(&self) -> Option<String> {
        self.tree.as_deref().map(hex)
    }
}

/// What is known of an index besides its entries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extensions {
    /// Of the extension that makes it part of a split index.
    link: Option<Range<usize>>,
    unknown: bool,
    tree: Option<Vec<u8>>,
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

    /// The same with an extension.
    fn with_extension(paths: &[&str], name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let mut bytes = version_2(paths);
        let checksum = bytes.split_off(bytes.len() - 20);
        bytes.extend(name);
        bytes.extend((contents.len() as u32).to_be_bytes());
        bytes.extend(contents);
        bytes.extend(checksum);
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
    fn a_part_of_a_split_index_is_known_and_a_cut_one_is_damaged() {
        let split = with_extension(&["a"], b"link", &[0; 4]);
        let length = split.len();
        let index = Index::parse(split, None).expect("an index");
        assert_eq!(index.link, Some(length - 24..length - 20));
        assert!(!index.is_plain());
        assert_eq!(split::join(&index, &[0; 4], Path::new("/")).expect_err("cut"), IndexError::Damaged);
        let whole = version_2(&["a", "b"]);
        assert_eq!(Index::parse(whole[..whole.len() - 30].to_vec(), None).expect_err("cut"), IndexError::Damaged);
    }

    #[test]
    fn the_cached_tree_is_taken_only_as_a_whole_and_of_all_entries() {
        let tree = |contents: &[u8]| {
            Index::parse(with_extension(&["a", "b/c"], b"TREE", contents), None).expect("an index").tree()
        };
        let oid = [0xab; 20];
        let whole = [b"\x002 1\n", oid.as_slice(), b"b\x001 0\n", &oid].concat();
        assert_eq!(tree(&whole), Some("ab".repeat(20)));
        assert_eq!(tree(&[b"\x001 1\n", oid.as_slice()].concat()), None, "of another number of entries");
        assert_eq!(tree(b"\x00-1 1\nb\x001 0\n"), None, "invalidated");
        assert_eq!(tree(&[b"b\x002 1\n", oid.as_slice()].concat()), None, "not the root");
        for length in 0..25 {
            assert_eq!(tree(&whole[..length]), None, "cut off after {length} bytes");
        }
    }

    #[test]
    fn what_git_treats_in_a_way_of_its_own_makes_an_index_not_plain() {
        let is_plain = |bytes| Index::parse(bytes, None).expect("an index").is_plain();
        assert!(is_plain(version_2(&["a"])));
        assert!(is_plain(with_extension(&["a"], b"UNTR", b"x")), "an extension that may be left out of account");
        assert!(!is_plain(with_extension(&["a"], b"sdir", b"")), "and one that may not");
        // The mode at byte 24 of an entry, its flags at 60, more of them at 62 in version 3.
        let patched = |version: u8, patches: &[(usize, u8)]| {
            let mut bytes = version_2(&["abc"]);
            bytes[7] = version;
            patches.iter().for_each(|(at, byte)| bytes[12 + at] = *byte);
            bytes
        };
        for (what, patches) in
            [("a submodule", &[(26, 0xe0)][..]), ("a conflict", &[(60, 0x10)]), ("assumed unchanged", &[(60, 0x80)])]
        {
            assert!(!is_plain(patched(2, patches)), "{what}");
        }
        for (what, flags) in [("outside a sparse checkout", 0x40), ("intended to be added", 0x20)] {
            let patches = [(60, 0x40), (61, 1), (62, flags), (63, 0), (64, b'a'), (65, 0)];
            assert!(!is_plain(patched(3, &patches)), "{what}");
        }
    }

    #[test]
    fn a_size_of_nothing_counts_only_for_an_empty_file() {
        let bytes = version_2(&["a"]);
        let of = |size: u8, oid: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[12 + 39] = size;
            bytes[12 + 40..12 + 60].copy_from_slice(oid);
            let mut counts = None;
            Index::parse(bytes, None).expect("an index").for_each(|entry| counts = Some(entry.size_counts()));
            counts
        };
        assert_eq!(of(9, &[7; 20]), Some(true));
        assert_eq!(of(0, &[7; 20]), Some(false), "git has written it for a file that it could not date");
        assert_eq!(of(0, &EMPTY_SHA1), Some(true));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..400), version in 0u8..6) {
            let mut bytes = b"DIRC\0\0\0".to_vec();
            bytes.push(version);
            bytes.extend(tail);
            let _ = Index::parse(bytes, None);
        }

        #[test]
        fn no_cached_tree_makes_the_reader_panic(contents in proptest::collection::vec(any::<u8>(), 0..60)) {
            let index = Index::parse(with_extension(&["a"], b"TREE", &contents), None).expect("an index");
            prop_assert!(index.tree().is_none_or(|tree| contents.len() >= tree.len() / 2 + 5));
        }
    }
}
