//! The protocol of both eras, line by line.

use std::io::Cursor;

use serde_json::{Value, json};

use super::tools::{Call, Resource};
use super::*;

struct FakeLab;

impl Lab for FakeLab {
    fn call(&mut self, call: &Call, client: &mut Client<'_>) -> anyhow::Result<ToolAnswer> {
        client.progress(1.0, 2.0, "half");
        match call {
            Call::CheckNow { .. } => {
                // As long as a check may take, unless it is given up.
                let deadline = crate::clock::Deadline::after(std::time::Duration::from_secs(20));
                while !client.has_cancelled() && !deadline.passed() {
                    std::thread::yield_now();
                }
                client.progress(2.0, 2.0, "to nobody");
                anyhow::bail!("cancelled")
            }
            Call::Explain { topic } if topic == "nonsense" => anyhow::bail!("no such reason"),
            Call::Explain { topic } => {
                Ok(ToolAnswer { text: "t".into(), data: json!({ "topic": topic, "text": "t" }) })
            }
            _ => Ok(ToolAnswer {
                text: "all fine".into(),
                data: json!({ "now": "", "trouble": 0, "targets": [], "warnings": [] }),
            }),
        }
    }

    fn read(&mut self, _resource: Resource) -> anyhow::Result<String> {
        Ok("# text\n".into())
    }
}

/// Everything the server says to these lines.
fn talk(lines: &[&str]) -> Vec<Value> {
    let mut output = Vec::new();
    serve(Cursor::new(lines.join("\n")), &mut output, &mut FakeLab).expect("served");
    String::from_utf8(output).expect("text").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn modern(id: u64, method: &str, mut params: Value) -> String {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

#[test]
fn a_modern_client_discovers_lists_and_calls_without_a_handshake() {
    let replies = talk(&[
        &modern(1, "server/discover", json!({})),
        &modern(2, "tools/list", json!({})),
        &modern(3, "tools/call", json!({ "name": "lab_status", "arguments": { "only_trouble": true } })),
        &modern(4, "ping", json!({})),
    ]);
    assert_eq!(replies[0]["result"]["supportedVersions"], json!(["2026-07-28"]));
    for reply in &replies[..3] {
        assert_eq!(reply["result"]["resultType"], "complete", "{reply}");
        assert_eq!(reply["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "lab-probe");
    }
    assert!(replies[1]["result"]["ttlMs"].is_u64() && replies[1]["result"]["cacheScope"].is_string());
    assert_eq!(replies[1]["result"]["tools"].as_array().map(Vec::len), Some(6));
    assert_eq!(replies[2]["result"]["structuredContent"]["trouble"], 0);
    assert_eq!(replies[3]["error"]["code"], -32601, "ping is gone in this era");
}

#[test]
fn a_legacy_client_gets_its_version_and_results_of_its_era() {
    let replies = talk(&[
        r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#,
        INITIALIZE,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"lab-probe://none"}}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"resources/read","params":{"uri":"lab-probe://exposition"}}"#,
    ]);
    assert_eq!(replies[0], json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
    assert_eq!(replies[1]["result"]["protocolVersion"], "2025-06-18");
    assert!(replies[2]["result"].get("resultType").is_none());
    assert_eq!(replies[3]["error"]["code"], -32002);
    assert_eq!(replies[4]["result"]["contents"][0]["text"], "# text\n");
}

#[test]
fn an_unknown_version_is_answered_with_the_ones_there_are() {
    let mut request: Value = serde_json::from_str(&modern(1, "tools/list", json!({}))).expect("JSON");
    request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let reply = &talk(&[&request.to_string()])[0];
    assert_eq!(reply["error"]["code"], -32022);
    assert_eq!(reply["error"]["data"], json!({ "supported": ["2026-07-28"], "requested": "2099-01-01" }));
    let old = talk(&[&INITIALIZE.replace("2025-06-18", "1999-01-01")]);
    assert_eq!(old[0]["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn every_input_line_is_survived() {
    let deep = "[".repeat(100_000);
    let lines = [
        "",
        "   ",
        "nonsense",
        "{",
        "null",
        "[]",
        "42",
        "\"x\"",
        "{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        &deep,
        r#"{"jsonrpc":"2.0","id":9,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#,
    ];
    let replies = talk(&lines);
    assert_eq!(replies.last().expect("a reply")["id"], "last");
    for reply in &replies[..replies.len() - 1] {
        assert!(reply["error"]["code"].is_i64(), "{reply}");
    }
    let mut output = Vec::new();
    let bytes = b"\xff\xfe\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    serve(Cursor::new(&bytes[..]), &mut output, &mut FakeLab).expect("served");
    assert_eq!(output.iter().filter(|&&byte| byte == b'\n').count(), 2);
}

#[test]
fn parameters_that_are_null_are_none() {
    let replies = talk(&[INITIALIZE, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#]);
    assert_eq!(replies[1]["result"]["tools"].as_array().map(Vec::len), Some(6), "{}", replies[1]);
}

#[test]
fn an_unknown_tool_is_the_callers_error_and_what_goes_wrong_in_one_is_told_in_its_result() {
    let call = |arguments: Value| modern(1, "tools/call", json!({ "name": "explain", "arguments": arguments }));
    assert_eq!(talk(&[&modern(1, "tools/call", json!({ "name": "rm" }))])[0]["error"]["code"], -32602);
    assert_eq!(talk(&[&call(json!("x"))])[0]["error"]["code"], -32602);
    for (arguments, told) in [
        (json!({ "topic": "nonsense" }), "no such reason"),
        (json!({}), "explain: \"topic\" must be a text"),
        (json!({ "topic": 5 }), "explain: topic: invalid type: integer `5`, expected a string"),
        (json!({ "topic": "x", "more": 1 }), "explain takes no argument \"more\"; it takes \"topic\""),
    ] {
        let failed = &talk(&[&call(arguments)])[0]["result"];
        assert_eq!(failed["isError"], true, "{failed}");
        assert!(failed["content"][0]["text"].as_str().is_some_and(|text| text.contains(told)), "{failed}");
    }
}

#[test]
fn progress_comes_only_to_who_asked_and_before_the_reply() {
    let asked = modern(1, "tools/call", json!({ "name": "lab_status", "_meta": { "progressToken": "t" } }));
    let replies = talk(&[&asked]);
    assert_eq!(replies[0]["method"], "notifications/progress");
    assert_eq!(replies[0]["params"]["progressToken"], "t");
    assert_eq!(replies[1]["id"], 1);
    assert_eq!(talk(&[&modern(2, "tools/call", json!({ "name": "lab_status" }))]).len(), 1);
}

#[test]
fn batches_belong_to_the_versions_that_had_them() {
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]"#;
    let old = INITIALIZE.replace("2025-06-18", "2025-03-26");
    let replies = talk(&[&old, batch]);
    assert_eq!(replies[1], json!([{ "jsonrpc": "2.0", "id": 1, "result": {} }]));
    assert_eq!(talk(&[INITIALIZE, batch])[1]["error"]["code"], -32600);
}

#[test]
fn what_the_client_has_cancelled_is_given_up_without_a_reply_and_the_rest_goes_on() {
    let cancel = |id: u64| {
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }).to_string()
    };
    let check = |id: u64| modern(id, "tools/call", json!({ "name": "check_now", "_meta": { "progressToken": id } }));
    let replies = talk(&[
        &check(1),
        &modern(2, "server/discover", json!({})),
        &cancel(99),
        &check(3),
        &cancel(3),
        &cancel(1),
        &modern(4, "server/discover", json!({})),
    ]);
    let answered: Vec<u64> = replies.iter().filter_map(|reply| reply["id"].as_u64()).collect();
    assert_eq!(answered, [2, 4]);
    assert!(replies.iter().all(|reply| reply["params"]["message"] != "to nobody"), "{replies:?}");
}
