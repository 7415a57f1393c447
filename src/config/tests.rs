//! The stages together: a file in, settings or every problem out.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::settings::{ServerReach, Settings};
use super::*;
use crate::model::mcp::HttpTransport;
use crate::model::secret::Secret;
use crate::model::service::ServiceLook;

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
        load_in(None, &Environment::new(Some(self.path()), self.path(), variables))
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
    let reaches: Vec<ServerReach> = settings.mcp.servers.iter().map(|server| server.reach.clone()).collect();
    assert_eq!(
        reaches,
        [
            ServerReach::Stdio {
                command: "rag-server".into(),
                args: vec![Secret::new("--stdio")],
                env: [("RAG_TOKEN".into(), Secret::new("s3cret"))].into(),
                cwd: Some(home.join("LAB")),
            },
            ServerReach::Http {
                url: Secret::new("https://example.org/mcp"),
                headers: vec![("Authorization".into(), Secret::new("Bearer t0ken"))],
                transport: HttpTransport::Sse,
                ca_file: None,
            },
            ServerReach::Script {
                command: vec![Secret::new(home.join("bin/check").display().to_string()), Secret::new("a b")],
                env: Default::default(),
                cwd: None,
            },
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
    assert_eq!(settings.services[2].look, ServiceLook::Unit { name: "thunes.service".into(), user: true });
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
            "lab-probe.toml:2:12: \"deadline\" in [probe] must be more than zero, as in \"10s\"",
            "lab-probe.toml:4:1: unknown key \"retry_afer\" in [mcp]; did you mean \"retry_after\"?",
            "lab-probe.toml:5:7: \"ttl\" in [mcp]: \"5x\" is no duration; write a number with a unit (ms, s, m, h, d), as in \"30s\", \"5m\", \"1h30m\"",
            "lab-probe.toml:6:1: [[service]] needs \"name\", as in name = \"prometheus\"",
            "lab-probe.toml:6:1: [[service]] needs one of url, tcp, unit or process",
        ]
    );
}
