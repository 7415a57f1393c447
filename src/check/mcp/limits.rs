//! How much a server may say, and how much of it is held in memory at a time.

use std::cell::Cell;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{self, Deadline};
use crate::model::reason::{Failure, Reason};
use crate::proc::{Permit, Permits};

/// Bytes of one message.
pub(crate) const MESSAGE_BYTES: usize = 16 << 20;

/// Bytes read in one check, all messages together.
pub(crate) const CHECK_BYTES: u64 = 64 << 20;

/// A message up to this size is just read; a larger one needs [`Room`].
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// Up to this size a message needs a middle room, above it the large one. No known server lists its tools in more.
const MIDDLE_BYTES: usize = 1 << 20;

/// Rooms for messages of middle size: many, so that a server which sends slowly holds up no other one …
static MIDDLE_ROOMS: LazyLock<Rooms> = LazyLock::new(|| Rooms::new(12, MIDDLE_BYTES));

/// … and the one for larger messages: with several of 16 MiB the probe would not be the small program it has to be
/// beside a trading system.
static LARGE_ROOM: LazyLock<Rooms> = LazyLock::new(|| Rooms::new(1, MESSAGE_BYTES));

/// While others wait for a room, the message in it has to grow by so much …
const LEAST_GROWTH: usize = 256 << 10;

/// … in every such time.
const GROWS_WITHIN: Duration = Duration::from_secs(1);

/// Whoever waits asks again this often …
const ASKS_EVERY: Duration = Duration::from_millis(100);

/// … and is taken to be waiting so long after it has asked.
const WANTED: Duration = Duration::from_millis(300);

/// Rooms of one size.
#[derive(Debug)]
struct Rooms {
    permits: Arc<Permits>,
    bytes: usize,
    /// When somebody last asked for one in vain.
    asked: Mutex<Option<Instant>>,
}

impl Rooms {
    fn new(rooms: usize, bytes: usize) -> Rooms {
        Rooms { permits: Permits::new(rooms), bytes, asked: Mutex::new(None) }
    }

    fn take(&'static self, timeout: Duration) -> Option<Room> {
        let deadline = Deadline::after(timeout);
        loop {
            if let Some(permit) = self.permits.ticket().wait(deadline.sooner(ASKS_EVERY)) {
                return Some(Room { rooms: self, grown: Cell::new((clock::instant(), 0)), _permit: permit });
            }
            *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::instant());
            if deadline.passed() {
                return None;
            }
        }
    }

    fn are_wanted(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < WANTED)
    }
}

/// The right to hold one message larger than [`SMALL_BYTES`]; given up by dropping it with the message.
///
/// All checks together hold no more than the rooms allow, whatever their servers send at the same time.
#[derive(Debug)]
pub(crate) struct Room {
    rooms: &'static Rooms,
    /// When the message was last seen to have grown enough, and how long it was then.
    grown: Cell<(Instant, usize)>,
    _permit: Permit,
}

impl Room {
    /// Whether a message of `bytes` may be held by whoever has `room`.
    pub(crate) fn suffices(room: Option<&Room>, bytes: usize) -> bool {
        bytes <= room.map_or(SMALL_BYTES, |room| room.rooms.bytes)
    }

    /// Waits until there is room for a message of `bytes`, for `timeout` at most; `None` if there was none.
    pub(crate) fn take(bytes: usize, timeout: Duration) -> Option<Room> {
        if bytes <= MIDDLE_BYTES { MIDDLE_ROOMS.take(timeout) } else { LARGE_ROOM.take(timeout) }
    }

    /// Whether the unfinished message in this room, `held` bytes so far, has to make way: others wait, and it grows too
    /// slowly. Else one server that stops in the midst of a large message would make others run out of time.
    pub(crate) fn is_overdue(&self, held: usize) -> bool {
        let (at, length) = self.grown.get();
        if held >= length + LEAST_GROWTH {
            self.grown.set((clock::instant(), held));
            return false;
        }
        at.elapsed() > GROWS_WITHIN && self.rooms.are_wanted()
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

/// What a message in a room is told that has to make way.
pub(crate) const OVERDUE: &str = "a large message came too slowly while others waited for room";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_message_makes_way_only_while_somebody_waits() {
        static ROOMS: LazyLock<Rooms> = LazyLock::new(|| Rooms::new(1, MESSAGE_BYTES));
        let room = ROOMS.take(Duration::ZERO).expect("a free room");
        let long_ago = || room.grown.set((clock::instant() - GROWS_WITHIN * 2, 1 << 20));
        long_ago();
        assert!(!room.is_overdue(1 << 20), "nobody waits");
        assert!(ROOMS.take(Duration::ZERO).is_none());
        assert!(room.is_overdue((1 << 20) + 1));
        assert!(!room.is_overdue(2 << 20), "it has grown");
        assert!(!room.is_overdue((2 << 20) + 1), "it has grown a moment ago");
        drop(room);
        assert!(ROOMS.take(Duration::ZERO).is_some());
    }
}
