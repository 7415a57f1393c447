//! What a pass begins with: the configuration, and what earlier passes left.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Deadline;
use crate::config;
use crate::config::settings::Settings;
use crate::exit;
use crate::fs::access;
use crate::proc::hung;
use crate::state::store::{self, Loaded};

/// Reads the configuration within this time: it or the state directory may lie on a file system that hangs.
pub fn settings(named: Option<&Path>, limit: Duration) -> anyhow::Result<Settings> {
    let named = named.map(Path::to_owned);
    match hung::within(&[], Deadline::after(limit), move || config::load(named.as_deref())) {
        Ok(loaded) => Ok(loaded?),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(exit::trouble(
            "the configuration, or a directory that it names, does not answer, as where a file system hangs",
            "findmnt shows what is mounted; ls each directory that the file names",
        )),
        Err(error) if error.kind() == io::ErrorKind::Other => Err(exit::bug(error)),
        Err(error) => Err(exit::no_tasks("start the thread that reads the configuration", error)),
    }
}

/// Loads the state; `trouble` becomes why it cannot be read, if so.
pub(super) fn load(state_dir: &Path, now: Timestamp, trouble: &mut Option<anyhow::Error>) -> Loaded {
    let mut loaded = store::load(state_dir, now);
    hung::restore(std::mem::take(&mut loaded.state.hung));
    if loaded.unreadable {
        // Said once, as what makes the pass fail.
        let said = loaded.warnings.pop().unwrap_or_default();
        let file = access::quoted(&store::path(state_dir));
        let next = format!("let this user read it (ls -l {file}), or move it away to begin anew");
        trouble.get_or_insert_with(|| exit::trouble(said, next));
    }
    loaded
}
