//! A narrow answer, new or remembered, is what the whole status of git says, whatever happens in the worktree.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;

use super::super::walk::{self, Depth};
use super::super::{Git, ask, config, content, look};
use super::*;
use crate::clock::{self, Deadline};
use crate::fs::stamp::Horizon;

/// Steps in all, unless `LAB_PROBE_STATUS_STEPS` wants more. `LAB_PROBE_STATUS_SEED` repeats a run.
const STEPS: usize = 90;

/// Steps in one repository.
const STEPS_EACH: usize = 30;

/// The times of two changes this far apart differ on the file systems the tests run on.
const TICK: Duration = Duration::from_millis(12);

const NAMES: &[&[u8]] = &[
    b"plain",
    b"with blank",
    b"new\nline",
    b"quo\"te\\",
    b"st*r?",
    b"[a-z]",
    b":(top)colon",
    b":!not",
    b"-dash",
    b"#hash",
    b"\xff\xfe",
    b"kept.o",
    b"dir/one",
    b"dir/one.o",
    b"dir/deep/two",
    b"dir/deep/st*r",
    b"dir-a/three",
    b"ignored/kept",
    b"ignored/other",
    b"new/four",
    b"new/below/five",
    b"new/below/[x]",
    b".worktree",
];

const DIRECTORIES: &[&str] = &["dir", "dir/deep", "new", "new/below", "ignored", "empty/below", "dir-a", "nested"];

const RULES: &[&str] = &[
    "*.o\n",
    "ignored/\n",
    "*.o\n!kept.o\n",
    "new/*\n!new/below\n",
    "*\n",
    "/dir\n",
    "dir/one*\n",
    "",
    "below/\n",
    "!*\n",
];

struct Case {
    directory: tempfile::TempDir,
    random: Rng,
    nested: bool,
    oid_length: usize,
    log: Vec<String>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut random = Rng::with_seed(seed);
        let directory = tempfile::tempdir().expect("a directory");
        let nested = random.u8(..4) == 0;
        let (format, oid_length) = [("--object-format=sha1", 40), ("--object-format=sha256", 64)][random.usize(..2)];
        let mut case = Case { directory, random, nested, oid_length, log: vec![format!("seed {seed} {format}")] };
        fs::create_dir(case.root()).expect("the worktree");
        case.git(&["init", "-q", "-b", "main", format]);
        case.write(NAMES[0]);
        for name in NAMES {
            if case.random.bool() {
                case.write(name);
            }
        }
        case.git(&["add", "-A", "-f"]);
        case.git(&["commit", "-q", "-m", "first"]);
        if nested {
            case.git(&["worktree", "add", "-q", "-b", "nested", "trees/nested"]);
        }
        case
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("worktree")
    }

    fn path(&self, name: &[u8]) -> PathBuf {
        self.root().join(OsStr::from_bytes(name))
    }

    /// What git refuses to do here and now is no step.
    fn git(&mut self, args: &[&str]) {
        let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::new(*arg)).collect();
        self.git_bytes(&args);
    }

    fn git_bytes(&mut self, args: &[&OsStr]) {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgSign=false"])
            .args(args)
            .current_dir(self.root())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_EDITOR", "true")
            .env_remove("GIT_DIR")
            .output()
            .expect("git is installed");
        self.log.push(format!("git {args:?}: {:?}", output.status.code()));
    }

    fn git_path(&mut self, args: &[&str], name: &[u8]) {
        let literal = [b":(top,literal)", name].concat();
        let args: Vec<&OsStr> =
            args.iter().map(|arg| OsStr::new(*arg)).chain([OsStr::new("--"), OsStr::from_bytes(&literal)]).collect();
        self.git_bytes(&args);
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(..choices.len())]
    }

    fn write(&mut self, name: &[u8]) {
        let path = self.path(name);
        let _ = fs::create_dir_all(path.parent().expect("a parent"));
        let text = self.one_of(&["a\n", "b\n", "c\n", "a longer one\n", ""]);
        let _ = fs::write(&path, text);
        self.log.push(format!("write {}", name.escape_ascii()));
    }

    fn remove(&mut self, path: &Path) {
        let is_directory = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let _ = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }

    /// Something that people and programs do in a worktree.
    fn change_files(&mut self) {
        let kind = self.random.u8(..14);
        let name = self.one_of(NAMES);
        let path = self.path(name);
        let directory = self.one_of(DIRECTORIES);
        let below = self.root().join(directory);
        self.log.push(format!("files {kind} {} {directory}", name.escape_ascii()));
        match kind {
            0..=2 => self.write(name),
            3 => {
                // In place, of the same size, and with the time put back.
                let time = path.metadata().and_then(|metadata| metadata.modified());
                if let (true, Ok(time)) = (path.is_file(), time) {
                    self.write(name);
                    let file = fs::File::options().write(true).open(&path);
                    let _ = file.and_then(|file| file.set_modified(time));
                }
            }
            4 => {
                let text = fs::read(&path).unwrap_or_default();
                let _ = fs::write(&path, text);
            }
            5 => {
                let mode = self.one_of(&[0o755, 0o644]);
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
            }
            6 => self.remove(&path),
            7 => {
                self.remove(&path);
                let _ = symlink(self.one_of(&["plain", "dir", "nowhere"]), &path);
            }
            8 => {
                self.remove(&path);
                let _ = fs::create_dir_all(&path);
                if self.random.bool() {
                    let _ = fs::write(path.join("inside"), "x");
                }
            }
            9 => self.remove(&below),
            10 => {
                self.remove(&below);
                let _ = if self.random.bool() { fs::write(&below, "x") } else { symlink("ignored", &below) };
            }
            11 => {
                let _ = fs::create_dir_all(&below);
                let name = self.one_of(&["stray", "stray.o", "kept.o"]);
                let _ = fs::write(below.join(name), "x");
            }
            12 => {
                let _ = fs::create_dir_all(&below);
            }
            _ => {
                let _ = fs::create_dir_all(&below);
                let _ = rustix::fs::mkfifoat(rustix::fs::CWD, below.join("fifo"), rustix::fs::Mode::RWXU);
            }
        }
    }

    fn change_rules(&mut self) {
        let rule = self.one_of(RULES);
        let kind = self.random.u8(..6);
        let directory = self.one_of(DIRECTORIES);
        self.log.push(format!("rules {kind} {directory} {rule:?}"));
        let _ = match kind {
            0 => fs::write(self.root().join(".gitignore"), rule),
            1 => fs::write(self.root().join(directory).join(".gitignore"), rule),
            2 => fs::create_dir_all(self.root().join(".git/info"))
                .and_then(|()| fs::write(self.root().join(".git/info/exclude"), rule)),
            3 => fs::write(self.directory.path().join("global"), rule),
            4 => {
                let file = self.directory.path().join("global");
                self.git(&["config", "core.excludesFile", &file.to_string_lossy()]);
                Ok(())
            }
            _ => fs::write(self.root().join(".worktree"), "owner=me\n"),
        };
    }

    fn change_index(&mut self) {
        let name = self.one_of(NAMES);
        match self.random.u8(..15) {
            0..=1 => self.git_path(&["add"], name),
            2 => self.git_path(&["add", "-f"], name),
            3 => self.git(&["add", "-A"]),
            4 => self.git(&["reset", "-q"]),
            5 => self.git_path(&["add", "-N"], name),
            6 => self.git_path(&["rm", "-q", "--cached", "-f"], name),
            7 => {
                let to = self.one_of(NAMES);
                let to = self.path(to);
                let _ = to.parent().map(fs::create_dir_all);
                let from = self.path(name);
                let args = [OsStr::new("mv"), OsStr::new("-f"), OsStr::new("--"), from.as_os_str(), to.as_os_str()];
                self.git_bytes(&args);
            }
            8 => self.git(&["update-index", "-q", "--refresh"]),
            9 => {
                let version = self.one_of(&["2", "4"]);
                self.git(&["update-index", "--index-version", version]);
            }
            10 => {
                let flags = ["--assume-unchanged", "--no-assume-unchanged", "--skip-worktree", "--no-skip-worktree"];
                let (flag, path) = (self.one_of(&flags), self.path(name));
                self.git_bytes(&[OsStr::new("update-index"), OsStr::new(flag), OsStr::new("--"), path.as_os_str()]);
            }
            11 => self.git_path(&["checkout", "-q"], name),
            12 => self.git_path(&["checkout", "-q", "HEAD"], name),
            13 => {
                let gitlink = format!("160000,{},{}", "1".repeat(self.oid_length), "nested");
                self.git(&["update-index", "--add", "--cacheinfo", &gitlink]);
            }
            _ => self.git(&["read-tree", "HEAD"]),
        }
    }

    fn change_history(&mut self) {
        let commit = self.one_of(&["HEAD", "HEAD~1"]);
        match self.random.u8(..13) {
            0..=2 => self.git(&["commit", "-q", "-a", "-m", "all"]),
            3 => self.git(&["commit", "-q", "-m", "staged"]),
            4 => self.git(&["commit", "-q", "--allow-empty", "-m", "empty"]),
            5 => self.git(&["reset", "-q", "--soft", "HEAD~1"]),
            6 => self.git(&["reset", "-q", "--hard", commit]),
            7 => self.git(&["switch", "-q", "-C", "topic"]),
            8 => self.git(&["switch", "-q", "main"]),
            9 => self.git(&["checkout", "-q", "--detach"]),
            10 => self.git(&["branch", "-q", "--set-upstream-to", "main"]),
            11 => self.git(&["merge", "-q", "main"]),
            _ => self.git(&["pack-refs", "--all"]),
        }
    }

    fn change_the_unusual(&mut self) {
        let nested = self.one_of(&["nested", "new/nested"]);
        let nested = self.root().join(nested);
        let value = self.one_of(&["true", "false"]);
        let shown = self.one_of(&["all", "no"]);
        let line_ends = self.one_of(&["input", "false"]);
        match self.random.u8(..9) {
            0 => self.git(&["init", "-q", &nested.to_string_lossy()]),
            1 => self.remove(&nested.join(".git")),
            2 => self.git(&["config", "core.fileMode", value]),
            3 => self.git(&["config", "core.ignoreCase", value]),
            4 => self.git(&["config", "core.autocrlf", line_ends]),
            5 => self.git(&["config", "core.symlinks", value]),
            6 => self.git(&["config", "status.showUntrackedFiles", shown]),
            7 => drop(fs::write(self.path(b"plain"), "a\r\n")),
            _ => self.git(&["clean", "-q", "-f", "-d"]),
        }
    }

    fn step(&mut self) {
        for _ in 0..self.random.usize(1..4) {
            match self.random.u8(..20) {
                0..=9 => self.change_files(),
                10..=11 => self.change_rules(),
                12..=15 => self.change_index(),
                16..=18 => self.change_history(),
                _ => self.change_the_unusual(),
            }
        }
    }

    fn reader(&self) -> Git {
        let git_dir = self.root().join(".git");
        Git::new(&git_dir, &git_dir, &self.root(), Deadline::after(Duration::from_secs(60)), clock::now())
    }

    fn subject(&self) -> Subject<'static> {
        let nested = if self.nested { vec![Path::new("trees/nested")] } else { Vec::new() };
        Subject { base: None, nested, compare: true }
    }

    /// What a whole status says, and whether a narrow one would have been enough.
    fn expected(&self) -> (Answer, bool) {
        let (mut git, subject) = (self.reader(), self.subject());
        let config = config::read(&git).expect("the configuration");
        git.blank_filters(config.filters.clone());
        let asked = ask::whole(&git, &subject, &config, None).expect("git's answer");
        let index = Index::read(&git.git_dir).expect("an index");
        let answer = Answer {
            head: asked.porcelain.head.clone(),
            branch: asked.porcelain.branch.clone(),
            upstream: asked.porcelain.upstream.clone(),
            changed: asked.changed + asked.untracked,
            untracked: asked.untracked,
            conflicted: asked.porcelain.conflicted,
            changed_submodules: asked.porcelain.submodules.iter().map(|path| look::escape(path)).collect(),
            newest_edit_ns: content::newest_edit(&git.work_tree, &asked.porcelain.edited),
            content: content::digest(&git, &index, &asked.porcelain.edited).expect("a digest"),
            ..asked.refs
        };
        let narrow = Narrow { git: &git, subject: &subject, config: &config, index: &index, known: None };
        let walk = walk::walk(&git.work_tree, &index, &[], Depth::Files, Horizon::now());
        let basis = narrow.basis().expect("git's answer");
        let asked = basis.and_then(|basis| narrow.ask(basis, &walk).expect("git's answer"));
        (answer, asked.is_some())
    }

    fn look(&self, seen: Option<&Seen>) -> Seen {
        look::look(&mut self.reader(), &self.subject(), seen).expect("a look").0
    }
}

#[test]
fn every_answer_is_that_of_a_whole_status() {
    let steps = std::env::var("LAB_PROBE_STATUS_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    let seed = std::env::var("LAB_PROBE_STATUS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let mut narrow = 0;
    for number in 0..steps.div_ceil(STEPS_EACH) {
        let mut case = Case::new(seed + number as u64);
        let mut seen = case.look(None);
        for _ in 0..STEPS_EACH {
            // Now and then right behind the last change, in the same step of the clock.
            let racy = case.random.u8(..4) == 0;
            if !racy {
                std::thread::sleep(TICK);
            }
            case.step();
            let (expected, is_narrow) = case.expected();
            narrow += usize::from(is_narrow);
            assert_eq!(case.look(None).answer, expected, "first look: {:#?}", case.log);
            seen = case.look(Some(&seen));
            assert_eq!(seen.answer, expected, "second look: {:#?}", case.log);
            if !racy {
                std::thread::sleep(TICK);
                // Two seconds of leaving it alone would have made it so.
                seen = case.look(Some(&seen));
                (seen.settled, seen.deciding_settled, seen.directories_settled) = (true, true, true);
                assert_eq!(case.look(Some(&seen)).answer, expected, "remembered: {:#?}", case.log);
            }
        }
    }
    #[expect(clippy::print_stdout, reason = "what a long run has been through")]
    {
        println!("{steps} steps, {narrow} of them asked of git by some paths only");
    }
    assert!(narrow > steps / 3, "{narrow} of {steps}");
}

#[test]
fn a_path_stands_for_those_below_it() {
    let paths = ["new/deep/x", "new-er", "new", "a/b", "a/b", "a"].map(|path| path.as_bytes().to_vec());
    assert_eq!(roots(paths.into_iter()), [b"a".to_vec(), b"new".to_vec(), b"new-er".to_vec()]);
}
