//! The history of the last two weeks: a file of JSON lines for each UTC day, one line a pass, only changes in it.
//!
//! It is appended to without a sync: losing the last lines to a power failure costs a report nothing that matters. A
//! record begins with a newline of its own, so that one torn by a crash spoils only itself.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fs;
use crate::model::history::{Record, day_of};

/// Days kept, today included.
const DAYS: i64 = 14;

/// Bytes of one day at most; a real day takes 60 to 200 KiB.
const MAX_BYTES: u64 = 8 << 20;

/// Where the history lies.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("history")
}

/// Appends one pass; the first of a day also removes what is too old.
///
/// # Errors
/// What the operating system refused, or a day that is full.
pub fn append(state_dir: &Path, record: &Record) -> io::Result<()> {
    let directory = directory(state_dir);
    let mut line = serde_json::to_vec(record)?;
    line.insert(0, b'\n');
    fs::append_capped(&directory.join(file_name(&day_of(record.at))), &line, MAX_BYTES)?;
    if record.whole {
        prune(&directory, record.at);
    }
    Ok(())
}

fn file_name(day: &str) -> String {
    format!("{day}.jsonl")
}

/// Removes the files of days before the last two weeks. Whatever else lies there is left alone.
fn prune(directory: &Path, now: Timestamp) {
    let oldest = now.checked_sub(jiff::SignedDuration::from_hours(24 * (DAYS - 1))).map(day_of).unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let day = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        if day.is_some_and(|day| is_day(day) && day < oldest.as_str()) {
            // One that cannot be removed is tried again tomorrow.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

/// The records of a UTC day in the order of the passes. A missing file is a day without passes; lines that cannot be
/// read are left out.
///
/// # Errors
/// What the operating system refused.
pub fn read(state_dir: &Path, day: &str) -> io::Result<Vec<Record>> {
    let bytes = match fs::read_capped(&directory(state_dir).join(file_name(day)), MAX_BYTES + (1 << 20)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut records: Vec<Record> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    records.sort_by_key(|record| record.at);
    Ok(records)
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
        let kept = std::fs::read_dir(directory(state.path())).expect("listed").count();
        assert_eq!(kept, 14 + 1);
    }
}
