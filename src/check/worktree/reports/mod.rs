//! Test reports: where runners leave them, and what they say.

pub mod junit;
pub(super) mod places;
pub(super) mod pytest;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::clock::Deadline;
use crate::fs::read_capped;
use crate::fs::stamp::Stamp;
use crate::model::worktree::{ReportMemory, TestSource, WorktreeTarget};

pub(super) use places::is_report_name;

/// Larger is no report that a person would keep.
const MAX_BYTES: u64 = 64 << 20;

/// More reports than this of one worktree are not read; the newest ones are.
const MAX_REPORTS: usize = 5_000;

/// What is remembered of each report, by its key.
type Known = BTreeMap<String, ReportMemory>;

/// What a test run has left in a worktree.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) source: TestSource,
    pub(super) path: PathBuf,
    pub(super) written_ns: i128,
    pub(super) said: ReportMemory,
}

impl Report {
    /// Where no test ran, nothing was judged: `ctest` before a build writes each as "notrun". pytest's cache does not say
    /// how many passed.
    pub(super) fn is_verdict(&self) -> bool {
        self.source == TestSource::Pytest
            || self.said.counts.is_some_and(|counts| counts.passed > 0 || counts.failed > 0)
    }
}

/// The key of a report in [`WorktreeMemory::reports`](crate::model::worktree::WorktreeMemory): its path, escaped.
pub(super) fn key(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

/// What was remembered of a file that is still as it was.
fn unchanged<'a>(path: &Path, stamp: &str, old: &'a Known) -> Option<&'a ReportMemory> {
    old.get(&key(path)).filter(|report| report.stamp == stamp)
}

/// Every JUnit report of a worktree: a file that is as it was in `old` is not read again.
pub(super) fn junit_reports(target: &WorktreeTarget, old: &Known, deadline: Deadline) -> Vec<Report> {
    let files = places::find(target, deadline).into_iter();
    let files = files.filter_map(|path| Stamp::of(&path).map(|stamp| (path, stamp)));
    let mut files: Vec<(PathBuf, Stamp)> = files.filter(|(_, stamp)| stamp.size > 0).collect();
    files.sort_by_key(|(_, stamp)| std::cmp::Reverse(stamp.mtime_ns));
    files.truncate(MAX_REPORTS);
    let report = |(path, stamp): (PathBuf, Stamp)| {
        let said = match unchanged(&path, &stamp.text(), old) {
            Some(known) => known.clone(),
            None if deadline.passed() => return None,
            None => ReportMemory { stamp: stamp.text(), ..read(&path).unwrap_or_default() },
        };
        Some(Report { source: TestSource::Junit, path, written_ns: stamp.written_ns(), said })
    };
    files.into_iter().filter_map(report).collect()
}

fn read(path: &Path) -> Option<ReportMemory> {
    junit::parse(&read_capped(path, MAX_BYTES).ok()?)
}
