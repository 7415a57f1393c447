//! The history of the last two weeks: a file of JSON lines for each UTC day, one line a pass, only changes in it.
//!
//! It is appended to without a sync: losing the last lines to a power failure costs a report nothing that matters. A
//! record begins with a newline of its own, so that one torn by a crash spoils only itself.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::fs;
use crate::model::history::{Points, Record, day_of};

const DAYS: usize = 14;

/// Bytes of one day at most; a real day takes about 1 MiB, most of it the points of eighty series.
const MAX_BYTES: u64 = 16 << 20;

pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("history")
}

/// Appends one pass; the first of a day also removes what is too old.
/// Errors: [`io::ErrorKind::NotFound`] for a record of changes where the day's file has gone: without what they change they say
/// nothing. Else what the operating system refused, or a day that is full. The file's name in front.
pub fn append(state_dir: &Path, record: &Record) -> anyhow::Result<()> {
    let directory = directory(state_dir);
    let mut line = serde_json::to_vec(record)?;
    line.insert(0, b'\n');
    let file = directory.join(file_name(&day_of(record.at)));
    fs::append_capped(&file, &line, record.whole, MAX_BYTES).with_context(|| file.display().to_string())?;
    if record.whole {
        prune(&directory);
    }
    Ok(())
}

fn file_name(day: &str) -> String {
    format!("{day}.jsonl")
}

/// Removes all but the newest days. Whatever else lies there is left alone.
///
/// By their number and not by the clock: one that is a year ahead for a single pass must not cost two weeks.
fn prune(directory: &Path) {
    for old in days(directory).iter().rev().skip(DAYS) {
        // One that cannot be removed is tried again tomorrow.
        let _ = std::fs::remove_file(directory.join(file_name(old)));
    }
}

/// Whether no pass was made before this day. Where older days have been removed that is not so.
pub fn is_first(state_dir: &Path, day: &str) -> bool {
    let days = days(&directory(state_dir));
    days.len() < DAYS && days.first().is_none_or(|first| day <= first.as_str())
}

fn days(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut days: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned())).collect();
    days.retain(|day| day.parse::<jiff::civil::Date>().is_ok());
    days.sort_unstable();
    days
}

pub fn points(state_dir: &Path) -> io::Result<Vec<Points>> {
    let mut points = Vec::new();
    for day in days(&directory(state_dir)) {
        points.extend(read(state_dir, &day)?.into_iter().filter_map(|record| record.points));
    }
    Ok(points)
}

/// The records of a UTC day in the order of the passes. A missing file is a day without passes; lines that cannot be
/// read are left out.
pub fn read(state_dir: &Path, day: &str) -> io::Result<Vec<Record>> {
    let bytes = fs::read_capped(&directory(state_dir).join(file_name(day)), MAX_BYTES + (1 << 20));
    Ok(records(&fs::if_there(bytes)?.unwrap_or_default()))
}

/// The records of this UTC day and of the day before.
pub fn of_two_days(state_dir: &Path, now: Timestamp) -> io::Result<Vec<Record>> {
    let mut records = read(state_dir, &day_of(now - SignedDuration::from_hours(24)))?;
    records.extend(read(state_dir, &day_of(now))?);
    Ok(records)
}

pub(super) fn records(bytes: &[u8]) -> Vec<Record> {
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut records: Vec<Record> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    records.sort_by_key(|record| record.at);
    records
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn record(second: i64, whole: bool) -> Record {
        Record {
            at: Timestamp::from_second(second).expect("a time"),
            whole,
            marks: BTreeMap::new(),
            deadline_exceeded: false,
            failed_outputs: Vec::new(),
            points: None,
            widespread: None,
        }
    }

    #[test]
    fn records_come_back_and_a_torn_one_spoils_only_itself() {
        let state = tempfile::tempdir().expect("a directory");
        append(state.path(), &record(1_000_000_000, true)).expect("appended");
        let file = directory(state.path()).join("2001-09-09.jsonl");
        let mut torn = std::fs::read(&file).expect("read");
        torn.extend_from_slice(b"\n{\"t\":\"2001-09-09T0");
        std::fs::write(&file, torn).expect("written");
        append(state.path(), &record(1_000_000_030, false)).expect("appended");
        let records = read(state.path(), "2001-09-09").expect("read");
        assert_eq!(records, [record(1_000_000_000, true), record(1_000_000_030, false)]);
        assert_eq!(read(state.path(), "2001-09-10").expect("read"), []);
    }

    #[test]
    fn two_weeks_are_kept_and_nothing_else_is_touched() {
        let state = tempfile::tempdir().expect("a directory");
        for day in 0..20 {
            append(state.path(), &record(1_000_000_000 + day * 86_400, true)).expect("appended");
        }
        std::fs::write(directory(state.path()).join("notes.jsonl"), "mine").expect("written");
        let kept = || std::fs::read_dir(directory(state.path())).expect("listed").count();
        assert_eq!(kept(), 14 + 1);
        // The clock is a year ahead, and right again.
        append(state.path(), &record(1_000_000_000 + 385 * 86_400, true)).expect("appended");
        append(state.path(), &record(1_000_000_000 + 20 * 86_400, true)).expect("appended");
        assert_eq!(kept(), 14 + 1);
        assert_eq!(read(state.path(), "2001-09-28").expect("read").len(), 1, "the day before");
    }
}
