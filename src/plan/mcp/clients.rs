//! One table of MCP clients: where their server lists lie, how they are written, and how variables in them are meant.
//!
//! Programs that read different files are rows of their own, even where one vendor makes both. Whatever a row leaves
//! open ("not verified") is said to the user in `lab-probe list`; see [`Client::note`].

use std::path::Path;

use super::document::Syntax;
use super::readers::{COMMON, Keys, Preference};
use super::variables::Rule;
use crate::model::mcp::HttpTransport;
use crate::plan::surroundings::Platform;

/// A program that keeps a list of MCP servers.
#[derive(Debug)]
pub(super) struct Client {
    /// The word for `Origin::source` and for telling two servers of one name apart.
    pub(super) name: &'static str,
    /// The name for people.
    pub(super) title: &'static str,
    /// Where its lists are, the winning one first where one overrides another.
    pub(super) files: &'static [ClientFile],
    /// The syntax of all of them.
    pub(super) syntax: Syntax,
    /// Whether the client is known to accept comments and trailing commas in its JSON.
    pub(super) comments: bool,
    /// How a list is written.
    pub(super) shape: Shape,
    /// How variables in strings are meant.
    pub(super) variables: Rule,
    /// What users should know about this client's servers.
    pub(super) note: Option<&'static str>,
    /// What users should know where a header has a variable in it.
    pub(super) header_note: Option<&'static str>,
}

/// One file of a client.
#[derive(Debug)]
pub(super) struct ClientFile {
    /// Whose list it is.
    pub(super) scope: Scope,
    /// The platform it is on; `None` means all.
    pub(super) platform: Option<Platform>,
    /// What `path` is relative to.
    pub(super) base: Base,
    /// The path below the base.
    pub(super) path: &'static str,
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
        }
    }
}

/// What a client's path is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    /// The user's home.
    Home,
    /// `$XDG_CONFIG_HOME`, else `~/.config`; on macOS, too, for the clients that use it there.
    ConfigHome,
    /// Where desktop applications keep their data: as above on Linux, `~/Library/Application Support` on macOS.
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

/// How a list of servers is written.
#[derive(Debug)]
pub(super) enum Shape {
    /// A table of servers by name.
    Servers(Keys),
    /// `~/.claude.json`: `mcpServers` for the user and for each project.
    ClaudeCode,
    /// A table of servers by name, and `mcp.allowed` / `mcp.excluded` beside it.
    Gemini(Keys),
}

const fn on(scope: Scope, base: Base, path: &'static str) -> ClientFile {
    ClientFile { scope, platform: None, base, path }
}

const fn only(platform: Platform, scope: Scope, base: Base, path: &'static str) -> ClientFile {
    ClientFile { scope, platform: Some(platform), base, path }
}

use Base::{AppData, ConfigHome, FileVariable, Home, Project as InProject, Root, Variable};
use Platform::{Linux, MacOs};
use Scope::{Defaults, Managed, Project, User};

const NOT_VERIFIED: Option<&str> = Some("whether this client expands variables is not verified; none are expanded");

const HEADERS_DOUBTED: Option<&str> = Some("this client is reported to leave variables in headers as they stand");

const CODEX: Keys = Keys {
    container: "mcp_servers",
    env_names: Some("env_vars"),
    url: &[("url", HttpTransport::Http)],
    headers: "http_headers",
    env_headers: Some("env_http_headers"),
    bearer_variable: Some("bearer_token_env_var"),
    refused: &[("bearer_token", "`bearer_token_env_var`")],
    ..COMMON
};

const VSCODE: Keys = Keys { container: "servers", http: HttpTransport::Auto, ..COMMON };

const GEMINI: Keys = Keys {
    url: &[("httpUrl", HttpTransport::Http), ("url", HttpTransport::Auto)],
    preference: Preference::Url,
    ..COMMON
};

/// Every client, in the order in which equally ranked servers of one name are told apart.
pub(super) static CLIENTS: &[Client] = &[
    Client {
        name: "claude-code",
        title: "Claude Code",
        files: &[
            only(Linux, Managed, Root, "etc/claude-code/managed-mcp.json"),
            only(MacOs, Managed, Root, "Library/Application Support/ClaudeCode/managed-mcp.json"),
            on(User, Variable("CLAUDE_CONFIG_DIR", ""), ".claude.json"),
            // Copilot CLI reads this one, too; one reading is enough.
            on(Project, InProject, ".mcp.json"),
        ],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::ClaudeCode,
        variables: Rule::Braces,
        note: None,
        header_note: None,
    },
    Client {
        name: "claude-desktop",
        title: "Claude Desktop",
        files: &[on(User, AppData, "Claude/claude_desktop_config.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Literal,
        note: None,
        header_note: None,
    },
    Client {
        name: "cursor",
        title: "Cursor",
        files: &[on(User, Home, ".cursor/mcp.json"), on(Project, InProject, ".cursor/mcp.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(Keys { preference: Preference::Command, ..COMMON }),
        variables: Rule::Editor,
        note: None,
        header_note: None,
    },
    Client {
        name: "vscode",
        title: "VS Code",
        files: &[on(User, AppData, "Code/User/mcp.json"), on(Project, InProject, ".vscode/mcp.json")],
        syntax: Syntax::Json,
        comments: true,
        shape: Shape::Servers(VSCODE),
        variables: Rule::Editor,
        note: None,
        header_note: HEADERS_DOUBTED,
    },
    Client {
        name: "vscode-insiders",
        title: "VS Code Insiders",
        files: &[on(User, AppData, "Code - Insiders/User/mcp.json")],
        syntax: Syntax::Json,
        comments: true,
        shape: Shape::Servers(VSCODE),
        variables: Rule::Editor,
        note: None,
        header_note: HEADERS_DOUBTED,
    },
    Client {
        name: "copilot-cli",
        title: "Copilot CLI",
        files: &[
            on(User, Variable("COPILOT_HOME", ".copilot"), "mcp-config.json"),
            on(Project, InProject, ".github/mcp.json"),
        ],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "codex",
        title: "Codex",
        files: &[
            on(User, Variable("CODEX_HOME", ".codex"), "config.toml"),
            on(Project, InProject, ".codex/config.toml"),
        ],
        syntax: Syntax::Toml,
        comments: true,
        shape: Shape::Servers(CODEX),
        variables: Rule::Literal,
        note: None,
        header_note: None,
    },
    Client {
        name: "gemini-cli",
        title: "Gemini CLI",
        files: &[
            only(Linux, Managed, Root, "etc/gemini-cli/settings.json"),
            only(MacOs, Managed, Root, "Library/Application Support/GeminiCli/settings.json"),
            on(User, Home, ".gemini/settings.json"),
            only(Linux, Defaults, Root, "etc/gemini-cli/system-defaults.json"),
            only(MacOs, Defaults, Root, "Library/Application Support/GeminiCli/system-defaults.json"),
            on(Project, InProject, ".gemini/settings.json"),
        ],
        syntax: Syntax::Json,
        comments: true,
        shape: Shape::Gemini(GEMINI),
        variables: Rule::Shell,
        note: None,
        header_note: None,
    },
    Client {
        name: "windsurf",
        title: "Windsurf",
        files: &[on(User, Home, ".codeium/windsurf/mcp_config.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::EnvAndFile,
        note: None,
        header_note: None,
    },
    Client {
        name: "windsurf-plugins",
        title: "Windsurf plugins",
        files: &[on(User, Home, ".codeium/mcp_config.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::EnvAndFile,
        note: None,
        header_note: None,
    },
    Client {
        name: "zed",
        title: "Zed",
        // On macOS, too: Zed itself does not use Application Support for its settings.
        files: &[on(User, ConfigHome, "zed/settings.json"), on(Project, InProject, ".zed/settings.json")],
        syntax: Syntax::Json,
        comments: true,
        shape: Shape::Servers(Keys { container: "context_servers", ..COMMON }),
        variables: Rule::Literal,
        note: None,
        header_note: None,
    },
    Client {
        name: "opencode",
        title: "opencode",
        files: &[
            on(User, FileVariable("OPENCODE_CONFIG"), ""),
            on(User, ConfigHome, "opencode/opencode.json"),
            on(User, ConfigHome, "opencode/opencode.jsonc"),
            on(Project, InProject, "opencode.json"),
            on(Project, InProject, "opencode.jsonc"),
        ],
        syntax: Syntax::Json,
        comments: true,
        shape: Shape::Servers(Keys { container: "mcp", env: "environment", ..COMMON }),
        variables: Rule::Curly,
        note: None,
        header_note: HEADERS_DOUBTED,
    },
    Client {
        name: "cline",
        title: "Cline",
        files: &[on(User, AppData, "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "cline-cli",
        title: "Cline CLI",
        files: &[on(User, Variable("CLINE_DIR", ".cline"), "data/settings/cline_mcp_settings.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "roo-code",
        title: "Roo Code",
        files: &[on(User, AppData, "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "goose",
        title: "Goose",
        files: &[on(User, ConfigHome, "goose/config.yaml")],
        syntax: Syntax::Yaml,
        comments: true,
        shape: Shape::Servers(Keys {
            container: "extensions",
            command: "cmd",
            env: "envs",
            env_required: Some("env_keys"),
            url: &[("uri", HttpTransport::Auto), ("url", HttpTransport::Auto)],
            ..COMMON
        }),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "antigravity",
        title: "Antigravity",
        files: &[on(User, Home, ".gemini/antigravity/mcp_config.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Unknown,
        note: NOT_VERIFIED,
        header_note: None,
    },
    Client {
        name: "kiro",
        title: "Kiro",
        files: &[on(User, Home, ".kiro/settings/mcp.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::Literal,
        note: None,
        header_note: None,
    },
    Client {
        name: "amazon-q",
        title: "Amazon Q",
        files: &[on(User, Home, ".aws/amazonq/mcp.json")],
        syntax: Syntax::Json,
        comments: false,
        shape: Shape::Servers(COMMON),
        variables: Rule::DollarInEnv,
        note: None,
        header_note: None,
    },
];

/// A file named in `config_files` that belongs to no client: the most common shape, and either way of writing variables.
pub(super) static GENERIC: Client = Client {
    name: "file",
    title: "the file",
    files: &[],
    syntax: Syntax::Json,
    comments: true,
    shape: Shape::Servers(COMMON),
    variables: Rule::Any,
    note: None,
    header_note: None,
};

impl Client {
    /// The keys of this client's list.
    pub(super) fn keys(&self) -> &Keys {
        match &self.shape {
            Shape::Servers(keys) | Shape::Gemini(keys) => keys,
            Shape::ClaudeCode => &COMMON,
        }
    }
}

/// The client that keeps its list in a file with this path, by the path's end: `…/.cursor/mcp.json` is Cursor's
/// wherever it lies. Names that could be anybody's (`config.toml`) do not count.
pub(super) fn by_path(path: &Path) -> Option<&'static Client> {
    let telling =
        |file: &ClientFile| file.path.contains('/') || file.path.starts_with('.') || file.path.starts_with("opencode");
    CLIENTS.iter().find(|client| client.files.iter().any(|file| telling(file) && path.ends_with(file.path)))
}

/// The client whose list has this key at the top of a file in this syntax.
pub(super) fn by_container(syntax: Syntax, has: impl Fn(&str) -> bool) -> Option<&'static Client> {
    if syntax == Syntax::Json && has(GENERIC.keys().container) {
        return Some(&GENERIC);
    }
    CLIENTS.iter().find(|client| client.syntax == syntax && has(client.keys().container))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_client_has_a_file_on_each_platform() {
        let mut names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLIENTS.len());
        for client in CLIENTS {
            for platform in [Linux, MacOs] {
                assert!(client.files.iter().any(|f| f.platform.is_none_or(|p| p == platform)), "{}", client.name);
            }
            assert!(client.files.iter().all(|f| !f.path.starts_with('/')), "{}", client.name);
        }
    }

    #[test]
    fn a_file_named_by_hand_is_known_by_its_path_or_else_by_its_keys() {
        for (path, name) in [
            ("/a/.mcp.json", Some("claude-code")),
            ("/a/.cursor/mcp.json", Some("cursor")),
            ("/a/.vscode/mcp.json", Some("vscode")),
            ("/a/.codex/config.toml", Some("codex")),
            ("/a/opencode.jsonc", Some("opencode")),
            ("/a/config.toml", None),
            ("/a/mcp.json", None),
        ] {
            assert_eq!(by_path(Path::new(path)).map(|client| client.name), name, "{path}");
        }
        assert_eq!(by_container(Syntax::Json, |key| key == "mcpServers").map(|c| c.name), Some("file"));
        assert_eq!(by_container(Syntax::Json, |key| key == "context_servers").map(|c| c.name), Some("zed"));
        assert_eq!(by_container(Syntax::Toml, |key| key == "mcp_servers").map(|c| c.name), Some("codex"));
        assert_eq!(by_container(Syntax::Yaml, |key| key == "mcpServers").map(|c| c.name), None);
    }
}
