//! A client's files put together as the client does it.
//!
//! Most clients take the whole entry of the first file that has the name. Some merge key by key: there a file may
//! complete, change or switch off what another one defines, and such a part is no server of its own.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::clients::Scope;
use super::entry::Entry;
use super::keys::Keys;
use super::readers;
use super::sources::Source;

type List<'s> = BTreeMap<&'s str, &'s Value>;
type Below<'s> = (&'s Source, List<'s>);

/// The entries of a file. A name that a stronger file of the same layer has is left to that.
///
/// # Errors
/// A sentence about a list that is none.
pub(super) fn read(source: &Source, sources: &[Source], keys: &Keys) -> Result<Vec<Entry>, String> {
    let (stronger, below) = neighbours(source, sources, keys);
    let mut entries = Vec::new();
    for (name, written) in readers::list(&source.document.root, keys)? {
        if stronger.iter().any(|list| list.contains_key(name)) {
            continue;
        }
        let under: Vec<(&Source, &Value)> =
            below.iter().filter_map(|(other, list)| Some((*other, *list.get(name)?))).collect();
        // The strongest of them comes first.
        let layers = under.iter().rev().map(|(_, value)| *value).chain([written]).cloned();
        let whole = layers.reduce(readers::merged).unwrap_or_default();
        // A switch for a server that no file defines is none.
        if source.file.client.merges_keys && readers::is_switch(&whole) {
            continue;
        }
        entries.extend(readers::server(name, &whole, keys).map(|entry| Entry {
            below: under.iter().map(|(other, _)| (other.file.scope, other.file.path.clone())).collect(),
            is_part: !under.is_empty() && !readers::is_complete(written, keys),
            refusal: under.iter().find_map(|(other, _)| other.refusal.clone()),
            ..entry
        }));
    }
    readers::note_refusal(&mut entries, keys);
    Ok(entries)
}

/// The lists of the files of the same layer that are stronger, and of all files that are weaker, the strongest first; none for a
/// client that takes entries as a whole.
fn neighbours<'s>(source: &'s Source, sources: &'s [Source], keys: &Keys) -> (Vec<List<'s>>, Vec<Below<'s>>) {
    let (mut stronger, mut weaker, mut beneath) = (Vec::new(), Vec::new(), Vec::new());
    if !source.file.client.merges_keys {
        return (stronger, weaker);
    }
    let mut is_before = true;
    for other in sources.iter().filter(|other| std::ptr::eq(other.file.client, source.file.client)) {
        let list = || readers::list(&other.document.root, keys).unwrap_or_default().into_iter().collect();
        let is_same_layer = layer(source).is_some() && layer(source) == layer(other);
        if std::ptr::eq(other, source) {
            is_before = false;
        } else if is_same_layer && is_before {
            stronger.push(list());
        } else if is_same_layer {
            weaker.push((other, list()));
        } else if source.file.project.is_some() && other.file.scope.is_everywhere() {
            beneath.push((other, list()));
        }
    }
    weaker.append(&mut beneath);
    (stronger, weaker)
}

/// What the files that are one list have in common.
fn layer(source: &Source) -> Option<(&Path, Option<Scope>)> {
    match &source.file.project {
        Some(project) => Some((&project.directory, Some(source.file.scope))),
        None => source.file.scope.is_everywhere().then_some((Path::new(""), None)),
    }
}
