//! `lab-probe summary`: the day in one screen, printed or sent.

use std::fs::TryLockError;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::{Cli, SummaryArgs, SummaryFormat};
use crate::clock::{self, Deadline};
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::log;
use crate::model::delivery::Receiver;
use crate::show::Day;
use crate::show::summary::{Markup, report};
use crate::sink::message::{Destination, Outcome, split};
use crate::state::sent::{self, Sent};
use crate::state::{history, lock};

/// A report is sent within this, waits that a receiver asks for included.
const SENDING: Duration = Duration::from_secs(150);

pub(super) fn run(cli: &Cli, args: &SummaryArgs) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(cli.config.as_deref())?;
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
        Some(receiver) => send(&settings, &day, receiver),
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
fn send(settings: &Settings, day: &Day, receiver: Receiver) -> anyhow::Result<Exit> {
    let destination = Destination::of(settings, receiver)?;
    let key = match receiver {
        Receiver::Telegram => day.date.clone(),
        _ => format!("{} {}", day.date, receiver.as_str()),
    };
    let state_dir = &settings.probe.state_dir;
    let directory = history::directory(state_dir);
    // Two that run at once would both find nothing sent.
    let _lock = lock::take(&directory).map_err(|error| match error {
        TryLockError::WouldBlock => exit::locked(&directory),
        TryLockError::Error(error) => {
            exit::refused("nothing is sent, because it cannot be remembered in", &directory, error)
        }
    })?;
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
    let messages = messages(day, receiver)?;
    let title = format!("LAB on {}", day.date);
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
        match destination.send(&title, message, deadline) {
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

/// The report in messages that the receiver takes.
fn messages(day: &Day, receiver: Receiver) -> anyhow::Result<Vec<String>> {
    Ok(match receiver {
        // UTF-16 code units after its parsing (Bot API, sendMessage); counted before, which is never less.
        Receiver::Telegram => split(&report(day, Markup::Html), 4096, |text| text.encode_utf16().count()),
        // A longer one becomes an attachment (its documentation, in bytes).
        Receiver::Ntfy => split(&report(day, Markup::Plain), 4096, str::len),
        // A longer text is cut off at 40,000 characters (its documentation of messages).
        Receiver::Slack => split(&report(day, Markup::Slack), 39_000, |text| text.chars().count()),
        Receiver::Webhook => vec![serde_json::to_string(day).map_err(exit::bug)?],
    })
}
