//! The rules for the status, in the contract's order, against real git.

use std::path::Path;

use crate::harness::Lab;
use crate::harness::git::{commit, git, git_command, pass, repository, watch};

fn pair(status: &str, source: &str) -> (String, String) {
    (status.to_owned(), source.to_owned())
}

/// Runs git where a conflict makes it fail.
fn git_stops(lab: &Lab, directory: &Path, args: &[&str]) {
    let output = git_command(lab, directory).env("GIT_EDITOR", "true").args(args).output().expect("git");
    assert!(!output.status.success(), "git {args:?} was to stop");
}

/// A repository whose branches `main` and `other` cannot be merged.
fn conflicting(lab: &Lab) -> std::path::PathBuf {
    let main = repository(lab, "LAB");
    git(lab, &main, &["switch", "-q", "-c", "other"]);
    commit(lab, &main, "file", "theirs\n");
    commit(lab, &main, "second", "theirs\n");
    git(lab, &main, &["switch", "-q", "main"]);
    commit(lab, &main, "file", "ours\n");
    watch(lab, &[&main], "");
    main
}

#[test]
fn stopped_operations_block_with_and_without_conflicts() {
    let lab = Lab::new();
    let main = conflicting(&lab);
    for (start, abort) in [
        (&["merge", "other"][..], &["merge", "--abort"][..]),
        (&["rebase", "other"], &["rebase", "--abort"]),
        (&["rebase", "--apply", "other"], &["rebase", "--abort"]),
        (&["cherry-pick", "other~1", "other"], &["cherry-pick", "--abort"]),
    ] {
        git_stops(&lab, &main, start);
        let series = pass(&lab);
        assert_eq!(series.status("main"), pair("blocked", "conflict"), "{start:?}");
        assert_eq!(series.value("lab_worktree_conflicted_files", "main"), Some(1.0), "{start:?}");
        git(&lab, &main, &["checkout", "-q", "--ours", "file"]);
        git(&lab, &main, &["add", "file"]);
        assert_eq!(pass(&lab).status("main"), pair("blocked", "operation"), "{start:?}, resolved");
        git(&lab, &main, abort);
        assert_eq!(pass(&lab).status("main"), pair("complete", "clean"), "{abort:?}");
    }
    git(&lab, &main, &["bisect", "start"]);
    assert_eq!(pass(&lab).status("main"), pair("blocked", "operation"), "bisect");
    git(&lab, &main, &["bisect", "reset"]);
    git(&lab, &main, &["revert", "--no-commit", "HEAD"]);
    assert_eq!(pass(&lab).status("main"), pair("blocked", "operation"), "revert");
}

#[test]
fn an_am_that_stopped_blocks() {
    let lab = Lab::new();
    let main = conflicting(&lab);
    let patch = git(&lab, &main, &["format-patch", "-1", "other~1", "--stdout"]);
    std::fs::write(lab.path().join("patch"), patch + "\n").expect("written");
    git_stops(&lab, &main, &["am", "../patch"]);
    let output = lab.run(["check", "--only", "worktree"]);
    assert!(output.stdout().contains("am has stopped"), "{}", output.stdout());
}

#[test]
fn a_sequence_stopped_between_two_commits_blocks() {
    let lab = Lab::new();
    let main = conflicting(&lab);
    git_stops(&lab, &main, &["cherry-pick", "other~1", "other"]);
    git(&lab, &main, &["checkout", "-q", "--theirs", "file"]);
    git(&lab, &main, &["add", "file"]);
    git(&lab, &main, &["commit", "-q", "-m", "resolved by hand"]);
    assert!(!main.join(".git/CHERRY_PICK_HEAD").exists(), "git keeps only sequencer/todo here");
    assert_eq!(pass(&lab).status("main"), pair("blocked", "operation"));
}

#[test]
fn changes_are_counted_by_path_and_a_rename_is_one() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let text: String = (0..50).map(|line| format!("line {line}\n")).collect();
    for name in ["renamed", "edited-and-renamed", "staged", "deleted", "edited"] {
        commit(&lab, &main, name, &format!("{name}\n{text}"));
    }
    watch(&lab, &[&main], "");
    git(&lab, &main, &["mv", "renamed", "renamed2"]);
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(1.0));
    git(&lab, &main, &["mv", "edited-and-renamed", "edited-and-renamed2"]);
    std::fs::write(main.join("edited-and-renamed2"), format!("edited\n{text}")).expect("written");
    git(&lab, &main, &["add", "."]);
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(2.0));
    std::fs::write(main.join("staged"), "x").expect("written");
    git(&lab, &main, &["add", "staged"]);
    std::fs::write(main.join("staged"), "staged and edited").expect("written");
    std::fs::remove_file(main.join("deleted")).expect("removed");
    std::fs::write(main.join("edited"), "x").expect("written");
    std::fs::create_dir(main.join("untracked")).expect("a directory");
    for name in ["untracked/a", "untracked/b", "alone"] {
        std::fs::write(main.join(name), "x").expect("written");
    }
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(7.0));
    assert_eq!(series.value("lab_worktree_conflicted_files", "main"), Some(0.0));
    assert_eq!(series.status("main"), pair("working", "changes"));
}

#[test]
fn distance_is_against_the_upstream_and_completeness_against_the_base() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    git(&lab, lab.path(), &["clone", "-q", "-o", "up", "origin", "LAB"]);
    let main = lab.path().join("LAB");
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    commit(&lab, &main, "mine", "x");
    git(&lab, &main, &["push", "-q", "-u", "up", "topic"]);
    commit(&lab, &main, "more", "x");
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_ahead_commits", "main"), Some(1.0), "against up/topic");
    assert_eq!(series.status("main"), pair("working", "commits"));
    // The base is the remote's HEAD although the remote is not called origin.
    git(&lab, &main, &["push", "-q", "up", "topic", "topic:refs/heads/done"]);
    git(&lab, &origin, &["merge", "-q", "--ff-only", "topic"]);
    git(&lab, &main, &["fetch", "-q"]);
    let series = pass(&lab);
    assert_eq!(series.status("main"), pair("complete", "clean"));
    // A configured base wins; one that does not exist is said.
    git(&lab, &main, &["branch", "stable", "up/main~1"]);
    watch(&lab, &[&main], "base = \"stable\"\n");
    assert_eq!(pass(&lab).status("main"), pair("working", "commits"));
    watch(&lab, &[&main], "base = \"nowhere\"\n");
    assert!(lab.run(["check", "--only", "worktree"]).stdout().contains("\"nowhere\""));
}

#[test]
fn an_upstream_that_is_gone_leaves_the_base() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["switch", "-q", "-c", "topic"]);
    commit(&lab, &main, "mine", "x");
    git(&lab, &main, &["config", "branch.topic.remote", "gone"]);
    git(&lab, &main, &["config", "branch.topic.merge", "refs/heads/topic"]);
    git(&lab, &main, &["config", "remote.gone.url", "/nowhere"]);
    git(&lab, &main, &["config", "remote.gone.fetch", "+refs/heads/*:refs/remotes/gone/*"]);
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_ahead_commits", "main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_behind_commits", "main"), Some(0.0));
}

#[test]
fn a_declaration_wins_and_an_invalid_one_is_said_and_ignored() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "");
    for (text, status, tests) in [
        ("status=\"blocked\"\ntest_status='failing'\n", ("blocked", "declared"), ("failing", "declared")),
        ("export status=testing # for now\r\n", ("testing", "declared"), ("unknown", "none")),
        ("status=done\ntest_status=maybe\n", ("complete", "clean"), ("unknown", "none")),
        ("status=$(touch canary)blocked\n", ("complete", "clean"), ("unknown", "none")),
    ] {
        std::fs::write(main.join(".worktree"), text).expect("written");
        let series = pass(&lab);
        assert_eq!(series.status("main"), pair(status.0, status.1), "{text:?}");
        assert_eq!(series.tests("main"), pair(tests.0, tests.1), "{text:?}");
    }
    assert!(!main.join("canary").exists() && !lab.path().join("canary").exists());
    std::fs::write(main.join(".worktree"), "status=done\n").expect("written");
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("\"done\" is ignored"), "{table}");
    // Neither too large a file nor one that is no file is read.
    std::fs::write(main.join(".worktree"), format!("status=blocked\n{}", "#".repeat(100_000))).expect("written");
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
    std::fs::remove_file(main.join(".worktree")).expect("removed");
    rustix::fs::mkfifoat(rustix::fs::CWD, main.join(".worktree"), rustix::fs::Mode::RWXU).expect("a FIFO");
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
}

#[test]
fn the_declaration_is_edited_in_place_and_printed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    std::fs::create_dir(main.join("sub")).expect("a directory");
    std::fs::write(main.join(".worktree"), "# mine\nowner='me'\nstatus=working # later\n").expect("written");
    let sub = main.join("sub");
    let sub = sub.to_str().expect("text");
    lab.run(["worktree", "set", "status=blocked", "test_status=failing", "-C", sub]).expect_code(0);
    let expected = "# mine\nowner='me'\nstatus=\"blocked\" # later\ntest_status=\"failing\"\n";
    assert_eq!(std::fs::read_to_string(main.join(".worktree")).expect("read"), expected);
    assert_eq!(lab.run(["worktree", "show", "-C", sub]).expect_code(0).stdout(), expected);
    let refused = lab.run(["worktree", "set", "status=done", "-C", sub]).expect_code(2);
    assert!(refused.stderr().contains("complete, working, testing, blocked"), "{}", refused.stderr());
    lab.run(["worktree", "set", "status=", "test_status=", "-C", sub]).expect_code(0);
    assert_eq!(std::fs::read_to_string(main.join(".worktree")).expect("read"), "# mine\nowner='me'\n # later\n");
    lab.run(["worktree", "show", "-C", "/"]).expect_code(2);
}

#[test]
fn a_cherry_pick_or_revert_that_stopped_is_seen_where_its_head_is_a_ref() {
    for command in ["cherry-pick", "revert"] {
        let lab = Lab::new();
        let main = lab.path().join("LAB");
        std::fs::create_dir(&main).expect("a directory");
        git(&lab, &main, &["init", "-q", "-b", "main", "--ref-format=reftable"]);
        for text in ["1\n", "2\n", "3\n"] {
            commit(&lab, &main, "file", text);
        }
        watch(&lab, &[&main], "");
        assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
        git_stops(&lab, &main, &[command, "HEAD~1"]);
        git(&lab, &main, &["checkout", "-q", "--ours", "file"]);
        git(&lab, &main, &["add", "file"]);
        assert_eq!(pass(&lab).status("main"), pair("blocked", "operation"), "{command}");
        git(&lab, &main, &[command, "--abort"]);
        assert_eq!(pass(&lab).status("main"), pair("complete", "clean"), "{command}");
    }
}

#[test]
fn the_distance_follows_what_is_known_of_the_history() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    for number in 0..8 {
        git(&lab, &origin, &["commit", "-q", "--allow-empty", "-m", &number.to_string()]);
    }
    git(&lab, &origin, &["branch", "old", "HEAD~4"]);
    let url = format!("file://{}", origin.display());
    git(&lab, lab.path(), &["clone", "-q", "--depth", "2", "--no-single-branch", &url, "LAB"]);
    let main = lab.path().join("LAB");
    git(&lab, &main, &["checkout", "-q", "old"]);
    git(&lab, &main, &["branch", "-q", "--unset-upstream"]);
    watch(&lab, &[&main], "");
    let distance = || {
        let series = pass(&lab);
        let of = |family: &str| series.value(family, "main").expect("a number");
        (of("lab_worktree_ahead_commits"), of("lab_worktree_behind_commits"))
    };
    assert_eq!(distance(), (2.0, 2.0), "shallow");
    git(&lab, &main, &["fetch", "-q", "--unshallow"]);
    assert_eq!(distance(), (0.0, 4.0), "the same two commits");
    git(&lab, &main, &["replace", "--graft", "origin/main", "old"]);
    assert_eq!(distance(), (0.0, 1.0), "grafted");
}

#[test]
fn submodule_settings_are_obeyed() {
    let lab = Lab::new();
    let main = crate::harness::git::with_submodule(&lab);
    watch(&lab, &[&main], "");
    let changed = |what: &str, expected: f64| {
        let found = pass(&lab).value("lab_worktree_changed_files", "main");
        let listed = git(&lab, &main, &["status", "--porcelain"]);
        assert_eq!((found, listed.lines().count() as f64), (Some(expected), expected), "{what}");
    };
    lab.write("LAB/lib/build.o", "x");
    changed("untracked files count", 1.0);
    git(&lab, &main, &["config", "diff.ignoreSubmodules", "untracked"]);
    changed("by diff.ignoreSubmodules", 0.0);
    git(&lab, &main, &["config", "--unset", "diff.ignoreSubmodules"]);
    git(&lab, &main, &["config", "-f", ".gitmodules", "submodule.lib.ignore", "untracked"]);
    git(&lab, &main, &["commit", "-q", "-a", "-m", "ignore"]);
    changed("by .gitmodules", 0.0);
    lab.write("LAB/lib/file", "edited\n");
    changed("tracked files count still", 1.0);
    git(&lab, &main, &["config", "submodule.lib.ignore", "dirty"]);
    changed("by the configuration", 0.0);
    git(&lab, &main.join("lib"), &["commit", "-q", "-a", "-m", "on"]);
    changed("another commit counts still", 1.0);
    git(&lab, &main, &["config", "submodule.lib.ignore", "all"]);
    changed("nothing counts", 0.0);
}

#[test]
fn untracked_files_that_the_user_has_told_git_not_to_show_are_no_changes() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    lab.write("LAB/Documents/x", "x");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).status("main"), pair("working", "changes"));
    git(&lab, &main, &["config", "status.showUntrackedFiles", "no"]);
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
}

#[test]
fn a_file_behind_a_filter_that_was_only_touched_is_not_counted_as_changed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["config", "filter.rot.clean", "tr a-z n-za-m"]);
    git(&lab, &main, &["config", "filter.rot.smudge", "tr a-z n-za-m"]);
    commit(&lab, &main, ".gitattributes", "*.txt filter=rot\n");
    for number in 0..5 {
        commit(&lab, &main, &format!("{number}.txt"), "hello\n");
    }
    git(&lab, &main, &["worktree", "add", "-q", "-b", "linked", "../linked"]);
    watch(&lab, &[&main], "");
    let opened = std::fs::File::options().write(true).open(main.join("1.txt")).expect("opened");
    opened.set_modified(crate::harness::git::wall_clock()).expect("touched");
    let series = pass(&lab);
    assert_eq!(series.status("linked"), pair("complete", "clean"));
    assert_eq!(series.status("main"), pair("complete", "clean"));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("not compared, because the filter \"rot\" is never run"), "{table}");
    std::fs::write(main.join("1.txt"), "longer than that\n").expect("written");
    assert_eq!(pass(&lab).status("main"), pair("working", "changes"));
}

#[test]
fn a_git_lfs_pointer_is_computed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    // What `git lfs clean` writes for "abc", by a filter that knows nothing else.
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
        oid sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nsize 3\n";
    lab.write("pointer", pointer);
    let clean = format!("cat {:?}; cat >/dev/null", lab.path().join("pointer"));
    git(&lab, &main, &["config", "filter.lfs.clean", &clean]);
    git(&lab, &main, &["config", "filter.lfs.smudge", "printf abc"]);
    commit(&lab, &main, ".gitattributes", "*.bin filter=lfs\n");
    commit(&lab, &main, "a.bin", "abc");
    watch(&lab, &[&main], "");
    let touch = || {
        let opened = std::fs::File::options().write(true).open(main.join("a.bin")).expect("opened");
        opened.set_modified(crate::harness::git::wall_clock() - std::time::Duration::from_secs(99)).expect("touched");
    };
    touch();
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(!table.contains("not compared"), "{table}");
    std::fs::write(main.join("a.bin"), "abd").expect("written");
    touch();
    assert_eq!(pass(&lab).status("main"), pair("working", "changes"));
}

#[test]
fn a_copy_of_a_repository_of_real_git_lfs_has_no_changes_and_an_edit_is_one() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    assert!(
        git_command(&lab, &main).args(["lfs", "version"]).output().expect("git").status.success(),
        "run `make deps`"
    );
    git(&lab, &main, &["lfs", "install", "--local", "--skip-repo"]);
    git(&lab, &main, &["lfs", "track", "*.bin"]);
    for number in 0..3 {
        lab.write(format!("LAB/{number}.bin"), [number; 30_000]);
    }
    git(&lab, &main, &["add", "-A"]);
    git(&lab, &main, &["commit", "-q", "-m", "large files"]);
    assert!(git(&lab, &main, &["show", "HEAD:1.bin"]).starts_with("version https://git-lfs"), "a pointer is committed");
    // Every time is another one.
    let copied = lab.program("cp").arg("-r").args([&main, &lab.path().join("copy")]).status().expect("cp");
    assert!(copied.success());
    git(&lab, &main, &["worktree", "add", "-q", "../fresh"]);
    watch(&lab, &[&main, &lab.path().join("copy")], "");
    let series = pass(&lab);
    for name in ["LAB/main", "copy/main", "fresh"] {
        assert_eq!(series.status(name), pair("complete", "clean"), "{name}");
    }
    lab.write("copy/1.bin", [9; 30_000]);
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_changed_files", "copy/main"), Some(1.0));
    assert_eq!(series.status("LAB/main"), pair("complete", "clean"));
}
