//! What was sent of each day's report, so that nothing is sent twice: `history/sent.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::history::directory;
use crate::fs;

/// Days remembered; far more than reports can be asked for.
const DAYS: usize = 400;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sent {
    /// Messages handed over, from the first on.
    pub messages: u32,
    /// Messages among them, from 1, of which it is not known whether they arrived.
    pub unknown: Vec<u32>,
    pub whole: bool,
}

fn path(state_dir: &Path) -> PathBuf {
    directory(state_dir).join("sent.json")
}

fn load(state_dir: &Path) -> io::Result<BTreeMap<String, Sent>> {
    let bytes = fs::if_there(fs::read_capped(&path(state_dir), 1 << 20))?;
    // A damaged file cannot tell what was sent: better a report twice than never again one.
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

pub fn of(state_dir: &Path, day: &str) -> io::Result<Sent> {
    Ok(load(state_dir)?.remove(day).unwrap_or_default())
}

pub fn remember(state_dir: &Path, day: &str, sent: &Sent) -> anyhow::Result<()> {
    let mut days = load(state_dir)?;
    days.insert(day.to_owned(), sent.clone());
    while days.len() > DAYS {
        days.pop_first();
    }
    fs::replace(&path(state_dir), &serde_json::to_vec(&days)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_back() {
        let state = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory(state.path())).expect("a directory");
        let sent = Sent { messages: 3, unknown: vec![2], whole: true };
        remember(state.path(), "2026-11-26", &sent).expect("remembered");
        let of = |day| of(state.path(), day).expect("read");
        assert_eq!(of("2026-11-26"), sent);
        assert_eq!(of("2026-11-27"), Sent::default());
    }
}
