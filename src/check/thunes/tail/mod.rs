//! Follows an append-only file through everything that happens to such files, each complete line exactly once.
//!
//! A cursor is a list of parts, oldest first: the file that has the path's name and those that had it before. A look
//! finds every part again (by device, inode and birth, else by what it holds), puts behind them what rotation has made since,
//! and reads each from its position on. A part that rotation has moved is still watched: its writer may not have noticed.
//!
//! What is read is only believed if the file still holds, after the reading, what it held before; otherwise cursor and
//! totals go back to where they were and the look starts again.

mod find;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod identity;
mod lines;
mod locate;
mod siblings;
mod unpack;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::find::Found;
use self::identity::{FileFacts, Skipped};
use self::lines::{Cutter, End, Place};
pub(super) use self::lines::{Line, Lines};
use self::locate::Step;
use self::unpack::{Form, Unpacked};
use super::reading::Standing;
use crate::clock::Deadline;
use crate::fs::open_regular;
use crate::model::thunes::{Cursor, Fingerprint, Part};

/// Parts watched after they were read to their end.
const WATCHED_PARTS: usize = 8;

/// Looks in a row in which a part could not be read, or not even be unpacked to where its reading ended, until the others
/// go on without it.
const MAX_FAILURES: u8 = 3;

/// Looks begun anew because files changed under the reading.
const ATTEMPTS: usize = 4;

/// What takes the lines and adds them up.
pub(super) trait Tally: Lines {
    /// What they add up to.
    type Totals: Clone;
    /// The totals so far.
    fn totals(&mut self) -> &mut Self::Totals;
    /// The time of the newest record.
    fn last_record(&self) -> Option<Timestamp>;
    /// Whether the file ends in an unfinished line that may be any event.
    fn is_waiting(&self) -> bool {
        false
    }
    /// The lines that follow were written before some that have already been counted (or, `false`, after all of them).
    fn late(&mut self, late: bool);
    /// Lines are missing before those that follow.
    fn lost(&mut self, why: &str);
    /// A file ends in these bytes of an unfinished line, or in one that is already too long. It may still be finished,
    /// unless it is `given_up` because the file was rotated away: then lines follow that were written later.
    fn unfinished(&mut self, rest: Option<&[u8]>, given_up: bool);
}

/// What a look found besides lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// How far it came. Where nothing was read, cursor and totals are what they were.
    pub(super) standing: Standing,
    /// Sentences about lines that cannot be read any more.
    pub(super) losses: Vec<String>,
}

/// Why nothing was read.
enum Trouble {
    /// The operating system said no.
    Unreadable(io::Error),
    /// Files were moved or truncated meanwhile.
    Unsettled,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Unreadable(error)
    }
}

/// Reads what has been appended since the cursor was saved.
pub(super) fn follow<T: Tally>(live: &Path, cursor: &mut Cursor, tally: &mut T, deadline: Deadline) -> Followed {
    let (cursor_before, totals_before) = (cursor.clone(), tally.totals().clone());
    for attempt in 1..=ATTEMPTS {
        let live = &without_links(live);
        let mut look = Look { live, cursor, tally, deadline, losses: Vec::new(), cutter: Cutter::default() };
        let trouble = match look.run() {
            Ok(standing) => return Followed { standing, losses: look.losses },
            Err(trouble) => trouble,
        };
        *cursor = cursor_before.clone();
        *tally.totals() = totals_before.clone();
        match trouble {
            // A file that was there when it was listed and gone when it was opened has been moved.
            Trouble::Unreadable(error) if error.kind() != io::ErrorKind::NotFound => {
                return Followed { standing: Standing::Unreadable(error.to_string()), losses: Vec::new() };
            }
            _ if attempt < ATTEMPTS && !deadline.passed() => {}
            _ => break,
        }
    }
    Followed { standing: Standing::Unsettled, losses: Vec::new() }
}

/// The file that a symbolic link leads to, though it may be missing: rotation happens beside it.
fn without_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

struct Look<'a, T> {
    live: &'a Path,
    cursor: &'a mut Cursor,
    tally: &'a mut T,
    deadline: Deadline,
    losses: Vec<String>,
    cutter: Cutter,
}

impl<T: Tally> Look<'_, T> {
    fn run(&mut self) -> Result<Standing, Trouble> {
        let live = match open_regular(self.live) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e.into()),
        };
        let Some(steps) = locate::steps(self.live, live, self.cursor)? else { return Ok(Standing::Missing) };
        self.cursor.boot_id = find::boot_id();
        let last_read = steps.iter().rposition(|step| step.part().is_some_and(|part| part.position > 0));
        let last = steps.len().saturating_sub(1);
        let mut parts = Vec::with_capacity(steps.len());
        let (mut left, mut refused) = (0, None);
        for (index, step) in steps.into_iter().enumerate() {
            self.tally.late(last_read.is_some_and(|last| index < last));
            match step {
                Step::Lost { sentence } => self.lose(sentence),
                Step::Cleared => self
                    .tally
                    .lost("it was cleared or replaced, and lines written to it before that may not have been read"),
                Step::Known(part) => parts.push(part),
                // In order, or the totals would see later events before earlier ones.
                Step::Read(part, _) if left > 0 => {
                    left += part.size.saturating_sub(part.position);
                    parts.push(part);
                }
                Step::Read(mut part, found) => {
                    if let Err(sentence) = self.read_or_keep(&mut part, found, index == last)? {
                        refused = Some(sentence);
                    }
                    if !is_done(&part) {
                        left += part.size.saturating_sub(part.position).max(1);
                    }
                    parts.push(part);
                }
            }
        }
        self.tally.late(false);
        let surplus = parts.len().saturating_sub(WATCHED_PARTS);
        let done = parts.iter().take(surplus).take_while(|part| is_done(part)).count();
        self.cursor.parts = parts.split_off(done);
        Ok(match refused {
            Some(sentence) => Standing::Unreadable(sentence),
            None if left > 0 => Standing::Behind { left },
            None => Standing::Ready,
        })
    }

    fn lose(&mut self, sentence: String) {
        self.cursor.gaps = self.cursor.gaps.saturating_add(1);
        self.tally.lost(&sentence);
        self.losses.push(sentence);
    }

    /// Reads a part. A rotated one that the operating system refuses is tried again in the next looks, before any part
    /// after it is read; after [`MAX_FAILURES`] of them it is a loss, and the others go on. The error is a sentence.
    fn read_or_keep(&mut self, part: &mut Part, found: Found, is_last: bool) -> Result<Result<(), String>, Trouble> {
        let (part_before, totals_before) = (part.clone(), self.tally.totals().clone());
        let error = match self.read(part, found, is_last) {
            Err(Trouble::Unreadable(error)) if !is_last && error.kind() != io::ErrorKind::NotFound => error,
            read => {
                part.failures = 0;
                return read.map(Ok);
            }
        };
        *part = part_before;
        *self.tally.totals() = totals_before;
        part.failures = part.failures.saturating_add(1);
        let sentence = format!("the rotated part {} cannot be read: {error}", part.name);
        match part.failures {
            ..MAX_FAILURES => return Ok(Err(sentence)),
            MAX_FAILURES => self.lose(format!("{sentence}; its lines are missing")),
            _ => {}
        }
        Ok(Ok(()))
    }

    fn read(&mut self, part: &mut Part, found: Found, is_last: bool) -> Result<(), Trouble> {
        let file = match found {
            Found::Open(file) => file,
            Found::At(path) => open_regular(&path)?,
        };
        let facts = FileFacts::of(&file.metadata()?);
        // The name may mean another file by now.
        if !facts.is(part) {
            return Err(Trouble::Unsettled);
        }
        (part.size, part.modified) = (facts.size, facts.modified);
        if part.compressed {
            return self.read_compressed(part, file);
        }
        self.read_plain(part, &file)?;
        if part.at_end && (part.in_long_line || part.position < part.size) {
            let rest = (!part.in_long_line).then(|| self.cutter.unfinished());
            if is_last {
                self.tally.unfinished(rest, false);
            } else if part.given_up != part.size {
                self.tally.unfinished(rest, true);
                part.given_up = part.size;
            }
        }
        Ok(())
    }

    fn read_plain(&mut self, part: &mut Part, mut file: &File) -> Result<(), Trouble> {
        if part.position == part.size {
            part.at_end = true;
            return Ok(());
        }
        file.seek(SeekFrom::Start(part.position))?;
        let mut place = place(part);
        let end = self.cutter.read(&mut file, &mut place, self.tally, self.deadline)?;
        // Truncated and written anew between the first look and the reading: then what was read may be anything.
        let size = file.metadata()?.len();
        if size < place.position || !identity::holds(file, size, part)? {
            return Err(Trouble::Unsettled);
        }
        put(part, place);
        part.at_end = end == End::Reached;
        let unfinished = if part.at_end { self.cutter.unfinished().len() as u64 } else { 0 };
        part.size = part.size.max(part.position + unfinished);
        identity::take(file, part).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Trouble::Unsettled,
            _ => Trouble::Unreadable(error),
        })
    }

    /// Reads a compressed part, which cannot grow: once, from its position to its end.
    fn read_compressed(&mut self, part: &mut Part, file: File) -> Result<(), Trouble> {
        let deadline = self.deadline;
        let mut stream = Unpacked::new(file, Form::of(&part.name).1);
        let before = part.position;
        let ended = identity::skip(&mut stream, part, &|| deadline.passed()).and_then(|skipped| {
            if skipped != Skipped::There {
                return Ok(Err(skipped));
            }
            let mut place = place(part);
            let end = self.cutter.read(&mut stream, &mut place, self.tally, deadline);
            put(part, place);
            // It cannot change, so its own identity is enough from here on.
            part.tail = Fingerprint::default();
            end.map(Ok)
        });
        let loss = match ended {
            Ok(Ok(End::Reached)) => {
                let rest = Some(self.cutter.unfinished()).filter(|_| !part.in_long_line);
                if rest != Some(b"") {
                    self.tally.unfinished(rest, true);
                }
                None
            }
            Ok(Ok(End::Deadline) | Err(Skipped::GaveUp)) => {
                part.stalls = if part.position > before { 0 } else { part.stalls + 1 };
                if part.stalls < MAX_FAILURES {
                    return Ok(());
                }
                Some("it is too large to be unpacked within a pass")
            }
            Ok(Err(_)) => Some("it does not hold what was read before"),
            Err(error) if is_damage(&error) => Some("its compressed data is damaged"),
            Err(error) => return Err(error.into()),
        };
        part.at_end = true;
        if let Some(why) = loss {
            self.lose(format!("the rest of the rotated part {} is lost: {why}", part.name));
        }
        Ok(())
    }
}

/// Whether parts after this one may be read, and this one be dropped once it is old.
fn is_done(part: &Part) -> bool {
    part.at_end || part.failures >= MAX_FAILURES
}

/// Whether the decompressor, not the operating system, refused.
fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn place(part: &Part) -> Place {
    Place { position: part.position, in_long_line: part.in_long_line }
}

fn put(part: &mut Part, place: Place) {
    (part.position, part.in_long_line) = (place.position, place.in_long_line);
}

#[cfg(test)]
mod tests;
