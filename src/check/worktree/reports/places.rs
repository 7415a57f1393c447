//! Where test runners leave JUnit reports, without configuration and by glob.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::clock::Deadline;
use crate::model::worktree::WorktreeTarget;

/// Reports in the worktree itself or in a package directly in it: what the manuals of pytest, jest-junit, Vitest,
/// `node --test`, go-junit-report, gotestsum and ctest show.
pub(crate) const FILES: &[&str] = &[
    "junit.xml", "report.xml", "test-report.xml", "test_report.xml", "test-results.xml", "test_results.xml",
    "testresults.xml", "unit-tests.xml", "tests.xml", "pytest.xml", "xunit.xml", "results.xml",
];

/// Directories whose XML files are reports. `*` is any one directory.
pub(crate) const DIRECTORIES: &[&str] = &[
    "test-results", "test-reports", "test_results", "test_reports", "reports", "reports/junit", "junit",
    // cargo-nextest, one directory a profile.
    "target/nextest/*", // Maven.
    "target/surefire-reports", "target/failsafe-reports",
    // Gradle, one directory a test task.
    "build/test-results/*", "build/test-results", "build/reports", // ctest.
    "build", "build/Testing",
];

/// Directories that no pattern reaches into: other people's packages and git's own files.
const SKIPPED: &[&str] = &[".git", "node_modules", ".venv", "venv"];

/// Directory entries that one search by pattern looks at.
const MAX_ENTRIES: usize = 300_000;

/// Directories directly in the worktree that are taken for packages of their own.
const MAX_PACKAGES: usize = 200;

/// Whether a tracked file of this path is a report and not something that is tested.
pub(crate) fn is_report_name(path: &[u8]) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    name.ends_with(b".xml")
        && (FILES.iter().any(|file| file.as_bytes() == name)
            || name.starts_with(b"TEST-")
            || name.windows(5).any(|window| window.eq_ignore_ascii_case(b"junit")))
}

/// Every file that may be a report; those at the built-in places still have to be looked into.
pub(super) fn find(target: &WorktreeTarget, deadline: Deadline) -> Vec<PathBuf> {
    let mut found = Vec::new();
    in_package(&target.path, &mut found);
    let packages = target.path.read_dir().into_iter().flatten().flatten();
    let packages = packages.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    for package in packages.filter(|path| !is_skipped(path, target)).take(MAX_PACKAGES) {
        in_package(&package, &mut found);
    }
    if !target.test_reports.is_empty() {
        by_glob(target, deadline, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn in_package(package: &Path, found: &mut Vec<PathBuf>) {
    found.extend(FILES.iter().map(|name| package.join(name)).filter(|path| path.is_file()));
    for directory in DIRECTORIES {
        match directory.strip_suffix("/*") {
            Some(above) => {
                for entry in package.join(above).read_dir().into_iter().flatten().flatten() {
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        xml_files(&entry.path(), found);
                    }
                }
            }
            None => xml_files(&package.join(directory), found),
        }
    }
}

fn xml_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension() == Some(OsStr::new("xml")) && path.is_file() {
            found.push(path);
        }
    }
}

fn by_glob(target: &WorktreeTarget, deadline: Deadline, found: &mut Vec<PathBuf>) {
    let is_wanted = |path: &Path| {
        let relative = path.strip_prefix(&target.path).unwrap_or(path).as_os_str().as_bytes();
        target.test_reports.iter().any(|glob| fast_glob::glob_match(glob, relative)) && path.is_file()
    };
    let mut open = vec![target.path.clone()];
    let mut entries = 0;
    while let Some(directory) = open.pop() {
        for entry in directory.read_dir().into_iter().flatten().flatten() {
            entries += 1;
            if entries > MAX_ENTRIES || deadline.passed() {
                return;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            match kind.is_dir() {
                true if !is_skipped(&path, target) => open.push(path),
                false if is_wanted(&path) => found.push(path),
                _ => {}
            }
        }
    }
}

fn is_skipped(directory: &Path, target: &WorktreeTarget) -> bool {
    SKIPPED.iter().any(|skipped| directory.ends_with(skipped)) || target.nested.iter().any(|nested| nested == directory)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reports_are_found_at_their_usual_places_and_by_glob() {
        let root = tempfile::tempdir().expect("a directory");
        let expected = [
            "build/test-results/test/TEST-a.xml",
            "deep/er/still/my-report.xml",
            "junit.xml",
            "module/target/surefire-reports/TEST-b.xml",
            "target/nextest/ci/junit.xml",
        ];
        for path in expected.iter().chain(&["node_modules/x/my-report.xml", "src/other.xml"]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, "x").expect("a file");
        }
        let deadline = Deadline::after(Duration::from_secs(20));
        let globs = vec!["**/my-report.xml".to_owned()];
        let target = WorktreeTarget { path: root.path().to_owned(), test_reports: globs, ..WorktreeTarget::default() };
        let found = find(&target, deadline);
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).expect("inside")).collect();
        assert_eq!(found, expected.map(Path::new));
    }

    #[test]
    fn only_reports_are_taken_for_reports() {
        assert!(
            is_report_name(b"a/TEST-x.xml") && is_report_name(b"ci/my-JUnit-2.xml") && is_report_name(b"report.xml")
        );
        assert!(!is_report_name(b"pom.xml") && !is_report_name(b"junit.txt"));
    }
}
