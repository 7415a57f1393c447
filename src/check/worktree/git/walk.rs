//! A look at every tracked file without git: is each still what the index recorded, and have directories changed?
//!
//! Less than the price of `git status`, and no less careful: every tracked file is looked at (an edit in place changes no
//! directory), its change time included, which nobody can set back. A new, renamed or deleted file changes its
//! directory's times. What differs from the index is not judged here: it is made part of a digest, and named to git.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};

use super::index::{Entry, Index, Time};
use crate::fs::stamp::{Horizon, Stamp};
use crate::model::digest::Digest;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Files of git's own in any directory whose edit in place can change the answer although they may be untracked.
const RULE_FILES: [&CStr; 2] = [c".gitignore", c".gitattributes"];

/// More odd files than this are counted but not named: git is then asked about the whole worktree.
pub(super) const MAX_ODD: usize = 64;

/// What was seen.
#[derive(Debug, Clone)]
pub(in crate::check::worktree) struct Walk {
    /// Digest over all directories that hold tracked files, those above them, and the untracked ones that were named.
    pub(super) directories: String,
    /// Digest over the tracked files that differ from what the index recorded.
    pub(super) odd: String,
    /// Tracked files that differ from what the index recorded; `None` if they are more than [`MAX_ODD`].
    pub(super) odd_files: Option<Vec<Odd>>,
    /// Whether every directory is past the horizon.
    pub(super) directories_settled: bool,
    /// Whether every odd file is past the horizon.
    pub(super) odd_settled: bool,
    /// The newest change of a tracked file, nanoseconds since 1970; 0 if there is none.
    pub(in crate::check::worktree) newest_ns: i128,
    /// Directories that hold tracked files, or such directories.
    pub(super) tracked: Vec<TrackedDirectory>,
    /// The tracked ones of `directories`.
    stamped: Stamped,
}

impl Walk {
    /// Watches these untracked directories in place of those that the walk went through.
    pub(super) fn watch(&mut self, work_tree: &Path, untracked: &[Vec<u8>]) {
        let mut stamped = self.stamped.clone();
        let root = openat(CWD, work_tree, DIRECTORY, Mode::empty()).ok();
        for path in untracked {
            let fd = root.as_ref().and_then(|root| openat(root, path.as_slice(), DIRECTORY, Mode::empty()).ok());
            stamped.add(fd.as_ref(), path);
        }
        self.directories_settled = stamped.settled;
        self.directories = stamped.digest.finish();
    }
}

/// A tracked file that differs from what the index recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Odd {
    /// Relative to the worktree.
    pub(super) path: Vec<u8>,
    /// As recorded: type and executable bit.
    pub(super) mode: u32,
    /// What that means.
    pub(super) change: Change,
}

/// What can be said of a file without reading it. Git says the same without reading it, whatever its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Not there.
    Gone,
    /// Of another size than was recorded, and otherwise of the same kind.
    Resized,
    /// Git has to look at it.
    Unclear,
}

impl Change {
    fn of(entry: &Entry<'_>, stamp: &Stamp) -> Change {
        // From 4 GiB on the index has not the whole size, and it has 0 where the content counts instead.
        match u32::try_from(stamp.size) {
            Ok(size) if entry.size != 0 && entry.size != size && entry.mode == git_mode(stamp.mode) => Change::Resized,
            _ => Change::Unclear,
        }
    }
}

/// A directory that exists because of tracked files in or below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrackedDirectory {
    /// Relative to the worktree; empty for the worktree itself.
    pub(super) path: Vec<u8>,
    /// Tracked directories that are directly in it.
    pub(super) children: u64,
    /// Tracked files and links that are directly in it; not counted where only directories are looked at.
    pub(super) files: u64,
    /// Hard links, `None` if it is not there.
    pub(super) links: Option<u64>,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check::worktree) enum Depth {
    /// Directories and every tracked file.
    Files,
    /// Directories alone; the digest of odd files is that of none.
    Directories,
}

/// Walks the worktree along its index and then through `untracked` directories.
pub(in crate::check::worktree) fn walk(
    work_tree: &Path,
    index: &Index,
    untracked: &[Vec<u8>],
    depth: Depth,
    horizon: Horizon,
) -> Walk {
    let mut walker = Walker::new(work_tree, index_time(index), depth, horizon);
    index.for_each(|entry| walker.visit(entry));
    let mut walk = walker.finish();
    walk.watch(work_tree, untracked);
    walk
}

/// The digest of odd files if those and no others are odd, and whether they are past the horizon.
///
/// Spares a whole walk after git has answered: it has just looked at every file and named those that differ. Should
/// others differ too (touched, but with their old content), the next walk does not agree and git is asked again.
pub(super) fn odd_if_only(work_tree: &Path, mut paths: Vec<Vec<u8>>, horizon: Horizon) -> (String, bool) {
    paths.sort();
    let mut odd = Digest::default();
    let mut settled = true;
    for path in paths {
        let stamp = work_tree.join(OsStr::from_bytes(&path)).symlink_metadata().ok().map(Stamp::from);
        settled &= stamp.is_none_or(|stamp| horizon.is_past(stamp.changed_ns()));
        add_odd(&mut odd, &path, stamp.as_ref());
    }
    (odd.finish(), settled)
}

fn add_odd(odd: &mut Digest, path: &[u8], stamp: Option<&Stamp>) {
    odd.part(path);
    match stamp {
        Some(stamp) => stamp.add_to(odd),
        None => odd.part(b"gone"),
    }
}

/// When the index itself was written: an entry as new as that may have been changed since within one step of the clock.
fn index_time(index: &Index) -> Time {
    index.written.map_or((0, 0), |ns| ((ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32))
}

/// An open directory on the way to the current entry.
struct Level {
    /// Length of its path; the path itself is a prefix of the current one.
    length: usize,
    /// `None` if it is not there, or is no directory any more.
    fd: Option<OwnedFd>,
    /// Its place in [`Walk::tracked`].
    number: usize,
}

/// Stamps of directories.
#[derive(Debug, Clone)]
struct Stamped {
    digest: Digest,
    settled: bool,
    horizon: Horizon,
}

impl Stamped {
    /// Adds a directory, `None` for one that is not there, and the files of git's own in it.
    fn add(&mut self, fd: Option<&OwnedFd>, path: &[u8]) -> Option<Stamp> {
        self.digest.part(path);
        let Some(fd) = fd else {
            self.digest.part(b"gone");
            return None;
        };
        let stamp = statat(fd, c"", AtFlags::EMPTY_PATH).ok().map(Stamp::from)?;
        self.add_stamp(&stamp);
        for name in RULE_FILES {
            if let Ok(stat) = statat(fd.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                self.add_stamp(&Stamp::from(stat));
            }
        }
        Some(stamp)
    }

    fn add_stamp(&mut self, stamp: &Stamp) {
        self.settled &= self.horizon.is_past(stamp.changed_ns());
        stamp.add_to(&mut self.digest);
    }
}

struct Walker {
    levels: Vec<Level>,
    /// Path of the deepest open level.
    current: Vec<u8>,
    written: Time,
    depth: Depth,
    horizon: Horizon,
    directories: Stamped,
    odd: Digest,
    odd_files: Vec<Odd>,
    odd_settled: bool,
    newest_ns: i128,
    tracked: Vec<TrackedDirectory>,
}

impl Walker {
    fn new(work_tree: &Path, written: Time, depth: Depth, horizon: Horizon) -> Walker {
        let mut walker = Walker {
            levels: Vec::new(),
            current: Vec::new(),
            written,
            depth,
            horizon,
            directories: Stamped { digest: Digest::default(), settled: true, horizon },
            odd: Digest::default(),
            odd_files: Vec::new(),
            odd_settled: true,
            newest_ns: 0,
            tracked: Vec::new(),
        };
        let root = openat(CWD, work_tree, DIRECTORY, Mode::empty()).ok();
        walker.push(root, Vec::new());
        walker
    }

    fn visit(&mut self, entry: &Entry<'_>) {
        // A submodule is a repository of its own; a conflict is one whatever the file holds; git never looks at a file
        // it was told to take for unchanged.
        if entry.is_submodule() || entry.stage != 0 || entry.assume_valid {
            return;
        }
        let (directory, name) = entry.split();
        if self.current != directory {
            self.enter(directory);
        }
        if self.depth == Depth::Directories && !entry.skip_worktree {
            return;
        }
        let fd = self.levels.last().and_then(|level| level.fd.as_ref());
        let stat = fd.and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).ok());
        match stat {
            Some(stat) => {
                let as_recorded = self.is_as_recorded(entry, &stat);
                let stamp = Stamp::from(stat);
                self.newest_ns = self.newest_ns.max(stamp.changed_ns());
                if let (Some(level), true) = (self.levels.last(), git_mode(stamp.mode) != 0) {
                    self.tracked[level.number].files += 1;
                }
                if entry.skip_worktree || entry.is_sparse_directory() || !as_recorded {
                    self.odd_settled &= self.horizon.is_past(stamp.changed_ns());
                    self.note_odd(entry, Some(&stamp));
                }
            }
            // What lies outside a sparse checkout should not be there.
            None if entry.skip_worktree => {}
            None => self.note_odd(entry, None),
        }
    }

    fn note_odd(&mut self, entry: &Entry<'_>, stamp: Option<&Stamp>) {
        let path = entry.path();
        add_odd(&mut self.odd, path, stamp);
        // One too many, to tell.
        if self.odd_files.len() <= MAX_ODD {
            let change = stamp.map_or(Change::Gone, |stamp| Change::of(entry, stamp));
            self.odd_files.push(Odd { path: path.to_owned(), mode: entry.mode, change });
        }
    }

    /// Git's own comparison, every field of it, racy entries taken for changed. This runs for every file of every
    /// worktree in every pass: numbers are compared as the index holds them, without arithmetic.
    fn is_as_recorded(&self, entry: &Entry<'_>, stat: &rustix::fs::Stat) -> bool {
        entry.mtime == (stat.st_mtime as u32, stat.st_mtime_nsec as u32)
            && entry.ctime == (stat.st_ctime as u32, stat.st_ctime_nsec as u32)
            && entry.ino == stat.st_ino as u32
            && entry.size == stat.st_size as u32
            && entry.size_counts()
            && entry.mode == git_mode(stat.st_mode)
            && entry.mtime.max(entry.ctime) < self.written
    }

    /// Opens the directory of the next entry, level by level from the deepest one that both paths share.
    fn enter(&mut self, directory: &[u8]) {
        while let Some(level) = self.levels.last()
            && !is_within(directory, &self.current[..level.length])
        {
            self.levels.pop();
            self.current.truncate(self.levels.last().map_or(0, |level| level.length));
        }
        while self.current.len() < directory.len() {
            let from = if self.current.is_empty() { 0 } else { self.current.len() + 1 };
            let rest = &directory[from..];
            let to = from + rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
            let above = self.levels.last().and_then(|level| level.fd.as_ref());
            let name = CString::new(&directory[from..to]).unwrap_or_default();
            let fd = above.and_then(|above| openat(above, name.as_c_str(), DIRECTORY, Mode::empty()).ok());
            if let (Some(level), true) = (self.levels.last(), fd.is_some()) {
                self.tracked[level.number].children += 1;
            }
            self.push(fd, directory[..to].to_owned());
        }
    }

    fn push(&mut self, fd: Option<OwnedFd>, path: Vec<u8>) {
        let stamp = self.directories.add(fd.as_ref(), &path);
        self.levels.push(Level { length: path.len(), fd, number: self.tracked.len() });
        self.current.clone_from(&path);
        self.tracked.push(TrackedDirectory { path, children: 0, files: 0, links: stamp.map(|stamp| stamp.links) });
    }

    fn finish(self) -> Walk {
        Walk {
            directories: String::new(),
            directories_settled: false,
            odd: self.odd.finish(),
            odd_files: Some(self.odd_files).filter(|files| files.len() <= MAX_ODD),
            odd_settled: self.odd_settled,
            newest_ns: self.newest_ns,
            tracked: self.tracked,
            stamped: self.directories,
        }
    }
}

/// Whether `path` is `directory` or lies below it.
fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// What git would record of this mode; 0 for what it does not track.
fn git_mode(mode: u32) -> u32 {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 != 0 => 0o100_755,
        0o100_000 => 0o100_644,
        0o120_000 => 0o120_000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_within_directories_not_within_prefixes() {
        assert!(is_within(b"a/b", b"a"));
        assert!(is_within(b"a", b"a"));
        assert!(is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a"));
    }

    #[test]
    fn git_records_only_the_owners_executable_bit() {
        assert_eq!(git_mode(0o100_664), 0o100_644);
        assert_eq!(git_mode(0o100_700), 0o100_755);
        assert_eq!(git_mode(0o120_777), 0o120_000);
        assert_eq!(git_mode(0o010_644), 0);
    }
}
