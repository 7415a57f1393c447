//! A row for every client: its own file, keys, switches and rule for variables.

use super::{Tree, names, shown};

/// A client, its file, what stands in it, and what is to come of each server: the command with its arguments and
/// variables, the transport with URL and headers, or the reason why it is not asked.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

pub(super) const ROWS: &[Row] = &[
    (
        "claude-code",
        "home/.claude.json",
        r#"{"mcpServers": {
                "a": {"command": "run", "args": ["${SET}", "${NONE:-deflt}", "$SET"], "env": {"K": "${TOKEN}"}},
                "b": {"type": "http", "url": "https://h/${SET}", "headers": {"Authorization": "Bearer ${TOKEN}"}},
                "c": {"type": "sse", "url": "http://h/sse"},
                "d": {"type": "streamable-http", "url": "http://h/mcp"},
                "e": {"command": "run", "env": {"K": "${NONE}"}},
                "f": {"type": "stdio", "command": "run"}
            }}"#,
        &[
            ("a", "run value deflt $SET [K=t0ken]"),
            ("b", "http https://h/value [Authorization: Bearer t0ken]"),
            ("c", "sse http://h/sse []"),
            ("d", "http http://h/mcp []"),
            ("e", "missing_env"),
            ("f", "run []"),
        ],
    ),
    (
        "claude-desktop",
        "home/.config/Claude/claude_desktop_config.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["${SET}"], "env": {"K": "${NONE}"}}}}"#,
        &[("a", "run ${SET} [K=${NONE}]")],
    ),
    (
        "cursor",
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {
                "a": {"command": "${userHome}/run", "args": ["${env:SET}", "${SET}"], "type": "http"},
                "b": {"url": "http://h/mcp", "type": "stdio", "headers": {"X": "${env:TOKEN}"}},
                "c": {"url": "http://h/mcp", "headers": {"X": "${TOKEN}"}},
                "d": {"command": "run", "args": ["${workspaceFolder}"]},
                "e": {"command": "run", "args": ["${env:NONE}"]}
            }}"#,
        &[
            ("a", "HOME/run value ${SET} []"),
            ("b", "auto http://h/mcp [X: t0ken]"),
            ("c", "missing_env"),
            ("d", "missing_env"),
            ("e", "missing_env"),
        ],
    ),
    (
        "lm-studio",
        "home/.lmstudio/mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["x"]}, "b": {"url": "http://h/mcp"}}}"#,
        &[("a", "run x []"), ("b", "auto http://h/mcp []")],
    ),
    (
        "vscode",
        "home/.config/Code/User/mcp.json",
        r#"{
                // comments are fine here
                "inputs": [{"id": "key", "type": "promptString"}],
                "servers": {
                    "a": {"type": "stdio", "command": "run", "envFile": "${userHome}/.env", "env": {"B": "own"}},
                    "b": {"type": "http", "url": "http://h/mcp", "headers": {"X": "${input:key}"}},
                    "c": {"type": "http", "url": "unix:///tmp/sock#/mcp"},
                    "d": {"url": "http://h/mcp"},
                    "f": {"type": "http", "url": "http://h/mcp"},
                    "g": {"type": "sse", "url": "http://h/sse"},
                    "e": {"command": "run", "envFile": "/none/.env"},
                },
            }"#,
        &[
            ("a", "run [A=from file B=own]"),
            ("b", "needs_input"),
            ("c", "not_configured"),
            ("d", "auto http://h/mcp []"),
            ("e", "missing_env"),
            ("f", "auto http://h/mcp []"),
            ("g", "sse http://h/sse []"),
        ],
    ),
    (
        "vscode-insiders",
        "home/.config/Code - Insiders/User/mcp.json",
        r#"{"servers": {"a": {"command": "run"}}}"#,
        &[("a", "run []")],
    ),
    (
        "copilot-cli",
        "home/.copilot/mcp-config.json",
        r#"{"mcpServers": {
                "a": {"type": "local", "command": "run", "args": ["${SET}"], "tools": ["*"]},
                "b": {"type": "http", "url": "http://h/mcp", "headers": {"X": "${TOKEN}"}},
                "c": {"type": "sse", "url": "http://h/sse"}
            }}"#,
        &[("a", "run ${SET} []"), ("b", "missing_env"), ("c", "sse http://h/sse []")],
    ),
    (
        "codex",
        "home/.codex/config.toml",
        r#"
                model = "x"
                [mcp_servers.a]
                command = "run"
                args = ["${SET}"]
                env = { K = "v" }
                env_vars = ["TOKEN", "NONE", { name = "SET" }]
                startup_timeout_sec = 20
                [mcp_servers.b]
                url = "https://h/mcp"
                bearer_token_env_var = "TOKEN"
                http_headers = { X = "1" }
                env_http_headers = { Y = "SET" }
                headers = { Z = "ignored" }
                [mcp_servers.c]
                url = "https://h/mcp"
                bearer_token_env_var = "NONE"
                [mcp_servers.d]
                command = "run"
                enabled = false
                [mcp_servers.e]
                url = "https://h/mcp"
                bearer_token = "x"
                [mcp_servers."dotted.name"]
                command = "run"
            "#,
        &[
            ("a", "run ${SET} [K=v SET=value TOKEN=t0ken]"),
            ("b", "http https://h/mcp [Authorization: Bearer t0ken, X: 1, Y: value]"),
            ("c", "missing_env"),
            ("d", "disabled"),
            ("e", "connect_failed"),
            ("dotted.name", "run []"),
        ],
    ),
    (
        "gemini-cli",
        "home/.gemini/settings.json",
        r#"{"mcp": {"allowed": ["a", "b", "c", "d", "x"], "excluded": ["x"]}, "mcpServers": {
                "a": {"command": "run", "args": ["$SET", "${SET}s", "${NONE:-d}"], "url": "http://h/a", "httpUrl": "http://h/b"},
                "b": {"command": "run", "url": "http://h/a", "type": "sse"},
                "c": {"command": "run", "args": ["$SET", "${SET}s", "${NONE:-d}", "cost: 5$"]},
                "d": {"url": "http://h/$NONE"},
                "x": {"command": "run"},
                "y": {"command": "run"}
            }}"#,
        &[
            ("a", "http http://h/b []"),
            ("b", "sse http://h/a []"),
            ("c", "run value values d cost: 5$ []"),
            ("d", "missing_env"),
            ("x", "disabled"),
            ("y", "disabled"),
        ],
    ),
    (
        "windsurf",
        "home/.codeium/windsurf/mcp_config.json",
        r#"{"mcpServers": {
                "a": {"serverUrl": "http://h/mcp", "headers": {"X": "Bearer ${file:~/token}", "Y": "${env:SET}"}},
                "b": {"url": "http://h/mcp"},
                "c": {"serverUrl": "http://h/mcp", "headers": {"X": "${file:/none}"}},
                "d": {"command": "run", "disabled": true}
            }}"#,
        &[
            ("a", "auto http://h/mcp [X: Bearer from-file, Y: value]"),
            ("b", "auto http://h/mcp []"),
            ("c", "missing_env"),
            ("d", "disabled"),
        ],
    ),
    (
        "windsurf-plugins",
        "home/.codeium/mcp_config.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["${env:SET}"]}}}"#,
        &[("a", "run value []")],
    ),
    (
        "zed",
        "home/.config/zed/settings.json",
        r#"{
                // Zed settings
                "theme": "x",
                "context_servers": {
                    "a": {"command": "run", "args": ["x"], "env": {"K": "v"}, "timeout": 60},
                    "b": {"command": {"path": "run", "args": ["y"], "env": {"K": "v"}}, "settings": {}},
                    "c": {"url": "http://h/mcp", "headers": {"X": "1"}},
                    "d": {"settings": {"key": "v"}},
                    "e": {"enabled": false, "command": "run"},
                },
            }"#,
        &[
            ("a", "run x [K=v]"),
            ("b", "run y [K=v]"),
            ("c", "auto http://h/mcp [X: 1]"),
            ("d", "not_configured"),
            ("e", "disabled"),
        ],
    ),
    (
        "opencode",
        "home/.config/opencode/opencode.jsonc",
        r#"{
                "mcp": {
                    "a": {"type": "local", "command": ["run", "x", "{env:SET}"], "environment": {"K": "{env:TOKEN}"}},
                    "b": {"type": "remote", "url": "http://h/mcp", "headers": {"X": "{env:TOKEN}"}},
                    "c": {"type": "remote", "url": "http://h/mcp", "headers": {"X": "{env:NONE}"}},
                    "d": {"type": "local", "command": ["run"], "enabled": false},
                    "e": {"type": "local", "command": ["run", "{\"json\": 1}"]}, // fine
                }
            }"#,
        &[
            ("a", "run x value [K=t0ken]"),
            ("b", "auto http://h/mcp [X: t0ken]"),
            ("c", "missing_env"),
            ("d", "disabled"),
            ("e", "run {\"json\": 1} []"),
        ],
    ),
    (
        "cline",
        "home/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        r#"{"mcpServers": {
                "a": {"type": "streamableHttp", "url": "http://h/mcp", "disabled": false, "autoApprove": []},
                "b": {"type": "sse", "url": "http://h/sse"},
                "c": {"command": "run", "disabled": true}
            }}"#,
        &[("a", "http http://h/mcp []"), ("b", "sse http://h/sse []"), ("c", "disabled")],
    ),
    (
        "cline-cli",
        "home/.cline/data/settings/cline_mcp_settings.json",
        r#"{"mcpServers": {"a": {"command": "run"}}}"#,
        &[("a", "run []")],
    ),
    (
        "roo-code",
        "home/.config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        r#"{"mcpServers": {"a": {"command": "run"}, "b": {"type": "streamable-http", "url": "http://h/mcp"}}}"#,
        &[("a", "run []"), ("b", "http http://h/mcp []")],
    ),
    (
        "kilo-code",
        "home/.config/Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
        r#"{"mcpServers": {"a": {"command": "run", "disabled": false}, "b": {"type": "sse", "url": "http://h/sse"}}}"#,
        &[("a", "run []"), ("b", "sse http://h/sse []")],
    ),
    (
        "kilo",
        "home/.config/kilo/kilo.jsonc",
        r#"{"mcp": {
                "a": {"type": "local", "command": ["run", "x"], "environment": {"K": "{env:SET}"}}, // fine
                "b": {"type": "remote", "url": "http://h/mcp", "enabled": false},
                "c": {"enabled": false}
            }}"#,
        &[("a", "run x [K=value]"), ("b", "disabled")],
    ),
    (
        "goose",
        "home/.config/goose/config.yaml",
        "
extensions:
  developer: {type: builtin, enabled: true}
  a:
    type: stdio
    cmd: run
    args: [x, 1]
    envs: {K: v}
    env_keys: [TOKEN]
    enabled: true
    timeout: 300
  b: {type: streamable_http, uri: 'http://h/mcp', headers: {X: '1'}}
  c: {type: sse, uri: 'http://h/sse'}
  d: {type: stdio, cmd: run, enabled: false}
  e: {type: stdio, cmd: run, env_keys: [NONE]}
  f:
    enabled: true
    config: {type: stdio, cmd: run}
",
        &[
            ("a", "run x 1 [K=v TOKEN=t0ken]"),
            ("b", "http http://h/mcp [X: 1]"),
            ("c", "sse http://h/sse []"),
            ("d", "disabled"),
            ("e", "missing_env"),
            ("f", "run []"),
        ],
    ),
    (
        "antigravity",
        "home/.gemini/config/mcp_config.json",
        r#"{"mcpServers": {"a": {"serverUrl": "http://h/mcp"}, "b": {"command": "run", "env": {"K": "${SET}"}}}}"#,
        &[("a", "auto http://h/mcp []"), ("b", "run [K=${SET}]")],
    ),
    (
        "kiro",
        "home/.kiro/settings/mcp.json",
        r#"{"mcpServers": {
                "a": {"command": "run", "env": {"K": "${SET}"}},
                "b": {"url": "http://h/mcp", "headers": {"X": "${SET}"}},
                "c": {"command": "run", "disabled": true}
            }}"#,
        &[("a", "run [K=value]"), ("b", "auto http://h/mcp [X: value]"), ("c", "disabled")],
    ),
    (
        "amazon-q",
        "home/.aws/amazonq/mcp.json",
        r#"{"mcpServers": {
                "a": {"command": "run", "args": ["$SET"], "env": {"K": "$TOKEN"}},
                "b": {"url": "http://h/mcp", "headers": {"X": "${env:TOKEN}", "Y": "$SET"}}
            }}"#,
        &[("a", "run $SET [K=t0ken]"), ("b", "auto http://h/mcp [X: t0ken, Y: $SET]")],
    ),
    (
        "qwen-code",
        "home/.qwen/settings.json",
        r#"{"mcp": {"allowed": ["a*", "b"], "excluded": ["*x*"]}, "mcpServers": {
                "a": {"httpUrl": "http://h/mcp", "headers": {"X": "$SET"}},
                "a2": {"url": "http://h/sse"},
                "b": {"command": "run", "env": {"K": "${TOKEN}"}},
                "axe": {"command": "run"},
                "c": {"command": "run"}
            }}"#,
        &[
            ("a", "http http://h/mcp [X: value]"),
            ("a2", "sse http://h/sse []"),
            ("b", "run [K=t0ken]"),
            ("axe", "disabled"),
            ("c", "disabled"),
        ],
    ),
    (
        "junie",
        "home/.junie/mcp/mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["-y", "pkg"]}, "b": {"url": "http://h/mcp"}}}"#,
        &[("a", "run -y pkg []"), ("b", "auto http://h/mcp []")],
    ),
    ("jetbrains-ai", "home/.ai/mcp/mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#, &[("a", "run []")]),
    (
        "grok-cli",
        "home/.grok/config.toml",
        r#"
                [mcp_servers.a]
                command = "run"
                args = ["x"]
                enabled = true
                env = { K = "v" }
                [mcp_servers.b]
                url = "http://h/mcp"
                enabled = false
            "#,
        &[("a", "run x [K=v]"), ("b", "disabled")],
    ),
    (
        "trae",
        "home/.config/Trae/User/mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "env": {}, "fromGalleryId": "x"}, "b": {"url": "http://h/mcp", "headers": {"X": "1"}}}}"#,
        &[("a", "run []"), ("b", "auto http://h/mcp [X: 1]")],
    ),
    (
        "hermes",
        "home/.hermes/config.yaml",
        "
model: x
mcp_servers:
  a: {command: run, args: [x], env: {K: '${SET}'}, connect_timeout: 90}
  b: {url: 'http://h/mcp', headers: {Authorization: 'Bearer ${TOKEN}'}}
  c: {url: 'http://h/sse', transport: sse}
  d: {command: run, enabled: false}
  e: {url: 'http://h/mcp', headers: {X: '${NONE}'}}
",
        &[
            ("a", "run x [K=value]"),
            ("b", "auto http://h/mcp [Authorization: Bearer t0ken]"),
            ("c", "sse http://h/sse []"),
            ("d", "disabled"),
            ("e", "missing_env"),
        ],
    ),
    (
        "factory-droid",
        "home/.factory/mcp.json",
        r#"{"mcpServers": {"a": {"type": "http", "url": "http://h/mcp", "disabled": false}, "b": {"type": "stdio", "command": "run", "disabled": true}}}"#,
        &[("a", "http http://h/mcp []"), ("b", "disabled")],
    ),
    (
        "crush",
        "home/.config/crush/crush.json",
        r#"{"mcp": {
                "a": {"type": "stdio", "command": "run", "env": {"K": "$SET"}, "timeout": 120},
                "b": {"type": "http", "url": "http://h/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
                "c": {"type": "http", "url": "http://h/mcp", "headers": {"Authorization": "Bearer $(pass x)"}},
                "d": {"type": "sse", "url": "http://h/sse", "disabled": true}
            }}"#,
        &[
            ("a", "run [K=value]"),
            ("b", "http http://h/mcp [Authorization: Bearer t0ken]"),
            ("c", "missing_env"),
            ("d", "disabled"),
        ],
    ),
    (
        "warp",
        "home/.warp/.mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "working_directory": "/tmp"}, "b": {"url": "http://h/mcp"}}}"#,
        &[("a", "run []"), ("b", "auto http://h/mcp []")],
    ),
    (
        "continue",
        "home/.continue/config.yaml",
        "
name: mine
version: 1.0.0
schema: v1
mcpServers:
  - name: a
    command: run
    args: [x]
    env: {K: '${{ secrets.TOKEN }}'}
  - {name: b, type: streamable-http, url: 'http://h/mcp', requestOptions: {headers: {X: '${{secrets.SET}}'}}}
  - {name: c, type: sse, url: 'http://h/sse'}
  - {name: d, command: run, env: {K: '${{ secrets.NONE }}'}}
",
        &[
            ("a", "run x [K=t0ken]"),
            ("b", "http http://h/mcp [X: value]"),
            ("c", "sse http://h/sse []"),
            ("d", "missing_env"),
        ],
    ),
    (
        "amp",
        "home/.config/amp/settings.json",
        r#"{"amp.url": "x", "amp.mcpServers": {
                "a": {"command": "run", "args": ["x"], "env": {"K": "${SET}"}},
                "b": {"url": "http://h/mcp", "headers": {"X": "${TOKEN}"}}, // fine
            }}"#,
        &[("a", "run x [K=value]"), ("b", "auto http://h/mcp [X: t0ken]")],
    ),
    (
        "augment",
        "home/.augment/settings.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["x"]}, "b": {"type": "http", "url": "http://h/mcp"}}, "hooks": {}}"#,
        &[("a", "run x []"), ("b", "http http://h/mcp []")],
    ),
    (
        "devin",
        "home/.config/devin/mcp_config.json",
        r#"{"mcpServers": {"a": {"command": "run"}, "b": {"serverUrl": "http://h/mcp", "headers": {"X": "${env:SET}"}},
                "c": {"url": "http://h/mcp", "transport": "http", "headers": {"X": "${file:~/token}"}}}}"#,
        &[("a", "run []"), ("b", "auto http://h/mcp [X: value]"), ("c", "auto http://h/mcp [X: from-file]")],
    ),
    (
        "rovo-dev",
        "home/.rovodev/mcp.json",
        r#"{"mcpServers": {"a": {"transport": "stdio", "command": "run"}, "b": {"transport": "http", "url": "http://h/mcp"}}}"#,
        &[("a", "run []"), ("b", "http http://h/mcp []")],
    ),
    (
        "mistral-vibe",
        "home/.vibe/config.toml",
        r#"
                [[mcp_servers]]
                name = "a"
                transport = "stdio"
                command = "uvx --from 'my pkg' server"
                args = ["x"]
                startup_timeout_sec = 15
                [[mcp_servers]]
                name = "b"
                transport = "streamable-http"
                url = "http://h/mcp"
                headers = { X = "1" }
                api_key_env = "TOKEN"
                [[mcp_servers]]
                name = "c"
                transport = "http"
                url = "http://h/mcp"
                [mcp_servers.auth]
                type = "static"
                api_key_env = "SET"
                api_key_header = "X-Key"
                api_key_format = "{token}"
                [[mcp_servers]]
                name = "d"
                transport = "stdio"
                command = ["run"]
                disabled = true
            "#,
        &[
            ("a", "uvx --from my pkg server x []"),
            ("b", "http http://h/mcp [Authorization: Bearer t0ken, X: 1]"),
            ("c", "http http://h/mcp [X-Key: value]"),
            ("d", "disabled"),
        ],
    ),
    (
        "kimi-code",
        "home/.kimi-code/mcp.json",
        r#"{"mcpServers": {
                "a": {"transport": "http", "url": "http://h/mcp", "bearerTokenEnvVar": "TOKEN"},
                "b": {"transport": "stdio", "command": "run", "enabled": false, "startupTimeoutMs": 90000},
                "c": {"url": "http://h/mcp"}
            }}"#,
        &[("a", "http http://h/mcp [Authorization: Bearer t0ken]"), ("b", "disabled"), ("c", "http http://h/mcp []")],
    ),
    (
        "tabnine",
        "home/.tabnine/agent/settings.json",
        r#"{"mcp": {"excluded": ["B"]}, "mcpServers": {
                "a": {"httpUrl": "http://h/mcp", "requestInit": {"headers": {"X": "1"}}},
                "b": {"command": "run"}
            }}"#,
        &[("a", "http http://h/mcp [X: 1]"), ("b", "disabled")],
    ),
    (
        "mcphub-nvim",
        "home/.config/mcphub/servers.json",
        r#"{"mcpServers": {
                "a": {"command": "run", "env": {"K": "${SET}"}},
                "b": {"url": "http://h/mcp", "headers": {"Authorization": "Bearer ${cmd: pass x}"}},
                "c": {"command": "run", "disabled": true},
                "d": {"command": "run", "env": {"TOKEN": null, "SET": "", "NONE": ""}}
            }, "nativeMCPServers": {"neovim": {}}}"#,
        &[("a", "run [K=value]"), ("b", "missing_env"), ("c", "disabled"), ("d", "run [SET=value TOKEN=t0ken]")],
    ),
    (
        "mcporter",
        "home/.mcporter/mcporter.json",
        r#"{"imports": [], "mcpServers": {
                "a": {"command": "npx -y pkg", "env": {"K": "${NONE:-d}"}},
                "b": {"baseUrl": "http://h/mcp", "headers": {"X": "${TOKEN}"}},
                "c": {"url": "http://h/mcp", "bearerTokenEnv": "TOKEN"},
                "d": {"executable": "run", "args": ["x"]}
            }}"#,
        &[
            ("a", "npx -y pkg [K=d]"),
            ("b", "auto http://h/mcp [X: t0ken]"),
            ("c", "auto http://h/mcp [Authorization: Bearer t0ken]"),
            ("d", "run x []"),
        ],
    ),
];

#[test]
fn every_clients_own_file_keys_and_variables_are_read_as_the_client_reads_them() {
    for (client, file, text, servers) in ROWS {
        let tree = Tree::new();
        tree.write("home/.env", "# c\nA = \"from file\"\nexport B=other\nnot a line\n");
        tree.write("home/token", "from-file\n");
        tree.write(file, text);
        let plan = tree.plan();
        assert_eq!(plan.warnings, Vec::<String>::new(), "{client}");
        assert_eq!(plan.targets.len(), servers.len(), "{client}: {:?}", names(&plan));
        let home = tree.path("home").display().to_string();
        for (name, expected) in *servers {
            assert_eq!(shown(&plan, name), expected.replace("HOME", &home), "{client}: {name}");
            let target = plan.targets.iter().find(|target| target.name == *name).expect("there");
            assert_eq!(target.origins[0].source, *client);
            assert_eq!(target.origins[0].path, tree.path(file));
        }
    }
    let rows = super::document::rows();
    let known: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(ROWS.iter().map(|row| row.0).collect::<Vec<_>>(), known, "a row for every client");
}
