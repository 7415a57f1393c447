//! `tools/list`: how many tools a server has, over all pages, what they cost of a model's context, and a digest by
//! which a changed list shows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::eras::{Dialect, invalid};
use super::jsonrpc::Text;
use super::schema::{Tool, ToolsPage};
use super::shape::each;
use crate::clock::Deadline;
use crate::mcp::TOOLS_LIST;
use crate::model::digest::hex;
use crate::model::mcp::McpFacts;
use crate::model::reason::Failure;

const MOST_PAGES: usize = 100;

/// Pages after the first one get so long, all together: they are worth knowing, not worth a timeout.
const FURTHER_PAGES: Duration = Duration::from_secs(5);

/// This much before the check's deadline no further page is asked for, so that the check ends in time by itself.
const RESERVE: Duration = Duration::from_millis(500);

/// Tools kept, two digests of 32 bytes each while the list is read; the list counts as cut short there.
const MOST_TOOLS: usize = 100_000;

/// A longer cursor is not sent back.
const LONGEST_CURSOR: usize = 64 << 10;

/// A schema up to this size is compared by content, a larger one by its text.
const CANONICAL_BYTES: usize = 256 << 10;

/// What the list needs of a transport.
pub(crate) trait Peer {
    /// Sends a request and waits for its answer.
    fn call(&mut self, method: &str, params: &Value, deadline: Deadline) -> Result<Text, Failure>;
}

/// Lists a server's tools into the facts. Only the first page is needed; further ones that fail or never end cut the list
/// short.
pub(crate) fn list(
    peer: &mut dyn Peer,
    dialect: &Dialect,
    deadline: Deadline,
    facts: &mut McpFacts,
) -> Result<(), Failure> {
    let mut found = Found { peer, dialect, digests: BTreeMap::new(), bytes: 0, truncated: false };
    let mut cursors = BTreeSet::new();
    let mut cursor = found.read_page(None, deadline)?;
    let deadline = deadline.minus(RESERVE).sooner(FURTHER_PAGES);
    // A cursor that comes again leads nowhere new: the list ends there.
    while let Some(next) = cursor.take_if(|next| !cursors.contains(next)) {
        let goes_on = cursors.len() + 1 < MOST_PAGES && next.len() <= LONGEST_CURSOR && !deadline.passed();
        match goes_on.then(|| found.read_page(Some(&next), deadline)) {
            Some(Ok(after)) => cursor = after,
            _ => found.truncated = true,
        }
        cursors.insert(next);
    }
    found.note_in(facts);
    Ok(())
}

/// The tools read so far: each was checked, none is kept.
struct Found<'a> {
    peer: &'a mut dyn Peer,
    dialect: &'a Dialect,
    /// The digest of a tool, by that of its name.
    digests: BTreeMap<[u8; 32], [u8; 32]>,
    bytes: u64,
    truncated: bool,
}

impl Found<'_> {
    /// Reads one page; gives back the cursor of the next one.
    fn read_page(&mut self, cursor: Option<&str>, deadline: Deadline) -> Result<Option<String>, Failure> {
        let params = cursor.map(|cursor| ("cursor".to_owned(), Value::from(cursor))).into_iter().collect();
        let answer = self.peer.call(TOOLS_LIST, &self.dialect.params(params), deadline)?;
        let era = self.dialect.era;
        let mut read = || {
            let page = ToolsPage::read(&answer, era)?;
            let mut number = 0;
            let tools = each(page.tools, |raw: &RawValue| {
                number += 1;
                self.add(&Tool::read(raw, number, era)?, raw.get().len());
                Ok(())
            });
            tools.map_err(|why| if number == 0 { why.context("tools") } else { why })?;
            // Some servers end the list with an empty cursor instead of none.
            Ok(page.next_cursor.filter(|cursor| !cursor.is_empty()))
        };
        read().map_err(|why| invalid(TOOLS_LIST, &why))
    }

    /// Of several tools with one name the first counts.
    fn add(&mut self, tool: &Tool<'_>, bytes: usize) {
        let name = Sha256::digest(&tool.name).into();
        if self.digests.contains_key(&name) {
            return;
        }
        if self.digests.len() >= MOST_TOOLS {
            self.truncated = true;
            return;
        }
        self.digests.insert(name, digest(tool));
        self.bytes += bytes as u64;
    }

    fn note_in(self, facts: &mut McpFacts) {
        let count = self.digests.len() as u64;
        facts.tools = Some(count);
        // Two brackets, and a comma between two of them.
        facts.tools_bytes = Some(self.bytes + 2 + count.saturating_sub(1));
        facts.tools_truncated = self.truncated;
        facts.tools_digest = (!self.truncated).then(|| digest_of(self.digests.into_values().collect()));
    }
}

/// SHA-256 over what a client tells its model of a tool.
fn digest(tool: &Tool<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let (input, output) = (canonical(tool.input_schema), tool.output_schema.map(canonical));
    for part in [Some(tool.name.as_str()), tool.description.as_deref(), Some(&*input), output.as_deref()] {
        // With its length in front, so that no two tools look the same.
        hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default().as_bytes());
    }
    hash.finalize().into()
}

/// JSON with its keys sorted and without spacing, where it is small enough to be looked at.
fn canonical(raw: &RawValue) -> Cow<'_, str> {
    let small = Some(raw.get()).filter(|raw| raw.len() <= CANONICAL_BYTES);
    let value = small.and_then(|raw| serde_json::from_str::<Value>(raw).ok());
    value.map_or(Cow::Borrowed(raw.get()), |value| Cow::Owned(value.to_string()))
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
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::mcp::Era;
    use crate::model::reason::Reason;

    /// Answers the calls in turn, the last one for ever.
    struct Scripted {
        answers: Vec<Result<Value, Failure>>,
        asked: Vec<Value>,
    }

    impl Peer for Scripted {
        fn call(&mut self, method: &str, params: &Value, _deadline: Deadline) -> Result<Text, Failure> {
            assert_eq!(method, TOOLS_LIST);
            self.asked.push(params.clone());
            let answer = if self.answers.len() > 1 { self.answers.remove(0) } else { self.answers[0].clone() };
            answer.map(|value| Text::new(value.to_string().into_bytes(), None))
        }
    }

    fn listed(answers: Vec<Result<Value, Failure>>) -> (Result<McpFacts, Failure>, Vec<Value>) {
        let mut peer = Scripted { answers, asked: Vec::new() };
        let dialect = Dialect { era: Era::Legacy, version: "2025-11-25".into() };
        let deadline = Deadline::after(Duration::from_secs(30));
        let mut facts = McpFacts::default();
        let listed = list(&mut peer, &dialect, deadline, &mut facts);
        (listed.map(|()| facts), peer.asked)
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
        assert_eq!((first.tools, first.tools_truncated), (Some(3), false));
        let as_list = json!([tool("a"), tool("b"), tool("c")]).to_string();
        assert_eq!(first.tools_bytes, Some(as_list.len() as u64));
        assert_eq!(asked, [json!({}), json!({"cursor": "2"})]);
        let (second, _) = listed(vec![Ok(json!({"tools": [tool("c"), tool("b"), tool("a")]}))]);
        assert_eq!(second.expect("listed").tools_digest, first.tools_digest);
        let (third, _) = listed(vec![Ok(json!({"tools": [tool("c"), tool("b"), tool("x")]}))]);
        assert_ne!(third.expect("listed").tools_digest, first.tools_digest);
    }

    #[test]
    fn pages_that_never_end_repeat_or_fail_only_cut_the_list_short() {
        let endless = json!({"tools": [tool("a")], "nextCursor": "again"});
        let (list, _) = listed(vec![Ok(endless.clone()), Err(Failure::new(Reason::Timeout, ""))]);
        assert_eq!(list.map(|l| (l.tools, l.tools_truncated, l.tools_digest)), Ok((Some(1), true, None)));
        let (list, _) = listed(vec![Ok(endless), Ok(json!({"tools": 5}))]);
        assert_eq!(list.map(|l| (l.tools, l.tools_truncated)), Ok((Some(1), true)));
        let page = |n: usize| json!({"tools": [tool(&format!("t{n}"))], "nextCursor": n.to_string()});
        let (list, asked) = listed((0..500).map(|n| Ok(page(n))).collect());
        assert_eq!(list.map(|l| (l.tools, l.tools_truncated)), Ok((Some(100), true)));
        assert_eq!(asked.len(), MOST_PAGES);
    }

    #[test]
    fn a_cursor_that_comes_again_ends_the_list_and_a_name_counts_once() {
        let stuck = json!({"tools": [tool("a"), tool("b")], "nextCursor": "again"});
        let (list, asked) = listed(vec![Ok(stuck)]);
        let (once, _) = listed(vec![Ok(json!({"tools": [tool("b"), tool("a"), tool("a")]}))]);
        assert_eq!(list, once);
        assert_eq!(list.map(|l| (l.tools, l.tools_truncated)), Ok((Some(2), false)));
        assert_eq!(asked, [json!({}), json!({"cursor": "again"})]);
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
            json!({"tools": [{"name": "a", "inputSchema": {}}]}),
            json!({"tools": null}),
            json!({"tools": [], "nextCursor": 5}),
            json!({"tools": [], "nextCursor": null}),
            json!({"tools": [], "_meta": null}),
            json!({"tools": [], "resultType": "input_required"}),
            json!([]),
        ] {
            let (list, _) = listed(vec![Ok(result.clone())]);
            assert_eq!(list.map_err(|f| f.reason), Err(Reason::ProtocolError), "{result}");
        }
        let refused = Failure::new(Reason::RpcError, "no backend");
        assert_eq!(listed(vec![Err(refused.clone())]).0, Err(refused));
    }

    proptest! {
        #[test]
        fn spacing_and_the_order_of_keys_make_no_difference(keys in proptest::collection::vec("[a-z]{1,6}", 1..8)) {
            let digest = |schema: &str| {
                let raw = format!(r#"{{"name":"n","inputSchema":{schema}}}"#);
                let raw = RawValue::from_string(raw).expect("JSON");
                digest(&Tool::read(&raw, 1, Era::Legacy).expect("a tool"))
            };
            let unique: BTreeSet<_> = keys.into_iter().collect();
            let forth: Vec<_> = unique.iter().map(|k| format!("\"x{k}\":[1]")).collect();
            let back: Vec<_> = unique.iter().rev().map(|k| format!("\"x{k}\" : [ 1 ]")).collect();
            let (forth, back) = (
                format!("{{\"type\":\"object\",{}}}", forth.join(",")),
                format!("{{ {} , \"type\": \"object\" }}", back.join(" , ")),
            );
            prop_assert_eq!(digest(&forth), digest(&back));
        }
    }
}
