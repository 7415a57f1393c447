//! Requests and answers: plain data, and a body that is read under the limits of its client.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::http;
pub use ureq::http::Method;
use url::Url;

use super::connector::{ReadUntil, Shared};
use super::error::{ErrorKind, HttpError};
use crate::clock::Deadline;

#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub method: Method,
    /// The address. Userinfo in it is ignored here: [`Client::new`] has taken it.
    pub url: Url,
    /// Headers of this request; they win over configured ones of the same name.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty means none for GET and DELETE.
    pub body: &'a [u8],
    /// Whether redirects are followed; otherwise they are answers like any other.
    pub follow: bool,
}

impl<'a> Request<'a> {
    pub fn new(method: Method, url: &Url) -> Self {
        Request { method, url: url.clone(), headers: Vec::new(), body: &[], follow: true }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The method that brought it, after redirects.
    pub method: Method,
    pub redirected: bool,
    pub(super) headers: http::HeaderMap,
    pub body: Body,
}

impl Response {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without parameters, in lower case; empty if there is none.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

pub struct Body {
    pub(super) reader: ureq::BodyReader<'static>,
    pub(super) shared: Arc<Shared>,
}

/// Gives decompressed bytes, by the request's deadline or that of [`ReadUntil`]; a read that has run out of time is the last.
/// Errors: What [`HttpError`] is made from: [`ErrorKind::Timeout`], [`ErrorKind::TooLarge`] past the client's budget,
/// [`ErrorKind::Protocol`] when the body ends early or is not framed or compressed properly.
impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.reader.read(into)?;
        self.shared.count(&self.shared.decoded, amount)?;
        Ok(amount)
    }
}

impl Body {
    /// Reads to the end, at most `limit` bytes.
    /// Errors: As a read, and [`ErrorKind::TooLarge`] past the limit.
    pub fn read_to_end(&mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let bytes = self.read_up_to(limit.saturating_add(1))?;
        if bytes.len() as u64 > limit {
            let detail = format!("the answer's body is larger than {limit} bytes");
            return Err(HttpError::new(ErrorKind::TooLarge, detail));
        }
        Ok(bytes)
    }

    /// Reads to the end or to `limit` bytes, whichever comes first.
    pub fn read_up_to(&mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        self.by_ref().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads for `time` at most and gives back what has come by then, `limit` bytes at most, whether it was all or not:
    /// for evidence, where neither the rest nor its failure matters.
    pub fn read_what_comes(&mut self, limit: u64, time: Duration) -> Vec<u8> {
        let _until = ReadUntil::new(Deadline::after(time));
        let mut bytes = Vec::new();
        let _ = self.by_ref().take(limit).read_to_end(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
