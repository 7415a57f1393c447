//! One server's entry in a client's config, as written: read, but nothing expanded and nothing decided.
//!
//! Arguments, variables, URLs and headers may hold tokens even as written, so they are secrets from here on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::mcp::HttpTransport;
use crate::model::reason::Reason;
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    Stdio(Stdio),
    Http(Http),
    Broken { reason: Reason, detail: String },
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
        let (off, limit, helper) = (None, None, None);
        Entry { name: name.to_owned(), how, off, is_refused: false, limit, helper, notes: Vec::new() }
    }
}
