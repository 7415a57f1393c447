//! How much a server may say, and how much of it is held in memory at a time.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Deadline;
use crate::proc::{Permit, Permits};

pub(crate) const MESSAGE_BYTES: usize = 16 << 20;

/// Bytes read in one check, all messages together.
pub(crate) const CHECK_BYTES: u64 = 64 << 20;

/// A message up to this size is just read; a larger one needs [`MemoryPermit`]. No known server lists its tools in more.
pub(crate) const SMALL_BYTES: usize = 1 << 20;

/// A larger one has to grow by [`LEAST_GROWTH`] within [`GROWS_WITHIN`]: while it stops, others run out of time.
const LEAST_GROWTH: usize = 256 << 10;
const GROWS_WITHIN: Duration = Duration::from_secs(5);

/// The right to hold one message larger than [`SMALL_BYTES`]; given up by dropping it with the message. There is one: with
/// several of 16 MiB the probe would not be the small program it has to be beside a trading system.
#[derive(Debug)]
pub(crate) struct MemoryPermit {
    /// By when the message has to be so long.
    next: (Deadline, usize),
    _permit: Permit,
}

impl MemoryPermit {
    /// Waits for it until `deadline` at most.
    pub(crate) fn take(deadline: Deadline) -> Option<MemoryPermit> {
        static LARGE: LazyLock<Arc<Permits>> = LazyLock::new(|| Permits::new(1));
        MemoryPermit::of(&LARGE, deadline)
    }

    fn of(permits: &Arc<Permits>, deadline: Deadline) -> Option<MemoryPermit> {
        let permit = permits.ticket().wait(deadline)?;
        let next = (Deadline::after(GROWS_WITHIN), SMALL_BYTES + LEAST_GROWTH);
        Some(MemoryPermit { next, _permit: permit })
    }

    /// By when the unfinished message, `held` bytes so far, has to have grown.
    pub(crate) fn until(&mut self, held: usize) -> Deadline {
        if held >= self.next.1 {
            self.next = (Deadline::after(GROWS_WITHIN), held + LEAST_GROWTH);
        }
        self.next.0
    }
}

// How a failure names each limit.
pub(crate) const MESSAGE_TOO_LARGE: &str = "one message was larger than 16 MiB";
pub(crate) const CHECK_TOO_LARGE: &str = "more than 64 MiB were sent";
pub(crate) const STALLED: &str = "a message of more than 1 MiB grew by less than 256 KiB in 5 s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_message_is_held_at_a_time_and_has_to_grow() {
        let permits = Permits::new(1);
        let now = || Deadline::after(Duration::ZERO);
        let mut permit = MemoryPermit::of(&permits, Deadline::after(Duration::from_secs(5))).expect("a free permit");
        assert!(MemoryPermit::of(&permits, now()).is_none());
        permit.next = (now(), 2 << 20);
        assert!(permit.until((2 << 20) - 1).passed());
        assert!(!permit.until(2 << 20).passed(), "it has grown");
        drop(permit);
        assert!(MemoryPermit::of(&permits, Deadline::after(Duration::from_secs(5))).is_some());
    }
}
