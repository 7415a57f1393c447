//! A service in words.

use crate::model::reason::Reason;
use crate::model::service::ServiceFacts;

impl ServiceFacts {
    pub fn summary(&self) -> String {
        match &self.failure {
            Some(failure) => failure.to_string(),
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
