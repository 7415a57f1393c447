//! What can come with a cloned repository, and where somebody happens to stand: neither decides what is run, sent,
//! delivered or remembered.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::architecture::sources;
use crate::harness::{Lab, Run};

/// A repository that brings a configuration which starts a command, and a user with a configuration of his own.
struct Clone {
    lab: Lab,
    repository: PathBuf,
    ran: PathBuf,
}

impl Clone {
    fn new() -> Self {
        let lab = Lab::new();
        let (state, textfile) = (lab.path().join("state"), lab.textfile_dir());
        lab.write(
            "home/.config/lab-probe/config.toml",
            format!(
                "[probe]\nstate_dir = {state:?}\n[mcp]\ndiscover = false\nexpected = [\"own\"]\n[worktree]\nrepos = []\n\
                 [output.textfile]\ndirectory = {textfile:?}\n"
            ),
        );
        let repository = lab.path().join("clone");
        std::fs::create_dir_all(repository.join(".git")).expect("directories");
        let ran = lab.path().join("ran");
        let clone = Clone { lab, repository, ran };
        clone.brings("echo hostile");
        clone
    }

    fn brings(&self, command: &str) {
        let script = format!("touch {}; {command}", self.ran.display());
        self.lab.write(
            "clone/lab-probe.toml",
            format!(
                "[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"docs\"\ncommand = \"sh\"\nargs = [\"-c\", {script:?}]\n\
                 [worktree]\nrepos = []\n[output.textfile]\ndirectory = {:?}\nfile = \"stolen.prom\"\n",
                self.lab.home()
            ),
        );
    }

    fn run(&self, args: &[&str]) -> Run {
        Run(self.lab.command(args).current_dir(&self.repository).output().expect("lab-probe starts"))
    }

    fn answers(&self, requests: &str) -> Run {
        let mut command = self.lab.command(["mcp"]);
        command.current_dir(&self.repository).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("started");
        server.stdin.take().expect("piped").write_all(requests.as_bytes()).expect("sent");
        Run(server.wait_with_output().expect("ended"))
    }
}

#[test]
fn a_clones_configuration_is_left_out_by_every_command_until_it_is_trusted() {
    let clone = Clone::new();
    let file = clone.repository.join("lab-probe.toml");
    let trust = format!("run `lab-probe trust {}`", file.display());
    let page = clone.lab.path().join("page.html");
    let page = page.to_str().expect("UTF-8");
    for args in [
        &[][..],
        &["--dry-run"],
        &["check"],
        &["list"],
        &["config", "show"],
        &["config", "check"],
        &["doctor"],
        &["summary"],
        &["report", "--html", page],
        &["record", "--", "true"],
        &["withdraw"],
    ] {
        let run = clone.run(args);
        assert!(!clone.ran.exists(), "{args:?} ran what the clone names");
        // `doctor` has what was odd among its findings.
        assert!((run.stderr() + &run.stdout()).contains("nobody has allowed it"), "{args:?}: {}", run.stderr());
        assert!(!run.stdout().contains("docs"), "{args:?}: {}", run.stdout());
        assert!(!clone.lab.home().join("stolen.prom").exists(), "{args:?}");
    }
    assert!(clone.run(&["list"]).stderr().contains(&trust));
    let told = clone.run(&["trust", "lab-probe.toml"]).expect_code(0).stdout();
    assert!(told.contains("touch ") && told.contains("stolen.prom"), "it tells what it allows: {told}");
    clone.run(&[]);
    assert!(clone.ran.exists() && clone.lab.home().join("stolen.prom").exists(), "the trusted file holds");
    std::fs::remove_file(&clone.ran).expect("removed");
    clone.brings("echo changed");
    let changed = clone.run(&["check"]);
    assert!(changed.stderr().contains("has changed since it was trusted"), "{}", changed.stderr());
    assert!(!clone.ran.exists());
}

#[test]
fn a_link_to_an_allowed_file_and_a_directory_below_the_clone_allow_nothing() {
    let clone = Clone::new();
    clone.run(&["trust", "lab-probe.toml"]).expect_code(0);
    let below = clone.repository.join("deep/below");
    std::fs::create_dir_all(&below).expect("directories");
    std::os::unix::fs::symlink(clone.repository.join("lab-probe.toml"), below.join("lab-probe.toml")).expect("a link");
    let run = Run(clone.lab.command(["check"]).current_dir(&below).output().expect("started"));
    assert!(run.stderr().contains("nobody has allowed it"), "{}", run.stderr());
    assert!(!clone.ran.exists());
}

#[test]
fn the_mcp_server_takes_nothing_from_the_project_that_is_open() {
    let clone = Clone::new();
    clone.run(&["trust", "lab-probe.toml"]).expect_code(0);
    clone.lab.write("clone/.mcp.json", r#"{"mcpServers": {"open": {"command": "true"}}}"#);
    let run = clone.answers(concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"lab_status","arguments":{}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"check_now","arguments":{}}}"#,
        "\n",
    ));
    let said = run.stdout();
    assert!(said.contains("mcp/own") || said.contains("\"own\""), "the user's own configuration holds: {said}");
    assert!(!said.contains("docs") && !said.contains("\"open\""), "{said}");
    assert!(!clone.ran.exists(), "even a trusted file of the project is not looked at");
}

#[test]
fn what_is_found_only_from_the_current_directory_is_shown_and_neither_delivered_nor_remembered() {
    let lab = Lab::new();
    let (state, textfile) = (lab.path().join("state"), lab.textfile_dir());
    // No word of repositories: the one of the current directory is shown.
    lab.write(
        "home/.config/lab-probe/config.toml",
        format!("[probe]\nstate_dir = {state:?}\n[output.textfile]\ndirectory = {textfile:?}\n"),
    );
    lab.write("home/.cursor/mcp.json", r#"{"mcpServers": {"both": {"command": "own-server"}}}"#);
    for name in ["one", "two"] {
        let repository = lab.path().join(name);
        std::fs::create_dir(&repository).expect("a directory");
        let made = lab.program("git").args(["init", "-q"]).current_dir(&repository).status().expect("git");
        assert!(made.success());
        let servers = r#"{"mcpServers": {"both": {"command": "other"}, "only-here": {"command": "other"}}}"#;
        lab.write(format!("{name}/.mcp.json"), servers);
    }
    let pass = |directory: &Path| {
        let mut command = lab.command(["--once", "--fresh", "--format", "json"]);
        Run(command.current_dir(directory).output().expect("started")).expect_code(0)
    };
    let from_home = pass(&lab.home()).stdout();
    let series = || {
        let text = std::fs::read_to_string(textfile.join("lab-probe.prom")).expect("delivered");
        let names =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap_or(line));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let delivered = series();
    assert!(!from_home.contains("only-here"));
    for name in ["one", "two"] {
        let shown = pass(&lab.path().join(name)).stdout();
        assert!(shown.contains("only-here") && shown.contains("\"kind\": \"worktree\""), "{shown}");
        assert_eq!(series(), delivered, "the same series from everywhere");
    }
    let state = std::fs::read_to_string(state.join("state.json")).expect("saved");
    assert!(state.contains("mcp/both") && !state.contains("worktree/") && !state.contains("only-here"), "{state}");
    let history = std::fs::read_dir(lab.path().join("state/history")).expect("kept");
    for file in history.flatten().filter(|entry| entry.path().is_file()) {
        let text = std::fs::read_to_string(file.path()).expect("text");
        assert!(!text.contains("only-here") && !text.contains("worktree/"), "{text}");
    }
    let table = lab.command(["check", "--format", "table"]).current_dir(lab.path().join("one")).output();
    let table = Run(table.expect("started")).stdout();
    assert!(table.contains("neither delivered nor remembered") && table.contains("only-here"), "{table}");
}

#[test]
fn every_line_of_the_threat_model_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/threat-model.md")).expect("the page");
    let (_, table) = page.split_once("<!-- tests -->").expect("the table");
    let (table, _) = table.split_once("<!-- /tests -->").expect("its end");
    let mut files = Vec::new();
    ["src", "tests/suite"].iter().for_each(|directory| sources(&root.join(directory), &mut files));
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    let lines: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(lines.len() > 20, "{lines:#?}");
    for line in lines {
        let column = line.trim_end_matches(" |").rsplit(" | ").next().expect("a column");
        let named: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds this: {line}");
        for name in named {
            let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_else(|| panic!("there is no {name}"));
            let attribute = before.rfind("#[test]").expect("a test");
            assert!(before.len() - attribute < 200, "{name} is no test");
        }
    }
}
