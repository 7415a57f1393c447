//! What may be shown of text that holds a secret, or was written by others.
//!
//! [`Secret`] cannot be printed by accident. [`url`], [`arguments`] and [`command`] show a configuration
//! without what may be a secret in it. [`KnownSecrets`] takes what a server was given out of what it says, and
//! [`quoted`] marks that as somebody else's words.

mod known;
mod secret;
mod shown;

pub use known::{KnownSecrets, credential_of, redact, secrets_in_url};
pub use secret::{Secret, as_arguments, as_command, as_origin, as_pairs, as_url};
pub use shown::{MASK, arguments, command, looks_secret, url};

use crate::log::printable;

/// Stands where text was cut off.
pub const CUT: char = '…';

/// Foreign text in a sentence stands between this …
pub const OPEN: char = '“';

/// … and this; both are replaced inside it, so that it cannot end the quotation.
pub const CLOSE: char = '”';

/// At most `most` characters of a text, with a sign where something is missing.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
        None => text.to_owned(),
    }
}

/// Foreign text as a quotation: one line that steers no terminal, of `most` characters, told from our own words.
pub fn quoted(text: &str, most: usize) -> String {
    let text = printable(text).replace([OPEN, CLOSE], "\"");
    format!("{OPEN}{}{CLOSE}", shortened(&text, most))
}
