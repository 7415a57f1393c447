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

/// Sends a message as any program could and gives the status of the answer.
fn send(bot: &Bot, token: &str, chat: &str, text: &str) -> u16 {
    let body = serde_json::json!({"chat_id": chat, "text": text, "parse_mode": "HTML"}).to_string();
    ureq::post(&format!("{}/bot{token}/sendMessage", bot.url()))
        .header("Content-Type", "application/json")
        .config()
        .http_status_as_error(false)
        .build()
        .send(body)
        .expect("an answer")
        .status()
        .as_u16()
}

/// A stand-in that took everything would prove nothing.
#[test]
fn the_stand_in_refuses_what_telegram_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let bot = Bot::start(directory.path());
    let cases = [
        (TOKEN, CHAT, "<b>whole</b> &lt;text&gt; <a href=\"https://example.org/\">link</a> &#39;", 200),
        ("123456789:another", CHAT, "text", 401),
        ("no-token", CHAT, "text", 404),
        (TOKEN, "-1", "text", 400),
        (TOKEN, CHAT, "", 400),
        (TOKEN, CHAT, "  <b> </b> ", 400),
        (TOKEN, CHAT, "5 < 6", 400),
        (TOKEN, CHAT, "<script>x</script>", 400),
        (TOKEN, CHAT, "<b>open", 400),
        (TOKEN, CHAT, "<b><i>crossed</b></i>", 400),
        (TOKEN, CHAT, "closed</b>", 400),
        (TOKEN, CHAT, &"x".repeat(4096), 200),
        (TOKEN, CHAT, &"x".repeat(4097), 400),
        (TOKEN, CHAT, &"🔥".repeat(2049), 400),
    ];
    for (token, chat, text, status) in cases {
        assert_eq!(send(&bot, token, chat, text), status, "{token} {chat} {text:.40}");
    }
    // A group takes 20 messages a minute; two were taken above.
    for _ in 0..18 {
        assert_eq!(send(&bot, TOKEN, CHAT, "text"), 200);
    }
    assert_eq!(send(&bot, TOKEN, CHAT, "text"), 429);
    assert_eq!((bot.messages().len(), bot.refusals().len()), (20, 13));
}
