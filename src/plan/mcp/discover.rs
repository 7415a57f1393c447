//! From the clients' files to candidates: every server that any of them names, with how it would be reached.
//!
//! One file that cannot be read is a warning with its place, never the end of discovery. A file that others may write,
//! and a project's file that nobody has allowed, is read all the same, so that its servers are listed; but nothing it
//! names is started, sent or opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::claude;
use super::clients::Scope;
use super::entry::{Entry, How};
use super::keys::{Keys, Untyped};
use super::layers::{self, Layered};
use super::merge::Candidate;
use super::places::Project;
use super::readers;
use super::resolve::{Host, Scene};
use super::sources::{self, Source};
use super::switches::{self, List};
use crate::clock::Deadline;
use crate::config::environment::HostEnvironment;
use crate::model::mcp::Reach;
use crate::model::reason::Reason;
use crate::trust::TrustStore;

/// The longest name of a server, in bytes.
const MAX_NAME: usize = 4096;

/// The most servers listed of a file that is not trusted: a cloned repository must not be able to flood the metrics.
const MAX_UNTRUSTED: usize = 1000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) environment: &'a HostEnvironment,
    pub(super) discover: bool,
    /// Files named in lab-probe's configuration: looked at besides, and allowed.
    pub(super) config_files: &'a [PathBuf],
    pub(super) repositories: &'a [PathBuf],
    pub(super) trusted: &'a TrustStore,
    pub(super) ca_file: Option<&'a Path>,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every server of every file, in the order of the table of clients.
    pub(super) candidates: Vec<Candidate>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn discover(search: &Search<'_>, deadline: Deadline) -> Found {
    let sources::Sources { read: sources, warnings } = sources::collect(search, deadline);
    servers(search, &sources, warnings, deadline)
}

pub(super) fn servers(search: &Search<'_>, sources: &[Source], warnings: Vec<String>, deadline: Deadline) -> Found {
    let mut found = Found { warnings, ..Found::default() };
    let exclusive = claude::exclusive(sources);
    let local = claude::Projects::of(sources, deadline);
    let mut hosts: BTreeMap<&str, (Host<'_>, Result<Vec<List>, String>)> = BTreeMap::new();
    for source in sources {
        let before = found.candidates.len();
        let client = source.file.client;
        let (host, everywhere) = hosts.entry(client.name.as_str()).or_insert_with(|| {
            let lists = switches::everywhere(client, search.environment, sources);
            (Host::new(client, search.environment, search.ca_file), lists)
        });
        let everywhere = match everywhere {
            Ok(lists) => lists,
            Err(why) => {
                found.warnings.push(switches::may_switch_off(why, &source.file.path));
                continue;
            }
        };
        let keys = keys(source);
        match layers::read(source, sources, &keys) {
            Ok(mut layered) => {
                let mut entries: Vec<Entry> = layered.iter().map(|layered| layered.entry.clone()).collect();
                readers::note_refusal(&mut entries, &keys);
                let own = switches::in_source(source);
                switches::apply(&mut entries, source.file.scope, everywhere.iter().chain(&source.lists).chain(&own));
                local.switch_off(source, &mut entries);
                let off = source.file.plugin.as_ref().and_then(|plugin| plugin.off.clone());
                for (layered, mut entry) in layered.iter_mut().zip(entries) {
                    entry.off = off.clone().or(entry.off);
                    layered.entry = entry;
                }
                add(host, source, source.file.scope, source.file.project.as_ref(), layered, &mut found);
            }
            Err(problem) => found.warnings.push(format!("{}: {problem}", source.file.path.display())),
        }
        local.read_local(host, source, &mut found);
        if let Some(failure) = exclusive.as_ref().filter(|_| claude::is_excluded(source)) {
            for candidate in &mut found.candidates[before..] {
                candidate.resolved.reach = Reach::Unreachable(failure.clone());
            }
        }
    }
    found
}

/// The client's keys for one of its files: a plugin may leave the table around its servers away, and a project's
/// `.mcp.json` is Copilot CLI's, too.
fn keys(source: &Source) -> Keys {
    let client = source.file.client;
    let untyped = match (client.keys.untyped, source.file.scope) {
        (Untyped::Dropped, Scope::Project | Scope::Config) => Untyped::Noted,
        (untyped, _) => untyped,
    };
    match source.file.plugin {
        Some(_) => Keys { untyped, flat: true, container: vec!["mcpServers".into()], ..client.keys.clone() },
        None => Keys { untyped, ..client.keys.clone() },
    }
}

/// Adds entries as candidates of `scope` and `project`, which may differ from the file's own (Claude Code keeps lists
/// of single projects in the user's file).
pub(super) fn add(
    host: &Host<'_>,
    source: &Source,
    scope: Scope,
    project: Option<&Project>,
    entries: Vec<Layered>,
    found: &mut Found,
) {
    let file = &source.file;
    for Layered { entry, below, is_part, refusal } in bounded(source, entries, &mut found.warnings) {
        if let Some(problem) = unusable_name(&entry.name) {
            found.warnings.push(format!("{}: a server {problem} is left out", file.path.display()));
            continue;
        }
        let refusal = source.refusal.clone().or(refusal);
        let scene = Scene { host, file: &file.path, project, plugin: file.plugin.as_ref(), refusal: refusal.as_ref() };
        let resolved = scene.resolve(&entry);
        let notes = notes(source, host, &entry);
        let is_untrusted = refusal.is_some_and(|refusal| refusal.reason == Reason::Untrusted);
        found.candidates.push(Candidate {
            name: entry.name,
            client: file.client,
            scope,
            path: file.path.clone(),
            project: project.cloned(),
            below,
            is_part,
            is_untrusted,
            limit: entry.limit.or(host.limit),
            resolved,
            notes,
        });
    }
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
    if let How::Http(http) = &entry.how {
        if client.header_variables_doubted && http.headers.iter().any(|(_, value)| value.expose().contains(['$', '{']))
        {
            notes.push("this client is reported to leave variables in headers as they stand".to_owned());
        }
        notes.extend(host.login_note(entry, http));
    }
    notes.extend(unset_variables(entry, host.environment));
    notes.extend(entry.notes.iter().cloned());
    notes
}

/// A name becomes a label value of several series.
fn unusable_name(name: &str) -> Option<&'static str> {
    match name.len() {
        0 => Some("without a name"),
        1..=MAX_NAME => None,
        _ => Some("with a name of more than 4 KiB"),
    }
}

/// Of a file whose author nobody has vouched for, no more servers than a person would read through.
fn bounded(source: &Source, mut entries: Vec<Layered>, warnings: &mut Vec<String>) -> Vec<Layered> {
    if source.refusal.is_some() && entries.len() > MAX_UNTRUSTED {
        let (shown, count) = (source.file.path.display(), entries.len());
        warnings.push(format!("{shown}: only {MAX_UNTRUSTED} of its {count} servers are listed until it is trusted"));
        entries.truncate(MAX_UNTRUSTED);
    }
    entries
}

/// Variables that a client passes on where they are set: an unset one is no failure, but often the reason for one.
fn unset_variables(entry: &Entry, environment: &HostEnvironment) -> Option<String> {
    let How::Stdio(stdio) = &entry.how else { return None };
    let unset: Vec<&str> =
        stdio.inherit.iter().map(String::as_str).filter(|name| environment.var(name).is_none()).collect();
    (!unset.is_empty()).then(|| format!("not set, so not passed on: {}", unset.join(", ")))
}
