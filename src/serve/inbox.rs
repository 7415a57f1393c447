//! What the client has sent. It is read in a thread of its own, so that a cancellation is heard while an answer is still
//! being made; everything else waits its turn.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use serde_json::Value;

use super::message;

/// Lines read ahead at most, each of them bounded: a client that sends more waits.
const READ_AHEAD: usize = 8;

/// No request to this server is longer; an argument is a handful of names.
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// A line was longer than the limit and has been skipped.
    TooLong,
    End,
}

pub(super) struct Inbox {
    reader: Receiver<io::Result<Line>>,
    waiting: VecDeque<io::Result<Line>>,
}

impl Inbox {
    /// Begins to read.
    pub(super) fn open(mut input: impl BufRead + Send + 'static) -> io::Result<Inbox> {
        let (sender, reader) = sync_channel(READ_AHEAD);
        std::thread::Builder::new().name("mcp input".into()).spawn(move || {
            loop {
                let line = read_line(&mut input);
                let last = matches!(line, Ok(Line::End) | Err(_));
                if sender.send(line).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Inbox { reader, waiting: VecDeque::new() })
    }

    /// The next line; waits for it.
    pub(super) fn next(&mut self) -> io::Result<Line> {
        // A reader that has gone has sent its last line.
        self.waiting.pop_front().or_else(|| self.reader.recv().ok()).unwrap_or(Ok(Line::End))
    }

    /// Whether the client has cancelled this request since. Never waits.
    pub(super) fn cancels(&mut self, request: &Value) -> bool {
        while self.waiting.len() < READ_AHEAD {
            match self.reader.try_recv() {
                Ok(line) => self.waiting.push_back(line),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let cancels =
            |line: &io::Result<Line>| matches!(line, Ok(Line::Whole(bytes)) if message::cancels(bytes, request));
        let at = self.waiting.iter().position(cancels);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }
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
