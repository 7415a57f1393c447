//! What people look for besides the two statuses: is the work in the base, may the worktree go, who works in it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::harmless::{assert_untouched, canary, census, traces};
use crate::harness::Lab;
use crate::harness::git::{commit, git, pass, repository, watch};

/// The facts of a worktree, as `--format json` shows them.
fn facts(lab: &Lab, name: &str) -> serde_json::Value {
    let shown = lab.run(["--once", "--only", "worktree", "--format", "json"]).expect_code(0).stdout();
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let targets = shown["targets"].as_array().expect("targets");
    targets.iter().find(|target| target["name"] == name).expect("the worktree")["facts"].clone()
}

fn pair(status: &str, source: &str) -> (String, String) {
    (status.to_owned(), source.to_owned())
}

/// A repository with the linked worktrees `one` and `two` on branches of these names.
fn with_worktrees(lab: &Lab) -> std::path::PathBuf {
    let main = repository(lab, "LAB");
    for name in ["one", "two"] {
        git(lab, &main, &["worktree", "add", "-q", "-b", name, &format!("../{name}")]);
    }
    watch(lab, &[&main], "");
    main
}

#[test]
fn a_squashed_or_rebased_branch_is_integrated_and_its_worktree_may_be_removed() {
    let lab = Lab::new();
    let main = with_worktrees(&lab);
    let one = lab.path().join("one");
    commit(&lab, &one, "first", "x\n");
    commit(&lab, &one, "second", "y\n");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_integrated", "one"), Some(0.0));
    assert_eq!(series.value("lab_worktree_integrated", "two"), Some(1.0));
    assert_eq!(series.status("one"), pair("working", "commits"));
    git(&lab, &main, &["merge", "-q", "--squash", "one"]);
    git(&lab, &main, &["commit", "-q", "-m", "one, squashed"]);
    commit(&lab, &main, "third", "z\n");
    let before = census(&main);
    let series = pass(&lab);
    assert_eq!(series.status("one"), pair("complete", "integrated"));
    assert_eq!(series.value("lab_worktree_integrated", "one"), Some(1.0));
    assert_untouched(&main, &before, "compared");
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("its content is in main; the worktree may be removed"), "{table}");
    // Rebased: other commits of the same content.
    let two = lab.path().join("two");
    commit(&lab, &two, "fourth", "z\n");
    git(&lab, &main, &["cherry-pick", "two"]);
    assert_eq!(pass(&lab).status("two"), pair("complete", "integrated"));
    std::fs::write(two.join("new"), "x").expect("written");
    assert_eq!(pass(&lab).status("two"), pair("working", "changes"));
}

#[test]
fn a_merge_that_would_conflict_is_said_and_no_merge_driver_is_run() {
    let lab = Lab::new();
    let main = with_worktrees(&lab);
    let one = lab.path().join("one");
    commit(&lab, &one, "file", "one's\n");
    commit(&lab, &main, "file", "main's\n");
    assert_eq!(facts(&lab, "one")["merge_conflict"], true);
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("would conflict with main"), "{table}");
    let program = canary(&lab, "merge-driver");
    git(&lab, &main, &["config", "merge.own.driver", program.to_str().expect("text")]);
    std::fs::write(main.join(".git/info/attributes"), "* merge=own\n").expect("written");
    commit(&lab, &one, "file", "one's again\n");
    let facts = facts(&lab, "one");
    assert_eq!((&facts["merge_conflict"], &facts["integrated"]), (&serde_json::Value::Null, &false.into()));
    assert_eq!(traces(&lab), Vec::<String>::new());
}

#[test]
fn a_file_that_two_worktrees_change_is_named_in_both() {
    let lab = Lab::new();
    with_worktrees(&lab);
    commit(&lab, &lab.path().join("one"), "shared", "one's\n");
    lab.write("one/own", "x");
    lab.write("two/shared", "two's\n");
    let elsewhere = |name: &str| facts(&lab, name)["changed_elsewhere"].clone();
    assert_eq!(elsewhere("one"), serde_json::json!({ "shared": ["two"] }));
    assert_eq!(elsewhere("two"), serde_json::json!({ "shared": ["one"] }));
    assert_eq!(elsewhere("main"), serde_json::json!({}));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("1 file also changed in two") && table.contains("1 file also changed in one"), "{table}");
}

#[test]
fn staged_modified_and_untracked_are_told_apart() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, "second", "x\n");
    watch(&lab, &[&main], "");
    std::fs::write(main.join("file"), "staged\n").expect("written");
    git(&lab, &main, &["add", "file"]);
    std::fs::write(main.join("file"), "staged and modified\n").expect("written");
    std::fs::write(main.join("second"), "modified\n").expect("written");
    lab.write("LAB/new/a", "x");
    let series = pass(&lab);
    let of = |state: &str| series.with_label("lab_worktree_files", "main", &format!("state=\"{state}\""));
    assert_eq!((of("staged"), of("modified"), of("untracked")), (Some(1.0), Some(2.0), Some(1.0)));
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(3.0));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains(", 3 files changed (1 staged, 2 modified, 1 untracked)"), "{table}");
    git(&lab, &main, &["add", "-A"]);
    git(&lab, &main, &["commit", "-q", "-m", "all"]);
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("branch main, tests unknown  "), "{table}");
}

#[test]
fn an_absent_worktree_says_whether_it_is_locked_or_may_be_pruned() {
    let lab = Lab::new();
    let main = with_worktrees(&lab);
    git(&lab, &main, &["worktree", "lock", "--reason", "on a disk", "../one"]);
    for name in ["one", "two"] {
        std::fs::rename(lab.path().join(name), lab.path().join(format!("{name}-away"))).expect("moved");
    }
    let (one, two) = (facts(&lab, "one"), facts(&lab, "two"));
    assert_eq!(
        (&one["locked"], &one["lock_reason"], &one["prunable"]),
        (&true.into(), &"on a disk".into(), &false.into())
    );
    assert_eq!((&two["locked"], &two["prunable"]), (&false.into(), &true.into()));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("git worktree unlock") && table.contains("git worktree prune"), "{table}");
    assert!(table.contains("locked: on a disk") && table.contains("prunable"), "{table}");
}

#[test]
fn a_client_in_a_worktree_is_named_and_active_only_while_it_computes() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    watch(&lab, &[&main], "idle_ttl = \"0s\"\n");
    let start = |program: &str, args: &[&str], directory: &Path| {
        Command::new(program).arg0("claude").args(args).current_dir(directory).spawn().expect("started")
    };
    let mut waiting = start("sleep", &["120"], &main);
    let active = || {
        let agents = facts(&lab, "main")["agents"].clone();
        assert_eq!(agents[0]["client"], "claude-code", "{agents}");
        assert_eq!(agents.as_array().map(Vec::len), Some(1), "{agents}");
        !agents[0]["active_at"].is_null()
    };
    let found = [active(), active()];
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("claude-code there for "), "{table}");
    waiting.kill().expect("killed");
    waiting.wait().expect("waited");
    assert_eq!(found, [false, false]);
    let mut busy = start("sh", &["-c", "while :; do :; done"], &main);
    let mut found = active();
    let until = lab_probe::clock::instant() + std::time::Duration::from_secs(60);
    while !found && lab_probe::clock::instant() < until {
        std::thread::sleep(std::time::Duration::from_millis(300));
        found = active();
    }
    busy.kill().expect("killed");
    busy.wait().expect("waited");
    assert!(found);
    assert_eq!(facts(&lab, "main")["agents"], serde_json::json!([]));
}
