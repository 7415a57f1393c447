//! Reads the clients' files and says what servers they name and which of them may be asked.
//!
//! One file that cannot be read is a warning with its place, never the end of discovery. A file that others may write,
//! and a project's file that nobody has allowed, is read all the same, so that its servers are listed; but nothing it
//! names is started, sent or opened.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::claude;
use super::clients::{Client, GENERIC, Scope, Shape, by_container, by_path};
use super::document::{self, Document, Syntax};
use super::entry::{Entry, How};
use super::gemini;
use super::inspect::PROJECT_LIMIT;
use super::merge::Candidate;
use super::places::{self, Place, Project};
use super::readers;
use super::resolve::Scene;
use super::trust::{self, Standing, TrustStore};
use crate::fs::access::{self, Exposure};
use crate::model::reason::{Failure, Reason};
use crate::plan::surroundings::Surroundings;

/// The most that is read of a user's own file: `~/.claude.json` keeps histories and grows to several MiB.
const USER_LIMIT: u64 = 16 << 20;

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

/// A client's file, read.
#[derive(Debug)]
pub(super) struct Source {
    /// Whose it is, which list, where.
    pub(super) place: Place,
    /// What it says.
    pub(super) document: Document,
    /// Why its servers may not be started, if so.
    pub(super) gate: Option<Failure>,
}

/// Looks at every place and reads every server.
pub(super) fn discover(search: &Search<'_>) -> Found {
    let mut found = Found::default();
    let sources = sources(search, &mut found.warnings);
    let exclusive = claude::exclusive(&sources);
    let gemini = gemini::Lists::of(&sources);
    for source in &sources {
        let before = found.candidates.len();
        match &source.place.client.shape {
            Shape::ClaudeCode => claude::read(search, source, &sources, &mut found),
            Shape::Servers(keys) => read(search, source, readers::servers(&source.document.root, keys), &mut found),
            Shape::Gemini(keys) => {
                let entries =
                    readers::servers(&source.document.root, keys).map(|entries| gemini.apply(source, entries));
                read(search, source, entries, &mut found);
            }
        }
        if let Some(failure) = exclusive.as_ref().filter(|_| claude::is_excluded(source)) {
            for candidate in &mut found.candidates[before..] {
                candidate.resolved.reach = crate::model::mcp::Reach::Unreachable(failure.clone());
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
    let scene = Scene {
        client,
        surroundings: search.surroundings,
        file: &source.place.path,
        project,
        gate: source.gate.as_ref(),
        ca_file: search.ca_file,
    };
    for entry in entries {
        if entry.name.is_empty() {
            found.warnings.push(format!("{}: a server without a name is left out", source.place.path.display()));
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

/// Variables that a client passes on where they are set: an unset one is no failure, but often the reason for one.
fn unset_variables(entry: &Entry, surroundings: &Surroundings) -> Option<String> {
    let How::Stdio(stdio) = &entry.how else { return None };
    let unset: Vec<&str> =
        stdio.inherit.iter().map(String::as_str).filter(|name| surroundings.var(name).is_none()).collect();
    (!unset.is_empty()).then(|| format!("not set, so not passed on: {}", unset.join(", ")))
}

/// Every file that is there, read; a file that is somebody's own is not read a second time as a project's.
fn sources(search: &Search<'_>, warnings: &mut Vec<String>) -> Vec<Source> {
    let named = named_files(search.config_files, warnings);
    let projects = places::projects(search.surroundings, search.repositories);
    let mut read = BTreeSet::new();
    let mut usual = Vec::new();
    for place in places::places(search.surroundings, &projects) {
        let Ok(canonical) = std::fs::canonicalize(&place.path) else {
            warnings.extend(search.discover.then(|| unreachable_place(&place.path)).flatten());
            continue;
        };
        let named = named.contains_key(&canonical);
        let first = read.insert(canonical.clone());
        if (search.discover || named) && (first || place.scope != Scope::Project) {
            usual.extend(usual_source(place, &canonical, named, search.trusted, warnings));
        }
    }
    // Where the table of clients knows a named file, it has been read as that client's, and allowed there.
    let others = named.iter().filter(|(canonical, _)| !read.contains(*canonical));
    let mut sources: Vec<Source> = others.filter_map(|(_, path)| named_source(path, warnings)).collect();
    sources.extend(usual);
    sources
}

/// The files of `config_files` by their canonical paths.
fn named_files(files: &[PathBuf], warnings: &mut Vec<String>) -> BTreeMap<PathBuf, PathBuf> {
    let mut named = BTreeMap::new();
    for path in files {
        match std::fs::canonicalize(path) {
            Ok(canonical) => drop(named.insert(canonical, path.clone())),
            Err(error) => warnings.push(format!("{}: {error} (named in mcp.config_files)", path.display())),
        }
    }
    named
}

/// A place that cannot be resolved is silence when nothing is there, else a warning.
fn unreachable_place(path: &Path) -> Option<String> {
    match std::fs::symlink_metadata(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(e) => Some(format!("{}: {e}", path.display())),
        Ok(_) => Some(format!("{}: a symbolic link that leads nowhere", path.display())),
    }
}

/// A file in a client's usual place.
fn usual_source(
    place: Place,
    canonical: &Path,
    named: bool,
    trusted: &TrustStore,
    warnings: &mut Vec<String>,
) -> Option<Source> {
    let outside = place.project.as_ref().filter(|project| !is_inside(canonical, &project.directory));
    if outside.is_some() && !named {
        let shown = place.path.display();
        warnings.push(format!(
            "{shown}: a symbolic link out of its project is not followed; name the file in mcp.config_files"
        ));
        return None;
    }
    let limit = if place.scope == Scope::Project { PROJECT_LIMIT } else { USER_LIMIT };
    let file = read_file(&place.path, limit, warnings)?;
    let document = parse(&place.path, &file.bytes, place.client.syntax, warnings)?;
    let to_be_trusted = place.scope == Scope::Project && !named;
    let untrusted = || to_be_trusted.then(|| untrusted(canonical, &file.bytes, trusted)).flatten();
    let gate = file.exposed.or_else(untrusted);
    Some(Source { place, document, gate })
}

fn is_inside(canonical: &Path, directory: &Path) -> bool {
    std::fs::canonicalize(directory).is_ok_and(|directory| canonical.starts_with(directory))
}

/// A file that only lab-probe's configuration names.
fn named_source(path: &Path, warnings: &mut Vec<String>) -> Option<Source> {
    let ReadFile { bytes, exposed: gate } = read_file(path, USER_LIMIT, warnings)?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let by_name = by_path(path);
    let syntax = by_name.map_or(
        match extension {
            Some("toml") => Syntax::Toml,
            Some("yaml" | "yml") => Syntax::Yaml,
            _ => Syntax::Json,
        },
        |client| client.syntax,
    );
    let document = parse(path, &bytes, syntax, warnings)?;
    let client = identify(by_name, syntax, &document.root).or_else(|| {
        warnings.push(format!("{}: holds no list of MCP servers in a form lab-probe knows", path.display()));
        None
    })?;
    let directory = places::directory_of(path, client);
    let project = Some(places::project_at(&directory));
    Some(Source { place: Place { client, scope: Scope::Config, path: path.to_owned(), project }, document, gate })
}

/// Whose file it is: by its path, else by the key its list has. An empty file is anybody's.
fn identify(by_name: Option<&'static Client>, syntax: Syntax, root: &Map<String, Value>) -> Option<&'static Client> {
    by_name.or_else(|| by_container(syntax, |key| root.contains_key(key))).or(root.is_empty().then_some(&GENERIC))
}

/// A file's contents, and why they are not to be believed, if so.
struct ReadFile {
    bytes: Vec<u8>,
    exposed: Option<Failure>,
}

fn read_file(path: &Path, limit: u64, warnings: &mut Vec<String>) -> Option<ReadFile> {
    let opened = crate::fs::open_regular(path);
    match opened.and_then(|file| Ok((crate::fs::read_open(&file, limit)?, access::exposure(path, &file)?))) {
        Ok((bytes, exposure)) => Some(ReadFile { bytes, exposed: exposure.map(|e| exposed(path, &e, warnings)) }),
        // Gone since it was seen.
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => {
            warnings.push(format!("{}: {e}; its servers are left out", path.display()));
            None
        }
    }
}

fn parse(path: &Path, bytes: &[u8], syntax: Syntax, warnings: &mut Vec<String>) -> Option<Document> {
    match document::parse(bytes, syntax) {
        Ok(document) => Some(document),
        Err(e) => {
            let place = format!("{}:{}:{}", path.display(), e.line, e.column);
            warnings.push(format!("{place}: {}; its servers are left out", e.message));
            None
        }
    }
}

/// The failure of every server in a file that others may write; said as a warning, too, because it is a hole to mend.
fn exposed(path: &Path, exposure: &Exposure, warnings: &mut Vec<String>) -> Failure {
    warnings.push(format!("{}: its servers are not started: {exposure}", path.display()));
    Failure::new(Reason::Untrusted, exposure.finding.clone()).with_hint(format!("run `{}`", exposure.remedy))
}

/// The failure of every server in a project's file that is not allowed as it stands.
fn untrusted(canonical: &Path, bytes: &[u8], trusted: &TrustStore) -> Option<Failure> {
    let shown = canonical.display();
    let detail = match trusted.standing(canonical, &trust::digest(bytes)) {
        Standing::Allowed => return None,
        Standing::Changed => format!("{shown} has changed since it was trusted"),
        Standing::Unknown => format!("{shown} is a project's file, and nobody has allowed its servers to be started"),
    };
    let hint = format!("read the file, then run `lab-probe trust {}`", access::quoted(canonical));
    Some(Failure::new(Reason::Untrusted, detail).with_hint(hint))
}
