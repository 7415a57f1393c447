//! What the official SDKs accept of a result: a server whose answers they refuse is of no use to any client.
//!
//! Compared with the schemas of the TypeScript SDK (1.32 and 2.3, `types.ts`, `wire/*`) and the Python SDK (2.3,
//! `mcp_types`). Both take unknown keys. An optional key may be absent, but the TypeScript SDK refuses `null` there.
//! Only types are checked here and hardly anything is kept: a hostile result may be megabytes of anything.

use anyhow::{Context, anyhow, bail, ensure};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::jsonrpc::Text;
use super::shape::{FromObject, ListOf, MapOf, Object, each, given, read, shapes};
use crate::model::mcp::Era;
use crate::redact::quoted;

shapes! {
    Capabilities {
        ; experimental: MapOf<Object>, extensions: MapOf<Object>, logging: Object,
        completions: Object, tasks: Object, prompts: FromObject<Listing>, tools: FromObject<Listing>,
        resources: FromObject<Subscription>
    }
    Listing { ; list_changed: bool }
    Subscription { ; list_changed: bool, subscribe: bool }
    Implementation {
        name: String, version: String;
        title: String, website_url: String, description: String, icons: ListOf<FromObject<Icon>>
    }
    Icon { src: String; mime_type: String, sizes: ListOf<String>, theme: Theme }
    InitializeResult {
        protocol_version: String, capabilities: FromObject<Capabilities>, server_info: FromObject<Implementation>;
        instructions: String, #[serde(rename = "_meta")] meta: Object
    }
    DiscoverResult<'a> {
        #[serde(borrow)] supported_versions: &'a RawValue, capabilities: FromObject<Capabilities>;
        result_type: String, instructions: String, #[serde(borrow, rename = "_meta")] meta: FromObject<ResultMeta<'a>>
    }
    ResultMeta<'a> { ; #[serde(borrow, rename = "io.modelcontextprotocol/serverInfo")] server_info: &'a RawValue }
    ToolsPage<'a> {
        #[serde(borrow)] tools: &'a RawValue;
        next_cursor: String, #[serde(borrow)] result_type: &'a RawValue, #[serde(rename = "_meta")] meta: Object
    }
    ModernPage { result_type: String, ttl_ms: f64, cache_scope: CacheScope; }
    Tool<'a> {
        name: String, #[serde(borrow)] input_schema: &'a RawValue;
        description: String, title: String, icons: ListOf<FromObject<Icon>>, annotations: FromObject<Annotations>,
        #[serde(borrow)] output_schema: &'a RawValue, #[serde(rename = "_meta")] meta: Object
    }
    Annotations {
        ; title: String, read_only_hint: bool, destructive_hint: bool, idempotent_hint: bool, open_world_hint: bool
    }
    LegacyTool {
        input_schema: FromObject<ObjectSchema>;
        output_schema: FromObject<ObjectSchema>, execution: FromObject<Execution>
    }
    ModernTool { input_schema: FromObject<Typed>; output_schema: Object }
    Execution { ; task_support: TaskSupport }
    ObjectSchema { #[serde(rename = "type")] kind: ObjectType; properties: MapOf<Schema>, required: ListOf<String> }
    Typed { #[serde(rename = "type")] kind: ObjectType; }
}

/// Strings of which there are only these. A derived enumeration would also take an object with one of them as its key.
macro_rules! enumerations {
    ($($name:ident { $($word:literal),* })*) => {
        $(pub(crate) struct $name;

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                let is_known = [$($word),*].contains(&word.as_str());
                is_known.then_some($name).ok_or_else(|| D::Error::unknown_variant(&word, &[$($word),*]))
            }
        })*
    };
}

enumerations! {
    Theme { "light", "dark" }
    TaskSupport { "required", "optional", "forbidden" }
    ObjectType { "object" }
    CacheScope { "public", "private" }
}

/// A JSON Schema: an object, or true or false.
pub(crate) struct Schema;

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let is_schema = raw.starts_with('{') || matches!(raw, "true" | "false");
        is_schema.then_some(Schema).ok_or_else(|| D::Error::custom("it is no schema"))
    }
}

/// There have been six revisions in two years.
const MOST_VERSION_BYTES: usize = 4096;

/// `2026-07-28`, perhaps with a suffix.
pub(super) const LONGEST_VERSION: usize = 40;

impl DiscoverResult<'_> {
    /// The versions it lists, of which there has to be one.
    pub(crate) fn versions(&self) -> anyhow::Result<Vec<String>> {
        let listed = self.supported_versions.get();
        ensure!(listed.len() <= MOST_VERSION_BYTES, "supportedVersions: the list is too long");
        let mut versions: Vec<String> = Vec::new();
        let keep = |version| {
            versions.push(version);
            Ok(())
        };
        each(self.supported_versions, keep).context("supportedVersions")?;
        ensure!(!versions.is_empty(), "supportedVersions: the list is empty");
        versions.retain(|version| version.len() <= LONGEST_VERSION);
        Ok(versions)
    }

    /// Who the server is. Both SDKs read a malformed one as none: it is only for display.
    pub(crate) fn server_info(&self) -> Option<Implementation> {
        read(self.meta.as_ref()?.0.server_info?.get().as_bytes()).ok()
    }
}

impl<'a> ToolsPage<'a> {
    pub(crate) fn read(answer: &'a Text, era: Era) -> anyhow::Result<ToolsPage<'a>> {
        let page: ToolsPage<'a> = answer.read()?;
        // A legacy server may not be about to answer in part, either.
        let result_type = page.result_type.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        check_complete(result_type.as_deref())?;
        // What every modern result says, and what one that may be cached says.
        if era == Era::Modern {
            let ModernPage { ttl_ms, .. } = answer.read()?;
            ensure!(ttl_ms >= 0.0 && ttl_ms.fract() == 0.0, "ttlMs is no whole number");
        }
        Ok(page)
    }
}

/// A modern result says that it is complete; one that does not say is taken for complete, as a legacy one is.
/// Errors: For a result that is only part of an exchange (2026-07-28, multi round-trip requests).
pub(crate) fn check_complete(result_type: Option<&str>) -> anyhow::Result<()> {
    match result_type {
        None | Some("complete") => Ok(()),
        Some(other) => bail!("its resultType is {}, not \"complete\"", quoted(other, 40)),
    }
}

impl<'a> Tool<'a> {
    /// Reads the tool `number` of a list.
    /// Errors: Which tool it is and what is wrong with it.
    pub(crate) fn read(raw: &'a RawValue, number: usize, era: Era) -> anyhow::Result<Tool<'a>> {
        let bytes = raw.get().as_bytes();
        let tool: Tool<'a> = read(bytes).with_context(|| format!("tool {number} of the list"))?;
        // The modern era leaves the schemas to the JSON Schema dialect.
        let checked = match era {
            Era::Legacy => read::<LegacyTool>(bytes).map(drop),
            Era::Modern => read::<ModernTool>(bytes).map(drop),
        };
        checked.map_err(|why| anyhow!("tool {}: {why:#}", quoted(&tool.name, 60)))?;
        Ok(tool)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(tool: &Value, era: Era) -> Option<String> {
        let raw = RawValue::from_string(tool.to_string()).expect("JSON");
        Tool::read(&raw, 3, era).err().map(|why| format!("{why:#}"))
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
            ("/inputSchema", json!({}), &both[..], "tool “create”: inputSchema: missing field `type`"),
            (
                "/inputSchema",
                json!({"type": "string"}),
                &both,
                "inputSchema.type: no such value is known, expected `object`",
            ),
            ("/inputSchema/type", json!({"object": null}), &both, "inputSchema.type: invalid type: map"),
            ("/inputSchema", json!([]), &both, "inputSchema: invalid type: sequence, expected an object"),
            ("/inputSchema", json!(null), &both, "inputSchema: invalid type: null, expected an object"),
            ("/inputSchema/properties", json!(null), &both[..1], "inputSchema.properties: invalid type: null"),
            ("/inputSchema/properties/a", json!(null), &both[..1], "inputSchema.properties.a: it is no schema"),
            (
                "/inputSchema/required",
                json!("a"),
                &both[..1],
                "inputSchema.required: invalid type: string “a”, expected a list",
            ),
            ("/outputSchema/type", json!("array"), &both[..1], "outputSchema.type: no such value"),
            ("/outputSchema", json!(null), &both, "outputSchema: invalid type: null"),
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
