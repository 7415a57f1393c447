//! An event stream while it is being read: a body in, events out, no more held than the limits allow.

use super::limits::{MESSAGE_BYTES, MESSAGE_TOO_LARGE, OVERDUE, Room, SMALL_BYTES};
use super::sse::{Event, Parser, TooLong};
use crate::clock::Deadline;
use crate::http::{Body, ErrorKind, HttpError};

const CHUNK: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Events {
    body: Body,
    parser: Parser,
    room: Option<Room>,
}

impl Events {
    pub(super) fn new(body: Body) -> Self {
        Events { body, parser: Parser::new(MESSAGE_BYTES), room: None }
    }

    /// The next event, with the room it takes if it is large; `None` at the end of the stream.
    /// Errors: What the body's reader says; [`ErrorKind::TooLarge`] for an event past [`MESSAGE_BYTES`];
    /// [`ErrorKind::Timeout`] when there was no room for a large one in time.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Option<(Event, Option<Room>)>, HttpError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(event) = self.parser.next() {
                let room = if event.data.len() > SMALL_BYTES { self.room.take() } else { None };
                return Ok(Some((event, room)));
            }
            let held = self.parser.held();
            if held <= SMALL_BYTES {
                self.room = None;
            } else if self.room.is_none() {
                self.room = Some(room(deadline)?);
            }
            let amount = read_some(&mut self.body, &mut chunk, self.room.as_ref(), held, deadline)?;
            if amount == 0 {
                return Ok(None);
            }
            self.parser.feed(&chunk[..amount]).map_err(|TooLong| too_large())?;
        }
    }
}

/// Reads a whole body as one message.
pub(super) fn read_message(body: &mut Body, deadline: Deadline) -> Result<(Vec<u8>, Option<Room>), HttpError> {
    let mut message = Vec::new();
    let mut room = None;
    let mut chunk = [0; CHUNK];
    loop {
        let amount = read_some(body, &mut chunk, room.as_ref(), message.len(), deadline)?;
        if amount == 0 {
            return Ok((message, room));
        }
        if message.len() + amount > MESSAGE_BYTES {
            return Err(too_large());
        }
        if room.is_none() && message.len() + amount > SMALL_BYTES {
            room = Some(self::room(deadline)?);
        }
        message.extend_from_slice(&chunk[..amount]);
    }
}

fn read_some(
    body: &mut Body,
    chunk: &mut [u8],
    room: Option<&Room>,
    held: usize,
    deadline: Deadline,
) -> Result<usize, HttpError> {
    let until = room.map_or(deadline, |room| room.until(held).min(deadline));
    match body.read_by(chunk, until) {
        Err(_) if until.passed() && !deadline.passed() => Err(HttpError::new(ErrorKind::Timeout, OVERDUE)),
        read => read,
    }
}

fn room(deadline: Deadline) -> Result<Room, HttpError> {
    Room::take(deadline)
        .ok_or_else(|| HttpError::new(ErrorKind::Timeout, "no time left while waiting for room for a large message"))
}

fn too_large() -> HttpError {
    HttpError::new(ErrorKind::TooLarge, MESSAGE_TOO_LARGE)
}
