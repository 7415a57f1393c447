//! Claude Code's own: lists for single projects in the user's file, project servers switched off one by one, and a
//! managed file that leaves no other in force.

use std::path::Path;

use serde_json::{Map, Value};

use super::clients::{Scope, Shape};
use super::discover::{self, Found, Search, Source};
use super::entry::Entry;
use super::places::{self, Project};
use super::readers;
use crate::model::reason::{Failure, Reason};

/// The most that is read of a settings file.
const SETTINGS_LIMIT: u64 = 1 << 20;

/// Why no other file of Claude Code is in force, if a managed one is there.
pub(super) fn exclusive(sources: &[Source]) -> Option<Failure> {
    let managed = sources.iter().find(|source| is_claude(source) && source.place.scope == Scope::Managed)?;
    let detail = format!("{} is there, and with it Claude Code reads no other list", managed.place.path.display());
    Some(Failure::new(Reason::Disabled, detail))
}

/// Whether a managed file keeps this one out of force. What lab-probe's configuration names stays.
pub(super) fn is_excluded(source: &Source) -> bool {
    is_claude(source) && !matches!(source.place.scope, Scope::Managed | Scope::Config)
}

fn is_claude(source: &Source) -> bool {
    matches!(source.place.client.shape, Shape::ClaudeCode)
}

/// Reads one of Claude Code's files.
pub(super) fn read(search: &Search<'_>, source: &Source, all: &[Source], found: &mut Found) {
    let mut entries = readers::servers(&source.document.root, &readers::COMMON);
    if let (Some(project), Ok(entries)) = (&source.place.project, &mut entries) {
        switch_off(entries, &disabled(search, project, all));
    }
    discover::read(search, source, entries, found);
    // Only ever from the user's own file: a project's file with a `projects` table must not speak for the user.
    if source.place.project.is_none() && source.place.scope == Scope::User {
        read_local(search, source, found);
    }
}

/// The lists for single projects, which only the user can write.
fn read_local(search: &Search<'_>, source: &Source, found: &mut Found) {
    for (path, settings) in projects(source) {
        let entries = match readers::servers(settings, &readers::COMMON) {
            Ok(entries) if entries.is_empty() => continue,
            entries => entries,
        };
        let project = places::project_at(Path::new(path));
        match entries {
            Ok(mut entries) => {
                switch_off(&mut entries, &names(settings, "disabledMcpServers"));
                if !project.directory.is_dir() {
                    let note = format!("for {path}, which is gone");
                    entries.iter_mut().for_each(|entry| entry.notes.push(note.clone()));
                }
                discover::add(search, source, Scope::Local, Some(&project), entries, found);
            }
            Err(problem) => {
                found.warnings.push(format!("{}: project {path}: {problem}", source.place.path.display()));
            }
        }
    }
}

/// The projects the user's file knows.
fn projects(source: &Source) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let table = source.document.root.get("projects").and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(path, settings)| Some((path, settings.as_object()?)))
}

/// The servers of a project's file that are switched off: in the user's file, in the user's settings, or in the
/// project's. Being listed as enabled there allows nothing here: that was said to another program.
fn disabled(search: &Search<'_>, project: &Project, all: &[Source]) -> Vec<(String, String)> {
    let user = all.iter().filter(|source| is_claude(source) && source.place.scope == Scope::User);
    let mut disabled: Vec<(String, String)> = user
        .flat_map(projects)
        .filter(|(path, _)| Path::new(path.as_str()) == project.directory)
        .flat_map(|(_, settings)| ["disabledMcpjsonServers", "disabledMcpServers"].map(|key| names(settings, key)))
        .flatten()
        .collect();
    let own = project.directory.join(".claude");
    let home = search.surroundings.home.as_ref().map(|home| home.join(".claude"));
    let home = search.surroundings.path_var("CLAUDE_CONFIG_DIR").or(home);
    let files =
        [Some(own.join("settings.local.json")), Some(own.join("settings.json")), home.map(|h| h.join("settings.json"))];
    for file in files.into_iter().flatten() {
        // A broken settings file is Claude Code's to complain about; it switches nothing off.
        let Ok(bytes) = crate::fs::read_capped(&file, SETTINGS_LIMIT) else { continue };
        let Ok(document) = super::document::parse(&bytes, super::document::Syntax::Json) else { continue };
        disabled.extend(names(&document.root, "disabledMcpjsonServers"));
    }
    disabled
}

/// Names in a list, each with the list's key.
fn names(settings: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
    readers::strings(settings.get(key)).into_iter().map(|name| (name, key.to_owned())).collect()
}

fn switch_off(entries: &mut [Entry], disabled: &[(String, String)]) {
    for entry in entries {
        if let Some((_, key)) = disabled.iter().find(|(name, _)| *name == entry.name) {
            entry.off = Some(format!("it is listed in `{key}`"));
        }
    }
}
