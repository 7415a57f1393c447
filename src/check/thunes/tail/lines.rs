//! Cuts a stream of appended bytes into lines, in memory that does not depend on their length.
//!
//! What a line is depends on the bytes alone, never on where a pass began or ended, so any split of a file into passes
//! gives the same lines: the byte order mark counts only at the very start; a line's end is LF, with a CR before it taken off;
//! NUL bytes before a line are the hole a crash or a truncation under an open writer leaves, and no part of it.

use std::io::{self, BufRead, BufReader, Read};

use crate::clock::Deadline;
use crate::model::thunes::Part;

/// Longer lines are counted and skipped.
pub(in crate::check::thunes) const MAX_LINE: usize = 1 << 20;

/// Room for a line of the longest kind, its CR and a byte order mark.
const HELD: usize = MAX_LINE + 4;

/// Bytes read between two checks of the deadline.
const BLOCK: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One complete line, or what stands in the place of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check::thunes) enum Line<'a> {
    /// Its bytes, without the line end.
    Whole(&'a [u8]),
    TooLong,
    /// NUL bytes before a line; reported once or more often, as they come.
    Hole,
}

/// Takes complete lines and adds them up. A clone is what a check that failed goes back to.
pub(in crate::check::thunes) trait Lines: Clone {
    fn line(&mut self, line: Line<'_>);
    /// The lines that follow were written before some that have already been counted (or, `false`, after all of them).
    fn late(&mut self, late: bool);
    /// Lines are missing before those that follow.
    fn lost(&mut self, why: &str);
    /// A file ends in these bytes of an unfinished line, or in one that is already too long. It may still be finished,
    /// unless it is `given_up` because the file was rotated away: then lines follow that were written later.
    fn unfinished(&mut self, rest: Option<&[u8]>, given_up: bool);
}

/// Reads `source`, which stands at the part's position, and moves that along. Gives what follows the last complete line
/// at the end of the file; `None` if the deadline came first.
/// Errors: What the operating system (or the decompressor) said; the position is then after the last line handed on.
pub(super) fn read(
    source: impl Read,
    part: &mut Part,
    lines: &mut impl Lines,
    deadline: Deadline,
) -> io::Result<Option<Vec<u8>>> {
    let mut source = BufReader::with_capacity(BLOCK, source);
    let mut line = Vec::new();
    let mut unchecked = 0;
    loop {
        let room = HELD + 1 - line.len();
        let read = source.by_ref().take(room as u64).read_until(b'\n', &mut line)?;
        if !part.in_long_line {
            let hole = line.iter().take_while(|byte| **byte == 0).count();
            if hole > 0 {
                lines.line(Line::Hole);
                line.drain(..hole);
                part.position += hole as u64;
            }
        }
        let is_whole = line.ends_with(b"\n");
        if is_whole {
            lines.line(if part.in_long_line { Line::TooLong } else { judge(&line, part.position == 0) });
        }
        // Nothing is kept of a line that is too long.
        part.in_long_line = !is_whole && (part.in_long_line || line.len() > HELD);
        if is_whole || part.in_long_line {
            part.position += line.len() as u64;
            line.clear();
        }
        if read == 0 {
            return Ok(Some(line));
        }
        unchecked += read;
        if unchecked >= BLOCK {
            if deadline.passed() {
                return Ok(None);
            }
            unchecked = 0;
        }
    }
}

fn judge(line: &[u8], first: bool) -> Line<'_> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
    if line.len() > MAX_LINE { Line::TooLong } else { Line::Whole(line) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default, Clone)]
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

        fn late(&mut self, _: bool) {}
        fn lost(&mut self, _: &str) {}
        fn unfinished(&mut self, _: Option<&[u8]>, _: bool) {}
    }

    /// Cuts `bytes`, first grown to each of `ends` and read in a pass of its own.
    fn cut(bytes: &[u8], ends: &[usize]) -> (Vec<String>, Part) {
        let (mut seen, mut place) = (Seen::default(), Part::default());
        for end in ends.iter().copied().chain([bytes.len()]) {
            let from = usize::try_from(place.position).expect("small");
            let deadline = Deadline::after(Duration::from_secs(60));
            read(&bytes[from..end.max(from)], &mut place, &mut seen, deadline).expect("no error in memory");
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
