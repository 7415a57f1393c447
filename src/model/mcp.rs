//! MCP servers: how one is reached, what a check of one found, and what to remember of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::observation::Severity;
use super::reason::Failure;
use crate::redact::{self, Secret};

#[derive(Debug, Clone, PartialEq, Hash)]
pub struct McpTarget {
    pub reach: Reach,
    /// Whether `tools/list` belongs to "usable".
    pub list_tools: bool,
}

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
#[serde(untagged)]
pub enum Reach {
    Stdio(StdioServer),
    Http(HttpServer),
    /// Run a health script: exit 0 up, 1 down, 2 not configured.
    Script(HealthScript),
    /// Nothing can be started or sent; the failure says why (not configured, disabled, untrusted, needs input, an unset variable).
    Unreachable(Failure),
}

impl Reach {
    /// How it is reached, in a few words without secrets: the program without its arguments, the URL up to its host.
    pub fn describe(&self) -> Option<String> {
        match self {
            Reach::Stdio(server) => Some(format!("stdio: {}", redact::command(&server.command))),
            Reach::Http(server) => {
                let url = url::Url::parse(server.url.expose()).ok()?;
                Some(format!("http: {}", url.origin().ascii_serialization()))
            }
            Reach::Script(script) => Some(format!("script: {}", redact::command(script.command.first()?.expose()))),
            Reach::Unreachable(_) => None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Hash, Serialize)]
pub struct StdioServer {
    /// Program: a name looked up on PATH, or a path (relative ones are relative to `cwd`).
    #[serde(serialize_with = "redact::as_command")]
    pub command: String,
    #[serde(serialize_with = "redact::as_arguments")]
    pub args: Vec<Secret>,
    /// Variables added to the small default environment.
    pub env: BTreeMap<String, Secret>,
    /// Working directory; the user's home if none is given.
    pub cwd: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpTransport {
    /// Streamable HTTP, falling back to the deprecated HTTP+SSE.
    #[default]
    Auto,
    Http,
    Sse,
}

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
pub struct HttpServer {
    /// The endpoint, `http` or `https`; may hold userinfo or a key in its query: never shown whole.
    #[serde(serialize_with = "redact::as_url")]
    pub url: Secret,
    pub transport: HttpTransport,
    /// Headers to send on every request, names as configured. A header is a credential.
    #[serde(serialize_with = "redact::as_pairs")]
    pub headers: Vec<(String, Secret)>,
    /// A file of PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// What the user does to have the client itself log in, where the client can: a hint, no part of what is sent.
    #[serde(skip)]
    pub login: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
pub struct HealthScript {
    #[serde(rename = "health_command", serialize_with = "redact::as_arguments")]
    pub command: Vec<Secret>,
    /// Variables added to the small default environment.
    pub env: BTreeMap<String, Secret>,
    pub cwd: Option<PathBuf>,
}

words! {
    /// Values of `lab_mcp_server_health`; the number is the place in this list.
    McpVerdict {
        Down = "down",
        Up = "up",
        NotConfigured = "not_configured",
    }
}

words! {
    Transport {
        Stdio = "stdio",
        Http = "http",
        /// HTTP+SSE of 2024-11-05.
        Sse = "sse",
        Script = "script",
    }
}

words! {
    /// The two incompatible eras of the protocol.
    Era {
        /// `initialize`, up to 2025-11-25.
        Legacy = "legacy",
        /// `server/discover`, from 2026-07-28.
        Modern = "modern",
    }
}

/// What one check of a server found. Remembered between passes as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct McpFacts {
    /// Why it is down or not configured; `None` means up.
    pub failure: Option<Failure>,
    pub transport: Option<Transport>,
    pub era: Option<Era>,
    pub protocol_version: Option<String>,
    pub server_name: Option<String>,
    pub server_version: Option<String>,
    /// From the first byte sent (for stdio: from the start of the process) to the answer to the opening.
    #[serde(with = "super::seconds::option")]
    pub handshake: Option<Duration>,
    /// Distinct names of tools over all pages read; `None` if not asked or none declared.
    pub tools: Option<u64>,
    /// Length of the tool list as JSON, over all pages read, in bytes: what it costs of a model's context.
    pub tools_bytes: Option<u64>,
    /// Whether the count stopped at a bound instead of the last page.
    pub tools_truncated: bool,
    /// SHA-256 over the sorted tool definitions, in hex.
    pub tools_digest: Option<String>,
    /// User and system time of the whole process tree.
    #[serde(with = "super::seconds::option")]
    pub cpu: Option<Duration>,
    /// Largest resident set of a process of the tree, in bytes.
    pub max_rss_bytes: Option<u64>,
    pub noise_lines: u64,
    /// Things worth a line in the table that do not decide the verdict ("had to be killed: ignored SIGTERM").
    pub notes: Vec<String>,
}

impl McpFacts {
    /// Up, down or not configured: the failure's reason decides, so that the two can never disagree.
    pub fn verdict(&self) -> McpVerdict {
        match &self.failure {
            None => McpVerdict::Up,
            Some(failure) if failure.reason.is_not_configured() => McpVerdict::NotConfigured,
            Some(_) => McpVerdict::Down,
        }
    }

    pub fn severity(&self) -> Severity {
        match self.verdict() {
            McpVerdict::Down => Severity::Trouble,
            McpVerdict::NotConfigured => Severity::Attention,
            McpVerdict::Up => Severity::Fine,
        }
    }

    pub fn failed(failure: Failure) -> Self {
        McpFacts { failure: Some(failure), ..McpFacts::default() }
    }
}

/// Running processes of a server's own command line, those of the probe left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServerProcesses {
    /// Those with a living client above them.
    pub attached: ProcessTotals,
    pub orphaned: ProcessTotals,
    pub orphans: Vec<i32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProcessTotals {
    pub count: u64,
    /// Resident memory of them and of what they have started, in bytes.
    pub rss_bytes: u64,
}

impl ServerProcesses {
    pub fn add(&mut self, pid: i32, rss_bytes: u64, attached: bool) {
        let totals = if attached { &mut self.attached } else { &mut self.orphaned };
        totals.count += 1;
        totals.rss_bytes += rss_bytes;
        if !attached {
            self.orphans.push(pid);
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct McpMemory {
    /// The era that worked last, tried first next time.
    pub era: Option<Era>,
    /// The HTTP transport that worked last, tried first next time.
    pub transport: Option<Transport>,
    /// Digest of the tool list last seen. By another name than that of 0.1.0, which is another digest.
    #[serde(rename = "tools_sha256")]
    pub tools_digest: Option<String>,
    /// When the tool list last differed from the one before, unix seconds; `None` while it never has.
    pub tools_changed_at: Option<f64>,
    /// Checks so far, by verdict name.
    pub checks: BTreeMap<String, u64>,
}

impl McpMemory {
    pub fn count(&mut self, verdict: McpVerdict) {
        let checks = self.checks.entry(verdict.as_str().to_owned()).or_default();
        *checks = checks.saturating_add(1);
    }
}
