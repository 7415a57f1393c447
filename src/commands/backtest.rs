//! `lab-probe backtest`: the detector of unusual values, replayed over a file of points, the history, or a Prometheus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::{BacktestArgs, BacktestFormat, Cli};
use crate::clock;
use crate::doctor;
use crate::exit::{self, Exit};
use crate::fs;
use crate::model::unusual::{Family, SLOT_SECONDS};
use crate::redact::Secret;
use crate::show;
use crate::show::unusual::Row;
use crate::state::history;
use crate::unusual::{Detector, Verdict};

/// Twenty years of slots in the longest form that is read.
const MOST_BYTES: u64 = 256 << 20;

/// Two weeks of many series take Prometheus a while.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

type Point = (Timestamp, f64);

const HEADER: &str = "timestamp,value,expected_lower,expected_upper,score,anomaly\n";

pub(super) fn run(cli: &Cli, args: &BacktestArgs) -> anyhow::Result<Exit> {
    let of_file = |file: &PathBuf| Ok((file.display().to_string(), points(file)?));
    let read: Vec<(String, Vec<Point>)> = match &args.prometheus {
        Some(address) => queried(address, args)?,
        None if args.files.is_empty() => {
            own(&super::load_settings(cli.config.as_deref(), None)?.probe.state_dir, args.family)?.into_iter().collect()
        }
        None => args.files.iter().map(of_file).collect::<anyhow::Result<_>>()?,
    };
    let series: Vec<_> = read.into_iter().map(|(name, points)| (name, replay(args.family, &points))).collect();
    let text = match args.format {
        BacktestFormat::Csv => series.iter().fold(HEADER.to_owned(), |text, (_, rows)| text + &csv(rows)),
        BacktestFormat::Table => {
            let style = super::style(cli);
            series.iter().map(|(name, rows)| show::unusual::table(name, args.family, rows, &style)).collect()
        }
        BacktestFormat::Json => format!("{}\n", document(args.family, &series)),
    };
    super::print(&text)
}

pub(crate) fn replay(family: Family, points: &[Point]) -> Vec<Row> {
    let mut detector = Detector::new(family);
    points.iter().map(|&(time, value)| (time, value, detector.step(time.as_second(), value))).collect()
}

/// What passes have kept of a family, by target.
pub(crate) fn own(state_dir: &Path, family: Family) -> anyhow::Result<BTreeMap<String, Vec<Point>>> {
    let mut series: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for slot in history::points(state_dir).map_err(|error| super::no_history(state_dir, error))? {
        let time = Timestamp::from_second(slot.slot).unwrap_or_default();
        for (id, families) in slot.series {
            if let Some(seen) = families.get(&family) {
                series.entry(id).or_default().push((time, seen.0));
            }
        }
    }
    if series.is_empty() {
        return Err(exit::trouble(
            "passes have not kept a point of this family yet",
            "name a file, or wait: a point is made every five minutes of what is checked with [anomaly] enabled",
        ));
    }
    Ok(series)
}

fn queried(address: &str, args: &BacktestArgs) -> anyhow::Result<Vec<(String, Vec<Point>)>> {
    let (end, query) = (clock::now().as_second(), args.query.as_deref().unwrap_or_default());
    let start = end.saturating_sub_unsigned(args.range.as_secs());
    let series = doctor::series(&Secret::new(address), QUERY_TIMEOUT, query, [start, end, SLOT_SECONDS])?;
    let point = |(time, value): (f64, f64)| {
        Timestamp::from_second(time as i64).ok().map(|time| (time, value)).filter(|_| value.is_finite())
    };
    Ok(series.into_iter().map(|(name, points)| (name, points.into_iter().filter_map(point).collect())).collect())
}

fn points(path: &Path) -> anyhow::Result<Vec<Point>> {
    let bytes = fs::read_capped(path, MOST_BYTES).map_err(|error| exit::refused("cannot read", path, error))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut points = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match point(line) {
            Ok(point) => points.extend(point),
            // A header has no time in its first column.
            Err(_) if number == 0 => {}
            Err(error) => {
                let place = format!("{}:{}", path.display(), number + 1);
                let next = "write timestamp,value: Unix seconds, RFC 3339 or YYYY-MM-DD HH:MM:SS, then a number";
                return Err(exit::hinted(Exit::Usage, error.context(place), next));
            }
        }
    }
    Ok(points)
}

/// The point of a line; `None` where nothing was measured. What the line holds is not quoted: somebody may have named the
/// wrong file.
fn point(line: &str) -> anyhow::Result<Option<Point>> {
    let mut columns = line.split(',').map(str::trim);
    let [time, value] = [columns.next(), columns.next()].map(Option::unwrap_or_default);
    if time.is_empty() && value.is_empty() {
        return Ok(None);
    }
    let time = timestamp(time).context("the first column is no time")?;
    if value.is_empty() {
        return Ok(None);
    }
    let value: f64 = value.parse().ok().context("the second column is no number")?;
    Ok(value.is_finite().then_some((time, value)))
}

fn timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_second(seconds as i64).ok().filter(|_| seconds.is_finite());
    }
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc)
}

fn csv(rows: &[Row]) -> String {
    let line = |(time, value, verdict): &Row| {
        let Verdict { lower, upper, score, .. } = verdict;
        let anomaly = verdict.anomaly().unwrap_or_default();
        format!("{},{value},{lower},{upper},{score:.2},{anomaly}\n", time.as_second())
    };
    rows.iter().map(line).collect()
}

fn document(family: Family, series: &[(String, Vec<Row>)]) -> Value {
    let point = |(time, value, verdict): &Row| {
        let Verdict { lower, upper, score, .. } = verdict;
        json!({
            "timestamp": time,
            "value": value,
            "expected_lower": lower,
            "expected_upper": upper,
            "score": score,
            "anomaly": verdict.anomaly(),
        })
    };
    let series = series.iter().map(|(file, rows)| {
        let points: Vec<Value> = rows.iter().map(point).collect();
        json!({ "file": file, "points": points })
    });
    // The schema's number changes only when a field is removed or means something else.
    json!({ "schema": "lab-probe.backtest/1", "family": family, "series": series.collect::<Vec<_>>() })
}
