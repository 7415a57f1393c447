//! Lists that switch servers off: by name, or, in Claude Code's policies, by command or URL.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::Value;

use super::clients::{Client, Effect, Location, Names, Scope, Switch};
use super::document;
use super::entry::{Entry, How};
use super::places::{self, ListFile};
use super::readers::{self, Table};
use super::sources::{Source, syntax_of};
use crate::config::environment::HostEnvironment;
use crate::fs::explained;
use crate::redact::Secret;

/// The most that is read of a settings file.
const SETTINGS_LIMIT: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(super) struct List {
    switch: &'static Switch,
    items: Value,
    path: PathBuf,
    /// What that file says on whether of lists like this only the administrator's count.
    is_final: Option<bool>,
}

/// The lists in the project's files beside a client's list.
///
/// # Errors
/// A settings file that is there and cannot be read: what it may switch off is not started.
pub(super) fn beside(file: &ListFile) -> anyhow::Result<Vec<List>> {
    let Some(project) = &file.project else { return Ok(Vec::new()) };
    let place = |file: &Location| file.is_in_project().then(|| project.directory.join(file.split().1));
    in_files(file.client, place).map_err(|why| may_switch_off(&why, &file.path))
}

/// The lists in files of the user and the machine, and in the client's own lists that hold everywhere.
///
/// # Errors
/// As [`beside`].
pub(super) fn everywhere(
    client: &'static Client,
    host: &HostEnvironment,
    sources: &[Source],
) -> anyhow::Result<Vec<List>> {
    let mut lists = in_files(client, |file| places::locate(file, host, None))?;
    let own = |source: &&Source| std::ptr::eq(source.file.client, client) && source.file.scope.is_everywhere();
    lists.extend(sources.iter().filter(own).flat_map(in_source));
    Ok(lists)
}

pub(super) fn in_source(source: &Source) -> Vec<List> {
    let own = source.file.client.switches.iter().filter(|switch| switch.file.is_none());
    own.filter_map(|switch| list(switch, &source.document.root, &source.file.path)).collect()
}

fn in_files(client: &'static Client, place: impl Fn(&Location) -> Option<PathBuf>) -> anyhow::Result<Vec<List>> {
    let mut lists = Vec::new();
    let mut read: BTreeMap<PathBuf, Option<Table>> = BTreeMap::new();
    for switch in &client.switches {
        let path = switch.file.as_ref().and_then(&place);
        for path in path.iter().flat_map(|path| places::expanded(path)) {
            if !read.contains_key(&path) {
                read.insert(path.clone(), settings(&path)?);
            }
            lists.extend(read[&path].as_ref().and_then(|root| list(switch, root, &path)));
        }
    }
    Ok(lists)
}

fn list(switch: &'static Switch, root: &Table, path: &Path) -> Option<List> {
    let items = match switch.key.as_str() {
        "" => Value::Object(root.clone()),
        key => readers::find(root, key).cloned().unwrap_or_default(),
    };
    let is_final = match &switch.effect {
        Effect::AllowedByAny(key) => root.get(key).and_then(Value::as_bool),
        _ => None,
    };
    let is_list = if switch.effect == Effect::Table { items.is_object() } else { items.is_array() };
    (is_list || is_final.is_some()).then(|| List { switch, items, path: path.to_owned(), is_final })
}

/// A settings file, if it is there. A broken one is the client's to complain about; it switches nothing off.
///
/// # Errors
/// As [`beside`].
pub(super) fn settings(path: &Path) -> anyhow::Result<Option<Table>> {
    match crate::fs::read_capped(path, SETTINGS_LIMIT) {
        Ok(bytes) => Ok(document::parse(&bytes, syntax_of(path)).ok().map(|document| document.root)),
        Err(e) => match e.kind() {
            // None, or nothing that the client would read.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
                Ok(None)
            }
            _ => Err(anyhow!("{}: {}", path.display(), explained(&e))),
        },
    }
}

pub(super) fn may_switch_off(why: &anyhow::Error, path: &Path) -> anyhow::Error {
    anyhow!("{why}; it may switch servers of {} off, so those are left out", path.display())
}

pub(super) fn apply<'l>(entries: &mut [Entry], scope: Scope, lists: impl Iterator<Item = &'l List>) {
    let lists: Vec<&List> = lists.collect();
    for entry in entries {
        if let Some(off) = off(entry, scope, &lists) {
            entry.off = Some(off);
        }
    }
}

fn off(entry: &Entry, scope: Scope, lists: &[&List]) -> Option<String> {
    let denied = |list: &&&List| match &list.switch.effect {
        Effect::Denied => list.names(entry),
        Effect::DeniedInProjects => matches!(scope, Scope::Project | Scope::Config) && list.names(entry),
        Effect::Table => list.is_switched_off(entry),
        Effect::Allowed | Effect::AllowedByAny(_) => false,
    };
    if let Some(list) = lists.iter().find(denied) {
        return Some(match list.switch.key.as_str() {
            "" => format!("{} has it switched off", list.path.display()),
            key => format!("it is listed in `{key}`"),
        });
    }
    let mut allowing: Vec<&List> = lists
        .iter()
        .copied()
        .filter(|list| matches!(list.switch.effect, Effect::Allowed | Effect::AllowedByAny(_)))
        .collect();
    // Of the administrator's files a later one overrides a single value of an earlier one.
    let is_managed = |list: &&List| list.switch.file.as_ref().is_some_and(Location::is_managed);
    if allowing.iter().filter(|list| is_managed(list)).filter_map(|list| list.is_final).next_back() == Some(true) {
        allowing.retain(is_managed);
    }
    allowing.retain(|list| list.items.is_array());
    let first = allowing.first()?.switch;
    if first.effect == Effect::Allowed {
        allowing.truncate(1);
    }
    let patterns: Vec<&Value> = allowing.iter().filter_map(|list| list.items.as_array()).flatten().collect();
    (!is_allowed(entry, &patterns, first.names)).then(|| format!("it is not listed in `{}`", first.key))
}

/// Where a list of what is allowed has commands (or URLs), those decide for programs (or URLs), and no name does.
fn is_allowed(entry: &Entry, patterns: &[&Value], names: Names) -> bool {
    let key = match &entry.how {
        How::Stdio(_) => "serverCommand",
        How::Http(_) => "serverUrl",
        How::Broken(_) => "",
    };
    let decides = |pattern: &&&Value| pattern.get(key).is_some();
    if patterns.iter().any(|pattern| decides(&pattern)) {
        return patterns.iter().filter(decides).any(|pattern| matches(pattern, entry, names));
    }
    patterns.iter().any(|pattern| matches(pattern, entry, names))
}

impl List {
    fn names(&self, entry: &Entry) -> bool {
        let items = self.items.as_array().into_iter().flatten();
        items.into_iter().any(|pattern| matches(pattern, entry, self.switch.names))
    }

    fn is_switched_off(&self, entry: &Entry) -> bool {
        let is_named = |name: &str| is_name(name, &entry.name, self.switch.names);
        let entries = self.items.as_object().into_iter().flatten();
        entries.filter(|(name, _)| is_named(name)).any(|(_, state)| state.get("enabled") == Some(&Value::Bool(false)))
    }
}

/// Whether an item of a list means a server: its name as text, or one of Claude Code's three ways.
fn matches(pattern: &Value, entry: &Entry, names: Names) -> bool {
    if let Some(name) = pattern.as_str().or_else(|| pattern.get("serverName")?.as_str()) {
        return is_name(name, &entry.name, names);
    }
    match &entry.how {
        How::Stdio(stdio) => pattern.get("serverCommand").and_then(Value::as_array).is_some_and(|words| {
            let written = [stdio.command.as_str()].into_iter().chain(stdio.args.iter().map(Secret::expose));
            words.iter().map(Value::as_str).eq(written.map(Some))
        }),
        How::Http(http) => {
            pattern.get("serverUrl").and_then(Value::as_str).is_some_and(|url| is_glob(url, http.url.expose()))
        }
        How::Broken(_) => false,
    }
}

fn is_name(pattern: &str, name: &str, names: Names) -> bool {
    let plain = |text: &str| text.trim().to_lowercase();
    match names {
        Names::Exact => pattern == name,
        Names::AnyCase => plain(pattern) == plain(name),
        Names::Glob => is_glob(pattern, name),
    }
}

/// `*` stands for any signs, a slash included, and `?` for one.
pub(super) fn is_glob(pattern: &str, text: &str) -> bool {
    let pattern = regex_lite::escape(pattern).replace("\\*", ".*").replace("\\?", ".");
    regex_lite::Regex::new(&format!("(?s)^{pattern}$")).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_signs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("https://*.corp/*", "https://a.corp/mcp/x", true),
            ("https://*.corp/*", "https://a.corpx/mcp", false),
            ("*puppeteer*", "my-puppeteer", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "x", false),
            ("é*é", "éxé", true),
        ] {
            assert_eq!(is_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
