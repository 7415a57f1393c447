//! A thing to check: what it is, how to check it, how often, and where it was found.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mcp::McpTarget;
use super::service::ServiceTarget;
use super::thunes::ThunesTarget;
use super::worktree::WorktreeTarget;

/// The four kinds of target; `--only` and the `kind` label speak of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An MCP server.
    Mcp,
    /// A git worktree.
    Worktree,
    /// One environment of the trading system.
    Thunes,
    /// A service beside the LAB.
    Service,
}

impl Kind {
    /// Every kind, in the order tables show them.
    pub const ALL: &[Kind] = &[Kind::Mcp, Kind::Worktree, Kind::Thunes, Kind::Service];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Mcp => "mcp",
            Kind::Worktree => "worktree",
            Kind::Thunes => "thunes",
            Kind::Service => "service",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a target is called, unique within its kind. Written `kind/name` in the state and on the command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The kind.
    pub kind: Kind,
    /// The label value: server name, worktree name, environment or service name.
    pub name: String,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl TargetId {
    /// Reads `kind/name` back.
    pub fn parse(text: &str) -> Option<TargetId> {
        let (kind, name) = text.split_once('/')?;
        let kind = Kind::ALL.iter().copied().find(|k| k.as_str() == kind)?;
        Some(TargetId { kind, name: name.to_owned() })
    }
}

/// How often a target is looked at, and how long one look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// A good answer is reused this long; zero means never.
    pub ttl: Duration,
    /// A bad answer is reused this long.
    pub retry_after: Duration,
    /// One check may take this long, the pass's deadline permitting.
    pub timeout: Duration,
}

/// One place where a target was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who says so: `lab-probe` for the config itself, else the client's name (`claude-code`, `cursor`, …).
    pub source: String,
    /// The file.
    pub path: PathBuf,
    /// `config`, `project`, `local`, `user`, `managed` or `git`.
    pub scope: String,
    /// Set where the target goes by another name in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Something the reader should know: "variables are not expanded for this client", "a different server of this name".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a target is checked; one variant a kind.
#[derive(Debug, Clone)]
pub enum Probe {
    /// An MCP server.
    Mcp(McpTarget),
    /// A git worktree.
    Worktree(WorktreeTarget),
    /// A trading environment.
    Thunes(ThunesTarget),
    /// A service.
    Service(ServiceTarget),
}

/// A thing to check, planned and validated.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name, unique within the kind.
    pub name: String,
    /// How it is checked.
    pub probe: Probe,
    /// How often.
    pub schedule: Schedule,
    /// A digest of everything in its configuration that decides the outcome (never the secrets themselves in clear):
    /// when it changes, the target is due at once and nothing remembered of the old one is used.
    pub fingerprint: String,
    /// Where it was found, the winning place first.
    pub origins: Vec<Origin>,
    /// Whether it is found only from the current directory: then it is shown, and neither delivered nor remembered.
    pub only_here: bool,
}

impl Target {
    /// The kind, which the probe decides.
    pub fn kind(&self) -> Kind {
        match self.probe {
            Probe::Mcp(_) => Kind::Mcp,
            Probe::Worktree(_) => Kind::Worktree,
            Probe::Thunes(_) => Kind::Thunes,
            Probe::Service(_) => Kind::Service,
        }
    }

    /// Kind and name together.
    pub fn id(&self) -> TargetId {
        TargetId { kind: self.kind(), name: self.name.clone() }
    }
}
