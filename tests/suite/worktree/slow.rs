//! What git is asked when nothing has changed, and what is said of a worktree for which it takes too long.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::Lab;
use crate::harness::git::{Series, commit, git, pass_with, repository, watch};

/// A pass with a shim in front of the real git that logs each call and runs `script` before it.
fn pass_behind(lab: &Lab, script: &str) -> (Series, Vec<String>) {
    let log = lab.path().join("gits");
    let _ = std::fs::remove_file(&log);
    let path = std::env::var("PATH").expect("PATH");
    lab.install("shim/git", &format!("#!/bin/sh\necho \"$*\" >> {log:?}\n{script}\nPATH={path:?}\nexec git \"$@\"\n"));
    let with_shim = format!("{}:{path}", lab.path().join("shim").display());
    let series = pass_with(lab, &[("PATH", &with_shim)]);
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    (series, calls.lines().map(str::to_owned).collect())
}

const HANGS: &str = "case $1 in status) sleep 60;; esac";

/// A repository with more worktrees than are looked at at the same time.
fn many_worktrees(lab: &Lab) -> (PathBuf, usize) {
    let main = repository(lab, "LAB");
    let count = 2 * std::thread::available_parallelism().map_or(1, usize::from) + 3;
    for number in 1..count {
        let path = lab.path().join(format!("tree{number}"));
        git(lab, &main, &["worktree", "add", "-q", path.to_str().expect("text")]);
    }
    (main, count)
}

#[test]
fn a_git_that_hangs_is_no_verdict_on_worktrees_that_were_not_looked_at() {
    let lab = Lab::new();
    let (main, count) = many_worktrees(&lab);
    watch(&lab, &[&main], "timeout = \"1s\"\nidle_ttl = \"0s\"\n");
    let down = |series: &Series| {
        let names = series.names();
        assert!(names.iter().all(|name| series.value("lab_worktree_up", name) == Some(0.0)), "{names:?}");
        names
    };
    let first = down(&pass_behind(&lab, HANGS).0);
    assert!(!first.is_empty() && first.len() < count, "{first:?}");
    let second = down(&pass_behind(&lab, HANGS).0);
    assert!(second.len() > first.len(), "the others went first: {second:?}");
    let (series, _) = pass_behind(&lab, "");
    let up = series.names().iter().filter(|name| series.value("lab_worktree_up", name) == Some(1.0)).count();
    assert_eq!(up, count);
}

#[test]
fn the_end_of_a_pass_is_no_verdict_on_worktrees() {
    let lab = Lab::new();
    let (main, count) = many_worktrees(&lab);
    let watch_within = |deadline: &str| {
        watch(&lab, &[&main], "idle_ttl = \"0s\"\n");
        let config = lab.path().join("lab-probe.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let probe = format!("[probe]\ndeadline = \"{deadline}\"\n");
        std::fs::write(&config, text.replacen("[probe]\n", &probe, 1)).expect("written");
    };
    watch_within("4s");
    let (series, _) = pass_behind(&lab, HANGS);
    assert_eq!(series.names(), [""; 0]);
    watch_within("60s");
    let (series, _) = pass_behind(&lab, "");
    assert_eq!(series.names().len(), count);
    watch_within("4s");
    let (series, _) = pass_behind(&lab, HANGS);
    let up = series.names().iter().filter(|name| series.value("lab_worktree_up", name) == Some(1.0)).count();
    assert_eq!(up, count, "what is remembered stands");
}

#[test]
fn the_list_of_tracked_files_is_asked_again_only_when_the_index_changed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let inner = repository(&lab, "LAB/lib");
    commit(&lab, &main, ".gitignore", "lib\n");
    watch(&lab, &[&main], "idle_ttl = \"0s\"\n");
    // An index is believed to be the same by its times once it is older than the coarsest of these.
    let settle = || std::thread::sleep(Duration::from_millis(2_100));
    let lists = |calls: &[String]| calls.iter().filter(|call| call.starts_with("ls-files")).count();
    settle();
    assert_eq!(lists(&pass_behind(&lab, "").1), 1, "the first look");
    settle();
    let (series, calls) = pass_behind(&lab, "");
    assert_eq!((lists(&calls), series.value("lab_worktree_changed_files", "main")), (0, Some(0.0)));
    // A submodule that no .gitmodules tells of.
    let head = git(&lab, &inner, &["rev-parse", "HEAD"]);
    git(&lab, &main, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},lib")]);
    git(&lab, &main, &["commit", "-q", "-m", "lib"]);
    std::fs::write(inner.join("file"), "edited\n").expect("written");
    let (series, calls) = pass_behind(&lab, "");
    assert!(lists(&calls) > 0, "{calls:?}");
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(1.0));
    settle();
    assert_eq!(pass_behind(&lab, "").0.value("lab_worktree_changed_files", "main"), Some(1.0), "and at each look");
}
