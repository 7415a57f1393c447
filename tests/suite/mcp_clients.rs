//! Real MCP clients drive `lab-probe mcp`, at the versions pinned in `tests/clients/` and `tests/servers/`; and lab-probe
//! checks itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::servers;
use crate::harness::{Lab, install};

const TOOLS: [&str; 6] = ["lab_status", "mcp_health", "worktree_status", "trading_status", "check_now", "explain"];
const SECRET: &str = "s3cr3t-in-a-header";

/// What `make deps` puts below `target/clients`.
fn installed(below: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(below);
    assert!(path.exists(), "{} is missing: run `make deps` first", path.display());
    path
}

/// A LAB with one server that cannot be started, one that nobody can reach, and a secret that nobody may see.
fn lab() -> Lab {
    let lab = Lab::new();
    let config = lab.config(&format!(
        "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"gone\"\ncommand = \"/nonexistent/server\"\n\
         [[mcp.server]]\nname = \"far\"\nurl = \"http://127.0.0.1:1/mcp\"\nheaders = {{ X-Key = \"{SECRET}\" }}\n"
    ));
    // The server looks at nothing in its current directory, and clients hand few variables on.
    let users = lab.write("home/.config/lab-probe/config.toml", "");
    std::fs::rename(config, users).expect("moved");
    lab
}

/// A client in the LAB's environment.
fn client(lab: &Lab, mut command: Command) -> Command {
    command.env("HOME", lab.home()).env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(lab.path());
    command
}

/// The last JSON document of what a client prints; it must end well and print no secret.
#[track_caller]
fn document(mut command: Command) -> Value {
    let output = command.output().expect("the client starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "{stdout}\n{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{command:?}: {error}\n{stdout}\n{stderr}"))
}

/// The verdict of a target in a structured answer.
fn verdict(structured: &Value, name: &str) -> Option<String> {
    let targets = structured["targets"].as_array()?;
    Some(targets.iter().find(|target| target["name"] == name)?["verdict"].as_str()?.to_owned())
}

fn names(tools: &Value) -> Vec<&str> {
    tools.as_array().map(|tools| tools.iter().filter_map(|tool| tool["name"].as_str()).collect()).unwrap_or_default()
}

fn inspector(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = servers::node();
    command.env_clear();
    command.arg(installed("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"));
    command.args(["--cli", env!("CARGO_BIN_EXE_lab-probe"), "mcp"]).args(arguments);
    client(lab, command)
}

#[test]
fn the_inspector_lists_calls_and_reads_and_finds_no_fault_in_the_schemas() {
    let lab = lab();
    let output = inspector(&lab, &["--method", "tools/list", "--strict"]).output().expect("the Inspector starts");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let tools: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaints}"));
    assert!(output.status.success(), "{complaints}");
    assert!(!complaints.contains("Warning: tool") && !complaints.contains("Error: tool"), "{complaints}");
    assert_eq!(names(&tools["tools"]), TOOLS);

    let call = |tool: &str, more: &[&str]| {
        let mut arguments = vec!["--method", "tools/call", "--tool-name", tool];
        arguments.extend(more);
        document(inspector(&lab, &arguments))
    };
    assert_eq!(verdict(&call("lab_status", &[])["structuredContent"], "gone").as_deref(), Some("unknown"));
    let checked = call("check_now", &[]);
    assert_eq!(verdict(&checked["structuredContent"], "gone").as_deref(), Some("down"), "{checked:#}");
    assert_eq!(verdict(&call("mcp_health", &[])["structuredContent"], "far").as_deref(), Some("down"));
    let explained = call("explain", &["--tool-arg", "topic=auth_required"]);
    assert!(explained["content"][0]["text"].as_str().is_some_and(|text| text.contains("What to do")), "{explained:#}");
    let config = document(inspector(&lab, &["--method", "resources/read", "--uri", "lab-probe://config"]));
    assert!(config["contents"][0]["text"].as_str().is_some_and(|text| text.contains("[probe]")), "{config:#}");
}

#[test]
fn mcporter_lists_and_calls() {
    let lab = lab();
    let mcporter = |arguments: &[&str]| {
        let mut command = servers::node();
        command.env_clear().arg(installed("node_modules/mcporter/dist/cli.js"));
        command.arg(arguments[0]).args(["--stdio", &format!("{} mcp", env!("CARGO_BIN_EXE_lab-probe"))]);
        command.args(["--name", "lab"]).args(&arguments[1..]);
        client(&lab, command)
    };
    let listed = document(mcporter(&["list", "--json"]));
    assert_eq!(listed["status"], "ok", "{listed:#}");
    assert_eq!(names(&listed["tools"]), TOOLS);
    let checked = document(mcporter(&["call", "check_now", "--output", "json"]));
    assert_eq!(verdict(&checked, "gone").as_deref(), Some("down"), "{checked:#}");
    let status = document(mcporter(&["call", "lab_status", "only_trouble=true", "--output", "json"]));
    assert_eq!(status["trouble"], 2, "{status:#}");
    let explained = document(mcporter(&["call", "explain", "topic=timeout", "--output", "json"]));
    assert_eq!(explained["topic"], "timeout");
}

/// What the Python SDK saw, for each way to open.
#[track_caller]
fn python(packages: &[PathBuf], mode: &str, version: &str, opened: &str) {
    let lab = lab();
    let mut command = Command::new("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/sdk.py");
    command.env_clear().env("PYTHONPATH", std::env::join_paths(packages).expect("paths"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(script).args([mode, env!("CARGO_BIN_EXE_lab-probe"), "mcp"]);
    let seen = document(client(&lab, command));
    assert!(seen["sdk"].as_str().is_some_and(|sdk| sdk.starts_with(version)), "{}", seen["sdk"]);
    assert_eq!(seen["opened"], opened, "{mode}");
    assert_eq!(seen["tools"].as_array().map(Vec::len), Some(TOOLS.len()));
    assert_eq!(verdict(&seen["status"]["structuredContent"], "gone").as_deref(), Some("unknown"), "{seen:#}");
    assert_eq!(verdict(&seen["checked"]["structuredContent"], "gone").as_deref(), Some("down"), "{seen:#}");
    assert!(seen["progress"].as_array().is_some_and(|reports| reports.len() >= 2), "{:#}", seen["progress"]);
    assert_eq!((&seen["explained"]["isError"], &seen["unknown"]["isError"]), (&false.into(), &true.into()));
    assert_eq!(seen["resources"], serde_json::json!(["lab-probe://exposition", "lab-probe://config"]));
    assert!(seen["config"].as_str().is_some_and(|text| text.contains("[probe]")), "{}", seen["config"]);
}

#[test]
fn the_current_python_sdk_drives_both_eras() {
    let packages = [servers::installed("python")];
    python(&packages, "2026-07-28", "2.", "2026-07-28");
    python(&packages, "auto", "2.", "2026-07-28");
    python(&packages, "legacy", "2.", "2025-11-25");
}

#[test]
fn the_python_sdk_of_the_last_generation_drives_a_session() {
    python(&[installed("python"), servers::installed("python")], "session", "1.", "2025-11-25");
}

#[test]
fn lab_probe_finds_itself_up_and_asks_the_newest_era_first() {
    let lab = lab();
    let inner = lab.path().join("lab-probe.toml");
    let (binary, state) = (env!("CARGO_BIN_EXE_lab-probe"), lab.path().join("outer"));
    let outer = lab.write(
        "outer.toml",
        format!(
            "[probe]\nstate_dir = {state:?}\n[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"self\"\n\
             command = {binary:?}\nargs = [\"--config\", {inner:?}, \"mcp\"]\n"
        ),
    );
    let run = lab.run(["-c", outer.to_str().expect("UTF-8"), "check", "--format", "json"]).expect_code(0);
    let document: Value = serde_json::from_str(&run.stdout()).expect("JSON");
    let facts = &document["targets"][0]["facts"];
    assert_eq!(facts["era"], "modern", "{facts:#}");
    assert_eq!((&facts["protocol_version"], &facts["tools"]), (&"2026-07-28".into(), &TOOLS.len().into()));
    assert_eq!(facts["server_name"], "lab-probe");
}

#[test]
fn a_server_whose_binary_was_replaced_by_an_upgrade_still_checks() {
    use std::io::{BufRead, Write};
    let lab = lab();
    let binary = lab.path().join("lab-probe");
    install(env!("CARGO_BIN_EXE_lab-probe"), &binary);
    let mut command = client(&lab, Command::new(&binary));
    command.arg("mcp").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut server = command.spawn().expect("it starts");
    let mut input = server.stdin.take().expect("its input");
    let mut output = std::io::BufReader::new(server.stdout.take().expect("its output")).lines();
    let mut ask = |method: &str, params: Value| -> Value {
        let request = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        writeln!(input, "{request}").expect("asked");
        serde_json::from_str(&output.next().expect("an answer").expect("text")).expect("JSON")
    };
    ask("initialize", serde_json::json!({ "protocolVersion": "2025-11-25", "capabilities": {} }));
    std::fs::remove_file(&binary).expect("removed");
    install(env!("CARGO_BIN_EXE_lab-probe"), &binary);
    let answer = ask("tools/call", serde_json::json!({ "name": "check_now", "arguments": { "names": ["gone"] } }));
    let other = ask("tools/call", serde_json::json!({ "name": "worktree_status", "arguments": { "names": ["gone"] } }));
    drop(input);
    server.wait().expect("it ends");
    assert_eq!(verdict(&answer["result"]["structuredContent"], "gone").as_deref(), Some("down"), "{answer:#}");
    let said = other["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(said.contains("no target of kind worktree is called \"gone\""), "{other:#}");
}
