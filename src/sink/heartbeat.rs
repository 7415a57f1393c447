//! A heartbeat: a pass tells a dead man's switch that it begins and how it ended, by the convention of healthchecks.io:
//! the address with `/start`, the address itself, the address with `/fail`.
//!
//! The address is a secret, since whoever knows it can keep the switch from telling.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use super::below;
use crate::clock::Deadline;
use crate::config::settings::HeartbeatSettings;
use crate::exit;
use crate::http::{self, Client, Method, Request};

/// One ping may take so long, its answer included; a pass can wait for two.
pub const ONE_PING: Duration = Duration::from_secs(3);
/// As many bytes as healthchecks.io keeps of the body of a ping (its documentation of the pinging API).
const MOST_BODY_BYTES: usize = 10_000;
/// Of an answer so much is read: the word that says what became of the ping.
const MOST_ANSWER_BYTES: u64 = 1 << 10;

/// The heartbeat of one pass.
#[derive(Debug)]
pub struct Heartbeat<'a> {
    settings: &'a HeartbeatSettings,
    /// The first ping, which the pass does not wait for.
    start: Option<JoinHandle<()>>,
}

impl<'a> Heartbeat<'a> {
    /// Tells that a pass begins, beside it. One that is lost costs only the duration that the switch would show.
    pub fn begin(settings: &'a HeartbeatSettings, deadline: Duration) -> Self {
        let copy = settings.clone();
        let start =
            std::thread::Builder::new().spawn(move || drop(ping(&copy, "start", "", Deadline::after(deadline))));
        Heartbeat { settings, start: start.ok() }
    }

    /// Where it goes, for people: the origin alone.
    pub fn destination(&self) -> String {
        super::origin(&self.settings.url)
    }

    /// Tells how the pass ended; `wrong` is empty for a good one.
    /// Errors: A ping that the switch did not take.
    pub fn end(&mut self, wrong: &str, deadline: Deadline) -> anyhow::Result<()> {
        // Bounded by its own limit. Told after the end, the begin would stand for another pass.
        if let Some(start) = self.start.take() {
            let _ = start.join();
        }
        ping(self.settings, if wrong.is_empty() { "" } else { "fail" }, wrong, deadline)
    }
}

fn ping(settings: &HeartbeatSettings, signal: &str, body: &str, deadline: Deadline) -> anyhow::Result<()> {
    let correct = "correct output.heartbeat.url";
    let base = http::parse_url(&settings.url).map_err(|error| exit::trouble(error.detail, correct))?;
    let url = if signal.is_empty() { base } else { below(&base, [signal]) };
    let client = Client::new(&url);
    let body = &body.as_bytes()[..body.len().min(MOST_BODY_BYTES)];
    let request = match body {
        // Not every switch takes a POST.
        [] => Request::new(Method::GET, &url),
        body => Request::new(Method::POST, &url).header("content-type", "text/plain; charset=utf-8").body(body),
    };
    let reach = "see that the address is reachable from here";
    let mut answer = client
        .send(&request, deadline.sooner(ONE_PING))
        .map_err(|error| exit::trouble(error.detail, error.hint.unwrap_or(reach)))
        .context("the heartbeat was not sent")?;
    // healthchecks.io answers HTTP 200 for a switch that it does not know, too: "OK (not found)".
    let said = answer.body.read_up_to(MOST_ANSWER_BYTES).unwrap_or_default();
    let unknown = said.trim_ascii().starts_with(b"OK (not found");
    if answer.is_success() && !unknown {
        return Ok(());
    }
    let why = if unknown { "the service knows no such check".to_owned() } else { format!("HTTP {}", answer.status) };
    Err(exit::trouble(format!("the heartbeat was not accepted: {why}"), correct))
}
