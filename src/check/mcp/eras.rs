//! The two eras of the protocol: what opens a conversation, what the answers have to look like, and how to go on.
//!
//! Legacy (up to 2025-11-25): `initialize`, its result, `notifications/initialized`. Modern (2026-07-28 on): no opening,
//! every request stands alone, `server/discover` is the cheap one.

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::jsonrpc::Text;
use super::schema::{Capabilities, DiscoverResult, Implementation, InitializeResult, LONGEST_VERSION, check_complete};
use crate::mcp::{DISCOVER, INITIALIZE, LEGACY_VERSIONS, MODERN_VERSIONS, RpcError, code, implementation, meta};
use crate::model::mcp::{Era, McpFacts};
use crate::model::reason::{Failure, Reason};
use crate::redact::{quoted, shortened};

/// What is asked for first in each era.
pub(crate) const MODERN: &str = MODERN_VERSIONS[0];
pub(crate) const LEGACY: &str = LEGACY_VERSIONS[0];

/// Characters of a server's name or version that are kept: they become label values.
const NAME_CHARACTERS: usize = 120;

/// The era and version agreed on: what every further request has to say about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) era: Era,
    pub(crate) version: String,
}

impl Dialect {
    pub(crate) fn params(&self, mut params: Map<String, Value>) -> Value {
        // Who asks, in which version, with which capabilities (2026-07-28, basic, `_meta`).
        if self.era == Era::Modern {
            let version = &self.version;
            let meta = json!({ meta::VERSION: version, meta::CAPABILITIES: {}, meta::CLIENT: implementation() });
            params.insert("_meta".into(), meta);
        }
        Value::Object(params)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) dialect: Dialect,
    pub(crate) server_name: Option<String>,
    pub(crate) server_version: Option<String>,
    pub(crate) has_tools: bool,
}

impl Greeting {
    pub(crate) fn new(dialect: Dialect, server: Option<&Implementation>, capabilities: &Capabilities) -> Greeting {
        Greeting {
            dialect,
            server_name: server.map(|server| shortened(&server.name, NAME_CHARACTERS)),
            server_version: server.map(|server| shortened(&server.version, NAME_CHARACTERS)),
            has_tools: capabilities.tools.is_some(),
        }
    }

    pub(super) fn note_in(self, facts: &mut McpFacts) {
        facts.era = Some(self.dialect.era);
        facts.protocol_version = Some(self.dialect.version);
        facts.server_name = self.server_name;
        facts.server_version = self.server_version;
    }
}

/// The failure of a server whose result no client can use.
pub(super) fn invalid(method: &str, why: &anyhow::Error) -> Failure {
    Failure::new(Reason::ProtocolError, format!("{method}: the result is invalid: {why:#}"))
}

/// The request that opens a conversation.
pub(super) fn method(era: Era) -> &'static str {
    if era == Era::Modern { DISCOVER } else { INITIALIZE }
}

/// Its parameters.
pub(super) fn params(era: Era, version: &str) -> Value {
    match era {
        Era::Modern => Dialect { era, version: version.to_owned() }.params(Map::new()),
        Era::Legacy => json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": implementation() }),
    }
}

/// The version that it asks for first.
pub(super) fn newest(era: Era) -> &'static str {
    if era == Era::Modern { MODERN } else { LEGACY }
}

/// Reads the answer to `initialize`.
pub(crate) fn read_initialize(answer: &Text) -> Result<Greeting, Failure> {
    let result: InitializeResult = answer.read().map_err(|why| invalid(INITIALIZE, &why))?;
    let version = result.protocol_version;
    if !LEGACY_VERSIONS.contains(&version.as_str()) && version != MODERN {
        let why = anyhow!("it answers the unknown protocol version {}", quoted(&version, 40));
        return Err(invalid(INITIALIZE, &why));
    }
    let dialect = Dialect { era: Era::Legacy, version };
    Ok(Greeting::new(dialect, Some(&result.server_info.0), &result.capabilities.0))
}

/// Whether an error can only come from a modern server (2026-07-28, schema), so that falling back would be wrong.
pub(crate) fn is_modern_error(error: &RpcError) -> bool {
    matches!(error.code, code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION)
}

const MOST_RETRIES: usize = 3;

/// How to go on after the answer to an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Opened(Greeting),
    /// Open in this era, asking for this version: it lists only others, or is not modern.
    Open(Era, String),
}

/// Picks a version to ask again with, from what an "unsupported version" error lists: the newest modern one not tried
/// yet, known or not, for `server/discover` is what every later version has. Else the newest known legacy one. Else,
/// once, a modern one that it lists although it has refused it: perhaps not for long.
pub(crate) fn retry(error: &RpcError, tried: &[String]) -> Option<Next> {
    if error.code != code::UNSUPPORTED_VERSION || tried.len() > MOST_RETRIES {
        return None;
    }
    let listed = error.data.get("supported").and_then(Value::as_array)?;
    let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).filter(|v| v.len() <= LONGEST_VERSION).collect();
    let times = |version: &str| tried.iter().filter(|t| *t == version).count();
    let newest = |most: usize| listed.iter().filter(|v| **v >= MODERN && times(v) <= most).max();
    let again = |version: &&str| Next::Open(Era::Modern, (*version).to_owned());
    let legacy = || newest_legacy(&listed).map(|known| Next::Open(Era::Legacy, known));
    newest(0).map(again).or_else(legacy).or_else(|| newest(1).map(again))
}

fn newest_legacy(listed: &[impl AsRef<str>]) -> Option<String> {
    let known = LEGACY_VERSIONS.iter().find(|known| listed.iter().any(|v| v.as_ref() == **known))?;
    Some((*known).to_owned())
}

/// Reads the answer to `server/discover` asked in `version`.
pub(crate) fn read_discover(answer: &Text, version: &str) -> Result<Next, Failure> {
    let read = || {
        let result: DiscoverResult<'_> = answer.read()?;
        check_complete(result.result_type.as_deref())?;
        anyhow::Ok((result.versions()?, result.server_info(), result.capabilities.0))
    };
    let (supported, info, capabilities) = read().map_err(|why| invalid(DISCOVER, &why))?;
    let newest = supported.iter().filter(|v| v.as_str() >= MODERN).max();
    if let (None, Some(legacy)) = (newest, newest_legacy(&supported)) {
        return Ok(Next::Open(Era::Legacy, legacy));
    }
    let version = match newest {
        Some(newest) if !supported.iter().any(|v| v == version) => newest,
        _ => version,
    };
    let dialect = Dialect { era: Era::Modern, version: version.to_owned() };
    Ok(Next::Opened(Greeting::new(dialect, info.as_ref(), &capabilities)))
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
            "resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "x", "version": "1"}},
        });
        let Ok(Next::Opened(greeting)) = read_discover(&answer(&good), MODERN) else { panic!("not read") };
        assert_eq!(greeting.dialect, Dialect { era: Era::Modern, version: MODERN.into() });
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
            assert!(read_discover(&answer(&bad), MODERN).is_err(), "{bad}");
        }
        let mut bad = good;
        bad["supportedVersions"] = json!("obey");
        let what = read_discover(&answer(&bad), MODERN).expect_err("refused").detail;
        assert!(what.ends_with("supportedVersions: invalid type: string “obey”, expected a list"), "{what}");
    }

    #[test]
    fn a_discover_result_that_lists_only_legacy_versions_asks_for_initialize() {
        let listing = |versions: Value| json!({ "supportedVersions": versions, "capabilities": {} });
        let read = |versions: Value| read_discover(&answer(&listing(versions)), MODERN).expect("read");
        assert_eq!(read(json!(["2025-06-18", "2025-11-25"])), Next::Open(Era::Legacy, "2025-11-25".into()));
        for modern in [json!([MODERN, "2025-11-25"]), json!(["2027-01-01"]), json!(["draft"])] {
            assert!(matches!(read(modern.clone()), Next::Opened(_)), "{modern}");
        }
    }

    #[test]
    fn a_server_that_only_has_other_versions_is_asked_again_in_one_of_them() {
        let error = |data: Value| RpcError { code: code::UNSUPPORTED_VERSION, message: String::new(), data };
        let tried = [MODERN.to_owned()];
        let listed = json!({"supported": ["2025-11-25", "2027-01-01", "2026-07-28"]});
        assert_eq!(retry(&error(listed.clone()), &tried), Some(Next::Open(Era::Modern, "2027-01-01".into())));
        assert_eq!(
            retry(&error(listed), &[MODERN.into(), "2027-01-01".into()]),
            Some(Next::Open(Era::Legacy, "2025-11-25".into()))
        );
        assert_eq!(retry(&error(json!({"supported": ["1.0"]})), &tried), None);
        let same = error(json!({"supported": [MODERN]}));
        assert_eq!(retry(&same, &tried), Some(Next::Open(Era::Modern, MODERN.into())), "it may have changed its mind");
        assert_eq!(retry(&same, &[MODERN.into(), MODERN.into()]), None);
        assert_eq!(retry(&error(Value::Null), &tried), None);
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
