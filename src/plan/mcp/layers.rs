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

type Layer<'s> = (&'s Source, BTreeMap<&'s str, &'s Value>);

/// The entries of one of a client's files. A name that a stronger file of the same layer has is left to that.
///
/// # Errors
/// A list that is none, or does not stand where the client looks for it.
pub(super) fn read(source: &Source, sources: &[&Source], keys: &Keys) -> anyhow::Result<Vec<Entry>> {
    let (stronger, below) = neighbours(source, sources, keys);
    let mut entries = Vec::new();
    for (name, written) in readers::list(&source.document.root, keys)? {
        if stronger.iter().any(|(_, list)| list.contains_key(name)) {
            continue;
        }
        let below: Vec<(&Source, &Value)> =
            below.iter().filter_map(|(other, list)| Some((*other, *list.get(name)?))).collect();
        // The strongest of them comes first.
        let layers = below.iter().rev().map(|(_, value)| *value).chain([written]).cloned();
        let whole = layers.reduce(readers::merged).unwrap_or_default();
        // A switch for a server that no file defines is none.
        if source.file.client.merges_keys && readers::is_switch(&whole) {
            continue;
        }
        entries.extend(readers::server(name, &whole, keys).map(|entry| Entry {
            below: below.iter().map(|(other, _)| (other.file.scope, other.file.path.clone())).collect(),
            is_part: !below.is_empty() && !readers::is_complete(written, keys),
            refusal: below.iter().find_map(|(other, _)| other.refusal.clone()),
            ..entry
        }));
    }
    readers::note_refusal(&mut entries, keys);
    Ok(entries)
}

/// The files that are merged with this one: those of the same layer that are stronger, and all that are weaker, the
/// strongest first; none for a client that takes entries as a whole.
fn neighbours<'s>(source: &Source, sources: &[&'s Source], keys: &Keys) -> (Vec<Layer<'s>>, Vec<Layer<'s>>) {
    if !source.file.client.merges_keys || source.file.scope == Scope::Plugin {
        return Default::default();
    }
    // What the files that are one list have in common.
    fn layer(source: &Source) -> (Option<&Path>, Option<Scope>) {
        let scope = Some(source.file.scope).filter(|scope| !scope.is_everywhere());
        (source.file.project.as_ref().map(|project| project.directory.as_path()), scope)
    }
    let beneath = sources.iter().filter(|other| source.file.project.is_some() && other.file.scope.is_everywhere());
    let all = sources.iter().filter(|other| layer(other) == layer(source)).chain(beneath).copied();
    let list = |other: &'s Source| readers::list(&other.document.root, keys).unwrap_or_default().into_iter().collect();
    let mut stronger: Vec<Layer> = all.map(|other| (other, list(other))).collect();
    let own = stronger.iter().position(|(other, _)| std::ptr::eq(*other, source)).unwrap_or_default();
    let weaker = stronger.split_off(own + 1);
    stronger.pop();
    (stronger, weaker)
}
