//! `lab-probe backtest`: the detector of unusual values, replayed over a file of points.

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::{BacktestArgs, BacktestFormat, Cli};
use crate::exit::{self, Exit};
use crate::fs;
use crate::fs::remedy::remedy;
use crate::show;
use crate::show::unusual::Row;
use crate::unusual::{Anomaly, Detector, Family, Verdict};

/// Twenty years of slots in the longest form that is read.
const MOST_BYTES: u64 = 256 << 20;

/// Changes only when a field is removed or means something else.
const SCHEMA: &str = "lab-probe.backtest/1";

/// What stands above the lines of `--format csv`.
const HEADER: &str = "timestamp,value,expected_lower,expected_upper,score,anomaly\n";

/// Replays every file and prints what the detector says.
///
/// # Errors
/// A file that cannot be read (exit 1), or a line of it (exit 2).
pub(super) fn run(cli: &Cli, args: &BacktestArgs) -> anyhow::Result<Exit> {
    let mut series = Vec::new();
    for file in &args.files {
        series.push((file.display().to_string(), replay(args.family, &points(file)?)));
    }
    let text = match args.format {
        BacktestFormat::Csv => series.iter().fold(HEADER.to_owned(), |text, (_, rows)| text + &csv(rows)),
        BacktestFormat::Table => {
            let style = super::style(cli);
            series.iter().map(|(name, rows)| show::unusual::table(name, args.family, rows, &style)).collect()
        }
        BacktestFormat::Json => document(args.family, &series).map_err(exit::bug)? + "\n",
    };
    Ok(if super::print(&text) { Exit::Done } else { Exit::Trouble })
}

fn replay(family: Family, points: &[(Timestamp, f64)]) -> Vec<Row> {
    let mut detector = Detector::new(family);
    points.iter().map(|&(time, value)| (time, value, detector.step(time.as_second(), value))).collect()
}

/// The points of a file, in its order.
fn points(path: &Path) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let bytes = fs::read_capped(path, MOST_BYTES).map_err(|error| {
        let hint = remedy(path, &error);
        exit::hinted(Exit::Trouble, anyhow::Error::new(error).context(format!("cannot read {}", path.display())), hint)
    })?;
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
fn point(line: &str) -> anyhow::Result<Option<(Timestamp, f64)>> {
    let (time, value) = line.split_once(',').unwrap_or((line, ""));
    let (time, value) = (time.trim(), value.split(',').next().unwrap_or_default().trim());
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
    rows.iter()
        .map(|(time, value, verdict)| {
            let Verdict { lower, upper, score, anomaly, .. } = verdict;
            format!("{},{value},{lower},{upper},{score:.2},{}\n", time.as_second(), word(*anomaly).unwrap_or_default())
        })
        .collect()
}

fn word(anomaly: Option<Anomaly>) -> Option<&'static str> {
    anomaly.map(Anomaly::kind)
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    family: Family,
    series: Vec<Series<'a>>,
}

#[derive(Debug, Serialize)]
struct Series<'a> {
    file: &'a str,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    timestamp: Timestamp,
    value: f64,
    expected_lower: f64,
    expected_upper: f64,
    score: f64,
    anomaly: Option<&'static str>,
}

fn document(family: Family, series: &[(String, Vec<Row>)]) -> serde_json::Result<String> {
    let point = |(timestamp, value, verdict): &Row| Point {
        timestamp: *timestamp,
        value: *value,
        expected_lower: verdict.lower,
        expected_upper: verdict.upper,
        score: verdict.score,
        anomaly: word(verdict.anomaly),
    };
    let series = series.iter().map(|(file, rows)| Series { file, points: rows.iter().map(point).collect() }).collect();
    serde_json::to_string(&Document { schema: SCHEMA, family, series })
}
