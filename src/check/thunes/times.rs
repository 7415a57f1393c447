//! The trading system's times: naive UTC in its database and journals, naive local time in its logs.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Records of one log may be this much out of order.
const DISORDER: SignedDuration = SignedDuration::from_secs(5);

/// Reads `2025-10-08T14:38:22.123456`, with a space for the `T` and the fraction absent too, as UTC. An offset or `Z`, as
/// newer Python versions write them, is honoured.
pub(super) fn utc(text: &str) -> Option<Timestamp> {
    if let Some(naive) = naive(text) {
        return TimeZone::UTC.to_timestamp(naive).ok();
    }
    text.parse().ok()
}

/// Whether a text begins like `2025-10-08 14:38:22`: digits and separators where they belong.
pub(super) fn is_shaped(bytes: &[u8]) -> bool {
    bytes.len() >= 19
        && bytes[..19].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

/// Reads a time without zone. The parser alone would also take a date, and leave out an offset; neither is a record's time.
fn naive(text: &str) -> Option<DateTime> {
    let is_whole = is_shaped(text.as_bytes())
        && text[19..]
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 0 { b".,".contains(&byte) } else { byte.is_ascii_digit() });
    text.parse().ok().filter(|_| is_whole)
}

/// Reads `2025-10-08 14:38:22`, with `,123` or `.123` after it, as local time of this machine.
///
/// In the hour that clocks repeat in autumn a time means two instants: it is the earlier one unless that lies before
/// `previous`, the instant of the record before it, by more than threads of one program may get out of order.
pub(super) fn local(text: &str, zone: &TimeZone, previous: Option<Timestamp>) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(naive(text)?);
    let is_repeated = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. });
    let at = ambiguous.compatible().ok()?;
    let is_past = is_repeated && previous.is_some_and(|previous| previous > at + DISORDER);
    if is_past { ambiguous.later().ok() } else { Some(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn naive_times_are_utc_with_or_without_a_fraction() {
        for (text, expected) in [
            ("2025-10-08T14:38:22.123456", "2025-10-08T14:38:22.123456Z"),
            ("2025-10-08 14:38:22", "2025-10-08T14:38:22Z"),
            ("2025-10-08T14:38:22.5", "2025-10-08T14:38:22.5Z"),
            ("2025-10-08T14:38:22Z", "2025-10-08T14:38:22Z"),
            ("2025-10-08T14:38:22+02:00", "2025-10-08T12:38:22Z"),
        ] {
            assert_eq!(utc(text), Some(at(expected)), "{text}");
        }
        for text in [
            "",
            "2025-10-08",
            "yesterday",
            "2025-13-08T14:38:22",
            "2025-10-08T14:38",
            "2025-10-08T14:38:22.",
            "2025-02-29T14:38:22",
            "2025-10-08T14:38:22.1234567890",
            "2025-10-08T24:38:22",
            "２025-10-08T14:38",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn the_repeated_hour_of_autumn_is_told_apart_by_what_came_before() {
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database");
        let first = local("2025-10-26 02:30:00", &zone, None).expect("a time");
        assert_eq!(first, at("2025-10-26T00:30:00Z"));
        let second = local("2025-10-26 02:10:00", &zone, Some(first)).expect("a time");
        assert_eq!(second, at("2025-10-26T01:10:00Z"));
        let behind = local("2025-10-26 02:29:57", &zone, Some(first)).expect("a time");
        assert_eq!(behind, at("2025-10-26T00:29:57Z"), "another thread, not another hour");
        assert_eq!(local("2025-10-26 02:45:00,250", &zone, Some(second)), Some(at("2025-10-26T01:45:00.25Z")));
        assert_eq!(local("2025-03-30 02:30:00", &zone, None), Some(at("2025-03-30T01:30:00Z")));
        assert_eq!(local("2025-07-01 12:00:00", &zone, None), Some(at("2025-07-01T10:00:00Z")));
    }
}
