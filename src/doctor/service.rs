//! Bounded queries to a service of the stack.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::TIMEOUT;
use crate::clock::Deadline;
use crate::config::settings::ServiceAddress;
use crate::http::{self, Client, ErrorKind, HttpError, Method, Request};
use crate::log::printable;
use crate::model::checkup::{Finding, Link};
use crate::proc::hung;
use crate::redact::{Secret, redact, shortened};
use crate::sink;

/// The largest answer that is read: Prometheus' rules with thousands of groups fit.
const MAX_BYTES: u64 = 32 << 20;
/// How much of an answer that is no success is shown.
const SHOWN_CHARS: usize = 200;

/// Why a service gave no facts; of several, the first is worth telling most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Something is there, but it is slow, broken, or something else.
    Failing,
    /// What answers is another service; its own words say so.
    OtherService,
    NotListening,
}

/// The trouble with the evidence of it.
pub type Failure = (Trouble, String);

pub(super) fn other_service(why: impl Into<String>) -> Failure {
    (Trouble::OtherService, why.into())
}

/// What a service said, or why it did not.
#[derive(Debug)]
pub struct Reply<T> {
    /// Scheme, host and port of the one that answered, else of all that were tried; nothing secret.
    pub origin: String,
    /// Whether the configuration names an address of its own; its absence is a fault then.
    pub configured: bool,
    pub result: Result<T, Failure>,
}

impl<T> Reply<T> {
    /// Queries the service at its place, and `elsewhere` where no place of its own is configured, until one is what is
    /// `wanted`; else what the first one said that is such a service at all.
    pub fn of(
        place: &ServiceAddress,
        elsewhere: &[&str],
        query: impl Fn(&Service) -> Result<T, Failure>,
        wanted: impl Fn(&T) -> bool,
    ) -> Self {
        let elsewhere = if place.configured { &[] } else { elsewhere };
        let limit = TIMEOUT / (1 + elsewhere.len() as u32);
        let mut replies: Vec<Self> = Vec::new();
        for address in std::iter::once(place.url.clone()).chain(elsewhere.iter().map(|url| Secret::new(*url))) {
            let reply = Self::from_one(limit, &address, place.configured, &query);
            if reply.facts().is_some_and(&wanted) {
                return reply;
            }
            replies.push(reply);
        }
        let origin = replies.iter().map(|reply| reply.origin.as_str()).collect::<Vec<_>>().join(" or ");
        replies.sort_by_key(|reply| reply.result.as_ref().err().map(|(trouble, _)| *trouble));
        let first = replies.swap_remove(0);
        match first.result {
            Err((Trouble::OtherService | Trouble::NotListening, _)) => Reply { origin, ..first },
            Ok(_) | Err((Trouble::Failing, _)) => first,
        }
    }

    /// The same at one address, with a time of its own.
    pub fn from_one(
        limit: Duration,
        address: &Secret,
        configured: bool,
        query: impl FnOnce(&Service) -> Result<T, Failure>,
    ) -> Self {
        let base = match http::parse_url(address) {
            Ok(base) => base,
            Err(error) => {
                let result = Err((Trouble::Failing, error.detail));
                return Reply { origin: "the configured address".into(), configured: true, result };
            }
        };
        let client = Client::new(&base);
        let service = Service { client, base, deadline: Deadline::after(limit) };
        // The service may quote them.
        let secrets = http::secrets_of(&service.base, &[]);
        let result = hung::caught(|| query(&service)).unwrap_or_else(|why| Err((Trouble::Failing, why)));
        let result = result.map_err(|(trouble, why)| (trouble, redact(&why, &secrets)));
        Reply { origin: http::shown(&service.base), configured, result }
    }

    pub fn facts(&self) -> Option<&T> {
        self.result.as_ref().ok()
    }

    /// Of a service that gave no facts: a fault where it is configured or others of the stack lean on it, else simply not
    /// used.
    pub(super) fn missing(&self, link: Link, leaned_on: bool, fix: &str) -> Vec<Finding> {
        let Err((trouble, why)) = &self.result else { return Vec::new() };
        let (origin, is_fault) = (&self.origin, self.configured || leaned_on);
        vec![match trouble {
            Trouble::NotListening if !is_fault => link.skip(format!("not used here: nothing listens at {origin}"), fix),
            Trouble::OtherService if !is_fault => {
                link.skip(format!("not used here: another service answers at {origin}"), fix)
            }
            _ => link.fail_if(is_fault, format!("nothing usable at {origin}: {why}"), fix),
        }]
    }
}

/// Whether a service that answers is well, by what it says of itself.
pub(super) fn health(link: Link, up: &str, well: &str, unwell: Option<&String>, unit: &str) -> Finding {
    match unwell {
        None => link.ok(format!("{up} is {well}")),
        Some(why) => link.fail(format!("{up} is not {why}"), format!("journalctl --unit {unit} --lines 50")),
    }
}

pub struct Service {
    client: Client,
    base: Url,
    deadline: Deadline,
}

impl Service {
    /// Status and body of the answer to a GET.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<(u16, Vec<u8>), Failure> {
        let mut url = sink::below(&self.base, path.split('/'));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let failure = |error: HttpError| match error.kind {
            ErrorKind::Connect => (Trouble::NotListening, error.detail),
            _ => (Trouble::Failing, error.detail),
        };
        let mut response = self.client.send(&Request::new(Method::GET, &url), self.deadline).map_err(failure)?;
        let body = response.body.read_to_end(MAX_BYTES).map_err(failure)?;
        Ok((response.status, body))
    }

    /// The body of an answer that must be a success.
    pub(super) fn get_ok(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        let (status, body) = self.get(path, query)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let said = shortened(&printable(String::from_utf8_lossy(&body).trim()), SHOWN_CHARS);
        // What does not know the address at which a service tells what it is, is another one.
        let trouble = if matches!(status, 404 | 405) { Trouble::OtherService } else { Trouble::Failing };
        Err((trouble, format!("HTTP {status} for /{path}: {said}")))
    }

    /// The JSON document that must be there.
    pub(super) fn get_json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let body = self.get_ok(path, query)?;
        serde_json::from_slice(&body).map_err(|_not_json| other_service(format!("the answer for /{path} is no JSON")))
    }

    /// What keeps it from being ready, if it is not.
    pub(super) fn unready(&self) -> Option<String> {
        self.get_ok("-/ready", &[]).err().map(|(_, why)| format!("ready: {why}"))
    }
}

/// A text in a document; empty where there is none.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    printable(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}

/// A list in a document; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
