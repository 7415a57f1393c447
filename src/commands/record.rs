//! `record`: run a test command as if it had been run directly, and remember its verdict for the worktree.
//!
//! Nothing that goes wrong on our side (a broken configuration, a state directory that cannot be written, no git
//! repository) keeps the command from running or changes its exit code: it is only said.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::check::worktree::record::{self, Verdict};
use crate::check::worktree::{self, Contents, Reports};
use crate::cli::Cli;
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::log;
use crate::model::worktree::WorktreeTarget;
use crate::plan::worktrees;
use crate::proc::{self, PassedThrough};

/// Looking at the worktree before the command starts may take this long; then it starts without.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Shells' own code for a command that is there but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// Shells' own code for a command that is not there.
const NOT_FOUND: u8 = 127;

/// Errors: Never; a command that cannot be started is said and gives a shell's exit code.
pub(super) fn run(cli: &Cli, directory: Option<&Path>, command: &[OsString]) -> anyhow::Result<Exit> {
    let place = directory.unwrap_or(Path::new("."));
    let settings = super::load_settings_aloud(cli.config.as_deref()).inspect_err(|error| {
        super::failed(error);
        log::warn("the configuration cannot be used: the command runs, but its verdict is not recorded");
    });
    let finish = settings.ok().and_then(|settings| {
        let begun = begin(&settings, place);
        begun.inspect_err(|error| log::warn(format!("not recorded: {}", exit::sentence(error)))).ok()
    });
    let timer = clock::instant();
    let ended = match proc::pass_through(command, directory) {
        Ok(ended) => ended,
        Err(error) => return Ok(Exit::Child(not_started(command, place, &error))),
    };
    if let Some(finish) = finish {
        finish(ended, timer.elapsed());
    }
    Ok(Exit::Child(code_of(ended.exit)))
}

/// Says why a command could not be started; the code a shell would give.
fn not_started(command: &[OsString], directory: &Path, error: &io::Error) -> u8 {
    let name = command.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let what = format!("cannot start {name:?}: {error}");
    let (code, what, hint) = match error.kind() {
        _ if !directory.is_dir() => {
            let what = format!("cannot run anything in {}: {error}", directory.display());
            (NOT_FOUND, what, "name a directory with -C")
        }
        io::ErrorKind::NotFound => (NOT_FOUND, what, "install it, or correct its name or PATH"),
        _ => (NOT_EXECUTABLE, what, "see whether it may be executed (ls -l, chmod +x)"),
    };
    super::failed(&exit::trouble(what, hint));
    code
}

/// Looks at the worktree before the command runs; what is returned keeps the verdict, unless the run was broken off: that
/// is no judgement of the tests.
fn begin(settings: &Settings, directory: &Path) -> anyhow::Result<impl FnOnce(PassedThrough, Duration) + use<>> {
    let mut worktree = worktrees::containing(directory)
        .map_err(|reason| exit::trouble(reason, "run it in a git worktree, or name one with -C DIR"))?;
    worktree.test_reports.clone_from(&settings.worktree.test_reports);
    let records = settings.probe.records_dir();
    let run = record::begin(&records, &worktree.path)
        .map_err(|error| exit::refused("cannot write below", &records, error))?;
    let before = contents(&worktree);
    let reports_before = Reports::of(&worktree, Deadline::after(LOOK_LIMIT));
    let started_at = clock::now();
    Ok(move |ended: PassedThrough, duration| {
        if ended.interrupted {
            return log::debug("interrupted: no verdict is recorded");
        }
        let ended_at = clock::now();
        let after = contents(&worktree);
        let reports = Reports::of(&worktree, Deadline::after(LOOK_LIMIT));
        let verdict = Verdict {
            passed: ended.exit == proc::Exit::Code(0),
            started_at,
            ended_at,
            duration,
            counts: reports.tests_since(&reports_before),
            commit: after.as_ref().and_then(|after| after.commit.clone()),
            content_before: before.and_then(|before| before.digest),
            content_after: after.and_then(|after| after.digest),
        };
        if verdict.content_before != verdict.content_after {
            log::debug("tracked files changed while the command ran: its verdict will not count");
        }
        let directory = run.directory.clone();
        if let Err(error) = run.finish(&verdict) {
            log::warn(exit::sentence(&exit::refused("the verdict could not be kept in", &directory, error)));
        }
    })
}

fn contents(worktree: &WorktreeTarget) -> Option<Contents> {
    let contents = worktree::contents(worktree, Deadline::after(LOOK_LIMIT));
    let warn = |reason: &_| {
        let effect = "the verdict will not count; see what `git status` says";
        log::warn(format!("cannot tell what is tested: {reason:#}; {effect}"));
    };
    contents.inspect_err(warn).ok()
}

/// The code a shell would show: the program's own, or 128 and the signal that ended it.
fn code_of(exit: proc::Exit) -> u8 {
    let code = match exit {
        proc::Exit::Code(code) => code & 0xff,
        proc::Exit::Signal(signal) => 128 + signal,
        proc::Exit::Lost => return u8::MAX,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
