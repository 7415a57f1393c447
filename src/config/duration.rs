//! Durations as people write them in the config and on the command line: `30s`, `5m`, `1h30m`.

use std::fmt;
use std::time::Duration;

/// Why a text cannot be used as a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationError {
    /// It has not the form of one.
    Form(String),
    /// It is longer than any that is accepted.
    TooLong(String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationError::Form(text) => write!(
                f,
                "{text:?} is no duration; write a number with a unit (ms, s, m, h, d), as in \"30s\", \"5m\", \"1h30m\""
            ),
            DurationError::TooLong(text) => {
                write!(
                    f,
                    "{text:?} is longer than a hundred years; write a shorter one, as in \"30s\", \"5m\", \"1h30m\""
                )
            }
        }
    }
}

impl std::error::Error for DurationError {}

/// The longest duration accepted: a hundred years, far from any overflow.
const MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration: one or more whole numbers, each with a unit, no sign, no spaces.
///
/// # Errors
/// [`DurationError`] with an example of the right form.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError::Form(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let number: u64 = match &rest[..digits] {
            "" => return Err(error()),
            number => number.parse().map_err(|_overflow| too_long())?,
        };
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let part = match &rest[..unit_end] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" | "min" => Duration::from_secs(number.checked_mul(60).ok_or_else(too_long)?),
            "h" => Duration::from_secs(number.checked_mul(3600).ok_or_else(too_long)?),
            "d" => Duration::from_secs(number.checked_mul(86_400).ok_or_else(too_long)?),
            _ => return Err(error()),
        };
        total = total.checked_add(part).filter(|t| *t <= MAX).ok_or_else(too_long)?;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

/// Writes a duration the way [`parse`] reads it, without losing anything above a millisecond.
pub fn show(duration: Duration) -> String {
    let (mut seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let mut out = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            out.push_str(&format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    if millis > 0 {
        out.push_str(&format!("{millis}ms"));
    }
    if out.is_empty() { "0s".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (text, millis) in
            [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("0s", 0), ("500ms", 500), ("1d2h", 93_600_000)]
        {
            let duration = parse(text).expect(text);
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(parse(&show(duration)), Ok(duration), "{text}");
        }
        for bad in ["", "5", "s", "-5s", "5 s", "5x", "1.5s"] {
            assert_eq!(parse(bad), Err(DurationError::Form(bad.into())));
        }
        for long in ["99999999999999999999s", "18446744073709551615d", "36501d", "99y999999999999999999h"] {
            assert!(parse(long).is_err(), "{long:?} should be refused");
        }
        let said = parse("36501d").map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.contains("longer than a hundred years")));
    }
}
