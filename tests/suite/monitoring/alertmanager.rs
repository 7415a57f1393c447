//! Who is told what: routes, the message, and the whole way from a textfile to a chat.

use std::time::Duration;

use regex_lite::Regex;

use super::running::Stack;
use super::synthetic::Synthetic;
use super::tools::{eventually, files, monitoring, query, succeed, text, tool};

#[test]
fn amtool_takes_the_configuration_as_it_is_shipped() {
    let both = ["alertmanager.yml", "receivers.yml"].map(|file| monitoring("alertmanager").join(file));
    let said = succeed(tool("amtool").arg("check-config").args(both));
    assert_eq!(said.matches("Checking ").count(), 2, "{said}");
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let harmless = ["Checking", "Found:", "SUCCESS", "- "].iter().any(|start| line.starts_with(start));
        assert!(harmless, "amtool says: {line}");
    }
}

#[test]
fn alerts_go_to_the_receiver_of_their_severity_and_environment() {
    let cases = [
        ("severity=critical environment=live", "telegram"),
        ("severity=critical environment=testnet", "telegram"),
        ("severity=critical environment=lab", "telegram"),
        ("severity=warning environment=live", "telegram"),
        ("severity=warning environment=lab", "telegram"),
        ("severity=warning environment=testnet", "telegram-quiet"),
        ("severity=warning environment=paper", "telegram-quiet"),
        ("severity=info environment=live", "telegram-quiet"),
        ("severity=info environment=paper", "telegram-quiet"),
        ("severity=info environment=lab alertname=LabProbeAlertPathAlive", "heartbeat"),
        ("severity=info environment=live alertname=LabAnomaly", "telegram-quiet"),
        ("severity=info environment=lab alertname=LabWidespreadAnomaly", "telegram-quiet"),
        // Somebody else's rule without our labels still reaches the person.
        ("alertname=Other", "telegram"),
    ];
    for (labels, receiver) in cases {
        let said = succeed(
            tool("amtool")
                .args(["config", "routes", "test", "--config.file"])
                .arg(monitoring("alertmanager/alertmanager.yml"))
                .args(labels.split(' ')),
        );
        // amtool also warns, on the other stream, that it asks no Alertmanager.
        assert_eq!(said.lines().next(), Some(receiver), "{labels}");
    }
}

#[test]
fn no_credential_is_in_the_repository() {
    let token = Regex::new(r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b").expect("a pattern");
    for room in ["", "alertmanager", "prometheus", "grafana/provisioning/datasources", "stack"] {
        for extension in ["yml", "sh", "md", "example"] {
            let Ok(entries) = std::fs::read_dir(monitoring(room)) else { continue };
            for path in entries.map(|entry| entry.expect("an entry").path()) {
                if path.extension().is_some_and(|e| e == extension) {
                    assert!(!token.is_match(&text(&path)), "a bot token in {}", path.display());
                }
            }
        }
    }
}

/// What the template makes of some firing and as many resolved alerts, every text of them being `content`.
fn rendered(alerts: usize, content: &str) -> String {
    let alert = |status: &str| {
        serde_json::json!({
            "status": status,
            "labels": {"alertname": "KillSwitchActive", "severity": "critical", "environment": content, "host": content},
            "annotations": {"summary": content, "description": content, "action": content},
            "startsAt": "2026-11-20T10:00:00Z", "endsAt": "2026-11-20T11:30:00Z",
        })
    };
    let all: Vec<_> = ["firing", "resolved"].iter().flat_map(|status| vec![alert(status); alerts]).collect();
    let data = tempfile::NamedTempFile::new().expect("a file");
    let group = serde_json::json!({"receiver": "telegram", "status": "firing", "alerts": all, "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://localhost:9093"});
    std::fs::write(data.path(), group.to_string()).expect("data");
    succeed(
        tool("amtool")
            .args(["template", "render", "--template.type=html", "--template.text={{ template \"telegram.lab\" . }}"])
            .arg(format!("--template.glob={}", monitoring("alertmanager/templates/*.tmpl").display()))
            .arg(format!("--template.data={}", data.path().display())),
    )
}

#[test]
fn a_message_says_severity_environment_what_since_when_how_much_and_what_to_do() {
    let message = rendered(1, "live & well");
    let expected = "🔴 CRITICAL · live &amp; well · live &amp; well\n<b>live &amp; well</b>\nlive &amp; well\n\
        <i>since 2026-11-20 10:00 UTC</i>\n➡ live &amp; well\n\
        #KillSwitchActive · <code>lab-probe explain KillSwitchActive</code>\n\n\
        ✅ RESOLVED · live &amp; well · live &amp; well\nlive &amp; well\n<i>2026-11-20 10:00 – 11:30 UTC</i>";
    assert_eq!(message.trim(), expected);
}

#[test]
fn a_message_stays_under_the_limit_and_whole_whatever_the_alerts_say() {
    let entity = Regex::new(r"&(lt|gt|amp|quot|#[0-9]+);").expect("a pattern");
    for content in ["<script>&\"'", "&amp;&lt;", "ä", "🔥", "plain text with <b>tags</b> ", "&"] {
        for alerts in [1, 3, 4, 9, 50] {
            let message = rendered(alerts, &content.repeat(400));
            let length = message.chars().map(char::len_utf16).sum::<usize>();
            assert!(length < 4096, "{length} units with {alerts} alerts of {content:?}");
            let rest = entity.replace_all(&message, "").into_owned();
            assert!(!rest.contains('&'), "a broken entity with {content:?}:\n{rest}");
            for tag in ["b", "i", "a", "code"] {
                let opened = rest.matches(&format!("<{tag}>")).count() + rest.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, rest.matches(&format!("</{tag}>")).count(), "<{tag}> with {content:?}");
            }
            for other in ["<script", "</script"] {
                assert!(!rest.contains(other), "{other} is not escaped");
            }
        }
    }
}

#[test]
fn the_templates_are_the_ones_the_configuration_names() {
    let config = text(monitoring("alertmanager/alertmanager.yml"));
    let templates: String = files(monitoring("alertmanager/templates"), "tmpl").iter().map(text).collect();
    let used = Regex::new(r#"template "([^"]+)""#).expect("a pattern");
    for name in used.captures_iter(&config) {
        assert!(templates.contains(&format!("define \"{}\"", &name[1])), "no template {}", &name[1]);
    }
}

/// Keeps a state alive, second by second, until something is so.
fn until<T>(stack: &Stack, state: &Synthetic, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let mut steps = 0;
    eventually(Duration::from_secs(90), what, || {
        stack.deliver(state, steps);
        steps += 1;
        ask()
    })
}

fn message_with<'a>(messages: &'a [String], parts: &[&str]) -> Option<&'a String> {
    messages.iter().find(|message| parts.iter().all(|part| message.contains(part)))
}

#[test]
fn what_alerts_say_reaches_the_chat_as_it_was_written() {
    let stack = Stack::hurried();
    let summary = "5 < 6 & <b>\"quoted\"</b> 'single' &amp; ünïcode";
    let alert = |name: &str, text: &str| {
        serde_json::json!({
            "labels": {"alertname": name, "severity": "critical", "environment": "lab", "host": "h"},
            "annotations": {"summary": text, "description": text, "action": text},
        })
    };
    let many = (0..30).map(|n| alert(&format!("Long{n}"), &"<&>\"'".repeat(300)));
    let all: Vec<_> = std::iter::once(alert("Short", summary)).chain(many).collect();
    assert_eq!(all.len(), 31);
    let url = format!("{}/api/v2/alerts", stack.url("ALERTMANAGER_PORT"));
    let body = serde_json::to_string(&all).expect("JSON");
    ureq::post(&url).header("Content-Type", "application/json").send(body).expect("alerts");
    let messages = eventually(Duration::from_secs(60), "the alerts are told", || {
        let messages = stack.bot.messages();
        messages.iter().any(|message| message.contains("31 alerts are firing in all")).then_some(messages)
    });
    assert!(messages.iter().any(|message| message.contains("<&>\"'<&>")), "{messages:?}");
    assert_eq!(stack.bot.refusals(), Vec::<String>::new(), "Telegram would have refused these");

    let alone = serde_json::json!([{
        "labels": {"alertname": "Alone", "severity": "critical", "environment": "live", "host": "h"},
        "annotations": {"summary": summary, "description": summary},
    }]);
    ureq::post(&url).header("Content-Type", "application/json").send(alone.to_string()).expect("an alert");
    eventually(Duration::from_secs(60), "the text arrives as it was written", || {
        stack.bot.messages().iter().any(|message| message.contains(summary)).then_some(())
    });
    assert_eq!(stack.bot.refusals(), Vec::<String>::new(), "Telegram would have refused these");
}

#[test]
fn a_person_is_told_once_what_matters_and_when_it_is_over() {
    let stack = Stack::hurried();
    let prometheus = stack.url("PROMETHEUS_PORT");
    let firing = |selector: &str| {
        let alerts = format!("ALERTS{{alertstate=\"firing\",environment!=\"lab\",{selector}}}");
        !query(&prometheus, "query?", &alerts).is_empty()
    };
    let healthy = Synthetic::healthy();
    until(&stack, &healthy, "the rules are evaluated", || {
        (!query(&prometheus, "query?", "host:lab_mcp_servers_down:count{host=\"lab\"} == 1").is_empty()).then_some(())
    });
    assert_eq!(stack.bot.messages(), Vec::<String>::new(), "nobody is told anything while nothing is wrong");

    // In live the kill switch acts, a breaker is open and rag-query is down; in testnet two streams are lost.
    let trouble = Synthetic::healthy()
        .with("thunes_kill_switch_active{environment=\"live\"}", 1.0)
        .with("thunes_circuit_breaker_state{environment=\"live\",breaker_name=\"BinanceAPI\"}", 1.0)
        .with("lab_mcp_server_health{server_name=\"rag-query\"}", 0.0)
        .with("thunes_ws_connected{environment=\"testnet\",symbol=\"BTCUSDT\"}", 0.0)
        .with("thunes_ws_connected{environment=\"testnet\",symbol=\"ETHUSDT\"}", 0.0)
        .with("thunes_open_positions{environment=\"testnet\"}", 3.0);
    let correlated = "Trading blocked in live while rag-query is down";
    let repeated = until(&stack, &trouble, "the critical alert is told, and told again", || {
        let messages = stack.bot.messages();
        (messages.iter().filter(|message| message.contains(correlated)).count() >= 2).then_some(messages)
    });
    let critical = message_with(&repeated, &[correlated]).expect("told");
    for part in
        ["🔴 CRITICAL · live · lab", "rag-query is down", "since 20", "➡ Bring rag-query back first", "#ThunesBlocked"]
    {
        assert!(critical.contains(part), "{part} is missing:\n{critical}");
    }
    until(&stack, &trouble, "what is silenced fires", || {
        (firing("alertname=\"KillSwitchActive\"") && firing("alertname=\"CircuitBreakerOpen\"")).then_some(())
    });
    let told = until(&stack, &trouble, "warnings and information arrive", || {
        let messages = stack.bot.messages();
        message_with(&messages, &["Position limit reached in testnet"])?;
        // Nothing masks the kill switch.
        message_with(&messages, &["Kill switch active in live"])?;
        message_with(&messages, &["BTCUSDT", "ETHUSDT"])?;
        Some(messages)
    });
    let streams = message_with(&told, &["WebSocket of BTCUSDT disconnected in testnet", "WebSocket of ETHUSDT"]);
    assert!(streams.is_some(), "both streams are in one message: {told:?}");
    let silenced = "Circuit breaker BinanceAPI open";
    assert!(message_with(&told, &[silenced]).is_none(), "{silenced} is a part of what was told: {told:?}");
    let quiet = |part: &str| {
        let requests = stack.bot.requests();
        let found = requests.iter().find(|request| request["text"].as_str().is_some_and(|text| text.contains(part)));
        found.expect("told")["silent"] == true
    };
    assert!(!quiet(correlated), "a critical alert makes a sound");
    assert!(quiet("Position limit reached in testnet"), "information makes none");

    until(&stack, &healthy, "all is told to be over", || {
        let messages = stack.bot.messages();
        message_with(&messages, &["✅ RESOLVED · live · lab", correlated])?;
        message_with(&messages, &["✅ RESOLVED · testnet · lab", "BTCUSDT"]).map(|_| ())
    });
    assert_eq!(stack.bot.refusals(), Vec::<String>::new(), "Telegram would have refused these");
}
