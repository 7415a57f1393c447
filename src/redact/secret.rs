//! A string that cannot be printed, logged or serialised by accident, and what is serialised of those in a configuration.

use std::fmt;

use serde::{Serialize, Serializer};
use url::Url;

use super::shown::{MASK, arguments, command, url};

/// A value that may be a credential. It has no `Display`; `Debug` shows that it is there, and it is serialised as a mask.
/// Whoever really needs the text says so with [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret {
    text: String,
    /// Whether a variable of the environment gave any of it: then nothing but the host of a URL is shown.
    from_variable: bool,
}

impl Secret {
    /// A value that is written out somewhere.
    pub fn new(value: impl Into<String>) -> Self {
        Secret { text: value.into(), from_variable: false }
    }

    /// A value that comes from the environment.
    pub fn from_variable(value: impl Into<String>) -> Self {
        Secret { text: value.into(), from_variable: true }
    }

    /// The text, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

fn shown_url(secret: &Secret) -> String {
    if secret.from_variable { origin(secret) } else { url(&secret.text) }
}

/// For `#[serde(serialize_with = …)]`, here and below: a URL without its credentials, or none.
pub fn as_url<'a, S: Serializer>(secret: impl Into<Option<&'a Secret>>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.into().map(shown_url).serialize(serializer)
}

/// A URL whose path and query are a secret: its origin.
pub fn as_origin<'a, S: Serializer>(secret: impl Into<Option<&'a Secret>>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.into().map(origin).serialize(serializer)
}

fn origin(secret: &Secret) -> String {
    let url = Url::parse(&secret.text);
    url.map_or_else(|_| MASK.to_owned(), |url| format!("{}/{MASK}", url.origin().ascii_serialization()))
}

/// A program, as far as it may be shown.
pub fn as_command<S: Serializer>(program: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&command(program))
}

/// A command line, as far as it may be shown.
pub fn as_arguments<S: Serializer>(secrets: &[Secret], serializer: S) -> Result<S::Ok, S::Error> {
    let shown = arguments(secrets.iter().map(Secret::expose)).into_iter().zip(secrets);
    serializer.collect_seq(shown.map(|(shown, secret)| if secret.from_variable { MASK.to_owned() } else { shown }))
}

/// Names with masked values, as a table.
pub fn as_pairs<S: Serializer>(pairs: &[(String, Secret)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_in_no_debug_output() {
        assert_eq!(format!("{:?} {:?}", Secret::new("s3cr3t"), Secret::default()), "Secret(***) Secret(empty)");
        assert_eq!(serde_json::to_string(&Secret::new("s3cr3t")).expect("JSON"), "\"***\"");
    }
}
