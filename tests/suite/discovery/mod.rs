//! Where MCP servers are found: whole discoveries on fixture trees, with a home, a project and an environment of the
//! test's own.

mod arbitrary;
mod clients;
mod corpus;
mod document;
mod names;
mod odd;

use std::path::PathBuf;
use std::time::Duration;

use lab_probe::clock::Deadline;
use lab_probe::config::environment::{HostEnvironment, Platform};
use lab_probe::config::settings::Settings;
use lab_probe::model::mcp::{HttpTransport, Reach};
use lab_probe::model::target::Probe;
use lab_probe::plan::{Plan, View};
use lab_probe::redact::Secret;
use lab_probe::trust::{self, TrustStore};

/// A tree with a home, a project, a root and a state directory.
struct Tree {
    directory: tempfile::TempDir,
    environment: HostEnvironment,
    settings: Settings,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().canonicalize().expect("canonical");
        for name in ["home", "project/.git", "root", "state"] {
            std::fs::create_dir_all(root.join(name)).expect("a directory");
        }
        let environment = HostEnvironment {
            home: Some(root.join("home")),
            cwd: None,
            root: root.join("root"),
            platform: Platform::Linux,
            env: [("SET", "value"), ("TOKEN", "t0ken")].map(|(name, value)| (name.into(), value.into())).into(),
        };
        let known = HostEnvironment::new(Some(&root.join("home")), &root, &[]);
        let mut settings = lab_probe::config::load_in(None, &known).expect("the defaults");
        settings.probe.state_dir = root.join("state");
        assert!(settings.worktree.discovered);
        Tree { settings, environment, directory }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().canonicalize().expect("canonical").join(relative)
    }

    fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn in_project(mut self) -> Self {
        self.environment.cwd = Some(self.path("project"));
        self
    }

    fn plan(&self) -> Plan {
        self.plan_from(View::Anywhere)
    }

    fn plan_from(&self, view: View) -> Plan {
        lab_probe::plan::mcp::plan(&self.settings, &self.environment, view, patiently())
    }
}

/// Far more time than any discovery takes.
fn patiently() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn reach<'p>(plan: &'p Plan, name: &str) -> &'p Reach {
    let names: Vec<&str> = plan.targets.iter().map(|target| target.name.as_str()).collect();
    let target = plan.targets.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("{name} is not among {names:?}; warnings: {:?}", plan.warnings));
    match &target.probe {
        Probe::Mcp(mcp) => &mcp.reach,
        other => panic!("no MCP server: {other:?}"),
    }
}

/// A line that says how a server is reached, secrets in clear.
fn shown(plan: &Plan, name: &str) -> String {
    match reach(plan, name) {
        Reach::Stdio(server) => {
            let words: Vec<&str> =
                [server.command.as_str()].into_iter().chain(server.args.iter().map(Secret::expose)).collect();
            let env: Vec<String> =
                server.env.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
            format!("{} [{}]", words.join(" "), env.join(" "))
        }
        Reach::Http(server) => {
            let headers: Vec<String> =
                server.headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
            let transport = match server.transport {
                HttpTransport::Auto => "auto",
                HttpTransport::Http => "http",
                HttpTransport::Sse => "sse",
            };
            format!("{transport} {} [{}]", server.url.expose(), headers.join(", "))
        }
        Reach::Script(script) => format!("script {}", script.command[0].expose()),
        Reach::Unreachable(failure) => failure.reason.as_str().to_owned(),
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.targets.iter().map(|target| target.name.as_str()).collect()
}

#[test]
fn on_macos_desktop_applications_keep_their_files_in_application_support() {
    for (file, found) in [
        ("home/Library/Application Support/Claude/claude_desktop_config.json", true),
        ("home/.config/Claude/claude_desktop_config.json", false),
        ("root/Library/Application Support/ClaudeCode/managed-mcp.json", true),
        ("root/etc/claude-code/managed-mcp.json", false),
        ("home/Library/Application Support/Zed/settings.json", false),
    ] {
        let mut tree = Tree::new();
        tree.environment.platform = Platform::MacOs;
        tree.write(file, r#"{"mcpServers": {"a": {"command": "x"}}, "context_servers": {"a": {"command": "x"}}}"#);
        assert_eq!(tree.plan().targets.len() == 1, found, "{file}");
    }
}

#[test]
fn files_that_no_client_uses_are_not_read() {
    for file in ["home/.vscode/mcp.json", "home/.config/Claude/settings.json", "home/.mcp.json", "home/mcp.json"] {
        let mut tree = Tree::new();
        tree.environment.cwd = Some(tree.path("home"));
        tree.write(file, r#"{"mcpServers": {"a": {"command": "x"}}, "servers": {"a": {"command": "x"}}}"#);
        assert_eq!(names(&tree.plan()), Vec::<&str>::new(), "{file}");
    }
}

#[test]
fn a_projects_servers_are_listed_and_not_started_until_the_file_is_allowed_as_it_stands() {
    let mut tree = Tree::new().in_project();
    let text = r#"{"mcpServers": {"a": {"command": "run", "args": ["${SET}"]}}}"#;
    let file = tree.write("project/.mcp.json", text);
    assert_eq!(shown(&tree.plan(), "a"), "untrusted");

    let mut store = TrustStore::default();
    store.allow(&file, trust::digest(text.as_bytes()), jiff::Timestamp::UNIX_EPOCH).expect("allowed");
    store.save(&tree.path("state")).expect("saved");
    assert_eq!(shown(&tree.plan(), "a"), "run value []");
    tree.write("project/.mcp.json", &format!("{text} "));
    assert_eq!(shown(&tree.plan(), "a"), "untrusted");
    match reach(&tree.plan(), "a") {
        Reach::Unreachable(failure) => {
            assert!(failure.detail.contains("has changed since it was trusted"), "{failure:?}");
            assert!(failure.hint().contains("lab-probe trust"), "{failure:?}");
        }
        other => panic!("{other:?}"),
    }

    tree.settings.mcp.config_files = vec![file];
    let plan = tree.plan();
    assert_eq!(shown(&plan, "a"), "run value []");
    assert_eq!(plan.targets[0].origins.len(), 1);
    match reach(&plan, "a") {
        Reach::Stdio(server) => assert_eq!(server.cwd, Some(tree.path("project"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_home_that_is_a_repository_makes_no_project_of_the_users_own_files() {
    let mut tree = Tree::new();
    std::fs::create_dir(tree.path("home/.git")).expect("a repository");
    tree.environment.cwd = Some(tree.path("home"));
    tree.write("home/.cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#);
    let plan = tree.plan();
    assert_eq!(shown(&plan, "a"), "run []");
    assert_eq!(plan.targets[0].origins.len(), 1, "{:?}", plan.targets[0].origins);
    assert_eq!(plan.targets[0].origins[0].scope, "user");
}

#[test]
fn a_projects_file_cannot_speak_for_the_user() {
    let tree = Tree::new().in_project();
    let project = tree.path("project");
    // `projects` in a repository's .mcp.json would be the user's own list if it were read as such.
    tree.write(
        "project/.mcp.json",
        &format!(
            r#"{{"projects": {{{project:?}: {{"mcpServers": {{"a": {{"command": "evil"}}}}}}}}, "mcpServers": {{}}}}"#
        ),
    );
    tree.write("project/.gemini/settings.json", r#"{"mcp": {"excluded": ["mine"], "allowed": []}}"#);
    tree.write("home/.gemini/settings.json", r#"{"mcpServers": {"mine": {"command": "run"}}}"#);
    assert_eq!(names(&tree.plan()), ["mine"]);
    assert_eq!(shown(&tree.plan(), "mine"), "run []");
}

#[test]
fn one_broken_file_is_a_warning_with_its_place_and_the_others_are_read() {
    let tree = Tree::new();
    let broken = tree.write("home/.cursor/mcp.json", "{\n  \"mcpServers\": {\n    \"s3cr3t\" 1\n");
    tree.write("home/.kiro/settings/mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#);
    std::fs::create_dir_all(tree.path("home/.aws/amazonq/mcp.json")).expect("a directory in place of a file");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a"]);
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
    assert!(plan.warnings[0].starts_with(&format!("{}:3:14: ", broken.display())), "{:?}", plan.warnings);
    assert!(plan.warnings[1].contains("not a regular file"), "{:?}", plan.warnings);
    assert!(!plan.warnings[0].contains("s3cr3t"));
}

#[test]
fn a_file_that_others_may_write_starts_nothing_and_says_what_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut tree = Tree::new();
    let file = tree.write("home/.cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "run"}}}"#);
    // A group of one may write without anybody else gaining by it, and many a user is in one.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o646)).expect("chmod");
    // Naming it in the configuration does not change who may write it.
    for config_files in [Vec::new(), vec![file.clone()]] {
        tree.settings.mcp.config_files = config_files;
        let plan = tree.plan();
        assert_eq!(shown(&plan, "a"), "untrusted");
        assert!(plan.warnings[0].contains("chmod o-w"), "{:?}", plan.warnings);
    }
}

#[test]
fn claude_codes_scopes_switches_and_managed_file_hold() {
    let tree = Tree::new().in_project();
    let project = tree.path("project");
    tree.write(
        "home/.claude.json",
        &format!(
            r#"{{"mcpServers": {{"a": {{"command": "user"}}}},
                "projects": {{
                    {project:?}: {{
                        "mcpServers": {{"a": {{"command": "local"}}, "off": {{"command": "x"}}}},
                        "disabledMcpjsonServers": ["b"], "enabledMcpjsonServers": ["c"], "disabledMcpServers": ["off"]
                    }},
                    "/gone": {{"mcpServers": {{"g": {{"command": "x"}}}}}}
                }}}}"#
        ),
    );
    tree.write(
        "project/.mcp.json",
        r#"{"mcpServers": {"a": {"command": "project"}, "b": {"command": "x"}, "c": {"command": "x"}, "d": {"command": "x"}}}"#,
    );
    tree.write("project/.claude/settings.local.json", r#"{"disabledMcpjsonServers": ["d"]}"#);
    let plan = tree.plan();
    let seen: Vec<(&str, String)> = names(&plan).into_iter().map(|name| (name, shown(&plan, name))).collect();
    let expected = [
        ("a", "local []"),
        ("a@claude-code", "user []"),
        ("a@claude-code:project", "untrusted"),
        ("b", "disabled"),
        ("c", "untrusted"),
        ("d", "disabled"),
        ("g", "x []"),
        ("off", "disabled"),
    ];
    assert_eq!(seen, expected.map(|(name, shown)| (name, shown.to_owned())));

    tree.write("root/etc/claude-code/managed-mcp.json", r#"{"mcpServers": {"m": {"command": "managed"}}}"#);
    tree.write("home/.cursor/mcp.json", r#"{"mcpServers": {"other": {"command": "x"}}}"#);
    let plan = tree.plan();
    for target in &plan.targets {
        let expected = match target.name.as_str() {
            "m" => "managed []",
            "other" => "x []",
            _ => "disabled",
        };
        assert_eq!(shown(&plan, &target.name), expected, "{}", target.name);
    }
}

#[test]
fn variables_move_the_places_of_the_clients_that_have_one() {
    for (variable, value, file, text) in [
        ("CLAUDE_CONFIG_DIR", "c", "c/.claude.json", r#"{"mcpServers": {"a": {"command": "x"}}}"#),
        ("CODEX_HOME", "c", "c/config.toml", "[mcp_servers.a]\ncommand = 'x'"),
        ("COPILOT_HOME", "c", "c/mcp-config.json", r#"{"mcpServers": {"a": {"command": "x"}}}"#),
        ("OPENCODE_CONFIG", "c.json", "c.json", r#"{"mcp": {"a": {"command": ["x"]}}}"#),
        ("CLINE_DIR", "c", "c/data/settings/cline_mcp_settings.json", r#"{"mcpServers": {"a": {"command": "x"}}}"#),
        ("XDG_CONFIG_HOME", "c", "c/zed/settings.json", r#"{"context_servers": {"a": {"command": "x"}}}"#),
    ] {
        let mut tree = Tree::new();
        tree.write(file, text);
        tree.environment.env.insert(variable.into(), tree.path(value).into());
        assert_eq!(shown(&tree.plan(), "a"), "x []", "{variable}");
    }
}

#[test]
fn a_link_out_of_the_project_is_not_followed() {
    let tree = Tree::new().in_project();
    let outside = tree.write("outside.json", r#"{"mcpServers": {"a": {"command": "x"}}}"#);
    std::os::unix::fs::symlink(outside, tree.path("project/.mcp.json")).expect("a link");
    let plan = tree.plan();
    assert_eq!(names(&plan), Vec::<&str>::new());
    assert!(plan.warnings[0].contains("symbolic link"), "{:?}", plan.warnings);
}

#[test]
fn a_file_named_by_hand_is_read_by_its_shape_and_allowed() {
    let mut tree = Tree::new();
    tree.settings.mcp.discover = false;
    tree.write("home/.cursor/mcp.json", r#"{"mcpServers": {"not": {"command": "x"}}}"#);
    let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["${SET}", "${env:SET}"]}}}"#;
    tree.settings.mcp.config_files = vec![
        tree.write("lab/servers.json", text),
        tree.write("lab/b/.vscode/mcp.json", r#"{"servers": {"b": {"command": "x", "args": ["${workspaceFolder}"]}}}"#),
        tree.write("lab/c.toml", "[mcp_servers.c]\ncommand = 'x'"),
        tree.write("lab/d.json", r#"{"d": 1}"#),
        tree.path("lab/gone.json"),
    ];
    let plan = tree.plan();
    assert_eq!(names(&plan), ["a", "b", "c"]);
    assert_eq!(shown(&plan, "a"), "x value value []");
    assert_eq!(shown(&plan, "b"), format!("x {} []", tree.path("lab/b").display()));
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn no_secret_of_a_client_config_stands_in_a_target_that_is_printed() {
    let tree = Tree::new();
    tree.write(
        "home/.claude.json",
        r#"{"mcpServers": {
            "a": {"command": "x", "args": ["--key", "c4nary"], "env": {"K": "c4nary"}},
            "b": {"type": "http", "url": "https://u:c4nary@h/mcp?key=c4nary", "headers": {"X": "c4nary"}},
            "c": {"type": "http", "url": "c4nary:c4nary", "headers": {"X": "c4nary"}},
            "d": {"type": "http", "url": "http://h/", "headers": {"X": "c4nary\n1"}}
        }}"#,
    );
    let plan = tree.plan();
    assert_eq!(plan.targets.len(), 4);
    assert!(!format!("{plan:?}").contains("c4nary"), "{plan:?}");
}

#[test]
fn a_tree_without_a_home_or_a_working_directory_plans_nothing_and_says_nothing() {
    let mut tree = Tree::new();
    tree.environment.home = None;
    let plan = tree.plan();
    assert!(plan.targets.is_empty() && plan.warnings.is_empty(), "{plan:?}");
}
