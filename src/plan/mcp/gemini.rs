//! Gemini CLI's own: `mcp.allowed` and `mcp.excluded`, which hold over all of its files.

use serde_json::{Map, Value};

use super::clients::{Scope, Shape};
use super::entry::Entry;
use super::readers::strings;
use super::sources::Source;

/// The lists in force for the user. A project's own lists hold for the project alone: a cloned repository does not
/// switch off what the user has set up.
#[derive(Debug, Default)]
pub(super) struct Lists {
    allowed: Option<Vec<String>>,
    excluded: Vec<String>,
}

impl Lists {
    /// Collects the lists of the user's and the machine's files.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut lists = Lists::default();
        let is_gemini = |source: &&Source| matches!(source.place.client.shape, Shape::Gemini(_));
        for source in sources.iter().filter(is_gemini).filter(|source| source.place.scope != Scope::Project) {
            let own = own(&source.document.root);
            // The files come with the overriding one first.
            lists.allowed = lists.allowed.or(own.allowed);
            lists.excluded.extend(own.excluded);
        }
        lists
    }

    /// Switches off the entries of a file that the lists leave out.
    pub(super) fn apply(&self, source: &Source, mut entries: Vec<Entry>) -> Vec<Entry> {
        let own = own(&source.document.root);
        for entry in &mut entries {
            let allowed = |list: &Option<Vec<String>>| list.as_ref().is_none_or(|names| names.contains(&entry.name));
            if self.excluded.contains(&entry.name) || own.excluded.contains(&entry.name) {
                entry.off = Some("it is listed in `mcp.excluded`".into());
            } else if !allowed(&self.allowed) || !allowed(&own.allowed) {
                entry.off = Some("it is not listed in `mcp.allowed`".into());
            }
        }
        entries
    }
}

/// The lists one file has.
fn own(root: &Map<String, Value>) -> Lists {
    let mcp = root.get("mcp").and_then(Value::as_object);
    let list = |key| mcp.and_then(|mcp| mcp.get(key));
    Lists {
        allowed: list("allowed").is_some_and(Value::is_array).then(|| strings(list("allowed"))),
        excluded: strings(list("excluded")),
    }
}
