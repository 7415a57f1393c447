//! Claude Code's own: lists for single projects in the user's file, project servers switched off one by one, and a
//! managed file that leaves no other in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::clients::Scope;
use super::discover::{Found, add};
use super::entry::Entry;
use super::layers::Layered;
use super::places::{self, Project};
use super::readers;
use super::resolve::Host;
use super::sources::Source;
use crate::clock::Deadline;
use crate::model::reason::{Failure, Reason};
use crate::plan::timeout;

/// Why no other file of the client is in force, if a managed one is there.
pub(super) fn exclusive(sources: &[Source]) -> Option<Failure> {
    let is_managed = |source: &&Source| source.file.client.managed_is_exclusive && source.file.scope == Scope::Managed;
    let managed = &sources.iter().find(is_managed)?.file;
    let detail =
        format!("{} is there, and with it {} reads no other list", managed.path.display(), managed.client.title);
    Some(Failure::new(Reason::Disabled, detail))
}

/// Whether a managed file keeps this one out of force. What lab-probe's configuration names stays.
pub(super) fn is_excluded(source: &Source) -> bool {
    source.file.client.managed_is_exclusive && !matches!(source.file.scope, Scope::Managed | Scope::Config)
}

/// The user's own file: only there do lists of single projects count. A project's file with a `projects` table must not
/// speak for the user.
fn is_users(source: &Source) -> bool {
    source.file.client.has_local_lists && source.file.scope == Scope::User
}

#[derive(Debug, Default)]
pub(super) struct Projects {
    /// The directories that have a list of their own, looked at; `None` where the file system does not answer.
    directories: BTreeMap<String, Option<Known>>,
    /// Project servers that are switched off, by directory.
    switched_off: BTreeMap<PathBuf, Vec<(String, String)>>,
}

#[derive(Debug)]
struct Known {
    project: Project,
    is_there: bool,
}

impl Projects {
    pub(super) fn of(sources: &[Source], deadline: Deadline) -> Self {
        let mut projects = Projects::default();
        let mut paths = Vec::new();
        for (path, settings) in sources.iter().filter(|source| is_users(source)).flat_map(entries) {
            let keys = ["disabledMcpjsonServers", "disabledMcpServers"];
            projects.switched_off.insert(path.into(), keys.iter().flat_map(|key| names(settings, key)).collect());
            if settings.contains_key("mcpServers") {
                paths.push(path.clone());
            }
        }
        let place = |path: &String| timeout::files_of_repository(Path::new(path));
        let known = timeout::each(paths.clone(), timeout::LIMIT, deadline, place, |path| {
            let directory = Path::new(path);
            Known { project: places::project_at(directory), is_there: directory.is_dir() }
        });
        projects.directories = paths.into_iter().zip(known).collect();
        projects
    }

    pub(super) fn switch_off(&self, source: &Source, entries: &mut [Entry]) {
        // Being listed as enabled somewhere allows nothing here: that was said to another program.
        let project = source.file.project.as_ref().filter(|_| source.file.client.has_local_lists);
        if let Some(names) = project.and_then(|project| self.switched_off.get(&project.directory)) {
            switch_off(entries, names);
        }
    }

    /// Reads the lists for single projects, which only the user can write.
    pub(super) fn read_local(&self, host: &Host<'_>, source: &Source, found: &mut Found) {
        for (path, settings) in Some(source).filter(|source| is_users(source)).into_iter().flat_map(entries) {
            let Some(known) = self.directories.get(path) else { continue };
            let mut entries = match readers::servers(settings, &source.file.client.keys) {
                Ok(entries) => entries,
                Err(problem) => {
                    found.warnings.push(format!("{}: project {path}: {problem}", source.file.path.display()));
                    continue;
                }
            };
            switch_off(&mut entries, &names(settings, "disabledMcpServers"));
            let note = match known {
                Some(known) if known.is_there => None,
                Some(_) => Some(format!("for {path}, which is gone")),
                None => Some(format!("for {path}, where the file system does not answer")),
            };
            entries.iter_mut().for_each(|entry| entry.notes.extend(note.clone()));
            // Without its directory the server is started in the home.
            let project = known.as_ref().filter(|known| known.is_there).map(|known| &known.project);
            let whole = |entry| Layered { entry, below: Vec::new(), is_part: false, refusal: None };
            add(host, source, Scope::Local, project, entries.into_iter().map(whole).collect(), found);
        }
    }
}

fn entries(source: &Source) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let table = source.document.root.get("projects").and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(path, settings)| Some((path, settings.as_object()?)))
}

/// Names in a list, each with the list's key.
fn names(settings: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
    readers::strings(settings.get(key)).into_iter().map(|name| (name, key.to_owned())).collect()
}

fn switch_off<'a>(entries: &mut [Entry], disabled: impl IntoIterator<Item = &'a (String, String)>) {
    let disabled: BTreeMap<&str, &str> =
        disabled.into_iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
    for entry in entries {
        if let Some(key) = disabled.get(entry.name.as_str()) {
            entry.off = Some(format!("it is listed in `{key}`"));
        }
    }
}
