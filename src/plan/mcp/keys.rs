//! Under which keys a client writes what it needs to know of a server.

use serde::Deserialize;

use crate::model::mcp::HttpTransport;

/// The keys of a client's list. Where several are given the first that is there counts; a key with dots in it also
/// stands for tables in tables. What a client's row leaves out is as in the row `usual`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Keys {
    /// The list: a table of servers by name, or a list of servers with a `name`.
    pub(super) container: Vec<String>,
    pub(super) command: Vec<String>,
    /// Whether the program's string may hold arguments, separated as in a shell.
    pub(super) splits_command: bool,
    pub(super) env: Vec<String>,
    /// Whether a variable of `env` that is null or empty comes from the client's environment.
    pub(super) empty_env_is_inherited: bool,
    /// Variables whose values come from the client's environment, where set.
    pub(super) env_names: Option<String>,
    /// The same, but the server cannot do without them.
    pub(super) env_required: Option<String>,
    pub(super) cwd: Vec<String>,
    /// The URL, in the order in which they win, each with the transport it stands for.
    pub(super) url: Vec<(String, HttpTransport)>,
    pub(super) headers: Vec<String>,
    /// Headers whose values are in environment variables.
    pub(super) env_headers: Option<String>,
    pub(super) bearer_variable: Vec<String>,
    /// Keys that make the client refuse an entry: if it has the first (`""`: in any case), it must have none of these.
    pub(super) conflicts: Vec<(String, Vec<String>)>,
    /// Whether the client then reads nothing of the whole file.
    pub(super) refuses_file: bool,
    pub(super) untyped: Untyped,
    pub(super) preference: Preference,
    /// What a plain URL without a `type` stands for.
    pub(super) remote: HttpTransport,
    /// What `type = "http"` stands for: some clients fall back to SSE even then.
    pub(super) http: HttpTransport,
    pub(super) limit: Vec<(String, Unit)>,
    /// Whether the servers may stand at the top of the file, with no table around them.
    pub(super) flat: bool,
}

/// Which key decides when an entry has both a program and a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Preference {
    /// `type`; without it the program.
    #[default]
    Type,
    /// The program, whatever `type` says.
    Command,
    /// The URL, whatever `type` says.
    Url,
}

/// What a client makes of a URL without a `type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Untyped {
    #[default]
    Server,
    /// Nothing, without a word.
    Dropped,
    /// The same, but others that read the file take it for a server.
    Noted,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// With or without a fraction.
    Seconds,
    Milliseconds,
}
