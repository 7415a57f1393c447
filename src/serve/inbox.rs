//! What the client has sent. It is read in a thread of its own, so that a cancellation is heard while an answer is still
//! being made; everything else waits its turn.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::Value;

use super::message;

/// Lines read ahead at most, each of them bounded: a client that sends more waits.
const READ_AHEAD: usize = 8;

/// No request to this server is longer; an argument is a handful of names.
pub(super) const MAX_BYTES: usize = 4 << 20;

pub(super) struct Inbox {
    reader: Receiver<io::Result<Vec<u8>>>,
    waiting: VecDeque<io::Result<Vec<u8>>>,
}

impl Inbox {
    /// Begins to read.
    pub(super) fn open(mut input: impl BufRead + Send + 'static) -> io::Result<Inbox> {
        let (sender, reader) = sync_channel(READ_AHEAD);
        std::thread::Builder::new().name("mcp input".into()).spawn(move || {
            while let Some(line) = read_line(&mut input).transpose() {
                let failed = line.is_err();
                if sender.send(line).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Inbox { reader, waiting: VecDeque::new() })
    }

    /// Waits for the next line; `None` once the client has closed its side.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.waiting.pop_front().or_else(|| self.reader.recv().ok()).transpose()
    }

    /// Whether the client has cancelled this request since. Never waits.
    pub(super) fn cancels(&mut self, request: &Value) -> bool {
        let room = READ_AHEAD - self.waiting.len();
        self.waiting.extend(self.reader.try_iter().take(room));
        let cancels = |line: &io::Result<Vec<u8>>| line.as_ref().is_ok_and(|line| message::cancels(line, request));
        let at = self.waiting.iter().position(cancels);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }
}

/// Reads the next line; `None` at the end. A last line without its newline counts; of one that is too long the rest is
/// skipped.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.by_ref().take(MAX_BYTES as u64 + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_none() && line.len() > MAX_BYTES {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_is_skipped_and_the_next_one_read() {
        let mut text = vec![b'x'; MAX_BYTES + 1];
        text.extend_from_slice(b"\nnext\nlast");
        let mut input = io::BufReader::with_capacity(1000, &text[..]);
        let mut next = || read_line(&mut input).expect("read");
        assert_eq!(next().map(|line| line.len()), Some(MAX_BYTES + 1));
        assert_eq!([next(), next(), next()], [Some(b"next".to_vec()), Some(b"last".to_vec()), None]);
    }
}
