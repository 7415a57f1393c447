//! One server's entry in a client's config, as written: read, but nothing expanded and nothing decided.
//!
//! Arguments, variables, URLs and headers may hold tokens even as written, so they are secrets from here on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::clients::Scope;
use crate::model::mcp::HttpTransport;
use crate::model::reason::Failure;
use crate::redact::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) how: How,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    Stdio(Stdio),
    Http(Http),
    Broken(Failure),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stdio {
    pub(super) command: String,
    pub(super) args: Vec<Secret>,
    pub(super) env: BTreeMap<String, Secret>,
    /// Variables passed on from the client's environment where they are set.
    pub(super) inherit: Vec<String>,
    /// Variables passed on that the server cannot do without.
    pub(super) require: Vec<String>,
    /// A file of further variables, weaker than `env`.
    pub(super) env_file: Option<String>,
    pub(super) cwd: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Http {
    pub(super) url: Secret,
    pub(super) transport: HttpTransport,
    pub(super) headers: Vec<(String, Secret)>,
    /// Headers whose values are in environment variables: header, text in front of the value, variable.
    pub(super) env_headers: Vec<(String, String, String)>,
}

impl Entry {
    pub(super) fn new(name: &str, how: How) -> Self {
        let (off, limit, helper, refusal) = (None, None, None, None);
        let (notes, below) = (Vec::new(), Vec::new());
        let name = name.to_owned();
        Entry { name, how, off, is_refused: false, limit, helper, notes, below, is_part: false, refusal }
    }
}
