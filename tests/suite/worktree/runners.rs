//! Test runners that are alive.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::Lab;
use crate::harness::git::{git, pass, repository, watch};

/// A process that looks like `name` with these arguments and waits.
struct Fake(Child);

impl Fake {
    fn start(lab: &Lab, directory: &Path, name: &str, args: &[&str]) -> Fake {
        let program = lab.install(format!("bin/{name}"), "#!/bin/sh\nread line\n");
        let child = Command::new(program).args(args).current_dir(directory).stdin(Stdio::piped()).spawn();
        Fake(child.expect("started"))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_runner_in_a_worktree_means_testing_there_and_nowhere_else() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    git(&lab, &main, &["worktree", "add", "-q", "-b", "inner", "inner"]);
    std::fs::create_dir(main.join("inner/sub")).expect("a directory");
    watch(&lab, &[&main], "test_runners = [\"mytests\"]\n");
    assert_eq!(pass(&lab).status("inner").1, "clean");
    let runner = Fake::start(&lab, &main.join("inner/sub"), "pytest", &["-q"]);
    let series = pass(&lab);
    assert_eq!(series.status("inner"), ("testing".to_owned(), "runner".to_owned()));
    assert_eq!(series.status("main").1, "clean", "the runner is in the worktree inside it");
    drop(runner);
    assert_eq!(pass(&lab).status("inner").1, "clean");
    for (name, args) in [("cargo", &["build"][..]), ("make", &["all"]), ("vitest", &["--watch"])] {
        let _other = Fake::start(&lab, &main, name, args);
        assert_eq!(pass(&lab).status("main").1, "clean", "{name} {args:?}");
    }
    for (name, args) in [("cargo", &["nextest", "run"][..]), ("make", &["-j2", "test"]), ("mytests", &[])] {
        let _runner = Fake::start(&lab, &main, name, args);
        assert_eq!(pass(&lab).status("main").1, "runner", "{name} {args:?}");
    }
}
