//! `lab-probe summary`: the day in one screen, printed or sent.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::{Cli, SendTo, SummaryArgs, SummaryFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::{Settings, TelegramSettings};
use crate::exit::{self, Exit};
use crate::fs;
use crate::log;
use crate::redact::Secret;
use crate::show::Day;
use crate::show::summary::{Markup, report};
use crate::sink::telegram::{self, Chat, Outcome};
use crate::state::sent::{self, Sent};
use crate::state::{history, lock};

/// A report is sent within this, waits that Telegram asks for included.
const SENDING: Duration = Duration::from_secs(150);

/// A token or a chat id is one short line.
const MOST_CREDENTIAL_BYTES: u64 = 4096;

/// Prints or sends the report of a day.
///
/// # Errors
/// Configuration (exit 2), a history that cannot be read, a message that was not taken.
pub(super) fn run(cli: &Cli, args: &SummaryArgs) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(cli)?;
    let now = clock::now();
    let date = args.date.unwrap_or_else(|| TimeZone::UTC.to_datetime(now).date());
    let from = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|error| {
        exit::usage(format!("no report can be made of {date}: {error}"), "give a day as in --date 2026-11-24")
    })?;
    if args.send.is_some() && from > now {
        // Its real report would then count as sent.
        let what = format!("{date} has not begun yet, by UTC");
        return Err(exit::usage(what, "leave out --date for the report of today"));
    }
    let state_dir = &settings.probe.state_dir;
    let records = history::read(state_dir, &date.to_string()).map_err(|error| super::no_history(state_dir, error))?;
    let day = Day::of(&date.to_string(), from, now, &records);
    match args.send {
        Some(SendTo::Telegram) => send(&settings, &day),
        None => {
            let text = match args.format {
                SummaryFormat::Text => report(&day, Markup::Plain),
                SummaryFormat::Html => report(&day, Markup::Html),
                SummaryFormat::Json => serde_json::to_string_pretty(&day).map_err(exit::bug)? + "\n",
            };
            Ok(if super::print(&text) { Exit::Done } else { Exit::Trouble })
        }
    }
}

/// Sends what has not been sent of the day's report yet. Each message is remembered as handed over, outcome unknown,
/// before it is: whatever ends this process then, no message is sent twice.
fn send(settings: &Settings, day: &Day) -> anyhow::Result<Exit> {
    let chat = chat(&settings.telegram)?;
    let state_dir = &settings.probe.state_dir;
    let directory = history::directory(state_dir);
    // Two that run at once would both find nothing sent.
    let _lock = match lock::take(&directory) {
        Ok(lock) => lock,
        Err(lock::LockError::Held) => return Err(exit::locked(&directory)),
        Err(lock::LockError::Unavailable(error)) => {
            return Err(exit::refused("nothing is sent, because it cannot be remembered in", &directory, error));
        }
    };
    let mut sent = sent::of(state_dir, &day.date).map_err(|error| {
        exit::refused("nothing is sent, because what was sent cannot be read in", &directory, error)
    })?;
    if sent.whole {
        let outcome = match sent.unknown.is_empty() {
            true => "has been sent before",
            false => "was handed over before, and it is not known whether all of it arrived; nothing is sent again",
        };
        log::info(format!("the report of {} {outcome}", day.date));
        return Ok(Exit::Done);
    }
    let remember = |sent: &Sent, what: &str| {
        sent::remember(state_dir, &day.date, sent).map_err(|error| exit::refused(what, &directory, error))
    };
    let messages = telegram::split(&report(day, Markup::Html));
    let deadline = Deadline::after(SENDING);
    let mut why = None;
    for (index, message) in messages.iter().enumerate().skip(sent.messages as usize) {
        let number = index as u32 + 1;
        let before = sent.clone();
        sent.messages = number;
        sent.unknown.push(number);
        sent.whole = index + 1 == messages.len();
        // On a disk that is full for hours the same report would be sent at every try.
        remember(&sent, "nothing more is sent, because it cannot be remembered in")?;
        match telegram::send(&chat, message, deadline) {
            Ok(Outcome::Sent) => {
                sent.unknown.pop();
                remember(&sent, "the report was sent, but that cannot be remembered in")?;
            }
            Ok(Outcome::Unknown(reason)) => why = Some(reason),
            Err(error) => {
                remember(&before, "the report was not sent, and that cannot be remembered in")?;
                return Err(error);
            }
        }
    }
    if sent.unknown.is_empty() {
        log::info(format!("sent the report of {}", day.date));
        return Ok(Exit::Done);
    }
    let numbers = sent.unknown.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let why = why.unwrap_or_else(|| "an earlier attempt was interrupted".into());
    Err(exit::trouble(
        format!("it is not known whether Telegram took message {numbers} of {}: {why}", messages.len()),
        "look into the chat; no message of this report is sent again",
    ))
}

/// The chat, from the configuration or from systemd credentials.
fn chat(settings: &TelegramSettings) -> anyhow::Result<Chat> {
    let token = match &settings.token_file {
        Some(file) => Some(read(file)?),
        None => credential("telegram-token")?,
    };
    let chat_id = match &settings.chat_id {
        Some(chat_id) => Some(chat_id.clone()),
        None => credential("telegram-chat-id")?.map(|secret| secret.expose().to_owned()),
    };
    match (token, chat_id) {
        (Some(token), Some(chat_id)) => Ok(Chat { api_url: settings.api_url.clone(), token, chat_id }),
        (None, _) => Err(missing("bot token", "token_file", "telegram-token")),
        (Some(_), None) => Err(missing("chat", "chat_id", "telegram-chat-id")),
    }
}

fn missing(what: &str, key: &str, credential: &str) -> anyhow::Error {
    exit::usage(
        format!("no {what} to send the report with"),
        format!("set [telegram] {key}, or give the unit the credential {credential} (LoadCredential=)"),
    )
}

/// A credential of the unit (systemd.exec(5), LoadCredential=), if it has it.
fn credential(name: &str) -> anyhow::Result<Option<Secret>> {
    let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let file = Path::new(&directory).join(name);
    if file.exists() { read(&file).map(Some) } else { Ok(None) }
}

fn read(file: &Path) -> anyhow::Result<Secret> {
    let bytes =
        fs::read_capped(file, MOST_CREDENTIAL_BYTES).map_err(|error| exit::refused("cannot read", file, error))?;
    let text = String::from_utf8(bytes).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let text = text.filter(|text| !text.contains(char::is_whitespace));
    text.map(Secret::new).ok_or_else(|| {
        exit::usage(
            format!("{} does not hold one line of text", file.display()),
            "put the token or chat id into it, and nothing else",
        )
    })
}
