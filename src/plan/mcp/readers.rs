//! The shapes in which clients write their server lists, each read into [`Entry`]s.
//!
//! Reading is lenient about what does not matter here (unknown keys, numbers where strings belong) and never gives up
//! on a file for one bad entry: that entry becomes a server whose check says what is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::entry::{Entry, How, Http, Stdio};
use crate::model::mcp::HttpTransport;
use crate::model::reason::Reason;
use crate::redact::Secret;

type Table = Map<String, Value>;

/// The keys that differ between clients that otherwise use the same shape: a table of servers by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// The table's key at the top of the file.
    pub(super) container: &'static str,
    /// The program.
    pub(super) command: &'static str,
    /// Variables for the program.
    pub(super) env: &'static str,
    /// Variables whose values come from the client's environment, where set.
    pub(super) env_names: Option<&'static str>,
    /// The same, but the server cannot do without them.
    pub(super) env_required: Option<&'static str>,
    /// The URL, in the order in which they win, each with the transport it stands for.
    pub(super) url: &'static [(&'static str, HttpTransport)],
    /// Headers.
    pub(super) headers: &'static str,
    /// Headers whose values are in environment variables.
    pub(super) env_headers: Option<&'static str>,
    /// The environment variable with a bearer token.
    pub(super) bearer_variable: Option<&'static str>,
    /// Keys that make the client refuse the entry, each with what to use instead.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// Which key decides when an entry has both a program and a URL.
    pub(super) preference: Preference,
    /// What a plain URL without a `type` stands for.
    pub(super) remote: HttpTransport,
    /// What `type = "http"` stands for: some clients fall back to SSE even then.
    pub(super) http: HttpTransport,
}

/// Which key decides when an entry has both a program and a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    /// `type`; without it the program.
    Type,
    /// The program, whatever `type` says.
    Command,
    /// The URL, whatever `type` says.
    Url,
}

/// The keys most clients share.
pub(super) const COMMON: Keys = Keys {
    container: "mcpServers",
    command: "command",
    env: "env",
    env_names: None,
    env_required: None,
    url: &[("url", HttpTransport::Auto), ("serverUrl", HttpTransport::Auto)],
    headers: "headers",
    env_headers: None,
    bearer_variable: None,
    refused: &[],
    preference: Preference::Type,
    remote: HttpTransport::Auto,
    http: HttpTransport::Http,
};

/// Reads the servers in the table `keys.container` of `root`.
///
/// # Errors
/// A sentence when the container is there and is no table.
pub(super) fn servers(root: &Table, keys: &Keys) -> Result<Vec<Entry>, String> {
    let Some(container) = root.get(keys.container) else { return Ok(Vec::new()) };
    let table = match container {
        Value::Null => return Ok(Vec::new()),
        Value::Object(table) => table,
        _ => return Err(format!("{:?} is no table of servers", keys.container)),
    };
    Ok(table.iter().filter_map(|(name, value)| server(name, value, keys)).collect())
}

/// Reads one server; `None` for something that is no server of its own (a part built into the client).
fn server(name: &str, value: &Value, keys: &Keys) -> Option<Entry> {
    let Value::Object(table) = value else {
        return Some(Entry::new(name, broken(Reason::SpawnFailed, "the entry is no table")));
    };
    let outer = table;
    let table = unwrapped(table);
    if is_built_in(table) {
        return None;
    }
    let mut entry = Entry::new(name, how(table, keys));
    entry.off = switched_off(outer).or_else(|| switched_off(table));
    if keys.headers != "headers" && table.contains_key("headers") {
        entry.notes.push(format!("the client ignores `headers`; it reads `{}`", keys.headers));
    }
    Some(entry)
}

/// Older files of one client (Goose) keep the settings one level down, beside `enabled`.
fn unwrapped(table: &Table) -> &Table {
    match table.get("config") {
        Some(Value::Object(inner)) if inner.contains_key("type") && !table.contains_key("type") => inner,
        _ => table,
    }
}

/// Parts of the client itself that stand in the same list (Goose).
fn is_built_in(table: &Table) -> bool {
    matches!(text(table, "type").as_deref(), Some("builtin" | "platform" | "frontend" | "inline_python"))
}

/// `disabled = true` or `enabled = false`, honoured for every client: whoever wrote it does not want the server started.
fn switched_off(table: &Table) -> Option<String> {
    match (table.get("disabled"), table.get("enabled")) {
        (Some(Value::Bool(true)), _) => Some("`disabled` is true".into()),
        (_, Some(Value::Bool(false))) => Some("`enabled` is false".into()),
        _ => None,
    }
}

fn how(table: &Table, keys: &Keys) -> How {
    if let Some((key, instead)) = keys.refused.iter().find(|(key, _)| table.contains_key(*key)) {
        return broken(Reason::ConnectFailed, &format!("the client refuses entries with `{key}`; it wants {instead}"));
    }
    let kind = match kind(table) {
        Ok(kind) => kind,
        Err(other) => {
            return broken(Reason::ConnectFailed, &format!("{other:?} is no transport lab-probe knows"));
        }
    };
    let url = keys.url.iter().find_map(|(key, transport)| Some((text(table, key)?, *transport)));
    let has_command = table.get(keys.command).is_some_and(|command| !command.is_null());
    let use_command = match (has_command, &url) {
        (true, None) => true,
        (false, _) => false,
        (true, Some(_)) => match keys.preference {
            Preference::Command => true,
            Preference::Url => false,
            Preference::Type => matches!(kind, None | Some(Kind::Stdio)),
        },
    };
    match (use_command, url, kind) {
        (true, _, _) => stdio(table, keys),
        (false, Some((url, transport)), kind) => http(table, keys, url, transport, kind),
        (false, None, Some(Kind::Http(_))) => broken(Reason::ConnectFailed, "the entry has no URL"),
        (false, None, _) if only_settings(table) => broken(
            Reason::NotConfigured,
            "an extension of the client provides this server; how it is started is not in the file",
        ),
        (false, None, _) => broken(Reason::SpawnFailed, "the entry has neither a command nor a URL"),
    }
}

/// Zed keeps the settings of servers that extensions bring in the same list.
fn only_settings(table: &Table) -> bool {
    table.contains_key("settings") || matches!(table.get("source"), Some(Value::String(s)) if s == "extension")
}

/// What `type` (or one of its other names) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stdio,
    Http(HttpTransport),
}

fn kind(table: &Table) -> Result<Option<Kind>, String> {
    let Some(written) = ["type", "transport", "transportType"].iter().find_map(|key| text(table, key)) else {
        return Ok(None);
    };
    let plain: String = written.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "stdio" | "local" => Ok(Some(Kind::Stdio)),
        "http" | "https" | "streamablehttp" => Ok(Some(Kind::Http(HttpTransport::Http))),
        "sse" => Ok(Some(Kind::Http(HttpTransport::Sse))),
        "remote" | "" => Ok(None),
        _ => Err(written),
    }
}

fn stdio(table: &Table, keys: &Keys) -> How {
    let mut stdio = Stdio { env: secret_map(table.get(keys.env)), ..Stdio::default() };
    match table.get(keys.command) {
        Some(Value::String(command)) => stdio.command = command.clone(),
        // opencode: program and arguments in one list.
        Some(Value::Array(items)) => {
            let mut words = items.iter().filter_map(scalar);
            stdio.command = words.next().unwrap_or_default();
            stdio.args = words.map(Secret::new).collect();
        }
        // Zed before 2025: a table of its own.
        Some(Value::Object(inner)) => {
            stdio.command = text(inner, "path").unwrap_or_default();
            stdio.args = secrets(inner.get("args"));
            stdio.env.extend(secret_map(inner.get("env")));
        }
        _ => {}
    }
    if stdio.command.trim().is_empty() {
        return broken(Reason::CommandNotFound, "the entry's command is empty");
    }
    stdio.args.extend(secrets(table.get("args")));
    stdio.cwd = text(table, "cwd").filter(|cwd| !cwd.is_empty());
    stdio.env_file = text(table, "envFile").filter(|file| !file.is_empty());
    stdio.inherit = keys.env_names.map(|key| variable_names(table.get(key))).unwrap_or_default();
    stdio.require = keys.env_required.map(|key| variable_names(table.get(key))).unwrap_or_default();
    How::Stdio(stdio)
}

fn http(table: &Table, keys: &Keys, url: String, transport: HttpTransport, kind: Option<Kind>) -> How {
    let transport = match (transport, kind) {
        // A key that stands for one transport (`httpUrl`) says more than `type`.
        (HttpTransport::Http | HttpTransport::Sse, _) => transport,
        (HttpTransport::Auto, _) if keys.preference == Preference::Command => keys.remote,
        (HttpTransport::Auto, Some(Kind::Http(HttpTransport::Http))) => keys.http,
        (HttpTransport::Auto, Some(Kind::Http(transport))) => transport,
        (HttpTransport::Auto, _) => keys.remote,
    };
    let named = keys.env_headers.and_then(|key| table.get(key)).and_then(Value::as_object);
    let variable = |(header, name): (&String, &Value)| Some((header.clone(), "", name.as_str()?.to_owned()));
    let mut env_headers: Vec<_> = named.into_iter().flatten().filter_map(variable).collect();
    if let Some(variable) = keys.bearer_variable.and_then(|key| text(table, key)) {
        env_headers.push(("Authorization".into(), "Bearer ", variable));
    }
    let headers = secret_map(table.get(keys.headers)).into_iter().collect();
    How::Http(Http { url: Secret::new(url), transport, headers, env_headers })
}

fn broken(reason: Reason, detail: &str) -> How {
    How::Broken { reason, detail: detail.to_owned() }
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

pub(super) fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).map(|items| items.iter().filter_map(scalar).collect()).unwrap_or_default()
}

fn secrets(value: Option<&Value>) -> Vec<Secret> {
    strings(value).into_iter().map(Secret::new).collect()
}

fn secret_map(value: Option<&Value>) -> BTreeMap<String, Secret> {
    let table = value.and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), Secret::new(scalar(value)?)))).collect()
}

/// Names of variables: plain strings, or tables with a `name`.
fn variable_names(value: Option<&Value>) -> Vec<String> {
    let name = |item: &Value| match item {
        Value::Object(table) => text(table, "name"),
        other => other.as_str().map(str::to_owned),
    };
    value.and_then(Value::as_array).map(|items| items.iter().filter_map(name).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(value: &Value, keys: &Keys) -> Entry {
        let Value::Object(root) = json!({ keys.container: { "a": value } }) else { panic!("a table") };
        servers(&root, keys).expect("a table").pop().expect("an entry")
    }

    fn broken_reason(value: Value) -> Option<Reason> {
        match one(&value, &COMMON).how {
            How::Broken { reason, .. } => Some(reason),
            _ => None,
        }
    }

    fn transport(value: Value) -> HttpTransport {
        match one(&value, &COMMON).how {
            How::Http(http) => http.transport,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_transport_goes_by_many_names() {
        for name in ["http", "HTTP", "streamable-http", "streamableHttp", "streamable_http"] {
            assert_eq!(transport(json!({"type": name, "url": "http://h/"})), HttpTransport::Http, "{name}");
        }
        for key in ["type", "transport", "transportType"] {
            assert_eq!(transport(json!({key: "sse", "url": "http://h/"})), HttpTransport::Sse, "{key}");
        }
        assert_eq!(transport(json!({"type": "remote", "url": "http://h/"})), HttpTransport::Auto);
        assert_eq!(transport(json!({"type": "http", "command": "x", "url": "http://h/"})), HttpTransport::Http);
        for name in ["stdio", "local"] {
            let entry = one(&json!({"type": name, "command": "x", "url": "http://h/"}), &COMMON);
            assert!(matches!(entry.how, How::Stdio(_)), "{name}");
        }
    }

    #[test]
    fn an_entry_that_names_no_server_says_what_is_wrong_with_it() {
        for (value, reason) in [
            (json!("text"), Reason::SpawnFailed),
            (json!(null), Reason::SpawnFailed),
            (json!({}), Reason::SpawnFailed),
            (json!({"command": ""}), Reason::CommandNotFound),
            (json!({"command": []}), Reason::CommandNotFound),
            (json!({"command": 5}), Reason::CommandNotFound),
            (json!({"type": "http"}), Reason::ConnectFailed),
            (json!({"type": "telepathy", "url": "http://h/"}), Reason::ConnectFailed),
            (json!({"settings": {}}), Reason::NotConfigured),
        ] {
            assert_eq!(broken_reason(value.clone()), Some(reason), "{value}");
        }
    }

    #[test]
    fn numbers_and_truth_values_are_taken_as_text_and_other_values_left_out() {
        let value =
            json!({"command": "x", "args": [1, true, null, ["y"], "z"], "env": {"N": 8080, "B": false, "O": {}}});
        let How::Stdio(stdio) = one(&value, &COMMON).how else { panic!("a program") };
        assert_eq!(stdio.args.iter().map(Secret::expose).collect::<Vec<_>>(), ["1", "true", "z"]);
        let env: Vec<(&str, &str)> = stdio.env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(env, [("B", "false"), ("N", "8080")]);
    }

    #[test]
    fn either_way_of_switching_off_counts_also_one_level_up() {
        for value in [
            json!({"command": "x", "disabled": true}),
            json!({"command": "x", "enabled": false}),
            json!({"enabled": false, "config": {"type": "stdio", "command": "x"}}),
        ] {
            assert!(one(&value, &COMMON).off.is_some(), "{value}");
        }
        for value in [json!({"command": "x", "disabled": false}), json!({"command": "x", "enabled": "no"})] {
            assert_eq!(one(&value, &COMMON).off, None, "{value}");
        }
    }

    #[test]
    fn a_list_in_place_of_the_table_is_an_error_and_a_missing_one_is_none() {
        let root = |value: Value| value.as_object().cloned().expect("a table");
        assert_eq!(servers(&root(json!({})), &COMMON), Ok(Vec::new()));
        assert_eq!(servers(&root(json!({"mcpServers": null})), &COMMON), Ok(Vec::new()));
        assert!(servers(&root(json!({"mcpServers": []})), &COMMON).is_err());
    }
}
