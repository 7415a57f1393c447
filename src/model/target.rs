//! A thing to check: what it is, how to check it, how often, and where it was found.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mcp::{HealthScript, McpTarget, Reach, StdioServer};
use super::service::ServiceProbe;
use super::thunes::ThunesTarget;
use super::worktree::WorktreeTarget;

words! {
    /// The four kinds of target; `--only` and the `kind` label speak of these.
    #[derive(clap::ValueEnum)]
    Kind {
        Mcp = "mcp",
        Worktree = "worktree",
        Thunes = "thunes",
        Service = "service",
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a target is looked at, and how long one look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// A good answer is reused this long; zero means never.
    pub ttl: Duration,
    pub retry_after: Duration,
    /// One check may take this long, the pass's deadline permitting.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who says so: `lab-probe` for the config itself, else the client's name (`claude-code`, `cursor`, …).
    pub source: String,
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

impl Origin {
    /// A place that lab-probe itself reads.
    pub fn own(path: PathBuf, scope: &str) -> Self {
        Origin { source: "lab-probe".to_owned(), path, scope: scope.to_owned(), name: None, note: None }
    }
}

#[derive(Debug, Clone)]
pub enum Probe {
    Mcp(McpTarget),
    Worktree(WorktreeTarget),
    Thunes(ThunesTarget),
    Service(ServiceProbe),
}

#[derive(Debug, Clone)]
pub struct Target {
    /// The name, unique within the kind.
    pub name: String,
    pub probe: Probe,
    pub schedule: Schedule,
    /// A digest of everything in its configuration that decides the outcome (never the secrets themselves in clear):
    /// when it changes, the target is due at once and nothing remembered of the old one is used.
    pub fingerprint: String,
    /// Where it was found, the winning place first.
    pub origins: Vec<Origin>,
    /// Whether it is found only from the current directory: then it is shown, and neither delivered nor remembered.
    pub only_here: bool,
}

impl Probe {
    pub fn kind(&self) -> Kind {
        match self {
            Probe::Mcp(_) => Kind::Mcp,
            Probe::Worktree(_) => Kind::Worktree,
            Probe::Thunes(_) => Kind::Thunes,
            Probe::Service(_) => Kind::Service,
        }
    }

    /// Whether the check starts a program of the target.
    pub fn starts_program(&self) -> bool {
        matches!(self, Probe::Mcp(McpTarget { reach: Reach::Stdio(_) | Reach::Script(_), .. }))
    }
}

impl Target {
    pub fn kind(&self) -> Kind {
        self.probe.kind()
    }

    /// Files by which it is told whether what it is looked at by answers, the place itself first; none where no file is
    /// asked for.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.probe {
            Probe::Mcp(target) => match &target.reach {
                Reach::Stdio(StdioServer { cwd, .. }) | Reach::Script(HealthScript { cwd, .. }) => {
                    cwd.iter().cloned().collect()
                }
                _ => Vec::new(),
            },
            Probe::Worktree(target) => ["", ".git", ".git/HEAD"].iter().map(|file| target.path.join(file)).collect(),
            Probe::Thunes(target) => {
                let files = target.journals.iter().chain(&target.logs).map(PathBuf::as_path);
                let files = [Path::new(""), &target.positions_db].into_iter().chain(files);
                files.map(|file| target.root.join(file)).collect()
            }
            Probe::Service(_) => Vec::new(),
        }
    }

    /// `kind/name`: what it is called in the state and on the command line.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name)
    }
}
