//! Telegram: messages to one chat through the Bot API, split where it asks, as slow as it asks.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::clock::Deadline;
use crate::exit;
use crate::http::{Client, ClientOptions, ErrorKind, Method, Request};
use crate::redact::{Secret, redact};

/// The longest message the Bot API takes, in UTF-16 code units after parsing; counted before parsing here, which is
/// never less.
const MOST_UNITS: usize = 4096;

/// Attempts at one message.
const ATTEMPTS: u32 = 4;

/// One attempt may take this long.
const ONE_ATTEMPT: Duration = Duration::from_secs(20);

/// An answer is a small JSON object.
const MOST_ANSWER_BYTES: u64 = 256 << 10;

/// The longest wait for a "retry after" that is still worth it.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// A chat and the bot that writes to it.
#[derive(Debug, Clone)]
pub struct Chat {
    /// Base of the Bot API.
    pub api_url: Secret,
    /// The bot's token.
    pub token: Secret,
    /// The chat.
    pub chat_id: String,
}

/// Splits a report at its paragraphs, then at its lines, into messages that the Bot API takes.
pub fn split(text: &str) -> Vec<String> {
    let mut messages = vec![String::new()];
    for paragraph in text.split_inclusive("\n\n") {
        if units(paragraph) <= MOST_UNITS {
            add(&mut messages, paragraph);
        } else {
            paragraph.split_inclusive('\n').for_each(|line| add(&mut messages, line));
        }
    }
    messages.retain(|message| !message.trim().is_empty());
    messages
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Adds a piece to the last message or, where it does not fit, to a new one. A single line too long for any message is
/// no report; its end is cut, and with it no tag, for tags stand around short headings only.
fn add(messages: &mut Vec<String>, piece: &str) {
    let piece: String =
        if units(piece) > MOST_UNITS { piece.chars().take(MOST_UNITS / 2).collect() } else { piece.to_owned() };
    match messages.last_mut() {
        Some(last) if units(last) + units(&piece) <= MOST_UNITS => last.push_str(&piece),
        _ => messages.push(piece),
    }
}

/// What is known of a message that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Bot API has taken it.
    Sent,
    /// It was handed over and the answer was lost or says nothing; why. It may be in the chat: never send it again.
    Unknown(String),
}

/// Sends one message in HTML mode. Repeats only what certainly did not arrive.
///
/// # Errors
/// A message that certainly was not taken: what the Bot API said, the token taken out; what to do.
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
    })
    .to_string();
    for attempt in 1.. {
        match attempt_at(chat, &url, &body, deadline)? {
            Attempt::Over(outcome) => return Ok(outcome),
            Attempt::Again(wait, _) if attempt < ATTEMPTS && wait <= MOST_WAIT && wait < deadline.left() => {
                std::thread::sleep(wait);
            }
            Attempt::Again(_, why) => {
                return Err(exit::trouble(why, "run it again later: what has been sent is not sent twice"));
            }
        }
    }
    Ok(Outcome::Sent)
}

enum Attempt {
    Over(Outcome),
    /// It certainly was not taken; worth another attempt after this time.
    Again(Duration, String),
}

fn attempt_at(chat: &Chat, url: &Url, body: &str, deadline: Deadline) -> anyhow::Result<Attempt> {
    let mut secrets = crate::http::secrets_of(url, &[]);
    secrets.push(chat.token.clone());
    let clean = |text: &str| redact(text, &secrets);
    let client = Client::new(url, ClientOptions::default());
    let mut request = Request::new(Method::Post, url).header("content-type", "application/json").body(body.as_bytes());
    // The Bot API does not redirect; whoever does is not it, and would get the token.
    request.follow = false;
    let answer = client.send(&request, deadline.sooner(ONE_ATTEMPT)).and_then(|mut answer| {
        let bytes = answer.body.read_up_to(MOST_ANSWER_BYTES)?;
        Ok((answer.status, bytes))
    });
    let unknown = |why: String| Ok(Attempt::Over(Outcome::Unknown(why)));
    let (status, bytes) = match answer {
        Ok(answer) => answer,
        Err(error) if client.has_sent() => return unknown(clean(&error.detail)),
        Err(error) => return not_sent(error.kind, clean(&error.detail), error.hint),
    };
    let reply: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let said = clean(reply["description"].as_str().unwrap_or("no reason given"));
    match status {
        200 if reply["ok"] == true => Ok(Attempt::Over(Outcome::Sent)),
        // A gateway says so when it has lost the answer of what is behind it.
        200 | 500..=599 if reply["ok"] != false || status >= 500 => {
            unknown(format!("Telegram answered HTTP {status}: {said}"))
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

/// No byte of the request has left. A connection may come about later; a certificate or an address stays as it is.
fn not_sent(kind: ErrorKind, detail: String, hint: Option<&str>) -> anyhow::Result<Attempt> {
    match kind {
        ErrorKind::Connect | ErrorKind::Timeout => Ok(Attempt::Again(Duration::from_secs(2), detail)),
        ErrorKind::Tls | ErrorKind::Request | ErrorKind::TooLarge | ErrorKind::Protocol | ErrorKind::Redirect => {
            Err(exit::trouble(detail, hint.unwrap_or("check [telegram] api_url")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_report_is_split_at_paragraphs_and_nothing_is_lost() {
        let paragraph = format!("{}\n\n", "line with ü and 🦀\n".repeat(60).trim_end());
        let text = paragraph.repeat(10);
        let messages = split(&text);
        assert!(messages.len() > 1 && messages.iter().all(|message| units(message) <= MOST_UNITS));
        assert_eq!(messages.concat(), text);
        let one = split(&"x\n".repeat(5000));
        assert!(one.iter().all(|message| units(message) <= MOST_UNITS));
        assert_eq!(one.concat(), "x\n".repeat(5000));
        assert_eq!(split("short"), ["short"]);
    }
}
