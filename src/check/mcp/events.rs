//! An event stream while it is being read: a body in, events out, no more held than the limits allow.

use super::jsonrpc::Text;
use super::limits::{MESSAGE_BYTES, MESSAGE_TOO_LARGE, MemoryPermit, SMALL_BYTES, STALLED};
use super::sse::{Parser, TooLong};
use crate::clock::Deadline;
use crate::http::{Body, ErrorKind, HttpError};

const CHUNK: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Events {
    body: Body,
    parser: Parser,
    permit: Option<MemoryPermit>,
}

impl Events {
    pub(super) fn new(body: Body) -> Self {
        Events { body, parser: Parser::new(MESSAGE_BYTES), permit: None }
    }

    /// The name and data of the next event; `None` at the end of the stream.
    /// Errors: What the body's reader says; [`ErrorKind::TooLarge`] for an event past [`MESSAGE_BYTES`];
    /// [`ErrorKind::Timeout`] when a large one was not permitted in time.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Option<(String, Text)>, HttpError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(event) = self.parser.next() {
                let permit = if event.data.len() > SMALL_BYTES { self.permit.take() } else { None };
                return Ok(Some((event.name, Text::new(event.data, permit))));
            }
            let amount = read_some(&mut self.body, &mut chunk, &mut self.permit, self.parser.held(), deadline)?;
            if amount == 0 {
                return Ok(None);
            }
            self.parser.feed(&chunk[..amount]).map_err(|TooLong| too_large())?;
        }
    }
}

/// Reads a whole body as one message.
pub(super) fn read_message(body: &mut Body, deadline: Deadline) -> Result<Text, HttpError> {
    let (mut message, mut permit) = (Vec::new(), None);
    let mut chunk = [0; CHUNK];
    loop {
        let amount = read_some(body, &mut chunk, &mut permit, message.len(), deadline)?;
        if amount == 0 {
            return Ok(Text::new(message, permit));
        }
        if message.len() + amount > MESSAGE_BYTES {
            return Err(too_large());
        }
        message.extend_from_slice(&chunk[..amount]);
    }
}

/// Reads on in a message of which `held` bytes have come; a large one has or gets the permit.
fn read_some(
    body: &mut Body,
    chunk: &mut [u8],
    permit: &mut Option<MemoryPermit>,
    held: usize,
    deadline: Deadline,
) -> Result<usize, HttpError> {
    const BUSY: &str = "no time left while another large message was read";
    if held <= SMALL_BYTES {
        *permit = None;
    } else if permit.is_none() {
        let taken = MemoryPermit::take(deadline);
        *permit = Some(taken.ok_or_else(|| HttpError::new(ErrorKind::Timeout, BUSY))?);
    }
    let until = permit.as_ref().map_or(deadline, |permit| permit.until(held).min(deadline));
    match body.read_by(chunk, until) {
        Err(_) if until.passed() && !deadline.passed() => Err(HttpError::new(ErrorKind::Timeout, STALLED)),
        read => read,
    }
}

fn too_large() -> HttpError {
    HttpError::new(ErrorKind::TooLarge, MESSAGE_TOO_LARGE)
}
