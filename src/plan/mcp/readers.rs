//! The shapes in which clients write their server lists, each read into [`Entry`]s.
//!
//! Reading is lenient about what does not matter here (unknown keys, numbers where strings belong) and never gives up
//! on a file for one bad entry: that entry becomes a server whose check says what is wrong with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::clients::{Keys, Preference, Unit, Untyped};
use super::document::{Table, find};
use super::entry::Entry;
use crate::model::mcp::{HttpServer, HttpTransport, Reach, StdioServer};
use crate::model::reason::{Failure, Reason};
use crate::redact::Secret;

/// The longest start limit that is believed: above it milliseconds have been taken for seconds.
const MAX_LIMIT: Duration = Duration::from_secs(3600);

pub(super) const DROPPED: &str = "the client drops an entry with a URL and no `type`; add `\"type\": \"http\"`";

fn first<'v>(table: &'v Table, keys: &[String]) -> Option<&'v Value> {
    keys.iter().find_map(|key| find(table, key)).filter(|value| !value.is_null())
}

/// The servers of a file by name, as written, in the file's order.
/// Errors: A list that is none, or does not stand where the client looks for it.
pub(super) fn list<'v>(root: &'v Table, keys: &Keys) -> anyhow::Result<Vec<(&'v str, &'v Value)>> {
    let entries = |table: &'v Table| table.iter().map(|(name, value)| (name.as_str(), value)).collect();
    match keys.container.iter().find_map(|key| Some((key, find(root, key)?))) {
        Some((_, Value::Null)) => Ok(Vec::new()),
        Some((_, Value::Object(table))) => Ok(entries(table)),
        Some((key, list)) => {
            // One without a name is left out, and said, where the names are looked at.
            let named =
                |item: &'v Value| Some((item.as_object()?.get("name").and_then(Value::as_str).unwrap_or(""), item));
            let items = list.as_array().and_then(|items| items.iter().map(named).collect());
            items.ok_or_else(|| anyhow!("{key:?} is no table of servers"))
        }
        None if keys.flat && looks_flat(root) => Ok(entries(root)),
        None => match misplaced(root) {
            None => Ok(Vec::new()),
            Some(place) => {
                bail!("its servers stand {place}; the client reads only those under `{}`", keys.container[0])
            }
        },
    }
}

/// Where the servers of a file stand that has none under the client's own key: at the top, or under another client's key, or under
/// one that is spelt in another way.
fn misplaced(root: &Table) -> Option<String> {
    if looks_flat(root) {
        return Some("at the top of the file".to_owned());
    }
    let is_list = |key: &str| {
        let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
        ["mcpservers", "servers", "contextservers", "mcp"].contains(&plain.to_ascii_lowercase().as_str())
    };
    let keys = root.keys().map(String::as_str).filter(|key| is_list(key)).chain(["mcp.servers"]);
    let mut lists = keys.filter(|key| find(root, key).and_then(Value::as_object).is_some_and(looks_flat));
    lists.next().map(|key| format!("under `{key}`"))
}

/// Whether everything at the top of a file is a server.
pub(super) fn looks_flat(root: &Table) -> bool {
    let is_server =
        |value: &Value| ["command", "url", "httpUrl", "serverUrl"].iter().any(|key| value.get(key).is_some());
    !root.is_empty() && root.values().all(is_server)
}

/// Whether an entry alone says how its server is reached. One that does not may be completed by another file.
pub(super) fn is_complete(value: &Value, keys: &Keys) -> bool {
    let Value::Object(table) = value else { return true };
    first(table, &keys.command).is_some() || keys.url.iter().any(|(key, _)| find(table, key).is_some())
}

/// Whether an entry only switches a server on or off.
pub(super) fn is_switch(value: &Value) -> bool {
    let only = |table: &Table| table.len() == 1 && ["enabled", "disabled"].iter().any(|key| table.contains_key(*key));
    value.as_object().is_some_and(only)
}

/// Reads the servers of a file.
pub(super) fn servers(root: &Table, keys: &Keys) -> anyhow::Result<Vec<Entry>> {
    let list = list(root, keys)?.into_iter();
    let mut entries: Vec<Entry> = list.filter_map(|(name, value)| server(name, value, keys)).collect();
    note_refusal(&mut entries, keys);
    Ok(entries)
}

/// Where one bad entry keeps the client from reading its file, that is said of the others.
pub(super) fn note_refusal(entries: &mut [Entry], keys: &Keys) {
    let refused = entries.iter().find(|entry| entry.is_refused).filter(|_| keys.refuses_file);
    let Some(note) = refused.map(|bad| format!("the client reads nothing of this file because of {:?}", bad.name))
    else {
        return;
    };
    entries.iter_mut().filter(|entry| !entry.is_refused).for_each(|entry| entry.notes.push(note.clone()));
}

/// Reads one server; `None` for something that is no server of its own (a part built into the client).
pub(super) fn server(name: &str, value: &Value, keys: &Keys) -> Option<Entry> {
    let none = Table::new();
    let outer = value.as_object().unwrap_or(&none);
    let table = unwrapped(outer);
    if is_built_in(table) {
        return None;
    }
    let refusal = refusal(table, keys);
    let is_refused = refusal.is_some();
    let written = match refusal {
        Some(refusal) => Err(refusal),
        None if !value.is_object() => broken(Reason::SpawnFailed, "the entry is no table"),
        None => written(table, keys),
    };
    let written = written.unwrap_or_else(Reach::Unreachable);
    let helper = table.get("headersHelper").map(|helper| match helper {
        Value::Array(words) => words.iter().filter_map(scalar).collect::<Vec<_>>().join(" "),
        other => scalar(other).unwrap_or_default(),
    });
    let ignores_headers = table.contains_key("headers") && !keys.headers.iter().any(|key| key == "headers");
    let is_untyped_url = matches!(&written, Reach::Http(_)) && matches!(transport(table), Ok(None));
    let fault = match &written {
        Reach::Unreachable(failure) => Some(failure.detail.clone()),
        Reach::Http(_) => unused(table, &keys.headers),
        _ => unused(table, &keys.env),
    };
    let notes = [
        fault,
        ignores_headers.then(|| format!("the client ignores `headers`; it reads `{}`", keys.headers[0])),
        (is_untyped_url && keys.untyped == Untyped::Noted).then(|| DROPPED.to_owned()),
        helper.as_ref().map(|_| "headers come from `headersHelper`, which lab-probe does not run".to_owned()),
    ];
    Some(Entry {
        name: name.to_owned(),
        written,
        inherit: inherited(table, keys),
        require: variable_names(table, keys.env_required.as_ref()),
        env_file: text(table, "envFile").filter(|file| !file.is_empty()),
        env_headers: env_headers(table, keys),
        off: [outer, table].into_iter().find_map(switched_off),
        is_refused,
        limit: [outer, table].into_iter().find_map(|table| limit(table, keys)),
        helper,
        notes: notes.into_iter().flatten().collect(),
        below: Vec::new(),
        is_part: false,
        refusal: None,
    })
}

/// What of a table of texts is none.
fn unused(table: &Table, keys: &[String]) -> Option<String> {
    let key = keys.iter().find(|key| find(table, key).is_some_and(|value| !value.is_null()))?;
    let Value::Object(texts) = find(table, key)? else {
        return Some(format!("`{key}` is no table of texts; nothing of it is used"));
    };
    // A whole header with its token may have been written in place of the name.
    let shown = |name: &String| {
        let is_name = name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign));
        if is_name { name.clone() } else { "…".to_owned() }
    };
    let odd: Vec<String> =
        texts.iter().filter(|(_, value)| value.is_array() || value.is_object()).map(|(name, _)| shown(name)).collect();
    (!odd.is_empty()).then(|| format!("no text, so left out of `{key}`: {}", odd.join(", ")))
}

/// Some files keep the settings one level down, beside `enabled`: under `config` (older Goose) or `transport` (Cline).
fn unwrapped(table: &Table) -> &Table {
    let inner = ["config", "transport"].iter().find_map(|key| table.get(*key)?.as_object());
    inner.filter(|inner| inner.contains_key("type") && !table.contains_key("type")).unwrap_or(table)
}

/// Parts of the client itself that stand in the same list (Goose).
fn is_built_in(table: &Table) -> bool {
    matches!(text(table, "type").as_deref(), Some("builtin" | "platform" | "frontend" | "inline_python"))
}

/// `disabled = true` or `enabled = false`, honoured for every client: whoever wrote it does not want the server started. So are
/// the words that YAML 1.1 takes for truth values, and their texts.
fn switched_off(table: &Table) -> Option<String> {
    let is = |key: &str, words: [&str; 4]| {
        let text = table.get(key).and_then(scalar).unwrap_or_default();
        words.iter().any(|word| text.eq_ignore_ascii_case(word))
    };
    if is("disabled", ["true", "yes", "on", "1"]) {
        return Some("`disabled` is true".into());
    }
    is("enabled", ["false", "no", "off", "0"]).then(|| "`enabled` is false".into())
}

fn limit(table: &Table, keys: &Keys) -> Option<Duration> {
    let (value, unit) = keys.limit.iter().find_map(|(key, unit)| Some((find(table, key)?.as_f64()?, *unit)))?;
    limit_of(value, unit)
}

pub(super) fn limit_of(value: f64, unit: Unit) -> Option<Duration> {
    let seconds = if unit == Unit::Milliseconds { value / 1000.0 } else { value };
    Duration::try_from_secs_f64(seconds.min(MAX_LIMIT.as_secs_f64())).ok().filter(|limit| !limit.is_zero())
}

fn refusal(table: &Table, keys: &Keys) -> Option<Failure> {
    let has = |key: &str| find(table, key).is_some_and(|value| !value.is_null());
    let conflicts = keys.conflicts.iter().filter(|(with, _)| with.is_empty() || has(with));
    let (with, key) =
        conflicts.flat_map(|(with, keys)| keys.iter().map(move |key| (with, key))).find(|(_, key)| has(key))?;
    let beside = if with.is_empty() { String::new() } else { format!(" beside `{with}`") };
    let reason = if first(table, &keys.command).is_some() { Reason::SpawnFailed } else { Reason::ConnectFailed };
    Some(Failure::new(reason, format!("the client refuses `{key}`{beside}")))
}

/// How the server is reached as the entry has it.
fn written(table: &Table, keys: &Keys) -> Result<Reach, Failure> {
    let stated = transport(table)?;
    let is_remote = matches!(stated, Some(HttpTransport::Http | HttpTransport::Sse));
    let prefers_command = match keys.preference {
        Preference::Command => true,
        Preference::Url => false,
        Preference::Type => !is_remote,
    };
    let url = keys.url.iter().find_map(|(key, transport)| Some((find(table, key)?.as_str()?, *transport)));
    if first(table, &keys.command).is_some() && (url.is_none() || prefers_command) {
        return stdio(table, keys).map(Reach::Stdio);
    }
    match url {
        Some(_) if stated.is_none() && keys.untyped == Untyped::Dropped => broken(Reason::NotConfigured, DROPPED),
        Some(_) if stated.is_none() && keys.untyped == Untyped::Refused => {
            broken(Reason::ConnectFailed, "the client refuses an entry with a URL and no `type`")
        }
        Some((url, of_key)) => Ok(Reach::Http(http(table, keys, url, of_key, stated))),
        None if keys.url.iter().any(|(key, _)| find(table, key).is_some_and(|value| !value.is_null())) => {
            broken(Reason::ConnectFailed, "its URL is no text")
        }
        None if is_remote => broken(Reason::ConnectFailed, "the entry has no URL"),
        None if only_settings(table) => broken(
            Reason::NotConfigured,
            "an extension of the client provides this server; how it is started is not in the file",
        ),
        None => broken(Reason::SpawnFailed, "the entry has neither a command nor a URL"),
    }
}

/// Zed keeps the settings of servers that extensions bring in the same list.
fn only_settings(table: &Table) -> bool {
    table.contains_key("settings") || matches!(table.get("source"), Some(Value::String(s)) if s == "extension")
}

/// The transport that an entry states, if any; `Auto` for a word that leaves it open (`remote`), or means a program.
/// Errors: One that only the client has. Nothing is known of such a server, neither that it is down nor that it is unusable.
fn transport(table: &Table) -> Result<Option<HttpTransport>, Failure> {
    let written = ["type", "transport", "transportType"].iter().find_map(|key| table.get(*key)?.as_str());
    let Some(written) = written else { return Ok(None) };
    let plain: String = written.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "http" | "https" | "streamablehttp" => Ok(Some(HttpTransport::Http)),
        "sse" => Ok(Some(HttpTransport::Sse)),
        "stdio" | "local" | "remote" | "" => Ok(Some(HttpTransport::Auto)),
        _ => broken(Reason::NotConfigured, format!("lab-probe cannot check servers over {written:?}")),
    }
}

fn stdio(table: &Table, keys: &Keys) -> Result<StdioServer, Failure> {
    let mut env = secret_map(first(table, &keys.env));
    let words = match first(table, &keys.command) {
        Some(Value::String(command)) if keys.splits_command && command.contains(char::is_whitespace) => {
            shlex::split(command)
        }
        Some(Value::String(command)) => Some(vec![command.clone()]),
        // opencode: program and arguments in one list.
        Some(Value::Array(items)) => items.iter().map(scalar).collect(),
        // Zed before 2025: a table of its own.
        Some(Value::Object(inner)) => {
            env.extend(secret_map(inner.get("env")));
            let args = inner.get("args").and_then(Value::as_array).into_iter().flatten();
            [text(inner, "path")].into_iter().chain(args.map(scalar)).collect()
        }
        _ => None,
    };
    // Anything else in place of an argument: what would be started is not what the client starts.
    let arguments = match table.get("args") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(scalar).collect(),
        Some(_) => None,
    };
    let (Some(words), Some(arguments)) = (words, arguments) else {
        return broken(Reason::SpawnFailed, "its command or `args` is no list of words; nothing is started");
    };
    let mut words = words.into_iter();
    let command = words.next().unwrap_or_default();
    if command.trim().is_empty() {
        return broken(Reason::CommandNotFound, "the entry's command is empty");
    }
    if keys.empty_env_is_inherited {
        env.retain(|_, value| !value.expose().is_empty());
    }
    let cwd = first(table, &keys.cwd).and_then(scalar).filter(|cwd| !cwd.is_empty()).map(PathBuf::from);
    Ok(StdioServer { command, args: words.chain(arguments).map(Secret::new).collect(), env, cwd })
}

/// The variables that come from the client's environment where they are set there.
fn inherited(table: &Table, keys: &Keys) -> Vec<String> {
    let env = first(table, &keys.env).and_then(Value::as_object).filter(|_| keys.empty_env_is_inherited);
    let empty = env.into_iter().flatten().filter(|(_, value)| value.is_null() || *value == "");
    let empty = empty.map(|(name, _)| name.clone());
    variable_names(table, keys.env_names.as_ref()).into_iter().chain(empty).collect()
}

fn http(table: &Table, keys: &Keys, url: &str, of_key: HttpTransport, stated: Option<HttpTransport>) -> HttpServer {
    let stated = stated.filter(|_| keys.preference != Preference::Command);
    let transport = match (of_key, stated) {
        (HttpTransport::Auto, Some(HttpTransport::Http)) => keys.http,
        (HttpTransport::Auto, Some(HttpTransport::Sse)) => HttpTransport::Sse,
        (HttpTransport::Auto, _) => keys.remote,
        // A key that stands for one transport (`httpUrl`) says more than `type`.
        (of_key, _) => of_key,
    };
    let headers = secret_map(first(table, &keys.headers)).into_iter().collect();
    HttpServer { url: Secret::new(url), transport, headers, ca_file: None, login: None }
}

/// Headers whose values are in environment variables, as in [`Entry::env_headers`].
fn env_headers(table: &Table, keys: &Keys) -> Vec<(String, String, String)> {
    let named = keys.env_headers.as_ref().and_then(|key| table.get(key)).and_then(Value::as_object);
    let variable = |(header, name): (&String, &Value)| Some((header.clone(), String::new(), name.as_str()?.to_owned()));
    let mut env_headers: Vec<_> = named.into_iter().flatten().filter_map(variable).collect();
    if let Some(variable) = first(table, &keys.bearer_variable).and_then(scalar).filter(|name| !name.is_empty()) {
        // Mistral Vibe: another header, and another text around the token.
        let either = |key: &str| find(table, key).or_else(|| find(table, &format!("auth.{key}"))).and_then(scalar);
        let header = either("api_key_header").unwrap_or_else(|| "Authorization".into());
        let format = either("api_key_format").unwrap_or_else(|| "Bearer {token}".into());
        env_headers.push((header, format.split('{').next().unwrap_or_default().to_owned(), variable));
    }
    env_headers
}

fn broken<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(reason, detail))
}

/// A string, or a number or truth value as one.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn secret_map(value: Option<&Value>) -> BTreeMap<String, Secret> {
    let table = value.and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), Secret::new(scalar(value)?)))).collect()
}

/// Names of variables under a key: plain strings, or tables with a `name`.
fn variable_names(table: &Table, key: Option<&String>) -> Vec<String> {
    let items = key.and_then(|key| table.get(key)?.as_array()).into_iter().flatten();
    items.filter_map(|item| Some(item.get("name").unwrap_or(item).as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests;
