//! Unusual values in words: amounts in their unit, what was expected, and the anomalies of a replayed series.

use jiff::Timestamp;

use super::style::{Ink, Style};
use crate::model::unusual::{Family, LEARNING_POINTS, Level, Series, SeriesState, Trend, Unusual, Widespread};
use crate::show::summary::length;
use crate::unusual::{Verdict, note};

/// A point of a series with what was said of it.
pub(crate) type Row = (Timestamp, f64, Verdict);

/// A heading with what was read, and a line for each anomaly.
pub(crate) fn table(name: &str, family: Family, rows: &[Row], style: &Style) -> String {
    let mut state = SeriesState::default();
    let mut lines = Vec::new();
    let mut of_level = |found: Level| lines.push((found.since, level(family, &found)));
    let mut trends = Vec::new();
    for (time, value, verdict) in rows {
        let second = time.as_second();
        note(&mut state, second, *value, verdict).into_iter().for_each(&mut of_level);
        let found = state.trend.filter(|trend| trend.at == second);
        trends.extend(found.map(|trend| (second, growth(family, &trend))));
    }
    state.level.into_iter().for_each(&mut of_level);
    lines.extend(trends);
    lines.sort_by_key(|(second, _)| *second);
    let found = match lines.len() {
        0 if state.is_learning() => learning(state.points),
        0 => "nothing unusual".to_owned(),
        1 => "1 anomaly".to_owned(),
        count => format!("{count} anomalies"),
    };
    let heading = format!("{}: {} points, {found}\n", crate::log::printable(name), rows.len());
    let line =
        |second: i64, line: &str| format!("  {:.0}  {line}\n", Timestamp::from_second(second).unwrap_or_default());
    lines.iter().fold(style.paint(Ink::Strong, &heading), |out, (second, text)| out + &line(*second, text))
}

pub(crate) fn sentences(one: &Series<'_>) -> Vec<String> {
    let (noun, family) = (one.family.noun(), one.family);
    let level = one.state.level.map(|found| format!("{noun} {} at this hour", level(family, &found)));
    let trend = one.state.trend.map(|trend| format!("{noun} {}", growth(family, &trend)));
    let new_normal = one.state.new_normal.map(|new_normal| {
        let since = Timestamp::from_second(new_normal.at).unwrap_or_default().strftime("%H:%M UTC").to_string();
        format!("{noun} now taken as normal: {} since {since}", amount(family, new_normal.value))
    });
    [level, trend, new_normal].into_iter().flatten().collect()
}

pub(crate) fn of_target(unusual: Option<&Unusual>, id: &str) -> Vec<String> {
    unusual.into_iter().flat_map(|unusual| unusual.of(id)).flat_map(|one| sentences(&one)).collect()
}

/// `12 series are unusual at once since 14:05 UTC`.
pub(crate) fn widespread(event: &Widespread) -> String {
    let since = Timestamp::from_second(event.since).unwrap_or_default().strftime("%H:%M UTC").to_string();
    format!("{} series are unusual at once since {since}: look at the machine and its network first", event.series)
}

/// `learning, 310 of 576 points`: how far the series that knows most has come; nothing once it has learnt enough.
pub(crate) fn progress(unusual: &Unusual) -> Option<String> {
    let points = unusual.all().map(|one| one.state.points).max()?;
    (points < LEARNING_POINTS).then(|| learning(points))
}

fn learning(points: u32) -> String {
    format!("learning, {points} of {LEARNING_POINTS} points")
}

/// `2.8 s for 15 min, expected 0.4–0.9 s`.
pub(crate) fn level(family: Family, level: &Level) -> String {
    let lasted = length(level.until.saturating_sub(level.since) as f64);
    let expected = range(family, level.lower, level.upper);
    let end = if level.is_normal { "; then taken as normal" } else { "" };
    format!("{} for {lasted}, expected {expected}{end}", amount(family, level.value))
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
