//! A client's files put together as the client does it.
//!
//! Most clients take the whole entry of the first file that has the name. Some merge key by key: there a file may
//! complete, change or switch off what another one defines, and such a part is no server of its own.

use std::path::PathBuf;

use serde_json::Value;

use super::clients::Scope;
use super::entry::Entry;
use super::keys::Keys;
use super::readers;
use super::sources::Source;
use crate::model::reason::Failure;

/// An entry of one file, with what files below it have under its name.
#[derive(Debug)]
pub(super) struct Layered {
    pub(super) entry: Entry,
    /// The files below that have the name, too.
    pub(super) below: Vec<(Scope, PathBuf)>,
    /// Whether the file alone does not say how the server is reached.
    pub(super) is_part: bool,
    /// Why a file below may not have its servers started, if so.
    pub(super) refusal: Option<Failure>,
}

/// The entries of a file. A name that a stronger file of the same layer has is left to that.
///
/// # Errors
/// A sentence about a list that is none.
pub(super) fn read(source: &Source, sources: &[Source], keys: &Keys) -> Result<Vec<Layered>, String> {
    let list = readers::list(&source.document.root, keys)?;
    let (stronger, below) = neighbours(source, sources);
    let has = |sources: &[&Source], name: &str| sources.iter().any(|other| value(other, name, keys).is_some());
    let mut layered = Vec::new();
    for (name, written) in list.iter().filter(|(name, _)| !has(&stronger, name)) {
        let under: Vec<(&Source, Value)> =
            below.iter().filter_map(|other| Some((*other, value(other, name, keys)?))).collect();
        // The strongest of them comes first.
        let base =
            under.iter().rev().map(|(_, value)| value.clone()).reduce(|under, over| readers::merged(&under, &over));
        let whole = base.map_or_else(|| written.clone(), |base| readers::merged(&base, written));
        // A switch for a server that no file defines is none.
        if source.file.client.merges_keys && readers::is_switch(&whole) {
            continue;
        }
        let Some(entry) = readers::server(name, &whole, keys) else { continue };
        layered.push(Layered {
            entry,
            below: under.iter().map(|(other, _)| (other.file.scope, other.file.path.clone())).collect(),
            is_part: !under.is_empty() && !readers::is_complete(written, keys),
            refusal: under.iter().find_map(|(other, _)| other.refusal.clone()),
        });
    }
    Ok(layered)
}

fn value(source: &Source, name: &str, keys: &Keys) -> Option<Value> {
    let list = readers::list(&source.document.root, keys).ok()?;
    list.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The files of the same layer that are stronger, and all that are weaker, the strongest first; none for a client that
/// takes entries as a whole.
fn neighbours<'s>(source: &Source, sources: &'s [Source]) -> (Vec<&'s Source>, Vec<&'s Source>) {
    let (mut stronger, mut weaker, mut beneath) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_before = true;
    for other in sources.iter().filter(|other| std::ptr::eq(other.file.client, source.file.client)) {
        let is_same_layer = match (&source.file.project, &other.file.project) {
            (None, None) => source.file.scope.is_everywhere() && other.file.scope.is_everywhere(),
            (Some(own), Some(project)) => own.directory == project.directory && source.file.scope == other.file.scope,
            _ => false,
        };
        if other.file.path == source.file.path {
            is_before = false;
        } else if is_same_layer && is_before {
            stronger.push(other);
        } else if is_same_layer {
            weaker.push(other);
        } else if source.file.project.is_some() && other.file.scope.is_everywhere() {
            beneath.push(other);
        }
    }
    if !source.file.client.merges_keys {
        return (Vec::new(), Vec::new());
    }
    weaker.append(&mut beneath);
    (stronger, weaker)
}
