//! Under which keys a client writes what it needs to know of a server.

use crate::model::mcp::HttpTransport;

/// The keys of a client's list. Where several are given the first that is there counts; a key with dots in it also
/// stands for tables in tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// The list: a table of servers by name, or a list of servers with a `name`.
    pub(super) container: &'static [&'static str],
    /// The program.
    pub(super) command: &'static [&'static str],
    /// Whether the program's string may hold arguments, separated as in a shell.
    pub(super) splits_command: bool,
    /// Variables for the program.
    pub(super) env: &'static [&'static str],
    /// Variables whose values come from the client's environment, where set.
    pub(super) env_names: Option<&'static str>,
    /// The same, but the server cannot do without them.
    pub(super) env_required: Option<&'static str>,
    /// The working directory.
    pub(super) cwd: &'static [&'static str],
    /// The URL, in the order in which they win, each with the transport it stands for.
    pub(super) url: &'static [(&'static str, HttpTransport)],
    /// Headers.
    pub(super) headers: &'static [&'static str],
    /// Headers whose values are in environment variables.
    pub(super) env_headers: Option<&'static str>,
    /// The environment variable with a bearer token.
    pub(super) bearer_variable: &'static [&'static str],
    /// A program that the client runs for headers.
    pub(super) helper: &'static str,
    /// Keys that make the client refuse an entry: if it has the first (`""`: in any case), it must have none of these.
    pub(super) conflicts: &'static [(&'static str, &'static [&'static str])],
    /// Whether the client then reads nothing of the whole file.
    pub(super) refuses_file: bool,
    /// What the client makes of a URL without a `type`.
    pub(super) untyped: Untyped,
    /// Which key decides when an entry has both a program and a URL.
    pub(super) preference: Preference,
    /// What a plain URL without a `type` stands for.
    pub(super) remote: HttpTransport,
    /// What `type = "http"` stands for: some clients fall back to SSE even then.
    pub(super) http: HttpTransport,
    /// How long the client waits for a server to start.
    pub(super) limit: &'static [(&'static str, Unit)],
    /// Whether the servers may stand at the top of the file, with no table around them.
    pub(super) flat: bool,
}

/// Which key decides when an entry has both a program and a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    /// `type`; without it the program.
    Type,
    /// The program, whatever `type` says.
    Command,
    /// The URL, whatever `type` says.
    Url,
}

/// What a client makes of a URL without a `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untyped {
    /// A server.
    Server,
    /// Nothing, without a word.
    Dropped,
    /// The same, but others that read the file take it for a server.
    Noted,
    /// An error.
    Refused,
}

/// The unit of a duration in a client's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds, with or without a fraction.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// The keys most clients share.
pub(super) const COMMON: Keys = Keys {
    container: &["mcpServers"],
    command: &["command"],
    splits_command: false,
    env: &["env"],
    env_names: None,
    env_required: None,
    cwd: &["cwd"],
    url: &[("url", HttpTransport::Auto), ("serverUrl", HttpTransport::Auto)],
    headers: &["headers"],
    env_headers: None,
    bearer_variable: &[],
    helper: "headersHelper",
    conflicts: &[],
    refuses_file: false,
    untyped: Untyped::Server,
    preference: Preference::Type,
    remote: HttpTransport::Auto,
    http: HttpTransport::Http,
    limit: &[],
    flat: false,
};
