//! pytest's cache (`.pytest_cache/v/cache`): which tests failed last, and when it ran.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path};

use memchr::memmem;

use super::{Known, Report, unchanged};
use crate::fs::stamp::Stamp;
use crate::fs::{if_there, read_capped};
use crate::model::worktree::{ReportMemory, TestCounts, TestSource};

/// Larger caches than this are not read.
const MAX_BYTES: u64 = 16 << 20;

/// Larger test files than this are not looked into.
const MAX_SOURCE_BYTES: u64 = 2 << 20;

/// Of so many failed tests it is looked up whether they still exist; with more, they all count.
const MAX_LOOKED_UP: usize = 200;

/// The newest run in the worktree's own cache or in one of a directory directly in it.
pub(crate) fn last_run(work_tree: &Path, old: &Known) -> Option<Report> {
    let below = work_tree.read_dir().into_iter().flatten().flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let roots = std::iter::once(work_tree.to_owned()).chain(below);
    roots.filter_map(|root| run_in(&root, old)).max_by_key(|run| run.written_ns)
}

/// `lastfailed` keeps its time when the same tests fail again, and is not written at all when none ever failed;
/// `nodeids` is written by every run. Tests that passed are not counted.
fn run_in(root: &Path, old: &Known) -> Option<Report> {
    let cache = root.join(".pytest_cache/v/cache");
    let path = cache.join("nodeids");
    let stamp = Stamp::of(&path)?;
    let nodeids = read_capped(&path, MAX_BYTES).ok()?;
    let lastfailed = if_there(read_capped(&cache.join("lastfailed"), MAX_BYTES)).ok()?;
    let failed = failed(&nodeids, lastfailed.as_deref(), |id| still_exists(root, id))?;
    let counts = Some(TestCounts { failed, ..TestCounts::default() });
    let content = unchanged(&path, &stamp.text(), old).and_then(|known| known.content.clone());
    let said = ReportMemory { stamp: stamp.text(), counts, content, ..ReportMemory::default() };
    Some(Report { source: TestSource::Pytest, path, written_ns: stamp.written_ns(), said })
}

/// How many tests of a run failed and exist; `None` where the cache tells of no run.
pub(crate) fn failed(nodeids: &[u8], lastfailed: Option<&[u8]>, exists: impl Fn(&str) -> bool) -> Option<u64> {
    let collected: Vec<String> = serde_json::from_slice(nodeids).ok()?;
    let failed: BTreeMap<String, serde_json::Value> = serde_json::from_slice(lastfailed.unwrap_or(b"{}")).ok()?;
    if collected.is_empty() && failed.is_empty() {
        return None;
    }
    let all = failed.len() > MAX_LOOKED_UP;
    Some(failed.keys().filter(|id| all || exists(id)).count() as u64)
}

/// `lastfailed` keeps tests that were deleted since: `tests/test_a.py::TestB::test_c[x]` counts only while the file is
/// there and still holds the last name. An id without a name is a file that could not be collected. What cannot be
/// looked up counts.
fn still_exists(root: &Path, id: &str) -> bool {
    let mut parts = id.split("::");
    let file = Path::new(parts.next().unwrap_or_default());
    // The cache may come with a cloned repository: no file outside is opened on its word.
    if !file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return true;
    }
    let text = match read_capped(&root.join(file), MAX_SOURCE_BYTES) {
        Ok(text) => text,
        Err(error) => return !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    let Some(name) = parts.last() else { return true };
    let name = name.split('[').next().unwrap_or(name).as_bytes();
    memmem::find(&text, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(nodeids: &str, lastfailed: Option<&str>) -> (tempfile::TempDir, Option<u64>) {
        let root = tempfile::tempdir().expect("a directory");
        let cache = root.path().join(".pytest_cache/v/cache");
        std::fs::create_dir_all(&cache).expect("directories");
        std::fs::write(root.path().join("test_a.py"), "def test_one():\n    assert 0\n").expect("a test");
        std::fs::write(cache.join("nodeids"), nodeids).expect("written");
        if let Some(lastfailed) = lastfailed {
            std::fs::write(cache.join("lastfailed"), lastfailed).expect("written");
        }
        let failed = last_run(root.path(), &BTreeMap::new()).map(|run| run.said.counts.expect("counted").failed);
        (root, failed)
    }

    #[test]
    fn failed_tests_count_only_while_they_exist() {
        let nodeids = r#"["test_a.py::test_one", "test_a.py::test_two"]"#;
        for (lastfailed, failed) in [
            (None, 0),
            (Some("{}"), 0),
            (Some(r#"{"test_a.py::test_one[1]": true, "test_a.py::test_two": true, "gone.py::test_x": true}"#), 1),
            (Some(r#"{"test_a.py": true}"#), 1),
        ] {
            let (_root, counted) = cache(nodeids, lastfailed);
            assert_eq!(counted, Some(failed), "{lastfailed:?}");
        }
    }

    #[test]
    fn files_outside_are_not_opened_and_what_cannot_be_looked_up_counts() {
        let nodeids = r#"["test_a.py::test_one"]"#;
        for (lastfailed, failed) in [
            (r#"{"/etc/hostname::no_such_name": true}"#, 1),
            (r#"{"../test_a.py::no_such_name": true}"#, 1),
            (r#"{".pytest_cache::no_such_name": true}"#, 1),
            (r#"{"./test_a.py::no_such_name": true, "test_a.py/x::y": true}"#, 0),
        ] {
            let (_root, counted) = cache(nodeids, Some(lastfailed));
            assert_eq!(counted, Some(failed), "{lastfailed}");
        }
    }

    /// A file of one letter and a name that is almost all of it: compared at every place, that is 10^12 steps.
    #[test]
    fn a_name_is_looked_up_in_time_that_grows_with_the_file_alone() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::write(root.path().join("a.py"), "a".repeat(2 << 20)).expect("written");
        assert!(!still_exists(root.path(), &format!("a.py::{}b{}", "a".repeat(1 << 20), "a".repeat(1 << 19))));
    }

    #[test]
    fn a_cache_without_tests_or_with_damage_says_nothing() {
        assert_eq!(cache("[]", None).1, None);
        assert_eq!(cache("[", None).1, None);
        assert_eq!(cache(r#"["a"]"#, Some("{")).1, None);
    }
}
