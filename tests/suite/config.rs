//! The configuration as a person meets it: what is said of a wrong one, and the three `config` commands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lab_probe::config::environment::HostEnvironment;
use lab_probe::config::load_in;
use lab_probe::metrics::catalogue;

use serde_json::json;

use crate::harness::Lab;
use crate::harness::git::git;

#[test]
fn every_mistake_is_told_with_its_place_and_what_would_be_right() {
    let home = Path::new("/home/joe");
    let lab = Lab::new();
    let environment = HostEnvironment::new(Some(home), lab.path(), &[("TOKEN", "t0ken")]);
    let cases: Vec<&str> = include_str!("data/config/invalid.txt").split("-----\n").skip(1).collect();
    assert!(cases.len() > 50, "the cases are there");
    for case in cases {
        let (text, expected) = case.split_once("=====\n").expect("a case has two parts");
        lab.write("lab-probe.toml", text);
        let error = load_in(None, &environment).expect_err(text);
        assert_eq!(error.to_string(), expected.trim_end(), "said of\n{text}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn labels_of_the_catalogue_cannot_be_taken_by_the_config() {
    let lab = Lab::new();
    let environment = HostEnvironment::new(Some(lab.path()), lab.path(), &[]);
    for label in catalogue::ALL.iter().flat_map(|family| &family.labels).chain(&["job", "instance", "le", "quantile"]) {
        lab.write("lab-probe.toml", format!("[probe]\nlabels = {{ {label} = \"x\" }}\n"));
        let error = load_in(None, &environment).expect_err(label).to_string();
        assert!(error.contains(&format!("{label:?} is ")), "{error}");
    }
}

#[test]
fn a_wrong_config_ends_every_command_with_2_and_a_line_for_each_mistake() {
    let lab = Lab::new();
    lab.write("lab-probe.toml", "[mcp]\nttl = 5\nretry_afer = \"1s\"\n");
    for args in [&["config", "check"][..], &["config", "show"]] {
        let run = lab.run(args).expect_code(2);
        assert_eq!(run.stdout(), "");
        let wanted =
            ["error: lab-probe.toml:2:7: \"ttl\" ", "error: lab-probe.toml:3:1: unknown", "hint: correct the file; "];
        let stderr = run.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), wanted.len(), "{stderr}");
        assert!(lines.iter().zip(wanted).all(|(line, wanted)| line.starts_with(wanted)), "{stderr}");
    }
}

#[test]
fn what_is_no_configuration_file_is_refused_by_name() {
    let lab = Lab::new();
    let refused = |lab: &Lab, message: &str| {
        let run = lab.run(["config", "check", "c.toml"]).expect_code(2);
        assert!(run.stderr().starts_with(&format!("error: c.toml: {message}\nhint: ")), "{}", run.stderr());
        let _ = std::fs::remove_file(lab.path().join("c.toml"));
        let _ = std::fs::remove_dir(lab.path().join("c.toml"));
    };
    refused(&lab, "no such file; `lab-probe config init FILE` writes one to start from");
    let path = lab.path().join("c.toml");
    std::fs::create_dir(&path).expect("a directory");
    refused(&lab, "a directory, not a file; an empty file would hold the defaults");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a FIFO");
    refused(&lab, "a FIFO, not a file; an empty file would hold the defaults");
    let socket = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    refused(&lab, "a socket, not a file; an empty file would hold the defaults");
    drop(socket);
    std::os::unix::fs::symlink("/dev/null", &path).expect("a link");
    refused(&lab, "a device, not a file; an empty file would hold the defaults");
    std::os::unix::fs::symlink("nowhere", &path).expect("a link");
    refused(&lab, "a symbolic link to nothing");
    std::fs::File::create(&path).and_then(|file| file.set_len(100 << 20)).expect("100 MiB of holes");
    refused(&lab, "larger than 2 MiB; no configuration is");
    lab.write("c.toml", b"a = 1\n\0");
    let run = lab.run(["config", "check", "c.toml"]).expect_code(2);
    let nul = "error: c.toml:2:1: a NUL byte: not a text file, or one that was damaged\n";
    assert!(run.stderr().starts_with(nul), "{}", run.stderr());
    lab.write("c.toml", b"a = 1\nb = \"\xff\"\n");
    let run = lab.run(["config", "check", "c.toml"]).expect_code(2);
    let broken = "error: c.toml:2:6: not UTF-8 from here on; TOML is always UTF-8\n";
    assert!(run.stderr().starts_with(broken), "{}", run.stderr());
}

#[test]
fn a_config_is_refused_while_others_may_write_it_whatever_it_says() {
    let lab = Lab::new();
    let set_mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    };
    let path = lab.config("[[mcp.server]]\nname = \"a\"\ncommand = \"a\"\n");
    set_mode(&path, 0o646);
    let shown = path.canonicalize().expect("real").display().to_string();
    let run = lab.run(["config", "check"]).expect_code(2);
    let exposed = format!(
        "error: lab-probe.toml: others could change it: {shown} is writable by everyone (mode 0646); mend it with \
         `chmod o-w {shown}`\n"
    );
    assert!(run.stderr().starts_with(&exposed), "{}", run.stderr());
    // The command it names is the one that mends it.
    let remedy = std::process::Command::new("sh").arg("-c").arg(format!("chmod o-w {shown}")).status();
    assert!(remedy.expect("a shell").success());
    lab.run(["config", "check"]).expect_code(0);

    set_mode(lab.path(), 0o707);
    let run = lab.run(["config", "check"]).expect_code(2);
    assert!(run.stderr().contains("is writable by everyone (mode 0707); mend it with `chmod o-w "), "{}", run.stderr());

    // One with nothing but an output could name a file to send away.
    lab.config("[output.pushgateway]\nurl = \"http://127.0.0.1:1\"\nbearer_token_file = \"key\"\n");
    for args in [&["config", "check"][..], &["config", "show"], &["--once"], &["check"], &["list"]] {
        let run = lab.run(args).expect_code(2);
        assert!(run.stderr().contains("others could change it: "), "{args:?}: {}", run.stderr());
    }
}

#[test]
fn a_state_directory_that_others_may_write_or_own_is_not_used() {
    let lab = Lab::new();
    lab.config("");
    let state = lab.path().join("state");
    let set_mode = |mode| std::fs::set_permissions(&state, PermissionsExt::from_mode(mode)).expect("a mode");
    let refused = |why: &str| {
        for args in [&["--once"][..], &["check"], &["list"], &["config", "check"]] {
            let run = lab.run(args).expect_code(2);
            let stderr = run.stderr();
            assert!(
                stderr.contains("\"state_dir\" in [probe]: others could change") && stderr.contains(why),
                "{stderr}"
            );
        }
        assert_eq!(state.read_dir().expect("listed").count(), 0, "nothing is written there");
    };
    for mode in [0o777, 0o1777, 0o702] {
        set_mode(mode);
        refused("is writable by everyone");
    }
    set_mode(0o755);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&state, Some(12_345), None).expect("given away");
        refused("belongs to ");
        std::os::unix::fs::chown(&state, Some(0), None).expect("taken back");
    }
    lab.run(["config", "check"]).expect_code(0);
}

#[test]
fn init_writes_a_file_that_check_accepts_and_never_overwrites_one() {
    let lab = Lab::new();
    let starter = lab.run(["config", "init", "-"]).expect_code(0).stdout();
    let path = lab.home().join(".config/lab-probe/config.toml");

    let run = lab.run(["config", "init"]).expect_code(0);
    assert_eq!(run.stdout(), "");
    assert!(run.stderr().contains(&format!("wrote {}", path.display())), "{}", run.stderr());
    assert_eq!(std::fs::read_to_string(&path).expect("the starter"), starter);
    assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o777, 0o644);
    let run = lab.run(["config", "check"]).expect_code(0);
    assert_eq!(run.stdout(), format!("{}: ok (1 output)\n", path.display()));

    std::fs::write(&path, "# mine\n").expect("edited");
    let run = lab.run(["config", "init"]).expect_code(1);
    assert!(run.stderr().contains("is there already and stays as it is"), "{}", run.stderr());
    assert_eq!(std::fs::read_to_string(&path).expect("mine"), "# mine\n");

    lab.run(["config", "init", "deep/er/c.toml"]).expect_code(0);
    lab.run(["--config", "deep/er/c.toml", "config", "check"]).expect_code(0);
    lab.run(["config", "init", "deep/er/c.toml/x.toml"]).expect_code(1);
}

#[test]
fn check_without_a_file_says_where_one_was_looked_for() {
    let lab = Lab::new();
    let home = lab.home();
    let run = lab.run(["config", "check"]).expect_code(0);
    let user = home.join(".config/lab-probe/config.toml");
    let places = format!("lab-probe.toml, {}, /etc/lab-probe/config.toml", user.display());
    assert_eq!(run.stdout(), format!("no configuration file, defaults hold (looked for {places})\n"));
    let mut command = lab.command(["config", "check"]);
    let output = command.env_remove("HOME").output().expect("lab-probe starts");
    assert!(String::from_utf8_lossy(&output.stdout).contains("/.config/lab-probe/config.toml"), "the home by passwd");
}

#[test]
fn the_file_that_an_option_names_wins_over_the_variable_and_that_over_the_directory() {
    let lab = Lab::new();
    for name in ["lab-probe.toml", "variable.toml", "option.toml"] {
        lab.write(name, "");
    }
    let check = |args: &[&str], variable: Option<&str>| {
        let mut command = lab.command(args);
        command.envs(variable.map(|value| ("LAB_PROBE_CONFIG", value)));
        let output = command.output().expect("lab-probe starts");
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        line.split(':').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned()
    };
    assert_eq!(check(&["config", "check"], None), "lab-probe.toml");
    assert_eq!(check(&["config", "check"], Some("")), "lab-probe.toml");
    assert_eq!(check(&["config", "check"], Some("variable.toml")), "variable.toml");
    assert_eq!(check(&["-c", "option.toml", "config", "check"], Some("variable.toml")), "option.toml");
    assert_eq!(check(&["config", "check", "-c", "option.toml"], Some("variable.toml")), "option.toml");
    assert_eq!(check(&["config", "check"], Some("gone.toml")), "");
}

#[test]
fn strange_names_and_a_thousand_servers_are_accepted() {
    let lab = Lab::new();
    let long = "n".repeat(1024);
    let mut text = String::from("[worktree]\nrepos = []\n[mcp]\ndiscover = false\n");
    let names = ["quote \\\" backslash \\\\", "line\\nbreak", "🔥 ключ", long.as_str(), " ", "a/b", "\\u001b[2J"];
    for name in names {
        text.push_str(&format!("[[mcp.server]]\nname = \"{name}\"\ncommand = \"x\"\n"));
    }
    for index in 0..1000 {
        text.push_str(&format!("[[mcp.server]]\nname = \"server-{index}\"\ncommand = \"x\"\nargs = [\"{index}\"]\n"));
    }
    lab.config(&text);
    let run = lab.run(["config", "check"]).expect_code(0);
    assert!(run.stdout().contains("ok (1007 MCP servers"), "{}", run.stdout());
    let shown = lab.run(["config", "show"]).expect_code(0).stdout();
    lab.write("shown.toml", &shown);
    let again = lab.run(["config", "show", "-c", "shown.toml"]).expect_code(0).stdout();
    let without_source = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_source(&again), without_source(&shown));
}

#[test]
fn a_new_file_proposes_the_repositories_that_clients_know_and_a_thunes_beside_them() {
    let lab = Lab::new();
    let home = lab.home();
    for repository in ["LAB", "code/odd ${name}"] {
        std::fs::create_dir_all(home.join(repository)).expect("a directory");
        git(&lab, &home.join(repository), &["init", "-q"]);
    }
    std::fs::create_dir_all(home.join("no-repository")).expect("a directory");
    for file in ["home/LAB/projects/THUNES/logs/audit_trail.jsonl", "home/code/paper/data/positions.db"] {
        lab.write(file, "");
    }
    let path = |name: &str| home.join(name).display().to_string();
    let projects = json!({ path("LAB"): {}, path("no-repository"): {}, path("gone"): {}, "relative": {} });
    lab.write("home/.claude.json", json!({ "projects": projects, "numStartups": 3 }).to_string());
    let codex =
        format!("[projects.{:?}]\ntrust_level = \"trusted\"\n[projects.{:?}]\n", path("code/odd ${name}"), path("LAB"));
    lab.write("home/.codex/config.toml", codex);

    let run = lab.run(["config", "init", "-v"]).expect_code(0);
    assert!(run.stderr().contains("repositories: 2, THUNES roots: 2"), "{}", run.stderr());
    let text = std::fs::read_to_string(home.join(".config/lab-probe/config.toml")).expect("a file");
    for line in [
        "#    \"~/LAB\",",
        "#    \"~/code/odd $${name}\",",
        "#root = \"~/LAB/projects/THUNES\"",
        "#root = \"~/code/paper\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("no-repository") && !text.contains("~/gone"), "{text}");
    lab.run(["config", "check"]).expect_code(0);

    // Taken in, the proposals are settings; as written they are none.
    let taken = text.replace("#repos = [\n", "repos = [\n").replace("#    \"", "    \"").replace("#]\n", "]\n");
    lab.write("taken.toml", taken);
    let shown = lab.run(["--config", "taken.toml", "config", "show"]).expect_code(0).stdout();
    assert!(shown.contains(&path("code/odd ${name}")), "{shown}");
    let plain = lab.run(["config", "init", "-"]).expect_code(0).stdout();
    assert!(!plain.contains("odd") && !plain.contains("Projects of your"), "{plain}");
}
