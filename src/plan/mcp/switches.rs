//! Lists that switch servers off: by name, or, in Claude Code's policies, by command or URL.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::clients::{Client, Effect, Location, Names, Scope, Switch};
use super::document::{self, Syntax, Table};
use super::entry::{Entry, How};
use super::places::{self, ListFile};
use super::sources::Source;
use crate::config::environment::HostEnvironment;
use crate::fs::explained;
use crate::redact::Secret;

/// The most that is read of a settings file.
const SETTINGS_LIMIT: u64 = 1 << 20;

/// The most of what the lists' length times that of names and URLs may be: less than a second of a core.
const MAX_COMPARED: usize = 1 << 29;

#[derive(Debug)]
pub(super) struct List {
    switch: &'static Switch,
    items: Value,
    path: PathBuf,
    /// Whether only the machine's administrator can write it.
    is_managed: bool,
}

/// The lists in the project's files beside a client's list.
/// Errors: A settings file that is there and cannot be read: what it may switch off is not started.
pub(super) fn beside(file: &ListFile) -> anyhow::Result<Vec<List>> {
    let Some(project) = &file.project else { return Ok(Vec::new()) };
    in_files(file.client, |location| project.locate(location)).map_err(|why| may_switch_off(&why, &file.path))
}

/// The lists in files of the user and the machine, and in the client's own lists that hold everywhere.
pub(super) fn everywhere(
    client: &'static Client,
    host: &HostEnvironment,
    sources: &[&Source],
) -> anyhow::Result<Vec<List>> {
    let mut lists = in_files(client, |location| places::locate(location, host))?;
    lists
        .extend(sources.iter().filter(|source| source.file.scope.is_everywhere()).flat_map(|source| in_source(source)));
    Ok(lists)
}

pub(super) fn in_source(source: &Source) -> impl Iterator<Item = List> {
    let own = source.file.client.switches.iter().filter(|switch| switch.files.is_empty());
    own.filter_map(|switch| list(switch, &source.document.root, &source.file.path, false))
}

fn in_files(client: &'static Client, locate: impl Fn(&Location) -> Option<PathBuf>) -> anyhow::Result<Vec<List>> {
    let mut lists = Vec::new();
    let mut read: BTreeMap<PathBuf, Option<Table>> = BTreeMap::new();
    let files = client.switches.iter().flat_map(|switch| switch.files.iter().map(move |file| (switch, file)));
    for (switch, file) in files {
        for path in locate(file).iter().flat_map(|path| places::expanded(path)) {
            if !read.contains_key(&path) {
                read.insert(path.clone(), settings(&path)?);
            }
            lists.extend(read[&path].as_ref().and_then(|root| list(switch, root, &path, file.is_managed())));
        }
    }
    Ok(lists)
}

fn list(switch: &'static Switch, root: &Table, path: &Path, is_managed: bool) -> Option<List> {
    let items = match switch.key.as_str() {
        "" => Value::Object(root.clone()),
        key => document::find(root, key)?.clone(),
    };
    Some(List { switch, items, path: path.to_owned(), is_managed })
}

/// A settings file, if it is there. A broken one is the client's to complain about; it switches nothing off.
pub(super) fn settings(path: &Path) -> anyhow::Result<Option<Table>> {
    match crate::fs::read_capped(path, SETTINGS_LIMIT) {
        Ok(bytes) => Ok(document::parse(&bytes, Syntax::of(path)).ok().map(|document| document.root)),
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

/// Switches off what the lists say.
/// Errors: Lists and names so long that to compare them would take from the checks: a cloned repository must not be able to.
pub(super) fn apply<'l>(
    entries: &mut [Entry],
    scope: Scope,
    lists: impl Iterator<Item = &'l List>,
) -> anyhow::Result<()> {
    let lists: Vec<&List> = lists.collect();
    let patterns: usize = lists.iter().map(|list| list.items.to_string().len()).sum();
    let texts: usize = entries.iter().map(|entry| entry.name.len() + url(entry).len()).sum();
    if patterns.saturating_mul(texts) > MAX_COMPARED {
        bail!("its servers, or the lists that switch some of them off, are too many to be compared");
    }
    for entry in entries {
        if let Some(off) = off(entry, scope, &lists) {
            entry.off = Some(off);
        }
    }
    Ok(())
}

fn url(entry: &Entry) -> &str {
    match &entry.how {
        Ok(How::Http(http)) => http.written.url.expose(),
        _ => "",
    }
}

fn off(entry: &Entry, scope: Scope, lists: &[&List]) -> Option<String> {
    let denied = |list: &&&List| match list.switch.effect {
        Effect::Denied => list.denies(entry),
        Effect::DeniedInProjects => matches!(scope, Scope::Project | Scope::Config) && list.denies(entry),
        Effect::Allowed | Effect::AllowedByAny | Effect::OnlyManaged => false,
    };
    if let Some(list) = lists.iter().find(denied) {
        return Some(match list.switch.key.as_str() {
            "" => format!("{} has it switched off", list.path.display()),
            key => format!("it is listed in `{key}`"),
        });
    }
    let only_managed = lists.iter().filter(|list| list.switch.effect == Effect::OnlyManaged);
    let only_managed = only_managed.filter_map(|list| list.items.as_bool()).next_back() == Some(true);
    let mut allowing: Vec<(&Switch, &Vec<Value>)> = lists
        .iter()
        .filter(|list| matches!(list.switch.effect, Effect::Allowed | Effect::AllowedByAny))
        .filter(|list| list.is_managed || !only_managed)
        .filter_map(|list| Some((list.switch, list.items.as_array()?)))
        .collect();
    let (first, _) = *allowing.first()?;
    if first.effect == Effect::Allowed {
        allowing.truncate(1);
    }
    let patterns: Vec<&Value> = allowing.into_iter().flat_map(|(_, items)| items).collect();
    (!is_allowed(entry, &patterns, first.names)).then(|| format!("it is not listed in `{}`", first.key))
}

/// Where a list of what is allowed has commands (or URLs), those decide for programs (or URLs), and no name does.
fn is_allowed(entry: &Entry, patterns: &[&Value], names: Names) -> bool {
    let key = match &entry.how {
        Ok(How::Stdio(_)) => "serverCommand",
        Ok(How::Http(_)) => "serverUrl",
        Err(_) => "",
    };
    let deciding: Vec<&Value> = patterns.iter().filter(|pattern| pattern.get(key).is_some()).copied().collect();
    let counting = if deciding.is_empty() { patterns } else { &deciding };
    counting.iter().any(|pattern| matches(pattern, entry, names))
}

impl List {
    fn denies(&self, entry: &Entry) -> bool {
        let names = self.switch.names;
        match &self.items {
            Value::Array(items) => items.iter().any(|pattern| matches(pattern, entry, names)),
            Value::Object(states) => states.iter().any(|(name, state)| {
                state.get("enabled") == Some(&Value::Bool(false)) && is_name(name, &entry.name, names)
            }),
            _ => false,
        }
    }
}

/// Whether an item of a list means a server: its name as text, or one of Claude Code's three ways.
fn matches(pattern: &Value, entry: &Entry, names: Names) -> bool {
    if let Some(name) = pattern.as_str().or_else(|| pattern.get("serverName")?.as_str()) {
        return is_name(name, &entry.name, names);
    }
    match &entry.how {
        Ok(How::Stdio(stdio)) => pattern.get("serverCommand").and_then(Value::as_array).is_some_and(|words| {
            let written =
                [stdio.written.command.as_str()].into_iter().chain(stdio.written.args.iter().map(Secret::expose));
            words.iter().map(Value::as_str).eq(written.map(Some))
        }),
        Ok(How::Http(_)) => {
            pattern.get("serverUrl").and_then(Value::as_str).is_some_and(|glob| is_glob(glob, url(entry)))
        }
        Err(_) => false,
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

/// `*` stands for any signs, a slash included, and `?` for one. After a mismatch only the last `*` takes one sign more, so it costs
/// at most the product of the lengths.
pub(super) fn is_glob(pattern: &str, text: &str) -> bool {
    let [pattern, text] = [pattern, text].map(|of| of.chars().collect::<Vec<char>>());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(sign) if *sign == '?' || *sign == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((position, taken)) = star else { return false };
                star = Some((position, taken + 1));
                (at, seen) = (position + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|sign| *sign == '*')
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
            ("*ab", "aab", true),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "axbxb", false),
            ("a**", "a", true),
            ("", "", true),
            ("*?", "", false),
            ("a", "ab", false),
        ] {
            assert_eq!(is_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
