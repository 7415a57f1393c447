//! What is known of a client: where its server lists lie, how they are written, and how variables in them are meant.
//! The clients themselves are the rows of `clients.toml`.

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use super::document::Syntax;
use super::keys::Keys;
use super::readers::Table;
use super::sources::syntax_of;
use super::variables::Rule;
use crate::config::environment::Platform;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clients {
    client: Vec<Client>,
    generic: Client,
}

static TABLE: LazyLock<Clients> = LazyLock::new(|| {
    toml::from_str(include_str!("clients.toml")).unwrap_or_else(|error| unreachable!("a test reads it: {error}"))
});

/// Every client, in the order in which equally ranked servers of one name are told apart.
pub fn all() -> &'static [Client] {
    &TABLE.client
}

/// Stands for a file named in `config_files` that belongs to no client.
pub(super) fn generic() -> &'static Client {
    &TABLE.generic
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// The word for `Origin::source` and for telling two servers of one name apart.
    pub name: String,
    pub title: String,
    pub documented: String,
    /// Put in place by the machine's administrator; overrides the client's other files.
    managed: Vec<Location>,
    user: Vec<Location>,
    /// The administrator's defaults; anything overrides them.
    defaults: Vec<Location>,
    /// Files of a project, which can come with a cloned repository.
    pub(super) project: Vec<String>,
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
    /// The key at the top of its files under which the servers stand.
    pub fn list(&self) -> &str {
        &self.keys.container[0]
    }

    /// Which variables are expanded in its strings.
    pub fn variables(&self) -> String {
        self.variables.describe()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (Scope, &Location)> {
        let managed = self.managed.iter().map(|file| (Scope::Managed, file));
        let user = self.user.iter().map(|file| (Scope::User, file));
        managed.chain(user).chain(self.defaults.iter().map(|file| (Scope::Defaults, file)))
    }

    /// How many components of `path`, from its end, are those of one of the client's files, if it ends with them.
    pub(super) fn depth_in(&self, path: &Path) -> Option<usize> {
        let own = self.files().filter_map(|(_, file)| depth_in(file.split().1, path));
        own.chain(self.project_depth(path)).max()
    }

    /// [`Self::depth_in`] for its files in a project.
    pub(super) fn project_depth(&self, path: &Path) -> Option<usize> {
        self.project.iter().filter_map(|file| depth_in(file, path)).max()
    }
}

fn depth_in(file: &str, path: &Path) -> Option<usize> {
    let (end, extra) = match file.strip_suffix("/*") {
        Some(directory) => (directory, 1),
        None => (file, 0),
    };
    let above = path.ancestors().nth(extra)?;
    (!end.is_empty() && above.ends_with(end)).then(|| Path::new(end).components().count() + extra)
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

    pub(super) fn is_in_project(&self) -> bool {
        self.split().0 == "PROJECT"
    }

    /// Whether only the machine's administrator can write it.
    pub(super) fn is_managed(&self) -> bool {
        self.split().0.is_empty()
    }

    /// Whether it is a place of this platform: the administrator's files are elsewhere on each.
    pub(super) fn is_on(&self, platform: Platform) -> bool {
        !self.is_managed() || self.0.starts_with("/Library/") == (platform == Platform::MacOs)
    }
}

/// Whose list a file is. The order is the order in which two servers of one name are told apart: the first keeps the
/// plain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// The file; `None` is each of the client's own lists. One in a project holds for the servers of that project.
    pub(super) file: Option<Location>,
    /// Where the list is in the file, table by table; empty is the whole file.
    pub(super) key: String,
    pub(super) effect: Effect,
    #[serde(default)]
    pub(super) names: Names,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    /// What is listed is off.
    Denied,
    /// What is not listed is off, if there is a list. Of several lists the first counts.
    Allowed,
    /// As before, but several lists are one, unless this key of the administrator's file says that only that one counts.
    AllowedByAny(String),
    /// A table by name; those with `"enabled": false` are off.
    Table,
    /// Denies servers of project files only.
    DeniedInProjects,
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
    /// `MARKETPLACE/NAME/VERSION`, or where `registry` says. `key` is that of a table by `NAME@MARKETPLACE` in the file
    /// `enabled`, and, for what `registry` says was installed for one project, in those of the project.
    Cache {
        registry: Option<String>,
        enabled: Location,
        #[serde(default)]
        enabled_in_project: Vec<String>,
        key: String,
    },
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

/// The client that keeps its list in a file with this path, by the path's end: `…/.cursor/mcp.json` is Cursor's
/// wherever it lies. Names that could be anybody's (`config.toml`) do not count.
pub(super) fn by_path(path: &Path) -> Option<&'static Client> {
    let is_telling = |(base, name): (&str, &str)| {
        (name.contains('/') || name.starts_with('.')) && !base.contains(":-") || name == ".claude.json"
    };
    all().iter().find(|client| {
        client.project_depth(path).is_some()
            || client.files().any(|(_, file)| is_telling(file.split()) && depth_in(file.split().1, path).is_some())
    })
}

/// The client whose list has its key at the top of a file of this syntax.
pub(super) fn by_contents(syntax: Syntax, root: &Table) -> Option<&'static Client> {
    let has_list = |client: &&Client| client.keys.container.iter().any(|key| root.contains_key(key));
    let is_read = |client: &&Client| {
        let mut paths = client.files().map(|(_, file)| file.split().1).chain(client.project.iter().map(String::as_str));
        paths.any(|path| syntax_of(Path::new(path)) == syntax)
    };
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
            let in_project = |path: &String| !path.starts_with(['/', '~', '$']) && !path.starts_with("PROJECT");
            assert!(client.project.iter().all(in_project), "{}", client.name);
            let bases = ["", "~", "CONFIG", "DATA", "APPLICATION"];
            let is_placed = |base: &str| bases.contains(&base) || base.starts_with("${") && base.ends_with('}');
            assert!(client.files().all(|(_, file)| is_placed(file.split().0)), "{}", client.name);
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
        let [linux, mac] = ["/etc/a", "/Library/a"].map(|path| Location(path.to_owned()));
        assert!(linux.is_on(Platform::Linux) && !linux.is_on(Platform::MacOs));
        assert!(mac.is_on(Platform::MacOs) && !mac.is_on(Platform::Linux));
    }

    #[test]
    fn a_file_named_by_hand_is_known_by_its_path_or_else_by_its_keys() {
        for (path, name) in [
            ("/a/.mcp.json", Some("claude-code")),
            ("/a/.claude.json", Some("claude-code")),
            ("/a/.cursor/mcp.json", Some("cursor")),
            ("/a/.vscode/mcp.json", Some("vscode")),
            ("/a/.codex/config.toml", Some("codex")),
            ("/a/.grok/config.toml", Some("grok-cli")),
            ("/a/.continue/mcpServers/x.yaml", Some("continue")),
            ("/a/opencode.jsonc", Some("opencode")),
            ("/a/config.toml", None),
            ("/a/mcp.json", None),
        ] {
            assert_eq!(by_path(Path::new(path)).map(|client| client.name.as_str()), name, "{path}");
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
