//! `lab-probe list` and `lab-probe trust`, as a person and a program see them.

use serde_json::{Value, json};

use crate::harness::Lab;

/// The JSON document of `list`.
fn list(lab: &Lab) -> Value {
    let run = lab.run(["list", "--format", "json"]).expect_code(0);
    serde_json::from_str(&run.stdout()).expect("one JSON document")
}

fn target<'d>(document: &'d Value, name: &str) -> &'d Value {
    let targets = document["targets"].as_array().expect("targets");
    targets.iter().find(|target| target["name"] == name).unwrap_or_else(|| panic!("{name} in {document:#}"))
}

fn lab_with_project() -> Lab {
    let lab = Lab::new();
    lab.config("[mcp]\nexpected = [\"wanted\"]\n[[mcp.server]]\nname = \"own\"\ncommand = \"true\"\n");
    std::fs::create_dir(lab.path().join(".git")).expect("a repository");
    lab.run(["trust", "lab-probe.toml"]).expect_code(0);
    lab.write(
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"mine": {"url": "https://u:c4nary@example.org/x?k=c4nary"}}}"#,
    );
    lab.write(
        ".mcp.json",
        r#"{"mcpServers": {"theirs": {"command": "npx", "args": ["-y", "pkg", "--token", "c4nary"], "env": {"K": "c4nary"}}}}"#,
    );
    lab
}

#[test]
fn a_file_that_cannot_be_parsed_is_listed_as_such() {
    let lab = lab_with_project();
    let broken = lab.write("home/.cursor/mcp.json", "{\"mcpServers\": ");
    let table = lab.run(["list"]).expect_code(0).stdout();
    assert!(table.contains(&format!("✗ cursor  not read as a whole: {}:", broken.display())), "{table}");
    let files = list(&lab)["files"].clone();
    let of = |path: &std::path::Path| {
        let files = files.as_array().expect("files").iter();
        files.filter(|file| file["path"] == path.to_str().expect("text")).map(|file| file["problem"].clone()).collect()
    };
    let problems: Vec<Value> = of(&broken);
    assert!(problems.iter().all(Value::is_string) && !problems.is_empty(), "{files:#}");
    assert_eq!(of(&lab.path().join(".mcp.json")).first(), Some(&Value::Null));
}

#[test]
fn every_target_is_listed_with_its_places_and_what_is_plain_without_a_check() {
    let lab = lab_with_project();
    let document = list(&lab);
    assert_eq!(document["schema"], "lab-probe.list/1");
    assert_eq!(document["warnings"], json!([]));
    let own = target(&document, "own");
    assert_eq!((&own["verdict"], &own["how"]), (&json!("unknown"), &json!("stdio: true")));
    assert_eq!(own["origins"][0]["source"], "lab-probe");
    assert_eq!(own["origins"][0]["path"], json!(lab.path().join("lab-probe.toml")));
    assert_eq!(target(&document, "wanted")["reason"], "not_configured");
    assert_eq!(target(&document, "mine")["how"], "http: https://example.org");
    let theirs = target(&document, "theirs");
    assert_eq!((&theirs["verdict"], &theirs["reason"]), (&json!("not_configured"), &json!("untrusted")));
    assert_eq!(theirs["origins"][0]["scope"], "project");
    assert!(theirs["hint"].as_str().expect("a hint").contains("lab-probe trust"));
    let files = document["files"].as_array().expect("files");
    assert!(files.iter().any(|file| file["source"] == "zed" && file["present"] == false));
    assert!(files.iter().any(|file| file["source"] == "cursor" && file["present"] == true));

    let table = lab.run(["list"]).expect_code(0).stdout();
    for line in ["  theirs  not configured (untrusted)  due at the next pass\n", "      claude-code, project: "] {
        assert!(table.contains(line), "{table}");
    }
    assert!(!table.contains("Client configs looked for"), "{table}");
    assert!(
        !lab.path()
            .join("state")
            .read_dir()
            .expect("a directory")
            .any(|e| e.is_ok_and(|e| e.file_name() == "state.json"))
    );
}

#[test]
fn a_pass_leaves_a_verdict_and_a_next_time_to_list() {
    let lab = lab_with_project();
    lab.run(["--once", "--dry-run", "--deadline", "10s"]).expect_code(0);
    let document = list(&lab);
    let own = target(&document, "own");
    assert_eq!((&own["verdict"], &own["severity"]), (&json!("down"), &json!("trouble")));
    assert!(own["checked_at"].is_string() && own["next_due"].is_string(), "{own:#}");
}

#[test]
fn kinds_can_be_chosen() {
    let lab = lab_with_project();
    let table = lab.run(["list", "--only", "service"]).expect_code(0).stdout();
    assert_eq!(table, "Nothing of this kind is known; without --only everything is listed.\n");
    let run = lab.run(["list", "--only", "service", "--format", "json"]).expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&run.stdout()).expect("JSON")["targets"], json!([]));
}

#[test]
fn where_nothing_is_found_every_file_that_was_looked_for_is_named() {
    let lab = Lab::new();
    let table = lab.run(["list"]).expect_code(0).stdout();
    assert!(table.starts_with("Nothing to check is known."), "{table}");
    assert!(table.contains("Client configs looked for"), "{table}");
    assert!(table.contains(&lab.home().join(".claude.json").display().to_string()), "{table}");
}

#[test]
fn a_trusted_file_is_trusted_as_it_stands_and_what_it_starts_is_shown_without_tokens() {
    let lab = lab_with_project();
    let run = lab.run(["trust", ".mcp.json"]).expect_code(0);
    assert!(
        run.stdout().contains("  theirs: npx -y pkg --token ***\n      with the variables K\n"),
        "{}",
        run.stdout()
    );
    assert!(!format!("{:?}", run.0).contains("c4nary"));
    assert!(run.stderr().contains("`worktree.repos`"), "a timer would not find it: {}", run.stderr());
    assert_eq!(target(&list(&lab), "theirs")["verdict"], "unknown", "now a check decides");

    lab.write(".mcp.json", r#"{"mcpServers": {"theirs": {"command": "other"}}}"#);
    let theirs = target(&list(&lab), "theirs").clone();
    assert_eq!(theirs["reason"], "untrusted");
    assert!(theirs["summary"].as_str().expect("a summary").contains("has changed since"), "{theirs:#}");
}

#[test]
fn what_is_no_projects_file_is_refused_with_what_to_do_instead() {
    use std::os::unix::fs::PermissionsExt;
    let lab = lab_with_project();
    lab.write("servers.json", r#"{"mcpServers": {}}"#);
    lab.write("broken/.mcp.json", "{\n \"mcpServers\": [ }");
    let open = lab.write("open/.mcp.json", "{}");
    std::fs::set_permissions(open, PermissionsExt::from_mode(0o646)).expect("chmod");
    std::fs::create_dir(lab.path().join("linked")).expect("a directory");
    std::os::unix::fs::symlink("../servers.json", lab.path().join("linked/.mcp.json")).expect("linked");
    for (file, expected) in [
        ("gone/.mcp.json", "No such file"),
        (".git", "not a regular file"),
        ("servers.json", "name it in `mcp.config_files`"),
        ("home/.cursor/mcp.json", "a config of your own"),
        ("broken/.mcp.json", "broken/.mcp.json:2:18: "),
        ("open/.mcp.json", "chmod o-w"),
        ("linked/.mcp.json", "out of its project"),
    ] {
        // The good file beside it is not trusted either: all or none.
        let run = lab.run(["trust", ".mcp.json", file]).expect_code(2);
        assert!(run.stderr().contains(expected), "{file}: {}", run.stderr());
        assert_eq!(run.stdout(), "", "{file}");
    }
    assert!(!lab.path().join("state/trust.json").exists());
}

#[test]
fn a_trust_store_that_cannot_be_written_is_trouble() {
    let lab = lab_with_project();
    let config = lab.write("elsewhere.toml", "[probe]\nstate_dir = \"/proc/none\"\n");
    let config = config.to_str().expect("UTF-8");
    let run = lab.run(["-c", config, "trust", ".mcp.json"]).expect_code(1);
    assert!(run.stderr().contains("nothing new is trusted"), "{}", run.stderr());
    assert_eq!(run.stdout(), "");
}

#[test]
fn a_projects_command_runs_only_once_somebody_has_trusted_the_file() {
    let lab = Lab::new();
    lab.config("");
    std::fs::create_dir(lab.path().join(".git")).expect("a repository");
    lab.run(["trust", "lab-probe.toml"]).expect_code(0);
    let marker = lab.path().join("it-ran");
    let server = json!({"mcpServers": {"theirs": {"command": "touch", "args": [marker]}}});
    lab.write(".mcp.json", server.to_string());
    lab.run(["check", "--only", "mcp"]).expect_code(0);
    lab.run(["--once", "--fresh", "--dry-run"]).expect_code(0);
    assert!(!marker.exists(), "nobody has allowed it");

    lab.run(["trust", ".mcp.json"]).expect_code(0);
    lab.run(["check", "--only", "mcp"]).expect_code(1);
    assert!(marker.exists(), "allowed, it is started (and is no server)");

    std::fs::remove_file(&marker).expect("removed");
    lab.write(".mcp.json", format!("{server}\n"));
    lab.run(["--once", "--fresh", "--dry-run"]).expect_code(0);
    assert!(!marker.exists(), "one byte more is another file");
}

#[test]
fn no_token_of_a_client_config_shows_in_any_output_or_in_the_state() {
    let lab = Lab::new();
    lab.config("");
    let servers = json!({
        "argument": {"command": "false", "args": ["--token", "c4nary", "--key=c4nary"], "env": {"K": "c4nary"}},
        "url": {"type": "http", "url": "http://c4nary:c4nary@127.0.0.1:1/c4nary0123456789abcdef?k=c4nary"},
        "header": {"type": "http", "url": "http://127.0.0.1:1/", "headers": {"Authorization": "Bearer c4nary"}},
        "default": {"type": "http", "url": "http://127.0.0.1:1/${NONE:-c4nary}", "headers": {"X": "${NONE} c4nary"}},
        "invalid": {"type": "http", "url": "c4nary"},
        "name": {"type": "http", "url": "http://127.0.0.1:1/", "headers": {"X: c4nary": ""}},
    });
    lab.write("home/.claude.json", json!({"mcpServers": servers}).to_string());
    lab.write("home/.cursor/mcp.json", "{\"mcpServers\": {\"broken\": {\"env\": {\"K\": \"c4nary\" c4nary");
    lab.write("home/.codex/config.toml", "[mcp_servers.x]\ncommand = c4nary\n");
    lab.write("home/.config/goose/config.yaml", "extensions:\n  x: {cmd: [c4nary\n");
    for arguments in [
        &["list", "-v"][..],
        &["list", "--format", "json", "-v"],
        &["check", "--format", "json", "-v"],
        &["check", "-v"],
        &["--once", "--fresh", "-v", "--format", "table"],
        &["--once", "--format", "json"],
        &["trust", "home/.codex/config.toml"],
    ] {
        let run = lab.run(arguments);
        for output in [run.stdout(), run.stderr()] {
            assert!(!output.contains("c4nary"), "{arguments:?}: {output}");
        }
    }
    for directory in ["state", "textfile"] {
        for entry in lab.path().join(directory).read_dir().expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let bytes = std::fs::read(&path).expect("readable");
                assert!(!String::from_utf8_lossy(&bytes).contains("c4nary"), "{}", path.display());
            }
        }
    }
}
