//! What the official SDKs accept of a result: a server whose answers they refuse is of no use to any client.
//!
//! Compared with the schemas of the TypeScript SDK (1.32 and 2.3, `types.ts`, `wire/*`) and the Python SDK (2.3,
//! `mcp_types`). Both take unknown keys. An optional key may be absent, but the TypeScript SDK refuses `null` there.
//! Only types are checked here and hardly anything is kept: a hostile result may be megabytes of anything.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::shape::{FromObject, ListOf, MapOf, Object, each, each_member, given, read};
use crate::model::mcp::Era;
use crate::redact::quoted;

/// Structures of the schemas: the keys that must be there; the keys that may be absent, but are never null.
macro_rules! shapes {
    ($($name:ident $(<$life:lifetime>)? {
        $($(#[$attr:meta])* $key:ident: $type:ty),*; $($(#[$with:meta])* $optional:ident: $given:ty),*
    })*) => {
        $(#[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code, reason = "most is read only so that a wrong type is refused")]
        pub(crate) struct $name $(<$life>)? {
            $($(#[$attr])* pub(crate) $key: $type,)*
            $(#[serde(default, deserialize_with = "given")] $(#[$with])* pub(crate) $optional: Option<$given>,)*
        })*
    };
}

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
        next_cursor: String, #[serde(borrow)] result_type: &'a RawValue, #[serde(borrow)] ttl_ms: &'a RawValue,
        #[serde(borrow)] cache_scope: &'a RawValue, #[serde(rename = "_meta")] meta: Object
    }
    Tool<'a> {
        name: String, #[serde(borrow)] input_schema: &'a RawValue;
        description: String, title: String, icons: ListOf<FromObject<Icon>>, annotations: FromObject<Annotations>,
        #[serde(borrow)] output_schema: &'a RawValue, #[serde(borrow)] execution: &'a RawValue,
        #[serde(rename = "_meta")] meta: Object
    }
    Annotations {
        ; title: String, read_only_hint: bool, destructive_hint: bool, idempotent_hint: bool, open_world_hint: bool
    }
    Execution { ; task_support: TaskSupport }
    Schema<'a> {
        ; #[serde(borrow, rename = "type")] kind: &'a RawValue, #[serde(borrow)] properties: &'a RawValue, #[serde(borrow)] required: &'a RawValue
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Theme {
    Light,
    Dark,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskSupport {
    Required,
    Optional,
    Forbidden,
}

/// There have been six revisions in two years.
const MOST_VERSIONS: usize = 64;

/// `2026-07-28`, perhaps with a suffix.
const LONGEST_VERSION: usize = 40;

impl DiscoverResult<'_> {
    /// The versions it lists, of which there has to be one; the first few are kept.
    pub(crate) fn versions(&self) -> Result<Vec<String>, String> {
        let (mut listed, mut kept) = (0, Vec::new());
        let keep = |version: String| {
            listed += 1;
            if kept.len() < MOST_VERSIONS && version.len() <= LONGEST_VERSION {
                kept.push(version);
            }
            Ok(())
        };
        each(self.supported_versions, keep).map_err(|what| format!("supportedVersions: {what}"))?;
        if listed == 0 { Err("supportedVersions: the list is empty".into()) } else { Ok(kept) }
    }

    /// Who the server is. Both SDKs read a malformed one as none: it is only for display.
    pub(crate) fn server_info(&self) -> Option<Implementation> {
        read(self.meta.as_ref()?.0.server_info?.get().as_bytes()).ok()
    }
}

impl ToolsPage<'_> {
    /// What every modern result says, and what one that may be cached says.
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
/// Errors: For a result that is only part of an exchange (2026-07-28, multi round-trip requests).
pub(crate) fn check_complete(result_type: Option<&str>) -> Result<(), String> {
    match result_type {
        None | Some("complete") => Ok(()),
        Some(other) => Err(format!("its resultType is {}, not \"complete\"", quoted(other, 40))),
    }
}

impl<'a> Tool<'a> {
    /// Reads the tool `number` of a list.
    /// Errors: Which tool it is and what is wrong with it.
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
        let check = |name: &str, raw: &RawValue| match raw.get() {
            "true" | "false" => Ok(()),
            schema if schema.starts_with('{') => Ok(()),
            _ => Err(format!("{} is no schema", quoted(name, 60))),
        };
        each_member(properties, check).map_err(|what| format!(".properties: {what}"))?;
    }
    if let Some(required) = schema.required {
        each(required, |_: String| Ok(())).map_err(|_no_list| ".required is no list of names".to_owned())?;
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
