//! What earlier passes left.

use std::path::Path;

use jiff::Timestamp;

use crate::exit;
use crate::fs::access;
use crate::proc::hung;
use crate::state::store::{self, Loaded};

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
