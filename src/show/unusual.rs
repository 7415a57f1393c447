//! Unusual values for a person: in words (amounts in their unit, and what was expected), a day's, the anomalies of a replayed
//! series, and a series beside its expected band as a drawing.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;

use super::style::{Ink, Style};
use super::summary::{escape, length};
use super::timeline::stretches;
use crate::model::history::{Points, Record, Seen};
use crate::model::unusual::{
    Family, LEARNING_POINTS, Level, NewNormal, Series, SeriesState, Trend, Unusual, Widespread,
};
use crate::unusual::{Verdict, note};
use crate::wording::plural;

/// Width and height of a drawing, in its own units.
const WIDTH: f64 = 288.0;
const HEIGHT: f64 = 40.0;

/// A point of a series with what was said of it.
pub(crate) type Row = (Timestamp, f64, Verdict);

/// A heading with what was read, and a line for each anomaly.
pub(crate) fn table(name: &str, family: Family, rows: &[Row], style: &Style) -> String {
    let mut state = SeriesState::default();
    let mut lines = Vec::new();
    for (time, value, verdict) in rows {
        let ended = note(&mut state, time.as_second(), *value, verdict);
        lines.extend(ended.map(|run| (run.since, level(family, &run))));
        lines.extend(verdict.trend.map(|trend| (trend.at, growth(family, &trend))));
    }
    lines.extend(state.level.map(|run| (run.since, level(family, &run))));
    lines.sort_by_key(|(second, _)| *second);
    let found = match lines.len() {
        0 if state.is_learning() => learning(state.points),
        0 => "nothing unusual".to_owned(),
        count => plural(count, "anomaly"),
    };
    let heading = format!("{}: {} points, {found}\n", crate::log::printable(name), rows.len());
    let line = |(second, text)| format!("  {:.0}  {text}\n", Timestamp::from_second(second).unwrap_or_default());
    style.paint(Ink::Strong, &heading) + &lines.into_iter().map(line).collect::<String>()
}

pub(crate) fn sentences(one: &Series<'_>) -> Vec<String> {
    let (noun, family) = (one.family.noun(), one.family);
    let level = one.state.level.map(|found| format!("{noun} {} at this hour", level(family, &found)));
    let trend = one.state.trend.map(|trend| format!("{noun} {}", growth(family, &trend)));
    let new_normal = one.state.new_normal.map(|NewNormal { at, value }| {
        format!("{noun} now taken as normal: {} since {}", amount(family, value), time_of_day(at))
    });
    [level, trend, new_normal].into_iter().flatten().collect()
}

pub(crate) fn of_target(unusual: Option<&Unusual>, id: &str) -> Vec<String> {
    unusual.into_iter().flat_map(|unusual| unusual.of(id)).flat_map(|one| sentences(&one)).collect()
}

/// `12 series are unusual at once since 14:05 UTC`.
pub(crate) fn widespread(event: &Widespread) -> String {
    let Widespread { since, series } = *event;
    format!(
        "{series} series are unusual at once since {}: look at the machine and its network first",
        time_of_day(since)
    )
}

fn time_of_day(second: i64) -> impl Display {
    Timestamp::from_second(second).unwrap_or_default().strftime("%H:%M UTC")
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
        Family::Rss => bytes(value),
        Family::Tools => format!("{} tools", digits(value)),
        Family::Orders => format!("{} orders", digits(value)),
    }
}

fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{} ms", digits(value * 1e3)) } else { format!("{} s", digits(value)) }
}

fn bytes(value: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];
    let (size, unit) = units.into_iter().find(|(size, _)| value >= *size).unwrap_or((1.0, "B"));
    format!("{} {unit}", digits(value / size))
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

/// What was unusual in the marks of these targets, a sentence each, the longest first; the widespread one before all, and
/// what belongs to it left out.
pub(super) fn of_day<'a>(
    records: &[Record],
    ids: impl Iterator<Item = &'a String>,
    (from, to): (Timestamp, Timestamp),
) -> Vec<String> {
    let mut events = records.iter().filter_map(|record| Some((record.widespread?, record.at.as_second())));
    let widest = events.clone().map(|(event, _)| event).max_by_key(|event| event.series);
    let during = widest.zip(events.next_back()).map(|(widest, (_, last))| widest.since..=last);
    let within = |level: &Level| during.as_ref().is_some_and(|during| during.contains(&level.since));
    let mut found: Vec<(Duration, String)> = Vec::new();
    for id in ids {
        let mut levels: BTreeMap<(Family, i64), (Duration, Level)> = BTreeMap::new();
        let mut trends = BTreeMap::new();
        for stretch in stretches(records, id, from, to) {
            for (family, unusual) in stretch.mark.iter().flat_map(|mark| &mark.unusual) {
                if let Some(level) = unusual.level.filter(|level| !within(level)) {
                    levels.entry((*family, level.since)).or_insert((Duration::ZERO, level)).0 += stretch.length();
                }
                trends.extend(unusual.trend.map(|trend| ((*family, trend.at), trend)));
            }
        }
        let name = id.split_once('/').map_or(id.as_str(), |(_, name)| name);
        found.extend(levels.into_iter().map(|((family, _), (lasted, found))| {
            let until = found.since.saturating_add_unsigned(lasted.as_secs());
            (lasted, format!("{name}: {} {}", family.noun(), level(family, &Level { until, ..found })))
        }));
        found.extend(trends.into_iter().map(|((family, _), trend)| {
            (Duration::ZERO, format!("{name}: {} {}", family.noun(), growth(family, &trend)))
        }));
    }
    found.sort_by_key(|(lasted, _)| std::cmp::Reverse(*lasted));
    widest.iter().map(widespread).chain(found.into_iter().map(|(_, sentence)| sentence)).collect()
}

/// A series over time and its band, as SVG; nothing without two points.
pub(super) fn svg(records: &[Record], id: &str, family: Family, (from, to): (Timestamp, Timestamp)) -> Option<String> {
    let of_slot = |points: &Points| Some((points.slot, *points.series.get(id)?.get(&family)?));
    let slots = records.iter().filter_map(|record| of_slot(record.points.as_ref()?));
    let (first, last) = (from.as_second(), to.as_second());
    let seen: Vec<(i64, Seen)> = slots.filter(|(slot, _)| (first..last).contains(slot)).collect();
    let highest = seen.iter().map(|(_, seen)| seen.0.max(seen.2.into())).fold(f64::MIN_POSITIVE, f64::max);
    let point = |slot: i64, value: f64| {
        let x = (slot - first) as f64 / (last - first).max(1) as f64 * WIDTH;
        format!("{x:.1},{:.1}", HEIGHT * (1.0 - value / highest))
    };
    let values: Vec<String> = seen.iter().map(|(slot, seen)| point(*slot, seen.0)).collect();
    let upper = seen.iter().map(|(slot, seen)| point(*slot, seen.2.into()));
    let lower = seen.iter().rev().map(|(slot, seen)| point(*slot, seen.1.into()));
    let (band, values) = (upper.chain(lower).collect::<Vec<_>>().join(" "), values.join(" "));
    let title = escape(&format!("{} of the last 24 hours and where it was expected", family.noun()));
    (seen.len() > 1).then(|| {
        format!(
            "<svg class=\"band\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{title}\"><polygon points=\"{band}\"/><polyline points=\"{values}\"/></svg>\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::{Anomalies, Mark};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn record(second: i64, odd: &[(&str, Anomalies)], widespread: Option<Widespread>) -> Record {
        let mark =
            |odd: &Anomalies| Some(Mark { unusual: [(Family::Handshake, odd.clone())].into(), ..Mark::default() });
        let series = BTreeMap::from([("mcp/a".to_owned(), BTreeMap::from([(Family::Handshake, Seen(2.0, 0.5, 1.0))]))]);
        Record {
            at: at(second),
            whole: true,
            marks: odd.iter().map(|(id, odd)| ((*id).to_owned(), mark(odd))).collect(),
            deadline_exceeded: false,
            failed_outputs: Vec::new(),
            points: Some(Points { slot: second, series }),
            widespread,
        }
    }

    fn level_since(since: i64) -> Anomalies {
        let (until, above, is_normal) = (since + 300, true, false);
        Anomalies {
            level: Some(Level { since, until, value: 2.8, lower: 0.4, upper: 0.9, above, is_normal }),
            trend: None,
        }
    }

    #[test]
    fn a_day_is_told_with_the_widespread_event_first_and_without_its_members() {
        let storm = Some(Widespread { since: 160, series: 12 });
        let trend = Some(Trend { at: 30, days: 6, from: 2.1e8, to: 2.9e8 });
        let alone = |second| record(second, &[("mcp/a", level_since(0))], None);
        let records = [
            alone(0),
            record(90, &[("mcp/a", level_since(0)), ("mcp/b", Anomalies { level: None, trend })], None),
            record(180, &[("mcp/a", level_since(160))], storm),
        ];
        let ids = ["mcp/a".to_owned(), "mcp/b".to_owned()];
        let told = of_day(&records, ids.iter(), (at(0), at(240)));
        assert_eq!(
            told,
            [
                "12 series are unusual at once since 00:02 UTC: look at the machine and its network first",
                "a: handshake 2.80 s for 3 min, expected 0.40–0.90 s",
                "b: handshake +6 % a day for 6 days, 210000000 s → 290000000 s",
            ]
        );
    }

    #[test]
    fn a_drawing_has_the_values_before_their_band() {
        let records = [record(0, &[], None), record(300, &[], None)];
        let svg = svg(&records, "mcp/a", Family::Handshake, (at(0), at(600))).expect("two points");
        assert!(svg.contains("<polyline points=\"0.0,0.0 144.0,0.0\"/>"), "{svg}");
        assert!(svg.contains("<polygon points=\"0.0,20.0 144.0,20.0 144.0,30.0 0.0,30.0\"/>"), "{svg}");
    }
}
