//! Test reports: where runners leave them, and what they say.

pub(super) mod junit;
pub(super) mod places;
pub(super) mod pytest;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::clock::Deadline;
use crate::fs::read_capped;
use crate::fs::stamp::Stamp;
use crate::model::worktree::ReportMemory;

pub(super) use places::is_report_name;

/// Larger is no report that a person would keep.
const MAX_BYTES: u64 = 64 << 20;

/// More reports than this of one worktree are not read; the newest ones are.
const MAX_REPORTS: usize = 5_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub(super) path: PathBuf,
    /// Key of [`ReportMemory`]: the path, escaped.
    pub(super) key: String,
    pub(super) written_ns: i128,
}

fn key(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

/// Every JUnit report of a worktree, and what each says: a file that is as it was in `old` is not read again.
pub(super) fn junit_reports(
    work_tree: &Path,
    globs: &[String],
    nested: &[PathBuf],
    old: &BTreeMap<String, ReportMemory>,
    deadline: Deadline,
) -> (Vec<Report>, BTreeMap<String, ReportMemory>) {
    let files = places::find(work_tree, globs, nested, deadline).into_iter();
    let files = files.filter_map(|path| Stamp::of(&path).map(|stamp| (path, stamp)));
    let mut files: Vec<(PathBuf, Stamp)> = files.filter(|(_, stamp)| stamp.size > 0).collect();
    files.sort_by_key(|(_, stamp)| std::cmp::Reverse(stamp.mtime_ns));
    files.truncate(MAX_REPORTS);
    let mut known = BTreeMap::new();
    let mut reports = Vec::new();
    for (path, stamp) in files {
        let key = key(&path);
        let text = stamp.text();
        let report = match old.get(&key).filter(|report| report.stamp == text) {
            Some(remembered) => remembered.clone(),
            None if deadline.passed() => continue,
            None => read(&path, text),
        };
        // Where no test ran, nothing was judged: `ctest` before a build writes each as "notrun".
        if report.counts.is_some_and(|counts| counts.passed + counts.failed > 0) {
            reports.push(Report { path, key: key.clone(), written_ns: stamp.written_ns() });
        }
        known.insert(key, report);
    }
    (reports, known)
}

fn read(path: &Path, stamp: String) -> ReportMemory {
    let parsed = read_capped(path, MAX_BYTES).ok().and_then(|bytes| junit::parse(&bytes));
    ReportMemory {
        stamp,
        counts: parsed.map(|parsed| parsed.counts),
        unexplained: parsed.map_or(0, |parsed| parsed.unexplained),
        duration: parsed.and_then(|parsed| parsed.duration),
        content: None,
    }
}
