//! `lab-probe summary`: the day in one screen, printed or sent.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::{Cli, SendTo, SummaryArgs, SummaryFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::{ReceiverSettings, Settings, TelegramSettings};
use crate::exit::{self, Exit};
use crate::fs;
use crate::log;
use crate::redact::Secret;
use crate::show::Day;
use crate::show::summary::{Markup, report};
use crate::sink::hook::{self, Hook, Kind};
use crate::sink::message::{Outcome, split};
use crate::sink::telegram::{self, Chat};
use crate::state::sent::{self, Sent};
use crate::state::{history, lock};

/// A report is sent within this, waits that a receiver asks for included.
const SENDING: Duration = Duration::from_secs(150);

/// A token or a chat id is one short line.
const MOST_CREDENTIAL_BYTES: u64 = 4096;

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
    let day = Day::of(&date.to_string(), from, now, &records, history::is_first(state_dir, &date.to_string()));
    match args.send {
        Some(to) => send(&settings, &day, &Receiver::of(&settings, to)?),
        None => {
            let text = match args.format {
                SummaryFormat::Text => report(&day, Markup::Plain),
                SummaryFormat::Html => report(&day, Markup::Html),
                SummaryFormat::Json => serde_json::to_string_pretty(&day).map_err(exit::bug)? + "\n",
            };
            super::print(&text)
        }
    }
}

/// Sends what has not been sent of the day's report yet. Each message is remembered as handed over, outcome unknown,
/// before it is: whatever ends this process then, no message is sent twice.
fn send(settings: &Settings, day: &Day, receiver: &Receiver) -> anyhow::Result<Exit> {
    let key = receiver.key(&day.date);
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
    let mut sent = sent::of(state_dir, &key).map_err(|error| {
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
        sent::remember(state_dir, &key, sent).map_err(|error| exit::refused(what, &directory, error))
    };
    let messages = receiver.messages(day)?;
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
        match receiver.send(day, message, deadline) {
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
        format!("it is not known whether {} took message {numbers} of {}: {why}", receiver.name(), messages.len()),
        "look there; no message of this report is sent again",
    ))
}

/// Who gets the report.
enum Receiver {
    Telegram(Chat),
    Hook(Hook),
}

impl Receiver {
    fn of(settings: &Settings, to: SendTo) -> anyhow::Result<Receiver> {
        let kind = match to {
            SendTo::Telegram => return chat(&settings.telegram).map(Receiver::Telegram),
            SendTo::Ntfy => Kind::Ntfy,
            SendTo::Slack => Kind::Slack,
            SendTo::Webhook => Kind::Webhook,
        };
        let configured = settings.receivers.get(kind.as_str()).cloned().unwrap_or_default();
        hook(kind, configured).map(Receiver::Hook)
    }

    fn name(&self) -> &'static str {
        match self {
            Receiver::Telegram(_) => "Telegram",
            Receiver::Hook(hook) => hook.kind.as_str(),
        }
    }

    /// Under which name it is remembered what was sent of a day's report.
    fn key(&self, date: &str) -> String {
        match self {
            Receiver::Telegram(_) => date.to_owned(),
            Receiver::Hook(hook) => format!("{date} {}", hook.kind.as_str()),
        }
    }

    fn messages(&self, day: &Day) -> anyhow::Result<Vec<String>> {
        let kind = match self {
            Receiver::Telegram(_) => {
                return Ok(split(&report(day, Markup::Html), telegram::MOST_UNITS, telegram::units));
            }
            Receiver::Hook(hook) => hook.kind,
        };
        Ok(match kind {
            Kind::Ntfy => split(&report(day, Markup::Plain), hook::MOST_NTFY_BYTES, str::len),
            Kind::Slack => split(&report(day, Markup::Slack), hook::MOST_SLACK_CHARS, |text| text.chars().count()),
            Kind::Webhook => vec![serde_json::to_string(day).map_err(exit::bug)?],
        })
    }

    fn send(&self, day: &Day, message: &str, deadline: Deadline) -> anyhow::Result<Outcome> {
        match self {
            Receiver::Telegram(chat) => telegram::send(chat, message, deadline),
            Receiver::Hook(hook) => hook::send(hook, &format!("LAB on {}", day.date), message, deadline),
        }
    }
}

/// Address and token, from the configuration or from systemd credentials.
fn hook(kind: Kind, settings: ReceiverSettings) -> anyhow::Result<Hook> {
    let name = kind.as_str();
    let url = match (settings.url, &settings.url_file) {
        (Some(url), _) => Some(url),
        (None, Some(file)) => Some(read(file)?),
        (None, None) => credential(&format!("{name}-url"))?,
    };
    let token = match &settings.token_file {
        Some(file) => Some(read(file)?),
        None => credential(&format!("{name}-token"))?,
    };
    let url = url.ok_or_else(|| missing("address", &format!("[{name}] url"), &format!("{name}-url")))?;
    Ok(Hook { kind, url, token })
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
        (None, _) => Err(missing("bot token", "[telegram] token_file", "telegram-token")),
        (Some(_), None) => Err(missing("chat", "[telegram] chat_id", "telegram-chat-id")),
    }
}

fn missing(what: &str, key: &str, credential: &str) -> anyhow::Error {
    exit::usage(
        format!("no {what} to send the report with"),
        format!("set {key}, or give the unit the credential {credential} (LoadCredential=)"),
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
            "put the token, chat id or address into it, and nothing else",
        )
    })
}
