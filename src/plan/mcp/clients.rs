//! What is known of a client: where its server lists lie, how they are written, and how variables in them are meant.
//! The clients themselves are the rows of [`CLIENTS`].
//!
//! Programs that read different files are rows of their own, even where one vendor makes both. Whatever a row leaves
//! open ("not verified") is said to the user in `lab-probe list`.

use std::path::Path;

use super::keys::Keys;
pub(super) use super::table::{CLIENTS, GENERIC};
use super::variables::Rule;
use crate::plan::host_environment::Platform;

/// A program that keeps a list of MCP servers.
#[derive(Debug)]
pub(super) struct Client {
    /// The word for `Origin::source` and for telling two servers of one name apart.
    pub(super) name: &'static str,
    /// The name for people.
    pub(super) title: &'static str,
    /// Where its lists are, the winning one first where one overrides another.
    pub(super) files: &'static [ClientFile],
    /// How a list is written.
    pub(super) keys: Keys,
    /// How variables in strings are meant.
    pub(super) variables: Rule,
    /// Whether the client is known to accept comments and trailing commas in its JSON.
    pub(super) comments: bool,
    /// Whether its files are merged key by key, so that an entry may be completed by another file.
    pub(super) merges_keys: bool,
    /// Whether the user's file also has lists for single projects, under `projects` (Claude Code).
    pub(super) has_local_lists: bool,
    /// Whether a file of the administrator leaves no other list in force (Claude Code).
    pub(super) managed_is_exclusive: bool,
    /// Lists of names, in these files or others, that switch servers off.
    pub(super) switches: &'static [Switch],
    /// Plugins or extensions that bring servers of their own.
    pub(super) plugins: &'static [Plugins],
    /// The environment variable with the client's start limit for all servers, in milliseconds.
    pub(super) limit_variable: Option<&'static str>,
    /// The settings file whose `env` holds variables for the client itself.
    pub(super) environment: Option<Location>,
    /// Whether it runs on Node.js, which trusts the certificates in `NODE_EXTRA_CA_CERTS`.
    pub(super) is_node: bool,
    /// How the user logs in to a server, and where the client notes that it is logged in.
    pub(super) login: Option<Login>,
    /// Where all this is written: documentation, or source and version.
    pub(super) documented: &'static str,
    /// What users should know where a header has a variable in it.
    pub(super) header_note: Option<&'static str>,
}

/// A file, by what its path is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Location {
    /// What `path` is relative to.
    pub(super) base: Base,
    /// The path below the base. A last component `*` stands for every file of the directory.
    pub(super) path: &'static str,
}

/// One file of a client.
#[derive(Debug)]
pub(super) struct ClientFile {
    /// Whose list it is.
    pub(super) scope: Scope,
    /// The platform it is on; `None` means all.
    pub(super) platform: Option<Platform>,
    /// Where it is.
    pub(super) location: Location,
}

/// Whose list a file is. The order is the order in which two servers of one name are told apart: the first keeps the
/// plain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    /// Named in lab-probe's own `config_files`.
    Config,
    /// The user's own for one project, kept in the user's home.
    Local,
    /// A file of a project, which can come with a cloned repository.
    Project,
    /// Put in place by the machine's administrator; overrides the client's other files.
    Managed,
    /// The user's.
    User,
    /// The administrator's defaults; anything overrides them.
    Defaults,
    /// Brought by a plugin or extension that the user has installed.
    Plugin,
}

impl Scope {
    /// The word for `Origin::scope`.
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

/// What a client's path is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    /// The user's home.
    Home,
    /// `$XDG_CONFIG_HOME`, else `~/.config`; on macOS, too, for the clients that use it there.
    ConfigHome,
    /// `$XDG_DATA_HOME`, else `~/.local/share`.
    DataHome,
    /// Where desktop applications keep their data: as [`Base::ConfigHome`] on Linux, `~/Library/Application Support` on
    /// macOS.
    AppData,
    /// The directory an environment variable names, else one below the home.
    Variable(&'static str, &'static str),
    /// The file an environment variable names.
    FileVariable(&'static str),
    /// The root of the file system.
    Root,
    /// Each project directory.
    Project,
}

/// A list that switches servers off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch {
    /// The file; `None` is each of the client's own lists. One in a project holds for the servers of that project.
    pub(super) file: Option<Location>,
    /// Where the list is in the file, table by table; empty is the whole file.
    pub(super) key: &'static str,
    /// What it means to be in it.
    pub(super) effect: Effect,
    /// How names are compared.
    pub(super) names: Names,
}

/// What it means to be in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// What is listed is off.
    Denied,
    /// What is not listed is off, if there is a list. Of several lists the first counts.
    Allowed,
    /// As before, but several lists are one, unless this key of the administrator's file says that only that one counts.
    AllowedByAny(&'static str),
    /// A table by name; those with `"enabled": false` are off.
    Table,
    /// Denies servers of project files only.
    DeniedInProjects,
}

/// How the names of servers are compared with those in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// As they stand.
    Exact,
    /// Without case and outer white space.
    AnyCase,
    /// `*` and `?` stand for other signs.
    Glob,
}

/// Where a client keeps plugins or extensions.
#[derive(Debug)]
pub(super) struct Plugins {
    /// The directory.
    pub(super) directory: Location,
    /// How the installed ones are found below it.
    pub(super) layout: Layout,
    /// The files of one that can have a list, the first that is there counts.
    pub(super) lists: &'static [&'static str],
    /// A manifest whose `mcpServers` is a list, or names the file that has it.
    pub(super) manifest: Option<&'static str>,
    /// Names in `${…}` that stand for the plugin's directory.
    pub(super) variables: &'static [&'static str],
}

/// How installed plugins are found.
#[derive(Debug)]
pub(super) enum Layout {
    /// Each directory is one. The file of this name beside them switches single ones off by directory rules.
    Each(Option<&'static str>),
    /// `MARKETPLACE/NAME/VERSION`, or where `registry` says. `enabled` is the file and the key of a table by
    /// `NAME@MARKETPLACE`.
    Cache { registry: Option<&'static str>, enabled: Location, key: &'static str },
}

/// How a user logs in to a server whose client does OAuth itself.
#[derive(Debug)]
pub(super) struct Login {
    /// What to type; `NAME` is the server's name.
    pub(super) command: &'static str,
    /// The file with one record for each server that the client is logged in to, and the key of the records.
    pub(super) records: Option<(Location, &'static str)>,
}

/// The client that keeps its list in a file with this path, by the path's end: `…/.cursor/mcp.json` is Cursor's
/// wherever it lies. Names that could be anybody's (`config.toml`) do not count.
pub(super) fn by_path(path: &Path) -> Option<&'static Client> {
    let telling = |file: &&ClientFile| {
        let name = file.location.path;
        (name.contains('/') || name.starts_with('.') || matches!(file.location.base, Base::Project))
            && !matches!(file.location.base, Base::Variable(..) | Base::FileVariable(_))
            || name == ".claude.json"
    };
    CLIENTS.iter().find(|client| client.files.iter().filter(telling).any(|file| file.location.depth_in(path).is_some()))
}

/// The client whose list has this key at the top of a file with this extension.
pub(super) fn by_container(extension: &str, has: impl Fn(&str) -> bool) -> Option<&'static Client> {
    if extension == "json" && GENERIC.keys.container.iter().any(|key| has(key)) {
        return Some(&GENERIC);
    }
    let has_extension = |client: &&Client| client.files.iter().any(|file| file.location.path.ends_with(extension));
    CLIENTS.iter().filter(has_extension).find(|client| client.keys.container.iter().any(|key| has(key)))
}

impl Location {
    /// How many components of `path`, from its end, are this location's, if it ends with them.
    pub(super) fn depth_in(&self, path: &Path) -> Option<usize> {
        let (end, extra) = match self.path.strip_suffix("/*") {
            Some(directory) => (directory, 1),
            None => (self.path, 0),
        };
        let above = path.ancestors().nth(extra)?;
        (!end.is_empty() && above.ends_with(end)).then(|| Path::new(end).components().count() + extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_client_says_where_it_is_written() {
        let mut names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLIENTS.len());
        for client in CLIENTS {
            assert!(!client.documented.is_empty() && !client.keys.container.is_empty(), "{}", client.name);
            assert!(client.files.iter().all(|f| !f.location.path.starts_with('/')), "{}", client.name);
        }
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
            assert_eq!(by_path(Path::new(path)).map(|client| client.name), name, "{path}");
        }
        assert_eq!(by_container("json", |key| key == "mcpServers").map(|c| c.name), Some("file"));
        assert_eq!(by_container("json", |key| key == "context_servers").map(|c| c.name), Some("zed"));
        assert_eq!(by_container("toml", |key| key == "mcp_servers").map(|c| c.name), Some("codex"));
        assert_eq!(by_container("yaml", |key| key == "extensions").map(|c| c.name), Some("goose"));
    }
}
