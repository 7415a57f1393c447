//! What a pass measured becomes points of the detectors of unusual values.
//!
//! Within a slot only the state changes. With the first pass after a slot its points go to the detectors, whose file is read
//! and replaced; what they say is kept in the state, for the passes and commands until the next slot ends.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Performed, select};
use crate::config::settings::Settings;
use crate::exit;
use crate::model::history::{Points, Seen};
use crate::model::snapshot::{Entry, Outcome};
use crate::model::unusual::{Family, SLOT_SECONDS, Unusual};
use crate::state::learnt;
use crate::unusual::{Learnt, measure};

/// Learns from what was checked in this pass; what was reused is no point.
pub(super) fn learn(settings: &Settings, performed: &mut Performed) {
    if !settings.anomaly.enabled || performed.state_trouble.is_some() {
        return;
    }
    let now = performed.snapshot.pass.started_at.as_second();
    let slot = now.div_euclid(SLOT_SECONDS);
    let entries = &performed.snapshot.entries;
    let watched = entries.iter().filter(|entry| is_watched(settings, entry));
    let planned: BTreeMap<String, &Entry> = watched.map(|entry| (entry.target.id(), entry)).collect();
    let unusual = &mut performed.state.unusual;
    let ended = unusual.slot;
    let points = if slot == ended { Vec::new() } else { close(unusual, slot) };
    let mut is_new = false;
    unusual.series.retain(|id, _| planned.contains_key(id));
    for (id, entry) in planned.iter().filter(|(_, entry)| entry.outcome == Outcome::Fresh) {
        for (family, measure) in entry.observation.iter().flat_map(|seen| measure::of(&seen.facts)) {
            let families = unusual.series.entry(id.clone()).or_default();
            is_new |= !families.contains_key(&family);
            families.entry(family).or_default().pending.add(measure);
        }
    }
    if !points.is_empty() || is_new {
        let directory = &settings.probe.state_dir;
        let is_planned = |id: &str| planned.contains_key(id);
        if let Err(error) = take(directory, (now, ended), &points, is_planned, unusual, &mut performed.warnings) {
            performed.unlearnt = Some(exit::failed_at(directory, error));
        }
    }
    performed.points = kept(unusual, ended, &points);
    performed.snapshot.unusual = view(settings, unusual, &performed.snapshot.entries);
}

/// Gives the points of the slot that `ended` to the detectors, and what they say to `unusual`. A damaged file of theirs is
/// set aside with a warning. Errors: The operating system refuses to read or to replace it.
fn take(
    state_dir: &Path,
    (now, ended): (i64, i64),
    points: &[(String, Family, f64)],
    is_planned: impl Fn(&str) -> bool,
    unusual: &mut Unusual,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let (known, warning) = learnt::load(state_dir)?;
    warnings.extend(warning);
    let mut known = known.unwrap_or_else(|| Learnt::new(now));
    let saved = if points.is_empty() {
        Ok(())
    } else {
        known.close(ended, points, is_planned);
        learnt::save(state_dir, &known)
    };
    known.write_to(unusual);
    saved
}

/// Ends the slot that was open; `slot` is the one that begins.
fn close(unusual: &mut Unusual, slot: i64) -> Vec<(String, Family, f64)> {
    let adjacent = slot == unusual.slot.saturating_add(1);
    unusual.slot = slot;
    let series = unusual.series.iter_mut().flat_map(|(id, families)| families.iter_mut().map(move |one| (id, one)));
    series
        .filter_map(|(id, (family, watch))| Some((id.clone(), *family, watch.pending.close(*family, adjacent)?)))
        .collect()
}

/// The points with their bands, for the history.
fn kept(unusual: &Unusual, slot: i64, points: &[(String, Family, f64)]) -> Option<Points> {
    let mut kept = Points { slot: slot.saturating_mul(SLOT_SECONDS), series: BTreeMap::new() };
    for (id, family, value) in points {
        let state = unusual.series.get(id).and_then(|families| families.get(family)).map(|watch| &watch.state);
        let (lower, upper) = state.map_or((0.0, 0.0), |state| (state.lower, state.upper));
        let seen = Seen(*value, lower as f32, upper as f32);
        kept.series.entry(id.clone()).or_default().insert(*family, seen);
    }
    (!points.is_empty()).then_some(kept)
}

/// What is known of the series that have a value now: those of a server that is down are not unusual, they are absent.
/// `None` where it is switched off.
pub(super) fn view(settings: &Settings, unusual: &Unusual, entries: &[Entry]) -> Option<Unusual> {
    let mut view = Unusual { series: BTreeMap::new(), ..unusual.clone() };
    for entry in entries.iter().filter(|entry| is_watched(settings, entry)) {
        let id = entry.target.id();
        let Some((known, observation)) = unusual.series.get(&id).zip(entry.observation.as_ref()) else { continue };
        let measured = measure::of(&observation.facts);
        let families = measured.iter().filter_map(|(family, _)| Some((*family, known.get(family)?.clone())));
        view.series.insert(id, families.collect());
    }
    settings.anomaly.enabled.then_some(view)
}

fn is_watched(settings: &Settings, entry: &Entry) -> bool {
    let exclude = &settings.anomaly.exclude;
    !entry.target.only_here && !exclude.iter().any(|name| select::named(&entry.target, name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::clock::Deadline;
    use crate::commands::backtest;
    use crate::config::{environment::HostEnvironment, load_in};
    use crate::model::observation::{Facts, Observation};
    use crate::model::reason::{Failure, Reason};
    use crate::model::service::{ServiceFacts, ServiceProbe};
    use crate::model::snapshot::{LastPass, Snapshot};
    use crate::model::target::{Probe, Schedule, Target};
    use crate::model::thunes::{OrderCount, ThunesFacts, ThunesTarget};
    use crate::pass::save;
    use crate::state::store::State;

    /// A Monday, 00:00 UTC.
    const MONDAY: i64 = 1_790_553_600;

    /// A state directory, and what is remembered in it.
    struct Lab {
        directory: tempfile::TempDir,
        settings: Settings,
        state: State,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn answered(seconds: f64) -> Facts {
        Facts::Service(ServiceFacts { duration: Some(Duration::from_secs_f64(seconds)), ..ServiceFacts::default() })
    }

    fn traded(orders: u64) -> Facts {
        let orders = vec![OrderCount { count: orders, ..OrderCount::default() }];
        Facts::Thunes(ThunesFacts { orders: Some(orders), ..ThunesFacts::default() })
    }

    fn entry(name: &str, outcome: Outcome, facts: Facts) -> Entry {
        let probe = match &facts {
            Facts::Thunes(_) => Probe::Thunes(ThunesTarget {
                environment: name.into(),
                root: "/".into(),
                positions_db: "a".into(),
                journals: Vec::new(),
                logs: Vec::new(),
                metrics_url: None,
                max_daily_loss: None,
                unreachable: None,
            }),
            _ => Probe::Service(ServiceProbe::Tcp("127.0.0.1:1".into())),
        };
        let schedule = Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::ZERO };
        let (fingerprint, origins) = (String::new(), Vec::new());
        Entry {
            target: Target { name: name.into(), probe, schedule, fingerprint, origins, only_here: false },
            outcome,
            observation: Some(Observation { checked_at: at(0), duration: Duration::ZERO, facts }),
            memory: None,
            next_due: None,
            processes: None,
            trouble: None,
        }
    }

    impl Lab {
        fn with(config: &str) -> Lab {
            let directory = tempfile::tempdir().expect("a temporary directory");
            std::fs::write(directory.path().join("lab-probe.toml"), config).expect("a file");
            let environment = HostEnvironment::new(Some(directory.path()), directory.path(), &[]);
            let mut settings = load_in(None, &environment).expect("settings");
            settings.probe.state_dir = directory.path().to_owned();
            Lab { settings, state: State::new(at(MONDAY)), directory }
        }

        /// A pass that finds these.
        fn pass(&mut self, second: i64, entries: Vec<Entry>) -> Performed {
            let pass = LastPass { started_at: at(second), ..LastPass::default() };
            let mut performed = Performed {
                snapshot: Snapshot { pass, entries, ..Snapshot::default() },
                state: self.state.clone(),
                deadline: Deadline::after(Duration::from_secs(60)),
                warnings: Vec::new(),
                deliveries: Vec::new(),
                notice: None,
                state_trouble: None,
                unlearnt: None,
                points: None,
                lock: None,
            };
            learn(&self.settings, &mut performed);
            save::keep_history(&self.settings, &mut performed);
            self.state = performed.state.clone();
            performed
        }

        fn known(&self, id: &str, family: Family) -> crate::model::unusual::SeriesState {
            self.state.unusual.series[id][&family].state.clone()
        }
    }

    /// Around half a second, and four times as long from slot 640 on.
    fn value(slot: i64) -> f64 {
        let usual = 0.5 + 0.04 * (slot * 7919 % 13 - 6) as f64 / 6.0;
        if slot < 640 { usual } else { 4.0 * usual }
    }

    #[test]
    fn a_stream_fed_by_passes_and_its_backtest_say_the_same() {
        let mut lab = Lab::with("");
        let (mut lower, mut open) = (Vec::new(), Vec::new());
        for slot in 0..660_i64 {
            let begin = MONDAY + slot * SLOT_SECONDS;
            // Two measurements with the slot's value in the middle, a reused answer, and now and then a pass that finds nothing.
            lab.pass(begin + 3, vec![entry("app", Outcome::Fresh, answered(value(slot) - 0.01))]);
            lab.pass(begin + 99, vec![entry("app", Outcome::Cached, answered(60.0))]);
            let down = Facts::Service(ServiceFacts::failed(Failure::new(Reason::Timeout, "x")));
            lab.pass(begin + 150, vec![entry("app", Outcome::Fresh, down)]);
            lab.pass(begin + 299, vec![entry("app", Outcome::Fresh, answered(value(slot) + 0.01))]);
            if slot > 0 {
                let known = lab.known("service/app", Family::Service);
                lower.push(known.lower);
                open.push(known.level.is_some());
            }
        }
        let series = backtest::own(lab.directory.path(), Family::Service).expect("a history");
        let rows = backtest::replay(Family::Service, &series["service/app"]);
        assert_eq!(rows.len(), 659);
        assert!(rows.iter().enumerate().all(|(slot, row)| (row.1 - value(slot as i64)).abs() < 1e-9));
        assert_eq!(rows.iter().map(|row| row.2.lower).collect::<Vec<_>>(), lower);
        assert_eq!(rows.iter().map(|row| row.2.anomaly().is_some()).collect::<Vec<_>>(), open);
        assert!(!open[639] && open[642], "four times as long is unusual at the third point");
    }

    #[test]
    fn what_is_down_or_left_out_is_not_shown_and_a_slot_that_is_closed_twice_counts_once() {
        let mut lab = Lab::with("[anomaly]\nexclude = [\"b\"]");
        let both =
            |seconds| vec![entry("a", Outcome::Fresh, answered(seconds)), entry("b", Outcome::Fresh, answered(1.0))];
        lab.pass(MONDAY, both(0.5));
        let before = lab.state.clone();
        let shown = lab.pass(MONDAY + 300, both(0.5)).snapshot.unusual.expect("switched on");
        assert_eq!(shown.series.keys().collect::<Vec<_>>(), ["service/a"]);
        // The pass was killed before it had saved its state.
        lab.state = before;
        lab.pass(MONDAY + 310, both(0.5));
        assert_eq!(lab.known("service/a", Family::Service).points, 1);
        let down = Facts::Service(ServiceFacts::failed(Failure::new(Reason::Timeout, "x")));
        let shown = lab.pass(MONDAY + 700, vec![entry("a", Outcome::Fresh, down)]).snapshot.unusual.expect("on");
        assert_eq!(shown.series["service/a"].len(), 0);
        lab.settings.anomaly.enabled = false;
        assert!(lab.pass(MONDAY + 1000, both(0.5)).snapshot.unusual.is_none());
    }

    #[test]
    fn orders_are_counted_within_a_slot_and_neither_over_a_gap_nor_over_a_restart() {
        let mut lab = Lab::with("");
        let mut pass = |second: i64, orders: u64| {
            let points = lab.pass(MONDAY + second, vec![entry("live", Outcome::Fresh, traded(orders))]).points;
            points.map(|points| points.series["thunes/live"][&Family::Orders].0)
        };
        assert_eq!(pass(10, 100), None);
        assert_eq!(pass(310, 104), None, "how many came in the first slot is not known");
        assert_eq!(pass(500, 107), None);
        assert_eq!(pass(610, 110), Some(7.0));
        assert_eq!(pass(910, 2), Some(3.0));
        assert_eq!(pass(1000, 200), None);
        assert_eq!(pass(1210, 201), None, "it has begun anew");
        assert_eq!(pass(1510, 205), Some(1.0));
        assert_eq!(pass(2500, 305), Some(4.0));
        assert_eq!(pass(2710, 306), None, "what came in several slots together is no point");
    }

    #[test]
    fn a_file_that_is_damaged_is_learnt_anew_and_nothing_is_touched_within_a_slot() {
        let mut lab = Lab::with("");
        let file = lab.directory.path().join("unusual.bin");
        let one = || vec![entry("a", Outcome::Fresh, answered(0.5))];
        (0..3).for_each(|slot| drop(lab.pass(MONDAY + slot * 300, one())));
        let written = std::fs::read(&file).expect("a file");
        std::fs::write(&file, b"x").expect("damaged");
        assert!(lab.pass(MONDAY + 610, one()).warnings.is_empty(), "it is not even read");
        let warnings = lab.pass(MONDAY + 900, one()).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("set aside"), "{warnings:?}");
        assert_eq!(lab.known("service/a", Family::Service).points, 1);
        assert_ne!(std::fs::read(&file).expect("a file"), written);
    }
}
