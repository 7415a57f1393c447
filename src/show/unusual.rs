//! Unusual values in words: amounts in their unit, what was expected, and the anomalies of a replayed series.

use std::time::Duration;

use jiff::Timestamp;

use super::style::{Ink, Style};
use crate::show::summary;
use crate::unusual::{Anomaly, Family, LEARNING_POINTS, SLOT_SECONDS, Trend, Verdict};

/// A point of a series with what was said of it.
pub(crate) type Row = (Timestamp, f64, Verdict);

/// A run of points at which a level is unusual.
struct Episode {
    from: Timestamp,
    to: Timestamp,
    /// The value farthest from what was expected, and the band at that point.
    extreme: (f64, Verdict),
    ends_as_normal: bool,
}

/// A heading with what was read, and a line for each anomaly.
pub(crate) fn table(name: &str, family: Family, rows: &[Row], style: &Style) -> String {
    let mut lines: Vec<(Timestamp, String)> = rows.iter().filter_map(|row| trend(family, row)).collect();
    lines.extend(episodes(rows).iter().map(|episode| (episode.from, level(family, episode))));
    lines.sort_by_key(|(time, _)| *time);
    let found = match lines.len() {
        0 if rows.len() <= LEARNING_POINTS as usize => format!("learning, {} of {LEARNING_POINTS} points", rows.len()),
        0 => "nothing unusual".to_owned(),
        1 => "1 anomaly".to_owned(),
        count => format!("{count} anomalies"),
    };
    let heading = format!("{}: {} points, {found}\n", crate::log::printable(name), rows.len());
    lines.iter().fold(style.paint(Ink::Strong, &heading), |out, (time, line)| out + &format!("  {time:.0}  {line}\n"))
}

fn trend(family: Family, (time, _, verdict): &Row) -> Option<(Timestamp, String)> {
    let Some(Anomaly::Trend(trend)) = verdict.anomaly else { return None };
    Some((*time, growth(family, &trend)))
}

fn episodes(rows: &[Row]) -> Vec<Episode> {
    let mut found = Vec::new();
    let mut open: Option<Episode> = None;
    let distance = |(value, verdict): &(f64, Verdict)| (value - verdict.expected).abs();
    for &(time, value, verdict) in rows {
        let here = (value, verdict);
        match (&mut open, verdict.anomaly) {
            (None, Some(Anomaly::Level)) => {
                open = Some(Episode { from: time, to: time, extreme: here, ends_as_normal: false });
            }
            (Some(episode), Some(_)) => {
                episode.to = time;
                if distance(&here) > distance(&episode.extreme) {
                    episode.extreme = here;
                }
            }
            (Some(episode), None) => {
                episode.ends_as_normal = verdict.new_normal;
                found.extend(open.take());
            }
            (None, _) => {}
        }
    }
    found.into_iter().chain(open).collect()
}

/// `2.8 s for 15 min, expected 0.4–0.9 s`.
fn level(family: Family, episode: &Episode) -> String {
    let (value, verdict) = &episode.extreme;
    let lasted = episode.to.duration_since(episode.from).unsigned_abs() + Duration::from_secs(SLOT_SECONDS as u64);
    let end = if episode.ends_as_normal { "; then taken as normal" } else { "" };
    let lasted = summary::length(lasted.as_secs_f64());
    format!("{} for {lasted}, expected {}{end}", amount(family, *value), range(family, verdict.lower, verdict.upper))
}

/// `+6 % a day for 6 days, 210 MB → 290 MB`.
pub(crate) fn growth(family: Family, trend: &Trend) -> String {
    let a_day = (trend.to / trend.from.max(f64::MIN_POSITIVE)).powf(1.0 / f64::from(trend.days.max(1))) - 1.0;
    let (from, to) = (amount(family, trend.from), amount(family, trend.to));
    format!("{:+.0} % a day for {} days, {from} → {to}", 100.0 * a_day, trend.days)
}

/// `0.4–0.9 s`: the unit once where both ends have the same.
pub(crate) fn range(family: Family, lower: f64, upper: f64) -> String {
    let (low, high) = (amount(family, lower), amount(family, upper));
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}–{high}"),
        _ => format!("{low} to {high}"),
    }
}

/// A value with its unit, in two or three digits.
pub(crate) fn amount(family: Family, value: f64) -> String {
    match family {
        Family::Handshake | Family::Cpu | Family::WsGap | Family::Service => seconds(value),
        Family::OrderLatency => format!("{} ms", digits(value)),
        Family::Rss => scaled(value, &["B", "kB", "MB", "GB", "TB"]),
        Family::Tools => format!("{} tools", digits(value)),
        Family::Orders => format!("{} orders", digits(value)),
    }
}

fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{} ms", digits(value * 1e3)) } else { format!("{} s", digits(value)) }
}

fn scaled(value: f64, units: &[&str]) -> String {
    let step = (0..units.len()).rev().find(|&step| value >= 1000_f64.powi(step as i32)).unwrap_or(0);
    format!("{} {}", digits(value / 1000_f64.powi(step as i32)), units[step])
}

fn digits(value: f64) -> String {
    if value == value.round() || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
