//! What need not be read of large files that have not changed (see `plan::mcp`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The stretches of one file that are of no use. Places only: what stands there, or anywhere else in it, may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// What the file system said of the file as it was then.
    pub stamp: String,
    /// Offset and length of each stretch in bytes, in order.
    pub skips: Vec<(u64, u64)>,
}

/// By the file's path, symbolic links resolved.
pub type Excerpts = BTreeMap<String, Excerpt>;
