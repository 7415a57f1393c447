//! The clients, a row each. `docs/discovery.md` has the same table; a test compares them.

use super::clients::Base::{AppData, ConfigHome, DataHome, FileVariable, Variable};
use super::clients::Scope::{Defaults, Managed, User};
use super::clients::{Client, Login};
use super::dialects::*;
use super::keys::{COMMON, Keys, Preference, Untyped};
use super::variables::{LITERAL, UNKNOWN};
use crate::plan::host_environment::Platform::{Linux, MacOs};

/// What a row has that says nothing else.
const CLIENT: Client = Client {
    name: "",
    title: "",
    files: &[],
    keys: COMMON,
    variables: UNKNOWN,
    comments: false,
    merges_keys: false,
    has_local_lists: false,
    managed_is_exclusive: false,
    switches: &[],
    plugins: &[],
    limit_variable: None,
    environment: None,
    is_node: true,
    login: None,
    documented: "",
    header_note: None,
};

/// A row: the client's name and title, where all that follows is written, its files, and what is not as with most.
macro_rules! clients {
    ($($name:literal $title:literal $documented:literal [$($file:expr),* $(,)?] { $($key:ident: $value:expr),* $(,)? })*) => {
        /// Every client, in the order in which equally ranked servers of one name are told apart.
        pub(super) static CLIENTS: &[Client] = &[$(Client {
            name: $name,
            title: $title,
            documented: $documented,
            files: &[$($file),*],
            $($key: $value,)*
            ..CLIENT
        }),*];
    };
}

clients! {
    "claude-code" "Claude Code"
        "code.claude.com/docs/en/mcp, /managed-mcp, /settings, /plugins-reference; claude-code#73885"
        // Copilot CLI reads this one, too; one reading is enough.
        [
            system(Linux, Managed, "etc/claude-code/managed-mcp.json"),
            system(MacOs, Managed, "Library/Application Support/ClaudeCode/managed-mcp.json"),
            on(User, Variable("CLAUDE_CONFIG_DIR", ""), ".claude.json"), project(".mcp.json"),
        ]
        {
            keys: Keys { untyped: Untyped::Dropped, ..COMMON }, variables: BRACES_DEFAULT, has_local_lists: true,
            managed_is_exclusive: true,
            switches: CLAUDE_SWITCHES,
            plugins: CLAUDE_PLUGINS,
            limit_variable: Some("MCP_TIMEOUT"), environment: Some(at(CLAUDE_HOME, "settings.json")),
            login: CLAUDE_LOGIN,
        }
    "claude-desktop" "Claude Desktop"
        "modelcontextprotocol.io/docs/develop/connect-local-servers; claude-code#40372"
        [on(User, AppData, "Claude/claude_desktop_config.json")]
        { variables: LITERAL }
    "cursor" "Cursor"
        "cursor.com/docs/mcp, cursor.com/docs/reference/plugins"
        [home(".cursor/mcp.json"), project(".cursor/mcp.json")]
        {
            keys: Keys { preference: Preference::Command, ..COMMON }, variables: EDITOR,
            plugins: CURSOR_PLUGINS,
        }
    "lm-studio" "LM Studio"
        "lmstudio.ai/docs/app/mcp; lmstudio-bug-tracker#1371"
        [home(".lmstudio/mcp.json")]
        {}
    "vscode" "VS Code"
        "code.visualstudio.com/docs/agents/reference/mcp-configuration; vscode#336232"
        [on(User, AppData, "Code/User/mcp.json"), project(".vscode/mcp.json")]
        { keys: VSCODE, variables: EDITOR, comments: true, header_note: HEADERS_DOUBTED }
    "vscode-insiders" "VS Code Insiders"
        "code.visualstudio.com/docs/agents/reference/mcp-configuration; vscode#336232"
        [on(User, AppData, "Code - Insiders/User/mcp.json")]
        { keys: VSCODE, variables: EDITOR, comments: true, header_note: HEADERS_DOUBTED }
    "copilot-cli" "Copilot CLI"
        "docs.github.com/copilot/how-tos/copilot-cli; copilot-cli#4542"
        [on(User, Variable("COPILOT_HOME", ".copilot"), "mcp-config.json"), project(".github/mcp.json")]
        {}
    "codex" "Codex"
        "openai/codex codex-rs/config/src/mcp_types.rs, codex-rs/core-plugins/src/store.rs"
        [on(User, Variable("CODEX_HOME", ".codex"), "config.toml"), project(".codex/config.toml")]
        {
            keys: CODEX, variables: LITERAL, comments: true, merges_keys: true,
            plugins: CODEX_PLUGINS,
            is_node: false, login: Some(Login { command: "run `codex mcp login NAME`", records: None }),
        }
    "gemini-cli" "Gemini CLI"
        "google-gemini/gemini-cli at 2026-08-21: envVarResolver.ts, mcpServerEnablement.ts, extension-manager.ts"
        [
            system(Linux, Managed, "etc/gemini-cli/settings.json"),
            system(MacOs, Managed, "Library/Application Support/GeminiCli/settings.json"),
            home(".gemini/settings.json"), system(Linux, Defaults, "etc/gemini-cli/system-defaults.json"),
            system(MacOs, Defaults, "Library/Application Support/GeminiCli/system-defaults.json"),
            project(".gemini/settings.json"),
        ]
        {
            keys: GEMINI, variables: SHELL, comments: true,
            switches: GEMINI_SWITCHES,
            plugins: GEMINI_EXTENSIONS,
            login: GEMINI_LOGIN,
        }
    "windsurf" "Windsurf"
        "docs.windsurf.com/windsurf/cascade/mcp"
        [home(".codeium/windsurf/mcp_config.json")]
        { variables: WINDSURF }
    "windsurf-plugins" "Windsurf plugins"
        "docs.windsurf.com/plugins/cascade/mcp"
        [home(".codeium/mcp_config.json")]
        { variables: WINDSURF }
    "zed" "Zed"
        "zed-industries/zed crates/settings_content/src/project.rs, crates/paths/src/paths.rs"
        // On macOS, too: Zed itself does not use Application Support for its settings.
        [on(User, ConfigHome, "zed/settings.json"), project(".zed/settings.json")]
        {
            keys: Keys { container: &["context_servers"], ..SECONDS }, variables: LITERAL, comments: true,
            is_node: false,
        }
    "opencode" "opencode"
        "opencode.ai/docs/config; anomalyco/opencode packages/opencode/src/config/{mcp,paths,variable}.ts"
        [
            on(User, FileVariable("OPENCODE_CONFIG"), ""), home(".opencode/opencode.jsonc"),
            home(".opencode/opencode.json"), on(User, ConfigHome, "opencode/opencode.jsonc"),
            on(User, ConfigHome, "opencode/opencode.json"), project(".opencode/opencode.jsonc"),
            project(".opencode/opencode.json"), project("opencode.jsonc"), project("opencode.json"),
        ]
        {
            keys: OPENCODE, variables: CURLY, comments: true, merges_keys: true,
            login: OPENCODE_LOGIN,
            header_note: HEADERS_DOUBTED,
        }
    "cline" "Cline"
        "cline/cline at 2026-08-22: apps/vscode/src/services/mcp/schemas.ts, src/utils/envExpansion.ts"
        [on(User, AppData, "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json")]
        { keys: CLINE, variables: ENV }
    "cline-cli" "Cline CLI"
        "cline/cline at 2026-08-22: sdk/packages/shared/src/storage/paths.ts, mcp.ts"
        [
            on(User, FileVariable("CLINE_MCP_SETTINGS_PATH"), ""),
            on(User, Variable("CLINE_DIR", ".cline"), "data/settings/cline_mcp_settings.json"),
        ]
        { keys: CLINE, variables: ENV }
    "roo-code" "Roo Code"
        "RooCodeInc/Roo-Code at 2026-04-14: src/services/mcp/McpHub.ts, src/utils/config.ts"
        [
            on(User, AppData, "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),
            project(".roo/mcp.json"),
        ]
        { keys: ROO, variables: EDITOR }
    "kilo-code" "Kilo Code"
        "kilo.ai/docs/automate/mcp/using-in-kilo-code"
        [
            on(User, AppData, "Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"),
            project(".kilocode/mcp.json"),
        ]
        { keys: SECONDS }
    "kilo" "Kilo CLI"
        "kilo.ai/docs/automate/mcp/using-in-kilo-code; rulesync src/features/mcp/kilo-mcp.ts"
        [
            on(User, ConfigHome, "kilo/kilo.jsonc"), on(User, ConfigHome, "kilo/kilo.json"),
            project(".kilo/kilo.jsonc"), project(".kilo/kilo.json"), project("kilo.jsonc"), project("kilo.json"),
        ]
        { keys: OPENCODE, variables: CURLY, comments: true, merges_keys: true }
    "goose" "Goose"
        "block/goose crates/goose/src/agents/extension.rs"
        [on(User, ConfigHome, "goose/config.yaml")]
        {
            keys: GOOSE,
            comments: true, is_node: false,
        }
    "antigravity" "Antigravity"
        "antigravity.google/docs/mcp; rulesync at 2026-08-18: src/features/mcp/antigravity-ide-mcp.ts"
        [
            home(".gemini/config/mcp_config.json"), home(".gemini/antigravity/mcp_config.json"),
            project(".agents/mcp_config.json"),
        ]
        {}
    "kiro" "Kiro"
        "kiro.dev/docs/mcp/configuration, kiro.dev/docs/cli/chat/configuration"
        [home(".kiro/settings/mcp.json"), project(".kiro/settings/mcp.json")]
        { variables: BRACES }
    "amazon-q" "Amazon Q"
        "docs.aws.amazon.com/amazonq command-line-mcp-configuration; amazon-q-developer-cli#3646"
        [home(".aws/amazonq/mcp.json"), project(".amazonq/mcp.json")]
        {
            keys: MILLISECONDS, variables: AMAZON_Q,
            is_node: false,
        }
    "qwen-code" "Qwen Code"
        "QwenLM/qwen-code docs/users/features/mcp.md"
        [
            system(Linux, Managed, "etc/qwen-code/settings.json"),
            system(MacOs, Managed, "Library/Application Support/QwenCode/settings.json"),
            home(".qwen/settings.json"), project(".qwen/settings.json"),
        ]
        {
            keys: QWEN,
            variables: SHELL, comments: true, switches: QWEN_SWITCHES,
            plugins: QWEN_EXTENSIONS,
            login: QWEN_LOGIN,
        }
    "junie" "Junie"
        "junie.jetbrains.com/docs/junie-cli-mcp-configuration.html"
        [home(".junie/mcp/mcp.json"), project(".junie/mcp/mcp.json")]
        { is_node: false }
    "jetbrains-ai" "JetBrains AI"
        "jetbrains.com/help/ai-assistant/mcp.html; rulesync src/features/mcp/aiassistant-mcp.ts"
        [home(".ai/mcp/mcp.json"), project(".ai/mcp/mcp.json")]
        { is_node: false }
    "grok-cli" "Grok CLI"
        "`grok mcp add` 0.2.54; rulesync src/features/mcp/grokcli-mcp.ts"
        [home(".grok/config.toml"), project(".grok/config.toml")]
        {
            keys: GROK,
            comments: true,
        }
    "trae" "Trae"
        "docs.trae.ai/ide/add-mcp-servers; mcpm.sh#92"
        [
            on(User, AppData, "Trae/User/mcp.json"), on(User, AppData, "Trae CN/User/mcp.json"),
            project(".trae/mcp.json"),
        ]
        { comments: true }
    "hermes" "Hermes"
        "NousResearch/hermes-agent website/docs/reference/mcp-config-reference.md"
        [on(User, Variable("HERMES_HOME", ".hermes"), "config.yaml")]
        {
            keys: HERMES,
            variables: BRACES, comments: true, is_node: false,
        }
    "factory-droid" "Factory Droid"
        "docs.factory.ai/cli/configuration/mcp"
        [home(".factory/mcp.json"), project(".factory/mcp.json")]
        {}
    "crush" "Crush"
        "charmbracelet/crush at 2026-08-21: internal/config/{config,load,resolve}.go"
        [
            on(User, DataHome, "crush/crush.json"), on(User, ConfigHome, "crush/crush.json"),
            system(Linux, Defaults, "etc/crush/crush.json"), project(".crush/crush.json"), project(".crush.json"),
            project("crush.json"),
        ]
        {
            keys: Keys { container: &["mcp"], ..SECONDS },
            variables: CRUSH,
            merges_keys: true, is_node: false,
        }
    "warp" "Warp"
        "docs.warp.dev/agent-platform/capabilities/mcp"
        [home(".warp/.mcp.json"), project(".warp/.mcp.json")]
        { keys: Keys { cwd: &["working_directory"], ..COMMON }, is_node: false }
    "continue" "Continue"
        "docs.continue.dev/reference; continuedev/continue packages/config-yaml/src/schemas/mcp/index.ts"
        [home(".continue/config.yaml"), home(".continue/mcpServers/*"), project(".continue/mcpServers/*")]
        {
            keys: CONTINUE,
            variables: SECRETS, comments: true,
        }
    "amp" "Amp"
        "ampcode.com/manual#mcp"
        [
            on(User, ConfigHome, "amp/settings.jsonc"), on(User, ConfigHome, "amp/settings.json"),
            project(".amp/settings.jsonc"), project(".amp/settings.json"),
        ]
        { keys: Keys { container: &["amp.mcpServers"], ..COMMON }, variables: BRACES, comments: true }
    "augment" "Augment"
        "docs.augmentcode.com/cli/config"
        [home(".augment/settings.json"), project(".augment/settings.local.json"), project(".augment/settings.json")]
        {}
    "devin" "Devin"
        "docs.devin.ai/cli/extensibility/mcp/configuration"
        [
            on(User, ConfigHome, "devin/mcp_config.json"), on(User, ConfigHome, "devin/config.json"),
            project(".devin/mcp_config.local.json"), project(".devin/mcp_config.json"),
            project(".devin/config.json"),
        ]
        {}
    "rovo-dev" "Rovo Dev"
        "support.atlassian.com/rovo/docs/connect-to-an-mcp-server-in-rovo-dev-cli"
        [home(".rovodev/mcp.json"), project(".rovodev/mcp.json")]
        {
            switches: ROVO_SWITCHES,
            is_node: false,
        }
    "mistral-vibe" "Mistral Vibe"
        "mistralai/mistral-vibe at 2026-07-01: vibe/core/config/models.py"
        [on(User, Variable("VIBE_HOME", ".vibe"), "config.toml"), project(".vibe/config.toml")]
        {
            keys: VIBE,
            variables: LITERAL, comments: true, is_node: false,
        }
    "kimi-code" "Kimi Code"
        "moonshotai.github.io/kimi-code/en/customization/mcp.html; MoonshotAI/kimi-cli docs/en/customization/mcp.md"
        [
            home(".kimi-code/mcp.json"), on(User, Variable("KIMI_SHARE_DIR", ".kimi"), "mcp.json"),
            project(".kimi-code/mcp.json"),
        ]
        {
            keys: KIMI,
            is_node: false, login: Some(Login { command: "run `kimi mcp auth NAME`", records: None }),
        }
    "tabnine" "Tabnine"
        "docs.tabnine.com/main/getting-started/tabnine-agent/mcp-intro-and-setup/mcp-server-config"
        [
            system(Linux, Managed, "etc/tabnine-cli/settings.json"),
            system(MacOs, Managed, "Library/Application Support/TabnineCli/settings.json"),
            home(".tabnine/agent/settings.json"), home(".tabnine/mcp_servers.json"),
            project(".tabnine/agent/settings.json"), project(".tabnine/mcp_servers.json"),
        ]
        {
            keys: TABNINE,
            switches: TABNINE_SWITCHES,
        }
    "mcphub-nvim" "MCPHub.nvim"
        "ravitemer.github.io/mcphub.nvim/mcp/servers_json.html"
        [on(User, ConfigHome, "mcphub/servers.json")]
        { variables: MCPHUB, comments: true }
    "mcporter" "mcporter"
        "steipete/mcporter at 2026-01-01: src/config-schema.ts, src/env.ts"
        [
            on(User, FileVariable("MCPORTER_CONFIG"), ""), home(".mcporter/mcporter.json"),
            home(".mcporter/mcporter.jsonc"), project("config/mcporter.json"),
        ]
        {
            keys: MCPORTER,
            variables: MCPORTER_VARIABLES, comments: true,
            login: Some(Login { command: "run `mcporter auth NAME`", records: None }),
        }
}

/// A file named in `config_files` that belongs to no client: the most common shape, and either way of writing variables.
pub(super) static GENERIC: Client = Client {
    name: "file",
    title: "the file",
    keys: Keys { flat: true, ..COMMON },
    variables: EITHER,
    comments: true,
    documented: "this page",
    ..CLIENT
};
