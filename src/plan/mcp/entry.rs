//! One server's entry in a client's config, as written: read, but nothing expanded and nothing decided.
//!
//! Arguments, variables, URLs and headers may hold tokens even as written, so they are secrets from here on.

use std::path::PathBuf;
use std::time::Duration;

use super::clients::Scope;
use crate::model::mcp::Reach;
use crate::model::reason::Failure;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The program or URL, or what is wrong with the entry.
    pub(super) written: Reach,
    /// Variables passed on to the program from the client's environment where they are set.
    pub(super) inherit: Vec<String>,
    /// Variables passed on that the program cannot do without.
    pub(super) require: Vec<String>,
    /// A file of further variables for the program, weaker than those written.
    pub(super) env_file: Option<String>,
    /// Headers whose values are in environment variables: header, text in front of the value, variable.
    pub(super) env_headers: Vec<(String, String, String)>,
    /// Set when the config switches it off: by what.
    pub(super) off: Option<String>,
    /// Set when the client refuses the entry as it is written.
    pub(super) is_refused: bool,
    pub(super) limit: Option<Duration>,
    pub(super) helper: Option<String>,
    /// Things `list` should say about this entry.
    pub(super) notes: Vec<String>,
    /// The files below its own that were merged into it.
    pub(super) below: Vec<(Scope, PathBuf)>,
    /// Whether it only completes or changes what these define.
    pub(super) is_part: bool,
    /// Why one of these may not have its servers started, if so.
    pub(super) refusal: Option<Failure>,
}
