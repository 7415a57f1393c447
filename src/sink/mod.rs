//! Destinations: each takes finished bytes and brings them to one place. None stops another.

use std::path::Path;

use url::Url;

use crate::config::settings::BrokenOutput;
use crate::redact::Secret;
use crate::{exit, fs, http};

pub mod heartbeat;
pub mod message;
pub mod pushgateway;
mod retry;
pub mod survey;
pub mod textfile;

/// An output that the environment spoils.
pub fn broken(output: &BrokenOutput) -> anyhow::Error {
    exit::trouble(&output.problem, "correct the setting, or set the variable where lab-probe runs")
}

/// Where an address leads, for people: no path and no credentials.
fn origin(url: &Secret) -> String {
    http::parse_url(url).map_or_else(|_unusable| "(no usable URL)".into(), |url| http::shown(&url))
}

/// The URL of a path below a base.
pub(crate) fn below<'a>(base: &Url, path: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// What a file holds that has a password, token or address, without the line's end.
fn read_secret(file: &Path) -> anyhow::Result<Secret> {
    let bytes = fs::read_capped(file, 64 << 10).map_err(|error| exit::refused("cannot read", file, error))?;
    match std::str::from_utf8(&bytes).map(|text| text.trim_end_matches(['\r', '\n'])) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        unusable => {
            let why = if unusable.is_ok() { "is empty" } else { "is not UTF-8" };
            Err(exit::usage(format!("{} {why}", file.display()), "put the password, token or address into it"))
        }
    }
}
