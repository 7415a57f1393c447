//! `lab-probe report --html FILE`: the status page.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::cli::Cli;
use crate::clock;
use crate::exit::{self, Exit};
use crate::fs;
use crate::model::history::{Record, day_of};
use crate::pass::last_known::last_known;
use crate::plan::View;
use crate::show::page::page;
use crate::state::history;

/// Everybody may read it: whoever serves it is another user. It holds what the table holds, no secret.
const MODE: u32 = 0o644;

pub(super) fn run(cli: &Cli, html: &Path) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(cli.global.config.as_deref())?;
    let now = clock::now();
    let known = last_known(&settings, View::Anywhere);
    let records = last_day(&settings.probe.state_dir, now)?;
    let host = settings.probe.labels.get("host").cloned();
    let host = host.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let text = page(&host, &known.snapshot, known.ever, &known.warnings, &records, now);
    if html == Path::new("-") {
        return super::print(&text);
    }
    // To rename a file over a device or a link takes it away from everybody (root's `--html /dev/null`, `/dev/stdout`).
    if html.symlink_metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let what = format!("{} is no regular file and stays as it is", html.display());
        let hint = "name a file itself, not a link to it, or `-` to have the page on standard output";
        return Err(exit::trouble(what, hint));
    }
    fs::replace(html, text.as_bytes(), MODE).map_err(|error| exit::refused("cannot write", html, error))?;
    Ok(Exit::Done)
}

fn last_day(state_dir: &Path, now: Timestamp) -> anyhow::Result<Vec<Record>> {
    let yesterday = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let mut records = Vec::new();
    for day in [day_of(yesterday), day_of(now)] {
        records.extend(history::read(state_dir, &day).map_err(|error| super::no_history(state_dir, error))?);
    }
    Ok(records)
}
