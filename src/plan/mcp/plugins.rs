//! Installed plugins and extensions, whose servers the user runs like those of their own list.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wildmatch::WildMatch;

use super::clients::{Client, Layout, Location, Plugins, Scope};
use super::document::Table;
use super::places::{self, ListFile, MAX_FILES, Plugin, Project};
use super::switches;
use crate::clock::Deadline;
use crate::config::environment::HostEnvironment;
use crate::fs::explained;
use crate::plan::timeout;

/// A plugin's directory, what switches it off, and the one project that it is for.
type Installed = (PathBuf, Option<String>, Option<Project>);

pub(super) fn lists(
    client: &'static Client,
    host: &HostEnvironment,
    deadline: Deadline,
    warnings: &mut Vec<String>,
) -> Vec<ListFile> {
    let mut files = Vec::new();
    for kind in &client.plugins {
        let Some(directory) = places::locate(&kind.directory, host) else { continue };
        if let Err(e) = std::fs::read_dir(&directory) {
            if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                warnings.push(format!("{}: {}; its plugins are left out", directory.display(), explained(&e)));
            }
            continue;
        }
        let installed = match &kind.layout {
            Layout::Each { enablement } => each(&directory, enablement.as_deref(), host, warnings),
            Layout::Cache { registry, enabled, key } => {
                let user = enabled.iter().find_map(|file| places::locate(file, host));
                let user = user.map(|path| read(&path, warnings)).unwrap_or_default();
                let registry = registry.as_ref().map(|name| read(&directory.join(name), warnings)).unwrap_or_default();
                let records = records(&registry);
                let mut installed = cached(&directory, &records, &user, key);
                installed.extend(for_projects(records, enabled, key, deadline));
                installed
            }
            Layout::Newest => {
                let plugins = directories(&directory).into_iter().flat_map(|market| directories(&market));
                // Cursor marks a version that it has downloaded whole.
                let written = |path: &PathBuf| {
                    let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
                    (path.join(".cache-complete").exists(), modified)
                };
                let newest = plugins.filter_map(|plugin| directories(&plugin).into_iter().max_by_key(written));
                newest.map(|directory| (directory, None, None)).collect()
            }
        };
        for (directory, off, project) in installed {
            let plugin = Plugin { directory, kind, off };
            files.extend(of_plugin(&plugin, warnings).into_iter().map(|path| ListFile {
                client,
                scope: Scope::Plugin,
                path,
                project: project.clone(),
                plugin: Some(plugin.clone()),
            }));
        }
    }
    files
}

fn of_plugin(plugin: &Plugin, warnings: &mut Vec<String>) -> Vec<PathBuf> {
    let Plugins { lists, manifest, .. } = plugin.kind;
    let mut files: Vec<PathBuf> =
        lists.iter().map(|name| plugin.directory.join(name)).filter(|path| path.exists()).take(1).collect();
    let Some(manifest) = manifest.as_ref().map(|name| plugin.directory.join(name)) else { return files };
    let named = read(&manifest, warnings).remove("mcpServers").unwrap_or_default();
    let below = |path: &Value| {
        let path = plugin.directory.join(path.as_str()?.trim_start_matches("./"));
        path.components().all(|part| part != std::path::Component::ParentDir).then_some(path)
    };
    match &named {
        Value::Object(_) => files.push(manifest),
        Value::Array(paths) => files.extend(paths.iter().filter_map(below)),
        path => files.extend(below(path)),
    }
    files.sort();
    files.dedup();
    files
}

fn each(
    directory: &Path,
    enablement: Option<&str>,
    host: &HostEnvironment,
    warnings: &mut Vec<String>,
) -> Vec<Installed> {
    let rules = enablement.map(|name| read(&directory.join(name), warnings)).unwrap_or_default();
    let home = host.home.as_deref().map(|home| format!("{}/", home.display())).unwrap_or_default();
    let off = |directory: &Path| {
        let name = directory.file_name()?.to_str()?;
        let rules = rules.get(name)?.get("overrides")?.as_array()?;
        // Of the rules for a directory the last one that matches counts; a timer's pass stands in none, so the home's do.
        let rule = rules
            .iter()
            .rev()
            .filter_map(Value::as_str)
            .find(|rule| WildMatch::new(rule.trim_start_matches('!')).matches(&home))?;
        rule.starts_with('!').then(|| format!("its extension {name} is switched off"))
    };
    directories(directory).into_iter().map(|directory| (linked(&directory, warnings), off(&directory), None)).collect()
}

/// Where an extension that is only linked really lies (Gemini CLI's `extensions link`).
fn linked(directory: &Path, warnings: &mut Vec<String>) -> PathBuf {
    let metadata = read(&directory.join(".gemini-extension-install.json"), warnings);
    match (metadata.get("type").and_then(Value::as_str), metadata.get("source").and_then(Value::as_str)) {
        (Some("link"), Some(source)) => PathBuf::from(source),
        _ => directory.to_owned(),
    }
}

/// Where a plugin was installed, by `NAME@MARKETPLACE`, and for which project, if for one.
type Record = (String, Option<PathBuf>, PathBuf);

/// Where Claude Code says that plugins are: a place for each scope that one was installed for.
fn records(registry: &Table) -> Vec<Record> {
    let plugins = registry.get("plugins").and_then(Value::as_object).into_iter().flatten();
    let records = plugins.flat_map(|(id, records)| {
        let records = records.as_array().map_or(std::slice::from_ref(records), Vec::as_slice);
        let path = |record: &Value, key: &str| record.get(key).and_then(Value::as_str).map(PathBuf::from);
        let record = move |one| Some((id.clone(), path(one, "projectPath"), path(one, "installPath")?));
        records.iter().filter_map(record)
    });
    records.take(MAX_FILES).collect()
}

/// The plugins that the client's settings name, each in its newest version.
fn cached(directory: &Path, records: &[Record], settings: &Table, key: &str) -> Vec<Installed> {
    let named = settings.get(key).and_then(Value::as_object);
    let plugin = |(id, state): (&String, &Value)| {
        let (name, market) = id.rsplit_once('@')?;
        let is_on = *state == Value::Bool(true) || state.get("enabled").is_some_and(|on| *on != Value::Bool(false));
        let registered = records.iter().rfind(|(of, project, _)| of == id && project.is_none());
        let registered = registered.map(|(_, _, path)| path.clone()).filter(|path| path.is_dir());
        let newest = || newest(&directory.join("cache").join(market).join(name));
        let off = (!is_on).then(|| format!("its plugin {id} is switched off"));
        Some((registered.or_else(newest)?, off, None))
    };
    named.into_iter().flatten().take(MAX_FILES).filter_map(plugin).collect()
}

/// The plugins that were installed for one project, where that project's settings have them on. Their code is what the user
/// installed; the project only names it.
fn for_projects(
    records: Vec<Record>,
    settings: &'static [Location],
    key: &'static str,
    deadline: Deadline,
) -> Vec<Installed> {
    let of_project = |(id, project, path): Record| Some((id, project?, path));
    let installed: Vec<(String, PathBuf, PathBuf)> = records.into_iter().filter_map(of_project).collect();
    let files = |(_, project, _): &(String, PathBuf, PathBuf)| timeout::files_of_repository(project);
    let installed = timeout::each(installed, timeout::LIMIT, deadline, files, move |(id, directory, path)| {
        let project = places::project_at(directory);
        let state = |file| switches::settings(&project.locate(file)?).ok()?.get(key)?.get(id)?.as_bool();
        (settings.iter().find_map(state) == Some(true)).then(|| (path.clone(), None, Some(project)))
    });
    installed.into_iter().flatten().flatten().collect()
}

/// The newest of the versions in a directory; `local` is newer than any.
fn newest(directory: &Path) -> Option<PathBuf> {
    let version = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbers: Vec<u64> = name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        (name == "local", numbers, name)
    };
    directories(directory).into_iter().max_by_key(version)
}

fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(MAX_FILES).flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

fn read(path: &Path, warnings: &mut Vec<String>) -> Table {
    let settings = switches::settings(path);
    warnings.extend(settings.as_ref().err().map(|why| format!("{why}; the plugins it names are left out")));
    settings.unwrap_or_default()
}
