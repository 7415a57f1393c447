//! Lists that switch servers off: by name, or, in Claude Code's policies, by command or URL.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde_json::Value;
use wildmatch::WildMatch;

use super::clients::{Client, Effect, Location, Names, Scope, Switch};
use super::document::{self, Syntax, Table};
use super::entry::Entry;
use super::places::{self, ListFile};
use super::sources::Source;
use crate::config::environment::HostEnvironment;
use crate::fs::explained;
use crate::model::mcp::Reach;
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
pub(super) fn of_project(file: &ListFile) -> anyhow::Result<Vec<List>> {
    let Some(project) = &file.project else { return Ok(Vec::new()) };
    in_files(file.client, |location| project.locate(location)).map_err(|why| may_switch_off(&why, &file.path))
}

/// The lists in files of the user and the machine.
pub(super) fn everywhere(client: &'static Client, host: &HostEnvironment) -> anyhow::Result<Vec<List>> {
    in_files(client, |location| places::locate(location, host))
}

/// The lists in a client's own list.
pub(super) fn in_source(source: &Source) -> impl Iterator<Item = List> {
    let own = source.file.client.switches.iter().filter(|switch| switch.files.is_empty());
    own.filter_map(|switch| list(switch, &source.document.root, &source.file.path, false))
}

fn in_files(client: &'static Client, locate: impl Fn(&Location) -> Option<PathBuf>) -> anyhow::Result<Vec<List>> {
    let mut lists = Vec::new();
    let files = client.switches.iter().flat_map(|switch| switch.files.iter().map(move |file| (switch, file)));
    for (switch, file) in files {
        for path in locate(file).iter().flat_map(|path| places::expanded(path)) {
            lists.extend(list(switch, &settings(&path)?, &path, file.is_managed()));
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

/// What a settings file says; nothing where there is none, or one that the client would not read. A broken one is the client's to
/// complain about.
pub(super) fn settings(path: &Path) -> anyhow::Result<Table> {
    use ErrorKind::{FileTooLarge, InvalidInput, NotADirectory, NotFound};
    match crate::fs::read_capped(path, SETTINGS_LIMIT) {
        Ok(bytes) => {
            Ok(document::parse(&bytes, Syntax::of(path)).map_or_else(|_| Table::new(), |document| document.root))
        }
        Err(e) if matches!(e.kind(), NotFound | NotADirectory | InvalidInput | FileTooLarge) => Ok(Table::new()),
        Err(e) => bail!("{}: {}", path.display(), explained(&e)),
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
    let url = |entry: &Entry| if let Reach::Http(server) = &entry.written { server.url.expose().len() } else { 0 };
    let texts: usize = entries.iter().map(|entry| entry.name.len() + url(entry)).sum();
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
    let key = match &entry.written {
        Reach::Stdio(_) => "serverCommand",
        Reach::Http(_) => "serverUrl",
        _ => "",
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
    match &entry.written {
        Reach::Stdio(server) => pattern.get("serverCommand").and_then(Value::as_array).is_some_and(|words| {
            let written = [server.command.as_str()].into_iter().chain(server.args.iter().map(Secret::expose));
            words.iter().map(Value::as_str).eq(written.map(Some))
        }),
        Reach::Http(server) => {
            let glob = pattern.get("serverUrl").and_then(Value::as_str);
            glob.is_some_and(|glob| WildMatch::new(glob).matches(server.url.expose()))
        }
        _ => false,
    }
}

fn is_name(pattern: &str, name: &str, names: Names) -> bool {
    let plain = |text: &str| text.trim().to_lowercase();
    match names {
        Names::Exact => pattern == name,
        Names::AnyCase => plain(pattern) == plain(name),
        Names::Glob => WildMatch::new(pattern).matches(name),
    }
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
            assert_eq!(is_name(pattern, text, Names::Glob), expected, "{pattern} {text}");
        }
    }
}
