//! A message to a receiver of the daily report: handed over once, and again only where it certainly did not arrive.

use std::time::Duration;

use url::Url;

use crate::clock::Deadline;
use crate::exit;
use crate::http::{self, Client, ClientOptions, ErrorKind, Method, Request};
use crate::redact::{Secret, redact};

/// Attempts at one message.
const ATTEMPTS: u32 = 4;

/// One attempt may take this long.
const ONE_ATTEMPT: Duration = Duration::from_secs(20);

/// An answer is short.
const MOST_ANSWER_BYTES: u64 = 256 << 10;

/// The longest wait for a "retry after" that is still worth it.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// What is known of a message that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has taken it.
    Sent,
    /// It was handed over and the answer was lost or says nothing; why. It may have arrived: never send it again.
    Unknown(String),
}

/// What came of one attempt.
pub(super) enum Attempt {
    Over(Outcome),
    /// It certainly was not taken; worth another attempt after this time.
    Again(Duration, String),
}

/// A message ready to be sent.
pub(super) struct Message {
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// What must not be shown, even if the receiver quotes it.
    pub(super) secrets: Vec<Secret>,
    /// The section of the configuration that has the address.
    pub(super) section: &'static str,
}

/// An answer: status, `Retry-After` in seconds, and what it says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Sends a message. Repeats only what certainly did not arrive.
///
/// # Errors
/// A message that certainly was not taken: what the receiver said, secrets taken out; what to do.
pub(super) fn send(
    message: &Message,
    deadline: Deadline,
    judge: impl Fn(&Answer) -> anyhow::Result<Attempt>,
) -> anyhow::Result<Outcome> {
    for attempt in 1.. {
        match attempt_at(message, deadline, &judge)? {
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

fn attempt_at(
    message: &Message,
    deadline: Deadline,
    judge: impl Fn(&Answer) -> anyhow::Result<Attempt>,
) -> anyhow::Result<Attempt> {
    let client = Client::new(&message.url, ClientOptions::default());
    let mut request = Request::new(Method::POST, &message.url).body(&message.body);
    request.headers.clone_from(&message.headers);
    // None of the receivers redirects; whoever does is not it, and would get the secret in the address.
    request.follow = false;
    let answer = client.send(&request, deadline.sooner(ONE_ATTEMPT)).and_then(|mut answer| {
        let retry_after = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let body = answer.body.read_up_to(MOST_ANSWER_BYTES)?;
        Ok(Answer { status: answer.status, retry_after, body })
    });
    match answer {
        Ok(answer) => judge(&answer),
        Err(error) if client.has_sent() => Ok(Attempt::Over(Outcome::Unknown(message.clean(&error.detail)))),
        Err(error) => not_sent(error.kind, message, message.clean(&error.detail), error.hint),
    }
}

impl Message {
    /// Foreign text without the secrets of this message.
    pub(super) fn clean(&self, text: &str) -> String {
        redact(text, &[http::secrets_of(&self.url, &[]), self.secrets.clone()].concat())
    }
}

/// No byte of the request has left. A connection may come about later; a certificate or an address stays as it is.
fn not_sent(kind: ErrorKind, message: &Message, detail: String, hint: Option<&str>) -> anyhow::Result<Attempt> {
    match kind {
        ErrorKind::Connect | ErrorKind::Shortage | ErrorKind::Timeout => {
            Ok(Attempt::Again(Duration::from_secs(2), detail))
        }
        ErrorKind::Tls | ErrorKind::Request | ErrorKind::TooLarge | ErrorKind::Protocol | ErrorKind::Redirect => {
            let check = format!("check the address in [{}]", message.section);
            Err(exit::trouble(detail, hint.map_or(check, str::to_owned)))
        }
    }
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
