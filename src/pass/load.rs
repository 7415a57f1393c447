//! What earlier passes left.

use std::path::Path;

use crate::exit;
use crate::fs::access;
use crate::state::store;

pub(super) fn unreadable(state_dir: &Path, said: String) -> anyhow::Error {
    let file = access::quoted(&store::path(state_dir));
    exit::trouble(said, format!("let this user read it (ls -l {file}), or move it away to begin anew"))
}
