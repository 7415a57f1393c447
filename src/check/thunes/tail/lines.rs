//! Cuts a stream of appended bytes into lines, in memory that does not depend on their length.
//!
//! What a line is depends on the bytes alone, never on where a pass began or ended, so any split of a file into passes
//! gives the same lines: the byte order mark counts only at the very start; a line's end is LF, with a CR before it taken off;
//! NUL bytes before a line are the hole a crash or a truncation under an open writer leaves, and no part of it.

use std::io::{self, Read};

use memchr::memchr;

use crate::clock::Deadline;

/// Longer lines are counted and skipped.
pub(in crate::check::thunes) const MAX_LINE: usize = 1 << 20;

/// Room for a line of the longest kind, its CR and a byte order mark.
const HELD: usize = MAX_LINE + 4;

/// Bytes asked for at a time: enough to make the calls cheap, little enough to stay in the processor's cache.
const BLOCK: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One complete line, or what stands in the place of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check::thunes) enum Line<'a> {
    /// Its bytes, without the line end.
    Whole(&'a [u8]),
    /// It was over [`MAX_LINE`].
    TooLong,
    /// NUL bytes before a line; reported once or more often, as they come.
    Hole,
}

/// Takes complete lines.
pub(in crate::check::thunes) trait Lines {
    /// One more line.
    fn line(&mut self, line: Line<'_>);
}

/// Where the cutting stands; what a cursor keeps of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes consumed.
    pub(super) position: u64,
    /// They end inside a line that is already too long.
    pub(super) in_long_line: bool,
}

/// How a reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At the end of the file; [`Cutter::unfinished`] holds what follows the last complete line.
    Reached,
    /// At the deadline, at a line's end.
    Deadline,
}

/// A buffer that is reused from file to file.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: Vec<u8>,
    unfinished: usize,
}

impl Cutter {
    /// Reads `source`, which stands at `place`, to its end or to the deadline, and moves `place` along.
    ///
    /// # Errors
    /// What the operating system (or the decompressor) said; `place` then stands after the last line handed on.
    pub(super) fn read(
        &mut self,
        source: &mut dyn Read,
        place: &mut Place,
        lines: &mut dyn Lines,
        deadline: Deadline,
    ) -> io::Result<End> {
        // `held[..filled]` are the bytes read and not yet consumed.
        let mut filled = 0;
        loop {
            self.make_room(filled);
            let read = match source.read(&mut self.held[filled..]) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let searched = filled;
            filled += read;
            let consumed = self.cut(searched, filled, place, lines);
            self.held.copy_within(consumed..filled, 0);
            filled -= consumed;
            if read == 0 {
                self.unfinished = filled;
                return Ok(End::Reached);
            }
            if deadline.passed() {
                return Ok(End::Deadline);
            }
        }
    }

    /// The bytes after the last complete line of what was read to its end.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.held[..self.unfinished]
    }

    /// Makes sure that a block fits behind the bytes held.
    fn make_room(&mut self, filled: usize) {
        if self.held.len() < filled + BLOCK / 4 {
            let wanted = (filled + BLOCK).min(HELD + BLOCK);
            self.held.resize(wanted.max(BLOCK), 0);
        }
    }

    /// Hands on every complete line of `held[..filled]`, of which `..searched` is known to hold no line end, and gives
    /// the number of bytes consumed.
    fn cut(&self, searched: usize, filled: usize, place: &mut Place, lines: &mut dyn Lines) -> usize {
        let bytes = &self.held[..filled];
        let mut start = 0;
        let mut search = searched;
        loop {
            if !place.in_long_line {
                let holes = bytes[start..].iter().take_while(|byte| **byte == 0).count();
                if holes > 0 {
                    lines.line(Line::Hole);
                }
                start += holes;
                place.position += holes as u64;
                search = search.max(start);
            }
            let Some(end) = memchr(b'\n', &bytes[search..]).map(|at| search + at) else { break };
            if place.in_long_line {
                lines.line(Line::TooLong);
                place.in_long_line = false;
            } else {
                lines.line(judge(&bytes[start..end], place.position == 0));
            }
            place.position += (end + 1 - start) as u64;
            start = end + 1;
            search = start;
        }
        start + let_go(&bytes[start..], place)
    }
}

/// Decides how many bytes of an unfinished line can be let go already: none of one that may still be whole, all of one
/// that is too long.
fn let_go(rest: &[u8], place: &mut Place) -> usize {
    if !place.in_long_line && rest.len() <= HELD {
        return 0;
    }
    place.in_long_line = true;
    place.position += rest.len() as u64;
    rest.len()
}

fn judge(raw: &[u8], first: bool) -> Line<'_> {
    let line = raw.strip_suffix(b"\r").unwrap_or(raw);
    let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
    if line.len() > MAX_LINE { Line::TooLong } else { Line::Whole(line) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Lines for Seen {
        fn line(&mut self, line: Line<'_>) {
            self.0.push(match line {
                Line::Whole(bytes) if bytes.len() > 100 => format!("{} bytes", bytes.len()),
                Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Line::TooLong => "too long".to_owned(),
                Line::Hole => return,
            });
        }
    }

    /// Cuts `bytes`, first grown to each of `ends` and read in a pass of its own.
    fn cut(bytes: &[u8], ends: &[usize]) -> (Vec<String>, Place) {
        let (mut seen, mut place) = (Seen::default(), Place::default());
        for end in ends.iter().copied().chain([bytes.len()]) {
            let from = usize::try_from(place.position).expect("small");
            let mut source = &bytes[from..end.max(from)];
            let deadline = Deadline::after(Duration::from_secs(60));
            Cutter::default().read(&mut source, &mut place, &mut seen, deadline).expect("no error in memory");
        }
        (seen.0, place)
    }

    #[test]
    fn line_ends_marks_and_holes_are_no_part_of_a_line() {
        let bytes = b"\xef\xbb\xbfone\r\ntwo\n\n\0\0\0three\n\xef\xbb\xbffour\n\0\0\nfi\0ve\rx\npart";
        let (lines, place) = cut(bytes, &[]);
        assert_eq!(lines, ["one", "two", "", "three", "\u{feff}four", "", "fi\0ve\rx"]);
        assert_eq!(place.position, bytes.len() as u64 - 4);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_too_long() {
        let mut bytes = vec![b'a'; MAX_LINE];
        bytes.extend(b"\r\n");
        bytes.extend(vec![b'b'; MAX_LINE + 1]);
        bytes.extend(b"\nshort\n");
        let (lines, _) = cut(&bytes, &[]);
        assert_eq!(lines, ["1048576 bytes", "too long", "short"]);
    }

    #[test]
    fn an_endless_line_is_let_go_as_it_comes_and_counted_when_it_ends() {
        let mut bytes = vec![b'a'; 5 * MAX_LINE];
        let (lines, place) = cut(&bytes, &[2 * MAX_LINE, 3 * MAX_LINE]);
        assert!(lines.is_empty() && place.in_long_line);
        assert_eq!(bytes.len() as u64, place.position);
        bytes.extend(b"\nnext\n");
        assert_eq!(cut(&bytes, &[2 * MAX_LINE, 3 * MAX_LINE]).0, ["too long", "next"]);
    }

    proptest! {
        #![proptest_config(crate::check::thunes::tests::cases(40))]
        #[test]
        fn any_split_into_passes_gives_the_same_lines(
            pieces in prop::collection::vec(prop_oneof![
                "[a-c]{0,5}", Just("\n".to_owned()), Just("\r\n".to_owned()), Just("\0".to_owned()), Just("\u{feff}".to_owned()),
                (MAX_LINE - 3..MAX_LINE + 9).prop_map(|n| "x".repeat(n)),
            ], 0..24),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = pieces.concat().into_bytes();
            let mut ends: Vec<usize> = ends.iter().map(|end| end.index(bytes.len() + 1)).collect();
            ends.sort_unstable();
            let (whole, split) = (cut(&bytes, &[]), cut(&bytes, &ends));
            prop_assert_eq!(whole.0, split.0);
        }
    }
}
