//! A worktree in which nothing happens is looked at less often; what happens to it makes it due at once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::Lab;
use crate::harness::git::{Series, commit, git, pass, repository, wall_clock, watch, with_submodule};

/// A pass, and how often it asks git for a status, seen by a shim in front of the real one.
fn pass_counting(lab: &Lab) -> (Series, usize) {
    let log = lab.path().join("gits");
    let _ = std::fs::remove_file(&log);
    let path = std::env::var("PATH").expect("PATH");
    let shim = format!("#!/bin/sh\necho \"$*\" >> {log:?}\nPATH={path:?}\nexec git \"$@\"\n");
    lab.install("shim/git", &shim);
    let with_shim = format!("{}:{path}", lab.path().join("shim").display());
    let series = crate::harness::git::pass_with(lab, &[("PATH", &with_shim)]);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    (series, text.lines().filter(|line| line.starts_with("status ")).count())
}

fn changed(series: &Series) -> Option<f64> {
    series.value("lab_worktree_changed_files", "main")
}

/// Makes a clean worktree one that nobody has touched for a day.
fn make_idle(main: &Path) {
    for name in ["HEAD", "index"] {
        let file = std::fs::File::options().write(true).open(main.join(".git").join(name)).expect("opened");
        file.set_modified(wall_clock() - Duration::from_secs(86_400)).expect("made old");
    }
}

#[test]
fn an_idle_worktree_is_left_alone_until_something_happens_to_it() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, "second", "x\n");
    watch(&lab, &[&main], "");
    let idle = || {
        let _ = std::fs::remove_dir_all(lab.path().join("state"));
        make_idle(&main);
        assert_eq!(pass_counting(&lab).1, 1, "a first look");
        assert_eq!(pass_counting(&lab).1, 0, "nothing has changed for a day");
    };
    let asked = || pass_counting(&lab).1;
    idle();
    std::fs::write(main.join(".worktree"), "status=\"blocked\"\n").expect("written");
    let (series, asked_now) = pass_counting(&lab);
    assert_eq!((series.status("main").0.as_str(), asked_now), ("blocked", 1), "a declaration");
    std::fs::remove_file(main.join(".worktree")).expect("removed");
    idle();
    git(&lab, &main, &["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert_eq!(asked(), 1, "a commit that changes no file");
    idle();
    git(&lab, &main, &["update-index", "--force-write-index"]);
    assert_eq!(asked(), 1, "another index");
    idle();
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    assert_eq!(pass(&lab).label("main", "branch").as_deref(), Some("topic"));
    idle();
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    assert_eq!(pass(&lab).tests("main").0, "passing", "a record");
    idle();
    let mut process = Command::new("sleep").arg("60").current_dir(&main).spawn().expect("started");
    let (first, second) = (asked(), asked());
    process.kill().expect("killed");
    process.wait().expect("waited");
    assert_eq!((first, second), (1, 0), "somebody has come, and stays");
    git(&lab, &main, &["commit", "-q", "--allow-empty", "-m", "more"]);
    idle();
    git(&lab, &main, &["branch", "-f", "main", "HEAD"]);
    assert_eq!(asked(), 1, "the base has moved");
    idle();
    lab.run(["check", "--only", "worktree"]).expect_code(0);
    watch(&lab, &[&main], "idle_ttl = \"0s\"\n");
    make_idle(&main);
    assert_eq!((asked(), asked()), (1, 1), "never less often");
}

#[test]
fn every_change_is_seen_at_the_next_look() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for name in ["a/one", "a/b/two", "c/three", "rules/x"] {
        commit(&lab, &main, name, "some text\n");
    }
    commit(&lab, &main, ".gitignore", "ignored/\n*.log\n");
    std::fs::create_dir_all(main.join("ignored/deep")).expect("directories");
    std::fs::create_dir_all(main.join("empty/below")).expect("directories");
    watch(&lab, &[&main], "");
    let edit = |name: &str, text: &str| std::fs::write(main.join(name), text).expect("written");
    let seen = |expected: f64, what: &str| assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
    seen(0.0, "clean");
    edit("a/b/two", "some tex_\n");
    seen(1.0, "an edit in place of the same size");
    let file = std::fs::File::options().write(true).open(main.join("c/three")).expect("opened");
    let before = file.metadata().expect("metadata").modified().expect("a time");
    edit("c/three", "other one\n");
    file.set_modified(before).expect("put back");
    seen(2.0, "an edit whose time was put back");
    let old = wall_clock() - Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(main.join("a/one")).expect("opened").set_modified(old).expect("touched");
    seen(2.0, "a touch");
    edit("empty/below/new", "x");
    seen(3.0, "a file in an empty directory");
    std::fs::remove_file(main.join("empty/below/new")).expect("removed");
    edit("ignored/deep/x", "x");
    edit("a/x.log", "x");
    seen(2.0, "ignored files");
    std::fs::write(main.join(".git/info/exclude"), "empty/\n*.tmp\n").expect("written");
    edit("a/y.tmp", "x");
    seen(2.0, "ignored by the repository's own list");
    std::fs::write(main.join(".git/info/exclude"), "").expect("written");
    seen(3.0, "and no longer");
    lab.write("home/.config/git/ignore", "rules\n*.tmp\n");
    std::fs::remove_file(main.join("rules/x")).expect("removed");
    seen(3.0, "a deleted file, and one ignored by the user's list");
    git(&lab, &main, &["checkout", "-q", "."]);
    seen(0.0, "all put back");
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    git(&lab, &main, &["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert_eq!(pass(&lab).status("main").1, "integrated", "a commit that changes no file");
    git(&lab, &main, &["branch", "-f", "main", "topic"]);
    assert_eq!(pass(&lab).status("main").1, "clean", "the base has moved");
    git(&lab, &main, &["pack-refs", "--all"]);
    assert_eq!(pass(&lab).status("main").1, "clean", "refs are packed");
    git(&lab, &main, &["rm", "-q", "--cached", "c/three"]);
    seen(2.0, "deleted from the index, untracked in the worktree");
}

#[test]
fn a_branch_that_is_moved_under_the_worktree_is_seen() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    commit(&lab, &main, "second", "x\n");
    watch(&lab, &[&main], "");
    assert_eq!(changed(&pass(&lab)), Some(0.0));
    // Neither HEAD nor the index is written.
    git(&lab, &main, &["reset", "-q", "--soft", "HEAD~1"]);
    let series = pass(&lab);
    assert_eq!((changed(&series), series.status("main").1.as_str()), (Some(1.0), "changes"));
}

#[test]
fn another_commit_in_a_submodule_is_seen() {
    let lab = Lab::new();
    let main = with_submodule(&lab);
    watch(&lab, &[&main], "");
    let seen = |expected: f64, what: &str| assert_eq!(changed(&pass(&lab)), Some(expected), "{what}");
    let lib = main.join("lib");
    seen(0.0, "as recorded");
    git(&lab, &lib, &["commit", "-q", "--allow-empty", "-m", "on"]);
    seen(1.0, "a commit on its branch");
    git(&lab, &main, &["commit", "-q", "-a", "-m", "on"]);
    seen(0.0, "recorded too");
    git(&lab, &lib, &["checkout", "-q", "HEAD~1"]);
    seen(1.0, "an older commit, on no branch");
    git(&lab, &lib, &["pack-refs", "--all"]);
    git(&lab, &lib, &["checkout", "-q", "main"]);
    seen(0.0, "back on the branch, which is packed");
    git(&lab, &lib, &["reset", "-q", "--soft", "HEAD~1"]);
    seen(1.0, "the branch taken back");
}

#[test]
fn random_edits_never_make_the_answer_differ_from_gits() {
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
    std::fs::write(&state, text.replace("\"watched\":{", "\"watched\":[{")).expect("written");
    assert_eq!(changed(&pass(&lab)), Some(1.0));
}

fn find_state(directory: &Path) -> std::path::PathBuf {
    let files = directory.read_dir().expect("the state directory").map(|entry| entry.expect("an entry").path());
    files.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).expect("a state file")
}
