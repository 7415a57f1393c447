//! Which reports have been sent, so that none is sent twice: `history/sent.json`, the parts of each day.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::history::directory;
use crate::fs;

/// All parts of a report.
pub const ALL: u32 = u32::MAX;

/// Days remembered; far more than reports can be asked for.
const DAYS: usize = 400;

fn path(state_dir: &Path) -> PathBuf {
    directory(state_dir).join("sent.json")
}

fn load(state_dir: &Path) -> io::Result<BTreeMap<String, u32>> {
    match fs::read_capped(&path(state_dir), 1 << 20) {
        // A damaged file cannot tell what was sent: better a report twice than never again one.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// How many parts of a day's report have been sent, or [`ALL`].
///
/// # Errors
/// What the operating system refused.
pub fn parts(state_dir: &Path, day: &str) -> io::Result<u32> {
    Ok(load(state_dir)?.get(day).copied().unwrap_or(0))
}

/// Remembers that so many parts have been sent.
///
/// # Errors
/// What the operating system refused.
pub fn remember(state_dir: &Path, day: &str, parts: u32) -> io::Result<()> {
    let mut sent = load(state_dir)?;
    sent.insert(day.to_owned(), parts);
    while sent.len() > DAYS {
        sent.pop_first();
    }
    fs::replace(&path(state_dir), &serde_json::to_vec(&sent)?, 0o600)
}
