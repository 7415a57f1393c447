//! How much a server may say, and how much of it is held in memory at a time.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Deadline;
use crate::model::reason::{Failure, Reason};
use crate::proc::{Place, Places};

/// Bytes of one message.
pub(crate) const MESSAGE_BYTES: usize = 16 << 20;

/// Bytes read in one check, all messages together.
pub(crate) const CHECK_BYTES: u64 = 64 << 20;

/// A message up to this size is just read; a larger one needs [`Room`].
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// Up to this size a message needs a middle room, above it the large one. No known server lists its tools in more.
const MIDDLE_BYTES: usize = 1 << 20;

/// Rooms for messages of middle size: many, so that a server which sends slowly holds up no other one …
static MIDDLE_ROOMS: LazyLock<Arc<Places>> = LazyLock::new(|| Places::new(12));

/// … and the one for larger messages: with several of 16 MiB the probe would not be the small program it has to be
/// beside a trading system.
static LARGE_ROOM: LazyLock<Arc<Places>> = LazyLock::new(|| Places::new(1));

/// The right to hold one message larger than [`SMALL_BYTES`]; given up by dropping it with the message.
///
/// All checks together hold no more than the rooms allow, whatever their servers send at the same time.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    _place: Place,
}

impl Room {
    /// Whether a message of `bytes` may be held by whoever has `room`.
    pub(crate) fn suffices(room: Option<&Room>, bytes: usize) -> bool {
        bytes <= room.map_or(SMALL_BYTES, |room| room.bytes)
    }

    /// Waits until there is room for a message of `bytes`, for `patience` at most; `None` if there was none.
    pub(crate) fn take(bytes: usize, patience: Duration) -> Option<Room> {
        let (rooms, bytes) =
            if bytes <= MIDDLE_BYTES { (&MIDDLE_ROOMS, MIDDLE_BYTES) } else { (&LARGE_ROOM, MESSAGE_BYTES) };
        rooms.take(Deadline::after(patience)).map(|place| Room { bytes, _place: place })
    }
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// [`MESSAGE_BYTES`].
    Message,
    /// [`CHECK_BYTES`].
    Check,
}

impl TooLarge {
    /// What was seen, for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TooLarge::Message => "one message was larger than 16 MiB",
            TooLarge::Check => "more than 64 MiB were sent",
        }
    }
}

impl From<TooLarge> for Failure {
    fn from(too_large: TooLarge) -> Failure {
        Failure::new(Reason::TooLarge, too_large.as_str())
    }
}
