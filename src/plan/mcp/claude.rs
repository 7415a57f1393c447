//! Claude Code's own: lists for single projects in the user's file, project servers switched off one by one, and a
//! managed file that leaves no other in force.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::clients::{Scope, Shape};
use super::discover::{self, Found, Search};
use super::document::{self, Syntax};
use super::entry::Entry;
use super::places::{self, Place, Project};
use super::readers;
use super::sources::Source;
use crate::clock::Deadline;
use crate::fs::explained;
use crate::model::reason::{Failure, Reason};
use crate::plan::patience;

/// The most that is read of a settings file.
const SETTINGS_LIMIT: u64 = 1 << 20;

/// Why no other file of Claude Code is in force, if a managed one is there.
pub(super) fn exclusive(sources: &[Source]) -> Option<Failure> {
    let managed = sources.iter().find(|source| is_claude(&source.place) && source.place.scope == Scope::Managed)?;
    let detail = format!("{} is there, and with it Claude Code reads no other list", managed.place.path.display());
    Some(Failure::new(Reason::Disabled, detail))
}

/// Whether a managed file keeps this one out of force. What lab-probe's configuration names stays.
pub(super) fn is_excluded(source: &Source) -> bool {
    is_claude(&source.place) && !matches!(source.place.scope, Scope::Managed | Scope::Config)
}

fn is_claude(place: &Place) -> bool {
    matches!(place.client.shape, Shape::ClaudeCode)
}

/// The user's own file: only there do lists of single projects count. A project's file with a `projects` table must not
/// speak for the user.
fn is_users(source: &Source) -> bool {
    is_claude(&source.place) && source.place.scope == Scope::User
}

/// The servers of a project's file that Claude Code's settings in the project switch off.
///
/// # Errors
/// A sentence about a settings file that is there and cannot be read.
pub(super) fn switched_off_beside(place: &Place) -> Result<Vec<(String, String)>, String> {
    let mut names = Vec::new();
    if let Some(project) = place.project.as_ref().filter(|_| is_claude(place)) {
        let directory = project.directory.join(".claude");
        for name in ["settings.local.json", "settings.json"] {
            names.extend(settings(&directory.join(name))?);
        }
    }
    Ok(names)
}

/// The warning about settings that cannot be read: what they may switch off is not started.
pub(super) fn may_switch_off(why: &str, place: &Place) -> String {
    format!("{why}; it may switch servers of {} off, so those are left out", place.path.display())
}

/// `disabledMcpjsonServers` of a settings file. A broken one is Claude Code's to complain about; it switches nothing off.
fn settings(path: &Path) -> Result<Vec<(String, String)>, String> {
    let bytes = match crate::fs::read_capped(path, SETTINGS_LIMIT) {
        Ok(bytes) => bytes,
        Err(e) => match e.kind() {
            // None, or nothing that Claude Code would read.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
                return Ok(Vec::new());
            }
            _ => return Err(format!("{}: {}", path.display(), explained(&e))),
        },
    };
    let Ok(document) = document::parse(&bytes, Syntax::Json) else { return Ok(Vec::new()) };
    Ok(names(&document.root, "disabledMcpjsonServers"))
}

/// What the user's file says of single projects.
#[derive(Debug, Default)]
pub(super) struct Projects {
    /// The directories that have a list of their own, looked at; `None` where the file system does not answer.
    directories: BTreeMap<String, Option<Known>>,
    /// Project servers that are switched off, by directory.
    switched_off: BTreeMap<PathBuf, Vec<(String, String)>>,
}

/// A directory with a list in the user's file.
#[derive(Debug)]
struct Known {
    project: Project,
    is_there: bool,
}

impl Projects {
    /// Reads what the user's file says, and looks at the directories whose lists it keeps.
    pub(super) fn of(sources: &[Source], deadline: Deadline) -> Self {
        let mut projects = Projects::default();
        let mut paths = Vec::new();
        for (path, settings) in sources.iter().filter(|source| is_users(source)).flat_map(entries) {
            let keys = ["disabledMcpjsonServers", "disabledMcpServers"];
            projects.switched_off.insert(path.into(), keys.iter().flat_map(|key| names(settings, key)).collect());
            if !matches!(readers::servers(settings, &readers::COMMON), Ok(servers) if servers.is_empty()) {
                paths.push(path.clone());
            }
        }
        let known = patience::each(paths.clone(), patience::LIMIT, deadline, |path| {
            let directory = Path::new(path);
            Known { project: places::project_at(directory), is_there: directory.is_dir() }
        });
        projects.directories = paths.into_iter().zip(known).collect();
        projects
    }

    /// Reads one of Claude Code's files.
    pub(super) fn read(&self, search: &Search<'_>, source: &Source, found: &mut Found) {
        let mut entries = readers::servers(&source.document.root, &readers::COMMON);
        if let (Some(project), Ok(entries)) = (&source.place.project, &mut entries) {
            // Being listed as enabled somewhere allows nothing here: that was said to another program.
            let users = self.switched_off.get(&project.directory).into_iter().flatten();
            let everywhere = match users_settings(search) {
                Ok(names) => names,
                Err(why) => return found.warnings.push(may_switch_off(&why, &source.place)),
            };
            switch_off(entries, users.chain(&source.switched_off).chain(&everywhere));
        }
        discover::read(search, source, entries, found);
        if is_users(source) {
            self.read_local(search, source, found);
        }
    }

    /// The lists for single projects, which only the user can write.
    fn read_local(&self, search: &Search<'_>, source: &Source, found: &mut Found) {
        for (path, settings) in entries(source) {
            let Some(known) = self.directories.get(path) else { continue };
            let mut entries = match readers::servers(settings, &readers::COMMON) {
                Ok(entries) => entries,
                Err(problem) => {
                    found.warnings.push(format!("{}: project {path}: {problem}", source.place.path.display()));
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
            discover::add(search, source, Scope::Local, project, entries, found);
        }
    }
}

/// The projects that the user's file knows.
fn entries(source: &Source) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let table = source.document.root.get("projects").and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(path, settings)| Some((path, settings.as_object()?)))
}

/// What the user's settings switch off in every project.
fn users_settings(search: &Search<'_>) -> Result<Vec<(String, String)>, String> {
    let home = search.surroundings.home.as_ref().map(|home| home.join(".claude"));
    let directory = search.surroundings.path_var("CLAUDE_CONFIG_DIR").or(home);
    directory.map_or(Ok(Vec::new()), |directory| settings(&directory.join("settings.json")))
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
