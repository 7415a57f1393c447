//! What is known of a client: where its server lists lie, how they are written, and how variables in them are meant.
//! The clients themselves are the rows of `clients.toml`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::document::{Syntax, Table, merged};
use super::variables::Rule;
use crate::model::mcp::HttpTransport;

struct Clients {
    all: Vec<Client>,
    generic: Client,
}

static TABLE: LazyLock<Clients> = LazyLock::new(|| {
    read(include_str!("clients.toml")).unwrap_or_else(|error| unreachable!("a test reads it: {error}"))
});

fn read(text: &str) -> anyhow::Result<Clients> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rows {
        usual: Value,
        generic: Value,
        client: Vec<Value>,
    }
    let Rows { usual, generic, client } = toml::from_str(text)?;
    let row = |row: Value| serde_json::from_value(merged(usual.clone(), row));
    Ok(Clients { all: client.into_iter().map(row).collect::<Result<_, _>>()?, generic: row(generic)? })
}

/// Every client, in the order in which equally ranked servers of one name are told apart.
pub(super) fn all() -> &'static [Client] {
    &TABLE.all
}

/// Stands for a file named in `config_files` that belongs to no client.
pub(super) fn generic() -> &'static Client {
    &TABLE.generic
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Client {
    /// The word for `Origin::source` and for telling two servers of one name apart.
    pub(super) name: String,
    pub(super) title: String,
    /// Where its files and rules are written, for the documents.
    pub(super) documented: String,
    files: BTreeMap<Scope, Vec<Location>>,
    pub(super) keys: Keys,
    pub(super) variables: Rule,
    /// Whether the client is known to accept comments and trailing commas in its JSON.
    pub(super) comments: bool,
    /// Whether its files are merged key by key, so that an entry may be completed by another file.
    pub(super) merges_keys: bool,
    /// Whether the user's file also has lists for single projects, under `projects` (Claude Code).
    pub(super) has_local_lists: bool,
    /// Whether a file of the administrator leaves no other list in force (Claude Code).
    pub(super) managed_is_exclusive: bool,
    pub(super) switches: Vec<Switch>,
    pub(super) plugins: Vec<Plugins>,
    /// The environment variable with the client's start limit for all servers, in milliseconds.
    pub(super) limit_variable: Option<String>,
    /// The settings file whose `env` holds variables for the client itself.
    pub(super) environment: Option<Location>,
    /// Whether it does not run on Node.js, which trusts the certificates in `NODE_EXTRA_CA_CERTS`.
    pub(super) is_native: bool,
    pub(super) login: Option<Login>,
    /// Whether the client is reported to leave variables in headers as they stand.
    pub(super) header_variables_doubted: bool,
}

impl Client {
    /// Its files, the strongest first.
    pub(super) fn files(&self) -> impl Iterator<Item = (Scope, &Location)> {
        self.files.iter().flat_map(|(scope, files)| files.iter().map(|file| (*scope, file)))
    }

    /// The keys of its files of a scope: a plugin may leave the table around its servers away, and a project's `.mcp.json` is
    /// Copilot CLI's, too.
    pub(super) fn keys_in(&self, scope: Scope) -> Keys {
        let mut keys = self.keys.clone();
        match scope {
            Scope::Plugin => (keys.flat, keys.container) = (true, vec!["mcpServers".into()]),
            Scope::Project | Scope::Config if keys.untyped == Untyped::Dropped => keys.untyped = Untyped::Noted,
            _ => {}
        }
        keys
    }
}

/// The keys of a client's list. Where several are given the first that is there counts; a key with dots in it also
/// stands for tables in tables. What a client's row leaves out is as in the row `usual`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Keys {
    /// The list: a table of servers by name, or a list of servers with a `name`.
    pub(super) container: Vec<String>,
    pub(super) command: Vec<String>,
    /// Whether the program's string may hold arguments, separated as in a shell.
    pub(super) splits_command: bool,
    pub(super) env: Vec<String>,
    /// Whether a variable of `env` that is null or empty comes from the client's environment.
    pub(super) empty_env_is_inherited: bool,
    /// Variables whose values come from the client's environment, where set.
    pub(super) env_names: Option<String>,
    /// The same, but the server cannot do without them.
    pub(super) env_required: Option<String>,
    pub(super) cwd: Vec<String>,
    /// The URL, in the order in which they win, each with the transport it stands for.
    pub(super) url: Vec<(String, HttpTransport)>,
    pub(super) headers: Vec<String>,
    /// Headers whose values are in environment variables.
    pub(super) env_headers: Option<String>,
    pub(super) bearer_variable: Vec<String>,
    /// Keys that make the client refuse an entry: if it has the first (`""`: in any case), it must have none of these.
    pub(super) conflicts: Vec<(String, Vec<String>)>,
    /// Whether the client then reads nothing of the whole file.
    pub(super) refuses_file: bool,
    pub(super) untyped: Untyped,
    pub(super) preference: Preference,
    /// What a plain URL without a `type` stands for.
    pub(super) remote: HttpTransport,
    /// What `type = "http"` stands for: some clients fall back to SSE even then.
    pub(super) http: HttpTransport,
    pub(super) limit: Vec<(String, Unit)>,
    /// Whether the servers may stand at the top of the file, with no table around them.
    pub(super) flat: bool,
}

/// Which key decides when an entry has both a program and a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Preference {
    /// `type`; without it the program.
    #[default]
    Type,
    /// The program, whatever `type` says.
    Command,
    /// The URL, whatever `type` says.
    Url,
}

/// What a client makes of a URL without a `type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Untyped {
    #[default]
    Server,
    /// Nothing, without a word.
    Dropped,
    /// The same, but others that read the file take it for a server.
    Noted,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// With or without a fraction.
    Seconds,
    Milliseconds,
}

/// A file, by what its path is relative to, as `clients.toml` writes it. A component `*` stands for every file or directory there.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Location(String);

impl Location {
    /// What the path is relative to (empty: the top of the file system), and the path from there.
    pub(super) fn split(&self) -> (&str, &str) {
        let end = if self.0.starts_with("${") { self.0.find('}').map(|end| end + 1) } else { self.0.find('/') };
        let (base, path) = self.0.split_at(end.unwrap_or(self.0.len()));
        (base, path.trim_start_matches('/'))
    }

    /// Whether only the machine's administrator can write it.
    pub(super) fn is_managed(&self) -> bool {
        self.split().0.is_empty()
    }
}

/// Whose list a file is. The order is the order in which two servers of one name are told apart: the first keeps the
/// plain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// Named in lab-probe's own `config_files`.
    Config,
    /// The user's own for one project, kept in the user's home.
    Local,
    Project,
    Managed,
    User,
    Defaults,
    Plugin,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Scope::Config => "config",
            Scope::Local => "local",
            Scope::Project => "project",
            Scope::Managed | Scope::Defaults => "managed",
            Scope::User => "user",
            Scope::Plugin => "plugin",
        }
    }

    /// Whether a file of this scope holds for every project.
    pub(super) fn is_everywhere(self) -> bool {
        matches!(self, Scope::Managed | Scope::User | Scope::Defaults)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// The files that have the list; none is each of the client's own lists. One in a project holds for the servers of that project.
    #[serde(default)]
    pub(super) files: Vec<Location>,
    /// Where the list is in the file, table by table; empty is the whole file.
    pub(super) key: String,
    pub(super) effect: Effect,
    #[serde(default)]
    pub(super) names: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    /// What is listed is off; of a table by name those with `"enabled": false`.
    Denied,
    /// Denies servers of project files only.
    DeniedInProjects,
    /// What is not listed is off, if there is a list. Of several lists the first counts.
    Allowed,
    /// As before, but several lists are one.
    AllowedByAny,
    /// No list, but whether only the administrator's lists of what is allowed count. The last one that is there decides.
    OnlyManaged,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Names {
    #[default]
    Exact,
    /// Without case and outer white space.
    AnyCase,
    /// `*` and `?` stand for other characters.
    Glob,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugins {
    pub(super) directory: Location,
    pub(super) layout: Layout,
    /// The files of one that can have a list, the first that is there counts.
    pub(super) lists: Vec<String>,
    /// A manifest whose `mcpServers` is a list, or names the file that has it.
    pub(super) manifest: Option<String>,
    /// Names in `${…}` that stand for the plugin's directory.
    #[serde(default)]
    pub(super) variables: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Layout {
    /// Each directory is one. The file `enablement` beside them switches single ones off by directory rules.
    Each { enablement: Option<String> },
    /// `MARKETPLACE/NAME/VERSION`, or where `registry` says. `key` is that of a table by `NAME@MARKETPLACE` in the files
    /// `enabled`: those of a project are for what `registry` says was installed for that project.
    Cache { registry: Option<String>, enabled: Vec<Location>, key: String },
    /// `MARKETPLACE/NAME/VERSION`: of each the one that was written last.
    Newest,
}

/// How a user logs in to a server whose client does OAuth itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// What to type; `NAME` is the server's name.
    pub(super) command: String,
    /// The file with one record for each server that the client is logged in to, and the key of the records.
    pub(super) records: Option<(Location, String)>,
}

/// The client that keeps its list in a file with this path, by the longest end that is one of its files of these scopes, and how many
/// components that has: `…/.cursor/mcp.json` is Cursor's wherever it lies. Names that could be anybody's (`config.toml`) do not count.
pub(super) fn by_path(path: &Path, is_meant: impl Fn(Scope) -> bool) -> Option<(&'static Client, usize)> {
    let files =
        all().iter().flat_map(|client| client.files().map(move |(scope, file)| (client, scope, file.split().1)));
    let is_telling = |scope, name: &str| scope == Scope::Project || name.contains('/') || name.starts_with('.');
    let telling = files.filter(|(_, scope, name)| is_meant(*scope) && is_telling(*scope, name));
    let found = telling.filter_map(|(client, _, name)| {
        let (end, extra) = name.strip_suffix("/*").map_or((name, 0), |directory| (directory, 1));
        let is_end = !end.is_empty() && path.ancestors().nth(extra)?.ends_with(end);
        is_end.then(|| (client, Path::new(end).components().count() + extra))
    });
    found.min_by_key(|(_, depth)| Reverse(*depth))
}

/// The client whose list has its key at the top of a file of this syntax.
pub(super) fn by_contents(syntax: Syntax, root: &Table) -> Option<&'static Client> {
    let has_list = |client: &&Client| client.keys.container.iter().any(|key| root.contains_key(key));
    let is_read = |client: &&Client| client.files().any(|(_, file)| Syntax::of(Path::new(file.split().1)) == syntax);
    let generic = Some(generic()).filter(|_| syntax == Syntax::Json);
    generic.into_iter().chain(all().iter().filter(is_read)).find(has_list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_client_says_where_it_is_written() {
        let mut names: Vec<&str> = all().iter().map(|client| client.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
        for client in all() {
            let said =
                [&client.name, &client.title, &client.documented].into_iter().chain(client.keys.container.first());
            assert_eq!(said.filter(|text| !text.is_empty()).count(), 4, "{}", client.name);
            // A page by its address, or a repository on GitHub.
            let is_place = |source: &str| source.split(' ').next().is_some_and(|address| address.contains('/'));
            assert!(client.documented.split("; ").all(is_place), "{}: {}", client.name, client.documented);
            let bases = ["", "~", "CONFIG", "DATA", "APPLICATION"];
            let is_placed = |base: &str| bases.contains(&base) || base.starts_with("${") && base.ends_with('}');
            let is_right = |scope, base| if scope == Scope::Project { base == "PROJECT" } else { is_placed(base) };
            assert!(client.files().all(|(scope, file)| is_right(scope, file.split().0)), "{}", client.name);
        }
    }

    #[test]
    fn a_place_is_written_by_what_it_is_relative_to() {
        for (written, base, path) in [
            ("~/.cursor/mcp.json", "~", ".cursor/mcp.json"),
            ("/etc/a/b.json", "", "etc/a/b.json"),
            ("CONFIG/zed/settings.json", "CONFIG", "zed/settings.json"),
            ("PROJECT/.a/b", "PROJECT", ".a/b"),
            ("${X:-~}/.claude.json", "${X:-~}", ".claude.json"),
            ("${X:-~/.codex}/config.toml", "${X:-~/.codex}", "config.toml"),
            ("${OPENCODE_CONFIG}", "${OPENCODE_CONFIG}", ""),
        ] {
            assert_eq!(Location(written.to_owned()).split(), (base, path), "{written}");
        }
    }

    #[test]
    fn a_file_named_by_hand_is_known_by_its_path_or_else_by_its_keys() {
        for (path, found) in [
            ("/a/.mcp.json", Some(("claude-code", 1))),
            ("/a/.claude.json", Some(("claude-code", 1))),
            ("/a/.cursor/mcp.json", Some(("cursor", 2))),
            ("/a/.vscode/mcp.json", Some(("vscode", 2))),
            ("/a/.codex/config.toml", Some(("codex", 2))),
            ("/a/.grok/config.toml", Some(("grok-cli", 2))),
            ("/a/.warp/.mcp.json", Some(("warp", 2))),
            ("/home/joe/.aws/amazonq/mcp.json", Some(("amazon-q", 3))),
            ("/a/.continue/mcpServers/x.yaml", Some(("continue", 3))),
            ("/a/opencode.jsonc", Some(("opencode", 1))),
            ("/a/config.toml", None),
            ("/a/mcp.json", None),
        ] {
            let client = by_path(Path::new(path), |_| true);
            assert_eq!(client.map(|(client, depth)| (client.name.as_str(), depth)), found, "{path}");
        }
        let name = |syntax, key: &str| {
            by_contents(syntax, &Table::from_iter([(key.to_owned(), serde_json::Value::Null)])).map(|c| c.name.as_str())
        };
        assert_eq!(name(Syntax::Json, "mcpServers"), Some("file"));
        assert_eq!(name(Syntax::Json, "context_servers"), Some("zed"));
        assert_eq!(name(Syntax::Toml, "mcp_servers"), Some("codex"));
        assert_eq!(name(Syntax::Yaml, "extensions"), Some("goose"));
    }
}
