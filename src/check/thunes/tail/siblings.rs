//! What lies beside a log under names that rotation gives: `x.1`, `x-20251008`, `x.2025-10-08.gz`, `old/x.1.xz`.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex_lite::Regex;

use super::identity;
use super::unpack::Form;
use crate::fs::{if_there, open_regular};
use crate::model::thunes::FileFacts;

/// A directory with more entries is not searched: nothing that could be read within a pass is in it.
const MAX_ENTRIES: usize = 1_000_000;

/// Directories below the log's own that are searched for what rotation has put there (logrotate's `olddir`).
const MAX_DIRECTORIES: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    /// Relative to the log's directory.
    pub(super) name: String,
    pub(super) facts: FileFacts,
    /// Its place in the order of rotation, where the name tells.
    pub(super) rank: Option<Rank>,
    pub(super) form: Form,
}

/// What a rotated name says of its age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// `.3` is older than `.2`.
    Number(Reverse<u32>),
    /// A date whose parts are in an order that nothing tells, as `08-10-2025`.
    Unclear,
    /// `20251007` is older than `20251008`; the digits only.
    Date(String),
}

/// The regular files beside `live` that its rotation may have made, and whatever has one of these inodes.
pub(super) fn list(live: &Path, inodes: &BTreeSet<u64>) -> io::Result<Vec<Sibling>> {
    let (Some(directory), Some(name)) = (live.parent(), live.file_name()) else { return Ok(Vec::new()) };
    let live_name = name.to_string_lossy();
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut siblings = Vec::new();
    let mut below = Vec::new();
    for entry in entries(directory)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && below.len() < MAX_DIRECTORIES {
            below.push(entry.path());
        } else if entry.file_name() != name {
            siblings.extend(sibling(&entry, "", &live_name, inodes)?);
        }
    }
    for directory in below {
        // A directory with such a log of its own is another log's, and so is one that may not be searched.
        let is_anothers = directory.join(name).try_exists();
        let entries = match is_anothers.and_then(|exists| if exists { Ok(Vec::new()) } else { entries(&directory) }) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            entries => entries?,
        };
        let prefix = format!("{}/", directory.file_name().unwrap_or_default().to_string_lossy());
        let known = siblings.len();
        for entry in &entries {
            // What was rotated there, but no backups of what lies beside the log.
            let found = sibling(entry, &prefix, &live_name, inodes)?;
            siblings.extend(found.filter(|found| !siblings[..known].iter().any(|other| is_same(other, found))));
        }
    }
    let mut seen = BTreeSet::new();
    siblings.retain(|sibling| seen.insert((sibling.facts.device, sibling.facts.inode)));
    Ok(siblings)
}

fn entries(directory: &Path) -> io::Result<Vec<DirEntry>> {
    let entries = std::fs::read_dir(directory)?.take(MAX_ENTRIES + 1).collect::<io::Result<Vec<_>>>()?;
    match entries.len() {
        0..=MAX_ENTRIES => Ok(entries),
        _ => Err(io::Error::other(format!("its directory has more than {MAX_ENTRIES} entries, too many to search"))),
    }
}

/// Whether both hold the same, as far as their sizes and ends tell.
fn is_same(one: &Sibling, other: &Sibling) -> bool {
    let same = || -> io::Result<bool> {
        identity::is_copy_of(&open_regular(&one.path)?, one.facts.size, &open_regular(&other.path)?)
    };
    one.facts.size == other.facts.size && same().unwrap_or(false)
}

fn sibling(entry: &DirEntry, prefix: &str, live_name: &str, inodes: &BTreeSet<u64>) -> io::Result<Option<Sibling>> {
    let name = entry.file_name().to_string_lossy().into_owned();
    if !inodes.contains(&entry.ino()) && classify(&name, live_name).is_none() {
        return Ok(None);
    }
    inspect(entry.path(), format!("{prefix}{name}"), live_name)
}

/// The regular file of this name beside `live`, if there is one.
pub(super) fn at(live: &Path, name: &str) -> io::Result<Option<Sibling>> {
    inspect(live.with_file_name(name), name.to_owned(), &live.file_name().unwrap_or_default().to_string_lossy())
}

/// The regular file at a path; none if it is another kind of thing, or has just been moved.
fn inspect(path: PathBuf, name: String, live_name: &str) -> io::Result<Option<Sibling>> {
    // Not following links: a link to a file is that file under another name, and it is listed under its own.
    let Some(metadata) = if_there(std::fs::symlink_metadata(&path))? else { return Ok(None) };
    let file_name = name.rsplit('/').next().unwrap_or_default();
    let (rank, form) = classify(file_name, live_name).unwrap_or((None, Form::of(file_name).1));
    Ok(metadata.is_file().then(|| Sibling { facts: identity::facts(&metadata), path, name, rank, form }))
}

/// A name without its last extension, and the extension with its dot.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The rank and the form of a name that is related to the log's; `None` if it is not.
fn classify(name: &str, live_name: &str) -> Option<(Option<Rank>, Form)> {
    const NO_RECORDS: [&str; 4] = [".lock", ".lck", ".pid", ".swp"];
    if name == live_name || NO_RECORDS.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let (base, form) = Form::of(name);
    if let Some(rank) = rank(base, live_name) {
        return Some((Some(rank), form));
    }
    let is_added = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-', '_', '~']);
    let of_stem = || base.strip_prefix(split(live_name).0).is_some_and(|rest| is_added(rest) && !is_word(rest));
    let is_related = name.strip_prefix(live_name).is_some_and(is_added) || form != Form::Plain && of_stem();
    is_related.then_some((None, Form::Unread))
}

/// Whether what follows the log's stem makes it another log's name, as `_events.jsonl`.
fn is_word(rest: &str) -> bool {
    rest.trim_start_matches(['.', '-', '_']).starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.starts_with('.')
}

pub(super) fn rank_of(name: &str, live_name: &str) -> Option<Rank> {
    classify(name.rsplit('/').next()?, live_name)?.0
}

/// The rank of a rotated name without what compression adds; `None` if it is not one.
fn rank(name: &str, live_name: &str) -> Option<Rank> {
    let (stem, extension) = split(live_name);
    // `x.jsonl.1.log`: what `gzip -S .log.gz` and logrotate's `compressext` leave.
    let bare = [".log", ".json", ".jsonl", ".txt"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let before_extension = || name.strip_prefix(stem)?.strip_suffix(extension);
    [name.strip_prefix(live_name), bare.strip_prefix(live_name), before_extension()]
        .into_iter()
        .flatten()
        .find_map(rank_of_suffix)
}

/// How a date begins whose order is known: those of `-20-10-2025` and `-20102025` do not.
static YEAR_AND_MONTH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^.(?:19|20)[0-9]{2}[^0-9]*(?:0[1-9]|1[0-2])").expect("a regular expression"));

/// The rank that is added to a name, as `.1` or `-2025-10-08_14-30`.
fn rank_of_suffix(added: &str) -> Option<Rank> {
    let shaped = added.starts_with(['.', '-', '_'])
        && added.bytes().all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(&byte));
    let digits: String = added.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        count if !shaped || count == 0 => None,
        1..=5 => digits.parse().ok().map(Reverse).map(Rank::Number),
        6 => Some(Rank::Unclear),
        7.. if YEAR_AND_MONTH.is_match(added) => Some(Rank::Date(digits)),
        // Seconds since 1970.
        10 if digits.len() == added.len() - 1 => Some(Rank::Date(digits)),
        _ => Some(Rank::Unclear),
    }
}

impl Sibling {
    /// Whether this one was rotated away later than `other`: by rank if both have one of the same sort, else by the
    /// time of their last change.
    pub(super) fn is_newer_than(&self, other: &Sibling) -> bool {
        match (&self.rank, &other.rank) {
            (Some(Rank::Number(mine)), Some(Rank::Number(others))) => mine > others,
            (Some(Rank::Date(mine)), Some(Rank::Date(others))) => mine > others,
            _ => self.facts.modified >= other.facts.modified,
        }
    }
}

/// Parts in the order they were written: by their ranks if those are all of one sort, else by the time of their last change,
/// which renaming and compressing keep. Of a part that is there both plain and compressed, as while a compressor works, the
/// plain one only.
pub(super) fn oldest_first(mut siblings: Vec<Sibling>) -> Vec<Sibling> {
    let plain: BTreeSet<String> = siblings.iter().filter(|s| s.form == Form::Plain).map(|s| s.name.clone()).collect();
    siblings.retain(|sibling| !sibling.form.is_compressed() || !plain.contains(Form::of(&sibling.name).0));
    let pure = siblings.iter().all(|sibling| matches!(sibling.rank, Some(Rank::Number(_))))
        || siblings.iter().all(|sibling| matches!(sibling.rank, Some(Rank::Date(_))));
    siblings.sort_by_cached_key(|sibling| {
        let modified = if pure { 0 } else { sibling.facts.modified };
        (modified, sibling.rank.clone(), sibling.name.clone())
    });
    siblings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_have_a_rank_and_others_do_not() {
        let number = |n| Some((Some(Rank::Number(Reverse(n))), Form::Plain));
        let date = |digits: &str| Some((Some(Rank::Date(digits.to_owned())), Form::Plain));
        let packed = |n, form| Some((Some(Rank::Number(Reverse(n))), form));
        let unread = Some((None, Form::Unread));
        for (name, expected) in [
            ("a.jsonl.1", number(1)),
            ("a.jsonl.12.gz", packed(12, Form::Gzip)),
            ("a.jsonl.1.xz", packed(1, Form::Xz)),
            ("a.1.jsonl.zst", packed(1, Form::Zstd)),
            ("a.jsonl.1.log.gz", packed(1, Form::Gzip)),
            ("a.jsonl.1.bz2", packed(1, Form::Unread)),
            ("a.jsonl.1.tar.gz", packed(1, Form::Unread)),
            ("a.jsonl.2.zip", packed(2, Form::Unread)),
            ("a.jsonl.2.Z", packed(2, Form::Unread)),
            ("a.1.jsonl", number(1)),
            ("a.jsonl-20251008", date("20251008")),
            ("a-20251008.jsonl", date("20251008")),
            ("a.jsonl.2025-10-08_14-30", date("202510081430")),
            ("a.jsonl-1759934302", date("1759934302")),
            ("scheduler.1", None),
            ("a.jsonl.20102025", Some((Some(Rank::Unclear), Form::Plain))),
            ("a.jsonl.08-10-2025", Some((Some(Rank::Unclear), Form::Plain))),
            ("a-20-10-2025.jsonl", Some((Some(Rank::Unclear), Form::Plain))),
            ("a.jsonl.bak", unread.clone()),
            ("a.jsonl~", unread.clone()),
            ("a.jsonl.1.tmp", unread.clone()),
            ("a.jsonl.lz", unread.clone()),
            ("a.tar.gz", unread.clone()),
            ("a-2025.zip", unread.clone()),
            ("a_other.jsonl", None),
            ("a_other.jsonl.gz", None),
            ("a.jsonl.lock", None),
            ("ab.jsonl.1", None),
            ("ab.zip", None),
            ("a.jsonl", None),
        ] {
            assert_eq!(classify(name, "a.jsonl"), expected, "{name}");
        }
    }
}
