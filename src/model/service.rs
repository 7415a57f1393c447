//! Services beside the LAB: how one is looked at and what was found.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::observation::Severity;
use super::reason::{Failure, Reason};
use crate::redact::{self, Secret};

#[derive(Debug, Clone)]
pub struct ServiceTarget {
    pub look: ServiceLook,
    /// For a unit: every unit of the same manager in the plan, itself included, so that one question answers all.
    pub units: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub enum ServiceLook {
    Http(HttpLook),
    /// A TCP address (`host:port`, IPv6 in brackets) that must accept a connection.
    Tcp(String),
    Unit {
        /// Its full name, suffix included.
        name: String,
        /// Whether it is one of the user's own units rather than the machine's.
        user: bool,
    },
    Process(String),
    /// Cannot be looked at: a variable its configuration needs is not set.
    Unreachable(Failure),
}

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
pub struct HttpLook {
    /// May hold userinfo or a key in its query.
    #[serde(serialize_with = "redact::as_url")]
    pub url: Secret,
    #[serde(serialize_with = "redact::as_pairs")]
    pub headers: Vec<(String, Secret)>,
    /// Statuses that count as up; empty means any success (200 to 299).
    pub expect_status: Vec<u16>,
    pub body_contains: Option<String>,
    /// Regular expression the body must match, in the syntax of the `regex` crate.
    pub body_matches: Option<String>,
    /// PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceFacts {
    /// Why it is not up, or could not be looked at; `None` means it is up.
    pub failure: Option<Failure>,
    #[serde(with = "super::seconds::option")]
    pub duration: Option<std::time::Duration>,
    /// When the certificate of an HTTPS service ends, unix seconds.
    pub certificate_end: Option<i64>,
    /// What was seen of a service that is up ("HTTP 200", "active (running)", "2 processes"). One line.
    pub seen: String,
}

impl ServiceFacts {
    pub fn cut_off(sentence: &str) -> Self {
        ServiceFacts::failed(Failure::new(Reason::Timeout, sentence))
    }

    pub fn failed(failure: Failure) -> Self {
        ServiceFacts { failure: Some(failure), ..ServiceFacts::default() }
    }

    pub fn is_good(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether it is up; `None` if it could not be looked at (an unset variable in its configuration).
    pub fn up(&self) -> Option<bool> {
        match &self.failure {
            None => Some(true),
            Some(failure) if failure.reason == Reason::MissingEnv => None,
            Some(_) => Some(false),
        }
    }

    pub fn severity(&self) -> Severity {
        match self.up() {
            Some(true) => Severity::Fine,
            Some(false) => Severity::Trouble,
            None => Severity::Attention,
        }
    }

    pub fn word(&self) -> &'static str {
        match self.up() {
            Some(true) => "up",
            Some(false) => "down",
            None => "unknown",
        }
    }

    pub fn summary(&self) -> String {
        match &self.failure {
            Some(failure) => format!("{}: {}", failure.reason.as_str(), failure.detail),
            None => self.seen.clone(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        let remedy = |reason| explained(reason).map_or(Reason::remedy(reason), |(_, remedy)| remedy).to_owned();
        self.failure.as_ref().map(|failure| failure.hint.clone().unwrap_or_else(|| remedy(failure.reason)))
    }
}

/// What this reason means for a service, and what to do then; `None` for a reason that only an MCP server has.
pub fn explained(reason: Reason) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        Reason::Timeout => {
            (reason.meaning(), "see why it is slow; one that is slow by nature needs a larger `timeout`")
        }
        Reason::HttpStatus => (
            "the answer has another HTTP status than is expected, or is a redirect that is not followed",
            "open the URL by hand; if that answer is right, name its status in `expect_status`",
        ),
        Reason::ProtocolError => (
            "what answered speaks no HTTP, or its page is not as `body_contains` or `body_matches` wants it",
            "correct the port; what is no web server is looked at with `tcp` in place of `url`",
        ),
        Reason::ConnectFailed => (reason.meaning(), "start the service, or correct its host and port"),
        Reason::TooLarge => ("the answer is larger than the limit", "name a smaller page of the service in `url`"),
        Reason::Exited => ("its unit is not active, or no process of it runs", "read its journal, then start it"),
        Reason::NotConfigured => ("systemd knows no such unit", "correct `unit`, or install what brings the unit"),
        Reason::Disabled => ("its unit is masked", "unmask the unit, or take the service out of [[service]]"),
        Reason::CommandNotFound => {
            ("systemctl is not on the PATH", "look at the service with `url`, `tcp` or `process` in place of `unit`")
        }
        Reason::SpawnFailed => {
            ("systemctl could not be started, or the processes could not be listed", reason.remedy())
        }
        Reason::MissingEnv => {
            ("its configuration uses an environment variable that is not set and has no default", reason.remedy())
        }
        Reason::TlsError => (reason.meaning(), reason.remedy()),
        Reason::Untrusted
        | Reason::NeedsInput
        | Reason::AuthRequired
        | Reason::Unauthorized
        | Reason::RpcError
        | Reason::ScriptFailed => return None,
    })
}
