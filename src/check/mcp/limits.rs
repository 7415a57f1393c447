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

/// So many large messages are held at a time by all checks together. Large ones are rare, and without a bound a
/// handful of flooding servers would make the pass as large as all their messages together.
static LARGE_MESSAGES: LazyLock<Arc<Places>> = LazyLock::new(|| Places::new(2));

/// The right to hold one message larger than [`SMALL_BYTES`]; given up by dropping it with the message.
#[derive(Debug)]
pub(crate) struct Room {
    _place: Place,
}

impl Room {
    /// Waits until there is room, for `patience` at most; `None` if there was none.
    pub(crate) fn take(patience: Duration) -> Option<Room> {
        LARGE_MESSAGES.take(Deadline::after(patience)).map(|place| Room { _place: place })
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
