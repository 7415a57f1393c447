//! What does not answer, as the state keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub type Hung = BTreeMap<PathBuf, Waiting>;

/// Who waits for a place, and how it is found out whether it answers again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// The thread or process that still waits in the kernel: its number and its start in clock ticks since boot.
    pub waiter: Option<(i32, u64)>,
    /// Files there whose `stat` tells it.
    pub files: Vec<PathBuf>,
}
