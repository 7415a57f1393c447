//! What can go wrong in an exchange, sorted into the closed set of reasons, with evidence that holds no secret.

use std::io;

use thiserror::Error;

use crate::fs;
use crate::model::reason::{Failure, Reason};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be sent as it is configured (a URL without a host, a line break in a header).
    Request,
    /// No connection: the name does not resolve, nothing listens, the proxy refuses.
    Connect,
    Tls,
    Timeout,
    /// Headers, body or the whole exchange are larger than the limits.
    TooLarge,
    /// What came is not HTTP, or ended before it was complete.
    Protocol,
    /// A redirect that is not followed: to another origin with a credential, or one too many.
    Redirect,
    /// This machine has no descriptor, thread or memory left: that tells nothing of the peer.
    Shortage,
}

/// A failed exchange. The sentence never quotes a URL's userinfo, path or query, nor a header's value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct HttpError {
    pub kind: ErrorKind,
    pub detail: String,
    /// What to do, where more is known than the reason's remedy says.
    pub hint: Option<&'static str>,
}

impl HttpError {
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        HttpError { kind, detail: detail.into(), hint: None }
    }

    pub(super) fn with_hint(self, hint: &'static str) -> Self {
        HttpError { hint: Some(hint), ..self }
    }

    pub(super) fn timeout(doing: &str) -> Self {
        HttpError::new(ErrorKind::Timeout, format!("no time left while {doing}"))
    }

    /// No connection to an address, in the operating system's words without Rust's "(os error N)".
    pub(super) fn not_connected(address: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut || fs::is_shortage(error) {
            return HttpError::from_io(error, "connecting");
        }
        let text = error.to_string();
        let why = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
        HttpError::new(ErrorKind::Connect, format!("no connection to {address}: {why}"))
    }

    /// Sorts what ureq reports; what our own resolver, connector and transport found out comes back unchanged.
    pub(super) fn from_ureq(error: ureq::Error, doing: &str) -> Self {
        use ureq::Error as E;
        match error {
            E::Other(inner) => match inner.downcast::<HttpError>() {
                Ok(own) => *own,
                Err(other) => HttpError::new(ErrorKind::Protocol, other.to_string()),
            },
            E::Timeout(_) => HttpError::timeout(doing),
            E::Io(e) => HttpError::from_io(&e, doing),
            E::HostNotFound | E::ConnectionFailed => HttpError::new(ErrorKind::Connect, "no connection"),
            E::LargeResponseHeader(..) => HttpError::new(ErrorKind::TooLarge, "the answer's headers are too large"),
            // ureq does not export the protocol crate's error type: the text is all there is to tell this one by.
            E::Protocol(e) if e.to_string().contains("too many headers") => {
                HttpError::new(ErrorKind::TooLarge, "the answer has too many headers")
            }
            E::Protocol(e) => HttpError::new(ErrorKind::Protocol, format!("not HTTP: {e}")),
            E::Decompress(..) => HttpError::new(ErrorKind::Protocol, "the answer's body cannot be decompressed"),
            E::Http(_) => {
                HttpError::new(ErrorKind::Request, "a configured header or the URL holds forbidden characters")
            }
            E::BadUri(_) => HttpError::new(ErrorKind::Request, "the URL cannot be used"),
            other => HttpError::new(ErrorKind::Protocol, other.to_string()),
        }
    }

    fn from_io(error: &io::Error, doing: &str) -> Self {
        use io::ErrorKind as K;
        if fs::is_shortage(error) {
            return HttpError::new(ErrorKind::Shortage, format!("{error} while {doing}"));
        }
        match error.kind() {
            K::TimedOut | K::WouldBlock => HttpError::timeout(doing),
            K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
                HttpError::new(ErrorKind::Protocol, format!("the connection was closed while {doing}"))
            }
            _ => HttpError::new(ErrorKind::Protocol, format!("{error} while {doing}")),
        }
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let reason = match error.kind {
            ErrorKind::Request | ErrorKind::Connect | ErrorKind::Shortage => Reason::ConnectFailed,
            ErrorKind::Tls => Reason::TlsError,
            ErrorKind::Timeout => Reason::Timeout,
            ErrorKind::TooLarge => Reason::TooLarge,
            ErrorKind::Protocol => Reason::ProtocolError,
            ErrorKind::Redirect => Reason::HttpStatus,
        };
        Failure {
            reason,
            detail: error.detail,
            hint: error.hint.map(str::to_owned),
            is_shortage: error.kind == ErrorKind::Shortage,
        }
    }
}

/// Our own errors travel through ureq's layers in this wrapping and are taken out again by [`HttpError::from_ureq`].
impl From<HttpError> for ureq::Error {
    fn from(error: HttpError) -> Self {
        ureq::Error::Other(Box::new(error))
    }
}

/// And through readers of a body.
impl From<HttpError> for io::Error {
    fn from(error: HttpError) -> Self {
        ureq::Error::from(error).into_io()
    }
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        HttpError::from_ureq(error.into(), "receiving the answer's body")
    }
}

/// Turns an error of TLS into ureq's form.
pub(super) fn wire_error(error: io::Error) -> ureq::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => super::tls::failure(tls).into(),
        None => error.into(),
    }
}
