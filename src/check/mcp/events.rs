//! An event stream while it is being read: a body in, events out, no more held than the limits allow.

use std::time::Duration;

use super::limits::{MESSAGE_BYTES, OVERDUE, Room, SMALL_BYTES, TooLarge};
use super::sse::{Event, Parser, TooLong};
use crate::clock::Deadline;
use crate::http::{Body, ErrorKind, HttpError};

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;
/// How long a read of a large message waits before it looks whether others wait too.
const LOOKS_UP: Duration = Duration::from_millis(200);

/// A stream that is read event by event.
#[derive(Debug)]
pub(super) struct Events {
    body: Body,
    parser: Parser,
    room: Option<Room>,
}

impl Events {
    /// The events of a body.
    pub(super) fn new(body: Body) -> Self {
        Events { body, parser: Parser::new(MESSAGE_BYTES), room: None }
    }

    /// The next event, with the room it takes if it is large; `None` at the end of the stream.
    ///
    /// # Errors
    /// What the body's reader says; [`ErrorKind::TooLarge`] for an event past [`MESSAGE_BYTES`];
    /// [`ErrorKind::Timeout`] when there was no room for a large one in time.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Option<(Event, Option<Room>)>, HttpError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(event) = self.parser.next() {
                let room = if event.data.len() > SMALL_BYTES { self.room.take() } else { None };
                return Ok(Some((event, room)));
            }
            let held = self.parser.held();
            if !Room::suffices(self.room.as_ref(), held) {
                self.room = Some(room_for(held, deadline)?);
            } else if held <= SMALL_BYTES {
                self.room = None;
            }
            let amount = read_some(&mut self.body, &mut chunk, self.room.as_ref(), held)?;
            if amount == 0 {
                return Ok(None);
            }
            self.parser.feed(&chunk[..amount]).map_err(|TooLong| too_large())?;
        }
    }
}

/// Reads a whole body as one message.
///
/// # Errors
/// As [`Events::next`].
pub(super) fn read_message(body: &mut Body, deadline: Deadline) -> Result<(Vec<u8>, Option<Room>), HttpError> {
    let mut message = Vec::new();
    let mut room = None;
    let mut chunk = [0; CHUNK];
    loop {
        let amount = read_some(body, &mut chunk, room.as_ref(), message.len())?;
        if amount == 0 {
            return Ok((message, room));
        }
        if message.len() + amount > MESSAGE_BYTES {
            return Err(too_large());
        }
        if !Room::suffices(room.as_ref(), message.len() + amount) {
            room = Some(room_for(message.len() + amount, deadline)?);
        }
        message.extend_from_slice(&chunk[..amount]);
    }
}

/// Reads what comes next; whoever holds a room looks now and then whether it has to make way.
fn read_some(body: &mut Body, chunk: &mut [u8], room: Option<&Room>, held: usize) -> Result<usize, HttpError> {
    let Some(room) = room else { return body.read(chunk) };
    loop {
        if room.is_overdue(held) {
            return Err(HttpError::new(ErrorKind::Timeout, OVERDUE));
        }
        if let Some(amount) = body.read_within(chunk, LOOKS_UP)? {
            return Ok(amount);
        }
    }
}

fn room_for(bytes: usize, deadline: Deadline) -> Result<Room, HttpError> {
    Room::take(bytes, deadline.left())
        .ok_or_else(|| HttpError::new(ErrorKind::Timeout, "no time left while waiting for room for a large message"))
}

fn too_large() -> HttpError {
    HttpError::new(ErrorKind::TooLarge, TooLarge::Message.as_str())
}
