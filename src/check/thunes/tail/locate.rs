//! Finds the parts of a cursor again and decides what is to be read, in which order. Nothing is read here beyond the
//! first and last bytes that tell one file from another.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::identity::{self, FileFacts, Skipped};
use super::siblings::{self, Sibling};
use crate::clock;
use crate::fs::{open_regular, read_capped};
use crate::model::thunes::{Cursor, Part};

/// One thing to do, in order.
pub(super) enum Step {
    /// Read this part from its position on.
    Read(Part, Found),
    /// This part needs no look: it is compressed and was read to its end.
    Known(Part),
    /// A part is gone before its end could be read.
    Lost {
        /// Which, and what that means.
        sentence: String,
    },
}

impl Step {
    pub(super) fn part(&self) -> Option<&Part> {
        match self {
            Step::Read(part, _) | Step::Known(part) => Some(part),
            Step::Lost { .. } => None,
        }
    }
}

/// Where a part is.
pub(super) enum Found {
    /// Opened already.
    Open(File),
    /// Under this name.
    At(PathBuf),
}

/// The identity of this boot of the machine; empty where the kernel does not tell.
pub(super) fn boot_id() -> String {
    let bytes = read_capped(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// What is to be done; `None` if the file is missing and what it was cannot be found under another name.
pub(super) fn steps(path: &Path, live: Option<File>, cursor: &Cursor) -> io::Result<Option<Vec<Step>>> {
    let live = match live {
        Some(file) => Some((FileFacts::of(&file.metadata()?), file)),
        None => None,
    };
    let inodes = cursor.parts.iter().map(|part| part.inode).collect();
    let mut search = Search { path, live, inodes, siblings: None, used: BTreeSet::new(), returned: None };
    match cursor.parts.split_last() {
        None => search.first_steps(),
        Some((current, older)) => search.next_steps(current, older, cursor),
    }
}

struct Search<'a> {
    path: &'a Path,
    /// What has the path's name now.
    live: Option<(FileFacts, File)>,
    /// Inodes worth a look whatever their name.
    inodes: BTreeSet<u64>,
    /// Listed only when something is not where it was.
    siblings: Option<Vec<Sibling>>,
    /// Inodes that have been recognised.
    used: BTreeSet<(u64, u64)>,
    /// An older part that has got the path's name back.
    returned: Option<Part>,
}

/// Where the part that was current at the last look has come to.
enum Current {
    /// It still has the path's name.
    Stayed,
    /// It still has it, but has lost its end: the machine went down before that reached the disk.
    CutShort(u64),
    /// It, or a copy of it, lies there.
    Moved(Sibling),
    /// It cannot be found.
    Gone {
        /// It was truncated in place, and not removed.
        truncated: bool,
    },
}

impl Search<'_> {
    /// Everything on disk, oldest first: what has been rotated away may hold the last word on the kill switch.
    fn first_steps(&mut self) -> io::Result<Option<Vec<Step>>> {
        let Some((live, file)) = self.live.take() else { return Ok(None) };
        let mut rotated = self.listed()?;
        rotated.retain(|sibling| sibling.rank.is_some() && !sibling.facts.same_file(&live));
        siblings::without_doubles(&mut rotated);
        let (mut steps, mut parts) = (Vec::new(), Vec::new());
        for sibling in rotated {
            match is_backup(&sibling, live.size, &file) {
                Ok(true) => {}
                Ok(false) => parts.push(sibling),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(e),
                Err(e) => {
                    let sentence =
                        format!("the rotated part {} cannot be read: {e}; its lines are missing", sibling.name);
                    steps.push(Step::Lost { sentence });
                }
            }
        }
        siblings::sort_oldest_first(&mut parts);
        steps.extend(parts.into_iter().map(from_start));
        steps.push(Step::Read(self.new_part(live), Found::Open(file)));
        Ok(Some(steps))
    }

    fn next_steps(&mut self, current: &Part, older: &[Part], cursor: &Cursor) -> io::Result<Option<Vec<Step>>> {
        if current.position == 0 {
            return self.steps_from_nothing(current, older);
        }
        let fate = self.find_current(current, cursor)?;
        if self.live.is_none() && matches!(fate, Current::Gone { .. }) {
            return Ok(None);
        }
        let mut steps = self.older_steps(older)?;
        match fate {
            Current::Stayed => {
                let part = self.named_as_live(current.clone());
                steps.extend(self.live.take().map(|(_, file)| Step::Read(part, Found::Open(file))));
            }
            Current::CutShort(position) => {
                let sentence = format!("{} lost its end when the machine went down", self.name());
                steps.push(Step::Lost { sentence });
                let mut part = self.named_as_live(current.clone());
                (part.position, part.in_long_line, part.long_line_marked) = (position, false, false);
                if let Some((_, file)) = self.live.take() {
                    identity::take(&file, &mut part)?;
                    steps.push(Step::Read(part, Found::Open(file)));
                }
            }
            Current::Moved(sibling) => {
                let newer = self.fresh(|other| other.is_newer_than(&sibling))?;
                steps.push(step_for(moved(current, &sibling), sibling));
                steps.extend(newer.into_iter().map(from_start));
                steps.extend(self.live_from_start());
            }
            Current::Gone { truncated } => {
                // A part that came after this one was written after the last look at this one.
                let newer = self.since(current.modified)?;
                // Truncating in place is a way to clear a file; nothing is known to be lost unless something was unread
                // or the truncation was part of a rotation whose copy should be there.
                let unread = current.size > current.position || !current.at_end;
                let lost = match truncated {
                    true => unread || newer.iter().any(|other| !other.facts.is(current) && !is_empty(other)),
                    false => current.size > 0,
                };
                if lost {
                    steps.push(Step::Lost { sentence: self.gone_sentence() });
                }
                steps.extend(newer.into_iter().map(from_start));
                steps.extend(self.live_from_start());
            }
        }
        Ok(Some(steps))
    }

    fn find_current(&mut self, current: &Part, cursor: &Cursor) -> io::Result<Current> {
        let truncated = if let Some((facts, file)) = self.live.as_ref().filter(|(facts, _)| facts.is(current)) {
            if identity::holds(file, facts.size, current)? {
                return Ok(Current::Stayed);
            }
            let another_boot = cursor.boot_id != boot_id();
            if another_boot && facts.size < current.position && identity::begins_with(file, current)? {
                return end_of_last_line(file, facts.size).map(Current::CutShort);
            }
            true
        } else if let Some(sibling) = self.find_by_identity(current)? {
            return Ok(Current::Moved(sibling));
        } else {
            // Truncated first and rotated afterwards.
            self.listed()?.iter().any(|sibling| sibling.facts.is(current))
        };
        if let Some(sibling) = self.find_by_content(current, truncated)? {
            return Ok(Current::Moved(sibling));
        }
        // Moved away and back, restored, or on a device that got another number: what was read is still there. A file of
        // one line repeated could just as well be the next one.
        if let Some((facts, file)) = &self.live
            && !truncated
            && identity::holds(file, facts.size, current)?
            && identity::is_telling(file)?
        {
            return Ok(Current::Stayed);
        }
        Ok(Current::Gone { truncated })
    }

    /// The parts before the current one: watched for lines of a writer that has not noticed the rotation, and dropped
    /// when they are gone, which they are meant to be some day.
    fn older_steps(&mut self, older: &[Part]) -> io::Result<Vec<Step>> {
        let mut steps = Vec::new();
        let mut untold = Vec::new();
        for part in older {
            if let Some((facts, file)) = self.live.as_ref().filter(|(facts, _)| facts.is(part))
                && identity::holds(file, facts.size, part)?
            {
                self.returned = Some(self.named_as_live(part.clone()));
                continue;
            }
            let found = match self.find_by_identity(part)? {
                Some(sibling) => Some(sibling),
                None => self.find_by_content(part, false)?,
            };
            match found {
                Some(sibling) => steps.push(step_for(moved(part, &sibling), sibling)),
                None if part.position == 0 && !part.compressed => untold.push(part),
                None => steps.extend(lost(part)),
            }
        }
        for part in untold {
            steps.extend(self.compressed_since(part)?.or_else(|| lost(part)));
        }
        Ok(steps)
    }

    /// What has become of a part of which nothing had been consumed, so that nothing tells it: a late line and
    /// compression since the last look leave a file that no other part is, and that is to be read from its start.
    fn compressed_since(&mut self, part: &Part) -> io::Result<Option<Step>> {
        let candidates = self.fresh(|other| other.compressed && other.facts.modified >= part.modified)?;
        let Some(sibling) = candidates.into_iter().next() else { return Ok(None) };
        let sibling = self.take(sibling);
        Ok(Some(step_for(moved(part, &sibling), sibling)))
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn listed(&mut self) -> io::Result<Vec<Sibling>> {
        if self.siblings.is_none() {
            self.siblings = Some(siblings::list(self.path, &self.inodes)?);
        }
        let siblings = self.siblings.as_deref().unwrap_or_default();
        let unused = siblings.iter().filter(|s| !self.used.contains(&(s.facts.device, s.facts.inode)));
        Ok(unused.cloned().collect())
    }

    fn take(&mut self, sibling: Sibling) -> Sibling {
        self.used.insert((sibling.facts.device, sibling.facts.inode));
        sibling
    }

    /// The very file, first under the name it had, then under any.
    fn find_by_identity(&mut self, part: &Part) -> io::Result<Option<Sibling>> {
        let is_it = |sibling: &Sibling| -> io::Result<bool> {
            let facts = &sibling.facts;
            if !facts.is(part) {
                return Ok(false);
            }
            let untouched = facts.size == part.size && facts.modified == part.modified;
            if untouched || part.compressed {
                return Ok(untouched);
            }
            identity::holds(&open_regular(&sibling.path)?, facts.size, part)
        };
        if let Some(sibling) = siblings::at(self.path, &part.name)
            && is_it(&sibling)?
        {
            return Ok(Some(self.take(sibling)));
        }
        for sibling in self.listed()? {
            if is_it(&sibling)? {
                return Ok(Some(self.take(sibling)));
            }
        }
        Ok(None)
    }

    /// A copy, compressed or not, that holds everything consumed of this part. Of a part that was truncated in place, a
    /// copy may also hold less: what was appended between copying and truncating.
    fn find_by_content(&mut self, part: &Part, truncated: bool) -> io::Result<Option<Sibling>> {
        if part.head.length == 0 {
            return Ok(None);
        }
        let mut candidates = self.listed()?;
        if let Some((live, _)) = &self.live {
            candidates.retain(|sibling| !sibling.facts.same_file(live));
        }
        siblings::without_doubles(&mut candidates);
        siblings::sort_oldest_first(&mut candidates);
        for sibling in candidates {
            let Ok(file) = open_regular(&sibling.path) else { continue };
            let holds = if sibling.compressed {
                let begins = Part { position: part.head.length, tail: Default::default(), ..part.clone() };
                matches!(identity::skip(&mut MultiGzDecoder::new(file), &begins, &|| false), Ok(Skipped::There))
            } else {
                identity::holds(&file, sibling.facts.size, part)?
                    || truncated
                        && sibling.rank.is_some()
                        && sibling.facts.size < part.position
                        && identity::begins_with(&file, part)?
                        && identity::is_telling(&file)?
            };
            if holds {
                return Ok(Some(self.take(sibling)));
            }
        }
        Ok(None)
    }

    /// Rotated files that no known part is, and that came after what is known.
    fn fresh(&mut self, is_newer: impl Fn(&Sibling) -> bool) -> io::Result<Vec<Sibling>> {
        let mut fresh = self.listed()?;
        let live = self.live.as_ref().map(|(facts, _)| *facts);
        fresh.retain(|sibling| {
            let is_live = live.is_some_and(|live| sibling.facts.same_file(&live));
            sibling.rank.is_some() && is_newer(sibling) && !is_live
        });
        siblings::without_doubles(&mut fresh);
        siblings::sort_oldest_first(&mut fresh);
        Ok(fresh)
    }

    /// Rotated files that no known part is, and that were written to at or after this time. A time that is still to come,
    /// left from when the clock was wrong, tells nothing: where the rank of such a file places it before a part that is
    /// known, it was read long ago.
    fn since(&mut self, modified: i64) -> io::Result<Vec<Sibling>> {
        self.listed()?;
        let is_used = |sibling: &&Sibling| self.used.contains(&(sibling.facts.device, sibling.facts.inode));
        let known: Vec<Sibling> = self.siblings.iter().flatten().filter(is_used).cloned().collect();
        let now = i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX);
        self.fresh(|other| {
            let outranked = other.facts.modified > now && known.iter().any(|known| known.is_newer_than(other));
            other.facts.modified >= modified && !outranked
        })
    }

    /// As long as nothing of the current file has been consumed, nothing tells what has become of it: then everything that
    /// was written since the last look is to be read from its start, but no copy of what has the path's name.
    fn steps_from_nothing(&mut self, current: &Part, older: &[Part]) -> io::Result<Option<Vec<Step>>> {
        let mut steps = self.older_steps(older)?;
        let mut parts = self.since(current.modified)?;
        if let Some((live, file)) = &self.live {
            let mut kept = Vec::new();
            for part in parts {
                if !is_copy(&part, live.size, file)? {
                    kept.push(part);
                }
            }
            parts = kept;
        }
        let gone = parts.is_empty() && !self.live.as_ref().is_some_and(|(facts, _)| facts.is(current));
        if gone && self.live.is_none() {
            return Ok(None);
        }
        if gone && current.size > 0 {
            steps.push(Step::Lost { sentence: self.gone_sentence() });
        }
        steps.extend(parts.into_iter().map(from_start));
        steps.extend(self.live_from_start());
        Ok(Some(steps))
    }

    fn gone_sentence(&self) -> String {
        format!("a rotated part of {} is gone before its end was read; its last lines are lost", self.name())
    }

    fn live_from_start(&mut self) -> Option<Step> {
        let (facts, file) = self.live.take()?;
        let part = self.returned.take().unwrap_or_else(|| self.new_part(facts));
        Some(Step::Read(part, Found::Open(file)))
    }

    fn new_part(&self, facts: FileFacts) -> Part {
        Part { name: self.name(), ..part_of(facts) }
    }

    fn named_as_live(&self, mut part: Part) -> Part {
        part.name = self.name();
        if let Some((facts, _)) = &self.live {
            (part.device, part.inode, part.born) = (facts.device, facts.inode, facts.born);
        }
        part
    }
}

/// What is to be said of an older part that cannot be found: nothing if it was read to its end.
fn lost(part: &Part) -> Option<Step> {
    let sentence =
        || format!("the rotated part {} is gone before its end was read; its last lines are lost", part.name);
    (!part.at_end).then(|| Step::Lost { sentence: sentence() })
}

fn part_of(facts: FileFacts) -> Part {
    let FileFacts { device, inode, born, size, modified } = facts;
    Part { device, inode, born, size, modified, ..Part::default() }
}

fn from_start(sibling: Sibling) -> Step {
    let part = Part { name: sibling.name.clone(), compressed: sibling.compressed, ..part_of(sibling.facts) };
    step_for(part, sibling)
}

/// A known part under its new name, and as the file it is now.
fn moved(part: &Part, sibling: &Sibling) -> Part {
    let same = sibling.facts.is(part);
    let mut moved = Part {
        name: sibling.name.clone(),
        device: sibling.facts.device,
        inode: sibling.facts.inode,
        born: sibling.facts.born,
        compressed: sibling.compressed,
        ..part.clone()
    };
    moved.at_end &= same;
    // A copy that is shorter than what was consumed has nothing to add.
    if !same && !moved.compressed && sibling.facts.size < moved.position {
        moved.position = sibling.facts.size;
        (moved.in_long_line, moved.long_line_marked) = (false, false);
        moved.head = Default::default();
        moved.tail = Default::default();
    }
    moved
}

fn step_for(part: Part, sibling: Sibling) -> Step {
    if part.compressed && part.at_end { Step::Known(part) } else { Step::Read(part, Found::At(sibling.path)) }
}

/// Whether a part holds nothing, and so is no trace of anything either.
fn is_empty(sibling: &Sibling) -> bool {
    if !sibling.compressed {
        return sibling.facts.size == 0;
    }
    open_regular(&sibling.path).is_ok_and(|file| matches!(MultiGzDecoder::new(file).read(&mut [0]), Ok(0)))
}

/// Whether a rotated name is only a backup copy of the file as it is: made by hand, or by a rotation that has not come to the
/// truncation yet. A file of one line repeated could just as well be another such file.
fn is_backup(sibling: &Sibling, live_size: u64, live: &File) -> io::Result<bool> {
    Ok(is_copy(sibling, live_size, live)? && identity::is_telling(&open_regular(&sibling.path)?)?)
}

fn is_copy(sibling: &Sibling, live_size: u64, live: &File) -> io::Result<bool> {
    let file = open_regular(&sibling.path)?;
    if sibling.compressed || sibling.facts.size > live_size {
        return Ok(false);
    }
    identity::is_copy_of(&file, sibling.facts.size, live)
}

/// The position after the last complete line of a file of this size.
fn end_of_last_line(file: &File, size: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let mut block = vec![0; 64 << 10];
    let mut end = size;
    while end > 0 {
        let from = end.saturating_sub(block.len() as u64);
        let bytes = &mut block[..usize::try_from(end - from).unwrap_or(0)];
        file.read_exact_at(bytes, from)?;
        if let Some(at) = memchr::memrchr(b'\n', bytes) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
