//! One line of input, bounded: a line too long is skipped to its end, not kept.

use std::io::{self, BufRead, Read};

/// No request to this server is longer; an argument is a handful of names.
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// A line was longer than the limit and has been skipped.
    TooLong,
    End,
}

/// Reads the next line. A last line without its newline counts.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    let ended = line.pop_if(|last| *last == b'\n').is_some();
    Ok(match line.len() {
        0 if !ended => Line::End,
        length if length <= MAX_BYTES => Line::Whole(line),
        _ => {
            if !ended {
                input.skip_until(b'\n')?;
            }
            Line::TooLong
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_is_skipped_and_the_next_one_read() {
        let mut text = vec![b'x'; MAX_BYTES + 1];
        text.extend_from_slice(b"\nnext\nlast");
        let mut input = io::BufReader::with_capacity(1000, &text[..]);
        assert_eq!(read_line(&mut input).expect("read"), Line::TooLong);
        assert_eq!(read_line(&mut input).expect("read"), Line::Whole(b"next".to_vec()));
        assert_eq!(read_line(&mut input).expect("read"), Line::Whole(b"last".to_vec()));
        assert_eq!(read_line(&mut input).expect("read"), Line::End);
    }
}
