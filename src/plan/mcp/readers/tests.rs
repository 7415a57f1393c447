use serde_json::json;

use super::*;
use crate::plan::mcp::clients;

fn keys() -> &'static Keys {
    &clients::generic().keys
}

fn one(value: &Value, keys: &Keys) -> Entry {
    let Value::Object(root) = json!({ (keys.container[0].as_str()): { "a": value } }) else { panic!("a table") };
    servers(&root, keys).expect("a table").pop().expect("an entry")
}

fn broken_reason(value: Value) -> Option<Reason> {
    match one(&value, keys()).written {
        Reach::Unreachable(failure) => Some(failure.reason),
        _ => None,
    }
}

fn transport(value: Value) -> HttpTransport {
    match one(&value, keys()).written {
        Reach::Http(server) => server.transport,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transport_goes_by_many_names() {
    for name in ["http", "HTTP", "streamable-http", "streamableHttp", "streamable_http"] {
        assert_eq!(transport(json!({"type": name, "url": "http://h/"})), HttpTransport::Http, "{name}");
    }
    for key in ["type", "transport", "transportType"] {
        assert_eq!(transport(json!({key: "sse", "url": "http://h/"})), HttpTransport::Sse, "{key}");
    }
    assert_eq!(transport(json!({"type": "remote", "url": "http://h/"})), HttpTransport::Auto);
    assert_eq!(transport(json!({"type": "http", "command": "x", "url": "http://h/"})), HttpTransport::Http);
    for name in ["stdio", "local"] {
        let entry = one(&json!({"type": name, "command": "x", "url": "http://h/"}), keys());
        assert!(matches!(entry.written, Reach::Stdio(_)), "{name}");
    }
}

#[test]
fn an_entry_that_names_no_server_says_what_is_wrong_with_it() {
    for (value, reason) in [
        (json!("text"), Reason::SpawnFailed),
        (json!(null), Reason::SpawnFailed),
        (json!({}), Reason::SpawnFailed),
        (json!({"command": ""}), Reason::CommandNotFound),
        (json!({"command": []}), Reason::CommandNotFound),
        (json!({"command": 5}), Reason::SpawnFailed),
        (json!({"command": "x", "args": "-y pkg"}), Reason::SpawnFailed),
        (json!({"command": "x", "args": ["-y", null]}), Reason::SpawnFailed),
        (json!({"command": "x", "args": {"0": "y"}}), Reason::SpawnFailed),
        (json!({"command": ["x", ["y"]]}), Reason::SpawnFailed),
        (json!({"command": {"args": ["x"]}}), Reason::SpawnFailed),
        (json!({"command": {"path": "x", "args": ["y", {}]}}), Reason::SpawnFailed),
        (json!({"type": "http"}), Reason::ConnectFailed),
        (json!({"type": "telepathy", "url": "http://h/"}), Reason::NotConfigured),
        (json!({"settings": {}}), Reason::NotConfigured),
    ] {
        assert_eq!(broken_reason(value.clone()), Some(reason), "{value}");
    }
}

#[test]
fn numbers_and_truth_values_are_taken_as_text_and_other_values_left_out() {
    let value = json!({"command": "x", "args": [1, true, "z"], "env": {"N": 8080, "B": false, "O": {}}});
    let Reach::Stdio(stdio) = one(&value, keys()).written else { panic!("a program") };
    assert_eq!(stdio.args.iter().map(Secret::expose).collect::<Vec<_>>(), ["1", "true", "z"]);
    let env: Vec<(&str, &str)> = stdio.env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(env, [("B", "false"), ("N", "8080")]);
}

#[test]
fn either_way_of_switching_off_counts_also_one_level_up() {
    for value in [
        json!({"command": "x", "disabled": true}),
        json!({"command": "x", "enabled": false}),
        json!({"enabled": false, "config": {"type": "stdio", "command": "x"}}),
        json!({"command": "x", "disabled": "TRUE"}),
        json!({"command": "x", "disabled": 1}),
        json!({"command": "x", "enabled": "no"}),
        json!({"command": "x", "enabled": 0}),
    ] {
        assert!(one(&value, keys()).off.is_some(), "{value}");
    }
    for value in [
        json!({"command": "x", "disabled": false}),
        json!({"command": "x", "enabled": "perhaps"}),
        json!({"command": "x", "disabled": null, "enabled": []}),
    ] {
        assert_eq!(one(&value, keys()).off, None, "{value}");
    }
}

#[test]
fn a_list_in_place_of_the_table_is_an_error_and_a_missing_one_is_none() {
    let root = |value: Value| value.as_object().cloned().expect("a table");
    for none in [json!({}), json!({"mcpServers": null}), json!({"mcpServers": []})] {
        assert_eq!(servers(&root(none), keys()).expect("none"), Vec::new());
    }
    assert!(servers(&root(json!({"mcpServers": ["a"]})), keys()).is_err());
    assert!(servers(&root(json!({"mcpServers": "a"})), keys()).is_err());
}
