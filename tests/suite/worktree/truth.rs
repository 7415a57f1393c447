//! Random sequences of what people and tools do to a repository, each step beside `git status`. Nothing is run or written.
//!
//! `LAB_PROBE_STEPS` says how many steps are taken in each repository; `LAB_PROBE_SEED` repeats a sequence.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::harmless::{assert_untouched, canary, census, traces};
use crate::harness::git::{commit, git, git_command, pass, repository, wall_clock, watch, with_submodule};
use crate::harness::{Lab, install};

/// Changed and conflicted paths, ahead and behind, as `git status` says them.
fn status(lab: &Lab, repository: &Path) -> (f64, f64, Option<(f64, f64)>) {
    let mut command = git_command(lab, repository);
    let output = command.env("GIT_OPTIONAL_LOCKS", "0").args(["status", "--porcelain=v2", "--branch"]).output();
    let output = output.expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |kinds: &[&str]| text.lines().filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).count();
    let distance = text.lines().find_map(|line| {
        let (ahead, behind) = line.strip_prefix("# branch.ab +")?.split_once(" -")?;
        Some((ahead.parse().ok()?, behind.parse().ok()?))
    });
    (count(&["1 ", "2 ", "? "]) as f64, count(&["u "]) as f64, distance)
}

/// Git, whatever it says.
fn attempt(lab: &Lab, repository: &Path, args: &[&str]) {
    let identity = ["-c", "core.editor=true", "-c", "advice.detachedHead=false"];
    let output = git_command(lab, repository).args(identity).args(args).output().expect("git");
    assert!(output.status.code().is_some());
}

struct Sequence<'a> {
    lab: &'a Lab,
    repository: PathBuf,
    names: Vec<String>,
    random: fastrand::Rng,
}

impl Sequence<'_> {
    fn git(&self, args: &[&str]) {
        attempt(self.lab, &self.repository, args);
    }

    /// One thing that happens; what it was.
    fn step(&mut self) -> String {
        let name = self.names[self.random.usize(..self.names.len())].clone();
        let path = self.repository.join(&name);
        let kind = self.random.u8(..34);
        let branch = format!("b{}", self.random.u8(..6));
        let either = self.random.usize(..2);
        match kind {
            0 | 1 => std::fs::write(&path, self.random.u32(..).to_string()).unwrap_or_default(),
            2 | 3 => self.rewrite_with_its_time(&path),
            4 => drop(std::fs::remove_file(&path)),
            5 => self.git(&["checkout", "-q", "HEAD", "--", &name]),
            6 => std::fs::write(path.with_extension("new"), "x").unwrap_or_default(),
            7 => std::fs::write(path.with_extension("o"), "x").unwrap_or_default(),
            8 | 9 => self.git(&["add", "-A"]),
            10 | 11 => self.git(&["commit", "-q", "-a", "-m", "x"]),
            12 => {
                std::fs::create_dir_all(self.repository.join(format!("u{}/v", self.random.u8(..3)))).unwrap_or_default()
            }
            13 => drop(std::fs::write(self.repository.join(format!("u{}/v/w", self.random.u8(..3))), "x")),
            14 => self.git(&["reset", "-q"]),
            15 => self.git(&["reset", "-q", "--hard"]),
            16 => self.git(&["stash", "-q", "-u"]),
            17 => self.git(&["stash", "pop", "-q"]),
            18 => self.git(&["switch", "-q", "-c", &branch]),
            19 => self.git(&["switch", "-q", &branch]),
            20 => self.git(&["rebase", "-q", "main"]),
            21 => self.git(&["rebase", "--abort"]),
            22 => self.git(&["merge", "-q", &branch]),
            23 => self.git(&["merge", "--abort"]),
            24 => self.git(&["update-index", "--index-version", ["2", "4"][either]]),
            25 => self.git(&["update-index", ["--split-index", "--no-split-index"][either]]),
            26 => self.git(&["update-index", ["--untracked-cache", "--no-untracked-cache"][either]]),
            27 => self.git(&["sparse-checkout", "set", "d0", "d1"]),
            28 => self.git(&["sparse-checkout", "disable"]),
            29 => self.jump(&path),
            30 => self.git(&["mv", &name, &format!("{name}.moved")]),
            31 => self.make_executable(&path),
            32 => self.git(&["branch", "-q", "-u", "main"]),
            _ => self.git(&["update-index", "--force-write-index", "-q", "--refresh"]),
        }
        format!("{kind} of {name}")
    }

    /// Another content of the same size within the same second, and the time put back.
    fn rewrite_with_its_time(&mut self, path: &Path) {
        let Ok(metadata) = path.metadata() else { return };
        let letter = char::from(b'a' + self.random.u8(..26));
        std::fs::write(path, letter.to_string().repeat(metadata.len() as usize)).unwrap_or_default();
        if self.random.bool()
            && let (Ok(file), Ok(time)) = (std::fs::File::options().write(true).open(path), metadata.modified())
        {
            file.set_modified(time).unwrap_or_default();
        }
    }

    /// A time of another year, or one to come.
    fn jump(&mut self, path: &Path) {
        let Ok(file) = std::fs::File::options().write(true).open(path) else { return };
        let away = Duration::from_secs(self.random.u64(1..100_000_000));
        let time = if self.random.bool() { wall_clock() - away } else { wall_clock() + away };
        file.set_modified(time).unwrap_or_default();
    }

    fn make_executable(&mut self, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let mode = if self.random.bool() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap_or_default();
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn compare_step_by_step(lab: &Lab, repository: PathBuf) {
    let seed = number("LAB_PROBE_SEED", 20_261_129);
    let names: Vec<String> = (0..12).map(|n| format!("d{}/e{}/f{n}", n % 3, n % 2)).collect();
    for name in &names {
        commit(lab, &repository, name, &"some text\n".repeat(4));
    }
    commit(lab, &repository, ".gitignore", "*.o\nbuild/\n");
    for name in ["fsmonitor", "post-index-change", "query-watchman"] {
        let program = canary(lab, name);
        install(program, &repository.join(".git/hooks").join(name));
    }
    watch(lab, &[&repository], "idle_ttl = \"0s\"\n");
    let mut sequence = Sequence { lab, repository: repository.clone(), names, random: fastrand::Rng::with_seed(seed) };
    let mut done = Vec::new();
    for step in 0..number("LAB_PROBE_STEPS", 60) {
        done.push(sequence.step());
        std::fs::remove_dir_all(lab.path().join("canaries")).expect("removed");
        std::fs::create_dir(lab.path().join("canaries")).expect("a directory");
        let before = census(&repository);
        let series = pass(lab);
        let last = &done[done.len().saturating_sub(12)..];
        assert_untouched(&repository, &before, &format!("step {step}, seed {seed}, after {last:?}"));
        assert_eq!(traces(lab), Vec::<String>::new(), "step {step}: something was run");
        let value = |family: &str| series.value(family, "main");
        let found = (value("lab_worktree_changed_files"), value("lab_worktree_conflicted_files"));
        let (changed, conflicted, distance) = status(lab, &repository);
        assert_eq!(found, (Some(changed), Some(conflicted)), "step {step}, seed {seed}, after {last:?}");
        if let Some((ahead, behind)) = distance {
            let found = (value("lab_worktree_ahead_commits"), value("lab_worktree_behind_commits"));
            assert_eq!(found, (Some(ahead), Some(behind)), "step {step}, seed {seed}, after {last:?}");
        }
    }
}

#[test]
fn a_repository_is_what_git_says_at_every_step() {
    let lab = Lab::new();
    let main = repository(&lab, "LAB");
    compare_step_by_step(&lab, main);
}

#[test]
fn a_repository_with_a_submodule_is_what_git_says_at_every_step() {
    let lab = Lab::new();
    let main = with_submodule(&lab);
    commit(&lab, &main.join("lib"), "more", "x\n");
    git(&lab, &main, &["commit", "-q", "-a", "-m", "more"]);
    compare_step_by_step(&lab, main);
}
