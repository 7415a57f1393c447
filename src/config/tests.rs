//! The stages together: a file in, settings or every problem out.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::environment::HostEnvironment;
use super::settings::Settings;
use super::show::show;
use super::*;
use crate::model::mcp::{HealthScript, HttpServer, HttpTransport, Reach, StdioServer};
use crate::model::reason::Reason;
use crate::model::service::ServiceProbe;
use crate::redact::Secret;

/// A home and a current directory with one configuration in it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn with(text: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("lab-probe.toml"), text).expect("a file");
        Place { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        load_in(None, &HostEnvironment::new(Some(self.path()), self.path(), variables))
    }
}

/// The settings of a text that must be right.
fn settings(text: &str) -> (Place, Settings) {
    let place = Place::with(text);
    let settings = place.load(&[("RAG_TOKEN", "s3cret"), ("TOKEN", "t0ken")]).unwrap_or_else(|e| panic!("{e}"));
    (place, settings)
}

/// Every line that a wrong text gives.
fn problems(text: impl AsRef<[u8]>) -> Vec<String> {
    let place = Place::with(text);
    place.load(&[("TOKEN", "t0ken")]).expect_err("refused").lines().collect()
}

const WHOLE: &str = r#"
[probe]
deadline = "20s"
max_starts = 8
state_dir = "state"
labels = { host = "laptop" }
[mcp]
discover = false
config_files = ["~/LAB/.mcp.json"]
expected = ["filesystem", "fetch"]
health_dir = "~/LAB/bin"
ttl = "5m"
retry_after = "30s"
timeout = "10s"
list_tools = true
[[mcp.server]]
name = "rag-query"
command = "rag-server"
args = ["--stdio"]
env = { RAG_TOKEN = "${RAG_TOKEN}" }
cwd = "~/LAB"
ttl = "1m"
[[mcp.server]]
name = "remote"
url = "https://example.org/mcp"
headers = { Authorization = "Bearer ${TOKEN}" }
transport = "sse"
list_tools = false
[[mcp.server]]
name = "scripted"
health_command = ["bin/check", "a b"]
disabled = true
[worktree]
repos = ["~/LAB"]
base = "main"
ttl = "0s"
test_reports = ["**/junit.xml"]
[[worktree.named]]
name = "thunes"
path = "~/LAB/worktrees/thunes"
[[thunes]]
environment = "testnet"
root = "~/LAB/projects/THUNES"
max_daily_loss = 20
[[service]]
name = "prometheus"
url = "http://127.0.0.1:9091/-/ready"
[[service]]
name = "db"
tcp = "[::1]:5432"
[[service]]
name = "thunes"
unit = "thunes"
user = true
[output.textfile]
directory = "out"
[output.pushgateway]
url = "http://127.0.0.1:9092"
"#;

#[test]
fn the_contracts_example_gives_the_settings_it_describes() {
    let (place, settings) = settings(WHOLE);
    let home = place.path();
    assert_eq!(settings.source, Some(home.join("lab-probe.toml")));
    assert_eq!(settings.probe.deadline, Duration::from_secs(20));
    assert_eq!(settings.probe.state_dir, home.join("state"));
    assert_eq!(settings.mcp.config_files, [home.join("LAB/.mcp.json")]);
    let reaches: Vec<Reach> = settings.mcp.servers.iter().map(|server| server.reach.clone()).collect();
    assert_eq!(
        reaches,
        [
            Reach::Stdio(StdioServer {
                command: "rag-server".into(),
                args: vec![Secret::new("--stdio")],
                env: [("RAG_TOKEN".into(), Secret::from_variable("s3cret"))].into(),
                cwd: Some(home.join("LAB")),
            }),
            Reach::Http(HttpServer {
                url: Secret::new("https://example.org/mcp"),
                headers: vec![("Authorization".into(), Secret::from_variable("Bearer t0ken"))],
                transport: HttpTransport::Sse,
                ca_file: None,
                login: None,
            }),
            Reach::Script(HealthScript {
                command: vec![Secret::new(home.join("bin/check").display().to_string()), Secret::new("a b")],
                env: Default::default(),
                cwd: None,
            }),
        ]
    );
    let minutes: Vec<u64> = settings.mcp.servers.iter().map(|s| s.schedule.ttl.as_secs() / 60).collect();
    assert_eq!(minutes, [1, 5, 5]);
    assert_eq!(settings.mcp.servers.iter().map(|s| s.list_tools).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(settings.worktree.repos, [home.join("LAB")]);
    assert!(!settings.worktree.discovered);
    assert_eq!(settings.worktree.named, [(home.join("LAB/worktrees/thunes"), "thunes".into())]);
    assert_eq!(settings.thunes[0].target.root, home.join("LAB/projects/THUNES"));
    assert_eq!(settings.thunes[0].target.positions_db, PathBuf::from("data/positions.db"));
    assert_eq!(settings.thunes[0].target.max_daily_loss, Some(20.0));
    assert_eq!(settings.services[2].probe, ServiceProbe::Unit { name: "thunes.service".into(), user: true });
    let textfile = settings.output.textfile.expect("a textfile");
    assert_eq!((textfile.directory, textfile.file), (home.join("out"), "lab-probe.prom".into()));
    assert!(settings.output.pushgateway.expect("a gateway").grouping.contains_key("instance"));
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn an_empty_file_and_no_file_mean_the_same() {
    let (place, mut with) = settings("");
    assert_eq!(with.source.take(), Some(place.path().join("lab-probe.toml")));
    std::fs::remove_file(place.path().join("lab-probe.toml")).expect("removed");
    let without = place.load(&[]).expect("defaults");
    assert_eq!(with, without);
    assert!(without.mcp.discover && without.worktree.discovered && without.output.defaulted);
    assert_eq!(without.worktree.repos, [place.path()]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    assert_eq!(
        problems("[probe]\ndeadline = \"0s\"\n[mcp]\nretry_afer = \"1m\"\nttl = \"5x\"\n[[service]]\n"),
        [
            "lab-probe.toml:2:12: \"deadline\" in [probe]: it must be more than zero, as in \"10s\"",
            "lab-probe.toml:4:1: unknown key \"retry_afer\" in [mcp]; did you mean \"retry_after\"?",
            "lab-probe.toml:5:7: \"ttl\" in [mcp]: \"5x\" is no duration; write a number with a unit (ms, s, m, h, d), as in \"30s\", \"5m\", \"1h30m\"",
            "lab-probe.toml:6:1: [[service]] needs \"name\", as in name = \"prometheus\"",
            "lab-probe.toml:6:1: [[service]] needs one of url, tcp, unit or process",
        ]
    );
}

#[test]
fn an_unset_variable_breaks_only_the_block_that_needs_it() {
    let place = Place::with(
        r#"
[mcp]
config_files = ["${UNSET}/a.json", "b.json"]
health_dir = "${UNSET}"
[[mcp.server]]
name = "command"
command = "x"
env = { A = "${UNSET}", B = "${ALSO_UNSET}" }
[[mcp.server]]
name = "url"
url = "${BAD_URL}"
[[mcp.server]]
name = "fine"
command = "x"
args = ["${UNSET:-default}"]
[[thunes]]
environment = "testnet"
root = "${UNSET}"
[[thunes]]
environment = "paper"
root = "x"
[[service]]
name = "service"
url = "http://h/${UNSET}"
[worktree]
repos = ["${UNSET}", "y"]
[output.textfile]
directory = "${UNSET}"
[output.pushgateway]
url = "http://h"
password_file = "${UNSET}"
username = "joe"
"#,
    );
    let settings = place.load(&[("BAD_URL", "s3cret")]).expect("the rest holds");
    let unreachable = |reach: &Reach| match reach {
        Reach::Unreachable(failure) => {
            assert_eq!(failure.reason, Reason::MissingEnv);
            failure.detail.clone()
        }
        _ => String::new(),
    };
    let servers: Vec<String> = settings.mcp.servers.iter().map(|server| unreachable(&server.reach)).collect();
    assert_eq!(
        servers,
        [
            "UNSET is not set, but \"env\" in [[mcp.server]] needs it (lab-probe.toml:8); \
             ALSO_UNSET is not set, but \"env\" in [[mcp.server]] needs it (lab-probe.toml:8)",
            "\"url\" in [[mcp.server]]: it is no web address; it begins with http:// or https://, \
             as in \"http://127.0.0.1:8000/path\" (lab-probe.toml:11)",
            "",
        ]
    );
    assert_eq!(settings.mcp.config_files, [place.path().join("b.json")]);
    assert_eq!(settings.worktree.repos, [place.path().join("y")]);
    assert_eq!(settings.mcp.health_dir, None);
    assert_eq!(settings.thunes.iter().map(|t| t.target.unreachable.is_some()).collect::<Vec<_>>(), [true, false]);
    assert!(matches!(settings.services[0].probe, ServiceProbe::Unreachable(_)));
    let output = settings.output;
    assert_eq!((output.textfile, output.pushgateway), (None, None));
    assert_eq!(
        output.broken.iter().map(|broken| (broken.output, broken.problem.as_str())).collect::<Vec<_>>(),
        [
            ("textfile", "UNSET is not set, but \"directory\" in [output.textfile] needs it (lab-probe.toml:28)"),
            (
                "pushgateway",
                "UNSET is not set, but \"password_file\" in [output.pushgateway] needs it (lab-probe.toml:31)"
            ),
        ]
    );
    assert_eq!(
        settings.warnings,
        [
            "lab-probe.toml:3: UNSET is not set, but \"config_files\" in [mcp] needs it; left out",
            "lab-probe.toml:4: UNSET is not set, but \"health_dir\" in [mcp] needs it; left out",
            "lab-probe.toml:26: UNSET is not set, but \"repos\" in [worktree] needs it; left out",
        ]
    );
}

#[test]
fn what_a_variable_spoils_is_left_out_as_the_warning_says() {
    let text = "[mcp]\nexpected = [\"${EMPTY}\", \"a\"]\nconfig_files = [\"${EMPTY}\"]\n[worktree]\nrepos = [\"${EMPTY}\", \"y\"]\n\
        base = \"${OPTION}\"\ntest_reports = [\"${GLOB}\", \"*.xml\"]\ntest_runners = [\"${PATH_TO}\", \"nose2\"]\n";
    let place = Place::with(text);
    let variables = [("EMPTY", ""), ("OPTION", "--upload-pack=x"), ("GLOB", "[a"), ("PATH_TO", "bin/nose2")];
    let Settings { mcp, worktree, warnings, .. } = place.load(&variables).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((mcp.expected, mcp.config_files), (vec!["a".to_owned()], Vec::new()));
    assert_eq!((worktree.repos, worktree.base), (vec![place.path().join("y")], None));
    assert_eq!((worktree.test_reports, worktree.test_runners), (vec!["*.xml".to_owned()], vec!["nose2".to_owned()]));
    assert!(warnings.len() == 6 && warnings.iter().all(|warning| warning.ends_with("; left out")), "{warnings:#?}");
}

#[test]
fn a_relative_path_starts_at_the_files_directory_and_a_command_at_its_own() {
    let (place, settings) = settings(
        "[[mcp.server]]\nname = \"a\"\ncommand = \"./bin/a\"\n\
         [[mcp.server]]\nname = \"b\"\ncommand = \"./bin/b\"\ncwd = \"sub\"\n\
         [[mcp.server]]\nname = \"c\"\ncommand = \"c d\"\n",
    );
    let commands = settings.mcp.servers.into_iter().map(|server| match server.reach {
        Reach::Stdio(server) => (server.command, server.cwd),
        reach => panic!("{reach:?} is no command"),
    });
    assert_eq!(
        commands.collect::<Vec<_>>(),
        [
            (place.path().join("./bin/a").display().to_string(), None),
            ("./bin/b".into(), Some(place.path().join("sub"))),
            ("c d".into(), None),
        ]
    );
}

#[test]
fn what_is_shown_has_every_setting_with_the_defaults_filled_in_and_means_the_same() {
    let (place, mut settings) = settings(WHOLE);
    let shown = show(&settings).expect("shown");
    let home = place.path().display();
    for line in [
        "ttl = \"1m\"".to_owned(),
        "retry_after = \"0s\"".into(),
        "RAG_TOKEN = \"***\"".into(),
        format!("path = \"{home}/LAB/worktrees/thunes\""),
        "journals = [\"logs/audit_trail.jsonl\", \"logs/metrics_events.jsonl\"]".into(),
        "[output.pushgateway]".into(),
        "node_exporter = \"http://127.0.0.1:9100\"".into(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    std::fs::write(place.path().join("lab-probe.toml"), &shown).expect("written back");
    let mut again = place.load(&[]).unwrap_or_else(|e| panic!("{e}\n{shown}"));
    // But for the masks, which are values like others.
    for settings in [&mut settings, &mut again] {
        for server in &mut settings.mcp.servers {
            match &mut server.reach {
                Reach::Stdio(server) => server.env.values_mut().for_each(|value| *value = Secret::default()),
                Reach::Http(server) => server.headers.iter_mut().for_each(|(_, value)| *value = Secret::default()),
                _ => {}
            }
        }
    }
    assert_eq!(again, settings);
}

#[test]
fn a_character_that_the_file_itself_has_wrong_is_not_blamed_on_the_environment() {
    for (line, problem) in [
        ("url = \"http://h/\"\nheaders = { A = \"a\\nb${TOKEN}\" }", "holds a line break or control character"),
        ("command = \"x\"\nargs = [\"\\u0000${TOKEN}\"]", "holds a NUL character"),
    ] {
        let problems = problems(format!("[[mcp.server]]\nname = \"a\"\n{line}\n"));
        assert!(problems.iter().any(|line| line.contains(problem)), "{problems:?}");
    }
}

#[test]
fn no_secret_is_shown_wherever_it_stands() {
    let text = r#"
[[mcp.server]]
name = "a"
command = "x"
args = ["--token", "CANARY", "--key=CANARY", "-e", "API_KEY=CANARY", "https://u:CANARY@h/?k=CANARY", "${SECRET}"]
env = { A = "CANARY", B = "${SECRET}", C = "${UNSET:-CANARY}" }
[[mcp.server]]
name = "b"
url = "https://u:CANARY@h/x?key=CANARY#CANARY"
headers = { Authorization = "Bearer CANARY", X = "${SECRET}" }
[[mcp.server]]
name = "c"
health_command = ["x", "--password", "CANARY"]
env = { A = "${UNSET}CANARY" }
[[thunes]]
environment = "t"
root = "x"
metrics_url = "http://CANARY@h/"
[[service]]
name = "a"
url = "http://h/?CANARY"
headers = { A = "CANARY${UNSET}" }
[[service]]
name = "b"
url = "http://h/${SECRET}"
[output.pushgateway]
url = "http://u:CANARY@h"
"#;
    let place = Place::with(text);
    let settings = place.load(&[("SECRET", "CANARY")]).expect("loaded");
    let shown = show(&settings).expect("shown");
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(!format!("{settings:?}").contains("CANARY"), "{settings:?}");
    assert!(shown.contains("args = [\"--token\", \"***\", \"--key=***\", \"-e\", \"API_KEY=***\""), "{shown}");
    assert!(shown.contains("B = \"***\"") && shown.contains("url = \"http://h/***\""), "{shown}");
}

const VALUES: &[&str] = &[
    "1", "-1", "0.5", "nan", "true", "1979-05-27", "[]", "{}", "[1]", "[[]]", "[{}]", "[200]", "[\"a\"]",
    "[\"a\", \"a\"]", "[\"${UNSET}\"]", "{ a = 1 }", "{ a = \"b\" }", "{ \"a b\" = \"${UNSET}\" }", "\"\"", "\"a\"",
    "\"1s\"", "\"0s\"", "\"~\"", "\"${UNSET}\"", "\"${A:-b}\"", "\"$${\"", "\"${\"", "\"http://h/\"",
    "\"http://u:p@h/?k=v\"", "\"h:1\"", "\"\\u0000\"", "\"x.prom\"", "\"🔥\"", "\"\\u009b\\u007f\"",
];

/// A section with some of its keys, and a few that are not its own, each with any value.
fn any_section() -> impl Strategy<Value = String> {
    let sections: Vec<_> = schema::SECTIONS.iter().collect();
    prop::sample::select(sections).prop_flat_map(move |section| {
        let keys: Vec<&str> = section.names().chain(["name", "zzz"]).collect();
        let lines = proptest::collection::btree_map(prop::sample::select(keys), prop::sample::select(VALUES), 0..6);
        lines.prop_map(move |lines| {
            let lines = lines.into_iter().map(|(key, value)| format!("{key} = {value}\n"));
            format!("{}\n{}", section.header, lines.collect::<String>())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_settings_or_problems_but_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let place = Place::with(&bytes);
        let _ = place.load(&[]);
    }

    /// Bytes are hardly ever TOML; this is TOML whose values are hardly ever right.
    #[test]
    fn any_value_under_any_key_is_told_or_taken_and_shown(text in any_section()) {
        let place = Place::with(&text);
        if let Ok(settings) = place.load(&[]) {
            let shown = show(&settings).expect("shown");
            prop_assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
        }
    }
}
