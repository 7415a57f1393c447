//! The clients' files that were looked for.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientFile {
    pub source: &'static str,
    /// Whose list: as in `Origin::scope`.
    pub scope: &'static str,
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    pub present: bool,
    /// Why it, or a part of it, could not be read.
    pub problem: Option<String>,
}

/// A name that is no UTF-8 must not cost the document.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
