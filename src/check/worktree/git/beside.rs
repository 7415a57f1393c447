//! What lies beside the tracked files, by name alone: git has not been asked yet which of it is ignored.

use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};

use super::index::Index;
use super::walk::{TrackedDirectory, Walk};

/// More names than this are not looked at one by one: the worktree is asked of git as a whole.
const MAX_NAMES: usize = 20_000;

const READABLE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Paths relative to the worktree. What lies in an untracked directory is not listed: its path stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Untracked directories.
    pub(super) directories: Vec<Vec<u8>>,
    /// Untracked files and symbolic links; git never shows anything else.
    pub(super) files: Vec<Vec<u8>>,
}

impl Beside {
    /// Lists every directory that holds tracked files; `None` if one cannot be read or they hold too much.
    ///
    /// Names are compared only where a directory has not as many of them as the walk has found tracked ones in it: in
    /// most directories nothing is untracked.
    pub(super) fn find(work_tree: &Path, walk: &Walk, index: &Index) -> Option<Beside> {
        let mut reader = Reader::new(work_tree)?;
        let mut suspects = Suspects::default();
        for directory in walk.tracked.iter().filter(|directory| directory.links.is_some()) {
            let names = reader.read(&directory.path)?;
            if names.count() as u64 != directory.children + directory.files {
                suspects.add(&directory.path, names)?;
            }
        }
        Some(suspects.without_tracked(&walk.tracked, index))
    }

    /// The same of untracked directories alone, without a look at most of the tracked ones.
    pub(super) fn directories_of(work_tree: &Path, tracked: &[TrackedDirectory]) -> Option<Beside> {
        let known: HashSet<&[u8]> = tracked.iter().map(|directory| directory.path.as_slice()).collect();
        let mut directories = Vec::new();
        for directory in tracked.iter().filter(|directory| directory.may_hold_others()) {
            let found = subdirectories(work_tree, &directory.path)?;
            directories.extend(found.into_iter().filter(|path| !known.contains(path.as_slice())));
        }
        Some(Beside { directories, files: Vec::new() })
    }
}

/// The subdirectories of one; `None` if it cannot be read.
pub(super) fn subdirectories(work_tree: &Path, directory: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader::new(work_tree)?;
    let directories = reader.read(directory)?.iter().filter(|(_, kind)| *kind == FileType::Directory);
    Some(directories.map(|(name, _)| join(directory, name)).collect())
}

impl TrackedDirectory {
    /// Whether there can be a subdirectory besides the tracked ones. Most file systems count each as a link of its
    /// parent, which spares reading the directory; btrfs and others always say one.
    fn may_hold_others(&self) -> bool {
        match self.links {
            None => false,
            Some(links) => self.path.is_empty() || links < 2 || links - 2 != self.children,
        }
    }
}

/// Reads directories below one, all into the same memory.
struct Reader {
    root: OwnedFd,
    buffer: Vec<MaybeUninit<u8>>,
    names: Names,
}

/// The names in a directory.
#[derive(Debug, Default)]
struct Names {
    /// One behind the other.
    bytes: Vec<u8>,
    /// Where each ends, and what it names.
    ends: Vec<(usize, FileType)>,
}

impl Names {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], FileType)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        begins.zip(&self.ends).map(|(begin, (end, kind))| (&self.bytes[begin..*end], *kind))
    }
}

impl Reader {
    fn new(work_tree: &Path) -> Option<Reader> {
        let root = openat(CWD, work_tree, READABLE, Mode::empty()).ok()?;
        Some(Reader { root, buffer: vec![MaybeUninit::uninit(); 32 << 10], names: Names::default() })
    }

    /// What is in a directory, except for what git never shows.
    fn read(&mut self, directory: &[u8]) -> Option<&Names> {
        let path = if directory.is_empty() { b".".as_slice() } else { directory };
        let fd = openat(&self.root, path, READABLE, Mode::empty()).ok()?;
        self.names.bytes.clear();
        self.names.ends.clear();
        let mut entries = RawDir::new(&fd, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.ok()?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b".." | b".git") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    FileType::from_raw_mode(statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?.st_mode)
                }
                kind => kind,
            };
            self.names.bytes.extend_from_slice(name.to_bytes());
            self.names.ends.push((self.names.bytes.len(), kind));
        }
        Some(&self.names)
    }
}

/// Directories that hold more or less than what is tracked in them.
#[derive(Debug, Default)]
struct Suspects {
    numbers: HashMap<Vec<u8>, usize>,
    /// Of each, its names, and what they name.
    names: Vec<HashMap<Vec<u8>, FileType>>,
    total: usize,
}

impl Suspects {
    fn add(&mut self, directory: &[u8], names: &Names) -> Option<()> {
        self.total += names.count();
        self.numbers.insert(directory.to_owned(), self.names.len());
        self.names.push(names.iter().map(|(name, kind)| (name.to_owned(), kind)).collect());
        (self.total <= MAX_NAMES).then_some(())
    }

    /// What is left when the tracked names are taken out. A directory in the place of a tracked file is untracked, and
    /// the other way round.
    fn without_tracked(mut self, tracked: &[TrackedDirectory], index: &Index) -> Beside {
        if self.names.is_empty() {
            return Beside::default();
        }
        for directory in tracked.iter().filter(|directory| !directory.path.is_empty()) {
            let slash = directory.path.iter().rposition(|&b| b == b'/');
            let (parent, name) = match slash {
                Some(slash) => (&directory.path[..slash], &directory.path[slash + 1..]),
                None => (b"".as_slice(), directory.path.as_slice()),
            };
            self.take(self.numbers.get(parent).copied(), name, true);
        }
        let mut last: (Vec<u8>, Option<usize>) = (Vec::new(), self.numbers.get(b"".as_slice()).copied());
        index.for_each(|entry| {
            let (directory, name) = entry.split();
            if last.0 != directory {
                last = (directory.to_owned(), self.numbers.get(directory).copied());
            }
            self.take(last.1, name.to_bytes(), entry.is_submodule());
        });
        let mut beside = Beside::default();
        for (directory, number) in &self.numbers {
            for (name, kind) in &self.names[*number] {
                match kind {
                    FileType::Directory => beside.directories.push(join(directory, name)),
                    FileType::RegularFile | FileType::Symlink => beside.files.push(join(directory, name)),
                    _ => {}
                }
            }
        }
        beside.directories.sort_unstable();
        beside.files.sort_unstable();
        beside
    }

    fn take(&mut self, suspect: Option<usize>, name: &[u8], is_directory: bool) {
        if let Some(names) = suspect.map(|number| &mut self.names[number])
            && names.get(name).is_some_and(|kind| (*kind == FileType::Directory) == is_directory)
        {
            names.remove(name);
        }
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_owned(),
        directory => [directory, b"/", name].concat(),
    }
}
