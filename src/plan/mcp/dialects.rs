//! What the rows of the table of clients are made of: keys, rules for variables, switches, places of plugins.

use super::clients::Base::{self, DataHome, Home, Project as InProject, Root, Variable};
use super::clients::Scope::{Project, User};
use super::clients::{ClientFile, Effect, Layout, Location, Login, Names, Plugins, Scope, Switch};
use super::keys::{COMMON, Keys, Preference, Unit, Untyped};
use super::variables::{Fields, Form, Rule};
use crate::model::mcp::HttpTransport::{Auto, Http, Sse};
use crate::plan::host_environment::Platform;

pub(super) const fn at(base: Base, path: &'static str) -> Location {
    Location { base, path }
}

pub(super) const fn on(scope: Scope, base: Base, path: &'static str) -> ClientFile {
    ClientFile { scope, platform: None, location: at(base, path) }
}

pub(super) const fn home(path: &'static str) -> ClientFile {
    on(User, Home, path)
}

pub(super) const fn project(path: &'static str) -> ClientFile {
    on(Project, InProject, path)
}

pub(super) const fn system(platform: Platform, scope: Scope, path: &'static str) -> ClientFile {
    ClientFile { scope, platform: Some(platform), location: at(Root, path) }
}

pub(super) const fn rule(forms: &'static [(Form, Fields)]) -> Rule {
    Rule { forms, is_known: true }
}

pub(super) const BRACES: Rule = rule(&[(Form::Braces, Fields::All)]);
pub(super) const BRACES_DEFAULT: Rule = rule(&[(Form::Braces, Fields::All), (Form::Default, Fields::All)]);
pub(super) const SHELL: Rule =
    rule(&[(Form::Bare, Fields::All), (Form::Braces, Fields::All), (Form::Default, Fields::All)]);
pub(super) const EDITOR: Rule = rule(&[(Form::Env, Fields::All), (Form::Editor, Fields::All)]);
pub(super) const ENV: Rule = rule(&[(Form::Env, Fields::All)]);
pub(super) const CURLY: Rule = rule(&[(Form::Curly, Fields::All)]);

pub(super) const HEADERS_DOUBTED: Option<&str> =
    Some("this client is reported to leave variables in headers as they stand");

/// `timeout` in milliseconds.
pub(super) const MILLISECONDS: Keys = Keys { limit: &[("timeout", Unit::Milliseconds)], ..COMMON };

/// `timeout` in seconds.
pub(super) const SECONDS: Keys = Keys { limit: &[("timeout", Unit::Seconds)], ..COMMON };

pub(super) const VSCODE: Keys = Keys { container: &["servers"], http: Auto, ..COMMON };

pub(super) const CODEX: Keys = Keys {
    container: &["mcp_servers"],
    env_names: Some("env_vars"),
    url: &[("url", Http)],
    headers: &["http_headers"],
    env_headers: Some("env_http_headers"),
    bearer_variable: &["bearer_token_env_var"],
    conflicts: &[
        ("", &["bearer_token"]),
        ("command", &["url", "bearer_token_env_var", "http_headers", "env_http_headers", "oauth", "oauth_resource"]),
        ("url", &["args", "env", "env_vars", "cwd"]),
    ],
    refuses_file: true,
    limit: &[("startup_timeout_sec", Unit::Seconds), ("startup_timeout_ms", Unit::Milliseconds)],
    ..COMMON
};

pub(super) const GEMINI: Keys =
    Keys { url: &[("httpUrl", Http), ("url", Auto)], preference: Preference::Url, ..MILLISECONDS };

pub(super) const OPENCODE: Keys = Keys { container: &["mcp"], env: &["environment"], ..MILLISECONDS };

pub(super) const CLINE: Keys = Keys { remote: Sse, ..SECONDS };

pub(super) const ROO: Keys =
    Keys { conflicts: &[("command", &["url", "headers"])], untyped: Untyped::Refused, ..SECONDS };

/// Lists in the client's own files, names compared in this way.
pub(super) const fn lists(names: Names) -> [Switch; 2] {
    [
        Switch { file: None, key: "mcp.excluded", effect: Effect::Denied, names },
        Switch { file: None, key: "mcp.allowed", effect: Effect::Allowed, names },
    ]
}

pub(super) const fn claude(base: Base, path: &'static str, key: &'static str, effect: Effect) -> Switch {
    Switch { file: Some(at(base, path)), key, effect, names: Names::Exact }
}

pub(super) const CLAUDE_HOME: Base = Variable("CLAUDE_CONFIG_DIR", ".claude");
pub(super) const CLAUDE_MANAGED: &str = "etc/claude-code/managed-settings.json";
pub(super) const CLAUDE_MANAGED_MAC: &str = "Library/Application Support/ClaudeCode/managed-settings.json";
pub(super) const CLAUDE_ALLOWED: Effect = Effect::AllowedByAny("allowManagedMcpServersOnly");

pub(super) const GOOSE: Keys = Keys {
    container: &["extensions"],
    command: &["cmd"],
    env: &["envs"],
    env_required: Some("env_keys"),
    url: &[("uri", Auto), ("url", Auto)],
    ..SECONDS
};

pub(super) const QWEN: Keys =
    Keys { url: &[("httpUrl", Http), ("url", Sse)], limit: &[("discoveryTimeoutMs", Unit::Milliseconds)], ..GEMINI };

pub(super) const GROK: Keys =
    Keys { container: &["mcp_servers"], limit: &[("startup_timeout_sec", Unit::Seconds)], ..COMMON };

pub(super) const HERMES: Keys =
    Keys { container: &["mcp_servers"], limit: &[("connect_timeout", Unit::Seconds)], ..COMMON };

pub(super) const CONTINUE: Keys = Keys {
    headers: &["requestOptions.headers", "headers"],
    limit: &[("connectionTimeout", Unit::Milliseconds)],
    ..COMMON
};

pub(super) const VIBE: Keys = Keys {
    container: &["mcp_servers"],
    splits_command: true,
    headers: &["auth.headers", "headers"],
    bearer_variable: &["auth.api_key_env", "api_key_env"],
    limit: &[("startup_timeout_sec", Unit::Seconds)],
    ..COMMON
};

pub(super) const KIMI: Keys =
    Keys { bearer_variable: &["bearerTokenEnvVar"], limit: &[("startupTimeoutMs", Unit::Milliseconds)], ..COMMON };

pub(super) const TABNINE: Keys = Keys { headers: &["headers", "requestInit.headers"], ..GEMINI };

pub(super) const MCPORTER: Keys = Keys {
    command: &["command", "executable"],
    splits_command: true,
    url: &[("baseUrl", Auto), ("base_url", Auto), ("url", Auto), ("serverUrl", Auto), ("server_url", Auto)],
    bearer_variable: &["bearerTokenEnv", "bearer_token_env"],
    ..COMMON
};

pub(super) const CLAUDE_SWITCHES: &[Switch] = &[
    claude(Root, CLAUDE_MANAGED, "deniedMcpServers", Effect::Denied),
    claude(Root, CLAUDE_MANAGED, "allowedMcpServers", CLAUDE_ALLOWED),
    claude(Root, CLAUDE_MANAGED_MAC, "deniedMcpServers", Effect::Denied),
    claude(Root, CLAUDE_MANAGED_MAC, "allowedMcpServers", CLAUDE_ALLOWED),
    claude(CLAUDE_HOME, "settings.json", "deniedMcpServers", Effect::Denied),
    claude(CLAUDE_HOME, "settings.json", "allowedMcpServers", CLAUDE_ALLOWED),
    claude(CLAUDE_HOME, "settings.json", "disabledMcpjsonServers", Effect::DeniedInProjects),
    claude(InProject, ".claude/settings.local.json", "disabledMcpjsonServers", Effect::DeniedInProjects),
    claude(InProject, ".claude/settings.json", "disabledMcpjsonServers", Effect::DeniedInProjects),
    claude(InProject, ".claude/settings.local.json", "deniedMcpServers", Effect::Denied),
    claude(InProject, ".claude/settings.json", "deniedMcpServers", Effect::Denied),
];

pub(super) const GEMINI_SWITCHES: &[Switch] = &[
    lists(Names::AnyCase)[0],
    lists(Names::AnyCase)[1],
    Switch {
        file: Some(at(Home, ".gemini/mcp-server-enablement.json")),
        key: "",
        effect: Effect::Table,
        names: Names::AnyCase,
    },
];

pub(super) const QWEN_SWITCHES: &[Switch] = &[lists(Names::Glob)[0], lists(Names::Glob)[1]];

pub(super) const ROVO_SWITCHES: &[Switch] = &[
    Switch {
        file: Some(at(Home, ".rovodev/config.yml")),
        key: "mcp.disabledMcpServers",
        effect: Effect::Denied,
        names: Names::Exact,
    },
    Switch {
        file: Some(at(InProject, ".rovodev/config.yml")),
        key: "mcp.disabledMcpServers",
        effect: Effect::Denied,
        names: Names::Exact,
    },
];

pub(super) const TABNINE_SWITCHES: &[Switch] = &[lists(Names::AnyCase)[0], lists(Names::AnyCase)[1]];

pub(super) const CLAUDE_PLUGINS: &[Plugins] = &[Plugins {
    directory: at(CLAUDE_HOME, "plugins"),
    layout: Layout::Cache {
        registry: Some("installed_plugins.json"),
        enabled: at(CLAUDE_HOME, "settings.json"),
        key: "enabledPlugins",
    },
    lists: &[".mcp.json"],
    manifest: Some(".claude-plugin/plugin.json"),
    variables: &["CLAUDE_PLUGIN_ROOT"],
}];

pub(super) const CURSOR_PLUGINS: &[Plugins] = &[Plugins {
    directory: at(Home, ".cursor/plugins/local"),
    layout: Layout::Each(None),
    lists: &["mcp.json", ".mcp.json"],
    manifest: Some(".cursor-plugin/plugin.json"),
    variables: &["CURSOR_PLUGIN_ROOT", "CLAUDE_PLUGIN_ROOT"],
}];

pub(super) const CODEX_PLUGINS: &[Plugins] = &[Plugins {
    directory: at(Variable("CODEX_HOME", ".codex"), "plugins"),
    layout: Layout::Cache {
        registry: None,
        enabled: at(Variable("CODEX_HOME", ".codex"), "config.toml"),
        key: "plugins",
    },
    lists: &[".mcp.json"],
    manifest: Some(".codex-plugin/plugin.json"),
    variables: &[],
}];

pub(super) const GEMINI_EXTENSIONS: &[Plugins] = &[Plugins {
    directory: at(Home, ".gemini/extensions"),
    layout: Layout::Each(Some("extension-enablement.json")),
    lists: &["gemini-extension.json"],
    manifest: None,
    variables: &["extensionPath"],
}];

pub(super) const QWEN_EXTENSIONS: &[Plugins] = &[Plugins {
    directory: at(Home, ".qwen/extensions"),
    layout: Layout::Each(Some("extension-enablement.json")),
    lists: &["qwen-extension.json", "gemini-extension.json"],
    manifest: None,
    variables: &["extensionPath"],
}];

pub(super) const CLAUDE_LOGIN: Option<Login> = Some(Login {
    command: "type `/mcp` in Claude Code and choose NAME",
    records: Some((at(CLAUDE_HOME, ".credentials.json"), "mcpOAuth")),
});

pub(super) const GEMINI_LOGIN: Option<Login> = Some(Login {
    command: "type `/mcp auth NAME` in Gemini CLI",
    records: Some((at(Home, ".gemini/mcp-oauth-tokens.json"), "serverName")),
});

pub(super) const OPENCODE_LOGIN: Option<Login> = Some(Login {
    command: "run `opencode mcp auth NAME`",
    records: Some((at(DataHome, "opencode/mcp-auth.json"), "")),
});

pub(super) const QWEN_LOGIN: Option<Login> = Some(Login {
    command: "type `/mcp` in Qwen Code and choose NAME",
    records: Some((at(Home, ".qwen/mcp-oauth-tokens.json"), "serverName")),
});

pub(super) const CRUSH: Rule = rule(&[
    (Form::Bare, Fields::All),
    (Form::Braces, Fields::All),
    (Form::Default, Fields::All),
    (Form::Command, Fields::All),
]);

pub(super) const AMAZON_Q: Rule = rule(&[(Form::Bare, Fields::Env), (Form::Env, Fields::Headers)]);

pub(super) const MCPORTER_VARIABLES: Rule = rule(&[(Form::Braces, Fields::Values), (Form::Default, Fields::Env)]);

pub(super) const MCPHUB: Rule = rule(&[(Form::Braces, Fields::All), (Form::Command, Fields::All)]);

pub(super) const WINDSURF: Rule = rule(&[(Form::Env, Fields::All), (Form::File, Fields::All)]);

pub(super) const SECRETS: Rule = rule(&[(Form::Secrets, Fields::All)]);

pub(super) const EITHER: Rule = rule(&[
    (Form::Env, Fields::All),
    (Form::Braces, Fields::All),
    (Form::Default, Fields::All),
    (Form::Input, Fields::All),
]);
