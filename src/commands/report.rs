//! `lab-probe report --html FILE`: the status page.

use std::path::Path;

use crate::cli::Cli;
use crate::exit::{self, Exit};
use crate::pass::last_known::last_known;
use crate::plan::View;
use crate::show::page::page;
use crate::state::history;
use crate::{clock, fs};

/// Everybody may read it: whoever serves it is another user. It holds what the table holds, no secret.
const MODE: u32 = 0o644;

pub(super) fn run(cli: &Cli, html: &Path) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(cli.config.as_deref())?;
    let now = clock::now();
    let known = last_known(&settings, View::Anywhere);
    let state_dir = &settings.probe.state_dir;
    let records = history::of_two_days(state_dir, now).map_err(|error| super::no_history(state_dir, error))?;
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
