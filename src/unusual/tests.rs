//! What holds for any series.

use proptest::prelude::*;

use super::*;
use std::collections::BTreeMap;

use crate::model::unusual::{Family, LEARNING_POINTS, SLOT_SECONDS, Unusual, Watch};

const FAMILIES: [Family; 8] = [
    Family::Handshake,
    Family::Rss,
    Family::Cpu,
    Family::Tools,
    Family::Orders,
    Family::OrderLatency,
    Family::WsGap,
    Family::Service,
];

/// A Monday, 00:00 UTC.
const MONDAY: i64 = 1_790_553_600;

/// A number between 0 and 1 that looks random and is always the same.
fn noise(index: usize) -> f64 {
    let mixed = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24)
}

fn replay(family: Family, values: impl IntoIterator<Item = f64>) -> Vec<Verdict> {
    let mut detector = Detector::new(family);
    let step = |(slot, value)| detector.step(MONDAY + slot as i64 * SLOT_SECONDS, value);
    values.into_iter().enumerate().map(step).collect()
}

/// Three weeks of a handshake around 0.5 s.
fn usual() -> Vec<f64> {
    (0..3 * 2016).map(|slot| 0.5 * (0.9 + 0.2 * noise(slot))).collect()
}

fn opened(verdicts: &[Verdict]) -> Vec<usize> {
    let is_open = |slot: &usize| verdicts[*slot].anomaly() == Some("level");
    (1..verdicts.len()).filter(|slot| is_open(slot) && !is_open(&(slot - 1))).collect()
}

#[test]
fn a_usual_series_is_silent_and_its_band_holds_it() {
    let values = usual();
    let verdicts = replay(Family::Handshake, values.clone());
    assert!(verdicts.iter().all(|verdict| verdict.anomaly().is_none()));
    let late = values.iter().zip(&verdicts).skip(2016);
    assert!(late.clone().all(|(value, verdict)| (verdict.lower..=verdict.upper).contains(value)));
    assert!(late.clone().all(|(_, verdict)| verdict.upper < 1.0 && verdict.lower > 0.2), "a band that says something");
}

#[test]
fn a_step_is_said_within_a_quarter_of_an_hour_and_becomes_the_new_normal() {
    let mut values = usual();
    values[4000..].iter_mut().for_each(|value| *value *= 4.0);
    let verdicts = replay(Family::Handshake, values);
    let opened = opened(&verdicts);
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!((4000..4004).contains(&opened[0]), "{opened:?}");
    let settled = verdicts.iter().position(|verdict| verdict.new_normal).expect("the new normal");
    assert!(settled < 4100);
    let odd = verdicts[settled + 100..].iter().find(|verdict| verdict.anomaly().is_some() || verdict.lower < 1.0);
    assert_eq!(odd, None);
}

#[test]
fn nothing_is_said_while_it_learns_and_one_odd_point_is_no_anomaly() {
    let early = (0..LEARNING_POINTS as usize).map(|slot| if slot > 300 { 50.0 } else { 0.5 });
    assert!(replay(Family::Handshake, early).iter().all(|verdict| verdict.anomaly().is_none()));
    let mut values = usual();
    values[5000] *= 100.0;
    assert_eq!(opened(&replay(Family::Handshake, values)).len(), 0);
}

#[test]
fn a_difference_that_nobody_feels_is_none() {
    let values = (0..4000).map(|slot| if slot < 2000 { 0.002 } else { 0.004 } * (0.95 + 0.1 * noise(slot)));
    assert_eq!(opened(&replay(Family::Handshake, values)).len(), 0);
    let tools = (0..4000).map(|slot| if slot < 2000 { 14.0 } else { 13.0 });
    assert_eq!(opened(&replay(Family::Tools, tools)), [2002], "one tool fewer is");
}

#[test]
fn growth_over_days_is_a_trend_and_said_once_a_week() {
    let values = (0..8 * 2016).map(|slot| {
        let days = (slot as f64 / 288.0 - 14.0).max(0.0);
        2e8 * 1.05_f64.powf(days) * (0.99 + 0.02 * noise(slot))
    });
    let verdicts = replay(Family::Rss, values.take(24 * 288));
    let said: Vec<usize> =
        (0..verdicts.len()).filter(|slot| verdicts[*slot].trend.is_some()).map(|slot| slot / 288).collect();
    assert!(matches!(said[..], [day] if (18..=22).contains(&day)), "{said:?}");
}

#[test]
fn a_strong_cycle_of_the_day_is_no_trend_while_it_is_learnt() {
    let values = (0..21 * 288).map(|slot| {
        let usual = if (9..18).contains(&(slot / 12 % 24)) { 80.0 } else { 20.0 };
        usual * (0.95 + 0.1 * noise(slot))
    });
    let verdicts = replay(Family::Cpu, values);
    assert!(verdicts.iter().all(|verdict| verdict.anomaly().is_none()));
}

/// Orders of a market that opens for twelve hours of a weekday.
fn market(slot: usize) -> f64 {
    let (day, hour) = (slot / 288 % 7, (slot % 288) as f64 / 12.0);
    let open = ((hour - 7.0) / 12.0 * std::f64::consts::PI).sin().max(0.0);
    let rate = if day < 5 { 20.0 * open } else { 0.0 };
    // The sum of twelve such numbers is nearly normal, with a variance of 1.
    let normal: f64 = (0..12).map(|part| noise(12 * slot + part)).sum::<f64>() - 6.0;
    (rate + rate.sqrt() * normal).round().max(0.0)
}

#[test]
fn a_market_is_expected_on_monday_as_on_friday() {
    let verdicts = replay(Family::Orders, (0..3 * 2016).map(market));
    assert!(verdicts.iter().all(|verdict| verdict.anomaly().is_none()));
    let at_eleven = |day: usize| verdicts[day * 288 + 11 * 12];
    let (first, friday, monday) = (at_eleven(7), at_eleven(11), at_eleven(14));
    assert!(first.expected > 0.93 * friday.expected, "the first weekend does not pull it down: {first:?}, {friday:?}");
    assert!(monday.upper > 0.9 * friday.upper, "what rests has not made the band narrow: {monday:?}, {friday:?}");
}

#[test]
fn a_scale_of_nothing_grows_again() {
    let flat = std::iter::repeat_n(0.5, 3000);
    let moving = (0..3000).map(|slot| 0.5 * (0.6 + 0.8 * noise(slot)));
    let verdicts = replay(Family::Handshake, flat.chain(moving));
    assert!(verdicts[5500..].iter().all(|verdict| verdict.anomaly().is_none()));
    assert!(verdicts[5999].upper > 0.6, "{:?}", verdicts[5999]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_stays_finite_and_the_same_points_give_the_same_state_however_they_are_divided(
        family in prop::sample::select(&FAMILIES[..]),
        points in prop::collection::vec((prop_oneof![-1_000_i64..100_000, any::<i64>()], prop_oneof![
            0.0..10.0, prop::num::f64::ANY, Just(0.0), Just(f64::MAX), Just(f64::NAN), Just(f64::INFINITY),
        ]), 1..1500),
        cut in 0_usize..1500,
    ) {
        let mut whole = Detector::new(family);
        let mut parts = Detector::new(family);
        let mut time = MONDAY;
        for (index, (gap, value)) in points.into_iter().enumerate() {
            time = time.saturating_add(gap.saturating_mul(SLOT_SECONDS));
            let verdict = whole.step(time, value);
            prop_assert!([verdict.lower, verdict.upper, verdict.expected, verdict.score].iter().all(|n| n.is_finite()), "{verdict:?}");
            prop_assert!(verdict.lower <= verdict.expected && verdict.expected <= verdict.upper, "{verdict:?}");
            prop_assert_eq!(parts.step(time, value), verdict);
            if index == cut {
                let text = serde_json::to_string(&parts).expect("written");
                parts = serde_json::from_str(&text).expect("read");
            }
        }
        prop_assert_eq!(whole, parts);
    }
}

/// What a pass would know of `series` servers after two weeks, and `slots` more with these values.
fn storm_of(series: usize, odd: usize, slots: i64) -> (Learnt, Unusual) {
    let mut learnt = Learnt::new(MONDAY);
    let ids: Vec<String> = (0..series).map(|number| format!("mcp/{number}")).collect();
    let points = |slot: i64, odd: usize| -> Vec<(String, Family, f64)> {
        let value =
            |number: usize| (0.9 + 0.2 * noise(slot as usize * 131 + number)) * if number < odd { 6.0 } else { 1.0 };
        ids.iter().enumerate().map(|(number, id)| (id.clone(), Family::Handshake, value(number))).collect()
    };
    let first = MONDAY / SLOT_SECONDS;
    for slot in 0..600 + slots {
        learnt.close(first + slot, &points(slot, if slot < 600 { 0 } else { odd }), |_| true);
    }
    let watch = || BTreeMap::from([(Family::Handshake, Watch::default())]);
    let mut unusual = Unusual { series: ids.iter().map(|id| (id.clone(), watch())).collect(), ..Unusual::default() };
    learnt.write_to(&mut unusual);
    (learnt, unusual)
}

fn said_level(unusual: &Unusual) -> usize {
    unusual.all().filter(|one| one.state.level.is_some()).count()
}

#[test]
fn many_at_once_are_one_event_and_a_few_are_not() {
    let (_, storm) = storm_of(20, 6, 5);
    assert_eq!((said_level(&storm), storm.widespread.map(|storm| storm.series)), (6, Some(6)));
    assert_eq!(storm.totals.get(&Family::Handshake), None, "its members do not count");
    let (_, few) = storm_of(20, 3, 5);
    assert_eq!((said_level(&few), few.widespread), (3, None));
    assert_eq!(few.totals[&Family::Handshake].level, 3);
    let (_, over) = storm_of(20, 6, 100);
    assert_eq!((said_level(&over), over.widespread), (0, None), "the new normal ends it");
}

#[test]
fn there_is_room_for_512_series_and_the_oldest_unplanned_make_it() {
    let mut learnt = Learnt::new(MONDAY);
    let points = |range: std::ops::Range<usize>| -> Vec<(String, Family, f64)> {
        range.map(|number| (format!("mcp/{number:04}"), Family::Tools, 1.0)).collect()
    };
    let told = |learnt: &Learnt| {
        let watch = || BTreeMap::from([(Family::Tools, Watch::default())]);
        let series = (0..700).map(|number| (format!("mcp/{number:04}"), watch())).collect();
        let mut unusual = Unusual { series, ..Unusual::default() };
        learnt.write_to(&mut unusual);
        let known = unusual.series.into_iter().filter(|(_, families)| families[&Family::Tools].state.points > 0);
        known.map(|(id, _)| id).collect::<Vec<_>>()
    };
    learnt.close(1, &points(0..10), |_| true);
    learnt.close(2, &points(10..600), |_| true);
    assert_eq!(told(&learnt).len(), 512, "those that are planned stay");
    learnt.close(3, &points(600..605), |id| id >= "mcp/0008");
    let known = told(&learnt);
    assert_eq!((known.len(), &*known[0]), (512, "mcp/0005"), "the oldest that nobody plans have gone");
    learnt.close(4, &points(605..700), |id| id >= "mcp/0008");
    assert_eq!((told(&learnt).len(), &*told(&learnt)[0]), (512, "mcp/0008"));
}
