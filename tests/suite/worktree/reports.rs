//! Test reports as real runners write them, and when they count.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::Lab;
use crate::harness::git::{commit, git, pass, repository, wall_clock, watch};

fn pair(status: &str, source: &str) -> (String, String) {
    (status.to_owned(), source.to_owned())
}

/// Where `tests/deps.sh` has put the runners.
fn runners() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-runners");
    assert!(path.join("requirements.txt").exists(), "the test runners are missing; run `make deps`");
    path
}

/// Runs a runner, whose verdict is its own affair.
fn run(command: &mut Command) {
    let output = command.output().expect("the runner is installed; run `make deps`");
    assert!(output.status.code().is_some(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn pytest(directory: &Path, args: &[&str]) {
    let python = std::env::join_paths([runners().join("python")]).expect("a path");
    run(Command::new("python3")
        .env("PYTHONPATH", python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-m", "pytest", "-q"])
        .args(args)
        .current_dir(directory));
}

const PYTHON_TESTS: &str = "import pytest\n\
    def test_good(): pass\n\
    def test_bad(): assert False\n\
    @pytest.mark.skip\n\
    def test_skipped(): pass\n\
    @pytest.fixture\n\
    def broken(): raise RuntimeError\n\
    def test_error(broken): pass\n";

#[test]
fn pytest_is_read_by_its_report_and_by_its_cache() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, "test_it.py", PYTHON_TESTS);
    commit(&lab, &main, ".gitignore", "*.xml\n.pytest_cache\n__pycache__\n");
    watch(&lab, &[&main], "");
    pytest(&main, &["--junitxml=junit.xml", "-p", "no:cacheprovider"]);
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("failing", "junit"));
    assert_eq!(series.counts("main"), Some((1.0, 2.0, 1.0)));
    assert!(series.value("lab_worktree_tests_duration_seconds", "main").is_some_and(|seconds| seconds > 0.0));
    std::fs::remove_file(main.join("junit.xml")).expect("removed");
    pytest(&main, &[]);
    assert_eq!(pass(&lab).tests("main"), pair("failing", "pytest"));
    // The failing tests go; the cache keeps their names, and its list of failures keeps its time.
    commit(&lab, &main, "test_it.py", "def test_good(): pass\n");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"));
    pytest(&main, &[]);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "pytest"));
    assert_eq!(pass(&lab).counts("main"), None);
}

#[test]
fn cargo_nextest_is_read_where_its_profile_puts_it() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, "Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    commit(
        &lab,
        &main,
        "src/lib.rs",
        "#[test]\nfn good() {}\n#[test]\nfn bad() { panic!() }\n#[test]\n#[ignore]\nfn ignored() {}\n",
    );
    commit(&lab, &main, ".config/nextest.toml", "[profile.default.junit]\npath = \"junit.xml\"\n");
    commit(&lab, &main, ".gitignore", "target\nCargo.lock\n");
    watch(&lab, &[&main], "");
    run(Command::new(runners().join("python/bin/cargo-nextest"))
        .args(["nextest", "run", "--offline", "--no-fail-fast"])
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("NEXTEST_PROFILE")
        .env_remove("RUSTC_WRAPPER")
        .current_dir(&main));
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("failing", "junit"));
    assert_eq!(series.counts("main").map(|(passed, failed, _)| (passed, failed)), Some((1.0, 1.0)));
}

#[test]
fn node_and_vitest_reports_are_read() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let node = "const { test } = require('node:test');\n\
        test('good', () => {});\ntest('bad', () => { throw new Error('x'); });\ntest('skipped', { skip: true }, () => {});\n";
    commit(&lab, &main, "node.test.js", node);
    commit(&lab, &main, ".gitignore", "*.xml\nnode_modules\n");
    watch(&lab, &[&main], "");
    run(Command::new("node")
        .args(["--test", "--test-reporter=junit", "--test-reporter-destination=test-results.xml", "node.test.js"])
        .current_dir(&main));
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("failing", "junit"));
    assert_eq!(series.counts("main"), Some((1.0, 1.0, 1.0)));
    std::fs::remove_file(main.join("test-results.xml")).expect("removed");

    let vitest = "import { test } from 'vitest';\n\
        test('good', () => {});\ntest('also good', () => {});\ntest.skip('skipped', () => {});\n";
    commit(&lab, &main, "it.spec.mjs", vitest);
    std::os::unix::fs::symlink(runners().join("node_modules"), main.join("node_modules")).expect("a link");
    run(Command::new("node")
        .args([runners().join("node_modules/vitest/vitest.mjs").to_str().expect("text"), "run", "it.spec.mjs"])
        .args(["--reporter=junit", "--outputFile=test-results/junit.xml"])
        .env("CI", "1")
        .env("VITEST_SKIP_INSTALL_CHECKS", "1")
        .current_dir(&main));
    let series = pass(&lab);
    assert_eq!(series.tests("main"), pair("passing", "junit"));
    assert_eq!(series.counts("main"), Some((2.0, 0.0, 1.0)));
}

fn report(passed: usize, failed: usize) -> String {
    format!(
        "<testsuites>{}{}</testsuites>",
        "<testsuite><testcase/></testsuite>".repeat(passed),
        "<testsuite><testcase><failure/></testcase></testsuite>".repeat(failed)
    )
}

#[test]
fn several_files_are_summed_and_a_glob_finds_the_rest() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "test_reports = [\"**/odd-*.xml\"]\n");
    for (path, passed, failed) in [
        ("a/target/surefire-reports/TEST-a.xml", 2, 0),
        ("b/target/surefire-reports/TEST-b.xml", 1, 1),
        ("b/build/test-results/test/TEST-c.xml", 1, 0),
        ("deep/er/and/deeper/odd-1.xml", 3, 0),
        ("deep/er/and/deeper/other.xml", 0, 9),
    ] {
        lab.write(Path::new("LAB").join(path), report(passed, failed));
    }
    let series = pass(&lab);
    assert_eq!(series.counts("main"), Some((7.0, 1.0, 0.0)));
    assert_eq!(series.tests("main"), pair("failing", "junit"));
    // What is no report, is cut off or was never written is passed over.
    std::fs::remove_file(main.join("b/target/surefire-reports/TEST-b.xml")).expect("removed");
    lab.write("LAB/junit.xml", "<testsuite><testcase>");
    lab.write("LAB/report.xml", "<html><testcase/></html>");
    lab.write("LAB/results.xml", "");
    let series = pass(&lab);
    assert_eq!(series.counts("main"), Some((6.0, 0.0, 0.0)));
    assert_eq!(series.tests("main"), pair("passing", "junit"));
}

#[test]
fn a_report_counts_until_something_tracked_changes() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    commit(&lab, &main, "other", "x\n");
    watch(&lab, &[&main], "");
    let file = main.join("file");
    let original = std::fs::read(&file).expect("read");
    std::thread::sleep(Duration::from_millis(30));
    let write_report = || lab.write("LAB/junit.xml", report(3, 0));
    write_report();
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"));
    let touch = || {
        let opened = std::fs::File::options().write(true).open(&file).expect("opened");
        opened.set_modified(wall_clock()).expect("touched");
    };
    touch();
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"), "a touch");
    std::fs::write(&file, "edit\n").expect("written");
    let opened = std::fs::File::options().write(true).open(&file).expect("opened");
    opened.set_modified(wall_clock() - Duration::from_secs(3_600)).expect("put back");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "an edit whose time was put back");
    std::fs::write(&file, &original).expect("written");
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"), "the tested content is back");
    std::fs::write(&file, "edited for good\n").expect("written");
    std::thread::sleep(Duration::from_millis(30));
    write_report();
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"), "edited, then tested");
    git(&lab, &main, &["commit", "-q", "-a", "-m", "what was tested"]);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"), "committed");
    std::fs::remove_file(main.join("other")).expect("removed");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "a tracked file is gone");
}

#[test]
fn without_a_memory_times_decide() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "");
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(1, 0));
    std::thread::sleep(Duration::from_millis(30));
    let first = |what: &str| {
        let _ = std::fs::remove_dir_all(lab.path().join("state"));
        (pass(&lab).tests("main"), what.to_owned())
    };
    // A touch, and a status by somebody else that notes it in the index.
    let opened = std::fs::File::options().write(true).open(main.join("file")).expect("opened");
    opened.set_modified(wall_clock()).expect("touched");
    assert_eq!(first("touched").0, pair("passing", "junit"));
    std::fs::write(main.join("file"), "edited\n").expect("written");
    assert_eq!(first("edited").0, pair("unknown", "none"));
    git(&lab, &main, &["commit", "-q", "-a", "-m", "edited and committed"]);
    assert_eq!(first("committed").0, pair("unknown", "none"));
}

#[test]
fn a_removal_that_is_in_the_index_already_is_a_change() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    commit(&lab, &main, "deep/er/gone", "x\n");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"));
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(1, 0));
    std::thread::sleep(Duration::from_millis(30));
    git(&lab, &main, &["rm", "-q", "deep/er/gone"]);
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "staged");
    git(&lab, &main, &["commit", "-q", "-m", "gone"]);
    let _ = std::fs::remove_dir_all(lab.path().join("state"));
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "committed");
    // So soon after the report that this could be taken for what changed the directory.
    let written = std::fs::metadata(main.join("junit.xml")).and_then(|report| report.modified()).expect("a time");
    let opened = std::fs::File::open(&main).expect("opened");
    opened.set_modified(written + Duration::from_millis(15)).expect("set");
    let _ = std::fs::remove_dir_all(lab.path().join("state"));
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "at once");
}

#[test]
fn a_new_file_that_is_not_tracked_is_no_change() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    commit(&lab, &main, "src/code", "one\n");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"));
    std::fs::write(main.join("src/code"), "two\n").expect("written");
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(1, 0));
    std::thread::sleep(Duration::from_millis(30));
    git(&lab, &main, &["commit", "-q", "-a", "-m", "what was tested"]);
    lab.write("LAB/notes", "untracked");
    lab.write("LAB/src/more", "untracked");
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"));
}

#[test]
fn a_commit_in_a_submodule_is_a_change() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    let part = repository(&lab, "part");
    let part = part.to_str().expect("text");
    git(&lab, &main, &["-c", "protocol.file.allow=always", "submodule", "add", "-q", part, "part"]);
    git(&lab, &main, &["commit", "-q", "-m", "part"]);
    watch(&lab, &[&main], "");
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(1, 0));
    assert_eq!(pass(&lab).tests("main"), pair("passing", "junit"));
    std::thread::sleep(Duration::from_millis(30));
    commit(&lab, &main.join("part"), "file", "two\n");
    let _ = std::fs::remove_dir_all(lab.path().join("state"));
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"));
}

#[test]
fn a_report_with_a_time_to_come_does_not_outlive_an_edit() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "");
    std::thread::sleep(Duration::from_millis(30));
    let path = lab.write("LAB/junit.xml", report(1, 0));
    let opened = std::fs::File::options().write(true).open(path).expect("opened");
    opened.set_modified(wall_clock() + Duration::from_secs(30 * 86_400)).expect("set");
    std::thread::sleep(Duration::from_millis(30));
    std::fs::write(main.join("file"), "edited\n").expect("written");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "edited after it was written");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "and seen before it claims to have been written");
    lab.write("LAB/junit.xml", report(1, 1));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"), "written anew");
}

#[test]
fn a_split_index_keeps_every_kind_of_verdict() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for file in ["a/one", "a/two", "b/three", ".gitignore"] {
        commit(&lab, &main, file, "*.xml\n");
    }
    git(&lab, &main, &["config", "splitIndex.maxPercentChange", "100"]);
    git(&lab, &main, &["update-index", "--split-index"]);
    watch(&lab, &[&main], "");
    // One entry replaced, one removed, one added beside those of the shared part.
    commit(&lab, &main, "a/one", "two\n");
    git(&lab, &main, &["rm", "-q", "a/two"]);
    commit(&lab, &main, "c/four", "four\n");
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
    for file in ["a/one", "b/three", "c/four"] {
        let before = std::fs::read(main.join(file)).expect("read");
        std::fs::write(main.join(file), "edited\n").expect("written");
        assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "{file}");
        std::fs::write(main.join(file), before).expect("written");
        assert_eq!(pass(&lab).tests("main"), pair("passing", "record"), "{file} is back");
    }
    git(&lab, &main, &["update-index", "--no-split-index"]);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"), "the same content in one index");
    git(&lab, &main, &["update-index", "--split-index"]);
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(0, 1));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"));
}

#[test]
fn the_newest_verdict_wins() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "");
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
    std::thread::sleep(Duration::from_millis(30));
    lab.write("LAB/junit.xml", report(0, 1));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"));
    std::thread::sleep(Duration::from_millis(30));
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    assert_eq!(pass(&lab).tests("main"), pair("passing", "record"));
}

#[test]
fn a_report_that_is_part_of_the_repository_is_no_evidence() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    commit(&lab, &origin, "zz/junit.xml", &report(5, 0));
    git(&lab, lab.path(), &["clone", "-q", "origin", "LAB"]);
    let main = lab.path().join("LAB");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"));
    std::thread::sleep(Duration::from_millis(30));
    // A run that writes it anew is: the file is a report, not something that is tested.
    lab.write("LAB/zz/junit.xml", report(4, 1));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"));
}

#[test]
fn a_report_in_which_no_test_ran_is_no_verdict() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "");
    std::thread::sleep(Duration::from_millis(30));
    // As ctest writes it before a build, and googletest 1.10 where all is skipped.
    for case in [
        "<testcase status='notrun'><skipped message='Unable to find executable'/></testcase>",
        "<testcase status='run' result='skipped'/>",
    ] {
        lab.write("LAB/junit.xml", format!("<testsuite tests='1' failures='0'>{case}</testsuite>"));
        assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "{case}");
    }
}

#[test]
fn a_committed_report_is_no_evidence_whatever_it_is_called() {
    for (first, last) in [
        (("notes", "x"), ("ci/results.out", report(5, 1))),
        (
            (".pytest_cache/v/cache/lastfailed", "{\"t.py::a\": true}"),
            (".pytest_cache/v/cache/nodeids", "[\"t.py::a\"]".into()),
        ),
    ] {
        let lab = Lab::new();
        let main = repository(&lab, "LAB");
        commit(&lab, &main, "t.py", "def a(): ...\n");
        watch(&lab, &[&main], "test_reports = [\"ci/*.out\"]\n");
        lab.write(format!("LAB/{}", first.0), first.1);
        std::thread::sleep(Duration::from_millis(30));
        lab.write(format!("LAB/{}", last.0), &last.1);
        assert_eq!(pass(&lab).tests("main").0, "failing", "{last:?}");
        git(&lab, &main, &["add", "-A"]);
        git(&lab, &main, &["commit", "-q", "-m", "reports"]);
        assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "{last:?}");
    }
}

#[test]
fn a_tracked_report_is_evidence_only_while_it_is_not_as_committed() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    commit(&lab, &origin, "junit.xml", &report(5, 0));
    std::thread::sleep(Duration::from_millis(1_100));
    let copied = Command::new("cp").args(["-r", "origin", "LAB"]).current_dir(lab.path()).status().expect("cp");
    assert!(copied.success());
    let main = lab.path().join("LAB");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "copied");
    lab.write("LAB/junit.xml", report(5, 0));
    assert_eq!(pass(&lab).tests("main"), pair("unknown", "none"), "the same bytes");
    lab.write("LAB/junit.xml", report(5, 1));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"));
}

#[test]
fn a_node_test_that_fails_beside_its_subtests_is_seen() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let test = "const { test } = require('node:test');\n\
        test('parent', async t => { await t.test('child', () => {}); throw new Error('parent'); });\n";
    commit(&lab, &main, "node.test.js", test);
    commit(&lab, &main, ".gitignore", "*.xml\n");
    watch(&lab, &[&main], "");
    run(Command::new("node")
        .args(["--test", "--test-reporter=junit", "--test-reporter-destination=junit.xml", "node.test.js"])
        .current_dir(&main));
    assert_eq!(pass(&lab).tests("main"), pair("failing", "junit"));
}
