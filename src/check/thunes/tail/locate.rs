//! Decides what is to be read, in which order. Nothing is read here beyond the first and last bytes that tell one file
//! from another.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::MAX_FAILURES;
use super::find::{Current, Duplicate, Search, duplicate};
use super::identity;
use super::siblings::{self, Sibling};
use super::unpack::{Form, Unpacked};
use crate::fs::open_regular;
use crate::model::thunes::{Cursor, FileFacts, Part};

pub(super) enum Step {
    /// Read this part, which lies there, from its position on.
    Read(Part, PathBuf),
    /// Lines are missing here: a part is gone before its end could be read, or is in a form that is not read. Which, and
    /// what that means.
    Lost(String),
    /// Lines may be missing here: the file was cleared, and nobody knows what was written since everything had been read.
    Cleared,
}

/// What is to be done; `None` if the file is missing and what it was cannot be found under another name.
pub(super) fn steps(path: &Path, live: Option<File>, cursor: &Cursor) -> io::Result<Option<Vec<Step>>> {
    let mut search = Search::new(path, live, cursor)?;
    let steps = match cursor.parts.split_last() {
        None => search.first_steps()?,
        Some((current, older)) if current.position == 0 => search.steps_from_nothing(current, older)?,
        Some((current, older)) => search.next_steps(current, older, cursor)?,
    };
    // What has the path's name: a part that is known, or a new one.
    let new = |file| Part { name: search.name(), file, ..Part::default() };
    let live = search.live.as_ref().map(|(facts, _)| search.returned.clone().unwrap_or_else(|| new(*facts)));
    let live = live.map(|part| Step::Read(part, path.to_owned()));
    Ok(steps.map(|steps| steps.into_iter().chain(live).collect()))
}

impl Search<'_> {
    /// Everything on disk, oldest first: what has been rotated away may hold the newest evidence on the kill switch.
    fn first_steps(&mut self) -> io::Result<Option<Vec<Step>>> {
        if self.live.is_none() {
            return Ok(None);
        }
        let parts = self.fresh(|_| true)?;
        let mut steps = self.steps_for_new(parts.clone(), None)?;
        for sibling in self.listed()?.iter().filter(|sibling| sibling.rank.is_none()) {
            // Its place is not known: it may be as new as the newest.
            if sibling.facts.size > 0 && !self.is_known(sibling, &parts)? {
                steps.push(unread(sibling));
            }
        }
        Ok(Some(steps))
    }

    fn next_steps(&mut self, current: &Part, older: &[Part], cursor: &Cursor) -> io::Result<Option<Vec<Step>>> {
        let found = self.current(current, cursor)?;
        if self.live.is_none() && matches!(found, Current::Gone { .. }) {
            return Ok(None);
        }
        let mut steps = self.older_steps(older)?;
        match found {
            Current::Stayed(other) => {
                steps.extend(other.map(|other| self.ambiguous(&other)));
                self.returned = self.as_live(current);
            }
            Current::CutShort => {
                steps.push(Step::Lost(format!(
                    "{} lost its end when the machine went down; what was written to it since the last check is lost",
                    self.name()
                )));
                self.returned = self.as_live(current);
                if let (Some(part), Some((facts, file))) = (&mut self.returned, &self.live) {
                    // Where its old lines end is not known, and none may be counted twice.
                    (part.position, part.in_long_line) = (facts.size, false);
                    identity::take(file, part)?;
                }
            }
            Current::Moved { sibling, is_unique, is_replaced } => {
                let newer = self.fresh(|other| other.is_newer_than(&sibling))?;
                steps.extend(self.moved(current, sibling, is_unique));
                steps.extend(self.steps_for_new(newer, is_replaced.then_some(Step::Cleared))?);
            }
            Current::Gone { truncated } => {
                // A part that came after this one was written after this one was last checked.
                let newer = self.since(current.file.modified)?;
                // Truncating in place is a way to clear a file; something is known to be lost if something was unread or
                // the truncation was part of a rotation whose copy should be there.
                let mut lost = !truncated || current.file.size > current.position || !current.at_end;
                for other in newer.iter().filter(|other| !other.facts.is(&current.file)) {
                    lost = lost || !is_empty(other)?;
                }
                let doubt = if lost { Step::Lost(self.gone_sentence()) } else { Step::Cleared };
                steps.extend(self.steps_for_new(newer, Some(doubt))?);
            }
        }
        Ok(Some(steps))
    }

    /// As long as nothing of the current file has been consumed, only its identity tells what has become of it. Without
    /// that, everything that was written since the last check is to be read from its start, but no copy of what has the
    /// path's name.
    fn steps_from_nothing(&mut self, current: &Part, older: &[Part]) -> io::Result<Option<Vec<Step>>> {
        let mut steps = self.older_steps(older)?;
        let live = self.live.as_ref().map(|(facts, _)| *facts);
        let stayed = live.is_some_and(|live| live.is(&current.file));
        let itself = if stayed { None } else { self.by_identity(current)? };
        let is_found = itself.is_some();
        let mut parts = self.since(current.file.modified)?;
        // Written and cleared again, or replaced: a compressed file may be what it was, a plain one would be itself.
        let cleared = stayed && live.is_some_and(|live| live.size == 0 && live.modified != current.file.modified);
        let gone = match stayed {
            true => cleared && parts.is_empty(),
            false => !is_found && !parts.iter().any(|part| part.form.is_compressed()),
        };
        if gone && self.live.is_none() {
            return Ok(None);
        }
        let doubt = match gone {
            true => Some(Step::Lost(self.gone_sentence())),
            // A compressed file may be what it was, or what came after it.
            false => (!stayed && !is_found).then_some(Step::Cleared),
        };
        // Under whatever name: it is no other file.
        parts.extend(itself.map(|sibling| Sibling { form: Form::Plain, ..sibling }));
        steps.extend(self.steps_for_new(siblings::oldest_first(parts), doubt)?);
        Ok(Some(steps))
    }

    /// Reads these from their start, but not what is only a copy of the file itself. What is in doubt was written after the
    /// last plain one at the latest: each of those may have been copied from it, while a compressed one came later.
    fn steps_for_new(&self, siblings: Vec<Sibling>, mut doubt: Option<Step>) -> io::Result<Vec<Step>> {
        let place = siblings.iter().rposition(|sibling| sibling.form == Form::Plain).map_or(0, |at| at + 1);
        let mut steps = Vec::new();
        for (index, sibling) in siblings.into_iter().enumerate() {
            if index == place {
                steps.extend(doubt.take());
            }
            match self.duplicate(&sibling)? {
                Duplicate::Yes => {}
                Duplicate::No => steps.push(from_start(sibling)),
                Duplicate::Unknown => steps.push(self.ambiguous(&sibling)),
            }
        }
        steps.extend(doubt);
        Ok(steps)
    }

    fn duplicate(&self, sibling: &Sibling) -> io::Result<Duplicate> {
        self.live.as_ref().map_or(Ok(Duplicate::No), |(facts, file)| unless_denied(duplicate(sibling, facts, file)))
    }

    /// Whether an unranked file is a copy of what is read anyway.
    fn is_known(&self, sibling: &Sibling, parts: &[Sibling]) -> io::Result<bool> {
        let mut is_known = self.duplicate(sibling)? == Duplicate::Yes;
        for part in parts.iter().filter(|part| part.form == Form::Plain) {
            let copy = open_regular(&part.path).and_then(|file| duplicate(sibling, &part.facts, &file));
            is_known = is_known || unless_denied(copy)? == Duplicate::Yes;
        }
        Ok(is_known)
    }

    fn ambiguous(&self, other: &Sibling) -> Step {
        Step::Lost(format!(
            "{} and {} begin alike, and nothing tells which was read before; lines may be missing, or counted twice",
            self.name(),
            other.name
        ))
    }

    /// The parts before the current one: watched for lines of a writer that has not noticed the rotation, and dropped
    /// when they are gone, which they are meant to be some day.
    fn older_steps(&mut self, older: &[Part]) -> io::Result<Vec<Step>> {
        let mut steps = Vec::new();
        let mut without_content = Vec::new();
        for part in older {
            if let Some((facts, file)) = self.live.as_ref().filter(|(facts, _)| facts.is(&part.file))
                && identity::holds(file, facts.size, part)?
            {
                self.returned = self.as_live(part);
                continue;
            }
            let found = match self.by_identity(part)? {
                None => self.by_content(part, false)?,
                found => found.map(|sibling| (sibling, true)),
            };
            match found {
                Some((sibling, is_unique)) => steps.extend(self.moved(part, sibling, is_unique)),
                None if part.position == 0 && !part.compressed => without_content.push(part),
                None => steps.extend(lost(part)),
            }
        }
        for part in without_content {
            match self.compressed_since(part)? {
                Some(sibling) => steps.extend(self.moved(part, sibling, true)),
                None => steps.extend(lost(part)),
            }
        }
        Ok(steps)
    }

    fn gone_sentence(&self) -> String {
        format!(
            "{} was removed, replaced or cleared, or its rotated part is gone, before its end was read; what was written \
             to it since the last look is lost",
            self.name()
        )
    }

    /// A known part under its new name, and as the file it is now.
    fn moved(&self, part: &Part, sibling: Sibling, is_unique: bool) -> Vec<Step> {
        let mut steps = Vec::from_iter((!is_unique).then(|| self.ambiguous(&sibling)));
        let same = sibling.facts.is(&part.file);
        // Only the old name says how it is compressed.
        let is_renamed = same && part.compressed && !sibling.form.is_compressed();
        let name = if is_renamed { part.name.clone() } else { sibling.name };
        let mut moved = renamed(part, name, sibling.facts);
        moved.compressed = is_renamed || sibling.form.is_compressed();
        moved.at_end &= same;
        // A copy that is shorter than what was consumed has nothing to add.
        if !same && !moved.compressed && sibling.facts.size < moved.position {
            moved.position = sibling.facts.size;
            moved.in_long_line = false;
            moved.head = Default::default();
            moved.tail = Default::default();
        }
        steps.push(Step::Read(moved, sibling.path));
        steps
    }

    /// A known part as what has the path's name.
    fn as_live(&self, part: &Part) -> Option<Part> {
        self.live.as_ref().map(|(facts, _)| renamed(part, self.name(), *facts))
    }
}

/// A known part under another name, perhaps as another file; its size and time are still those of the last reading.
fn renamed(part: &Part, name: String, facts: FileFacts) -> Part {
    let file = FileFacts { size: part.file.size, modified: part.file.modified, ..facts };
    Part { name, file, ..part.clone() }
}

/// Whether a part holds nothing, and so is no trace of anything either.
fn is_empty(sibling: &Sibling) -> io::Result<bool> {
    if !sibling.form.is_compressed() {
        return Ok(sibling.facts.size == 0);
    }
    match Unpacked::new(open_regular(&sibling.path)?, sibling.form).read(&mut [0]) {
        Err(e) if e.raw_os_error().is_some() => Err(e),
        read => Ok(matches!(read, Ok(0))),
    }
}

/// A file that may not be read is no copy as far as can be told; another error may be over at the next check.
fn unless_denied(duplicate: io::Result<Duplicate>) -> io::Result<Duplicate> {
    match duplicate {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(Duplicate::No),
        duplicate => duplicate,
    }
}

fn unread(sibling: &Sibling) -> Step {
    let name = &sibling.name;
    Step::Lost(format!(
        "{name} is in a form, or under a name, that is not read; its lines are missing (plain, .gz, .xz and .zst are read)"
    ))
}

/// What is to be said of an older part that cannot be found: nothing if it was read to its end.
fn lost(part: &Part) -> Option<Step> {
    (!part.at_end && part.failures < MAX_FAILURES).then(|| {
        Step::Lost(format!("the rotated part {} is gone before its end was read; its last lines are lost", part.name))
    })
}

fn from_start(sibling: Sibling) -> Step {
    if sibling.form == Form::Unread {
        return unread(&sibling);
    }
    let compressed = sibling.form.is_compressed();
    Step::Read(Part { name: sibling.name, file: sibling.facts, compressed, ..Part::default() }, sibling.path)
}
