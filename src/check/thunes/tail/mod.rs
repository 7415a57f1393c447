//! Follows an append-only file through everything that happens to such files, each complete line exactly once.
//!
//! A cursor is a list of parts, oldest first: the file that has the path's name and those that had it before. A check
//! finds every part again (by device, inode and birth, else by what it holds), puts behind them what rotation has made since,
//! and reads each from its position on. A part that rotation has moved is still watched: its writer may not have noticed.
//!
//! What is read is only believed if the file still holds, after the reading, what it held before; otherwise cursor and
//! totals go back to where they were and the check starts again.

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

pub(super) use self::lines::{Line, Lines};
use self::locate::Step;
use self::unpack::{Form, Unpacked};
use super::reading::ReadState;
use crate::clock::Deadline;
use crate::fs::{if_there, open_regular};
use crate::model::thunes::{Cursor, Fingerprint, Part};

/// Parts watched after they were read to their end.
const WATCHED_PARTS: usize = 8;

/// Checks in a row in which a part could not be read, or not even be unpacked to where its reading ended, until the others
/// go on without it.
const MAX_FAILURES: u8 = 3;

/// Checks begun anew because files changed under the reading.
const ATTEMPTS: usize = 4;

/// Reads what has been appended since the cursor was saved. Gives how far it came (where nothing was read, cursor and lines
/// are what they were), and sentences about lines that cannot be read any more.
pub(super) fn follow<T: Lines>(
    live: &Path,
    cursor: &mut Cursor,
    lines: &mut T,
    deadline: Deadline,
) -> (ReadState, Vec<String>) {
    let before = (cursor.clone(), lines.clone());
    for _ in 0..ATTEMPTS {
        let live = &without_links(live);
        let mut follower = Follower { live, cursor, lines, deadline, losses: Vec::new() };
        let error = match follower.run() {
            Ok(state) => return (state, follower.losses),
            Err(error) => error,
        };
        (*cursor, *lines) = before.clone();
        if error.kind() != io::ErrorKind::NotFound {
            return (ReadState::Unreadable(error.to_string()), Vec::new());
        }
        if deadline.passed() {
            break;
        }
    }
    (ReadState::Unsettled, Vec::new())
}

/// What was found has been moved or truncated since: as if it were not there any more, so that the check begins anew.
fn moved() -> io::Error {
    io::ErrorKind::NotFound.into()
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

struct Follower<'a, T> {
    live: &'a Path,
    cursor: &'a mut Cursor,
    lines: &'a mut T,
    deadline: Deadline,
    losses: Vec<String>,
}

impl<T: Lines> Follower<'_, T> {
    fn run(&mut self) -> io::Result<ReadState> {
        let live = if_there(open_regular(self.live))?;
        let Some(steps) = locate::steps(self.live, live, self.cursor)? else { return Ok(ReadState::Missing) };
        self.cursor.boot_id = find::boot_id();
        let last_read = steps.iter().rposition(|step| matches!(step, Step::Read(part, _) if part.position > 0));
        let last = steps.len().saturating_sub(1);
        let mut parts = Vec::with_capacity(steps.len());
        let (mut left, mut refused) = (0, None);
        for (index, step) in steps.into_iter().enumerate() {
            self.lines.late(last_read.is_some_and(|last| index < last));
            match step {
                Step::Lost(sentence) => self.lose(sentence),
                Step::Cleared => self
                    .lines
                    .lost("it was cleared or replaced, and lines written to it before that may not have been read"),
                Step::Read(mut part, path) => {
                    // Compressed and read to its end, it is not read again. In order, or the totals would see later events
                    // before earlier ones.
                    if left == 0 && !(part.compressed && part.at_end) {
                        refused = self.read_or_keep(&mut part, &path, index == last)?.or(refused);
                    }
                    if !is_done(&part) {
                        left += part.file.size.saturating_sub(part.position).max(1);
                    }
                    parts.push(part);
                }
            }
        }
        self.lines.late(false);
        let surplus = parts.len().saturating_sub(WATCHED_PARTS);
        let done = parts.iter().take(surplus).take_while(|part| is_done(part)).count();
        self.cursor.parts = parts.split_off(done);
        Ok(match refused {
            Some(sentence) => ReadState::Unreadable(sentence),
            None if left > 0 => ReadState::Behind(left),
            None => ReadState::Ready,
        })
    }

    fn lose(&mut self, sentence: String) {
        self.cursor.gaps = self.cursor.gaps.saturating_add(1);
        self.lines.lost(&sentence);
        self.losses.push(sentence);
    }

    /// Reads a part. A rotated one that the operating system refuses, of which a sentence is given, is tried again in the next
    /// checks, before any part after it is read; after [`MAX_FAILURES`] of them it is a loss, and the others go on.
    fn read_or_keep(&mut self, part: &mut Part, path: &Path, is_last: bool) -> io::Result<Option<String>> {
        let before = (part.clone(), self.lines.clone());
        let error = match self.read(part, path, is_last) {
            Err(error) if !is_last && error.kind() != io::ErrorKind::NotFound => error,
            read => {
                part.failures = 0;
                return read.map(|()| None);
            }
        };
        (*part, *self.lines) = before;
        part.failures = part.failures.saturating_add(1);
        let sentence = format!("the rotated part {} cannot be read: {error}", part.name);
        match part.failures {
            ..MAX_FAILURES => return Ok(Some(sentence)),
            MAX_FAILURES => self.lose(format!("{sentence}; its lines are missing")),
            _ => {}
        }
        Ok(None)
    }

    fn read(&mut self, part: &mut Part, path: &Path, is_last: bool) -> io::Result<()> {
        let file = open_regular(path)?;
        let facts = identity::facts(&file.metadata()?);
        // The name may mean another file by now.
        if !facts.is(&part.file) {
            return Err(moved());
        }
        (part.file.size, part.file.modified) = (facts.size, facts.modified);
        if part.compressed {
            return self.read_compressed(part, file);
        }
        let rest = self.read_plain(part, &file)?;
        if part.at_end && (part.in_long_line || !rest.is_empty()) {
            let rest = (!part.in_long_line).then_some(rest.as_slice());
            if is_last {
                self.lines.unfinished(rest, false);
            } else if part.given_up != part.file.size {
                self.lines.unfinished(rest, true);
                part.given_up = part.file.size;
            }
        }
        Ok(())
    }

    /// Gives what follows the last complete line.
    fn read_plain(&mut self, part: &mut Part, mut file: &File) -> io::Result<Vec<u8>> {
        if part.position == part.file.size {
            part.at_end = true;
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(part.position))?;
        let before = part.clone();
        let rest = lines::read(file, part, self.lines, self.deadline)?;
        // Truncated and written anew between the first check and the reading: then what was read may be anything.
        let size = file.metadata()?.len();
        if size < part.position || !identity::holds(file, size, &before)? {
            return Err(moved());
        }
        part.at_end = rest.is_some();
        let rest = rest.unwrap_or_default();
        part.file.size = part.file.size.max(part.position + rest.len() as u64);
        match identity::take(file, part) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(moved()),
            taken => taken.map(|()| rest),
        }
    }

    /// Reads a compressed part, which cannot grow: once, from its position to its end.
    fn read_compressed(&mut self, part: &mut Part, file: File) -> io::Result<()> {
        let deadline = self.deadline;
        let mut stream = Unpacked::new(file, Form::of(&part.name).1);
        let before = part.position;
        let ended = identity::skip(&mut stream, part, &|| deadline.passed()).and_then(|skipped| {
            if skipped != Some(true) {
                return Ok(Err(skipped));
            }
            let end = lines::read(stream, part, self.lines, deadline);
            // It cannot change, so its own identity is enough from here on.
            part.tail = Fingerprint::default();
            end.map(Ok)
        });
        let loss = match ended {
            Ok(Ok(Some(rest))) => {
                if part.in_long_line || !rest.is_empty() {
                    self.lines.unfinished((!part.in_long_line).then_some(rest.as_slice()), true);
                }
                None
            }
            Ok(Ok(None) | Err(None)) => {
                part.stalls = if part.position > before { 0 } else { part.stalls + 1 };
                if part.stalls < MAX_FAILURES {
                    return Ok(());
                }
                Some("it is too large to be unpacked within a pass")
            }
            Ok(Err(Some(_))) => Some("it does not hold what was read before"),
            // The decompressor refused, not the operating system.
            Err(error) if error.raw_os_error().is_none() => Some("its compressed data is damaged"),
            Err(error) => return Err(error),
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

#[cfg(test)]
mod tests;
