//! What the official SDKs accept of a result: a server whose answers they refuse is of no use to any client.
//!
//! Compared with the schemas of the TypeScript SDK (1.32 and 2.3, `types.ts`, `wire/*`) and the Python SDK (2.3,
//! `mcp_types`). Both take unknown keys. An optional key may be absent, but the TypeScript SDK refuses `null` there.
//! Only types are checked here and hardly anything is kept: a hostile result may be megabytes of anything.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::shape::{FromObject, Object, Versions, given, read};
use crate::model::mcp::Era;
use crate::redact::{quoted, shortened};

/// What a server can do.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct Capabilities {
    #[serde(default, deserialize_with = "given")]
    experimental: Option<BTreeMap<String, Object>>,
    #[serde(default, deserialize_with = "given")]
    logging: Option<Object>,
    #[serde(default, deserialize_with = "given")]
    completions: Option<Object>,
    #[serde(default, deserialize_with = "given")]
    prompts: Option<FromObject<Listing>>,
    #[serde(default, deserialize_with = "given")]
    resources: Option<FromObject<Subscription>>,
    #[serde(default, deserialize_with = "given")]
    tools: Option<FromObject<Listing>>,
    #[serde(default, deserialize_with = "given")]
    tasks: Option<Object>,
    #[serde(default, deserialize_with = "given")]
    extensions: Option<BTreeMap<String, Object>>,
}

impl Capabilities {
    /// Whether it declares tools.
    pub(crate) fn has_tools(&self) -> bool {
        self.tools.is_some()
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
struct Listing {
    #[serde(default, deserialize_with = "given", rename = "listChanged")]
    list_changed: Option<bool>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
struct Subscription {
    #[serde(default, deserialize_with = "given")]
    subscribe: Option<bool>,
    #[serde(default, deserialize_with = "given", rename = "listChanged")]
    list_changed: Option<bool>,
}

/// Characters of a server's name or version that are kept: they become label values.
const NAME_CHARACTERS: usize = 120;

/// Who a server is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct Implementation {
    name: String,
    version: String,
    #[serde(default, deserialize_with = "given")]
    title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    website_url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    icons: Option<Vec<FromObject<Icon>>>,
}

impl Implementation {
    /// Its name, at a length fit for a label.
    pub(crate) fn short_name(&self) -> String {
        shortened(&self.name, NAME_CHARACTERS)
    }

    /// Its version, at a length fit for a label.
    pub(crate) fn short_version(&self) -> String {
        shortened(&self.version, NAME_CHARACTERS)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
struct Icon {
    src: String,
    #[serde(default, deserialize_with = "given")]
    mime_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    sizes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    theme: Option<Theme>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Theme {
    Light,
    Dark,
}

/// The answer to `initialize`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct InitializeResult {
    pub(crate) protocol_version: String,
    pub(crate) capabilities: FromObject<Capabilities>,
    pub(crate) server_info: FromObject<Implementation>,
    #[serde(default, deserialize_with = "given")]
    instructions: Option<String>,
    #[serde(default, deserialize_with = "given", rename = "_meta")]
    meta: Option<Object>,
}

/// The answer to `server/discover`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct DiscoverResult<'a> {
    #[serde(default, deserialize_with = "given")]
    pub(crate) result_type: Option<String>,
    pub(crate) supported_versions: Versions,
    pub(crate) capabilities: FromObject<Capabilities>,
    #[serde(default, deserialize_with = "given")]
    instructions: Option<String>,
    #[serde(default, deserialize_with = "given", borrow, rename = "_meta")]
    meta: Option<FromObject<ResultMeta<'a>>>,
}

#[derive(Deserialize)]
struct ResultMeta<'a> {
    #[serde(default, deserialize_with = "given", borrow, rename = "io.modelcontextprotocol/serverInfo")]
    server_info: Option<&'a RawValue>,
}

impl DiscoverResult<'_> {
    /// Who the server is. Both SDKs read a malformed one as none: it is only for display.
    pub(crate) fn server_info(&self) -> Option<Implementation> {
        read(self.meta.as_ref()?.0.server_info?.get().as_bytes()).ok()
    }
}

/// One page of the answer to `tools/list`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct ToolsPage<'a> {
    #[serde(borrow)]
    pub(crate) tools: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) next_cursor: Option<String>,
    #[serde(default, deserialize_with = "given", borrow)]
    result_type: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", borrow)]
    ttl_ms: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", borrow)]
    cache_scope: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", rename = "_meta")]
    meta: Option<Object>,
}

impl ToolsPage<'_> {
    /// What every modern result says, and what one that may be cached says.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub(crate) fn check(&self, era: Era) -> Result<(), String> {
        let text = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let result_type = text(self.result_type);
        // A legacy server may not be about to answer in part, either.
        check_complete(result_type.as_deref())?;
        if era == Era::Legacy {
            return Ok(());
        }
        if result_type.is_none() {
            return Err("resultType is missing".into());
        }
        let ttl = self.ttl_ms.and_then(|raw| serde_json::from_str::<f64>(raw.get()).ok());
        if !ttl.is_some_and(|ttl| ttl >= 0.0 && ttl.fract() == 0.0) {
            return Err("ttlMs is missing or no whole number".into());
        }
        if !matches!(text(self.cache_scope).as_deref(), Some("public" | "private")) {
            return Err("cacheScope is neither \"public\" nor \"private\"".into());
        }
        Ok(())
    }
}

/// A modern result says that it is complete; one that does not say is taken for complete, as a legacy one is.
///
/// # Errors
/// For a result that is only part of an exchange (2026-07-28, multi round-trip requests).
pub(crate) fn check_complete(result_type: Option<&str>) -> Result<(), String> {
    match result_type {
        None | Some("complete") => Ok(()),
        Some(other) => Err(format!("its resultType is {}, not \"complete\"", quoted(other, 40))),
    }
}

/// One tool, without what only its users need.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
pub(crate) struct Tool<'a> {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "given")]
    pub(crate) description: Option<String>,
    #[serde(borrow)]
    pub(crate) input_schema: &'a RawValue,
    #[serde(default, deserialize_with = "given", borrow)]
    pub(crate) output_schema: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given")]
    title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    icons: Option<Vec<FromObject<Icon>>>,
    #[serde(default, deserialize_with = "given")]
    annotations: Option<FromObject<Annotations>>,
    #[serde(default, deserialize_with = "given", borrow)]
    execution: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", rename = "_meta")]
    meta: Option<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
struct Annotations {
    #[serde(default, deserialize_with = "given")]
    title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    read_only_hint: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    destructive_hint: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    idempotent_hint: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    open_world_hint: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read so that a wrong type is refused")]
struct Execution {
    #[serde(default, deserialize_with = "given")]
    task_support: Option<TaskSupport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TaskSupport {
    Required,
    Optional,
    Forbidden,
}

/// A JSON Schema, as far as the SDKs look at it. They leave the rest to whoever calls the tool.
#[derive(Deserialize)]
struct Schema<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", borrow)]
    properties: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given", borrow)]
    required: Option<&'a RawValue>,
}

impl<'a> Tool<'a> {
    /// Reads the tool `number` of a list.
    ///
    /// # Errors
    /// Which tool it is and what is wrong with it.
    pub(crate) fn read(raw: &'a RawValue, number: usize, era: Era) -> Result<Tool<'a>, String> {
        let tool: Tool<'a> = read(raw.get().as_bytes()).map_err(|what| format!("tool {number} of the list: {what}"))?;
        tool.check(era).map_err(|what| format!("tool {}: {what}", quoted(&tool.name, 60)))?;
        Ok(tool)
    }

    fn check(&self, era: Era) -> Result<(), String> {
        check_schema(self.input_schema, true, era).map_err(|what| format!("inputSchema{what}"))?;
        if let Some(schema) = self.output_schema {
            check_schema(schema, era == Era::Legacy, era).map_err(|what| format!("outputSchema{what}"))?;
        }
        if let (Some(execution), Era::Legacy) = (self.execution, era) {
            read::<Execution>(execution.get().as_bytes()).map_err(|what| format!("execution.{what}"))?;
        }
        Ok(())
    }
}

/// The complaint begins with what joins it to the schema's name.
fn check_schema(raw: &RawValue, is_object: bool, era: Era) -> Result<(), String> {
    if !raw.get().starts_with('{') {
        return Err(" is no object".into());
    }
    let schema: Schema<'_> = read(raw.get().as_bytes()).map_err(|what| format!(": {what}"))?;
    if is_object && schema.kind.is_none_or(|kind| kind.get() != "\"object\"") {
        return Err(" lacks \"type\": \"object\"".into());
    }
    // The modern era leaves the rest to the JSON Schema dialect.
    if era == Era::Modern {
        return Ok(());
    }
    if let Some(properties) = schema.properties {
        let properties: BTreeMap<String, &RawValue> =
            read(properties.get().as_bytes()).map_err(|what| format!(".properties: {what}"))?;
        let is_schema = |raw: &RawValue| raw.get().starts_with('{') || matches!(raw.get(), "true" | "false");
        if let Some((name, _)) = properties.iter().find(|(_, raw)| !is_schema(raw)) {
            return Err(format!(".properties: {} is no schema", quoted(name, 60)));
        }
    }
    if let Some(required) = schema.required {
        serde_json::from_str::<Vec<String>>(required.get())
            .map_err(|_no_list| ".required is no list of names".to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(tool: &Value, era: Era) -> Option<String> {
        let raw = RawValue::from_string(tool.to_string()).expect("JSON");
        Tool::read(&raw, 3, era).err()
    }

    #[test]
    fn a_tool_that_the_sdks_refuse_is_named_with_what_is_wrong() {
        let good = json!({
            "name": "create", "title": "t", "description": "d", "_meta": {}, "new": null,
            "inputSchema": {"type": "object", "properties": {"a": {}, "b": true}, "required": ["a"]},
            "outputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": true}, "execution": {"taskSupport": "optional"},
            "icons": [{"src": "data:", "sizes": ["48x48"], "theme": "dark"}],
        });
        assert_eq!(refused(&good, Era::Legacy), None);
        assert_eq!(refused(&good, Era::Modern), None);
        let both = [Era::Legacy, Era::Modern];
        for (pointer, value, eras, what) in [
            ("/inputSchema", json!({}), &both[..], "tool “create”: inputSchema lacks \"type\": \"object\""),
            ("/inputSchema", json!({"type": "string"}), &both, "inputSchema lacks \"type\": \"object\""),
            ("/inputSchema", json!([]), &both, "inputSchema is no object"),
            ("/inputSchema", json!(null), &both, "inputSchema is no object"),
            ("/inputSchema/properties", json!(null), &both[..1], "inputSchema.properties: "),
            ("/inputSchema/properties/a", json!(null), &both[..1], "inputSchema.properties: “a” is no schema"),
            ("/inputSchema/required", json!("a"), &both[..1], "inputSchema.required is no list of names"),
            ("/outputSchema/type", json!("array"), &both[..1], "outputSchema lacks"),
            ("/outputSchema", json!(null), &both, "outputSchema is no object"),
            ("/description", json!(null), &both, "tool 3 of the list: description: invalid type: null"),
            ("/title", json!(5), &both, "tool 3 of the list: title: invalid type"),
            ("/name", json!(null), &both, "tool 3 of the list: name: invalid type"),
            ("/annotations", json!(null), &both, "annotations: invalid type: null, expected an object"),
            ("/annotations/readOnlyHint", json!("yes"), &both, "annotations.readOnlyHint: invalid type"),
            ("/execution/taskSupport", json!("maybe"), &both[..1], "execution.taskSupport: "),
            ("/icons/0/theme", json!("blue"), &both, "icons[0].theme: "),
            ("/_meta", json!(null), &both, "_meta: invalid type: null"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).expect("a place") = value;
            for era in both {
                let refused = refused(&bad, era);
                let expected = eras.contains(&era).then_some(what);
                match (&refused, expected) {
                    (None, None) => {}
                    (Some(refused), Some(what)) if refused.contains(what) => {}
                    other => panic!("{pointer} {era:?}: {other:?}"),
                }
            }
        }
        assert!(refused(&json!(["create", "t"]), Era::Legacy).is_some_and(|what| what.contains("an object")));
    }
}
