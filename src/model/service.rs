//! Services beside the LAB: how one is looked at and what was found.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::observation::Severity;
use super::reason::{Failure, Reason};
use crate::redact::{self, Secret};

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceProbe {
    /// A TCP address (`host:port`, IPv6 in brackets) that must accept a connection.
    Tcp(String),
    Process(String),
    #[serde(untagged)]
    Http(HttpProbe),
    #[serde(untagged)]
    Unit {
        /// Its full name, suffix included.
        #[serde(rename = "unit")]
        name: String,
        /// Whether it is one of the user's own units rather than the machine's.
        user: bool,
    },
    /// Cannot be looked at: a variable its configuration needs is not set.
    #[serde(untagged)]
    Unreachable(Failure),
}

#[derive(Debug, Clone, PartialEq, Hash, Serialize)]
pub struct HttpProbe {
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
    pub fn failed(failure: Failure) -> Self {
        ServiceFacts { failure: Some(failure), ..ServiceFacts::default() }
    }

    /// `None` if it could not be looked at: a variable of its configuration is not set.
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
}
