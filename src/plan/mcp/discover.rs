//! From the clients' files to candidates: every server that any of them names, with how it would be reached.
//!
//! One file that cannot be read is a warning with its place, never the end of discovery. A file that others may write,
//! and a project's file that nobody has allowed, is read all the same, so that its servers are listed; but nothing it
//! names is started, sent or opened.

use std::path::{Path, PathBuf};

use super::claude;
use super::clients::{Scope, Shape};
use super::entry::{Entry, How};
use super::gemini;
use super::merge::Candidate;
use super::places::Project;
use super::readers;
use super::resolve::Scene;
use super::sources::{self, Source};
use super::trust::TrustStore;
use crate::clock::Deadline;
use crate::model::mcp::Reach;
use crate::plan::surroundings::Surroundings;

/// The longest name of a server, in bytes.
const MAX_NAME: usize = 4096;

/// The most servers listed of a file that is not trusted: a cloned repository must not be able to flood the metrics.
const MAX_UNTRUSTED: usize = 1000;

/// What discovery is to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    /// Home, environment, platform.
    pub(super) surroundings: &'a Surroundings,
    /// Whether the clients' usual places are looked at.
    pub(super) discover: bool,
    /// Files named in lab-probe's configuration: looked at besides, and allowed.
    pub(super) config_files: &'a [PathBuf],
    /// Repositories whose worktrees are projects.
    pub(super) repositories: &'a [PathBuf],
    /// What `lab-probe trust` has allowed.
    pub(super) trusted: &'a TrustStore,
    /// Certificates trusted besides the system's.
    pub(super) ca_file: Option<&'a Path>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every server of every file, in the order of the table of clients.
    pub(super) candidates: Vec<Candidate>,
    /// Files that could not be read, and other oddities.
    pub(super) warnings: Vec<String>,
}

/// Looks at every place and reads every server.
pub(super) fn discover(search: &Search<'_>, deadline: Deadline) -> Found {
    let sources::Sources { read: sources, warnings } = sources::collect(search, deadline);
    servers(search, &sources, warnings, deadline)
}

/// Reads every server of files that have been read.
pub(super) fn servers(search: &Search<'_>, sources: &[Source], warnings: Vec<String>, deadline: Deadline) -> Found {
    let mut found = Found { warnings, ..Found::default() };
    let exclusive = claude::exclusive(sources);
    let gemini = gemini::Lists::of(sources);
    let claude = claude::Projects::of(sources, deadline);
    for source in sources {
        let before = found.candidates.len();
        match &source.place.client.shape {
            Shape::ClaudeCode => claude.read(search, source, &mut found),
            Shape::Servers(keys) => read(search, source, readers::servers(&source.document.root, keys), &mut found),
            Shape::Gemini(keys) => {
                let entries =
                    readers::servers(&source.document.root, keys).map(|entries| gemini.apply(source, entries));
                read(search, source, entries, &mut found);
            }
        }
        if let Some(failure) = exclusive.as_ref().filter(|_| claude::is_excluded(source)) {
            for candidate in &mut found.candidates[before..] {
                candidate.resolved.reach = Reach::Unreachable(failure.clone());
            }
        }
    }
    found
}

/// Turns the entries of one list into candidates, or its error into a warning.
pub(super) fn read(search: &Search<'_>, source: &Source, entries: Result<Vec<Entry>, String>, found: &mut Found) {
    match entries {
        Ok(entries) => add(search, source, source.place.scope, source.place.project.as_ref(), entries, found),
        Err(problem) => found.warnings.push(format!("{}: {problem}", source.place.path.display())),
    }
}

/// Adds entries as candidates of `scope` and `project`, which may differ from the file's own (Claude Code keeps lists
/// of single projects in the user's file).
pub(super) fn add(
    search: &Search<'_>,
    source: &Source,
    scope: Scope,
    project: Option<&Project>,
    entries: Vec<Entry>,
    found: &mut Found,
) {
    let client = source.place.client;
    let entries = bounded(source, entries, &mut found.warnings);
    let scene = Scene {
        client,
        surroundings: search.surroundings,
        file: &source.place.path,
        project,
        gate: source.gate.as_ref(),
        ca_file: search.ca_file,
    };
    for entry in entries {
        if let Some(problem) = unusable_name(&entry.name) {
            found.warnings.push(format!("{}: a server {problem} is left out", source.place.path.display()));
            continue;
        }
        let resolved = scene.resolve(&entry);
        let mut notes: Vec<String> = client.note.iter().map(|note| (*note).to_owned()).collect();
        if source.document.relaxed && !client.comments {
            notes.push(format!("the file has comments or trailing commas, which {} may refuse", client.title));
        }
        if let How::Http(http) = &entry.how
            && http.headers.iter().any(|(_, value)| value.expose().contains(['$', '{']))
        {
            notes.extend(client.header_note.map(str::to_owned));
        }
        notes.extend(unset_variables(&entry, search.surroundings));
        notes.extend(entry.notes);
        let (path, project) = (source.place.path.clone(), project.cloned());
        found.candidates.push(Candidate { name: entry.name, client, scope, path, project, resolved, notes });
    }
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
fn bounded(source: &Source, mut entries: Vec<Entry>, warnings: &mut Vec<String>) -> Vec<Entry> {
    if source.gate.is_some() && entries.len() > MAX_UNTRUSTED {
        let (shown, count) = (source.place.path.display(), entries.len());
        warnings.push(format!("{shown}: only {MAX_UNTRUSTED} of its {count} servers are listed until it is trusted"));
        entries.truncate(MAX_UNTRUSTED);
    }
    entries
}

/// Variables that a client passes on where they are set: an unset one is no failure, but often the reason for one.
fn unset_variables(entry: &Entry, surroundings: &Surroundings) -> Option<String> {
    let How::Stdio(stdio) = &entry.how else { return None };
    let unset: Vec<&str> =
        stdio.inherit.iter().map(String::as_str).filter(|name| surroundings.var(name).is_none()).collect();
    (!unset.is_empty()).then(|| format!("not set, so not passed on: {}", unset.join(", ")))
}
