//! A message to a receiver of the daily report: one POST, and again only where it certainly did not arrive.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::read_secret;
use super::retry::{self, Failure};
use crate::clock::Deadline;
use crate::config::settings::Settings;
use crate::exit;
use crate::http::{self, Client, ErrorKind, Method, Request};
use crate::model::delivery::Receiver;
use crate::redact::{Secret, quoted, redact};

const RETRIES: u32 = 3;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

const MOST_ANSWER_BYTES: u64 = 256 << 10;

/// How much of what a receiver says is shown.
const SHOWN_CHARS: usize = 200;

/// Where a receiver asks for time and does not say how much.
const WAIT: Duration = Duration::from_secs(5);

/// Where there was no connection.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(2);

/// The longest wait for a "retry after" that is still worth it.
const MOST_WAIT: Duration = Duration::from_secs(60);

const LATER: &str = "run it again later: what has been sent is not sent twice";

/// What is known of a message that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// It was handed over and the answer was lost or says nothing; why. It may have arrived: never send it again.
    Unknown(String),
}

/// A receiver with its address and credentials.
#[derive(Debug)]
pub struct Destination {
    receiver: Receiver,
    url: Url,
    token: Option<Secret>,
    /// Telegram's; empty for the others.
    chat_id: String,
}

impl Destination {
    /// Address and credentials from the configuration or from systemd credentials.
    pub fn of(settings: &Settings, receiver: Receiver) -> anyhow::Result<Destination> {
        let name = receiver.as_str();
        let missing = |what: &str, key: &str, credential: &str| {
            exit::usage(
                format!("no {what} to send the report with"),
                format!("set [{name}] {key}, or give the unit the credential {name}-{credential} (LoadCredential=)"),
            )
        };
        let (telegram, hook) = (&settings.telegram, settings.receivers.get(name).cloned().unwrap_or_default());
        let is_telegram = receiver == Receiver::Telegram;
        let token_file = if is_telegram { &telegram.token_file } else { &hook.token_file };
        let token = configured(None, token_file.as_deref(), &format!("{name}-token"))?;
        let (url, chat_id) = if is_telegram {
            let token = token.as_ref().ok_or_else(|| missing("bot token", "token_file", "token"))?;
            let chat_id = configured(telegram.chat_id.as_ref().map(Secret::new), None, "telegram-chat-id")?;
            let chat_id = chat_id.ok_or_else(|| missing("chat", "chat_id", "chat-id"))?.expose().to_owned();
            let api_url = telegram.api_url.expose().trim_end_matches('/');
            (Secret::new(format!("{api_url}/bot{}/sendMessage", token.expose())), chat_id)
        } else {
            let url = configured(hook.url, hook.url_file.as_deref(), &format!("{name}-url"))?;
            (url.ok_or_else(|| missing("address", "url", "url"))?, String::new())
        };
        let url = http::parse_url(&url)
            .map_err(|error| exit::trouble(error.detail, format!("correct the address in [{name}]")))?;
        Ok(Destination { receiver, url, token, chat_id })
    }

    /// Sends one message; for a webhook `text` is a JSON document. Repeats only what certainly did not arrive.
    /// Errors: A message that certainly was not taken: what the receiver said, secrets taken out; what to do.
    pub fn send(&self, title: &str, text: &str, deadline: Deadline) -> anyhow::Result<Outcome> {
        let body = match self.receiver {
            Receiver::Telegram => json!({
                "chat_id": self.chat_id,
                "text": text,
                "parse_mode": "HTML",
                "link_preview_options": { "is_disabled": true },
            })
            .to_string(),
            Receiver::Slack => json!({ "text": text }).to_string(),
            Receiver::Ntfy | Receiver::Webhook => text.to_owned(),
        };
        let mut request = Request::new(Method::POST, &self.url).body(body.as_bytes());
        request = match self.receiver {
            Receiver::Ntfy => request.header("title", title),
            _ => request.header("content-type", "application/json"),
        };
        if let Some(token) = self.token.as_ref().filter(|_| self.receiver != Receiver::Telegram) {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        // None of the receivers redirects; whoever does is not it, and would get the secret in the address.
        request.follow = false;
        retry::until_done(RETRIES, deadline, || self.attempt(&request, deadline))
    }

    /// Errors: A message that certainly was not taken.
    fn attempt(&self, request: &Request<'_>, deadline: Deadline) -> Result<Outcome, Failure> {
        let client = Client::new(&self.url);
        let answer = client.send(request, deadline.sooner(ATTEMPT_TIMEOUT)).and_then(|mut answer| {
            let body = answer.body.read_up_to(MOST_ANSWER_BYTES)?;
            Ok((answer.status, retry::asked_to_wait(&answer), body))
        });
        let error = match answer {
            Ok((status, asked_to_wait, body)) => return self.judge(status, asked_to_wait, &body),
            Err(error) if client.has_sent() => return Ok(Outcome::Unknown(self.clean(&error.detail))),
            Err(error) => error,
        };
        // No byte of the request has left. A connection may come about later; a certificate or an address stays.
        let again = matches!(error.kind, ErrorKind::Connect | ErrorKind::Shortage | ErrorKind::Timeout);
        let check = || format!("check the address in [{}]", self.receiver.as_str());
        let hint = if again { LATER.to_owned() } else { error.hint.map_or_else(check, str::to_owned) };
        Err(Failure { what: self.clean(&error.detail), hint, again: again.then_some(WAIT_FOR_CONNECTION) })
    }

    fn judge(&self, status: u16, asked_to_wait: Option<Duration>, body: &[u8]) -> Result<Outcome, Failure> {
        let is_telegram = self.receiver == Receiver::Telegram;
        let name = self.receiver.name();
        let reply: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = String::from_utf8_lossy(body);
        let said = match is_telegram {
            true => self.clean(reply["description"].as_str().unwrap_or("no reason given")),
            false => quoted(&self.clean(said.trim()), SHOWN_CHARS),
        };
        // The Bot API says it in its answer, too.
        let taken = if is_telegram { reply["ok"].as_bool() } else { Some(true) };
        let (what, hint) = match (status, taken) {
            (200..=299, Some(true)) => return Ok(Outcome::Sent),
            // A gateway says 5xx when it has lost the answer of what is behind it.
            (200..=299, None) | (500..=599, _) => {
                return Ok(Outcome::Unknown(format!("{name} answered HTTP {status}: {said}")));
            }
            (429, _) => {
                let wait = reply["parameters"]["retry_after"].as_u64().map(Duration::from_secs);
                let wait = wait.or(asked_to_wait).unwrap_or(WAIT);
                let what = format!("{name} asks to wait {} s: {said}", wait.as_secs());
                return Err(Failure { what, hint: LATER.into(), again: Some(wait).filter(|wait| *wait <= MOST_WAIT) });
            }
            (401 | 404, _) if is_telegram => (
                format!("Telegram does not know this bot (HTTP {status}: {said})"),
                "check the token in [telegram] token_file or the credential telegram-token".to_owned(),
            ),
            _ if is_telegram => (
                format!("{name} refused the message (HTTP {status}: {said})"),
                "check [telegram] chat_id, and that the bot may write there".to_owned(),
            ),
            _ => (
                format!("{name} refused the message (HTTP {status}: {said})"),
                format!("check the address and the token in [{}]", self.receiver.as_str()),
            ),
        };
        Err(Failure { what, hint, again: None })
    }

    /// Foreign text without the secrets of this receiver. Slack's address is one by its last part.
    fn clean(&self, text: &str) -> String {
        let mut secrets = http::secrets_of(&self.url, &[]);
        secrets.extend(self.token.clone());
        secrets
            .extend(self.url.path().rsplit('/').next().filter(|_| self.receiver == Receiver::Slack).map(Secret::new));
        redact(text, &secrets)
    }
}

/// A setting, the one line of a file, or a credential of the unit (systemd.exec(5), LoadCredential=).
fn configured(setting: Option<Secret>, file: Option<&Path>, credential: &str) -> anyhow::Result<Option<Secret>> {
    if setting.is_some() {
        return Ok(setting);
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
    let credential = || directory.map(|directory| Path::new(&directory).join(credential)).filter(|file| file.exists());
    let Some(file) = file.map(Path::to_owned).or_else(credential) else { return Ok(None) };
    let secret = Secret::new(read_secret(&file)?.expose().trim());
    if secret.expose().contains(char::is_whitespace) {
        let what = format!("{} does not hold one line of text", file.display());
        return Err(exit::usage(what, "put the token, chat id or address into it, and nothing else"));
    }
    Ok(Some(secret))
}

/// Splits a report at its paragraphs, then at its lines, into messages of a length, in what `length` counts.
pub fn split(text: &str, most: usize, length: fn(&str) -> usize) -> Vec<String> {
    let mut messages = vec![String::new()];
    for paragraph in text.split_inclusive("\n\n") {
        if length(paragraph) <= most {
            add(&mut messages, paragraph, most, length);
        } else {
            paragraph.split_inclusive('\n').for_each(|line| add(&mut messages, line, most, length));
        }
    }
    messages.retain(|message| !message.trim().is_empty());
    messages
}

/// Adds a piece to the last message or, where it does not fit, to a new one. A single line too long for any message is
/// no report; its end is cut, and with it no tag, for tags stand around short headings only.
fn add(messages: &mut Vec<String>, piece: &str, most: usize, length: fn(&str) -> usize) {
    let piece: String = if length(piece) > most { piece.chars().take(most / 4).collect() } else { piece.to_owned() };
    match messages.last_mut() {
        Some(last) if length(last) + length(&piece) <= most => last.push_str(&piece),
        _ => messages.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4096;

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    #[test]
    fn a_long_report_is_split_at_paragraphs_and_nothing_is_lost() {
        let paragraph = format!("{}\n\n", "line with ü and 🦀\n".repeat(60).trim_end());
        let text = paragraph.repeat(10);
        let messages = split(&text, MOST, units);
        assert!(messages.len() > 1 && messages.iter().all(|message| units(message) <= MOST));
        assert_eq!(messages.concat(), text);
        let one = split(&"x\n".repeat(5000), MOST, units);
        assert!(one.iter().all(|message| units(message) <= MOST));
        assert_eq!(one.concat(), "x\n".repeat(5000));
        assert_eq!(split("short", MOST, units), ["short"]);
    }
}
