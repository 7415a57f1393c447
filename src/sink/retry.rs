//! Attempts: later each time, never exactly when others do, and never past the deadline.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{self, Deadline};
use crate::exit;
use crate::http::Response;

/// The first wait is at most this long; each further one may be twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Less than this before the deadline, an attempt is not worth making.
const LEAST_ATTEMPT: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) hint: String,
    /// The shortest wait before another attempt; `None` where another moment mends nothing.
    pub(super) again: Option<Duration>,
}

/// Attempts until it is done, refused, tried again `retries` times, or there is no time left.
/// Errors: The last failure, how often it was tried, and what to do.
pub(super) fn until_done<T>(
    retries: u32,
    deadline: Deadline,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let mut number = 0;
    loop {
        number += 1;
        let Failure { what, hint, again } = match attempt() {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let Some(wait) = wait(number, retries, again, deadline) else {
            let tried = if number > 1 { format!(" (tried {number} times)") } else { String::new() };
            return Err(exit::trouble(what + &tried, hint));
        };
        std::thread::sleep(wait);
    }
}

/// The wait after the attempt `number`, at least `again`; `None` if there should be no other.
fn wait(number: u32, retries: u32, again: Option<Duration>, deadline: Deadline) -> Option<Duration> {
    let least = again.filter(|_| number <= retries)?;
    let longest = FIRST_WAIT.saturating_mul(1 << (number - 1).min(10)).min(LONGEST_WAIT);
    // Between half and all of it: probes that failed together must not come back together.
    let wait = longest.mul_f64(0.5 + fastrand::f64() / 2.0).max(least);
    (wait + LEAST_ATTEMPT < deadline.left()).then_some(wait)
}

pub(super) fn asked_to_wait(response: &Response) -> Option<Duration> {
    retry_after(response.header("retry-after")?, clock::now())
}

/// What `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    // A date in the past means now.
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    fn in_seconds(seconds: u64) -> Deadline {
        Deadline::after(Duration::from_secs(seconds))
    }

    #[test]
    fn waits_grow_are_jittered_and_end_with_the_retries() {
        let mut longest = FIRST_WAIT;
        for number in 1..=8 {
            let wait = wait(number, 8, AT_ONCE, in_seconds(1000)).expect("another attempt");
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?} {longest:?}");
            longest = (longest * 2).min(LONGEST_WAIT);
        }
        assert_eq!(wait(9, 8, AT_ONCE, in_seconds(1000)), None);
        let waits: Vec<_> = (0..20).map(|_| wait(1, 1, AT_ONCE, in_seconds(1000))).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }

    #[test]
    fn what_will_not_mend_and_what_the_deadline_forbids_is_not_tried_again() {
        assert_eq!(wait(1, 9, None, in_seconds(1000)), None);
        assert_eq!(wait(1, 9, Some(Duration::from_secs(30)), in_seconds(10)), None);
        assert_eq!(wait(1, 9, Some(Duration::from_secs(30)), in_seconds(1000)), Some(Duration::from_secs(30)));
        assert_eq!(wait(1, 9, AT_ONCE, in_seconds(0)), None);
        assert_eq!(wait(1, 0, AT_ONCE, in_seconds(1000)), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("a time");
        let after = |text| retry_after(text, now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        assert_eq!(after("Tue, 24 Nov 2026 10:00:07 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(after("Tue, 24 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!((after("soon"), after("-5"), after("")), (None, None, None));
    }
}
