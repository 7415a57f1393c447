//! A LAB with a secret of its own in every place where one can stand, and servers that repeat what they were given.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::json;

use super::leak;
use crate::harness::Lab;
use crate::harness::git;
use crate::harness::http::{Certificates, Duplex, Fake, Seen, Then, answer};

/// What every planted secret begins with.
pub(super) const ROOT: &str = "qzvkw-";

/// The secret of a place. What its end looks like makes it one also where only the looks can tell.
pub(super) fn secret(place: &str) -> String {
    format!("{ROOT}{place}-8f3A61d907")
}

/// What a server on standard streams does with what it was given.
const ACTS: &[&str] = &["stderr", "cut", "rpc", "noise", "version", "tool", "hang", "exit"];

/// What a server behind a URL does.
const ANSWERS: &[&str] = &["401", "403", "404", "500", "away", "rpc", "noise", "json", "version", "hang"];

/// How the Pushgateway gets its credential, and what it answers.
pub(super) const GATEWAYS: &[(&str, &str)] =
    &[("userinfo", "500"), ("password", "401"), ("bearer", "400"), ("password", "gone"), ("bearer", "away")];

/// The server: writes down how it was started, then acts.
const SERVER: &str = r#"
import json, os, sys, time
act, seen = sys.argv[1], sys.argv[2]
given = " ".join(sys.argv[3:] + [os.environ.get(n, "") for n in ("TOKEN", "EXPANDED", "DEFAULT")])
with open(f"{seen}/{act}.{os.getpid()}", "w") as f:
    f.write("\0".join(sys.argv) + "\0" + "\0".join(f"{k}={v}" for k, v in os.environ.items()))
def say(text):
    sys.stdout.write(text + "\n"); sys.stdout.flush()
if act in ("stderr", "exit"):
    print("Error: cannot use", given, file=sys.stderr)
    sys.exit(1 if act == "stderr" else 0)
if act == "cut":
    # The secret begins before the place where long lines are cut, at every distance.
    for n in range(180, 200, 2):
        print("x" * n + os.environ["TOKEN"], file=sys.stderr)
    print("error: " + "x" * 188 + os.environ["TOKEN"], file=sys.stderr)
    sys.exit(1)
if act == "hang":
    print("waiting with", given, file=sys.stderr, flush=True)
    time.sleep(60)
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request: continue
    head = {"jsonrpc": "2.0", "id": request["id"]}
    if act == "noise":
        say("{ no json: " + given)
    elif act == "rpc" or request["method"] not in ("initialize", "tools/list"):
        say(json.dumps({**head, "error": {"code": -32603, "message": "no: " + given, "data": given}}))
    elif request["method"] == "initialize":
        version = os.environ["TOKEN"] if act == "version" else "1"
        say(json.dumps({**head, "result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": given, "version": version}}}))
    else:
        say(json.dumps({**head, "result": {"tools": [{"name": os.environ["TOKEN"], "inputSchema": {"type": "object"}}]}}))
"#;

pub(super) struct Planted {
    lab: Lab,
    echo: Fake,
    // Behind a certificate that nobody trusts.
    _untrusted: Fake,
    untrusted_url: String,
    own: Vec<PathBuf>,
}

impl Planted {
    pub(super) fn new() -> Planted {
        let lab = Lab::new();
        let echo = Fake::serve(repeat);
        let untrusted = Fake::serve_tls(Certificates::self_signed(&["127.0.0.1"]).server, repeat);
        let untrusted_url = untrusted.url("");
        let mut planted = Planted { lab, echo, _untrusted: untrusted, untrusted_url, own: Vec::new() };
        std::fs::create_dir(planted.path().join("seen")).expect("a directory");
        planted.plant("server.py", SERVER);
        planted.programs();
        planted.clients();
        planted.thunes();
        planted.repository();
        for (name, place) in
            [("password", "push-password"), ("bearer", "push-bearer"), ("credentials/telegram-token", "telegram")]
        {
            planted.plant(name, &format!("{}\n", secret(place)));
        }
        planted.plant("credentials/telegram-chat-id", "-100\n");
        planted
    }

    pub(super) fn path(&self) -> &Path {
        self.lab.path()
    }

    /// Whether the test wrote this itself: there the secrets belong.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        let outside = ["seen", ".git", "lab-probe.toml"].iter().any(|name| path.ends_with(name));
        outside || self.own.iter().any(|own| path.starts_with(own))
    }

    fn plant(&mut self, name: &str, text: &str) -> PathBuf {
        let path = self.lab.write(name, text);
        self.own.push(path.clone());
        path
    }

    /// git and a health script that write down how they were started.
    fn programs(&mut self) {
        let note = |name: &str| {
            let seen = self.path().join("seen");
            format!("cat /proc/$$/cmdline /proc/$$/environ >{}/{name}.$$\n", seen.display())
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let git = format!("#!/bin/sh\n{}PATH='{path}' exec git \"$@\"\n", note("git"));
        let health = format!("#!/bin/sh\n{}echo \"error: $*\" >&2; exit 1\n", note("health"));
        for (name, text) in [("bin/git", git), ("health/mcp-scripted-health", health)] {
            let path = self.lab.install(name, &text);
            self.own.push(path);
        }
    }

    /// Lists of clients, three languages, one project that nobody trusts, and three files that are broken right there.
    fn clients(&mut self) {
        let server = self.path().join("server.py");
        let seen = self.path().join("seen");
        let entry = |client: &str, act: &str| {
            json!({ "command": "python3", "args": [server, act, seen, "--api-key", secret(&format!("{client}-arg"))],
                    "env": { "TOKEN": secret(&format!("{client}-env")) } })
        };
        let remote = |client: &str, answer: &str| {
            let url = self.echo.url(&format!("/{answer}?key={}", secret(&format!("{client}-query"))));
            json!({ "url": url, "headers": { "X-Key": secret(&format!("{client}-header")) } })
        };
        let cursor =
            json!({ "mcpServers": { "cursor-a": entry("cursor", "stderr"), "cursor-b": remote("cursor", "401") } });
        let claude = json!({ "mcpServers": { "claude-a": entry("claude", "rpc") } });
        let project = json!({ "mcpServers": { "project-a": entry("project", "stderr") } });
        let codex = format!(
            "[mcp_servers.codex-a]\nurl = {:?}\nbearer_token_env_var = \"PLANTED\"\n\
             http_headers = {{ X-Key = {:?} }}\n",
            self.echo.url("/500"),
            secret("codex-header")
        );
        let goose = format!(
            "extensions:\n  goose-a:\n    type: stdio\n    enabled: true\n    cmd: python3\n    args: [{:?}, noise, {:?}]\n    \
             envs:\n      TOKEN: {}\n",
            server,
            seen,
            secret("goose-env")
        );
        let broken = |place: &str| {
            format!("{{\"mcpServers\": {{\"x\": {{\"env\": {{\"T\": \"{0}\" \"{0}\" {0}}}}}}}}}", secret(place))
        };
        for (name, text) in [
            ("home/.cursor/mcp.json", cursor.to_string()),
            ("home/.claude.json", claude.to_string()),
            ("repository/.mcp.json", project.to_string()),
            ("home/.codex/config.toml", codex),
            ("home/.config/goose/config.yaml", goose),
            ("home/.gemini/settings.json", broken("gemini-broken")),
            ("broken.toml", format!("[mcp_servers.x]\nenv = {{ T = {0} }}\n", secret("toml-broken"))),
            ("broken.yaml", format!("extensions:\n  x: {{ envs: {{ T: \"{0}\n  {0}: [\n", secret("yaml-broken"))),
            ("odd.json", json!({ "mcpServers": { "odd": secret("odd"), "odder": { "command": ["x", "--token", secret("odder")], "env": secret("oddest") } } }).to_string()),
        ] {
            self.plant(name, &text);
        }
    }

    fn thunes(&mut self) {
        let key = secret("envfile");
        self.plant("thunes/.env", &format!("BINANCE_API_SECRET={key}\nMAX_DAILY_LOSS={key}\nnonsense {key}\n"));
        self.plant("thunes/logs/audit_trail.jsonl", "{\"timestamp\": 1}\nnot json\n");
    }

    /// A remote whose URL holds a credential, as `git clone https://TOKEN@…` leaves it.
    fn repository(&mut self) {
        let repository = git::repository(&self.lab, "repository");
        let url = format!("https://joe:{}@git.example.invalid/x.git", secret("remote"));
        git::git(&self.lab, &repository, &["remote", "add", "origin", &url]);
    }

    /// Writes the configuration with this kind of gateway.
    pub(super) fn push_to(&self, (credential, answer): &(&str, &str)) {
        let url = match *answer {
            "gone" => "http://127.0.0.1:1".to_owned(),
            answer => self.echo.url(&format!("/{answer}")),
        };
        let with_userinfo = url.replace("http://", &format!("http://{}:{}@", secret("push-user"), secret("push-pass")));
        let gateway = match *credential {
            "userinfo" => format!("url = {with_userinfo:?}\n"),
            "password" => {
                format!("url = {url:?}\nusername = {:?}\npassword_file = \"password\"\n", secret("push-name"))
            }
            _ => format!("url = {url:?}\nbearer_token_file = \"bearer\"\n"),
        };
        let config = format!(
            "[probe]\nstate_dir = \"fresh/state\"\ndeadline = \"12s\"\n[output.textfile]\ndirectory = \"textfile\"\n\
             [output.pushgateway]\nretries = 0\n{gateway}{}",
            self.targets()
        );
        self.lab.write("lab-probe.toml", config);
    }

    /// Everything below the outputs.
    fn targets(&self) -> String {
        let root = self.path();
        let mut text = format!(
            "[mcp]\nhealth_dir = \"health\"\ntimeout = \"1s\"\nretry_after = \"0s\"\nttl = \"0s\"\n\
             config_files = [\"broken.toml\", \"broken.yaml\", \"odd.json\"]\n\
             [worktree]\nrepos = [{:?}]\n[[thunes]]\nenvironment = \"paper\"\nroot = {:?}\nmetrics_url = {:?}\n\
             [telegram]\napi_url = {:?}\n[doctor]\n",
            root.join("repository"),
            root.join("thunes"),
            self.echo.url(&format!("/noise/{}", secret("metrics-path"))),
            self.echo.url("/json"),
        );
        let with_userinfo = |url: String, place: &str| {
            url.replace(
                "://",
                &format!("://{}:{}@", secret(&format!("{place}-user")), secret(&format!("{place}-pass"))),
            )
        };
        for (key, answer) in
            [("prometheus", "json"), ("alertmanager", "500"), ("grafana", "401"), ("node_exporter", "noise")]
        {
            text.push_str(&format!("{key} = {:?}\n", with_userinfo(self.echo.url(&format!("/{answer}")), key)));
        }
        for act in ACTS {
            text.push_str(&format!(
                "[[mcp.server]]\nname = \"act-{act}\"\ncommand = \"python3\"\n\
                 args = [{:?}, {act:?}, {:?}, \"--api-key={}\"]\n\
                 env = {{ TOKEN = {:?}, EXPANDED = \"${{PLANTED}}\", DEFAULT = \"${{NOT_SET:-{}}}\" }}\n",
                root.join("server.py"),
                root.join("seen"),
                secret(&format!("{act}-arg")),
                secret(&format!("{act}-env")),
                secret("default"),
            ));
        }
        for answer in ANSWERS {
            let path = format!("/{answer}/{}?key={}", secret("path"), secret("query"));
            text.push_str(&remote(&format!("bare-{answer}"), &with_userinfo(self.echo.url(&path), "url"), ""));
            let bearer = format!("Authorization = \"Bearer {}\", ", secret("bearer"));
            text.push_str(&remote(&format!("bearer-{answer}"), &self.echo.url(&path), &bearer));
        }
        text.push_str(&remote("dead", &with_userinfo("http://127.0.0.1:1/".into(), "dead"), ""));
        text.push_str(&remote("tls", &with_userinfo(self.untrusted_url.clone(), "tls"), ""));
        text.push_str(&remote("proxied", &with_userinfo("http://far.example.invalid/".into(), "proxied"), ""));
        text.push_str(
            &remote("old", &with_userinfo(self.echo.url("/noise"), "old"), "")
                .replace("headers", "transport = \"sse\"\nheaders"),
        );
        text.push_str(&format!(
            "[[mcp.server]]\nname = \"script\"\nhealth_command = [\"sh\", \"-c\", \"echo error: $0 >&2; exit 1\", \"--token={}\"]\n",
            secret("script-arg")
        ));
        for answer in ["json", "500", "away"] {
            text.push_str(&format!(
                "[[service]]\nname = \"service-{answer}\"\nurl = {:?}\nbody_contains = \"never there\"\n\
                 headers = {{ Authorization = \"Bearer {}\", X-Key = {:?} }}\n",
                with_userinfo(self.echo.url(&format!("/{answer}?key={}", secret("service-query"))), "service"),
                secret("service-bearer"),
                secret("service-header"),
            ));
        }
        text
    }

    /// Runs one command line in this LAB.
    pub(super) fn run(&self, line: &super::commands::Line) -> Output {
        let mut command = self.lab.command(&line.args);
        let path = std::env::var("PATH").unwrap_or_default();
        let proxy =
            self.echo.url("").replace("http://", &format!("http://{}:{}@", secret("proxy-user"), secret("proxy-pass")));
        command
            .env("PATH", format!("{}:{path}", self.path().join("bin").display()))
            .env("PLANTED", secret("variable"))
            .env("UNRELATED_TOKEN", secret("unrelated"))
            .env("CREDENTIALS_DIRECTORY", self.path().join("credentials"))
            .env("HTTP_PROXY", &proxy)
            .env("http_proxy", &proxy)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("lab-probe starts");
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may be gone already.
            let _ = std::io::Write::write_all(&mut stdin, line.stdin.as_bytes());
        }
        child.wait_with_output().expect("lab-probe ends")
    }

    /// Secrets in the arguments or the environment of processes that were not meant to get them.
    pub(super) fn strangers(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut kinds = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(self.path().join("seen")).expect("listed").flatten() {
            let name = entry.file_name().to_string_lossy().split('.').next().unwrap_or_default().to_owned();
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).expect("read")).into_owned();
            let own = |part: &str| {
                let places = [format!("{name}-arg"), format!("{name}-env"), "variable".into(), "default".into()];
                // `trust`, which is among the commands, lets the project's be started.
                let of_clients = ["cursor", "claude", "goose", "project"]
                    .map(|client| [format!("{client}-arg"), format!("{client}-env")]);
                places.into_iter().chain(of_clients.into_iter().flatten()).any(|place| part.ends_with(&secret(&place)))
            };
            for part in text.split('\0').filter(|part| leak(part.as_bytes()).is_some() && !own(part)) {
                found.push(format!("{name} was started with {part:?}"));
            }
            kinds.insert(name);
        }
        for kind in ["git", "health", "stderr", "hang"] {
            assert!(kinds.contains(kind), "{kind} was never started: {kinds:?}");
        }
        found
    }
}

fn remote(name: &str, url: &str, bearer: &str) -> String {
    format!("[[mcp.server]]\nname = {name:?}\nurl = {url:?}\nheaders = {{ {bearer}X-Key = {:?} }}\n", secret("header"))
}

/// Answers as the first part of the path says, with everything that came in it.
fn repeat(seen: &Seen, stream: &mut dyn Duplex) -> Then {
    let headers: Vec<String> = seen.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    // The credentials first, so that no bound on what is quoted hides them.
    let mut values: Vec<&str> = seen
        .headers
        .iter()
        .map(|(_, value)| value.as_str())
        .filter(|v| v.contains(ROOT) || v.starts_with("Basic"))
        .collect();
    values.push(&seen.target);
    let all = values.join(" ");
    let way = seen
        .target
        .trim_start_matches("http://far.example.invalid")
        .trim_start_matches('/')
        .split(['/', '?'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let plain = [("Content-Type", "text/plain")];
    let error = json!({ "error": { "message": &all }, "headers": headers }).to_string();
    let typed = [("Content-Type", "application/json")];
    match way.as_str() {
        "401" => answer(
            stream,
            "401 No",
            &[("Content-Type", "text/plain"), ("WWW-Authenticate", &format!("Bearer realm=\"{all}\""))],
            all.as_bytes(),
        ),
        "403" => answer(stream, "403 No", &plain, all.as_bytes()),
        "400" | "404" => answer(stream, "404 No", &plain, all.as_bytes()),
        "500" => answer(stream, "500 No", &typed, error.as_bytes()),
        "away" => answer(stream, "302 Away", &[("Location", &format!("http://localhost:1{}", seen.target))], b""),
        "rpc" => {
            let body =
                json!({ "jsonrpc": "2.0", "id": seen.json()["id"], "error": { "code": -32603, "message": all } });
            answer(stream, "200 OK", &typed, body.to_string().as_bytes())
        }
        "version" => {
            let result = if seen.json()["method"] == "initialize" {
                json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": { "name": all, "version": values.first() } })
            } else {
                json!({ "tools": [] })
            };
            let body = json!({ "jsonrpc": "2.0", "id": seen.json()["id"], "result": result });
            answer(stream, "200 OK", &typed, body.to_string().as_bytes())
        }
        "json" => answer(
            stream,
            "200 OK",
            &typed,
            json!({ "ok": false, "status": &all, "data": [&all], "description": &all }).to_string().as_bytes(),
        ),
        "hang" => {
            std::thread::sleep(std::time::Duration::from_secs(2));
            Then::Close
        }
        "noise" => answer(stream, "200 OK", &plain, format!("{all}\nthunes_open_positions {all}\n").as_bytes()),
        _ => answer(stream, "407 Proxy", &plain, all.as_bytes()),
    }
}
