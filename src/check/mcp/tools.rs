//! `tools/list`: how many tools a server has, over all pages, and a digest by which a changed list shows.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::modern;
use super::peer::{CallError, Dialect, Peer};
use super::shape::FromObject;
use crate::clock::Deadline;
use crate::model::digest::hex;
use crate::model::reason::{Failure, Reason};

/// The method.
pub(super) const TOOLS_LIST: &str = "tools/list";

/// Pages read at most.
const MOST_PAGES: usize = 100;

/// Pages after the first one get so long, all together: they are worth knowing, not worth a timeout.
const FURTHER_PAGES: Duration = Duration::from_secs(5);

/// This much before the check's deadline no further page is asked for, so that the check ends in time by itself.
const RESERVE: Duration = Duration::from_millis(500);

/// Tools that enter the digest, 32 bytes each while the list is read; further ones are only counted.
const MOST_DIGESTED: usize = 50_000;

/// A longer cursor is not sent back.
const LONGEST_CURSOR: usize = 64 << 10;

/// A schema up to this size is compared by content, a larger one by its text.
const CANONICAL_BYTES: usize = 256 << 10;

/// What a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToolList {
    /// Tools on all pages read.
    pub(crate) count: u64,
    /// Whether there are more pages than were read.
    pub(crate) truncated: bool,
    /// SHA-256 in hex over the names, descriptions and schemas, whatever order they come in; `None` unless all
    /// pages were read.
    pub(crate) digest: Option<String>,
}

/// Lists a server's tools. Only the first page is needed; further ones that fail or never end cut the list short.
///
/// # Errors
/// When the first page is missing or invalid.
pub(crate) fn list(peer: &mut dyn Peer, dialect: &Dialect, deadline: Deadline) -> Result<ToolList, CallError> {
    let mut digests = Vec::new();
    let mut count = 0;
    let mut cursors = BTreeSet::new();
    let mut cursor = match page(peer, dialect, None, deadline)? {
        Ok(first) => first.count_into(&mut count, &mut digests),
        Err(what) => {
            let detail = format!("{TOOLS_LIST}: the result is invalid: {what}");
            return Err(CallError::Failed(Failure::new(Reason::ProtocolError, detail)));
        }
    };
    let deadline = deadline.minus(RESERVE).sooner(FURTHER_PAGES);
    for _ in 1..MOST_PAGES {
        let Some(next) = cursor.take_if(|c| c.len() <= LONGEST_CURSOR && cursors.insert(c.clone())) else { break };
        if deadline.passed() {
            cursor = Some(next);
            break;
        }
        match page(peer, dialect, Some(&next), deadline) {
            Ok(Ok(page)) => cursor = page.count_into(&mut count, &mut digests),
            Ok(Err(_)) | Err(_) => {
                cursor = Some(next);
                break;
            }
        }
    }
    let truncated = cursor.is_some();
    let all = !truncated && count == digests.len() as u64;
    Ok(ToolList { count, truncated, digest: all.then(|| digest_of(digests)) })
}

/// The outer error is the call's, the inner one says what is wrong with the result.
fn page(
    peer: &mut dyn Peer,
    dialect: &Dialect,
    cursor: Option<&str>,
    deadline: Deadline,
) -> Result<Result<Page, String>, CallError> {
    let mut params = Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".into(), Value::from(cursor));
    }
    let answer = peer.call(TOOLS_LIST, dialect.params(params), deadline)?;
    let page = answer.read::<Page>();
    Ok(page.and_then(|page| modern::check_complete(page.result_type.as_deref()).map(|()| page)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    result_type: Option<String>,
    tools: Digests,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Page {
    /// Adds this page's tools; gives back the cursor of the next page.
    fn count_into(self, count: &mut u64, digests: &mut Vec<[u8; 32]>) -> Option<String> {
        *count += self.tools.count;
        let room = MOST_DIGESTED.saturating_sub(digests.len());
        digests.extend(self.tools.digests.into_iter().take(room));
        // Some servers end the list with an empty cursor instead of none.
        self.next_cursor.filter(|cursor| !cursor.is_empty())
    }
}

/// The tools of a page: each is checked and digested, none is kept.
struct Digests {
    count: u64,
    digests: Vec<[u8; 32]>,
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Digests;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tools")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Digests, A::Error> {
                let mut found = Digests { count: 0, digests: Vec::new() };
                while let Some(raw) = seq.next_element::<&RawValue>()? {
                    found.count += 1;
                    let tool = Tool::read(raw)
                        .map_err(|what| A::Error::custom(format_args!("tool {}: {what}", found.count)))?;
                    if found.digests.len() < MOST_DIGESTED {
                        found.digests.push(tool.digest());
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_seq(Each)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    name: String,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    input_schema: &'a RawValue,
    #[serde(borrow, default)]
    output_schema: Option<&'a RawValue>,
}

impl<'a> Tool<'a> {
    fn read(raw: &'a RawValue) -> Result<Tool<'a>, String> {
        let FromObject(tool): FromObject<Tool<'a>> = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
        if tool.input_schema.get().starts_with('{') { Ok(tool) } else { Err("its inputSchema is no object".into()) }
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        add_text(&mut hash, &self.name);
        for part in [self.description, Some(self.input_schema), self.output_schema] {
            match part {
                None => hash.update(b"-"),
                Some(raw) => add_raw(&mut hash, raw.get()),
            }
        }
        hash.finalize().into()
    }
}

/// Adds JSON so that spacing and the order of keys make no difference, where it is small enough to be looked at.
fn add_raw(hash: &mut Sha256, raw: &str) {
    let small = Some(raw).filter(|raw| raw.len() <= CANONICAL_BYTES);
    match small.and_then(|raw| serde_json::from_str::<Value>(raw).ok()) {
        Some(value) => add_value(hash, &value),
        None => add_text(hash, raw),
    }
}

/// Recursion is bounded by the parser's own limit of 128 levels.
fn add_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(members) => {
            hash.update(b"{");
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            for (key, value) in members {
                add_text(hash, key);
                add_value(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| add_value(hash, item));
            hash.update(b"]");
        }
        Value::String(text) => add_text(hash, text),
        plain => add_text(hash, &plain.to_string()),
    }
}

/// With its length in front, so that no two lists of texts look the same.
fn add_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

fn digest_of(mut digests: Vec<[u8; 32]>) -> String {
    digests.sort_unstable();
    let mut hash = Sha256::new();
    digests.iter().for_each(|digest| hash.update(digest));
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::check::mcp::wire::{Answer, RpcError};
    use crate::model::mcp::Era;

    /// Answers the calls in turn, the last one for ever.
    struct Scripted {
        answers: Vec<Result<Value, CallError>>,
        asked: Vec<Value>,
    }

    impl Peer for Scripted {
        fn call(&mut self, method: &str, params: Value, _deadline: Deadline) -> Result<Answer, CallError> {
            assert_eq!(method, TOOLS_LIST);
            self.asked.push(params);
            let answer = if self.answers.len() > 1 { self.answers.remove(0) } else { clone(&self.answers[0]) };
            answer.map(|value| {
                let text = value.to_string().into_bytes();
                let whole = 0..text.len();
                Answer::cut(text, whole, None)
            })
        }
    }

    fn clone(answer: &Result<Value, CallError>) -> Result<Value, CallError> {
        match answer {
            Ok(value) => Ok(value.clone()),
            Err(CallError::Rpc(error)) => Err(CallError::Rpc(error.clone())),
            Err(CallError::Failed(failure)) => Err(CallError::Failed(failure.clone())),
        }
    }

    fn listed(answers: Vec<Result<Value, CallError>>) -> (Result<ToolList, Failure>, Vec<Value>) {
        let mut peer = Scripted { answers, asked: Vec::new() };
        let dialect = Dialect { era: Era::Legacy, version: "2025-11-25".into() };
        let deadline = Deadline::after(Duration::from_secs(30));
        let list = list(&mut peer, &dialect, deadline).map_err(|e| e.into_failure(TOOLS_LIST));
        (list, peer.asked)
    }

    fn tool(name: &str) -> Value {
        json!({"name": name, "description": "d", "inputSchema": {"type": "object", "properties": {"a": {}, "b": {}}}})
    }

    #[test]
    fn tools_are_counted_over_all_pages_and_their_order_makes_no_difference() {
        let (first, asked) = listed(vec![
            Ok(json!({"tools": [tool("a"), tool("b")], "nextCursor": "2"})),
            Ok(json!({"tools": [tool("c")], "nextCursor": ""})),
        ]);
        let first = first.expect("listed");
        assert_eq!((first.count, first.truncated), (3, false));
        assert_eq!(asked, [json!({}), json!({"cursor": "2"})]);
        let (second, _) = listed(vec![Ok(json!({"tools": [tool("c"), tool("b"), tool("a")]}))]);
        assert_eq!(second.expect("listed").digest, first.digest);
        let (third, _) = listed(vec![Ok(json!({"tools": [tool("c"), tool("b"), tool("x")]}))]);
        assert_ne!(third.expect("listed").digest, first.digest);
    }

    #[test]
    fn pages_that_never_end_repeat_or_fail_only_cut_the_list_short() {
        let endless = json!({"tools": [tool("a")], "nextCursor": "again"});
        let (list, asked) = listed(vec![Ok(endless.clone())]);
        assert_eq!(list.map(|l| (l.count, l.truncated, l.digest)), Ok((2, true, None)));
        assert_eq!(asked.len(), 2);
        let (list, _) = listed(vec![Ok(endless.clone()), Err(CallError::Failed(Failure::new(Reason::Timeout, "")))]);
        assert_eq!(list.map(|l| (l.count, l.truncated)), Ok((1, true)));
        let (list, _) = listed(vec![Ok(endless), Ok(json!({"tools": 5}))]);
        assert_eq!(list.map(|l| (l.count, l.truncated)), Ok((1, true)));
        let fresh = (0..500).map(|n| Ok(json!({"tools": [tool("a")], "nextCursor": n.to_string()}))).collect();
        let (list, asked) = listed(fresh);
        assert_eq!(list.map(|l| (l.count, l.truncated)), Ok((100, true)));
        assert_eq!(asked.len(), MOST_PAGES);
    }

    #[test]
    fn a_first_page_that_is_no_list_of_tools_is_a_failure() {
        for result in [
            json!({}),
            json!({"tools": {}}),
            json!({"tools": [1]}),
            json!({"tools": [{"name": "a"}]}),
            json!({"tools": [{"name": 5, "inputSchema": {}}]}),
            json!({"tools": [{"name": "a", "inputSchema": []}]}),
            json!({"tools": [], "nextCursor": 5}),
            json!({"tools": [], "resultType": "input_required"}),
            json!([]),
        ] {
            let (list, _) = listed(vec![Ok(result.clone())]);
            assert_eq!(list.map_err(|f| f.reason), Err(Reason::ProtocolError), "{result}");
        }
        let error = RpcError { code: -32603, message: "no backend".into(), data: Value::Null };
        let (list, _) = listed(vec![Err(CallError::Rpc(error))]);
        let failure = list.expect_err("failed");
        assert_eq!(failure.reason, Reason::RpcError);
        assert_eq!(failure.detail, "tools/list: JSON-RPC error -32603: no backend");
    }

    proptest! {
        #[test]
        fn spacing_and_the_order_of_keys_make_no_difference(keys in proptest::collection::vec("[a-z]{1,6}", 0..8)) {
            let digest = |schema: &str| {
                let raw = format!(r#"{{"name":"n","inputSchema":{schema}}}"#);
                let raw = RawValue::from_string(raw).expect("JSON");
                Tool::read(&raw).map(|tool| tool.digest())
            };
            let unique: BTreeSet<_> = keys.into_iter().collect();
            let forth: Vec<_> = unique.iter().map(|k| format!("\"{k}\":[1]")).collect();
            let back: Vec<_> = unique.iter().rev().map(|k| format!("\"{k}\" : [ 1 ]")).collect();
            let (forth, back) = (format!("{{{}}}", forth.join(",")), format!("{{ {} }}", back.join(" , ")));
            prop_assert_eq!(digest(&forth), digest(&back));
        }
    }
}
