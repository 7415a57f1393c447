//! Web addresses in the configuration.

use url::Url;

const EXAMPLE: &str = "as in \"http://127.0.0.1:8000/path\"";

/// Reads an `http://` or `https://` address that a request can be sent to.
///
/// # Errors
/// What is wrong with it, in a sentence that never quotes it: it may hold a password or a key.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => {}
        Some(_) => return Err(format!("only http:// and https:// are spoken, {EXAMPLE}")),
        None => return Err(format!("it is no web address; it begins with http:// or https://, {EXAMPLE}")),
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a web address holds no spaces; write %20".into());
    }
    Url::parse(text).map_err(|error| format!("it is no web address: {error}; write it {EXAMPLE}"))
}
