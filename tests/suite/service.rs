//! Service checks: URL, TCP, unit and process, through the binary.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::harness::http::{Certificates, Fake, Then, answer};
use crate::harness::{CLOSED, Lab};

/// Runs `check` over the services of a config and gives back the exit code and each service's JSON by name.
fn check(lab: &Lab, config: &str, path_first: Option<&Path>) -> (Option<i32>, Vec<Value>) {
    let config = lab.config(config);
    let args = ["check", "--only", "service", "--format", "json", "--config"];
    let mut command = lab.command(args.map(std::ffi::OsStr::new).into_iter().chain([config.as_os_str()]));
    if let Some(first) = path_first {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let all = std::env::join_paths([first.to_owned()].into_iter().chain(std::env::split_paths(&inherited)));
        command.env("PATH", all.expect("a path"));
    }
    let output = command.output().expect("lab-probe starts");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let targets = document["targets"].as_array().expect("targets").clone();
    (output.status.code(), targets)
}

#[track_caller]
fn assert_verdicts(targets: &[Value], expected: &[(&str, &str, &str)]) {
    for (name, verdict, words) in expected {
        let target = targets.iter().find(|target| target["name"] == *name).expect(name);
        let summary = target["summary"].as_str().unwrap_or_default();
        assert_eq!(target["verdict"], *verdict, "{name}: {summary}");
        assert!(summary.contains(words), "{name}: {summary:?} lacks {words:?}");
    }
    assert_eq!(targets.len(), expected.len());
}

/// A process that is killed with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn urls_are_judged_by_status_and_body_and_the_certificates_end_is_told() {
    let lab = Lab::new();
    let server = Fake::serve(|seen, stream| match seen.target.as_str() {
        "/health" => answer(stream, "200 OK", &[], b"{\"status\": \"ok\", \"version\": \"1.2\"}"),
        "/old" => answer(stream, "301 Moved", &[("Location", "/health")], b""),
        "/token" if seen.header("x-token") == Some("canary") => answer(stream, "200 OK", &[], b"canary"),
        _ => answer(stream, "503 Service Unavailable", &[], b"not yet"),
    });
    let plain = Fake::serve(|_, stream| {
        // What an ssh server says first; whether all of it arrives makes no difference.
        let _ = std::io::Write::write_all(stream, b"SSH-2.0-OpenSSH_9.2\r\n");
        Then::Close
    });
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let secure =
        Fake::serve_tls(Arc::clone(&certificates.server), |_, stream| answer(stream, "204 No Content", &[], b""));
    let ca_file = lab.write("ca.pem", &certificates.ca_pem);
    let service = |name: &str, url: &str, more: &str| format!("[[service]]\nname = {name:?}\nurl = {url:?}\n{more}\n");
    let config = [
        service("up", &server.url("/health"), "body_contains = \"ok\"\nbody_matches = 'version.*1\\.\\d'"),
        service("wrong body", &server.url("/health"), "body_contains = \"bad\""),
        service("unmatched", &server.url("/health"), "body_matches = '^nothing$'"),
        service("down", &server.url("/"), ""),
        service("down as wanted", &server.url("/"), "expect_status = 503"),
        service("moved", &server.url("/old"), ""),
        service("moved as wanted", &server.url("/old"), "expect_status = [301]"),
        service("secret", &server.url("/token"), "headers = { X-Token = \"canary\" }\nbody_contains = \"other\""),
        service("secure", &secure.named_url("/"), &format!("ca_file = {ca_file:?}")),
        service("untrusted", &secure.named_url("/"), ""),
        service("no variable", "http://127.0.0.1:1/${NO_SUCH_VARIABLE}", ""),
        service("no web server", &plain.url("/"), ""),
    ];
    let (code, targets) = check(&lab, &config.concat(), None);
    assert_eq!(code, Some(1));
    assert_verdicts(
        &targets,
        &[
            ("up", "up", "HTTP 200"),
            ("wrong body", "down", "does not hold \"bad\""),
            ("unmatched", "down", "does not match"),
            ("down", "down", "HTTP 503 instead of a success"),
            ("down as wanted", "up", "HTTP 503"),
            ("moved", "up", "HTTP 200"),
            ("moved as wanted", "up", "HTTP 301"),
            ("secret", "down", "***"),
            ("secure", "up", "HTTP 204, certificate ends in "),
            ("untrusted", "down", "tls_error"),
            ("no variable", "unknown", "NO_SUCH_VARIABLE"),
            ("no web server", "down", "not HTTP"),
        ],
    );
    let hint = |name: &str| {
        let target = targets.iter().find(|target| target["name"] == name).expect(name);
        target["hint"].as_str().unwrap_or_default().to_owned()
    };
    assert!(hint("wrong body").contains("`body_contains`"), "{}", hint("wrong body"));
    assert!(hint("no web server").contains("with `tcp`"), "{}", hint("no web server"));
    assert!(!format!("{targets:?}").contains("canary"));
    let secure = targets.iter().find(|target| target["name"] == "secure").expect("the target");
    assert_eq!(secure["facts"]["certificate_end"], 4_102_444_800_i64);
}

#[test]
fn a_port_that_listens_is_up_and_one_that_does_not_is_down() {
    let lab = Lab::new();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = listening.local_addr().expect("an address");
    let config =
        format!("[[service]]\nname = \"open\"\ntcp = \"{open}\"\n[[service]]\nname = \"closed\"\ntcp = \"{CLOSED}\"\n");
    let (code, targets) = check(&lab, &config, None);
    assert_eq!(code, Some(1));
    assert_verdicts(&targets, &[("open", "up", "accepts"), ("closed", "down", "connect_failed")]);
}

#[test]
fn a_process_is_found_by_the_script_it_runs_and_not_by_a_mention_of_it() {
    let lab = Lab::new();
    let script = lab.write("run_the_scheduler.sh", "#!/bin/sh\nread -r _\n");
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        Running(Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started"))
    };
    let config = "[[service]]\nname = \"scheduler\"\nprocess = \"run_the_scheduler.sh\"\n";
    let mention = run("tail", &["-f".as_ref(), script.as_os_str()]);
    let (code, targets) = check(&lab, config, None);
    assert_eq!(code, Some(1));
    assert_verdicts(&targets, &[("scheduler", "down", "no process runs")]);
    let running = run("sh", &[script.as_os_str()]);
    let (code, targets) = check(&lab, config, None);
    assert_eq!(code, Some(0));
    assert_verdicts(&targets, &[("scheduler", "up", "1 process")]);
    drop((mention, running));
}

#[test]
fn all_units_of_a_manager_are_asked_for_in_one_call() {
    let lab = Lab::new();
    let calls = lab.path().join("calls");
    let block = |load: &str, active: &str, sub: &str| {
        format!("LoadState={load}\\nActiveState={active}\\nSubState={sub}\\nResult=success\\nExecMainStatus=0\\n")
    };
    // The order is that of the names, sorted: a.service, b.timer, c.service.
    let blocks = [
        block("loaded", "active", "running"),
        block("loaded", "inactive", "dead"),
        block("not-found", "inactive", "dead"),
    ];
    let script = format!("#!/bin/sh\necho \"$@\" >>{calls:?}\nprintf '{}'\n", blocks.join("\\n"));
    let systemctl = lab.install("bin/systemctl", &script);
    let config = "[[service]]\nname = \"c\"\nunit = \"c\"\n[[service]]\nname = \"a\"\nunit = \"a\"\n\
                  [[service]]\nname = \"b\"\nunit = \"b.timer\"\n[[service]]\nname = \"mine\"\nunit = \"a\"\nuser = true\n";
    let (code, targets) = check(&lab, config, systemctl.parent());
    assert_eq!(code, Some(1));
    assert_verdicts(
        &targets,
        &[
            ("a", "up", "active (running)"),
            ("b", "down", "b.timer is inactive (dead)"),
            ("c", "down", "knows no unit c.service"),
            ("mine", "up", "active (running)"),
        ],
    );
    let calls = std::fs::read_to_string(calls).expect("calls");
    let mut calls: Vec<&str> =
        calls.lines().map(|call| call.rsplit_once("ExecMainStatus ").expect("options").1).collect();
    calls.sort_unstable();
    assert_eq!(calls, ["-- a.service b.timer c.service", "--user -- a.service"]);
}

#[test]
fn where_systemd_does_not_answer_a_unit_is_down_with_what_systemctl_said() {
    let lab = Lab::new();
    let systemctl =
        lab.install("bin/systemctl", "#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n");
    let (_, targets) = check(&lab, "[[service]]\nname = \"a\"\nunit = \"a\"\n", systemctl.parent());
    assert_verdicts(&targets, &[("a", "down", "Failed to connect to bus")]);
}

/// A machine that is short of descriptors tells nothing of a service.
#[test]
fn a_pass_that_may_open_too_few_files_calls_no_service_down() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // So that its queue is never full; ends with the tests.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let lab = Lab::new();
    let service = |n: u32| format!("[[service]]\nname = \"s{n}\"\ntcp = \"127.0.0.{n}:{port}\"\n");
    let config = lab.config(&(1..=10).map(service).collect::<String>());
    let mut refused = 0;
    // At one of these it can read its configuration and open no connection.
    for files in 6..=24 {
        let probe = lab.command(["check", "--format", "json", "--config", config.to_str().expect("text")]);
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={files}:{files}")).arg(probe.get_program()).args(probe.get_args());
        command.env_clear().envs(probe.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.current_dir(lab.path()).output().expect("prlimit starts");
        let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else { continue };
        for target in document["targets"].as_array().expect("targets") {
            assert_ne!(target["verdict"], "down", "{files}: {target}");
            refused += usize::from(target["trouble"].as_str().is_some_and(|said| said.starts_with("not checked: ")));
        }
    }
    assert!(refused > 0);
}
