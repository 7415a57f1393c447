//! A string that cannot be printed, logged or serialised by accident.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::redacted::MASK;

/// A value that may be a credential. It has no `Display` and no `Serialize`; `Debug` shows that it is there, not
/// what it is. Whoever really needs the text says so with [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The text, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Secret(value)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}

/// Stands where text was cut off.
pub const CUT: char = '…';

/// Replaces every occurrence of a known secret in foreign text, for evidence that quotes what a server said: as it is,
/// as it stands in quoted strings, and what is left of it in front of a [`CUT`].
///
/// Secrets shorter than four bytes are left alone: replacing them would only garble the sentence.
pub fn redact(text: &str, secrets: &[Secret]) -> String {
    let plain = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST);
    let mut forms: Vec<String> =
        plain.flat_map(|secret| [secret.to_owned(), secret.escape_debug().to_string()]).collect();
    // Longest first: a secret may contain another one.
    forms.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    forms.dedup();
    let whole = forms.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK));
    if whole.contains(CUT) { without_beginnings(&whole, &forms) } else { whole }
}

/// Bytes below which text is no secret, and no part of one that would tell anything.
const SHORTEST: usize = 4;

/// Replaces the beginning of a secret right in front of a cut.
fn without_beginnings(text: &str, secrets: &[String]) -> String {
    let cut = |piece: &str| {
        let begun = secrets.iter().filter_map(|secret| {
            let ends = secret.char_indices().map(|(at, _)| at).rev().take_while(|&at| at >= SHORTEST);
            ends.into_iter().find(|&end| piece.ends_with(&secret[..end]))
        });
        begun.max().map(|length| format!("{}{MASK}", &piece[..piece.len() - length]))
    };
    let pieces: Vec<&str> = text.split(CUT).collect();
    let last = pieces.len() - 1;
    let shown = pieces.into_iter().enumerate().map(|(index, piece)| {
        let cut = if index < last { cut(piece) } else { None };
        cut.unwrap_or_else(|| piece.to_owned())
    });
    shown.collect::<Vec<_>>().join(&CUT.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_in_no_debug_output_and_is_taken_out_of_quoted_text() {
        let token = Secret::new("s3cr3t-token");
        assert!(!format!("{token:?}").contains("s3cr3t"));
        assert_eq!(redact("bad token s3cr3t-token!", &[token, Secret::new("a")]), "bad token ***!");
    }

    #[test]
    fn half_a_secret_before_a_cut_and_a_quoted_one_are_taken_out_too() {
        let secrets = [Secret::new("s3cr3t-token"), Secret::new("pa\"ss\\word")];
        assert_eq!(
            redact("it says s3cr3t-to… and more s3cr… and s3c…", &secrets),
            "it says ***… and more ***… and s3c…"
        );
        assert_eq!(redact(r#"{"a": "pa\"ss\\word", "b": "pa\"s…"#, &secrets), r#"{"a": "***", "b": "***…"#);
        assert_eq!(redact("s3cr3t-to and more", &secrets), "s3cr3t-to and more", "nothing is cut there");
    }
}
