//! Telegram: messages to one chat through the Bot API, as slow as it asks.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::message::{Answer, Attempt, Message, Outcome, send as deliver};
use crate::clock::Deadline;
use crate::exit;
use crate::redact::Secret;

/// The longest message the Bot API takes, in UTF-16 code units after parsing; counted before parsing here, which is
/// never less.
pub const MOST_UNITS: usize = 4096;

#[derive(Debug, Clone)]
pub struct Chat {
    pub api_url: Secret,
    pub token: Secret,
    pub chat_id: String,
}

/// The length of a message as the Bot API counts it.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Sends one message in HTML mode.
/// Errors: A message that certainly was not taken: what the Bot API said, the token taken out; what to do.
pub fn send(chat: &Chat, html: &str, deadline: Deadline) -> anyhow::Result<Outcome> {
    let address = format!("{}/bot{}/sendMessage", chat.api_url.expose().trim_end_matches('/'), chat.token.expose());
    let Ok(url) = Url::parse(&address) else {
        return Err(exit::trouble("the address of the Bot API cannot be used", "correct [telegram] api_url"));
    };
    let body = json!({
        "chat_id": chat.chat_id,
        "text": html,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
    });
    let message = Message {
        url,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.to_string().into_bytes(),
        secrets: vec![chat.token.clone()],
        section: "telegram",
    };
    deliver(&message, deadline, |answer| judge(&message, answer))
}

fn judge(message: &Message, answer: &Answer) -> anyhow::Result<Attempt> {
    let status = answer.status;
    let reply: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let said = message.clean(reply["description"].as_str().unwrap_or("no reason given"));
    match status {
        200 if reply["ok"] == true => Ok(Attempt::Over(Outcome::Sent)),
        // A gateway says so when it has lost the answer of what is behind it.
        200 | 500..=599 if reply["ok"] != false || status >= 500 => {
            Ok(Attempt::Over(Outcome::Unknown(format!("Telegram answered HTTP {status}: {said}"))))
        }
        429 => {
            let wait = reply["parameters"]["retry_after"].as_u64().unwrap_or(5);
            Ok(Attempt::Again(Duration::from_secs(wait), format!("Telegram asks to wait {wait} s: {said}")))
        }
        401 | 404 => Err(exit::trouble(
            format!("Telegram does not know this bot (HTTP {status}: {said})"),
            "check the token in [telegram] token_file or the credential telegram-token",
        )),
        _ => Err(exit::trouble(
            format!("Telegram refused the message (HTTP {status}: {said})"),
            "check [telegram] chat_id, and that the bot may write there",
        )),
    }
}
