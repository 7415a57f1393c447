//! What lies beside a log under names that rotation gives: `x.1`, `x-20251008`, `x.2025-10-08.gz`, `x-20251008.ext`.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use super::identity::FileFacts;

/// A directory with more entries is not searched to its end: nothing rotates into that many files.
const MAX_ENTRIES: usize = 50_000;

/// A file that may hold what was rotated away.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) facts: FileFacts,
    /// Its place in the order of rotation, where the name tells.
    pub(super) rank: Option<Rank>,
    pub(super) compressed: bool,
}

/// What a rotated name says of its age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// `.3` is older than `.2`.
    Number(u32),
    /// `20251007` is older than `20251008`; the digits only.
    Date(String),
}

/// The regular files beside `live` that its rotation may have made, and whatever has one of these inodes.
pub(super) fn list(live: &Path, inodes: &BTreeSet<u64>) -> io::Result<Vec<Sibling>> {
    let (Some(directory), Some(name)) = (live.parent(), live.file_name()) else { return Ok(Vec::new()) };
    let live_name = name.to_string_lossy();
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut siblings: Vec<Sibling> = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == live_name || !(inodes.contains(&entry.ino()) || is_related(&name, &live_name)) {
            continue;
        }
        if let Some(sibling) = look(entry.path(), name, &live_name)
            && !siblings.iter().any(|known| known.facts.same_file(&sibling.facts))
        {
            siblings.push(sibling);
        }
    }
    Ok(siblings)
}

/// The regular file of this name beside `live`, if there is one.
pub(super) fn at(live: &Path, name: &str) -> Option<Sibling> {
    let live_name = live.file_name()?.to_string_lossy();
    if name.contains('/') || name == live_name {
        return None;
    }
    look(live.with_file_name(name), name.to_owned(), &live_name)
}

fn look(path: PathBuf, name: String, live_name: &str) -> Option<Sibling> {
    // Not following links: a link to a file is that file under another name, and it is listed under its own.
    let metadata = std::fs::symlink_metadata(&path).ok()?;
    let (rank, compressed) = (rank(&name, live_name), name.ends_with(".gz"));
    metadata.is_file().then(|| Sibling { facts: FileFacts::of(&metadata), path, name, rank, compressed })
}

/// A name without its last extension, and the extension with its dot.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

fn is_related(name: &str, live_name: &str) -> bool {
    name.starts_with(split(live_name).0)
}

/// The rank of a rotated name; `None` if it is not one.
fn rank(name: &str, live_name: &str) -> Option<Rank> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (stem, extension) = split(live_name);
    let after_extension = name.strip_prefix(live_name);
    let before_extension = || name.strip_prefix(stem)?.strip_suffix(extension);
    let added = after_extension.or_else(before_extension)?;
    let shaped = added.starts_with(['.', '-', '_'])
        && added.bytes().all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(&byte));
    let digits: String = added.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        _ if !shaped => None,
        0 => None,
        1..=5 => digits.parse().ok().map(Rank::Number),
        _ => Some(Rank::Date(digits)),
    }
}

impl Sibling {
    /// The name without what compression adds: while a compressor works, a part is there twice.
    pub(super) fn base(&self) -> &str {
        self.name.strip_suffix(".gz").unwrap_or(&self.name)
    }

    /// Whether this one was rotated away later than `other`: by rank if both have one of the same sort, else by the
    /// time of their last change.
    pub(super) fn is_newer_than(&self, other: &Sibling) -> bool {
        match (&self.rank, &other.rank) {
            (Some(Rank::Number(mine)), Some(Rank::Number(others))) => mine < others,
            (Some(Rank::Date(mine)), Some(Rank::Date(others))) => mine > others,
            _ => self.facts.modified >= other.facts.modified,
        }
    }
}

/// Sorts parts in the order they were written: by their ranks if those are all of one sort, else by the time of their
/// last change, which renaming and `gzip` keep.
pub(super) fn sort_oldest_first(siblings: &mut [Sibling]) {
    let numbers = siblings.iter().filter(|sibling| matches!(sibling.rank, Some(Rank::Number(_)))).count();
    let dates = siblings.iter().filter(|sibling| matches!(sibling.rank, Some(Rank::Date(_)))).count();
    let pure = numbers == siblings.len() || dates == siblings.len();
    siblings.sort_by_cached_key(|sibling| {
        let modified = if pure { 0 } else { sibling.facts.modified };
        let (number, date) = match &sibling.rank {
            Some(Rank::Number(number)) => (u32::MAX - number, String::new()),
            Some(Rank::Date(digits)) => (u32::MAX, digits.clone()),
            None => (u32::MAX, String::new()),
        };
        (modified, number, date, sibling.name.clone())
    });
}

/// Leaves out the compressed one where a part is there both plain and compressed.
pub(super) fn without_doubles(siblings: &mut Vec<Sibling>) {
    let plain: BTreeSet<String> = siblings.iter().filter(|s| !s.compressed).map(|s| s.name.clone()).collect();
    siblings.retain(|sibling| !sibling.compressed || !plain.contains(sibling.base()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_have_a_rank_and_others_do_not() {
        let number = |n| Some(Rank::Number(n));
        let date = |digits: &str| Some(Rank::Date(digits.to_owned()));
        for (name, expected) in [
            ("a.jsonl.1", number(1)),
            ("a.jsonl.12.gz", number(12)),
            ("a.1.jsonl", number(1)),
            ("a.jsonl-20251008", date("20251008")),
            ("a-20251008.jsonl", date("20251008")),
            ("a.jsonl.2025-10-08_14-30.gz", date("202510081430")),
            ("a.jsonl-1759934302", date("1759934302")),
            ("a.jsonl.bak", None),
            ("a.jsonl~", None),
            ("a_other.jsonl", None),
            ("a.jsonl.1.tmp", None),
            ("ab.jsonl.1", None),
            ("a.jsonl", None),
            ("a.jsonl.1.xz", None),
        ] {
            assert_eq!(rank(name, "a.jsonl"), expected, "{name}");
        }
    }
}
