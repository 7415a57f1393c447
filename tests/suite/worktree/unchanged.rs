//! A second look is cheap and misses nothing.

use std::path::Path;
use std::time::Duration;

use crate::harness::Lab;
use crate::harness::git::{Series, commit, git, pass, repository, wall_clock, watch, with_submodule};

/// What a pass asks git, seen by a shim in front of the real one.
fn pass_listening(lab: &Lab) -> (Series, Vec<String>) {
    let log = lab.path().join("gits");
    let _ = std::fs::remove_file(&log);
    let path = std::env::var("PATH").expect("PATH");
    let shim = format!("#!/bin/sh\necho \"$*\" >> {log:?}\nPATH={path:?}\nexec git \"$@\"\n");
    let shim = lab.write("shim/git", shim);
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let with_shim = format!("{}:{path}", lab.path().join("shim").display());
    let series = crate::harness::git::pass_with(lab, &[("PATH", &with_shim)]);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    (series, text.lines().map(str::to_owned).collect())
}

/// The paths of each status that a pass asks git for; none stands for the whole worktree.
fn pass_with_paths(lab: &Lab) -> (Series, Vec<Vec<String>>) {
    let (series, gits) = pass_listening(lab);
    let statuses = gits.iter().filter(|line| line.starts_with("status "));
    let paths = |line: &String| line.split(":(top,literal)").skip(1).map(|path| path.trim().to_owned()).collect();
    (series, statuses.map(paths).collect())
}

/// A pass, and how often it asks git for a status.
fn pass_counting(lab: &Lab) -> (Series, usize) {
    let (series, statuses) = pass_with_paths(lab);
    (series, statuses.len())
}

/// Sets every time in the worktree back, so that nothing counts as too fresh to be trusted; change times cannot be set,
/// so the test waits until they are old enough.
fn let_it_settle() {
    std::thread::sleep(Duration::from_millis(2_300));
}

fn changed(series: &Series) -> Option<f64> {
    series.value("lab_worktree_changed_files", "main")
}

#[test]
fn an_unchanged_worktree_is_not_asked_of_git_again_and_every_change_is_seen() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for name in ["a/one", "a/b/two", "c/three", "rules/x"] {
        commit(&lab, &main, name, "some text\n");
    }
    commit(&lab, &main, ".gitignore", "ignored/\n*.log\n");
    std::fs::create_dir_all(main.join("ignored/deep")).expect("directories");
    std::fs::create_dir_all(main.join("empty/below")).expect("directories");
    watch(&lab, &[&main], "");
    let quiet = |expected: f64, what: &str| {
        let_it_settle();
        // The look that settles it, then one that has to be cheap.
        assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
        assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
        let (series, gits) = pass_counting(&lab);
        assert_eq!((changed(&series), gits), (Some(expected), 0), "after: {what}");
    };
    let seen = |expected: f64, what: &str| assert_eq!(changed(&pass(&lab)), Some(expected), "at once: {what}");
    quiet(0.0, "clean");

    let edit = |name: &str, text: &str| std::fs::write(main.join(name), text).expect("written");
    edit("a/b/two", "some tex_\n");
    seen(1.0, "an edit in place of the same size");
    quiet(1.0, "edited");

    let old = wall_clock() - Duration::from_secs(86_400);
    let file = std::fs::File::options().write(true).open(main.join("c/three")).expect("opened");
    let before = file.metadata().expect("metadata").modified().expect("a time");
    edit("c/three", "other one\n");
    file.set_modified(before).expect("put back");
    seen(2.0, "an edit whose time was put back");
    quiet(2.0, "edited twice");

    std::fs::File::options().write(true).open(main.join("a/one")).expect("opened").set_modified(old).expect("touched");
    seen(2.0, "a touch");
    quiet(2.0, "touched");

    edit("empty/below/new", "x");
    seen(3.0, "a file in an empty directory that was never shown");
    std::fs::remove_file(main.join("empty/below/new")).expect("removed");
    seen(2.0, "and gone again");
    edit("ignored/deep/x", "x");
    edit("a/x.log", "x");
    seen(2.0, "ignored files");
    quiet(2.0, "ignored");
    edit("ignored/deep/y", "x");
    let (_, gits) = pass_counting(&lab);
    assert_eq!(gits, 0, "what happens in an ignored directory does not matter");

    std::fs::write(main.join(".git/info/exclude"), "empty/\n*.tmp\n").expect("written");
    edit("a/y.tmp", "x");
    seen(2.0, "ignored by the repository's own list");
    std::fs::write(main.join(".git/info/exclude"), "").expect("written");
    seen(3.0, "and no longer");
    std::fs::remove_file(main.join("a/y.tmp")).expect("removed");
    lab.write("home/.config/git/ignore", "rules\n");
    std::fs::remove_file(main.join("rules/x")).expect("removed");
    seen(3.0, "a deleted file");
    git(&lab, &main, &["checkout", "-q", "."]);
    seen(0.0, "all put back");
    quiet(0.0, "clean again");

    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    let series = pass(&lab);
    assert_eq!(series.label("main", "branch").as_deref(), Some("topic"));
    git(&lab, &main, &["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert_eq!(pass(&lab).status("main").1, "commits", "a commit that changes no file");
    git(&lab, &main, &["branch", "-f", "main", "topic"]);
    assert_eq!(pass(&lab).status("main").1, "clean", "the base has moved");
    git(&lab, &main, &["pack-refs", "--all"]);
    assert_eq!(pass(&lab).status("main").1, "clean", "refs are packed");
    git(&lab, &main, &["rm", "-q", "--cached", "c/three"]);
    seen(2.0, "deleted from the index, untracked in the worktree");
}

#[test]
fn git_is_asked_only_about_paths_that_may_have_changed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for name in ["a/one", "a/two", "b/three", "b/:odd"] {
        commit(&lab, &main, name, "text\n");
    }
    commit(&lab, &main, ".gitignore", "target/\n*.o\n");
    std::fs::create_dir_all(main.join("target/debug")).expect("directories");
    watch(&lab, &[&main], "");
    let_it_settle();
    let asked = |what: &str, expected: f64, paths: &[&[&str]]| {
        let (series, asked) = pass_with_paths(&lab);
        assert_eq!(changed(&series), Some(expected), "{what}");
        assert_eq!(asked, paths, "{what}");
    };
    // Files written in the same step of the clock as the index are asked about; refreshed, they are older than it.
    git(&lab, &main, &["update-index", "--force-write-index", "-q", "--refresh"]);
    asked("a first look at a clean worktree", 0.0, &[]);
    std::fs::write(main.join("a/two"), "tex_\n").expect("written");
    asked("an edit of the same size", 1.0, &[&["a/two"]]);
    std::fs::write(main.join("b/new"), "new\n").expect("written");
    asked("a new file beside it is told by the rules alone", 2.0, &[&["a/two"]]);
    std::fs::write(main.join("b/new.o"), "new\n").expect("written");
    git(&lab, &main, &["add", "b/new"]);
    asked("one of them is staged, another one ignored", 2.0, &[&["a/two", "b/new"]]);
    std::fs::remove_dir_all(lab.path().join("state")).expect("removed");
    asked("a first look at all that", 2.0, &[&["a/two", "b/new"]]);
    git(&lab, &main, &["commit", "-q", "-m", "new"]);
    std::fs::remove_file(main.join("b/:odd")).expect("removed");
    asked("one is committed, one deleted", 2.0, &[&["a/two"]]);
    std::fs::write(main.join("a/two"), "longer text\n").expect("written");
    asked("an edit of another size", 2.0, &[]);
    lab.write("LAB/b/:new/x", "new\n");
    asked("a new directory", 3.0, &[&["b/:new"]]);
    git(&lab, &main, &["add", "--intent-to-add", "-f", "b/new.o"]);
    asked("out of the ordinary", 4.0, &[&[]]);
}

#[test]
fn a_branch_that_is_moved_under_the_worktree_is_seen() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    commit(&lab, &main, "second", "x\n");
    watch(&lab, &[&main], "");
    let_it_settle();
    assert_eq!(changed(&pass(&lab)), Some(0.0));
    assert_eq!(changed(&pass(&lab)), Some(0.0));
    // Neither HEAD nor the index is written.
    git(&lab, &main, &["reset", "-q", "--soft", "HEAD~1"]);
    let series = pass(&lab);
    assert_eq!((changed(&series), series.status("main").1.as_str()), (Some(1.0), "changes"));
}

#[test]
fn another_commit_in_a_submodule_is_seen_however_long_everything_was_left_alone() {
    let lab = Lab::new();
    let main = with_submodule(&lab);
    watch(&lab, &[&main], "");
    let quiet = |expected: f64, what: &str| {
        let_it_settle();
        assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
        assert_eq!(pass_counting(&lab).1, 0, "{what}");
    };
    let seen = |expected: f64, what: &str| assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
    let lib = main.join("lib");
    quiet(0.0, "as recorded");
    git(&lab, &lib, &["commit", "-q", "--allow-empty", "-m", "on"]);
    seen(1.0, "a commit on its branch");
    git(&lab, &main, &["commit", "-q", "-a", "-m", "on"]);
    quiet(0.0, "recorded too");
    git(&lab, &lib, &["checkout", "-q", "HEAD~1"]);
    seen(1.0, "an older commit, on no branch");
    git(&lab, &lib, &["pack-refs", "--all"]);
    git(&lab, &lib, &["checkout", "-q", "main"]);
    quiet(0.0, "back on the branch, which is packed");
    git(&lab, &lib, &["reset", "-q", "--soft", "HEAD~1"]);
    seen(1.0, "the branch taken back");
}

#[test]
fn random_edits_never_make_a_remembered_answer_differ_from_gits() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let names: Vec<String> = (0..12).map(|n| format!("d{}/e{}/f{n}", n % 3, n % 2)).collect();
    for name in &names {
        commit(&lab, &main, name, "text\n");
    }
    commit(&lab, &main, ".gitignore", "*.o\nbuild/\n");
    watch(&lab, &[&main], "");
    let mut random = fastrand::Rng::with_seed(20_261_124);
    for round in 0..60 {
        let name = &names[random.usize(..names.len())];
        let path = main.join(name);
        match random.u8(..9) {
            0 => std::fs::write(&path, random.u32(..).to_string()).unwrap_or_default(),
            1 => drop(std::fs::remove_file(&path)),
            2 => drop(git(&lab, &main, &["checkout", "-q", "HEAD", "--", name])),
            3 => std::fs::write(path.with_extension("new"), "x").unwrap_or_default(),
            4 => std::fs::write(path.with_extension("o"), "x").unwrap_or_default(),
            5 => drop(git(&lab, &main, &["add", "-A"])),
            6 => std::fs::create_dir_all(main.join(format!("u{}/v", random.u8(..3)))).unwrap_or_default(),
            7 => std::fs::write(main.join(format!("u{}/v/w", random.u8(..3))), "x").unwrap_or_default(),
            _ => drop(git(&lab, &main, &["reset", "-q"])),
        }
        let porcelain = git(&lab, &main, &["status", "--porcelain", "--no-renames"]);
        let renamed = git(&lab, &main, &["status", "--porcelain", "--find-renames"]);
        let expected = renamed.lines().count() as f64;
        let found = changed(&pass(&lab));
        assert_eq!(found, Some(expected), "round {round}:\n{porcelain}");
        if random.u8(..10) == 0 {
            let_it_settle();
        }
    }
}

#[test]
fn a_damaged_memory_only_costs_time() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    pass(&lab);
    std::fs::write(main.join("file"), "edited\n").expect("written");
    let state = find_state(&lab.path().join("state"));
    let text = std::fs::read_to_string(&state).expect("the state");
    std::fs::write(&state, text.replace("\"settled\":true", "\"settled\":1")).expect("written");
    assert_eq!(changed(&pass(&lab)), Some(1.0));
}

fn find_state(directory: &Path) -> std::path::PathBuf {
    let files = directory.read_dir().expect("the state directory").map(|entry| entry.expect("an entry").path());
    files.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).expect("a state file")
}
