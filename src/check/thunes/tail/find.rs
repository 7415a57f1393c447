//! Finds files of a log again: by what they are, else by what they hold.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::identity;
use super::siblings::{self, Rank, Sibling};
use super::unpack::{Form, Unpacked};
use crate::clock;
use crate::fs::{open_regular, read_capped};
use crate::model::thunes::{Cursor, FileFacts, Part};

/// Where the part that was current at the last check has come to.
pub(super) enum Current {
    /// It still has the path's name and holds what was read. If nothing in that tells it from another file, and another
    /// one holds it too, it may have been copied, truncated and written again.
    Stayed(Option<Sibling>),
    /// It still has it, but has lost its end: the machine went down before that reached the disk. It may have grown since.
    CutShort,
    /// It, or a copy of it, lies there.
    Moved {
        sibling: Sibling,
        /// What it holds tells it from every other.
        is_unique: bool,
        /// A plain copy lies there, and itself is gone: what was written to it after the copying is not known.
        is_replaced: bool,
    },
    /// It cannot be found, nor can what was written to it since the last check.
    Gone { truncated: bool },
}

/// Whether a file holds again what another one begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicate {
    /// A backup, or a rotation by copying that has not come to the truncation yet.
    Yes,
    No,
    Unknown,
}

pub(super) struct Search<'a> {
    path: &'a Path,
    /// What has the path's name now.
    pub(super) live: Option<(FileFacts, File)>,
    /// What was read before: worth a look whatever its name.
    parts: &'a [Part],
    /// Listed only when something is not where it was.
    siblings: Option<Vec<Sibling>>,
    /// Devices and inodes that have been recognised.
    used: BTreeSet<(u64, u64)>,
    /// An older part that has got the path's name back.
    pub(super) returned: Option<Part>,
}

pub(super) fn boot_id() -> String {
    let bytes = read_capped(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

impl<'a> Search<'a> {
    pub(super) fn new(path: &'a Path, live: Option<File>, cursor: &'a Cursor) -> io::Result<Search<'a>> {
        let with_facts = |file: File| Ok::<_, io::Error>((identity::facts(&file.metadata()?), file));
        let live = live.map(with_facts).transpose()?;
        Ok(Search { path, live, parts: &cursor.parts, siblings: None, used: BTreeSet::new(), returned: None })
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What lies beside the file and has not been recognised. Another link to what has the path's name is no other file.
    pub(super) fn listed(&mut self) -> io::Result<Vec<Sibling>> {
        if self.siblings.is_none() {
            let inodes = self.parts.iter().map(|part| part.file.inode).collect();
            self.siblings = Some(siblings::list(self.path, &inodes)?);
        }
        let mut siblings = self.siblings.clone().unwrap_or_default();
        siblings.retain(|sibling| {
            !self.used.contains(&(sibling.facts.device, sibling.facts.inode))
                && self.live.as_ref().is_none_or(|(live, _)| !sibling.facts.same_file(live))
        });
        Ok(siblings)
    }

    fn take(&mut self, sibling: Sibling) -> Sibling {
        self.used.insert((sibling.facts.device, sibling.facts.inode));
        sibling
    }

    pub(super) fn current(&mut self, current: &Part, cursor: &Cursor) -> io::Result<Current> {
        let truncated = if let Some((facts, file)) = self.live.as_ref().filter(|(facts, _)| facts.is(&current.file)) {
            if identity::holds(file, facts.size, current)? {
                let is_unique = facts.modified == current.file.modified
                    || identity::distinctive_lines(&identity::head(file)?, current.position, u8::is_ascii_digit) > 0;
                let other = if is_unique { None } else { self.by_content(current, false)? };
                return Ok(Current::Stayed(other.map(|(sibling, _)| sibling)));
            }
            let another_boot = cursor.boot_id != boot_id();
            if another_boot && identity::begins_with(file, current)? {
                return Ok(Current::CutShort);
            }
            true
        } else if let Some(sibling) = self.by_identity(current)? {
            return Ok(Current::Moved { sibling, is_unique: true, is_replaced: false });
        } else {
            // Truncated first and rotated afterwards.
            self.listed()?.iter().any(|sibling| sibling.facts.is(&current.file))
        };
        if let Some((sibling, is_unique)) = self.by_content(current, truncated)? {
            let is_replaced = !truncated && sibling.form == Form::Plain;
            return Ok(Current::Moved { sibling, is_unique, is_replaced });
        }
        // Moved away and back, restored, or on a device that got another number: what was read is still there.
        if let Some((facts, file)) = &self.live
            && !truncated
            && identity::holds(file, facts.size, current)?
            && identity::distinctive_lines(&identity::head(file)?, current.position, u8::is_ascii_digit) > 1
        {
            return Ok(Current::Stayed(None));
        }
        Ok(Current::Gone { truncated })
    }

    /// The very file, first under the name it had, then under any.
    pub(super) fn by_identity(&mut self, part: &Part) -> io::Result<Option<Sibling>> {
        if let Some(sibling) = siblings::at(self.path, &part.name)?
            && is_same_file(&sibling, part)?
        {
            return Ok(Some(self.take(sibling)));
        }
        for sibling in self.listed()? {
            if is_same_file(&sibling, part)? {
                return Ok(Some(self.take(sibling)));
            }
        }
        Ok(None)
    }

    /// A copy, compressed or not, that holds everything consumed of this part, and whether that tells it from other files.
    /// Of a part that was truncated in place, a copy may also hold less: what was appended between copying and truncating.
    pub(super) fn by_content(&mut self, part: &Part, truncated: bool) -> io::Result<Option<(Sibling, bool)>> {
        if part.head.length == 0 {
            return Ok(None);
        }
        let mut candidates = self.listed()?;
        let since = part.file.modified.min(now());
        candidates.retain(|sibling| {
            self.may_become(part, sibling) && !is_before(sibling.facts.modified, since, 1_000_000_000)
        });
        for sibling in siblings::oldest_first(candidates) {
            match self.holds(&sibling, part, truncated) {
                Ok(None) => {}
                Ok(Some(is_unique)) => return Ok(Some((self.take(sibling), is_unique))),
                // Nobody who may not read it can say more. Anything else may be over at the next check.
                Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Whether a file, which is no other part, holds everything consumed of this one; and whether that tells it from others.
    fn holds(&self, sibling: &Sibling, part: &Part, truncated: bool) -> io::Result<Option<bool>> {
        for other in self.parts {
            if !other.file.same_file(&part.file) && is_same_file(sibling, other)? {
                return Ok(None);
            }
        }
        let file = open_regular(&sibling.path)?;
        let holds = match sibling.form {
            Form::Unread => false,
            Form::Plain => {
                let has_less = || sibling.rank.is_some() && sibling.facts.size < part.position;
                identity::holds(&file, sibling.facts.size, part)?
                    || truncated && has_less() && identity::begins_with(&file, part)?
            }
            form => {
                let begins = Part { position: part.head.length, tail: Default::default(), ..part.clone() };
                match identity::skip(&mut Unpacked::new(file, form), &begins, &|| false) {
                    Err(e) if e.raw_os_error().is_some() => return Err(e),
                    skipped => matches!(skipped, Ok(Some(true))),
                }
            }
        };
        if !holds {
            return Ok(None);
        }
        let head = identity::head_of(Unpacked::new(open_regular(&sibling.path)?, sibling.form))?;
        Ok(Some(identity::distinctive_lines(&head, part.position, u8::is_ascii_alphanumeric) > 0))
    }

    /// Rotated files that no known part is, and that came after what is known.
    pub(super) fn fresh(&mut self, is_newer: impl Fn(&Sibling) -> bool) -> io::Result<Vec<Sibling>> {
        let mut fresh = self.listed()?;
        fresh.retain(|sibling| sibling.rank.is_some() && is_newer(sibling));
        Ok(siblings::oldest_first(fresh))
    }

    /// Rotated files that no known part is, and that were written to at or after this time. A time that is still to come,
    /// left from when the clock was wrong, tells nothing: where the rank of such a file places it before a part that is
    /// known, it was read long ago.
    pub(super) fn since(&mut self, modified: i64) -> io::Result<Vec<Sibling>> {
        self.listed()?;
        let is_used = |sibling: &&Sibling| self.used.contains(&(sibling.facts.device, sibling.facts.inode));
        let known: Vec<Sibling> = self.siblings.iter().flatten().filter(is_used).cloned().collect();
        let now = now();
        self.fresh(|other| {
            let outranked = other.facts.modified > now && known.iter().any(|known| known.is_newer_than(other));
            !is_before(other.facts.modified, modified, 1_000) && !outranked
        })
    }

    /// What has become of a part of which nothing had been consumed, so that nothing tells it: a late line and
    /// compression since the last check leave a file that no other part is, and that is to be read from its start.
    pub(super) fn compressed_since(&mut self, part: &Part) -> io::Result<Option<Sibling>> {
        let mut candidates = self
            .fresh(|other| other.form.is_compressed() && !is_before(other.facts.modified, part.file.modified, 1_000))?;
        candidates.retain(|other| self.may_become(part, other));
        Ok(candidates.into_iter().next().map(|sibling| self.take(sibling)))
    }

    /// Whether rotation may have made this of a part: it counts up and leaves a date as it is.
    fn may_become(&self, part: &Part, sibling: &Sibling) -> bool {
        match (siblings::rank_of(&part.name, &self.name()), &sibling.rank) {
            (Some(Rank::Number(was)), Some(Rank::Number(is))) => is.0 >= was.0,
            (Some(Rank::Date(was)), Some(Rank::Date(is))) => *is == was,
            _ => true,
        }
    }
}

fn is_same_file(sibling: &Sibling, part: &Part) -> io::Result<bool> {
    let facts = &sibling.facts;
    if !facts.is(&part.file) {
        return Ok(false);
    }
    let untouched = (facts.size, facts.modified) == (part.file.size, part.file.modified);
    if untouched || part.compressed {
        return Ok(untouched);
    }
    identity::holds(&open_regular(&sibling.path)?, facts.size, part)
}

/// Whether a rotated file is only a copy of what this one begins with.
pub(super) fn duplicate(sibling: &Sibling, facts: &FileFacts, file: &File) -> io::Result<Duplicate> {
    let size = sibling.facts.size;
    if sibling.form.is_compressed()
        || size > facts.size
        || !identity::is_copy_of(&open_regular(&sibling.path)?, size, file)?
    {
        return Ok(Duplicate::No);
    }
    let head = identity::head(file)?;
    let is_line = head.len() as u64 <= size || head[..usize::try_from(size).unwrap_or(0)].contains(&b'\n');
    let is_older = sibling.facts.born.zip(facts.born).is_some_and(|(its, ours)| its < ours);
    Ok(match identity::distinctive_lines(&head, size, u8::is_ascii_digit) {
        // What was there before it is no copy of it; and without a line it counts for nothing.
        _ if is_older || !is_line => Duplicate::No,
        2.. => Duplicate::Yes,
        _ => Duplicate::Unknown,
    })
}

/// Whether one time of a change is before another. What compresses or copies may keep no more of it than `unit` nanoseconds.
fn is_before(one: i64, other: i64, unit: i64) -> bool {
    one / unit < other / unit
}

fn now() -> i64 {
    i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX)
}
