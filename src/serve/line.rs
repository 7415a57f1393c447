//! One line of input, bounded: a line too long is skipped to its end, not kept.

use std::io::{self, BufRead};

/// No request to this server is longer; an argument is a handful of names.
const MAX_BYTES: usize = 4 << 20;

/// What reading brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, without its end.
    Whole(Vec<u8>),
    /// A line was longer than the limit and has been skipped.
    TooLong,
    /// The input has ended.
    End,
}

/// Reads the next line. A last line without its newline counts.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut buffer = Vec::new();
    let mut too_long = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(match (too_long, buffer.is_empty()) {
                (true, _) => Line::TooLong,
                (false, true) => Line::End,
                (false, false) => Line::Whole(buffer),
            });
        }
        let end = available.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(available.len());
        too_long |= buffer.len() + taken > MAX_BYTES;
        if too_long {
            buffer = Vec::new();
        } else {
            buffer.extend_from_slice(&available[..taken]);
        }
        input.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Whole(buffer) });
        }
    }
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
