//! What values of several sections must obey: web addresses, header and label names, schedules.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ureq::http::HeaderName;
use url::Url;

use crate::config::block::{Block, Owner, Text};
use crate::metrics::catalogue;
use crate::model::target::Schedule;
use crate::redact::Secret;

pub(super) fn schedule(block: &Block<'_>, defaults: Schedule) -> Schedule {
    Schedule {
        ttl: block.duration("ttl").unwrap_or(defaults.ttl),
        retry_after: block.duration("retry_after").unwrap_or(defaults.retry_after),
        timeout: block.time_limit("timeout").unwrap_or(defaults.timeout),
    }
}

/// What the blocks of an array describe, each under a name of its own, which stands under `key`; `example` is one.
pub(super) fn named<T>(
    blocks: Vec<Block<'_>>,
    key: &'static str,
    example: &str,
    read: impl Fn(&Block<'_>, String) -> Option<T>,
) -> Vec<T> {
    let mut seen = HashMap::new();
    let described = blocks.into_iter().map(|block| block.owned_by(Owner::Block)).filter_map(|block| {
        let name = block.name(key, example).inspect(|name| block.unique(&mut seen, name));
        // Without a name, too, it is read for its other mistakes.
        let described = read(&block, name.as_ref().map_or_else(String::new, |name| name.value.clone()));
        name.and(described)
    });
    described.collect()
}

pub(super) fn web_address(block: &Block<'_>, text: &Text) -> Option<Url> {
    const EXAMPLE: &str = "as in \"http://127.0.0.1:8000/path\"";
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    // No sentence quotes it: it may hold a password or a key.
    let problem = match (scheme.as_deref(), Url::parse(text)) {
        (None, _) => format!("it is no web address; it begins with http:// or https://, {EXAMPLE}"),
        (Some("http" | "https"), _) if text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            "a web address holds no spaces; write %20".to_owned()
        }
        (Some("http" | "https"), Ok(url)) => return Some(url),
        (Some("http" | "https"), Err(error)) => format!("it is no web address: {error}; write it {EXAMPLE}"),
        (Some(_), _) => format!("only http:// and https:// are spoken, {EXAMPLE}"),
    };
    block.complain_of(text, problem);
    None
}

/// The address under `key` as it is sent: as written, or, where it is not plain ASCII, as the URL standard encodes it.
pub(super) fn url(block: &Block<'_>, key: &'static str) -> Option<Secret> {
    let mut text = block.filled(key)?;
    let url = web_address(block, &text)?;
    if !text.is_ascii() {
        text.value = url.into();
    }
    Some(text.secret())
}

pub(super) fn headers(block: &Block<'_>, key: &'static str) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (at, name, text) in block.map(key) {
        if HeaderName::try_from(&name).is_err() {
            block.complain_in(key, at, format!("{name:?} cannot name an HTTP header"));
        } else if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            block.complain_in(key, at, format!("{name:?} is there twice; case does not tell headers apart"));
        }
        let wrong = |c: char| c.is_control() && c != '\t';
        block.refuse_characters(&text, wrong, format!("the value of {name:?} holds a line break or control character"));
        headers.push((name, text.secret()));
    }
    headers
}

/// A table of Prometheus labels under `key`; `refuse` says what is wrong with a name that is otherwise a valid one.
pub(super) fn labels(
    block: &Block<'_>,
    key: &'static str,
    refuse: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let entries = block.map(key);
    for (at, name, _) in &entries {
        let message = if !is_label_name(name) {
            Some("is no label name; one has letters, digits and underscores and begins with no digit".to_owned())
        } else if name.starts_with("__") {
            Some("begins with two underscores, which Prometheus keeps for itself".to_owned())
        } else {
            refuse(name)
        };
        if let Some(message) = message {
            block.complain_in(key, *at, format!("{name:?} {message}"));
        }
    }
    entries.into_iter().map(|(_, name, text)| (name, text.value)).collect()
}

/// Whether a series of lab-probe's own has such a label.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "le" | "quantile") || catalogue::ALL.iter().any(|family| family.labels.contains(&name))
}

fn is_label_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A program: a bare name is looked up on PATH; a relative path starts at `cwd` where there is one, else at the
/// directory of the configuration file.
pub(super) fn program(block: &Block<'_>, text: &Text, cwd: Option<&PathBuf>) -> String {
    block.check_path(text);
    if !text.contains('/') || (cwd.is_some() && !text.starts_with('/')) {
        return text.value.clone();
    }
    // Both parts came out of UTF-8 text; what cannot be shown as such cannot be run under that name either.
    block.resolve(text).to_string_lossy().into_owned()
}

pub(super) fn pattern(block: &Block<'_>, key: &'static str) -> Option<String> {
    let text = block.filled(key)?;
    if let Err(error) = regex_lite::Regex::new(&text) {
        block.complain_of(&text, format!("it is no regular expression: {error}"));
    }
    Some(text.value)
}
