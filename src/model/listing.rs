//! What `lab-probe list` shows: every target known with where it was found, and every file that was looked at.

use std::path::PathBuf;

use jiff::Timestamp;

use super::observation::Facts;
use super::target::Target;

#[derive(Debug, Clone)]
pub struct Listed {
    pub target: Target,
    /// What the last check found, or what is plain without one (switched off, not trusted); `None` before the first.
    pub facts: Option<Facts>,
    pub checked_at: Option<Timestamp>,
    /// When it is due again; `None` means at the next pass.
    pub next_due: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    pub source: &'static str,
    /// Whose list: as in `Origin::scope`.
    pub scope: &'static str,
    pub path: PathBuf,
    pub present: bool,
    /// Why it, or a part of it, could not be read.
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub targets: Vec<Listed>,
    /// How many more there are, of kinds that were not asked for.
    pub others: usize,
    /// The clients' files, in the order of the table of clients.
    pub files: Vec<ClientFile>,
    pub warnings: Vec<String>,
}
