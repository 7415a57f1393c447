//! One bounded question to a service of the stack.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::TIMEOUT;
use crate::clock::Deadline;
use crate::http::{self, Client, ClientOptions, ErrorKind, HttpError, Method, Request};
use crate::log::printable;
use crate::redact::{CUT, Secret, redact};

/// The largest answer that is read: Prometheus' rules with thousands of groups fit.
const MAX_BYTES: u64 = 32 << 20;
/// How much of an answer that is no success is shown.
const SHOWN_CHARS: usize = 200;

/// Why a service could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing listens there.
    Absent(String),
    /// What answers is another service; its own words say so.
    Other(String),
    /// Something is there, but it is slow, broken, or something else.
    Odd(String),
}

impl Trouble {
    /// The evidence.
    pub fn why(&self) -> &str {
        match self {
            Trouble::Absent(why) | Trouble::Other(why) | Trouble::Odd(why) => why,
        }
    }

    /// The same with secrets taken out that the service has quoted.
    fn without(self, secrets: &[Secret]) -> Trouble {
        match self {
            Trouble::Absent(why) => Trouble::Absent(redact(&why, secrets)),
            Trouble::Other(why) => Trouble::Other(redact(&why, secrets)),
            Trouble::Odd(why) => Trouble::Odd(redact(&why, secrets)),
        }
    }
}

/// What came of asking one service.
#[derive(Debug)]
pub struct Asked<T> {
    /// Scheme, host and port of the one that answered, else of all that were tried; nothing secret.
    pub origin: String,
    /// Whether the configuration names an address of its own; its absence is a fault then.
    pub configured: bool,
    /// What it said.
    pub seen: Result<T, Trouble>,
}

impl<T> Asked<T> {
    /// Asks the service at each address by means of `look`, until one is what is `wanted`; else what the first one said
    /// that is such a service at all.
    pub fn look(
        addresses: &[Secret],
        configured: bool,
        look: impl Fn(&Service) -> Result<T, Trouble>,
        wanted: impl Fn(&T) -> bool,
    ) -> Self {
        let mut asked: Vec<Self> = Vec::new();
        for address in addresses {
            let one = Self::look_within(TIMEOUT / addresses.len() as u32, address, configured, &look);
            if one.facts().is_some_and(&wanted) {
                return one;
            }
            asked.push(one);
        }
        let origins: Vec<String> = asked.iter().map(|one| one.origin.clone()).collect();
        // A broken one is told of before an absent one.
        asked.sort_by_key(|one| match one.seen {
            Ok(_) => 0,
            Err(Trouble::Odd(_)) => 1,
            Err(Trouble::Other(_)) => 2,
            Err(Trouble::Absent(_)) => 3,
        });
        let first = asked.into_iter().next();
        let none = || Asked { origin: String::new(), configured, seen: Err(Trouble::Absent("no address".into())) };
        let mut first = first.unwrap_or_else(none);
        if matches!(first.seen, Err(Trouble::Absent(_) | Trouble::Other(_))) {
            first.origin = origins.join(" or ");
        }
        first
    }

    /// The same at one address, with a time of its own.
    pub fn look_within(
        limit: Duration,
        address: &Secret,
        configured: bool,
        look: impl FnOnce(&Service) -> Result<T, Trouble>,
    ) -> Self {
        match Service::new(address, limit) {
            Ok(service) => {
                let seen = look(&service).map_err(|trouble| trouble.without(&http::secrets_of(&service.base, &[])));
                Asked { origin: http::shown(&service.base), configured, seen }
            }
            Err(error) => Asked {
                origin: "the configured address".into(),
                configured: true,
                seen: Err(Trouble::Odd(error.detail)),
            },
        }
    }

    /// What it said, if it said anything.
    pub fn facts(&self) -> Option<&T> {
        self.seen.as_ref().ok()
    }
}

/// A service being asked.
pub struct Service {
    client: Client,
    base: Url,
    deadline: Deadline,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Service {
    fn new(address: &Secret, limit: Duration) -> Result<Service, HttpError> {
        let base = http::parse_url(address)?;
        let client = Client::new(&base, ClientOptions::default());
        Ok(Service { client, base, deadline: Deadline::after(limit) })
    }

    /// The answer to a GET, whatever its status.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut response = self.client.send(&Request::new(Method::GET, &url), self.deadline).map_err(trouble)?;
        let body = response.body.read_to_end(MAX_BYTES).map_err(trouble)?;
        Ok(Answer { status: response.status, body })
    }

    /// The body of an answer that must be a success.
    pub(super) fn get_ok(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Trouble> {
        let answer = self.get(path, query)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let said = printable(String::from_utf8_lossy(&answer.body).trim());
        let said = match said.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}{CUT}", &said[..end]),
            None => said,
        };
        let why = format!("HTTP {} for /{path}: {said}", answer.status);
        // What does not know the address at which a service tells what it is, is another one.
        Err(if matches!(answer.status, 404 | 405) { Trouble::Other(why) } else { Trouble::Odd(why) })
    }

    /// The JSON document that must be there.
    pub(super) fn get_json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let body = self.get_ok(path, query)?;
        serde_json::from_slice(&body).map_err(|_not_json| Trouble::Other(format!("the answer for /{path} is no JSON")))
    }
}

fn trouble(error: HttpError) -> Trouble {
    match error.kind {
        ErrorKind::Connect => Trouble::Absent(error.detail),
        _ => Trouble::Odd(error.detail),
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
