//! What servers are called, and when two of them are one.

use lab_probe::config::settings::ServerSettings;
use lab_probe::model::mcp::{Reach, StdioServer};

use super::{Tree, names, shown};

#[test]
fn the_same_server_found_twice_is_one_target_and_different_ones_are_told_apart() {
    let tree = Tree::new().in_project();
    let same = r#"{"command": "run", "args": ["x"], "env": {"K": "${TOKEN}"}}"#;
    tree.write("home/.claude.json", &format!(r#"{{"mcpServers": {{"a": {same}, "b": {{"command": "one"}}}}}}"#));
    tree.write(
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "run", "args": ["x"], "env": {"K": "${env:TOKEN}"}}, "b": {"command": "two"}}}"#,
    );
    tree.write("home/.kiro/settings/mcp.json", r#"{"mcpServers": {"b": {"command": "two"}, "a": {"command": "run"}}}"#);
    tree.write("project/.mcp.json", r#"{"mcpServers": {"b": {"command": "three"}}}"#);
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "a@kiro", "b", "b@claude-code:project", "b@cursor"]);
    let target = |name: &str| plan.targets.iter().find(|target| target.name == name).expect("there");
    let sources = |name: &str| target(name).origins.iter().map(|o| o.source.clone()).collect::<Vec<_>>();
    assert_eq!(sources("a"), ["claude-code", "cursor"]);
    assert_eq!(sources("b@cursor"), ["cursor", "kiro"]);
    assert_eq!(target("b@cursor").origins[0].name.as_deref(), Some("b"));
    assert_eq!(shown(&plan, "b"), "one []");
    assert_eq!(shown(&plan, "b@claude-code:project"), "untrusted", "what nobody has allowed takes no name over");

    let mut tree = tree;
    tree.settings.mcp.config_files = vec![tree.path("project/.mcp.json")];
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "a@kiro", "b", "b@claude-code", "b@cursor"]);
    assert_eq!(shown(&plan, "b"), "three []", "a project's comes before the user's");
    assert_eq!(shown(&plan, "b@claude-code"), "one []");
}

#[test]
fn a_url_is_one_server_however_its_transport_is_spelt() {
    let tree = Tree::new();
    tree.write(
        "home/.claude.json",
        r#"{"mcpServers": {"a": {"type": "http", "url": "http://h/mcp", "headers": {"X-Key": "${TOKEN}"}}}}"#,
    );
    tree.write(
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"url": "http://h/mcp/", "headers": {"x-key": "${env:TOKEN}"}}}}"#,
    );
    tree.write("home/.kiro/settings/mcp.json", r#"{"mcpServers": {"a": {"url": "http://h/mcp"}}}"#);
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "a@kiro"], "without the key it is another");
    assert_eq!(shown(&plan, "a"), "http http://h/mcp [X-Key: t0ken]");
}

#[test]
fn of_a_clients_files_that_hold_everywhere_the_first_with_a_name_counts() {
    let tree = Tree::new();
    let server = |command: &str| format!(r#"{{"mcpServers": {{"a": {{"command": "{command}"}}}}}}"#);
    tree.write("root/etc/gemini-cli/settings.json", &server("system"));
    tree.write("home/.gemini/settings.json", &server("user"));
    tree.write("root/etc/gemini-cli/system-defaults.json", &server("defaults"));
    tree.write("home/.kiro/settings/mcp.json", &server("user"));
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "a@kiro"]);
    assert_eq!(shown(&plan, "a"), "system []");
    let notes: Vec<Option<&str>> = plan.targets[0].origins.iter().map(|origin| origin.note.as_deref()).collect();
    let overridden = Some("overridden by another file of this client");
    assert_eq!(notes, [None, overridden, overridden]);
}

#[test]
fn a_server_that_one_place_keeps_from_being_asked_is_asked_where_another_allows_it() {
    let tree = Tree::new().in_project();
    tree.write("project/.mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#);
    tree.write("home/.kiro/settings/mcp.json", r#"{"mcpServers": {"a": {"command": "run", "disabled": true}}}"#);
    tree.write("home/.aws/amazonq/mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#);
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a"]);
    assert_eq!(shown(&plan, "a"), "run []");
    let origins: Vec<(&str, Option<&str>)> =
        plan.targets[0].origins.iter().map(|o| (o.source.as_str(), o.note.as_deref())).collect();
    assert_eq!(origins, [("amazon-q", None), ("kiro", Some("disabled")), ("claude-code", Some("untrusted"))]);
}

#[test]
fn what_lab_probe_itself_names_replaces_what_is_discovered() {
    use std::os::unix::fs::PermissionsExt;
    let mut tree = Tree::new();
    tree.write(
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "x"}, "b": {"command": "x"}, "c": {"command": "x"}}}"#,
    );
    let script = tree.write("bin/mcp-b-health", "#!/bin/sh\n");
    tree.write("bin/mcp-a-health", "#!/bin/sh\n");
    for name in ["bin/mcp-a-health", "bin/mcp-b-health"] {
        std::fs::set_permissions(tree.path(name), PermissionsExt::from_mode(0o755)).expect("chmod");
    }
    tree.settings.mcp.health_dir = Some(tree.path("bin"));
    tree.settings.mcp.expected = vec!["a".into(), "b".into(), "c".into(), "d".into()];
    tree.settings.mcp.servers = vec![ServerSettings {
        name: "a".into(),
        reach: Reach::Stdio(StdioServer { command: "own".into(), ..StdioServer::default() }),
        disabled: false,
        schedule: tree.settings.mcp.schedule,
        list_tools: false,
    }];
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "b", "c", "d"]);
    assert_eq!(shown(&plan, "a"), "own []");
    assert_eq!(shown(&plan, "b"), format!("script {}", script.display()));
    assert_eq!(shown(&plan, "c"), "x []");
    assert_eq!(shown(&plan, "d"), "not_configured");
    let sources: Vec<&str> = plan.targets[0].origins.iter().map(|origin| origin.source.as_str()).collect();
    assert_eq!(sources, ["lab-probe", "cursor"]);
}

#[test]
fn worktrees_of_one_repository_that_say_the_same_have_one_server() {
    let mut tree = Tree::new();
    let text = r#"{"mcpServers": {"dev": {"command": "node", "args": ["dist/index.js"]}, "abs": {"command": "npx"}}}"#;
    for (worktree, text) in [("project", text), ("wt", text), ("elsewhere", text)] {
        tree.write(&format!("{worktree}/.mcp.json"), text);
    }
    tree.write("wt/.git", &format!("gitdir: {}\n", tree.path("project/.git/worktrees/wt").display()));
    tree.write("project/.git/worktrees/wt/gitdir", &format!("{}\n", tree.path("wt/.git").display()));
    tree.write("project/.git/worktrees/wt/commondir", "../..\n");
    std::fs::create_dir_all(tree.path("elsewhere/.git")).expect("a directory");
    tree.settings.worktree.discovered = false;
    tree.settings.worktree.repos = vec![tree.path("project"), tree.path("elsewhere")];
    let plan = tree.plan();
    assert_eq!(names(&plan), ["abs", "dev", "dev@claude-code:elsewhere"]);
    assert_eq!(plan.targets[0].origins.len(), 3);
    assert_eq!(plan.targets[1].origins.len(), 2);
}

#[test]
fn names_may_be_anything_but_empty() {
    let tree = Tree::new();
    let long = "n".repeat(1024);
    let too_long = "n".repeat(4097);
    let odd = ["a b", "\"quoted\"", "new\nline", "🦀", "", long.as_str(), too_long.as_str()];
    let servers: serde_json::Map<String, serde_json::Value> =
        odd.iter().map(|name| ((*name).to_owned(), serde_json::json!({"command": "x"}))).collect();
    tree.write("home/.cursor/mcp.json", &serde_json::json!({"mcpServers": servers}).to_string());
    let plan = tree.plan();
    assert_eq!(plan.targets.len(), odd.len() - 2);
    assert_eq!(plan.warnings.len(), 2);
    assert!(plan.warnings[0].contains("without a name"));
    assert!(plan.warnings[1].contains("more than 4 KiB"));
}

#[test]
fn a_cloned_repository_cannot_flood_the_metrics() {
    let mut tree = Tree::new().in_project();
    let servers: serde_json::Map<String, serde_json::Value> =
        (0..1500).map(|i| (format!("s{i}"), serde_json::json!({"command": "x"}))).collect();
    let file = tree.write("project/.mcp.json", &serde_json::json!({"mcpServers": servers}).to_string());
    let plan = tree.plan();
    assert_eq!(plan.targets.len(), 1000);
    assert!(plan.warnings[0].contains("only 1000 of its 1500 servers"), "{:?}", plan.warnings);
    tree.settings.mcp.config_files = vec![file];
    assert_eq!(tree.plan().targets.len(), 1500);
}

#[test]
fn a_thousand_servers_are_a_thousand_targets() {
    let tree = Tree::new();
    let servers: serde_json::Map<String, serde_json::Value> =
        (0..1000).map(|i| (format!("s{i}"), serde_json::json!({"command": "x"}))).collect();
    tree.write("home/.claude.json", &serde_json::json!({"mcpServers": servers}).to_string());
    assert_eq!(tree.plan().targets.len(), 1000);
}

#[test]
fn names_made_up_to_tell_servers_apart_are_distinct_and_stay_with_their_place() {
    let tree = Tree::new();
    let local = |directory: &str, command: &str| {
        std::fs::create_dir_all(tree.path(directory)).expect("a directory");
        format!(r#"{:?}: {{"mcpServers": {{"a": {{"command": "{command}"}}}}}}"#, tree.path(directory))
    };
    let (one, two) = (local("x/app", "one"), local("y/app", "two"));
    let claude = |projects: &str| {
        tree.write(
            "home/.claude.json",
            &format!(r#"{{"mcpServers": {{"a": {{"command": "user"}}}}, "projects": {{{projects}}}}}"#),
        )
    };
    tree.write(
        "home/.kiro/settings/mcp.json",
        r#"{"mcpServers": {"a": {"command": "k"}, "a@kiro": {"command": "odd"}}}"#,
    );
    claude(&format!("{one}, {two}"));
    let plan = tree.plan();
    let long = |of: &str, place: &str| format!("a@{of}:{}", tree.path(place).display());
    let kiro = long("kiro", "home/.kiro/settings/mcp.json");
    let mut expected = ["a", "a@claude-code", "a@claude-code:app", "a@kiro", kiro.as_str()];
    expected.sort_unstable();
    assert_eq!(names(&plan), expected);
    for (name, command) in [("a", "one []"), ("a@claude-code:app", "two []"), ("a@kiro", "odd []"), (&kiro, "k []")] {
        assert_eq!(shown(&plan, name), command, "{name}");
    }

    let three = local("z/app", "three");
    claude(&format!("{one}, {two}, {three}"));
    let plan = tree.plan();
    assert_eq!(shown(&plan, "a@claude-code:app"), "two []", "one more takes no name away");
    assert_eq!(shown(&plan, &long("claude-code", "z/app")), "three []");
}

#[test]
fn a_list_for_a_project_that_is_gone_says_so_and_stands_in_the_home() {
    let tree = Tree::new();
    tree.write("home/.claude.json", r#"{"projects": {"/gone/x": {"mcpServers": {"g": {"command": "run"}}}}}"#);
    let plan = tree.plan();
    assert_eq!(shown(&plan, "g"), "run []");
    assert_eq!(plan.targets[0].origins[0].scope, "local");
    assert_eq!(plan.targets[0].origins[0].note.as_deref(), Some("for /gone/x, which is gone or does not answer"));
}
