//! Every command line that the test runs. The commands and formats come from `--help`, so that a new one cannot be
//! forgotten.

use std::process::Command;

use serde_json::json;

/// A command line and what it reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) args: Vec<String>,
    pub(super) stdin: String,
}

fn line(args: &[&str]) -> Line {
    Line { args: args.iter().map(|arg| (*arg).to_owned()).collect(), stdin: String::new() }
}

/// A pass over everything.
pub(super) fn pass() -> Line {
    line(&["-v", "--once", "--fresh", "--format", "json"])
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lab-probe")).args(command).arg("-h").output().expect("help");
    String::from_utf8(output.stdout).expect("text")
}

/// The commands below one, by its help.
fn below(command: &[&str]) -> Vec<String> {
    let help = help(command);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let names = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// What `--format` of a command takes, by its help.
fn formats(command: &[&str]) -> Vec<String> {
    // On one line: long ones are wrapped.
    let help = help(command).split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((_, after)) = help.split_once("--format <FORMAT>") else { return Vec::new() };
    let (_, after) = after.split_once("[possible values: ").expect("the values of --format");
    after.split_once(']').expect("their end").0.split(", ").map(|value| value.trim().to_owned()).collect()
}

/// What a command is given besides its format, each of which makes a line of its own. A command that is not known here
/// fails the test: whoever adds one says how it could show a secret.
fn given(command: &[&str]) -> Vec<Vec<&'static str>> {
    match command {
        [] => vec![vec!["--once", "--fresh"], vec!["--once", "--dry-run"]],
        ["check"] => vec![vec![], vec!["act-rpc", "mcp/bearer-401"]],
        ["list" | "status" | "doctor" | "metrics" | "man"] | ["config", "check" | "show"] => vec![vec![]],
        ["withdraw"] => vec![vec![]],
        ["config", "init"] => vec![vec!["-"], vec!["new.toml"]],
        ["record"] => vec![vec!["-C", "repository", "--", "false"]],
        ["worktree", "show"] => vec![vec!["-C", "repository"]],
        ["worktree", "set"] => vec![vec!["-C", "repository", "status=testing"]],
        ["trust"] => vec![vec!["repository/.mcp.json"], vec!["home/.gemini/settings.json"]],
        ["verify"] => vec![vec!["textfile"]],
        ["backtest"] => vec![vec!["--family", "cpu", "lab-probe.toml"]],
        ["explain"] => vec![vec!["unauthorized"], vec!["lab_mcp_server_health"]],
        ["report"] => vec![vec!["--html", "page.html"], vec!["--html", "-"]],
        ["summary"] => vec![vec![], vec!["--send", "telegram"]],
        ["completions"] => vec![vec!["bash"]],
        ["mcp"] => vec![vec!["-c", "lab-probe.toml"]],
        other => panic!("{other:?} is a new command: say here how it is run"),
    }
}

/// What an AI client asks: every tool, every resource.
fn conversation() -> String {
    let mut asked = vec![
        (
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }),
        ),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/read", json!({ "uri": "lab-probe://exposition" })),
        ("resources/read", json!({ "uri": "lab-probe://config" })),
        ("tools/call", json!({ "name": "explain", "arguments": { "topic": "timeout" } })),
    ];
    for tool in ["lab_status", "mcp_health", "worktree_status", "trading_status", "check_now"] {
        asked.push(("tools/call", json!({ "name": tool, "arguments": {} })));
    }
    let messages = asked.into_iter().enumerate();
    messages
        .map(|(id, (method, params))| {
            format!("{}\n", json!({ "jsonrpc": "2.0", "id": id + 1, "method": method, "params": params }))
        })
        .collect()
}

/// Every command with everything it can be given, in each of its formats, as loud as it gets. What takes back comes last.
pub(super) fn every_line() -> Vec<Line> {
    let mut leaves: Vec<Vec<String>> = vec![Vec::new()];
    for name in below(&[]) {
        let deeper = below(&[&name]);
        if deeper.is_empty() {
            leaves.push(vec![name]);
        } else {
            leaves.extend(deeper.into_iter().map(|leaf| vec![name.clone(), leaf]));
        }
    }
    assert!(leaves.len() > 15, "{leaves:?}");
    leaves.sort_by_key(|leaf| leaf.first().is_some_and(|name| name == "withdraw"));
    let mut lines = Vec::new();
    for leaf in leaves {
        let leaf: Vec<&str> = leaf.iter().map(String::as_str).collect();
        let mut formats: Vec<Vec<String>> =
            formats(&leaf).into_iter().map(|format| vec!["--format".into(), format]).collect();
        if formats.is_empty() {
            formats.push(Vec::new());
        }
        for given in given(&leaf) {
            for format in &formats {
                let own = format.iter().map(String::as_str);
                // Options go before what is given: after `--` they would belong to the recorded command.
                let args: Vec<&str> =
                    ["-v"].into_iter().chain(leaf.iter().copied()).chain(own).chain(given.iter().copied()).collect();
                let stdin = if leaf == ["mcp"] { conversation() } else { String::new() };
                lines.push(Line { stdin, ..line(&args) });
            }
        }
    }
    lines
}
