//! From the clients' files to candidates: every server that any of them names, with how it would be reached.
//!
//! One file that cannot be read is a warning with its place, never the end of discovery. A file that others may write,
//! and a project's file that nobody has allowed, is read all the same, so that its servers are listed; but nothing it
//! names is started, sent or opened.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use super::clients::{self, Client, Keys, Scope};
use super::document;
use super::entry::Entry;
use super::merge::Candidate;
use super::readers;
use super::resolve::{Host, Resolver};
use super::sources::Source;
use super::switches::{self, List};
use crate::config::environment::HostEnvironment;
use crate::model::mcp::Reach;
use crate::model::reason::Reason;

/// The longest name of a server, in bytes.
const MAX_NAME: usize = 4096;

/// The most servers listed of a file that is not trusted: a cloned repository must not be able to flood the metrics.
const MAX_UNTRUSTED: usize = 1000;

/// Every server of every file, in the order of the table of clients; `ca_file` is for those that are reached over HTTP.
pub(super) fn servers(
    sources: &[Source],
    environment: &HostEnvironment,
    ca_file: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    if sources.is_empty() {
        // The table of clients costs more to read than the rest of a tick without discovery.
        return candidates;
    }
    for client in clients::all().iter().chain([clients::generic()]) {
        let own: Vec<&Source> = sources.iter().filter(|source| std::ptr::eq(source.file.client, client)).collect();
        if own.is_empty() {
            continue;
        }
        let host = Host::new(client, environment, ca_file);
        let everywhere = switches::everywhere(client, environment);
        for source in &own {
            let read = match &everywhere {
                Ok(everywhere) => entries(source, &own, everywhere, warnings)
                    .map_err(|problem| anyhow!("{}: {problem}; its servers are left out", source.shown())),
                Err(why) => Err(switches::may_switch_off(why, &source.file.path)),
            };
            match read {
                Ok(entries) => candidates.extend(entries.into_iter().map(|entry| candidate(&host, source, entry))),
                Err(problem) => warnings.push(problem.to_string()),
            }
        }
    }
    candidates
}

/// The servers of one of a client's files, with what else switches them off.
fn entries(
    source: &Source,
    all: &[&Source],
    everywhere: &[List],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Entry>> {
    let mut entries = merged(source, all, &source.file.client.keys_in(source.file.scope))?;
    let (shown, count) = (source.shown(), entries.len());
    if source.refusal.is_some() && count > MAX_UNTRUSTED {
        warnings.push(format!("{shown}: only {MAX_UNTRUSTED} of its {count} servers are listed until it is trusted"));
        entries.truncate(MAX_UNTRUSTED);
    }
    // A name becomes a label value of several series.
    entries.retain(|entry| {
        let problem = match entry.name.len() {
            0 => "without a name",
            1..=MAX_NAME => return true,
            _ => "with a name of more than 4 KiB",
        };
        warnings.push(format!("{shown}: a server {problem} is left out"));
        false
    });
    // The user's lists for one project switch servers of the project's own files off, too. Being listed as enabled there allows
    // nothing here: that was said to another program.
    let workspace = source.file.workspace();
    let holds = |other: &Source| {
        let is_of_project = workspace.is_some() && other.file.workspace() == workspace;
        let scope = other.file.scope;
        std::ptr::eq(other, source) || scope.is_everywhere() || scope == Scope::Local && is_of_project
    };
    let own: Vec<List> = all.iter().filter(|other| holds(other)).flat_map(|other| switches::in_source(other)).collect();
    switches::apply(&mut entries, source.file.scope, everywhere.iter().chain(&source.lists).chain(&own))?;
    let plugin = source.file.plugin.as_ref().and_then(|plugin| plugin.off.clone());
    if let Some(off) = exclusive(source, all).or(plugin) {
        entries.iter_mut().for_each(|entry| entry.off = Some(off.clone()));
    }
    Ok(entries)
}

type Layer<'s> = (&'s Source, BTreeMap<&'s str, &'s Value>);

/// The entries of one of a client's files. Most clients take the whole entry of the first file that has the name. Some merge key by
/// key: there a file may complete, change or switch off what another one defines, and a name that a stronger file of the same layer
/// has is left to that.
/// Errors: A list that is none, or does not stand where the client looks for it.
fn merged(source: &Source, sources: &[&Source], keys: &Keys) -> anyhow::Result<Vec<Entry>> {
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
        let whole = layers.reduce(document::merged).unwrap_or_default();
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
    let is_everywhere = |source: &Source| source.file.scope.is_everywhere();
    let is_of_layer = |other: &&&Source| {
        let is_scope = other.file.scope == source.file.scope || is_everywhere(other) && is_everywhere(source);
        is_scope && other.file.workspace() == source.file.workspace()
    };
    let beneath = sources.iter().filter(|other| source.file.project.is_some() && is_everywhere(other));
    let all = sources.iter().filter(is_of_layer).chain(beneath).copied();
    let list = |other: &'s Source| readers::list(&other.document.root, keys).unwrap_or_default().into_iter().collect();
    let mut stronger: Vec<Layer> = all.map(|other| (other, list(other))).collect();
    let own = stronger.iter().position(|(other, _)| std::ptr::eq(*other, source)).unwrap_or_default();
    let weaker = stronger.split_off(own + 1);
    stronger.pop();
    (stronger, weaker)
}

/// Why a file is not in force, if the administrator's file leaves no other list of the client in force (Claude Code). What
/// lab-probe's configuration names stays.
fn exclusive(source: &Source, all: &[&Source]) -> Option<String> {
    let Client { title, managed_is_exclusive, .. } = source.file.client;
    if !managed_is_exclusive || matches!(source.file.scope, Scope::Managed | Scope::Config) {
        return None;
    }
    let managed = all.iter().find(|other| other.file.scope == Scope::Managed)?.file.path.display();
    Some(format!("{managed} is there, and with it {title} reads no other list"))
}

fn candidate(host: &Host<'_>, source: &Source, mut entry: Entry) -> Candidate {
    let file = source.file.clone();
    let refusal = source.refusal.clone().or(entry.refusal.take());
    let (reach, identity) = Resolver { host, file: &file, refusal: refusal.as_ref() }.resolve(&entry);
    entry.notes = notes(source, host, &entry);
    entry.limit = entry.limit.or(host.limit);
    let is_untrusted = refusal.is_some_and(|refusal| refusal.reason == Reason::Untrusted);
    Candidate { entry, file, is_untrusted, reach, identity }
}

fn notes(source: &Source, host: &Host<'_>, entry: &Entry) -> Vec<String> {
    let client = source.file.client;
    let mut notes = Vec::new();
    if !client.variables.is_known() {
        notes.push("whether this client expands variables is not verified; none are expanded".to_owned());
    }
    if source.document.relaxed && !client.comments {
        notes.push(format!("the file has comments or trailing commas, which {} may refuse", client.title));
    }
    if let Reach::Http(written) = &entry.written {
        if client.header_variables_doubted
            && written.headers.iter().any(|(_, value)| value.expose().contains(['$', '{']))
        {
            notes.push("this client is reported to leave variables in headers as they stand".to_owned());
        }
        if written.headers.is_empty() && entry.env_headers.is_empty() && host.logins.contains(&entry.name) {
            notes.push(format!("{} holds a login for it, which lab-probe does not use", client.title));
        }
    }
    if matches!(entry.written, Reach::Stdio(_)) {
        // An unset one is no failure, but often the reason for one.
        let is_unset = |name: &&str| host.environment.var(name).is_none();
        let unset: Vec<&str> = entry.inherit.iter().map(String::as_str).filter(is_unset).collect();
        notes.extend((!unset.is_empty()).then(|| format!("not set, so not passed on: {}", unset.join(", "))));
    }
    notes.extend(entry.notes.iter().cloned());
    // Its server is started in the home.
    let gone = source.listed_for.as_ref().filter(|_| source.file.project.is_none());
    notes.extend(gone.map(|directory| format!("for {directory}, which is gone or does not answer")));
    notes
}
