//! The legacy era (up to 2025-11-25): `initialize`, its result, `notifications/initialized`.

use anyhow::anyhow;
use serde_json::{Value, json};

use super::jsonrpc::Text;
use super::peer::{Dialect, Greeting, invalid};
use super::schema::InitializeResult;
use crate::mcp::{INITIALIZE, LEGACY_VERSIONS, implementation};
use crate::model::mcp::Era;
use crate::model::reason::Failure;
use crate::redact::quoted;

pub(crate) const VERSION: &str = LEGACY_VERSIONS[0];

pub(crate) fn initialize_params(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": implementation() })
}

/// Reads the answer to `initialize`.
pub(crate) fn read_initialize(answer: &Text) -> Result<Greeting, Failure> {
    let result: InitializeResult = answer.read().map_err(|why| invalid(INITIALIZE, &why))?;
    let version = result.protocol_version;
    if !LEGACY_VERSIONS.contains(&version.as_str()) && version != super::modern::VERSION {
        let why = anyhow!("it answers the unknown protocol version {}", quoted(&version, 40));
        return Err(invalid(INITIALIZE, &why));
    }
    let dialect = Dialect { era: Era::Legacy, version };
    Ok(Greeting::new(dialect, Some(&result.server_info.0), &result.capabilities.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &Value) -> Text {
        let text = value.to_string().into_bytes();
        Text::new(text, None)
    }

    #[test]
    fn an_initialize_result_is_read_and_a_wrong_one_is_refused() {
        let good = json!({
            "protocolVersion": "2024-11-05", "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "x".repeat(500), "version": "1"}, "instructions": "…",
        });
        let greeting = read_initialize(&answer(&good)).expect("read");
        assert_eq!(greeting.dialect, Dialect { era: Era::Legacy, version: "2024-11-05".into() });
        assert_eq!(greeting.server_name.map(|n| n.chars().count()), Some(121));
        for (key, value) in [
            ("protocolVersion", json!("1999-01-01")),
            ("protocolVersion", json!(5)),
            ("capabilities", json!("tools")),
            ("capabilities", json!({"tools": []})),
            ("serverInfo", json!({"name": "x"})),
            ("serverInfo", json!(["x", "1"])),
            ("capabilities", json!([])),
            ("serverInfo", json!(null)),
            ("serverInfo", json!({"name": "x", "version": 1})),
            ("serverInfo", json!({"name": "x", "version": null})),
            ("capabilities", json!({"tools": null})),
            ("capabilities", json!({"logging": null})),
            ("capabilities", json!({"resources": {"subscribe": null}})),
            ("instructions", json!(null)),
            ("_meta", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(read_initialize(&answer(&bad)).is_err(), "{bad}");
        }
        let mut bad = good.clone();
        bad["capabilities"] = json!({"tools": null});
        let what = read_initialize(&answer(&bad)).expect_err("refused");
        assert!(
            what.detail.ends_with("invalid: capabilities.tools: invalid type: null, expected an object"),
            "{what:?}"
        );
        for result in [json!({}), json!([]), json!("x"), json!(null)] {
            assert!(read_initialize(&answer(&result)).is_err(), "{result}");
        }
    }
}
