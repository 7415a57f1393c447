//! What the client has sent. It is read in a thread of its own, so that a cancellation is heard while an answer is still
//! being made; everything else waits its turn.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use serde_json::Value;

use super::line::{Line, read_line};
use super::message;

/// Lines read ahead at most, each of them bounded: a client that sends more waits.
const READ_AHEAD: usize = 8;

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
