//! What earlier passes left.

use std::path::Path;

use crate::exit::Failed;
use crate::fs::access;
use crate::state::store;

pub(super) fn unreadable(state_dir: &Path, said: String) -> Failed {
    let file = access::quoted(&store::path(state_dir));
    Failed::trouble(said, format!("let this user read it (ls -l {file}), or move it away to begin anew"))
}
