//! A corpus of small lists, one for each scope and special form of the clients, with what is to come of each server;
//! `clients.rs` has one of every client's own file.

use proptest::prelude::*;

use lab_probe::model::mcp::Reach;
use lab_probe::plan::View;
use lab_probe::trust::{self, TrustStore};

use super::clients::ROWS;
use super::{Tree, names, shown};

/// A tree, and what is to come of it.
struct Case {
    /// What it is about.
    about: &'static str,
    /// Files and what stands in them; one whose name has `!` in front is trusted.
    files: &'static [(&'static str, &'static str)],
    /// Every server, with how it is reached or the reason why it is not.
    servers: &'static [(&'static str, &'static str)],
    /// Words that stand in the notes of the first server's places, or in a warning.
    said: &'static [&'static str],
}

const ANY: &str = r#"{"mcpServers": {"s": {"command": "run"}}}"#;
const PROJECT: &[(&str, &str)] = &[("s", "untrusted")];

/// Files of projects, which nobody has allowed.
const PROJECTS: &[(&str, &str)] = &[
    (".mcp.json", ANY),
    (".cursor/mcp.json", ANY),
    (".vscode/mcp.json", r#"{"servers": {"s": {"command": "run"}}}"#),
    (".github/mcp.json", ANY),
    (".codex/config.toml", "[mcp_servers.s]\ncommand = 'run'\n"),
    (".gemini/settings.json", ANY),
    (".zed/settings.json", r#"{"context_servers": {"s": {"command": "run"}}}"#),
    (".opencode/opencode.json", r#"{"mcp": {"s": {"type": "local", "command": ["run"]}}}"#),
    ("opencode.jsonc", r#"{"mcp": {"s": {"type": "local", "command": ["run"]}, /* fine */}}"#),
    (".roo/mcp.json", ANY),
    (".kilocode/mcp.json", ANY),
    ("kilo.json", r#"{"mcp": {"s": {"type": "local", "command": ["run"]}}}"#),
    (".kilo/kilo.jsonc", r#"{"mcp": {"s": {"type": "local", "command": ["run"]}}}"#),
    (".agents/mcp_config.json", ANY),
    (".kiro/settings/mcp.json", ANY),
    (".amazonq/mcp.json", ANY),
    (".qwen/settings.json", ANY),
    (".junie/mcp/mcp.json", ANY),
    (".ai/mcp/mcp.json", ANY),
    (".grok/config.toml", "[mcp_servers.s]\ncommand = 'run'\n"),
    (".trae/mcp.json", ANY),
    (".factory/mcp.json", ANY),
    (".crush.json", r#"{"mcp": {"s": {"type": "stdio", "command": "run"}}}"#),
    (".warp/.mcp.json", ANY),
    (".agents/.mcp.json", ANY),
    (".continue/mcpServers/any.yaml", "mcpServers:\n- {name: s, command: run}\n"),
    (".continue/mcpServers/any.json", ANY),
    (".amp/settings.json", r#"{"amp.mcpServers": {"s": {"command": "run"}}}"#),
    (".augment/settings.local.json", ANY),
    (".devin/mcp_config.json", ANY),
    (".rovodev/mcp.json", ANY),
    (".vibe/config.toml", "[[mcp_servers]]\nname = 's'\ntransport = 'stdio'\ncommand = 'run'\n"),
    (".kimi-code/mcp.json", ANY),
    (".tabnine/mcp_servers.json", ANY),
    ("config/mcporter.json", ANY),
];

const CASES: &[Case] = &[
    Case {
        about: "an entry that is off in a project takes no name over",
        files: &[
            ("home/.claude.json", ANY),
            ("project/.mcp.json", r#"{"mcpServers": {"s": {"command": "other", "disabled": true}}}"#),
            ("project/.codex/config.toml", "[mcp_servers.s]\ncommand = 'other'\nenabled = false\n"),
            ("project/.gemini/settings.json", r#"{"mcp": {"excluded": ["s"]}, "mcpServers": {"s": {"command": "o"}}}"#),
        ],
        servers: &[("s", "run []"), ("s@claude-code:project", "disabled"), ("s@gemini-cli:project", "disabled")],
        said: &[],
    },
    Case {
        about: "an untrusted part changes nothing",
        files: &[
            (
                "home/.config/opencode/opencode.json",
                r#"{"mcp": {"s": {"type": "local", "command": ["run"]}, "t": {"type": "remote", "url": "http://h/"}}}"#,
            ),
            (
                "project/opencode.json",
                r#"{"mcp": {"s": {"environment": {"A": "1"}}, "t": {"enabled": false}, "none": {"enabled": false}}}"#,
            ),
        ],
        servers: &[("s", "run []"), ("t", "auto http://h/ []")],
        said: &["untrusted: what it changes"],
    },
    Case {
        about: "a trusted part completes and switches off what the user's file defines",
        files: &[
            (
                "home/.config/opencode/opencode.json",
                r#"{"mcp": {"s": {"type": "local", "command": ["run"]}, "t": {"type": "remote", "url": "http://h/"}}}"#,
            ),
            ("!project/opencode.json", r#"{"mcp": {"s": {"environment": {"A": "1"}}, "t": {"enabled": false}}}"#),
        ],
        servers: &[("s", "run [A=1]"), ("t", "disabled")],
        said: &["merged over it"],
    },
    Case {
        about: "Codex merges its tables",
        files: &[
            ("home/.codex/config.toml", "[mcp_servers.s]\ncommand = 'run'\nenv = { A = '1' }\n"),
            ("!project/.codex/config.toml", "[mcp_servers.s]\nenv = { B = '2' }\n"),
        ],
        servers: &[("s", "run [A=1 B=2]")],
        said: &[],
    },
    Case {
        about: "two files of the user are one",
        files: &[
            ("home/.config/opencode/opencode.jsonc", r#"{"mcp": {"s": {"enabled": false}}}"#),
            ("home/.config/opencode/opencode.json", r#"{"mcp": {"s": {"type": "local", "command": ["run"]}}}"#),
        ],
        servers: &[("s", "disabled")],
        said: &[],
    },
    Case {
        about: "gemini mcp disable, and names in any case",
        files: &[
            (
                "home/.gemini/settings.json",
                r#"{"mcp": {"excluded": [" ALPHA "]},
                    "mcpServers": {"Alpha": {"command": "a"}, "beta": {"command": "b"}, "C": {"command": "c"}}}"#,
            ),
            ("home/.gemini/mcp-server-enablement.json", r#"{"beta": {"enabled": false}, "c": {"enabled": true}}"#),
        ],
        servers: &[("Alpha", "disabled"), ("C", "c []"), ("beta", "disabled")],
        said: &[],
    },
    Case {
        about: "Claude Code's denied servers, by name, command and URL",
        files: &[
            (
                "home/.claude.json",
                r#"{"mcpServers": {"a": {"command": "run", "args": ["x"]}, "b": {"command": "run"},
                    "c": {"type": "http", "url": "https://x.bad/mcp"}, "d": {"command": "run", "args": ["y"]}}}"#,
            ),
            (
                "home/.claude/settings.json",
                r#"{"deniedMcpServers": [{"serverName": "b"}, {"serverCommand": ["run", "x"]}, {"serverUrl": "https://*.bad/*"}]}"#,
            ),
        ],
        servers: &[("a", "disabled"), ("b", "disabled"), ("c", "disabled"), ("d", "run y []")],
        said: &[],
    },
    Case {
        about: "Claude Code's allowed servers; commands decide for programs where there are any",
        files: &[
            (
                "home/.claude.json",
                r#"{"mcpServers": {"a": {"command": "run"}, "b": {"command": "other"}, "c": {"type": "http", "url": "http://h/"}}}"#,
            ),
            (
                "root/etc/claude-code/managed-settings.json",
                r#"{"allowedMcpServers": [{"serverName": "b"}, {"serverCommand": ["run"]}]}"#,
            ),
            ("home/.claude/settings.json", r#"{"allowedMcpServers": [{"serverName": "c"}]}"#),
        ],
        servers: &[("a", "run []"), ("b", "disabled"), ("c", "http http://h/ []")],
        said: &[],
    },
    Case {
        about: "only the administrator's allowed servers count where the administrator says so",
        files: &[
            ("home/.claude.json", r#"{"mcpServers": {"a": {"command": "run"}, "b": {"command": "run"}}}"#),
            (
                "root/etc/claude-code/managed-settings.json",
                r#"{"allowManagedMcpServersOnly": true, "allowedMcpServers": [{"serverName": "a"}]}"#,
            ),
            ("home/.claude/settings.json", r#"{"allowedMcpServers": [{"serverName": "b"}]}"#),
        ],
        servers: &[("a", "run []"), ("b", "disabled")],
        said: &[],
    },
    Case {
        about: "Rovo Dev switches servers off in another file",
        files: &[("home/.rovodev/mcp.json", ANY), ("home/.rovodev/config.yml", "mcp:\n  disabledMcpServers: [s]\n")],
        servers: &[("s", "disabled")],
        said: &[],
    },
    Case {
        about: "a plugin of Claude Code, flat, found by the settings alone",
        files: &[
            ("home/.claude/settings.json", r#"{"enabledPlugins": {"p@market": true, "off@market": false}}"#),
            (
                "home/.claude/plugins/cache/market/p/1.10.0/.mcp.json",
                r#"{"s": {"command": "run", "args": ["${CLAUDE_PLUGIN_ROOT}/s.js"]}}"#,
            ),
            ("home/.claude/plugins/cache/market/p/1.9.0/.mcp.json", r#"{"old": {"command": "run"}}"#),
            ("home/.claude/plugins/cache/market/off/1/.mcp.json", r#"{"mcpServers": {"t": {"command": "run"}}}"#),
            ("home/.claude/plugins/cache/market/unnamed/1/.mcp.json", ANY),
        ],
        servers: &[("s", "run HOME/.claude/plugins/cache/market/p/1.10.0/s.js []"), ("t", "disabled")],
        said: &[],
    },
    Case {
        about: "a plugin of Claude Code with its servers in the manifest",
        files: &[
            ("home/.claude/settings.json", r#"{"enabledPlugins": {"p@market": true}}"#),
            (
                "home/.claude/plugins/cache/market/p/1/.claude-plugin/plugin.json",
                r#"{"name": "p", "mcpServers": {"s": {"command": "run"}}}"#,
            ),
        ],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "an extension of Gemini CLI, and one that is switched off",
        files: &[
            (
                "home/.gemini/extensions/on/gemini-extension.json",
                r#"{"name": "on", "mcpServers": {"s": {"command": "run", "args": ["${extensionPath}${/}s.js", "$SET"]}}}"#,
            ),
            (
                "home/.gemini/extensions/off/gemini-extension.json",
                r#"{"name": "off", "mcpServers": {"t": {"command": "run"}}}"#,
            ),
            ("home/.gemini/extensions/extension-enablement.json", r#"{"off": {"overrides": ["!*"]}}"#),
        ],
        servers: &[("s", "run HOME/.gemini/extensions/on/s.js value []"), ("t", "disabled")],
        said: &[],
    },
    Case {
        about: "a plugin of Codex",
        files: &[
            ("home/.codex/config.toml", "[plugins.\"p@market\"]\nenabled = true\n"),
            ("home/.codex/plugins/cache/market/p/local/.mcp.json", ANY),
        ],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "a plugin of Claude Code that is installed for one project, and one that the project has off",
        files: &[
            (
                "home/.claude/plugins/installed_plugins.json",
                r#"{"version": 2, "plugins": {
                    "p@m": [{"scope": "project", "projectPath": "@PROJECT@", "installPath": "@HOME@/.claude/plugins/cache/m/p/1"}],
                    "q@m": [{"scope": "local", "projectPath": "@PROJECT@", "installPath": "@HOME@/.claude/plugins/cache/m/q/1"}]}}"#,
            ),
            ("home/.claude/plugins/cache/m/p/1/.mcp.json", ANY),
            ("home/.claude/plugins/cache/m/q/1/.mcp.json", r#"{"mcpServers": {"t": {"command": "run"}}}"#),
            ("project/.claude/settings.json", r#"{"enabledPlugins": {"p@m": true, "q@m": true, "other@m": true}}"#),
            ("project/.claude/settings.local.json", r#"{"enabledPlugins": {"q@m": false}}"#),
        ],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "each profile of VS Code has a list of its own",
        files: &[("home/.config/Code/User/profiles/-5c2a/mcp.json", r#"{"servers": {"s": {"command": "run"}}}"#)],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "Claude Code's managed settings are one with the files in the directory beside them",
        files: &[
            (
                "home/.claude.json",
                r#"{"mcpServers": {"a": {"command": "run"}, "b": {"command": "run"}, "c": {"command": "run"}}}"#,
            ),
            ("root/etc/claude-code/managed-settings.json", r#"{"allowManagedMcpServersOnly": true}"#),
            (
                "root/etc/claude-code/managed-settings.d/20-more.json",
                r#"{"allowedMcpServers": [{"serverName": "a"}, {"serverName": "c"}], "deniedMcpServers": [{"serverName": "c"}]}"#,
            ),
            ("home/.claude/settings.json", r#"{"allowedMcpServers": [{"serverName": "b"}]}"#),
        ],
        servers: &[("a", "run []"), ("b", "disabled"), ("c", "disabled")],
        said: &[],
    },
    Case {
        about: "a later managed file overrides what an earlier one says, and the user's says nothing of it",
        files: &[
            ("home/.claude.json", r#"{"mcpServers": {"a": {"command": "run"}, "b": {"command": "run"}}}"#),
            (
                "root/etc/claude-code/managed-settings.json",
                r#"{"allowManagedMcpServersOnly": true, "allowedMcpServers": [{"serverName": "a"}]}"#,
            ),
            ("root/etc/claude-code/managed-settings.d/10.json", r#"{"allowManagedMcpServersOnly": false}"#),
            (
                "root/etc/claude-code/managed-settings.d/.20.json",
                r#"{"allowManagedMcpServersOnly": true, "deniedMcpServers": [{"serverName": "a"}]}"#,
            ),
            (
                "home/.claude/settings.json",
                r#"{"allowManagedMcpServersOnly": true, "allowedMcpServers": [{"serverName": "b"}]}"#,
            ),
        ],
        servers: &[("a", "run []"), ("b", "run []")],
        said: &[],
    },
    Case {
        about: "Claude Code's lists for single projects, one of which is gone, and what switches off in them",
        files: &[
            (
                "home/.claude.json",
                r#"{"projects": {
                "@PROJECT@": {"mcpServers": {"a": {"command": "run"}, "b": {"command": "b"}}, "disabledMcpServers": ["b", "c"],
                    "disabledMcpjsonServers": ["a", "d"]},
                "/gone": {"mcpServers": {"g": {"command": "g"}}}, "/none": {"mcpServers": {}}, "/odd": 5,
                "/wrong": {"mcpServers": "text"}}}"#,
            ),
            (
                "!project/.mcp.json",
                r#"{"mcpServers": {"c": {"command": "c"}, "d": {"command": "d"}, "e": {"command": "e"}}}"#,
            ),
            ("home/.claude/settings.json", r#"{"deniedMcpServers": [{"serverName": "denied"}]}"#),
        ],
        servers: &[
            ("a", "run []"),
            ("b", "disabled"),
            ("c", "disabled"),
            ("d", "disabled"),
            ("e", "e []"),
            ("g", "g []"),
        ],
        said: &[": project /wrong: \"mcpServers\" is no table of servers"],
    },
    Case {
        about: "a plugin of Claude Code that is installed for the user and, in another version, for a project",
        files: &[
            ("home/.claude/settings.json", r#"{"enabledPlugins": {"p@m": true}}"#),
            (
                "home/.claude/plugins/installed_plugins.json",
                r#"{"version": 2, "plugins": {"p@m": [
                    {"scope": "user", "installPath": "@HOME@/.claude/plugins/cache/m/p/1"},
                    {"scope": "project", "projectPath": "/elsewhere", "installPath": "@HOME@/.claude/plugins/cache/m/p/2"}]}}"#,
            ),
            ("home/.claude/plugins/cache/m/p/1/.mcp.json", ANY),
            ("home/.claude/plugins/cache/m/p/2/.mcp.json", r#"{"mcpServers": {"t": {"command": "run"}}}"#),
        ],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "the administrator's word that only their list counts is no list",
        files: &[
            ("home/.claude.json", ANY),
            ("root/etc/claude-code/managed-settings.json", r#"{"allowManagedMcpServersOnly": true}"#),
            ("home/.claude/settings.json", r#"{"allowedMcpServers": [{"serverName": "other"}]}"#),
        ],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "a plugin of Cursor",
        files: &[("home/.cursor/plugins/local/p/mcp.json", ANY)],
        servers: &[("s", "run []")],
        said: &[],
    },
    Case {
        about: "a list without the table around it is said where the client does not take it",
        files: &[("project/.mcp.json", r#"{"s": {"command": "run"}}"#)],
        servers: &[],
        said: &["under `mcpServers`"],
    },
    Case {
        about: "Claude Code drops a URL without a type",
        files: &[("home/.claude.json", r#"{"mcpServers": {"s": {"url": "http://h/"}}}"#)],
        servers: &[("s", "not_configured")],
        said: &["no `type`"],
    },
    Case {
        about: "in a project's .mcp.json it is said, because Copilot CLI takes it",
        files: &[("!project/.mcp.json", r#"{"mcpServers": {"s": {"url": "http://h/"}}}"#)],
        servers: &[("s", "auto http://h/ []")],
        said: &["no `type`"],
    },
    Case {
        about: "Codex refuses a URL beside a command, and with it the file",
        files: &[(
            "home/.codex/config.toml",
            "[mcp_servers.a]\ncommand = 'run'\n[mcp_servers.b]\ncommand = 'node'\nurl = 'http://h/'\n",
        )],
        servers: &[("a", "run []"), ("b", "spawn_failed")],
        said: &["reads nothing of this file because of \"b\""],
    },
    Case {
        about: "a list under another client's key is no list of this one, and that is said",
        files: &[
            ("!project/.vscode/mcp.json", ANY),
            ("home/.cursor/mcp.json", r#"{"servers": {"c": {"command": "run"}}}"#),
            ("home/.gemini/settings.json", r#"{"mcp": {"allowed": ["s"]}, "mcpServers": {"s": {"command": "run"}}}"#),
        ],
        servers: &[("s", "run []")],
        said: &[
            "under `mcpServers`; the client reads only those under `servers`",
            "under `servers`; the client reads only those under `mcpServers`",
        ],
    },
    Case {
        about: "a transport that only the client has says nothing of the server",
        files: &[(
            "home/.claude.json",
            r#"{"mcpServers": {"s": {"type": "sdk", "name": "s"}, "w": {"type": "ws", "url": "wss://h/"}}}"#,
        )],
        servers: &[("s", "not_configured"), ("w", "not_configured")],
        said: &["cannot check servers over \"sdk\""],
    },
    Case {
        about: "Roo Code refuses a URL without a type",
        files: &[("!project/.roo/mcp.json", r#"{"mcpServers": {"s": {"url": "http://h/"}}}"#)],
        servers: &[("s", "connect_failed")],
        said: &[],
    },
    Case {
        about: "Cline's own form, and SSE without a type",
        files: &[(
            "home/.cline/data/settings/cline_mcp_settings.json",
            r#"{"mcpServers": {"a": {"transport": {"type": "streamableHttp", "url": "http://h/"}, "disabled": false},
                "b": {"url": "http://h/sse"}, "c": {"transport": {"type": "stdio", "command": "run"}, "disabled": true}}}"#,
        )],
        servers: &[("a", "http http://h/ []"), ("b", "sse http://h/sse []"), ("c", "disabled")],
        said: &[],
    },
    Case {
        about: "arguments that are no list start nothing",
        files: &[("home/.cursor/mcp.json", r#"{"mcpServers": {"s": {"command": "npx", "args": "-y pkg"}}}"#)],
        servers: &[("s", "spawn_failed")],
        said: &["no list of words"],
    },
    Case {
        about: "headersHelper is not run, and said",
        files: &[(
            "home/.claude.json",
            r#"{"mcpServers": {"s": {"type": "http", "url": "http://h/", "headersHelper": "/opt/x.sh"}}}"#,
        )],
        servers: &[("s", "http http://h/ []")],
        said: &["`headersHelper`, which lab-probe does not run"],
    },
    Case {
        about: "what a default leaves empty is no URL and no credential",
        files: &[(
            "home/.claude.json",
            r#"{"mcpServers": {"a": {"type": "http", "url": "${NONE:-}"}, "b": {"type": "http", "url": "http://h/",
                "headers": {"Authorization": "Bearer ${NONE:-}", "X": "${NONE:-}", "Y": "1"}}}}"#,
        )],
        servers: &[("a", "not_configured"), ("b", "http http://h/ [Y: 1]")],
        said: &[],
    },
    Case {
        about: "the client's own login is known by its name",
        files: &[
            ("home/.claude.json", r#"{"mcpServers": {"s": {"type": "http", "url": "http://h/"}}}"#),
            ("home/.claude/.credentials.json", r#"{"mcpOAuth": {"s|60c8": {"accessToken": "c4nary"}}}"#),
        ],
        servers: &[("s", "http http://h/ []")],
        said: &["Claude Code holds a login for it"],
    },
];

/// Every small file here.
pub(super) fn files() -> usize {
    PROJECTS.len() + CASES.iter().map(|case| case.files.len()).sum::<usize>()
}

/// Every entry here whose reading is tested.
pub(super) fn forms() -> usize {
    PROJECTS.len() + CASES.iter().map(|case| case.servers.len()).sum::<usize>()
}

/// The tree of a case; the working directory is the project.
fn tree(files: &[(&str, &str)]) -> Tree {
    let tree = Tree::new().in_project();
    let mut store = TrustStore::default();
    let (home, project) = (tree.path("home").display().to_string(), tree.path("project").display().to_string());
    for (name, text) in files {
        let text = text.replace("@HOME@", &home).replace("@PROJECT@", &project);
        let file = tree.write(name.trim_start_matches('!'), &text);
        if name.starts_with('!') {
            store.allow(&file, trust::digest(text.as_bytes()), jiff::Timestamp::UNIX_EPOCH).expect("allowed");
        }
    }
    store.save(&tree.path("state")).expect("saved");
    tree
}

#[test]
fn every_case_of_the_corpus_comes_to_what_the_client_makes_of_it() {
    for Case { about, files, servers, said } in CASES {
        let tree = tree(files);
        let plan = tree.plan_from(View::Here);
        let home = tree.path("home").display().to_string();
        let found: Vec<(&str, String)> =
            names(&plan).into_iter().map(|name| (name, shown(&plan, name).replace(&home, "HOME"))).collect();
        let expected: Vec<(&str, String)> = servers.iter().map(|(name, how)| (*name, (*how).to_owned())).collect();
        assert_eq!(found, expected, "{about}: {:?}", plan.warnings);
        let notes = plan.targets.first().into_iter().flat_map(|target| &target.origins);
        let notes: Vec<String> = notes.filter_map(|o| o.note.clone()).chain(plan.warnings.iter().cloned()).collect();
        for words in *said {
            assert!(notes.iter().any(|note| note.contains(words)), "{about}: {notes:?}");
        }
        assert!(!format!("{plan:?}").contains("c4nary"), "{about}");
    }
}

#[test]
fn of_a_plugin_of_cursors_marketplace_what_was_written_last_counts() {
    let tree = Tree::new();
    for (version, server, modified) in [("f00d", "old", 1_000), ("0abc", "new", 2_000)] {
        let directory = format!("home/.cursor/plugins/cache/cursor-public/p/{version}");
        tree.write(&format!("{directory}/mcp.json"), &ANY.replace("\"s\"", &format!("{server:?}")));
        let directory = std::fs::File::open(tree.path(&directory)).expect("a directory");
        let modified = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(modified);
        directory.set_modified(modified).expect("a time");
    }
    assert_eq!(names(&tree.plan()), ["new"]);
    tree.write("home/.cursor/plugins/cache/cursor-public/p/f00d/.cache-complete", "");
    assert_eq!(names(&tree.plan()), ["old"], "the other one is not downloaded whole");
}

#[test]
fn every_clients_file_in_a_project_is_listed_and_starts_nothing() {
    for (file, text) in PROJECTS {
        let tree = tree(&[(&format!("project/{file}"), text)]);
        let plan = tree.plan();
        let found: Vec<(&str, String)> = names(&plan).into_iter().map(|name| (name, shown(&plan, name))).collect();
        assert_eq!(found, PROJECT.iter().map(|(n, how)| (*n, (*how).to_owned())).collect::<Vec<_>>(), "{file}");
        assert!(plan.targets[0].only_here, "{file}: nothing else names the project");
        let allowed = self::tree(&[(&format!("!project/{file}"), text)]);
        assert_eq!(shown(&allowed.plan(), "s"), "run []", "{file}");
    }
    assert!(ROWS.len() + files() >= 60);
}

#[test]
fn what_the_current_directory_adds_changes_nothing_that_is_delivered() {
    for Case { about, files, .. } in CASES {
        let mut tree = tree(files);
        let delivered = |tree: &Tree| -> Vec<String> {
            let plan = tree.plan();
            let targets = plan.targets.iter().filter(|target| !target.only_here);
            targets.map(|target| format!("{} {}", target.name, shown(&plan, &target.name))).collect()
        };
        let here = delivered(&tree);
        tree.environment.cwd = None;
        assert_eq!(here, delivered(&tree), "{about}");
    }
}

#[test]
fn the_clients_own_start_limit_wins() {
    let seconds = |file: &str, text: &str, variable: Option<&str>| {
        let mut tree = Tree::new();
        tree.write(file, text);
        tree.environment.env.extend(variable.map(|value| ("MCP_TIMEOUT".into(), value.into())));
        tree.plan().targets[0].schedule.timeout.as_secs_f64()
    };
    let json = |limit: &str| format!(r#"{{"mcpServers": {{"s": {{"command": "run", {limit}}}}}}}"#);
    for (file, text, expected) in [
        ("home/.codex/config.toml", "[mcp_servers.s]\ncommand = 'run'\nstartup_timeout_sec = 60\n".to_owned(), 60.0),
        ("home/.codex/config.toml", "[mcp_servers.s]\ncommand = 'run'\nstartup_timeout_ms = 1500\n".to_owned(), 1.5),
        ("home/.gemini/settings.json", json("\"timeout\": 45000"), 45.0),
        ("home/.cline/data/settings/cline_mcp_settings.json", json("\"timeout\": 90"), 90.0),
        ("home/.config/zed/settings.json", json("\"timeout\": 90").replace("mcpServers", "context_servers"), 90.0),
        (
            "home/.config/goose/config.yaml",
            "extensions:\n  s: {type: stdio, cmd: run, timeout: 300}\n".to_owned(),
            300.0,
        ),
        ("home/.config/opencode/opencode.json", json("\"timeout\": 7000").replace("mcpServers", "mcp"), 7.0),
        ("home/.cursor/mcp.json", json("\"timeout\": 90"), 10.0),
        ("home/.gemini/settings.json", json("\"timeout\": -1"), 10.0),
        ("home/.gemini/settings.json", json("\"timeout\": 1e300"), 3600.0),
    ] {
        assert_eq!(seconds(file, &text, Some("20000")), expected, "{file}: {text}");
    }
    assert_eq!(seconds("home/.claude.json", &json("\"x\": 1"), Some("20000")), 20.0);
    assert_eq!(seconds("home/.claude.json", &json("\"x\": 1"), Some("soon")), 10.0);
}

#[test]
fn certificates_that_node_would_trust_are_trusted_for_clients_that_run_on_it() {
    let mut tree = Tree::new();
    tree.write("home/.claude.json", r#"{"mcpServers": {"a": {"type": "http", "url": "https://a/"}}}"#);
    tree.write("home/.codex/config.toml", "[mcp_servers.b]\nurl = 'https://b/'\n");
    tree.environment.env.insert("NODE_EXTRA_CA_CERTS".into(), "/ca.pem".into());
    let plan = tree.plan();
    for (name, expected) in [("a", Some("/ca.pem")), ("b", None)] {
        let Reach::Http(server) = super::reach(&plan, name) else { panic!("{name} is no URL") };
        assert_eq!(server.ca_file.as_deref(), expected.map(std::path::Path::new), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Any bytes, or one of the corpus cut short, in place of any client's file: the others' servers are planned.
    #[test]
    fn no_file_of_any_client_makes_a_plan_fail(row in 0..ROWS.len(), cut in 0.0..1.0f64, odd in prop::collection::vec(any::<u8>(), 0..40)) {
        let (client, file, text, _) = ROWS[row];
        let tree = Tree::new();
        let kept = (text.len() as f64 * cut) as usize;
        let mut bytes = text.as_bytes()[..kept].to_vec();
        bytes.extend(odd);
        let path = tree.write(file, "");
        std::fs::write(path, bytes).expect("written");
        let (other, text) = if client == "cursor" { ("home/.kiro/settings/mcp.json", ANY) } else { ("home/.cursor/mcp.json", ANY) };
        tree.write(other, text);
        let plan = tree.plan();
        prop_assert!(names(&plan).contains(&"s"), "{}: {:?}", client, names(&plan));
    }
}
