//! Time: the wall clock for people and Prometheus, the monotonic clock for every wait.
//!
//! Nothing else in the crate asks the operating system for the time (clippy's `disallowed-methods` holds this), so
//! a test can say what time it is and no deadline ever depends on a clock that can be set.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock now. Can jump; only for showing, remembering and comparing with other wall-clock times.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// When this machine was started, by the wall clock.
pub fn booted_at() -> Timestamp {
    let since = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    now().saturating_sub(since).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Seconds since 1970-01-01 UTC, as Prometheus wants them.
pub fn unix_seconds(at: Timestamp) -> f64 {
    at.as_nanosecond() as f64 / 1e9
}

/// One instant on the monotonic clock by which something must have ended.
///
/// Every wait asks it what is left; nobody adds timeouts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(after: Duration) -> Self {
        let now = instant();
        Deadline(now.checked_add(after).unwrap_or(now + Duration::from_secs(365 * 86_400)))
    }

    /// The earlier of this deadline and `limit` from now: a stage's own budget inside the whole.
    pub fn sooner(self, limit: Duration) -> Self {
        self.min(Deadline::after(limit))
    }

    /// This deadline moved earlier by `reserve`, kept for what must still happen afterwards.
    pub fn minus(self, reserve: Duration) -> Self {
        Deadline(self.0.checked_sub(reserve).unwrap_or(self.0))
    }

    /// What is left; zero once it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(instant())
    }

    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    pub fn instant(self) -> Instant {
        self.0
    }
}
