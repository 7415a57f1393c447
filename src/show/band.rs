//! Unusual values over time: a day's in words, and a series beside its expected band as a drawing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::summary::escape;
use super::timeline::stretches;
use super::unusual::{growth, level, widespread};
use crate::model::history::{Points, Record, Seen};
use crate::model::unusual::{Family, Level, Widespread};

/// Width and height of a drawing, in its own units.
const WIDTH: f64 = 288.0;
const HEIGHT: f64 = 40.0;

/// What was unusual in the marks of these targets, a sentence each, the longest first; the widespread one before all, and
/// what belongs to it left out.
pub(super) fn of_day<'a>(
    records: &[Record],
    ids: impl Iterator<Item = &'a String>,
    (from, to): (Timestamp, Timestamp),
) -> Vec<String> {
    let widest = records.iter().filter_map(|record| record.widespread).max_by_key(|event: &Widespread| event.series);
    let within = |level: &Level| {
        let last = records.iter().rev().find(|record| record.widespread.is_some()).map(|record| record.at.as_second());
        widest.is_some_and(|event| level.since >= event.since) && last.is_some_and(|last| level.since <= last)
    };
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
    let x = |slot: i64| (slot - first) as f64 / (last - first).max(1) as f64 * WIDTH;
    let y = |value: f64| HEIGHT * (1.0 - value / highest);
    let line = |values: &mut dyn Iterator<Item = (i64, f64)>| -> String {
        values.map(|(slot, value)| format!("{:.1},{:.1} ", x(slot), y(value))).collect()
    };
    let value = line(&mut seen.iter().map(|(slot, seen)| (*slot, seen.0)));
    let upper = seen.iter().map(|(slot, seen)| (*slot, seen.2.into()));
    let lower = seen.iter().rev().map(|(slot, seen)| (*slot, seen.1.into()));
    let band = line(&mut upper.chain(lower));
    let title = format!("{} of the last 24 hours and where it was expected", family.noun());
    (seen.len() > 1).then(|| {
        format!(
            "<svg class=\"band\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{}\"><polygon points=\"{}\"/><polyline points=\"{}\"/></svg>\n",
            escape(&title),
            band.trim_end(),
            value.trim_end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::{Anomalies, Mark};
    use crate::model::unusual::Trend;

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
