//! Files as people and programs leave them behind: nothing in one fails the others, and no server in one is called down that
//! its client can use.

use std::os::unix::fs::symlink;
use std::time::Duration;

use lab_probe::clock::Deadline;
use lab_probe::model::mcp::Reach;

use super::{Tree, names, reach, shown};

/// A file, what stands in it, and what is to come of each server.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const ROWS: &[Row] = &[
    // A byte order mark, and lines that end as on Windows.
    (
        "home/.kiro/settings/mcp.json",
        "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"a\": {\"command\": \"run\"}\r\n  }\r\n}\r\n",
        &[("a", "run []")],
    ),
    (
        "home/.vibe/config.toml",
        "\u{feff}[[mcp_servers]]\r\nname = \"a\"\r\ntransport = \"stdio\"\r\ncommand = \"run\"\r\n",
        &[("a", "run []")],
    ),
    ("home/.hermes/config.yaml", "\u{feff}mcp_servers:\r\n  a: {command: run}\r\n", &[("a", "run []")]),
    // Comments and trailing commas where the client takes them or not.
    (
        "home/.factory/mcp.json",
        "/* mine */ {\"mcpServers\": {\"a\": {\"command\": \"run\", \"args\": [\"x\", ],}, // last\n},}",
        &[("a", "run x []")],
    ),
    // A name twice: the last one counts, as in JavaScript, with comments and without.
    (
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y", "command": "z"}}}"#,
        &[("a", "z []")],
    ),
    (
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}} // c"#,
        &[("a", "y []")],
    ),
    // Numbers and truth values in place of text; what is no text at all is left out.
    (
        "home/.junie/mcp/mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": [8080, true, 1.5, "-y", 18446744073709551615],
            "env": {"N": 1, "B": false, "NULL": null, "T": {"x": 1}, "L": [1], "E": ""}}}}"#,
        &[("a", "run 8080 true 1.5 -y 18446744073709551615 [B=false E= N=1]")],
    ),
    (
        "home/.grok/config.toml",
        "[mcp_servers.a]\ncommand = 'run'\nargs = [1, true]\nenv = { N = 1, B = true }\n",
        &[("a", "run 1 true [B=true N=1]")],
    ),
    (
        "home/.config/goose/config.yaml",
        "extensions:\n  a: {type: stdio, cmd: run, args: [1_000, 007, no, 0x10], envs: {A: yes, B: ~, C: 1.0}}\n",
        &[("a", "run 1_000 007 no 16 [A=yes C=1.0]")],
    ),
    // No command, and one of blanks alone.
    (
        "home/.qwen/settings.json",
        r#"{"mcpServers": {"a": {"command": ""}, "b": {"command": " \t"}, "c": {"command": "run"}}}"#,
        &[("a", "command_not_found"), ("b", "command_not_found"), ("c", "run []")],
    ),
    // Credentials in the URL, and signs around it.
    (
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"url": " http://joe:s3cr3t@h:80/mcp?key=1#x "}, "b": {"url": "HTTP://H/Mcp"}}}"#,
        &[("a", "auto http://joe:s3cr3t@h:80/mcp?key=1#x []"), ("b", "auto HTTP://H/Mcp []")],
    ),
    // Every way of switching off.
    (
        "home/.hermes/config.yaml",
        "mcp_servers:\n  a: {command: run, enabled: no}\n  b: {command: run, disabled: 'true'}\n  c: {command: run, enabled: off}\n  d: {command: run, enabled: yes, disabled: no}\n",
        &[("a", "disabled"), ("b", "disabled"), ("c", "disabled"), ("d", "run []")],
    ),
    // Tables in tables, by dots and by quotes.
    (
        "home/.codex/config.toml",
        "mcp_servers.a.command = 'run'\nmcp_servers.a.env.A = '1'\nmcp_servers.\"b.c/ü 🦀\" = { command = 'run' }\n",
        &[("a", "run [A=1]"), ("b.c/ü 🦀", "run []")],
    ),
    // A part that several entries share.
    (
        "home/.hermes/config.yaml",
        "base: &base {command: run, args: [x]}\nmcp_servers:\n  a: *base\n  b: {<<: *base, args: [y]}\n",
        &[("a", "run x []"), ("b", "run y []")],
    ),
    // Wrong types beside right ones.
    (
        "home/.aws/amazonq/mcp.json",
        r#"{"mcpServers": {"a": 5, "b": "text", "c": [], "d": {"command": "run", "env": "x", "cwd": 5, "timeout": "soon", "headers": []},
            "e": {"url": "http://h/", "headers": {"X": 5, "Y": null, "Z": [1]}, "env": [], "disabled": {}}}}"#,
        &[
            ("a", "spawn_failed"),
            ("b", "spawn_failed"),
            ("c", "spawn_failed"),
            ("d", "run []"),
            ("e", "auto http://h/ [X: 5]"),
        ],
    ),
    // Names that other programs give a meaning to.
    (
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"__proto__": {"command": "run"}, "a b/c": {"command": "x"}, "": {"command": "y"}}}"#,
        &[("__proto__", "run []"), ("a b/c", "x []")],
    ),
    // An address that is none, and one that only the client can speak to.
    (
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"url": "localhost:3000/mcp"}, "b": {"url": "h.example/mcp"}, "c": {"url": 5}, "d": {"url": "wss://h/"},
            "e": {"url": "http://<host>/"}}}"#,
        &[
            ("a", "connect_failed"),
            ("b", "connect_failed"),
            ("c", "connect_failed"),
            ("d", "not_configured"),
            ("e", "connect_failed"),
        ],
    ),
    // A text cut in the middle of a character.
    (
        "home/.claude.json",
        r#"{"history": ["cut \ud83d"], "mcpServers": {"a": {"command": "run"}}}"#,
        &[("a", "run []")],
    ),
];

#[test]
fn odd_files_come_to_what_their_clients_make_of_them() {
    for (file, text, servers) in ROWS {
        let tree = Tree::new();
        tree.write(file, text);
        tree.write("home/.rovodev/mcp.json", r#"{"mcpServers": {"other": {"command": "other"}}}"#);
        let plan = tree.plan();
        let mut expected: Vec<(&str, String)> = servers.iter().map(|(name, how)| (*name, (*how).to_owned())).collect();
        expected.push(("other", "other []".to_owned()));
        expected.sort();
        let found: Vec<(&str, String)> = names(&plan).into_iter().map(|name| (name, shown(&plan, name))).collect();
        assert_eq!(found, expected, "{file} {text}: {:?}", plan.warnings);
        let shown = format!("{:?}", plan.targets);
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

/// What the places and warnings say of a file of Cursor.
fn said(text: &str) -> (Tree, String) {
    let tree = Tree::new();
    tree.write("home/.cursor/mcp.json", text);
    let plan = tree.plan();
    let hints = plan.targets.iter().filter_map(|target| match reach(&plan, &target.name) {
        Reach::Unreachable(failure) => Some(failure.hint().to_owned()),
        _ => None,
    });
    let notes = plan.targets.iter().flat_map(|target| &target.origins).filter_map(|origin| origin.note.clone());
    let all: Vec<String> = notes.chain(hints).chain(plan.warnings.iter().cloned()).collect();
    (tree, all.join("\n"))
}

#[test]
fn what_an_entry_says_in_vain_is_told_at_the_place() {
    for (text, expected) in [
        (r#"{"mcpServers": {"a": {"command": "x", "env": ["A=s3cr3t"]}}}"#, "`env` is no table of texts"),
        (r#"{"mcpServers": {"a": {"command": "x", "env": {"A": {"v": "s3cr3t"}, "B": 1}}}}"#, "left out of `env`: A"),
        (r#"{"mcpServers": {"a": {"url": "http://h/", "headers": "X: s3cr3t"}}}"#, "`headers` is no table of texts"),
        (r#"{"mcpServers": {"a": {"url": "http://h/", "headers": {"X": ["s3cr3t"]}}}}"#, "left out of `headers`: X"),
        (r#"{"mcpServers": {"a": {"url": "http://h/", "headers": {"X: s3cr3t": {}}}}}"#, "left out of `headers`: …"),
        (r#"{"mcpServers": {"a": {"url": "http:/ /s3cr3t"}}}"#, "correct the entry in "),
        (
            r#"{"mcpServers": [{"name": "a", "command": "x"}, {"command": "s3cr3t"}]}"#,
            "a server without a name is left out",
        ),
        (r#"{"McpServers": {"a": {"command": "s3cr3t"}}}"#, "its servers stand under `McpServers`"),
        (r#"{"mcp": {"servers": {"a": {"command": "s3cr3t"}}}}"#, "its servers stand under `mcp.servers`"),
        (r#"{"mcpServers": "s3cr3t"}"#, "is no table of servers; its servers are left out"),
    ] {
        let (_tree, all) = said(text);
        assert!(all.contains(expected) && !all.contains("s3cr3t"), "{text}: {all}");
    }
    let (_tree, all) = said(r#"{"mcpServers": {"a": {"command": "x", "env": {"A": null, "B": 1}, "headers": []}}}"#);
    assert_eq!(all, "");
}

/// A cloned repository cannot take the time of the checks: neither with references that nothing closes, nor with lists of names.
#[test]
fn a_projects_file_costs_no_more_than_its_length() {
    let open = "${".repeat(250_000);
    let names: Vec<String> = (0..300).map(|i| format!("{}{i}", "a".repeat(1000))).collect();
    let servers: serde_json::Map<String, serde_json::Value> =
        names.iter().map(|name| (name.clone(), serde_json::json!({"command": "x"}))).collect();
    let globs = vec![format!("*{}b", "a".repeat(500)); 500];
    for (file, text, count) in [
        ("project/.mcp.json", serde_json::json!({"mcpServers": {"a": {"command": "x", "args": [open]}}}), 1),
        ("project/.qwen/settings.json", serde_json::json!({"mcp": {"excluded": globs}, "mcpServers": servers}), 0),
    ] {
        let tree = Tree::new().in_project();
        tree.write(file, &text.to_string());
        let enough = Deadline::after(Duration::from_secs(30));
        let plan = tree.plan();
        assert_eq!(plan.targets.len(), count, "{file}: {:?}", plan.warnings);
        assert_eq!(plan.warnings.len(), 1 - count, "{file}: {:?}", plan.warnings);
        // What it cost before: minutes.
        assert!(!enough.passed(), "{file}");
    }
}

#[test]
fn what_cannot_be_read_is_said_with_its_place_and_the_others_are_read() {
    for (file, bytes, said) in [
        ("home/.cursor/mcp.json", &b"\xff\xfe{\0}\0"[..], "mcp.json:1:1: not UTF-8 text"),
        (
            "home/.hermes/config.yaml",
            b"mcp_servers:\n  a: {command: x}\n  a: {command: y}\n",
            "config.yaml:3:3: a key that is there already",
        ),
        (
            "home/.codex/config.toml",
            b"[mcp_servers.a]\ncommand = 'x'\ncommand = 'y'\n",
            "config.toml:3:1: duplicate key",
        ),
        ("home/.kiro/settings/mcp.json", b"[{\"name\": \"a\", \"command\": \"x\"}]", "expected a table of settings"),
        ("home/.qwen/settings.json", b"{\"mcpServers\": {\"a\": {\"command\": \"x\"}", "settings.json:1:"),
    ] {
        let tree = Tree::new();
        let path = tree.write(file, "");
        std::fs::write(path, bytes).expect("written");
        tree.write("home/.rovodev/mcp.json", r#"{"mcpServers": {"other": {"command": "other"}}}"#);
        let plan = tree.plan();
        assert_eq!(names(&plan), ["other"], "{file}");
        assert!(plan.warnings.len() == 1 && plan.warnings[0].contains(said), "{file}: {:?}", plan.warnings);
    }
}

#[test]
fn a_large_file_of_the_user_is_read_and_one_beyond_the_limit_is_said() {
    let history = |bytes: usize| {
        format!(r#"{{"history": "{}", "mcpServers": {{"a": {{"command": "run"}}}}}}"#, "x".repeat(bytes))
    };
    let tree = Tree::new().in_project();
    tree.write("home/.claude.json", &history(8 << 20));
    tree.write("home/.cursor/mcp.json", &history(17 << 20));
    tree.write("project/.mcp.json", &history(2 << 20));
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a"]);
    assert_eq!(shown(&plan, "a"), "run []");
    for file in [".cursor/mcp.json", ".mcp.json"] {
        assert!(plan.warnings.iter().any(|warning| warning.contains(file)), "{file}: {:?}", plan.warnings);
    }
}

#[test]
fn a_file_or_a_directory_that_is_a_link_is_followed_and_one_to_nothing_is_said() {
    let tree = Tree::new();
    let any = |name: &str| {
        format!(
            r#"{{"mcpServers": {{"{name}": {{"command": "run"}}}}, "context_servers": {{"{name}": {{"command": "run"}}}}}}"#
        )
    };
    let file = tree.write("dotfiles/cursor.json", &any("file"));
    tree.write("dotfiles/zed/settings.json", &any("directory"));
    for directory in
        ["home/.cursor", "home/.config", "home/.kiro/settings", "home/.qwen/settings.json", "home/.factory"]
    {
        std::fs::create_dir_all(tree.path(directory)).expect("a directory");
    }
    symlink(&file, tree.path("home/.cursor/mcp.json")).expect("a link");
    symlink("../../dotfiles/zed", tree.path("home/.config/zed")).expect("a link");
    symlink("nowhere", tree.path("home/.kiro/settings/mcp.json")).expect("a link");
    symlink(".continue", tree.path("home/.continue")).expect("a link to itself, into which nobody can look");
    std::fs::create_dir_all(tree.path("home/.gemini")).expect("a directory");
    symlink("extensions", tree.path("home/.gemini/extensions")).expect("a link to itself");
    let fifo = std::process::Command::new("mkfifo").arg(tree.path("home/.factory/mcp.json")).status();
    assert!(fifo.expect("mkfifo").success());
    let plan = tree.plan();
    assert_eq!(names(&plan), ["directory", "file"]);
    let unreadable = [".kiro/settings/mcp.json", ".qwen/settings.json", ".factory/mcp.json", ".continue/mcpServers/*"];
    for file in unreadable {
        let is_said = |warning: &String| warning.contains(file) && warning.ends_with("its servers are left out");
        assert!(plan.warnings.iter().any(is_said), "{file}: {:?}", plan.warnings);
    }
    let extensions = plan.warnings.iter().find(|warning| warning.contains(".gemini/extensions: "));
    assert!(extensions.is_some_and(|warning| warning.ends_with("its plugins are left out")), "{:?}", plan.warnings);
    assert!(matches!(reach(&plan, "file"), Reach::Stdio(_)));
}
