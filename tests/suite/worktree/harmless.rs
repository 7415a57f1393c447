//! What a pass must never do to a repository it watches: each thing it could set off has a canary.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::harness::git::{commit, git, git_command, pass, pass_with, repository, wall_clock, watch};
use crate::harness::{Lab, install};

/// A program that leaves a trace when it is run.
pub(super) fn canary(lab: &Lab, name: &str) -> PathBuf {
    let trace = lab.path().join("canaries").join(name);
    let path = lab.install(format!("bin/{name}"), &format!("#!/bin/sh\necho \"$@\" >> {trace:?}\ncat\n"));
    std::fs::create_dir_all(lab.path().join("canaries")).expect("a directory");
    path
}

pub(super) fn traces(lab: &Lab) -> Vec<String> {
    let entries = lab.path().join("canaries").read_dir().expect("canaries");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// Everything the file system knows of what lies below a directory.
pub(super) fn census(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = path.symlink_metadata().expect("metadata");
        if metadata.is_dir() {
            open.extend(path.read_dir().expect("a directory").map(|entry| entry.expect("an entry").path()));
        }
        let stamp = (
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        );
        found.insert(path, stamp);
    }
    found
}

/// Fails with what is not as it was before.
#[track_caller]
pub(super) fn assert_untouched(root: &Path, before: &BTreeMap<PathBuf, (u64, u64, i64, i64, i64, i64)>, what: &str) {
    let after = census(root);
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    let changed: Vec<&PathBuf> = before.keys().chain(after.keys()).filter(differs).collect();
    assert!(changed.is_empty(), "{what}: written were {changed:?}");
}

#[test]
fn nothing_that_the_configuration_names_is_run() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, ".gitattributes", "* filter=e=vil diff=evil\n*.inc filter=included\n");
    commit(&lab, &main, "a.inc", "x\n");
    commit(&lab, &main, "longer", "x\n");
    let run = |name: &str| canary(&lab, name).to_str().expect("text").to_owned();
    for (key, name) in [
        ("filter.e=vil.clean", "clean"),
        ("filter.e=vil.process", "process"),
        ("filter.e=vil.smudge", "smudge"),
        ("diff.evil.textconv", "textconv"),
        ("diff.evil.command", "diff-command"),
        ("diff.external", "diff-external"),
        ("core.fsmonitor", "fsmonitor"),
        ("core.pager", "pager"),
        ("pager.status", "pager-status"),
        ("core.sshCommand", "ssh"),
        ("core.askPass", "askpass"),
        ("core.editor", "editor"),
        ("credential.helper", "credential"),
        ("gpg.program", "gpg"),
        ("core.alternateRefsCommand", "alternates"),
        ("core.gitProxy", "proxy"),
    ] {
        git(&lab, &main, &["config", key, &run(name)]);
    }
    git(&lab, &main, &["config", "filter.e=vil.required", "true"]);
    git(&lab, &main, &["config", "log.showSignature", "true"]);
    for alias in ["status", "config", "cat-file", "rev-list"] {
        git(&lab, &main, &["config", &format!("alias.{alias}"), &format!("!{}", run("alias"))]);
    }
    for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout", "query-watchman"]
    {
        let program = canary(&lab, hook);
        install(program, &main.join(".git/hooks").join(hook));
    }
    // A driver that only an include of the user's own configuration brings in.
    lab.write("home/more.inc", format!("[filter \"included\"]\nclean = {}\nrequired = true\n", run("included")));
    lab.write("home/.gitconfig", "[include]\npath = more.inc\n[trace2]\neventTarget = /nonexistent/x\n");
    watch(&lab, &[&main], "");
    // Of its old size: git has to compare the content, and would filter it for that. Of another size it is changed.
    for (name, text) in [("file", "two\n"), ("a.inc", "y\n"), ("longer", "much longer\n")] {
        std::fs::write(main.join(name), text).expect("written");
    }
    let bin = format!("{}:{}", lab.path().join("bin").display(), std::env::var("PATH").expect("PATH"));
    for variables in [&[][..], &[("PATH", bin.as_str()), ("GIT_EXTERNAL_DIFF", "diff-external"), ("GIT_SSH", "ssh")]] {
        let series = pass_with(&lab, variables);
        assert_eq!(series.value("lab_worktree_up", "main"), Some(1.0));
        assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(1.0));
    }
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("2 files are not compared"), "{table}");
    assert_eq!(traces(&lab), Vec::<String>::new());
    // The canaries do sing: git itself runs them.
    let _ = git_command(&lab, &main).args(["status"]).output();
    assert!(traces(&lab).iter().any(|name| name == "clean" || name == "process"), "{:?}", traces(&lab));
}

#[test]
fn a_filter_in_a_submodule_or_in_a_worktrees_own_configuration_is_not_run_either() {
    let lab = Lab::new();
    let library = repository(&lab, "library");
    commit(&lab, &library, ".gitattributes", "* filter=evil\n");
    let main = repository(&lab, "LAB");
    let url = library.to_str().expect("text");
    git(&lab, &main, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "lib"]);
    git(&lab, &main, &["commit", "-q", "-m", "library"]);
    commit(&lab, &main, ".gitattributes", "* filter=own\n");
    let program = canary(&lab, "clean");
    let program = program.to_str().expect("text");
    git(&lab, &main.join("lib"), &["config", "filter.evil.clean", program]);
    git(&lab, &main, &["config", "extensions.worktreeConfig", "true"]);
    git(&lab, &main, &["worktree", "add", "-q", "-b", "own", "../own"]);
    git(&lab, &lab.path().join("own"), &["config", "--worktree", "filter.own.clean", program]);
    std::fs::write(main.join("lib/file"), "edited\n").expect("written");
    std::fs::write(lab.path().join("own/file"), "edited\n").expect("written");
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_changed_files", "own"), Some(1.0));
    assert_eq!(traces(&lab), Vec::<String>::new());
}

#[test]
fn nothing_in_the_repository_is_written_not_even_a_time() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    commit(&lab, &main, "second", "x\n");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let linked = lab.path().join("linked");
    // Stale in the index but unchanged: git would refresh it. Old on file: git would note the worktree's place anew.
    for directory in [&main, &linked] {
        std::fs::write(directory.join("file"), "one\n").expect("written");
        std::fs::write(directory.join("second"), "edited\n").expect("written");
    }
    let gitdir = main.join(".git/worktrees/linked/gitdir");
    let old = wall_clock() - Duration::from_secs(10 * 86_400);
    std::fs::File::options().write(true).open(gitdir).expect("opened").set_modified(old).expect("made old");
    watch(&lab, &[&main], "");
    let before = (census(&main), census(&linked));
    for _ in 0..2 {
        let series = pass(&lab);
        assert_eq!(series.value("lab_worktree_changed_files", "linked"), Some(1.0));
    }
    let after = (census(&main), census(&linked));
    assert_eq!(before, after);
}

/// Git touches the shared part of a split index whenever it reads it.
#[test]
fn not_even_the_shared_part_of_a_split_index_is_touched() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let linked = lab.path().join("linked");
    for directory in [&main, &linked] {
        git(&lab, directory, &["update-index", "--split-index"]);
        commit(&lab, directory, "second", "x\n");
        std::fs::write(directory.join("file"), "two\n").expect("written");
    }
    watch(&lab, &[&main], "");
    let before = (census(&main), census(&linked));
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    let series = pass(&lab);
    for name in ["main", "linked"] {
        assert_eq!(series.value("lab_worktree_changed_files", name), Some(1.0));
    }
    assert_eq!(series.tests("main").0, "passing");
    assert_untouched(&main, &before.0, "the main worktree");
    assert_untouched(&linked, &before.1, "the linked worktree");
}

/// Git writes the trees of a sparse index whenever it expands it, and those of an index that it makes sparse.
#[test]
fn not_even_the_trees_of_a_sparse_index_are_touched() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    for file in ["in/one", "out/two"] {
        commit(&lab, &main, file, "x\n");
    }
    git(&lab, &main, &["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    std::fs::write(main.join("in/one"), "edited\n").expect("written");
    watch(&lab, &[&main], "");
    let before = census(&main);
    lab.run(["record", "-C", main.to_str().expect("text"), "--", "true"]).expect_code(0);
    let series = pass(&lab);
    assert_untouched(&main, &before, "a sparse index");
    assert_eq!(series.status("main"), ("working".to_owned(), "changes".to_owned()));
    assert_eq!(series.tests("main"), ("passing".to_owned(), "record".to_owned()));
}

#[test]
fn a_held_lock_is_neither_waited_for_nor_in_the_way() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    std::fs::write(main.join("file"), "edited\n").expect("written");
    for name in ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock"] {
        std::fs::write(main.join(".git").join(name), "").expect("a lock");
    }
    watch(&lab, &[&main], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_up", "main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(1.0));
}

#[test]
fn the_callers_git_variables_do_not_confuse_it() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let other = repository(&lab, "other");
    std::fs::write(other.join("new"), "x").expect("written");
    watch(&lab, &[&main], "");
    let git_dir = other.join(".git");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (git_dir, work_tree) = (text(&git_dir), text(&other));
    let variables = [
        ("GIT_DIR", git_dir.as_str()),
        ("GIT_WORK_TREE", work_tree.as_str()),
        ("GIT_INDEX_FILE", "/nonexistent"),
        ("GIT_COMMON_DIR", "/nonexistent"),
        ("GIT_OBJECT_DIRECTORY", "/nonexistent"),
        ("GIT_CONFIG_PARAMETERS", "'core.bare=true'"),
        ("GIT_CONFIG_GLOBAL", "/nonexistent"),
        ("GIT_CEILING_DIRECTORIES", "/"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_TRACE", "2"),
    ];
    let series = pass_with(&lab, &variables);
    assert_eq!(series.names(), ["main"]);
    assert_eq!(series.value("lab_worktree_up", "main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(0.0));
}

#[test]
fn a_partial_clone_never_reaches_for_its_remote() {
    let lab = Lab::new();
    let origin = repository(&lab, "origin");
    let text: String = (0..60).map(|line| format!("line {line}\n")).collect();
    commit(&lab, &origin, "big", &text);
    git(&lab, &origin, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.display());
    git(&lab, lab.path(), &["clone", "-q", "--filter=blob:none", "--no-checkout", &url, "partial"]);
    let partial = lab.path().join("partial");
    git(&lab, &partial, &["read-tree", "HEAD"]);
    std::fs::write(partial.join("moved"), format!("{text}edited\n")).expect("written");
    git(&lab, &partial, &["rm", "-q", "--cached", "big"]);
    git(&lab, &partial, &["add", "moved"]);
    let program = canary(&lab, "upload-pack");
    git(&lab, &partial, &["config", "remote.origin.uploadpack", program.to_str().expect("text")]);
    let objects = census(&partial.join(".git/objects"));
    watch(&lab, &[&partial], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_up", "main"), Some(1.0));
    // `file` is missing from the worktree; without the contents the rename cannot be seen and counts as two.
    assert_eq!(series.value("lab_worktree_changed_files", "main"), Some(3.0));
    assert_eq!(traces(&lab), Vec::<String>::new());
    assert_eq!(census(&partial.join(".git/objects")), objects);
}

#[test]
fn a_repository_of_another_owner_is_refused_with_that_reason() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away.
        return;
    }
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    let other = repository(&lab, "other");
    for path in census(&other).into_keys() {
        std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).expect("given away");
    }
    watch(&lab, &[&main, &other], "");
    let series = pass(&lab);
    assert_eq!(series.value("lab_worktree_up", "LAB/main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_up", "other/main"), Some(0.0));
    let table = lab.run(["check", "--only", "worktree"]).stdout();
    assert!(table.contains("dubious ownership"), "{table}");
    let shown = git_command(&lab, &other).args(["status"]).output().expect("git");
    assert!(String::from_utf8_lossy(&shown.stderr).contains("dubious ownership"), "git refuses it too");
    // Declared safe by the user, git reads it, and so does this; the repository's own word does not count.
    git(&lab, &main, &["config", "--global", "safe.directory", other.to_str().expect("text")]);
    assert_eq!(pass(&lab).value("lab_worktree_up", "other/main"), Some(1.0));
    // Given away after it was read: what is remembered does not excuse it.
    std::os::unix::fs::lchown(main.join(".git"), Some(65_534), Some(65_534)).expect("given away");
    assert_eq!(pass(&lab).value("lab_worktree_up", "LAB/main"), Some(0.0));
}

#[test]
fn a_git_that_hangs_in_one_repository_costs_the_others_nothing() {
    let lab = Lab::new();
    let stuck = repository(&lab, "stuck");
    for number in 0..6 {
        git(&lab, &stuck, &["worktree", "add", "-q", "-b", &format!("b{number}"), &format!("../stuck{number}")]);
        // Git reads the rules for it.
        lab.write(format!("stuck{number}/new"), "x");
    }
    // Opening a FIFO waits for a writer for ever.
    std::fs::remove_file(stuck.join(".git/info/exclude")).ok();
    rustix::fs::mkfifoat(rustix::fs::CWD, stuck.join(".git/info/exclude"), rustix::fs::Mode::RWXU).expect("a FIFO");
    let fine = repository(&lab, "fine");
    watch(&lab, &[&stuck, &fine], "timeout = \"2s\"\n");
    let began = lab_probe::clock::instant();
    let series = pass(&lab);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(series.value("lab_worktree_up", "fine/main"), Some(1.0));
    assert_eq!(series.value("lab_worktree_up", "stuck0"), Some(0.0));
}

#[test]
fn an_interactive_rebase_beside_a_pass_every_second_is_undisturbed() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["switch", "-q", "-c", "long"]);
    for number in 0..200 {
        commit(&lab, &main, &format!("dir/file{number}"), "x\n");
    }
    git(&lab, &main, &["switch", "-q", "main"]);
    commit(&lab, &main, "base", "moved\n");
    git(&lab, &main, &["switch", "-q", "long"]);
    watch(&lab, &[&main], "");
    let mut rebase = git_command(&lab, &main)
        // Each commit is edited, so that the index is written all the time.
        .args([
            "-c",
            "sequence.editor=true",
            "rebase",
            "-q",
            "-i",
            "--exec",
            "touch -c dir/*; git status >/dev/null",
            "main",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git");
    let mut passes = 0;
    let mut last = (String::new(), lab_probe::clock::instant());
    while rebase.try_wait().expect("waited").is_none() {
        let step = std::fs::read_to_string(main.join(".git/rebase-merge/msgnum")).unwrap_or_default();
        if step != last.0 {
            last = (step, lab_probe::clock::instant());
        }
        assert!(last.1.elapsed() < Duration::from_secs(120), "the rebase hangs after commit {}", last.0);
        pass(&lab);
        passes += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    let output = rebase.wait_with_output().expect("waited");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(passes > 0);
    assert_eq!(git(&lab, &main, &["rev-list", "--count", "main..HEAD"]), "200");
    assert_eq!(pass(&lab).status("main").1, "commits");
}
