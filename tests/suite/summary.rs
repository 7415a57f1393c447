//! The day's report and the status page, from the history that passes keep.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::harness::http::{Fake, answer};
use crate::harness::{CLOSED, Lab};

const SERVERS: &str = r#"
[mcp]
discover = false
[[mcp.server]]
name = "good <b>"
health_command = ["true"]
[[mcp.server]]
name = "bad"
health_command = ["false"]
"#;

/// A Bot API on loopback: answers each request with the next of `answers` (the last one again and again; status 0 hangs
/// up without an answer), and hands on what it was sent as (path, body).
fn bot_api(answers: Vec<(u16, Value)>) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        for stream in listener.incoming().flatten() {
            let answer = answers.peek().cloned().expect("an answer");
            if sender.send(answer_one(stream, &answer)).is_err() {
                return;
            }
            let rest = answers.clone().count();
            if rest > 1 {
                answers.next();
            }
        }
    });
    (url, receiver)
}

fn answer_one(stream: TcpStream, (status, body): &(u16, Value)) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).expect("a body");
    if *status == 0 {
        return (path, serde_json::from_slice(&bytes).expect("JSON"));
    }
    let text = body.to_string();
    let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
    reader.get_mut().write_all(reply.as_bytes()).expect("answered");
    (path, serde_json::from_slice(&bytes).expect("JSON"))
}

fn telegram(lab: &Lab, url: &str) {
    let token = lab.write("token", "123:secret-token\n");
    lab.config(&format!("{SERVERS}\n[telegram]\nchat_id = \"-100\"\ntoken_file = {token:?}\napi_url = {url:?}\n"));
}

#[test]
fn the_report_of_a_day_comes_from_the_passes_of_that_day() {
    let lab = Lab::new();
    lab.config(SERVERS);
    let empty = lab.run(["summary"]).expect_code(0).stdout();
    assert!(empty.contains("No pass was made"), "{empty}");
    lab.run(["--once"]).expect_code(0);
    lab.run(["--once", "--fresh"]).expect_code(0);
    let day: Value =
        serde_json::from_str(&lab.run(["summary", "--format", "json"]).expect_code(0).stdout()).expect("JSON");
    assert_eq!(day["passes"], 2);
    let servers = day["servers"].as_array().expect("servers");
    let bad = servers.iter().find(|server| server["name"] == "bad").expect("bad");
    assert_eq!((&bad["last"], &bad["worst_reason"]), (&json!("down"), &json!("script_failed")));
    let other = lab.run(["summary", "--date", "2001-02-03"]).expect_code(0).stdout();
    assert!(other.contains("2001-02-03") && other.contains("No pass was made"), "{other}");
    let refused = lab.run(["summary", "--date", "tomorrow"]).expect_code(2).stderr();
    assert!(refused.contains("\"tomorrow\" is no day; write it as in \"2026-11-24\""), "{refused}");
    let history = lab.path().join("state/history");
    let mode =
        |path: &std::path::Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().expect("metadata")) & 0o777;
    assert_eq!(mode(&history), 0o700);
    for entry in std::fs::read_dir(&history).expect("listed") {
        assert_eq!(mode(&entry.expect("an entry").path()), 0o600);
    }
}

#[test]
fn a_report_is_sent_once_even_if_it_is_sent_twice() {
    let lab = Lab::new();
    let wait = json!({ "ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": { "retry_after": 0 } });
    let (url, received) = bot_api(vec![(429, wait), (200, json!({ "ok": true, "result": {} }))]);
    telegram(&lab, &url);
    lab.run(["--once"]).expect_code(0);
    lab.run(["summary", "--send", "telegram"]).expect_code(0);
    lab.run(["summary", "--send", "telegram"]).expect_code(0);
    let sent: Vec<(String, Value)> = received.try_iter().collect();
    assert_eq!(sent.len(), 2, "one that was told to wait, and one: {sent:?}");
    let (path, message) = &sent[1];
    assert_eq!(path, "/bot123:secret-token/sendMessage");
    assert_eq!((&message["chat_id"], &message["parse_mode"]), (&json!("-100"), &json!("HTML")));
    let text = message["text"].as_str().expect("text");
    assert!(text.starts_with("<b>LAB on ") && text.contains("bad: "), "{text}");
}

#[test]
fn a_refused_report_is_an_error_without_the_token_and_is_sent_at_the_next_try() {
    let lab = Lab::new();
    let refused = json!({ "ok": false, "description": "Bad Request: chat not found in bot123:secret-token" });
    let (url, received) = bot_api(vec![(400, refused), (200, json!({ "ok": true }))]);
    telegram(&lab, &url);
    lab.run(["--once"]).expect_code(0);
    let run = lab.run(["-v", "summary", "--send", "telegram"]).expect_code(1);
    assert!(run.stderr().contains("chat not found") && run.stderr().contains("chat_id"), "{}", run.stderr());
    assert!(!run.stderr().contains("secret-token"), "{}", run.stderr());
    lab.run(["summary", "--send", "telegram"]).expect_code(0);
    assert_eq!(received.try_iter().count(), 2);
}

#[test]
fn a_report_whose_answer_was_lost_is_not_sent_again_and_that_is_said() {
    for (status, body) in [(0, Value::Null), (502, json!({})), (500, json!({ "ok": false })), (200, json!("odd"))] {
        let lab = Lab::new();
        let (url, received) = bot_api(vec![(status, body), (200, json!({ "ok": true }))]);
        telegram(&lab, &url);
        lab.run(["--once"]).expect_code(0);
        let run = lab.run(["summary", "--send", "telegram"]).expect_code(1);
        let stderr = run.stderr();
        assert!(stderr.contains("it is not known whether Telegram took message 1 of 1"), "{status}: {stderr}");
        assert!(stderr.contains("hint: look there") && !stderr.contains("secret-token"), "{status}: {stderr}");
        let again = lab.run(["-v", "summary", "--send", "telegram"]).expect_code(0);
        assert!(again.stderr().contains("it is not known whether all of it arrived"), "{status}: {}", again.stderr());
        assert_eq!(received.try_iter().count(), 1, "{status}");
    }
}

#[test]
fn what_certainly_did_not_arrive_is_tried_again_but_a_mistake_in_the_address_is_not() {
    let lab = Lab::new();
    telegram(&lab, &format!("http://{CLOSED}"));
    lab.run(["--once"]).expect_code(0);
    let run = lab.run(["summary", "--send", "telegram"]).expect_code(1);
    assert!(run.stderr().contains("run it again later"), "{}", run.stderr());

    // Plain HTTP where TLS is expected: the first attempt is the last.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    telegram(&lab, &format!("https://{}", listener.local_addr().expect("an address")));
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    let run = lab.run(["summary", "--send", "telegram"]).expect_code(1);
    assert!(run.stderr().contains("TLS") && run.stderr().contains("write http://"), "{}", run.stderr());
    assert_eq!(connections.try_iter().count(), 1);

    let (url, received) = bot_api(vec![(200, json!({ "ok": true }))]);
    telegram(&lab, &url);
    lab.run(["summary", "--send", "telegram"]).expect_code(0);
    assert_eq!(received.try_iter().count(), 1, "what was not sent before is sent now");
}

#[test]
fn without_a_token_nothing_is_sent_and_the_error_says_where_it_goes() {
    let lab = Lab::new();
    lab.config(SERVERS);
    let early = lab.run(["summary", "--send", "telegram", "--date", "9000-01-01"]).expect_code(2).stderr();
    assert!(early.contains("9000-01-01 has not begun yet"), "{early}");
    let run = lab.run(["summary", "--send", "telegram"]).expect_code(2);
    assert!(run.stderr().contains("token_file") && run.stderr().contains("LoadCredential"), "{}", run.stderr());
}

#[test]
fn the_status_page_is_one_file_with_a_strip_for_every_target() {
    let lab = Lab::new();
    lab.config(SERVERS);
    lab.run(["--once"]).expect_code(0);
    let page = lab.path().join("page.html");
    lab.run(["report", "--html", page.to_str().expect("text")]).expect_code(0);
    let text = std::fs::read_to_string(&page).expect("a page");
    assert_eq!(text.matches("class=\"timeline\"").count(), 2);
    assert!(text.contains("good &lt;b&gt;") && !text.contains("good <b>"), "{text}");
    assert!(!text.contains("<script") && !text.contains("src="), "{text}");
    assert_eq!(lab.run(["report", "--html", "-"]).expect_code(0).stdout().matches("<article").count(), 2);
    lab.run(["report", "--html", "/nowhere/page.html"]).expect_code(1);
}

#[test]
fn a_report_that_is_to_replace_a_device_or_a_link_leaves_it_where_it_is() {
    let lab = Lab::new();
    lab.config(SERVERS);
    let pipe = lab.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
    // As /dev/stdout may lead to a file.
    lab.write("file", "mine");
    std::os::unix::fs::symlink("file", lab.path().join("link")).expect("a link");
    for place in ["pipe", "link"] {
        let refused = lab.run(["report", "--html", place]).expect_code(1).stderr();
        assert!(refused.contains("no regular file") && refused.contains("or `-` to have"), "{refused}");
    }
    assert!(!pipe.symlink_metadata().expect("metadata").is_file());
    assert!(lab.path().join("link").is_symlink());
    assert_eq!(std::fs::read_to_string(lab.path().join("file")).expect("read"), "mine");
}

#[test]
fn a_day_whose_history_was_removed_is_begun_anew() {
    let lab = Lab::new();
    lab.config(SERVERS);
    lab.run(["--once"]).expect_code(0);
    std::fs::remove_dir_all(lab.path().join("state/history")).expect("removed");
    lab.run(["--once"]).expect_code(0);
    let text = lab.run(["summary"]).expect_code(0).stdout();
    assert!(text.contains("bad: "), "what has not changed since is known all the same: {text}");
}

#[test]
fn a_real_browser_shows_the_page_at_desk_and_phone_width_without_a_word_on_its_console() {
    let lab = Lab::new();
    lab.config(SERVERS);
    lab.run(["--once"]).expect_code(0);
    let page = lab.path().join("page.html");
    lab.run(["report", "--html", page.to_str().expect("text")]).expect_code(0);
    for width in [1200, 390] {
        let profile = lab.path().join(format!("profile-{width}"));
        let output = std::process::Command::new("timeout")
            .args(["-k", "5", "90", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--dump-dom", &format!("--window-size={width},900")])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", page.display()))
            .env("HOME", lab.home())
            .output()
            .expect("chromium starts (Debian package chromium)");
        let (dom, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(dom.matches("class=\"timeline\"").count(), 2, "{said}\n{dom}");
        assert!(!said.contains("CONSOLE"), "{said}");
    }
}

#[test]
fn other_receivers_get_the_report_in_their_own_form_once_each_and_no_secret_shows() {
    for (name, expected_path) in [("ntfy", "/lab"), ("slack", "/services/T0/s3cr3t-hook"), ("webhook", "/hook")] {
        let receiver = Fake::serve(|seen, stream| match seen.header("authorization") {
            Some("Bearer s3cr3t-token") => answer(stream, "200 OK", &[], b"ok"),
            _ => answer(stream, "403 Forbidden", &[], b"no token s3cr3t-token for s3cr3t-hook"),
        });
        let lab = Lab::new();
        let address = lab.write("address", receiver.url(expected_path));
        let token = lab.write("token", "s3cr3t-token\n");
        let section = SERVERS.replace("\"bad\"", "\"bad <i>\"") + &format!("\n[{name}]\nurl_file = {address:?}\n");
        lab.config(&section);
        lab.run(["--once"]).expect_code(0);
        let refused = lab.run(["summary", "--send", name]).expect_code(1).stderr();
        assert!(refused.contains("HTTP 403") && refused.contains(&format!("[{name}]")), "{refused}");
        assert!(name != "slack" || !refused.contains("s3cr3t-hook"), "{refused}");

        lab.config(&format!("{section}token_file = {token:?}\n"));
        lab.run(["summary", "--send", name]).expect_code(0);
        lab.run(["summary", "--send", name]).expect_code(0);
        let seen = receiver.seen();
        assert_eq!(seen.len(), 2, "refused once, taken once");
        let taken = &seen[1];
        assert_eq!((taken.method.as_str(), taken.target.as_str()), ("POST", expected_path));
        let text = String::from_utf8(taken.body.clone()).expect("text");
        match name {
            "ntfy" => {
                assert!(taken.header("title").is_some_and(|title| title.starts_with("LAB on ")));
                assert!(text.starts_with("LAB on ") && text.contains("bad <i>:"), "{text}");
            }
            "slack" => {
                let text = taken.json()["text"].as_str().expect("text").to_owned();
                assert!(text.starts_with("*LAB on ") && text.contains("bad &lt;i&gt;:"), "{text}");
            }
            _ => assert_eq!(taken.json()["passes"], 1, "{text}"),
        }
    }
    let lab = Lab::new();
    lab.config(SERVERS);
    let nowhere = lab.run(["summary", "--send", "ntfy"]).expect_code(2).stderr();
    assert!(nowhere.contains("[ntfy] url") && nowhere.contains("ntfy-url"), "{nowhere}");
}
