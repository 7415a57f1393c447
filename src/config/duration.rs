//! Durations as people write them in the config and on the command line: `30s`, `5m`, `1h30m`.

use std::time::Duration;

use anyhow::Context;
use jiff::fmt::friendly::{Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The longest duration accepted: a hundred years, far from any overflow.
const MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration: one or more whole numbers, each with a unit, no sign, no spaces.
pub fn parse(text: &str) -> anyhow::Result<Duration> {
    let example = "as in \"30s\", \"5m\", \"1h30m\"";
    let plain = text.trim().chars().all(|c| c.is_ascii_digit() || "dhmins".contains(c));
    let span = text.trim().parse::<Span>().ok().filter(|_| plain);
    let span = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    // A number that jiff has no room for is a long time, too.
    let is_huge = plain && text.split(|c: char| !c.is_ascii_digit()).any(|number| number.len() > 15);
    let duration = span.and_then(|duration| Duration::try_from(duration).ok()).or(is_huge.then_some(Duration::MAX));
    let duration = duration
        .with_context(|| format!("{text:?} is no duration; write a number with a unit (ms, s, m, h, d), {example}"))?;
    anyhow::ensure!(duration <= MAX, "{text:?} is longer than a hundred years; write a shorter one, {example}");
    Ok(duration)
}

pub fn show(duration: Duration) -> String {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    SpanPrinter::new().spacing(Spacing::None).duration_to_string(&duration)
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
            assert_eq!(parse(&show(duration)).expect(text), duration, "{text}");
        }
        for bad in ["", "5", "s", "-5s", "5 s", "5x", "1y", "1.5s"] {
            let said = parse(bad).expect_err(bad).to_string();
            assert!(said.starts_with(&format!("{bad:?} is no duration; write a number with a unit")), "{said}");
        }
        for long in ["99999999999999999999s", "18446744073709551615d", "36501d", "99h999999999999999999h"] {
            let said = parse(long).expect_err(long).to_string();
            assert!(said.contains("longer than a hundred years"), "{said}");
        }
    }
}
