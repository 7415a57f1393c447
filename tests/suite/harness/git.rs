//! Real git in a LAB: repositories that see nothing of the machine's configuration, and what a pass says of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::Lab;

/// A git that sees only its own repository and the LAB's home.
pub(crate) fn git_command(lab: &Lab, directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", lab.home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A U Thor")
        .env("GIT_AUTHOR_EMAIL", "author@example.invalid")
        .env("GIT_COMMITTER_NAME", "C O Mitter")
        .env("GIT_COMMITTER_EMAIL", "committer@example.invalid")
        .current_dir(directory);
    command
}

/// Runs git and fails the test with its words if it fails.
#[track_caller]
pub(crate) fn git(lab: &Lab, directory: &Path, args: &[&str]) -> String {
    let output = git_command(lab, directory).args(args).output().expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository at `name` with one commit of `file` on `main`.
pub(crate) fn repository(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.path().join(name);
    std::fs::create_dir_all(&path).expect("a directory");
    git(lab, &path, &["init", "-q", "-b", "main"]);
    commit(lab, &path, "file", "one\n");
    path
}

/// A repository `LAB` with another one as its submodule `lib`, both committed.
pub(crate) fn with_submodule(lab: &Lab) -> PathBuf {
    let library = repository(lab, "library");
    let main = repository(lab, "LAB");
    let url = library.to_str().expect("text");
    git(lab, &main, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "lib"]);
    git(lab, &main, &["commit", "-q", "-m", "add library"]);
    main
}

/// Writes a file and commits it.
pub(crate) fn commit(lab: &Lab, repository: &Path, file: &str, contents: &str) {
    let path = repository.join(file);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    std::fs::write(path, contents).expect("written");
    git(lab, repository, &["add", "--", file]);
    git(lab, repository, &["commit", "-q", "-m", file]);
}

/// Writes a configuration that watches these repositories and nothing else.
pub(crate) fn watch(lab: &Lab, repositories: &[&Path], more: &str) {
    lab.config(&format!("[mcp]\ndiscover = false\n[worktree]\nrepos = {repositories:?}\n{more}"));
}

/// The series of one pass.
pub(crate) struct Series(String);

/// One pass; fails the test if it does not end with exit 0.
#[track_caller]
pub(crate) fn pass(lab: &Lab) -> Series {
    pass_with(lab, &[])
}

/// One pass with further variables.
#[track_caller]
pub(crate) fn pass_with(lab: &Lab, variables: &[(&str, &str)]) -> Series {
    let output = lab
        .command(["--once", "--only", "worktree", "--format", "prometheus"])
        .envs(variables.iter().copied())
        .output()
        .expect("lab-probe starts");
    let run = super::Run(output).expect_code(0);
    Series(run.stdout())
}

impl Series {
    /// The value of a worktree's series, if there is one.
    pub(crate) fn value(&self, family: &str, worktree: &str) -> Option<f64> {
        self.line(family, worktree).and_then(|line| line.rsplit(' ').next()?.parse().ok())
    }

    /// The same of the series that has this label too.
    pub(crate) fn with_label(&self, family: &str, worktree: &str, label: &str) -> Option<f64> {
        let line = self.lines(family, worktree).find(|line| line.contains(label))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// The value of a label of the worktree's `lab_worktree_info`.
    pub(crate) fn label(&self, worktree: &str, label: &str) -> Option<String> {
        let line = self.line("lab_worktree_info", worktree)?;
        let (_, rest) = line.split_once(&format!("{label}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    }

    /// Status and its source, in words.
    pub(crate) fn status(&self, worktree: &str) -> (String, String) {
        let words = ["complete", "working", "testing", "blocked"];
        let status = self.value("lab_worktree_status", worktree).map_or("none", |value| words[value as usize]);
        (status.to_owned(), self.label(worktree, "status_source").unwrap_or_default())
    }

    /// Test status and its source, in words.
    pub(crate) fn tests(&self, worktree: &str) -> (String, String) {
        let words = ["unknown", "passing", "failing"];
        let status = self.value("lab_worktree_test_status", worktree).map_or("none", |value| words[value as usize]);
        (status.to_owned(), self.label(worktree, "test_source").unwrap_or_default())
    }

    /// Tests by result.
    pub(crate) fn counts(&self, worktree: &str) -> Option<(f64, f64, f64)> {
        let of = |result: &str| {
            let wanted = format!("result=\"{result}\"");
            self.lines("lab_worktree_tests", worktree)
                .find(|line| line.contains(&wanted))?
                .rsplit(' ')
                .next()?
                .parse()
                .ok()
        };
        Some((of("passed")?, of("failed")?, of("skipped")?))
    }

    /// The names of all worktrees, as the exposition escapes them, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let lines = self.0.lines().filter_map(|line| line.strip_prefix("lab_worktree_up{worktree_name=\""));
        let mut names: Vec<String> = lines.filter_map(|rest| Some(rest.rsplit_once("\"} ")?.0.to_owned())).collect();
        names.sort();
        names
    }

    fn line(&self, family: &str, worktree: &str) -> Option<&str> {
        self.lines(family, worktree).next()
    }

    fn lines<'a>(&'a self, family: &str, worktree: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let start = format!("{family}{{worktree_name=\"{worktree}\"");
        self.0.lines().filter(move |line| line.starts_with(&start))
    }
}

/// The wall clock, for setting files' times.
pub(crate) fn wall_clock() -> SystemTime {
    let now = u64::try_from(lab_probe::clock::now().as_nanosecond()).expect("after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_nanos(now)
}
