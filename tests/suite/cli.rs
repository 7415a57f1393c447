//! The command line: help, man page and completions agree with what there is, and bad usage is exit 2.

use crate::harness::Lab;

/// Every command of the contract that exists.
fn commands() -> Vec<String> {
    let help = Lab::new().run(["--help"]).expect_code(0).stdout();
    let section = help.split("Commands:\n").nth(1).expect("a list of commands");
    section
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_reads_well_in_eighty_columns_and_names_the_exit_codes() {
    let lab = Lab::new();
    let help = lab.run(["--help"]).expect_code(0).stdout();
    assert!(help.contains("Exit codes: 0 done"), "{help}");
    for command in commands() {
        let text = lab.run([command.as_str(), "--help"]).expect_code(0).stdout();
        assert!(text.contains("Usage:"), "{command}: {text}");
    }
    for line in lab.run(["-h"]).expect_code(0).stdout().lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn every_command_is_in_the_man_page() {
    let lab = Lab::new();
    let man = lab.run(["man"]).expect_code(0).stdout();
    for command in commands() {
        assert!(man.contains(&format!(".SS lab\\-probe {command}")), "{command} is not in the man page");
    }
    for section in [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXAMPLES", "FILES", "EXIT STATUS", "ENVIRONMENT",
        "SEE ALSO",
    ] {
        assert!(man.contains(&format!(".SH \"{section}\"")) || man.contains(&format!(".SH {section}")), "{section}");
    }
}

#[test]
fn the_man_page_says_how_an_argument_is_written_and_what_it_takes() {
    let man = Lab::new().run(["man"]).expect_code(0).stdout().replace("\\-", "-");
    for (command, lines) in [
        ("record", &["\\fB-C\\fR \\fI<DIR>\\fR", "<\\fICMD\\fR>"][..]),
        ("worktree set", &["\\fB-C\\fR \\fI<DIR>\\fR", "<\\fIKEY=VALUE\\fR>"]),
        ("config check", &["[\\fIFILE\\fR]"]),
        (
            "check",
            &[
                "[\\fINAME\\fR]",
                "\\fB--format\\fR \\fI<FORMAT>\\fR [default: table]",
                "prometheus: The exposition a pass would deliver",
            ],
        ),
        ("report", &["\\fB--html\\fR \\fI<FILE>\\fR"]),
        ("summary", &["Send it instead of printing it; a day is sent once"]),
    ] {
        let section = man.split(&format!(".SS lab-probe {command}\n")).nth(1).expect(command);
        let section = section.split("\n.SS ").next().unwrap_or_default();
        for line in lines {
            assert!(section.lines().any(|found| found == *line), "{command}: no {line:?} in {section}");
        }
    }
}

/// What a shell offers at the end of a line: it sources the script and does what it does at a Tab.
fn offered(lab: &Lab, shell: &str, line: &str) -> String {
    let script = lab.write(format!("completions.{shell}"), lab.run(["completions", shell]).expect_code(0).stdout());
    let call = match shell {
        // Programmable Completion calls the function with the program, the word to complete, and the one before.
        "bash" => {
            r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)) COMP_TYPE=9
            function=$(complete -p lab-probe); function=${function#*-F }
            "${function%% *}" lab-probe "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#
        }
        // Outside of its line editor a widget's functions are not there: what is handed to them is what is offered.
        "zsh" => {
            r#"compdef() { }; _describe() { print -l -- ${(P)3} }
            cp $1 ${1:h}/_lab-probe; fpath=(${1:h}); autoload -Uz _lab-probe
            shift; words=("$@"); CURRENT=$#; _lab-probe"#
        }
        "fish" => "source $argv[1]; complete --do-complete (string join ' ' -- $argv[2..])",
        other => panic!("{other}"),
    };
    let words = std::iter::once("lab-probe").chain(line.split(' '));
    let quiet: &[&str] = match shell {
        "bash" => &["--norc", "-c", call, "bash"],
        "zsh" => &["-f", "-c", call, "zsh"],
        _ => &["--no-config", "-c", call],
    };
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_lab-probe")).parent().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lab.program(shell);
    command.args(quiet).arg(&script).args(words).env("PATH", format!("{}:{path}", binary.display()));
    let output = command.env("LAB_PROBE_CONFIG", lab.path().join("lab-probe.toml")).output().expect("the shell");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn every_shell_completes_commands_options_reasons_alerts_and_the_targets_that_are_there() {
    let lab = Lab::new();
    lab.config(
        "[mcp]\ndiscover = false\n[worktree]\nrepos = []\n[[mcp.server]]\nname = \"rag-query\"\ncommand = \"false\"\n\
         [[service]]\nname = \"same\"\ntcp = \"127.0.0.1:1\"\n[[mcp.server]]\nname = \"same\"\ncommand = \"false\"\n",
    );
    lab.run(["--once"]).expect_code(0);
    for (line, expected) in [
        ("ch", &["check"][..]),
        ("config ", &["init", "check", "show"]),
        ("worktree s", &["show", "set"]),
        ("completions ", &["bash", "zsh", "fish"]),
        ("check --format ", &["table", "json", "prometheus", "none"]),
        ("list --only ", &["mcp", "worktree", "thunes", "service"]),
        ("summary --send ", &["telegram"]),
        ("explain time", &["timeout"]),
        ("explain KillSw", &["KillSwitchActive"]),
        ("explain lab_mcp_server_tools_b", &["lab_mcp_server_tools_bytes"]),
        ("check ", &["rag-query", "mcp/same", "service/same"]),
        ("check mcp/r", &["mcp/rag-query"]),
    ] {
        for shell in ["bash", "zsh", "fish"] {
            let offered = offered(&lab, shell, line);
            let offers: Vec<&str> =
                offered.lines().map(|offer| offer.split([':', '\t']).next().unwrap_or(offer)).collect();
            for word in expected {
                assert!(offers.contains(word), "{shell}: no {word} behind {line:?}: {offered}");
            }
        }
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = Lab::new().run(["--version"]).expect_code(0).stdout();
    assert_eq!(version, format!("lab-probe {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_is_exit_2_with_the_right_form_on_standard_error() {
    let lab = Lab::new();
    for (args, expected) in [
        (&["--frsh"][..], "--fresh"),
        (&["chek"], "check"),
        (&["--only", "mpc"], "mcp"),
        (&["--deadline", "25"], "30s"),
        (&["--deadline", "-5s"], "\"-5s\" is no duration"),
        (&["--deadline", "36501d"], "longer than a hundred years"),
        (&["--deadline", "0s"], "longer than zero"),
        (&["check", "--deadline", "0s"], "longer than zero"),
        (&["--format", "yaml"], "table"),
        (&["--pushgateway", "127.0.0.1:9091"], "http://"),
        (&["--textfile-dir", ""], "--textfile-dir"),
        (&["check", "--once"], "--once"),
    ] {
        let run = lab.run(args).expect_code(2);
        assert!(run.stdout().is_empty(), "{args:?}: {}", run.stdout());
        assert!(run.stderr().contains(expected), "{args:?}: {}", run.stderr());
    }
}

#[test]
fn global_options_go_before_or_after_a_command() {
    let lab = Lab::new();
    let config = lab.config("");
    let config = config.to_str().expect("text");
    lab.run(["--config", config, "-v", "config", "check"]).expect_code(0);
    lab.run(["config", "check", "--config", config, "-q", "--color", "never"]).expect_code(0);
    lab.run(["config", "-c", config, "check"]).expect_code(0);
}

#[test]
fn saying_an_option_twice_is_no_mistake() {
    let lab = Lab::new();
    for args in [&["-vv", "list"][..], &["-v", "list", "-v"], &["list", "-qq"], &["-q", "list", "--quiet"]] {
        lab.run(args).expect_code(0);
    }
    lab.run(["-v", "list", "-q"]).expect_code(2);
}

#[test]
fn help_that_cannot_be_written_is_exit_1() {
    let lab = Lab::new();
    for option in ["--help", "--version"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("opened");
        let output = lab.command([option]).stdout(full).output().expect("lab-probe starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option}: {said}");
        assert!(said.contains("cannot write to standard output") && said.contains("hint: "), "{option}: {said}");
    }
}
