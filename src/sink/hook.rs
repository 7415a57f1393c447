//! ntfy, Slack's incoming webhooks and other webhooks: one POST a message, and a status that says what became of it.

use std::time::Duration;

use serde_json::json;

use super::message::{Answer, Attempt, Message, Outcome, send as deliver};
use crate::clock::Deadline;
use crate::exit;
use crate::http;
use crate::redact::{Secret, quoted};

/// The longest message that ntfy takes as text, in bytes; a longer one becomes an attachment (its documentation).
pub const MOST_NTFY_BYTES: usize = 4096;
/// Slack cuts a text off at 40,000 characters (its documentation of messages).
pub const MOST_SLACK_CHARS: usize = 39_000;
/// How much of what a receiver says is shown.
const SHOWN_CHARS: usize = 200;
/// Where a receiver asks for time and does not say how much.
const WAIT: Duration = Duration::from_secs(5);

/// The receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A topic of an ntfy server.
    Ntfy,
    /// Slack, or whatever takes messages as it does.
    Slack,
    /// Anything that takes a JSON document.
    Webhook,
}

impl Kind {
    /// The section of the configuration, which is also the word after `--send`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Ntfy => "ntfy",
            Kind::Slack => "slack",
            Kind::Webhook => "webhook",
        }
    }
}

/// Where to, and with which token.
#[derive(Debug, Clone)]
pub struct Hook {
    /// What it is.
    pub kind: Kind,
    /// Its address; Slack's is a secret as a whole.
    pub url: Secret,
    /// A bearer token.
    pub token: Option<Secret>,
}

/// Sends one message; for a webhook `text` is a JSON document.
///
/// # Errors
/// A message that certainly was not taken: what the receiver said, secrets taken out; what to do.
pub fn send(hook: &Hook, title: &str, text: &str, deadline: Deadline) -> anyhow::Result<Outcome> {
    let section = hook.kind.as_str();
    let url = http::parse_url(&hook.url)
        .map_err(|error| exit::trouble(error.detail, format!("correct the address in [{section}]")))?;
    let json = ("content-type", "application/json".to_owned());
    let (mut headers, body) = match hook.kind {
        Kind::Ntfy => (vec![("title", title.to_owned())], text.to_owned()),
        Kind::Slack => (vec![json], json!({ "text": text }).to_string()),
        Kind::Webhook => (vec![json], text.to_owned()),
    };
    headers.extend(hook.token.iter().map(|token| ("authorization", format!("Bearer {}", token.expose()))));
    let path = url.path().rsplit('/').next().filter(|_| hook.kind == Kind::Slack).map(Secret::new);
    let secrets = hook.token.iter().cloned().chain(path).collect();
    let message = Message { url, headers, body: body.into_bytes(), secrets, section };
    deliver(&message, deadline, |answer| judge(&message, answer))
}

fn judge(message: &Message, answer: &Answer) -> anyhow::Result<Attempt> {
    let (status, section) = (answer.status, message.section);
    let said = quoted(&message.clean(String::from_utf8_lossy(&answer.body).trim()), SHOWN_CHARS);
    match status {
        200..=299 => Ok(Attempt::Over(Outcome::Sent)),
        // A gateway says so when it has lost the answer of what is behind it.
        500..=599 => Ok(Attempt::Over(Outcome::Unknown(format!("{section} answered HTTP {status}: {said}")))),
        429 => {
            let wait = answer.retry_after.map_or(WAIT, Duration::from_secs);
            Ok(Attempt::Again(wait, format!("{section} asks to wait {} s: {said}", wait.as_secs())))
        }
        _ => Err(exit::trouble(
            format!("{section} refused the message (HTTP {status}: {said})"),
            format!("check the address and the token in [{section}]"),
        )),
    }
}
