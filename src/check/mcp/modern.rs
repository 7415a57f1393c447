//! The modern era (2026-07-28 on): no opening, every request stands alone, `server/discover` is the cheap one.

use serde_json::{Map, Value, json};

use super::jsonrpc::Text;
use super::peer::{Dialect, Greeting};
use super::schema::{DiscoverResult, check_complete};
use crate::mcp::{LEGACY_VERSIONS, MODERN_VERSIONS, RpcError, code, implementation, meta};
use crate::model::mcp::Era;

pub(crate) const VERSION: &str = MODERN_VERSIONS[0];

/// Codes only a modern server uses (2026-07-28, schema).
const MODERN_CODES: [i64; 3] = [code::HEADER_MISMATCH, code::MISSING_CAPABILITY, code::UNSUPPORTED_VERSION];

/// `_meta` of a request: who asks, in which version, with which capabilities (2026-07-28, basic, `_meta`).
pub(crate) fn request_meta(version: &str) -> Value {
    json!({
        meta::VERSION: version,
        meta::CAPABILITIES: {},
        meta::CLIENT: implementation(),
    })
}

pub(crate) fn discover_params(version: &str) -> Value {
    Dialect { era: Era::Modern, version: version.to_owned() }.params(Map::new())
}

/// Whether an error can only come from a modern server, so that falling back would be wrong.
pub(crate) fn is_modern_error(error: &RpcError) -> bool {
    MODERN_CODES.contains(&error.code)
}

const MOST_RETRIES: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Retry {
    Modern(String),
    /// The server speaks only legacy versions: open with `initialize`, asking for this one.
    Legacy(String),
    No,
}

/// Picks a version to ask again with, from what an "unsupported version" error lists.
///
/// The newest modern one not tried yet, known or not: `server/discover` is what every later version has. Else the
/// newest known legacy one. Else, once, a modern one that it lists although it has refused it: perhaps not for long.
pub(crate) fn retry(error: &RpcError, tried: &[String]) -> Retry {
    if error.code != code::UNSUPPORTED_VERSION || tried.len() > MOST_RETRIES {
        return Retry::No;
    }
    let listed: Vec<&str> = match error.data.get("supported").and_then(Value::as_array) {
        Some(listed) => listed.iter().filter_map(Value::as_str).filter(|v| v.len() <= 40).collect(),
        None => return Retry::No,
    };
    let times = |version: &str| tried.iter().filter(|t| *t == version).count();
    let newest = |most: usize| listed.iter().filter(|v| **v >= VERSION && times(v) <= most).max();
    if let Some(untried) = newest(0) {
        return Retry::Modern((*untried).to_owned());
    }
    if let Some(known) = newest_legacy(&listed) {
        return Retry::Legacy(known);
    }
    newest(1).map_or(Retry::No, |refused| Retry::Modern((*refused).to_owned()))
}

fn newest_legacy(listed: &[impl AsRef<str>]) -> Option<String> {
    let known = LEGACY_VERSIONS.iter().find(|known| listed.iter().any(|v| v.as_ref() == **known))?;
    Some((*known).to_owned())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Discovery {
    Modern(Greeting),
    /// Not modern, or it lists only legacy versions: open with `initialize`, asking for this one.
    Legacy(Option<String>),
}

/// Reads the answer to `server/discover` asked in `version`.
pub(crate) fn read_discover(answer: &Text, version: &str) -> anyhow::Result<Discovery> {
    let result: DiscoverResult<'_> = answer.read()?;
    check_complete(result.result_type.as_deref())?;
    let info = result.server_info();
    let supported = result.versions()?;
    let newest = supported.iter().filter(|v| v.as_str() >= VERSION).max();
    if let (None, Some(legacy)) = (newest, newest_legacy(&supported)) {
        return Ok(Discovery::Legacy(Some(legacy)));
    }
    let version = match newest {
        Some(newest) if !supported.iter().any(|v| v == version) => newest,
        _ => version,
    };
    let dialect = Dialect { era: Era::Modern, version: version.to_owned() };
    Ok(Discovery::Modern(Greeting::new(dialect, info.as_ref(), &result.capabilities.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &Value) -> Text {
        let text = value.to_string().into_bytes();
        Text::new(text, None)
    }

    #[test]
    fn a_discover_result_is_read_and_a_wrong_one_is_refused() {
        let good = json!({
            "resultType": "complete", "supportedVersions": [VERSION], "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "x", "version": "1"}},
        });
        let Ok(Discovery::Modern(greeting)) = read_discover(&answer(&good), VERSION) else { panic!("not read") };
        assert_eq!(greeting.dialect, Dialect { era: Era::Modern, version: VERSION.into() });
        assert_eq!((greeting.server_name.as_deref(), greeting.has_tools), (Some("x"), true));
        for (key, value) in [
            ("supportedVersions", json!([])),
            ("supportedVersions", json!("2026-07-28")),
            ("supportedVersions", json!([1])),
            ("capabilities", json!([])),
            ("capabilities", json!({"tools": true})),
            ("resultType", json!("input_required")),
            ("resultType", json!(5)),
            ("instructions", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(read_discover(&answer(&bad), VERSION).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_discover_result_that_lists_only_legacy_versions_asks_for_initialize() {
        let listing = |versions: Value| json!({ "supportedVersions": versions, "capabilities": {} });
        let read = |versions: Value| read_discover(&answer(&listing(versions)), VERSION).expect("read");
        assert_eq!(read(json!(["2025-06-18", "2025-11-25"])), Discovery::Legacy(Some("2025-11-25".into())));
        for modern in [json!([VERSION, "2025-11-25"]), json!(["2027-01-01"]), json!(["draft"])] {
            assert!(matches!(read(modern.clone()), Discovery::Modern(_)), "{modern}");
        }
    }

    #[test]
    fn a_server_that_only_has_other_versions_is_asked_again_in_one_of_them() {
        let error = |data: Value| RpcError { code: code::UNSUPPORTED_VERSION, message: String::new(), data };
        let tried = [VERSION.to_owned()];
        let listed = json!({"supported": ["2025-11-25", "2027-01-01", "2026-07-28"]});
        assert_eq!(retry(&error(listed.clone()), &tried), Retry::Modern("2027-01-01".into()));
        assert_eq!(retry(&error(listed), &[VERSION.into(), "2027-01-01".into()]), Retry::Legacy("2025-11-25".into()));
        assert_eq!(retry(&error(json!({"supported": ["1.0"]})), &tried), Retry::No);
        let same = error(json!({"supported": [VERSION]}));
        assert_eq!(retry(&same, &tried), Retry::Modern(VERSION.into()), "it may have changed its mind");
        assert_eq!(retry(&same, &[VERSION.into(), VERSION.into()]), Retry::No);
        assert_eq!(retry(&error(Value::Null), &tried), Retry::No);
    }
}
