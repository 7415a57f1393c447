//! The Bot API stand-in of `tests/monitoring/telegram.py`, and what arrived there.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::tools::{root, tool};

/// Token and chat the stand-in knows; every other is refused.
pub(super) const TOKEN: &str = "123456789:stand-in_bot-token";
/// A group: its id is negative.
pub(super) const CHAT: &str = "-1009876543210";

/// A running stand-in.
pub(super) struct Bot {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Bot {
    /// Starts one that keeps its log in `directory`.
    pub(super) fn start(directory: &Path) -> Bot {
        let log = directory.join("telegram.jsonl");
        let mut child = tool("python3")
            .arg(root().join("tests/monitoring/telegram.py"))
            .arg(&log)
            .args([TOKEN, CHAT])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a port");
        Bot { child, port: line.trim().parse().expect("a port"), log }
    }

    /// What TELEGRAM_API_URL must be.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far, accepted or refused.
    pub(super) fn requests(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        // A line that is just being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The texts that reached the chat.
    pub(super) fn messages(&self) -> Vec<String> {
        let accepted = self.requests().into_iter().filter(|request| request["status"] == 200);
        accepted.map(|request| request["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Why requests were refused.
    pub(super) fn refusals(&self) -> Vec<String> {
        let refused = self.requests().into_iter().filter(|request| request["status"] != 200);
        refused.map(|request| request.to_string()).collect()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
