//! The shipped stack, running: `monitoring/stack/stack.sh` on a copy of `monitoring/`, on free ports, as processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab_probe::clock;
use regex_lite::{Captures, Regex};
use tempfile::TempDir;

use super::synthetic::Synthetic;
use super::telegram::{Bot, CHAT, TOKEN};
use crate::harness::free_port;

use super::tools::{monitoring, succeed, text};

/// A stack that is ended when the value goes out of scope.
pub(super) struct Stack {
    directory: TempDir,
    ports: [(&'static str, u16); 5],
    /// The chat that its Alertmanager writes to.
    pub(super) bot: Bot,
}

impl Stack {
    /// The shipped configuration as it is.
    pub(super) fn shipped() -> Stack {
        Stack::start(|_| {})
    }

    /// The shipped configuration sixty times as fast: a minute of `for`, of grouping or of repeating is a second, scrapes and
    /// evaluations follow each other every second. Nothing else of it is changed.
    pub(super) fn hurried() -> Stack {
        Stack::start(|monitoring| {
            edit(&monitoring.join("prometheus/prometheus.yml"), |text| {
                let text = text.replace("scrape_interval: 15s", "scrape_interval: 1s");
                text.replace("scrape_timeout: 10s", "scrape_timeout: 1s")
                    .replace("evaluation_interval: 15s", "evaluation_interval: 1s")
            });
            for rules in ["lab", "self"] {
                edit(&monitoring.join(format!("prometheus/rules/{rules}.yml")), |text| hurry("for", text));
            }
            edit(&monitoring.join("alertmanager/alertmanager.yml"), |text| {
                let waits = hurry("group_wait|group_interval|repeat_interval", text);
                // Whatever the time of the day is when the test runs.
                waits
                    .replace("start_time: '08:00'", "start_time: '00:00'")
                    .replace("end_time: '20:00'", "end_time: '24:00'")
            });
        })
    }

    fn start(change: impl FnOnce(&Path)) -> Stack {
        let directory = tempfile::Builder::new().prefix("lab-stack-").tempdir().expect("a directory");
        let copy = directory.path().join("monitoring");
        for room in
            ["alertmanager", "alertmanager/templates", "prometheus/rules", "prometheus/targets", "prometheus", "stack"]
        {
            copy_files(&monitoring(room), &copy.join(room));
        }
        std::fs::copy(monitoring("setup.sh"), copy.join("setup.sh")).expect("setup.sh");
        std::fs::create_dir(copy.join("secrets")).expect("a directory");
        std::fs::write(copy.join("secrets/telegram_bot_token"), format!("{TOKEN}\n")).expect("a token");
        std::fs::create_dir(directory.path().join("textfile")).expect("a directory");
        change(&copy);
        let names = ["PROMETHEUS_PORT", "ALERTMANAGER_PORT", "PUSHGATEWAY_PORT", "NODE_EXPORTER_PORT", "VICTORIA_PORT"];
        let bot = Bot::start(directory.path());
        let stack = Stack { ports: names.map(|name| (name, free_port())), bot, directory };
        stack.deliver(&Synthetic::healthy(), 0);
        succeed(stack.script().arg("up"));
        stack
    }

    /// `stack.sh` with this stack's settings.
    pub(super) fn script(&self) -> Command {
        let mut command = Command::new(self.path("monitoring/stack/stack.sh"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("STACK_DIR", self.path("stack"))
            // A test run that is killed ends its daemons too.
            .env("STACK_OWNER", std::process::id().to_string())
            .env("LAB_HOST", "lab")
            .env("LAB_TEXTFILE_DIR", self.path("textfile"))
            .env("TELEGRAM_CHAT_ID", CHAT)
            .env("TELEGRAM_API_URL", self.bot.url())
            .envs(self.ports.map(|(name, port)| (name, port.to_string())));
        command
    }

    /// A path in this stack's directory.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Address of one of the processes, by the setting of its port.
    pub(super) fn url(&self, port: &str) -> String {
        let (_, port) = self.ports.iter().find(|(name, _)| *name == port).expect("a port of the stack");
        format!("http://127.0.0.1:{port}")
    }

    /// Replaces the textfile, as a pass does.
    pub(super) fn deliver(&self, state: &Synthetic, steps: u64) {
        self.write("lab-probe", &state.exposition(clock::unix_seconds(clock::now()), steps));
    }

    /// Adds synthetic samples of the families that a real pass did not deliver, in a textfile beside its own.
    pub(super) fn complete(&self, delivered: &BTreeSet<String>, steps: u64) {
        let now = clock::unix_seconds(clock::now());
        self.write("synthetic", &Synthetic::healthy().exposition_without(delivered, now, steps));
    }

    fn write(&self, name: &str, exposition: &str) {
        let fresh = self.path(&format!("textfile/{name}.new"));
        std::fs::write(&fresh, exposition).expect("a textfile");
        std::fs::rename(fresh, self.path(&format!("textfile/{name}.prom"))).expect("a textfile");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.script().arg("down").output();
    }
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
}

fn edit(path: &Path, change: impl Fn(&str) -> String) {
    let before = text(path);
    let after = change(&before);
    assert_ne!(before, after, "nothing to hurry in {}", path.display());
    std::fs::write(path, after).expect("a file");
}

/// Divides the durations of some keys by sixty.
fn hurry(keys: &str, text: &str) -> String {
    let pattern = Regex::new(&format!(r"(?m)^( +(?:{keys}): )(\d+)([smh])\b")).expect("a pattern");
    let hurried = pattern.replace_all(text, |found: &Captures<'_>| {
        let number: u64 = found[2].parse().expect("a number");
        match &found[3] {
            "s" => format!("{}{}ms", &found[1], number * 1000 / 60),
            "m" => format!("{}{number}s", &found[1]),
            _ => format!("{}{number}m", &found[1]),
        }
    });
    hurried.into_owned()
}
