//! Every shape a repository and its worktrees can have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::harness::Lab;
use crate::harness::git::{commit, git, git_command, pass, repository, watch, with_submodule};

fn pair(status: &str, source: &str) -> (String, String) {
    (status.to_owned(), source.to_owned())
}

#[test]
fn main_linked_detached_locked_and_deleted_worktrees_are_told_apart() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for (args, name) in [
        (&["-b", "topic"][..], "topic"),
        (&["--detach"], "loose"),
        (&["-b", "kept"], "kept"),
        (&["-b", "dead"], "dead"),
    ] {
        let mut command = vec!["worktree", "add", "-q"];
        let path = format!("../trees/{name}");
        command.extend(args);
        command.push(&path);
        git(&lab, &main, &command);
    }
    git(&lab, &main, &["worktree", "lock", "../trees/kept"]);
    std::fs::remove_dir_all(lab.path().join("trees/kept")).expect("removed");
    std::fs::remove_dir_all(lab.path().join("trees/dead")).expect("removed");
    commit(&lab, &lab.path().join("trees/topic"), "more", "x\n");
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.names(), ["dead", "kept", "loose", "main", "topic"]);
    assert_eq!(series.status("main"), pair("complete", "clean"));
    assert_eq!(series.label("main", "branch").as_deref(), Some("main"));
    assert_eq!(series.status("topic"), pair("working", "commits"));
    assert_eq!(series.value("lab_worktree_ahead_commits", "topic"), Some(1.0));
    assert_eq!(series.value("lab_worktree_behind_commits", "topic"), Some(0.0));
    assert_eq!(series.status("loose"), pair("complete", "clean"));
    assert_eq!(series.label("loose", "branch").as_deref(), Some(""));
    for gone in ["dead", "kept"] {
        assert_eq!(series.status(gone), pair("blocked", "missing"));
        assert_eq!(series.value("lab_worktree_changed_files", gone), None, "unknown is absent");
    }
}

#[test]
fn a_moved_worktree_is_found_by_its_new_place_and_a_replaced_one_is_missing() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "a", "../a"]);
    git(&lab, &main, &["worktree", "move", "../a", "../b"]);
    git(&lab, &main, &["worktree", "add", "-q", "-b", "c", "../c"]);
    std::fs::rename(lab.path().join("c"), lab.path().join("d")).expect("moved by hand");
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.names(), ["b", "c", "main"]);
    assert_eq!(series.status("b"), pair("complete", "clean"));
    assert_eq!(series.status("c"), pair("blocked", "missing"));
    // Named by where it is now, it is read there, although git has the old place on file.
    watch(&lab, &[&lab.path().join("d")], "");
    assert_eq!(pass(&lab).status("d"), pair("complete", "clean"));
    // Another repository in its place is not it.
    std::fs::remove_dir_all(lab.path().join("b")).expect("removed");
    repository(&lab, "b");
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).status("b"), pair("blocked", "missing"));
}

#[test]
fn a_bare_repository_has_only_its_linked_worktrees() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    git(&lab, lab.path(), &["clone", "-q", "--bare", "origin", "project/.bare"]);
    let bare = lab.path().join("project/.bare");
    git(&lab, &bare, &["worktree", "add", "-q", "-b", "topic", "../topic"]);
    std::fs::write(lab.path().join("project/topic/new"), "x").expect("written");
    watch(&lab, &[&bare], "");
    let series = pass(&lab);
    assert_eq!(series.names(), ["topic"]);
    assert_eq!(series.status("topic"), pair("working", "changes"));
    drop(origin);
}

#[test]
fn a_branch_without_commits_is_complete_until_a_file_is_there() {
    let lab = Lab::new();
    let path = lab.path().join("new");
    std::fs::create_dir(&path).expect("a directory");
    git(&lab, &path, &["init", "-q", "-b", "main"]);
    watch(&lab, &[&path], "");
    let series = pass(&lab);
    assert_eq!(series.status("main"), pair("complete", "clean"));
    assert_eq!(series.value("lab_worktree_last_commit_timestamp_seconds", "main"), None);
    assert_eq!(series.value("lab_worktree_ahead_commits", "main"), None);
    std::fs::write(path.join("a"), "x").expect("written");
    git(&lab, &path, &["add", "a"]);
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(1.0));
}

#[test]
fn nested_worktrees_and_the_declaration_are_no_changes() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "a", "worktrees/a"]);
    git(&lab, &main, &["worktree", "add", "-q", "-b", "b", "worktrees/deep/b"]);
    git(&lab, &main, &["worktree", "add", "-q", "-b", "c", "c"]);
    std::fs::write(main.join(".worktree"), "owner=me\n").expect("written");
    watch(&lab, &[&main], "");
    for _ in 0..2 {
        let series = pass(&lab);
        assert_eq!(series.names(), ["a", "b", "c", "main"]);
        assert_eq!(series.status("main"), pair("complete", "clean"));
    }
    std::fs::write(main.join("worktrees/stray"), "x").expect("written");
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(1.0), "what lies beside them counts");
    std::fs::write(main.join("worktrees/a/file"), "edited\n").expect("written");
    let series = pass(&lab);
    assert_eq!(series.status("a"), pair("working", "changes"));
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(1.0));
}

#[test]
fn sparse_shallow_sha256_split_and_old_indexes_are_read_and_edits_in_them_seen() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    for name in ["a/one", "b/two", "b/deep/three"] {
        commit(&lab, &origin, name, name);
    }
    git(&lab, &origin, &["update-server-info"]);
    let url = format!("file://{}", origin.display());
    let shapes: [(&str, &[&[&str]]); 6] = [
        ("sparse", &[&["sparse-checkout", "set", "--sparse-index", "a"]]),
        ("cone", &[&["sparse-checkout", "set", "a"]]),
        ("split", &[&["update-index", "--split-index"]]),
        ("v4", &[&["update-index", "--index-version", "4"]]),
        ("shallow", &[]),
        ("plain", &[]),
    ];
    let mut paths = Vec::new();
    for (name, commands) in shapes {
        let depth: &[&str] = if name == "shallow" { &["--depth", "1"] } else { &[] };
        let args = [&["clone", "-q"], depth, &[url.as_str(), name]].concat();
        git(&lab, lab.path(), &args);
        let path = lab.path().join(name);
        for command in commands {
            git(&lab, &path, command);
        }
        paths.push(path);
    }
    let sha256 = lab.path().join("sha256");
    std::fs::create_dir(&sha256).expect("a directory");
    git(&lab, &sha256, &["init", "-q", "-b", "main", "--object-format=sha256"]);
    commit(&lab, &sha256, "a/one", "a/one");
    paths.push(sha256);
    let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
    watch(&lab, &paths, "");
    let names: Vec<String> =
        paths.iter().map(|path| format!("{}/main", path.file_name().expect("a name").display())).collect();
    for round in 0..3 {
        let series = pass(&lab);
        for name in &names {
            assert_eq!(series.status(name), pair("complete", "clean"), "{name}, round {round}");
        }
    }
    for path in &paths {
        std::fs::write(path.join("a/one"), "other").expect("written");
    }
    let series = pass(&lab);
    for name in &names {
        assert_eq!(series.value("lab_worktree_changed_files", name), Some(1.0), "{name}");
    }
}

#[test]
fn a_sparse_checkout_without_its_index_is_asked_about_as_a_whole() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for name in ["a/one", "b/two", "b/three"] {
        commit(&lab, &main, name, name);
    }
    git(&lab, &main, &["sparse-checkout", "set", "--sparse-index", "a"]);
    std::fs::remove_file(main.join(".git/index")).expect("removed");
    watch(&lab, &[&main], "");
    // Four staged deletions; `file` and `a/`, untracked now.
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(6.0));
}

#[test]
fn reftable_is_read_where_git_can() {
    let lab = Lab::new();
    let path = lab.path().join("reftable");
    std::fs::create_dir(&path).expect("a directory");
    let made =
        git_command(&lab, &path).args(["init", "-q", "-b", "main", "--ref-format=reftable"]).output().expect("git");
    watch(&lab, &[&path], "");
    if !made.status.success() {
        // git before 2.45 knows no such format; a repository of it is one that cannot be read.
        return;
    }
    commit(&lab, &path, "file", "x");
    git(&lab, &path, &["switch", "-q", "-c", "topic"]);
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
    commit(&lab, &path, "file", "y");
    let series = pass(&lab);
    assert_eq!(series.status("main"), pair("working", "commits"));
    assert_eq!(series.value("lab_worktree_ahead_commits", "main"), Some(1.0));
}

#[test]
fn a_submodule_with_changes_of_its_own_is_one_changed_path() {
    let lab = Lab::new();
    let main = with_submodule(&lab);
    watch(&lab, &[&main], "");
    assert_eq!(pass(&lab).status("main"), pair("complete", "clean"));
    std::fs::write(main.join("lib/file"), "edited\n").expect("written");
    std::fs::write(main.join("lib/new"), "new\n").expect("written");
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(1.0));
    git(&lab, &main.join("lib"), &["add", "."]);
    git(&lab, &main.join("lib"), &["commit", "-q", "-m", "on"]);
    assert_eq!(pass(&lab).value("lab_worktree_changed_files", "main"), Some(1.0), "another commit is a change too");
}

#[test]
fn any_bytes_in_a_name_give_a_valid_distinct_label() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for (number, name) in
        [b"with blank".as_slice(), b"quo\"te", b"new\nline", b"back\\slash", b"bad\xffbyte", b"bad\xfebyte"]
            .iter()
            .enumerate()
    {
        let path = lab.path().join(OsStr::from_bytes(name));
        let branch = format!("b{number}");
        let done = git_command(&lab, &main).args(["worktree", "add", "-q", "-b", &branch]).arg(&path).status();
        assert!(done.expect("git").success());
        std::fs::write(path.join("file"), "edited\n").expect("written");
    }
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    let expected =
        ["back\\\\slash", "bad\\\\xfebyte", "bad\\\\xffbyte", "main", "new\\\\u{a}line", "quo\\\"te", "with blank"];
    assert_eq!(series.names(), expected);
    for name in expected.iter().filter(|name| **name != "main") {
        assert_eq!(series.value("lab_worktree_changed_files", name), Some(1.0), "{name}");
    }
    // What was remembered of them comes back under the same names.
    assert_eq!(pass(&lab).names(), expected);
}

#[test]
fn names_collide_by_repository_and_given_names_win() {
    let lab = Lab::new();
    let (one, two) = (repository(&lab, "one"), repository(&lab, "two"));
    for repository in [&one, &two] {
        let path = repository.join("worktrees/x");
        git(&lab, repository, &["worktree", "add", "-q", "-b", "x", path.to_str().expect("text")]);
    }
    watch(&lab, &[&one, &two], "");
    assert_eq!(pass(&lab).names(), ["one/main", "one/x", "two/main", "two/x"]);
    watch(
        &lab,
        &[&one, &two],
        &format!("[[worktree.named]]\nname = \"thunes\"\npath = {:?}\n", one.join("worktrees/x")),
    );
    assert_eq!(pass(&lab).names(), ["one/main", "thunes", "two/main", "x"]);
}

#[test]
fn a_repository_that_cannot_be_read_costs_only_itself() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let odd = lab.path().join("odd");
    std::fs::create_dir(&odd).expect("a directory");
    std::fs::write(odd.join(".git"), "gitdir: nowhere\n").expect("written");
    let broken = repository(&lab, "broken");
    std::fs::write(broken.join(".git/HEAD"), "garbage\n").expect("written");
    let missing = lab.path().join("missing");
    watch(&lab, &[&main, &odd, &broken, &missing], "");
    let series = pass(&lab);
    assert_eq!(series.names(), ["LAB/main", "broken/main", "missing/main", "odd/main"]);
    assert_eq!(series.value("lab_worktree_up", "LAB/main"), Some(1.0));
    for name in ["broken/main", "missing/main", "odd/main"] {
        assert_eq!(series.value("lab_worktree_up", name), Some(0.0), "{name}");
        assert_eq!(series.value("lab_worktree_status", name), None, "{name}: unknown is absent");
    }
    // A repository that was moved by hand leaves its linked worktrees behind, for git too.
    git(&lab, &main, &["worktree", "add", "-q", "-b", "left", "../left"]);
    std::fs::rename(&main, lab.path().join("moved")).expect("moved");
    watch(&lab, &[&lab.path().join("moved")], "");
    let table = lab.run(["check", "--only", "worktree"]).expect_code(1).stdout();
    assert!(table.contains("git worktree repair"), "{table}");
    watch(&lab, &[&missing], "");
    let table = lab.run(["check", "--only", "worktree"]);
    assert_eq!(table.code(), Some(1));
    assert!(table.stdout().contains("missing"), "{}", table.stdout());
}

#[test]
fn without_configuration_the_repository_of_the_current_directory_is_watched_and_none_is_no_problem() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    std::fs::create_dir(main.join("sub")).expect("a directory");
    lab.config("[mcp]\ndiscover = false\n");
    assert!(pass(&lab).names().is_empty());
    let config = lab.path().join("lab-probe.toml");
    let shown = |format: &str| {
        let mut command = lab.command(["--once", "--format", format, "--config"]);
        let output = command.arg(&config).current_dir(main.join("sub")).output().expect("lab-probe starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let table = shown("table");
    assert!(table.contains("main") && table.contains("complete"), "{table}");
    // What is delivered does not depend on where somebody stands.
    assert!(!shown("prometheus").contains("lab_worktree_status"));
}
