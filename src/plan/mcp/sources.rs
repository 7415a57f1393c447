//! The clients' files, found and read: what each says, and whether what it names may be started.
//!
//! The user's own files are read where they lie. Everything else (files that the configuration names, projects) may
//! lie on a mount that never answers, and is looked at with [`timeout`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value, json};

use super::clients::{self, Scope, by_contents, by_path};
use super::document::{self, Document, Syntax};
use super::inspect::PROJECT_LIMIT;
use super::places::{self, ListFile, Project};
use super::switches::{self, List};
use super::{plugins, readers, repositories};
use crate::clock::Deadline;
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::fs::access::{self, Exposure};
use crate::fs::explained;
use crate::model::reason::{Failure, Reason};
use crate::plan::timeout;
use crate::trust::{self, TrustStore};

/// The most that is read of a user's own file: `~/.claude.json` keeps histories and grows to several MiB.
pub(super) const USER_LIMIT: u64 = 16 << 20;

pub(super) struct Source {
    pub(super) file: ListFile,
    /// The file, symbolic links resolved.
    pub(super) canonical: PathBuf,
    pub(super) document: Document,
    pub(super) refusal: Option<Failure>,
    /// Lists in other files of its project that switch servers off.
    pub(super) lists: Vec<List>,
    /// The directory that a list of one project in the user's own file is for, as written there.
    pub(super) listed_for: Option<String>,
}

impl Source {
    pub(super) fn shown(&self) -> String {
        let project = self.listed_for.iter().map(|directory| format!(": project {directory}"));
        [self.file.path.display().to_string()].into_iter().chain(project).collect()
    }
}

/// What came of files: what each says, or a sentence about what is wrong with it.
type Read = Vec<anyhow::Result<Source>>;

fn keep(read: Read, sources: &mut Vec<Source>, warnings: &mut Vec<String>) {
    for source in read {
        match source {
            Ok(source) => sources.push(source),
            Err(problem) => warnings.push(problem.to_string()),
        }
    }
}

struct Rules {
    discover: bool,
    /// Canonical paths of `config_files`.
    named: BTreeSet<PathBuf>,
    /// Canonical paths of the user's own files: never read again as a project's.
    own: BTreeSet<PathBuf>,
    trusted: TrustStore,
}

/// What could be read: the user's files, the projects', and what only the configuration names.
pub(super) fn collect(
    settings: &Settings,
    environment: &HostEnvironment,
    trusted: TrustStore,
    deadline: Deadline,
    warnings: &mut Vec<String>,
) -> Vec<Source> {
    let discover = settings.mcp.discover;
    let named = named_files(&settings.mcp.config_files, deadline, warnings);
    let mut sources = Vec::new();
    if !discover && named.is_empty() {
        return sources;
    }
    let mut rules = Rules { discover, named: named.keys().cloned().collect(), own: BTreeSet::new(), trusted };
    for file in places::own(environment) {
        keep(rules.read(file), &mut sources, warnings);
    }
    let local: Vec<Source> = sources.iter().flat_map(|source| local_lists(source, deadline)).collect();
    sources.extend(local);
    for client in clients::all().iter().filter(|_| discover) {
        for file in plugins::lists(client, environment, deadline, warnings) {
            keep(rules.read(file), &mut sources, warnings);
        }
    }
    rules.own = sources.iter().map(|source| source.canonical.clone()).collect();
    let projects = projects(environment, repositories(settings), deadline, warnings);
    for (project, read) in projects.iter().zip(rules.read_projects(&projects, deadline)) {
        match read {
            Some(read) => keep(read, &mut sources, warnings),
            None => warnings.push(does_not_answer(&project.directory)),
        }
    }
    // Where the table of clients knows a named file, it has been read as that client's, and allowed there.
    let known: BTreeSet<PathBuf> = sources.iter().map(|source| source.canonical.clone()).collect();
    for (_, read) in named.into_iter().filter(|(canonical, _)| !known.contains(canonical)) {
        keep(read, &mut sources, warnings);
    }
    sources
}

/// The files that lab-probe's configuration names, by their canonical paths, each read as what it seems to be.
fn named_files(files: &[PathBuf], deadline: Deadline, warnings: &mut Vec<String>) -> BTreeMap<PathBuf, Read> {
    let read = |path: &PathBuf| {
        let canonical = std::fs::canonicalize(path)?;
        Ok::<_, io::Error>((
            canonical.clone(),
            read_file(path, canonical, USER_LIMIT, None, |root| named_by_hand(path, root)),
        ))
    };
    let found = timeout::each(files.to_vec(), timeout::LIMIT, deadline, |path| vec![path.clone()], read);
    let mut named = BTreeMap::new();
    for (path, found) in files.iter().zip(found) {
        match found {
            Some(Ok((canonical, read))) => drop(named.insert(canonical, read)),
            Some(Err(error)) => warnings.push(format!("{}: {error} (named in mcp.config_files)", path.display())),
            None => warnings.push(does_not_answer(path)),
        }
    }
    named
}

/// Whose list a file seems to be that the configuration names.
fn named_by_hand(path: &Path, root: &Map<String, Value>) -> anyhow::Result<ListFile> {
    // An empty file is anybody's.
    let generic = || (root.is_empty() || readers::looks_flat(root)).then(clients::generic);
    let Some(client) = by_path(path).or_else(|| by_contents(Syntax::of(path), root)).or_else(generic) else {
        bail!("{}: holds no list of MCP servers in a form lab-probe knows", path.display());
    };
    let project = Some(places::project_at(&places::directory_of(path, client)));
    Ok(ListFile { client, scope: Scope::Config, path: path.to_owned(), project, plugin: None })
}

/// The lists for single projects in the user's own file (Claude Code), each as a source of its own. A project's file with a
/// `projects` table must not speak for the user.
pub(super) fn local_lists(source: &Source, deadline: Deadline) -> Vec<Source> {
    let of_user = Some(source).filter(|source| source.file.client.has_local_lists && source.file.scope == Scope::User);
    let table = of_user.and_then(|source| source.document.root.get("projects")?.as_object());
    let says = |settings: &Map<String, Value>| {
        let keys = ["mcpServers", "disabledMcpServers", "disabledMcpjsonServers"];
        keys.iter().filter_map(|key| settings.get(*key)).any(|value| *value != json!({}) && *value != json!([]))
    };
    let listed = table.into_iter().flatten().filter_map(|(path, settings)| Some((path, settings.as_object()?)));
    let listed: Vec<(&String, &Map<String, Value>)> = listed.filter(|(_, settings)| says(settings)).collect();
    let directories: Vec<PathBuf> = listed.iter().map(|(path, _)| PathBuf::from(path)).collect();
    let files = |path: &PathBuf| timeout::files_of_repository(path);
    let projects = timeout::each(directories, timeout::LIMIT, deadline, files, |path| {
        path.is_dir().then(|| places::project_at(path))
    });
    let lists = listed.into_iter().zip(projects).map(|((path, settings), project)| Source {
        file: ListFile { scope: Scope::Local, project: project.flatten(), ..source.file.clone() },
        canonical: source.canonical.clone(),
        document: Document { root: settings.clone(), relaxed: source.document.relaxed },
        refusal: source.refusal.clone(),
        lists: Vec::new(),
        listed_for: Some(path.clone()),
    });
    lists.collect()
}

/// The projects around the working directory and those of the configured repositories, each once.
pub(super) fn projects(
    environment: &HostEnvironment,
    repositories: &[PathBuf],
    deadline: Deadline,
    warnings: &mut Vec<String>,
) -> Vec<Project> {
    let home = environment.home.clone();
    let cwd = environment.cwd.clone();
    let paths: Vec<PathBuf> = cwd.iter().chain(repositories).cloned().collect();
    let roots = paths.iter().cloned().enumerate().collect();
    let files = |(_, path): &(usize, PathBuf)| timeout::files_of_repository(path);
    let found =
        timeout::each(roots, timeout::FOR_REPOSITORY, deadline, files, move |(index, path)| match (index, &cwd) {
            (0, Some(_)) => places::around(path, home.as_deref(), deadline),
            _ => places::worktrees(path, deadline),
        });
    let mut projects = Vec::new();
    for (path, found) in paths.iter().zip(found) {
        match found {
            Some(found) => projects.extend(found),
            None => warnings.push(does_not_answer(path)),
        }
    }
    let named: BTreeSet<PathBuf> = projects.iter().filter(|p| !p.only_here).map(|p| p.directory.clone()).collect();
    let mut seen = BTreeSet::new();
    projects.retain(|project| seen.insert(project.directory.clone()));
    projects.iter_mut().for_each(|project| project.only_here &= !named.contains(&project.directory));
    projects
}

fn in_project(project: &Project) -> Vec<PathBuf> {
    [project.directory.clone()]
        .into_iter()
        .chain(places::of_project(project).into_iter().map(|file| file.path))
        .collect()
}

fn does_not_answer(path: &Path) -> String {
    format!("{}: the file system does not answer in time; its servers are left out", path.display())
}

impl Rules {
    fn read_projects(self, projects: &[Project], deadline: Deadline) -> Vec<Option<Read>> {
        let rules = Arc::new(self);
        timeout::each(projects.to_vec(), timeout::LIMIT, deadline, in_project, move |project| {
            places::of_project(project).into_iter().flat_map(|file| rules.read(file)).collect()
        })
    }

    fn read(&self, file: ListFile) -> Read {
        let paths = places::expanded(&file.path).into_iter();
        paths.flat_map(|path| self.read_one(ListFile { path, ..file.clone() })).collect()
    }

    fn read_one(&self, mut file: ListFile) -> Read {
        // Most files are not there: one lstat(2) tells. A link to nothing is there, and said.
        let canonical = match std::fs::symlink_metadata(&file.path) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Read::new(),
            found => found.and_then(|_| std::fs::canonicalize(&file.path)),
        };
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(e) if self.discover => {
                let (shown, why) = (file.path.display(), explained(&e));
                return vec![Err(anyhow!("{shown}: {why}; its servers are left out"))];
            }
            Err(_) => return Read::new(),
        };
        let is_named = self.named.contains(&canonical);
        if !(self.discover || is_named) || self.own.contains(&canonical) {
            return Read::new();
        }
        if let Some(project) = &mut file.project {
            if file.plugin.is_none() && !is_named && !is_inside(&canonical, &project.directory) {
                let shown = file.path.display();
                return vec![Err(anyhow!(
                    "{shown}: a symbolic link out of its project is not followed; name the file in mcp.config_files"
                ))];
            }
            project.only_here &= !is_named;
        }
        let limit = if file.scope == Scope::Project { PROJECT_LIMIT } else { USER_LIMIT };
        let trusted = Some(&self.trusted).filter(|_| file.scope == Scope::Project && !is_named);
        let path = file.path.clone();
        read_file(&path, canonical, limit, trusted, |_| Ok(file))
    }
}

pub(super) fn is_inside(canonical: &Path, directory: &Path) -> bool {
    std::fs::canonicalize(directory).is_ok_and(|directory| canonical.starts_with(directory))
}

/// Reads a file that `whose` knows by what is in it; `trusted` is what allows a project's.
fn read_file(
    path: &Path,
    canonical: PathBuf,
    limit: u64,
    trusted: Option<&TrustStore>,
    whose: impl FnOnce(&Map<String, Value>) -> anyhow::Result<ListFile>,
) -> Read {
    let shown = path.display();
    let Contents { bytes, document, exposure } = match Contents::of(path, limit) {
        Ok(contents) => contents,
        // A file that is gone since it was seen is none.
        Err(e) if e.downcast_ref().is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::NotFound) => {
            return Read::new();
        }
        Err(e) => return vec![Err(anyhow!("{e}; its servers are left out"))],
    };
    let mut read = Read::new();
    let refusal = match exposure {
        Some(exposure) => {
            // A hole to mend.
            read.push(Err(anyhow!("{shown}: its servers are not started: {exposure}")));
            Some(Failure::new(Reason::Untrusted, exposure.finding).with_hint(format!("run `{}`", exposure.remedy)))
        }
        None => trusted.and_then(|trusted| {
            let unknown = "is a project's file, and nobody has allowed its servers to be started";
            let (detail, hint) = trusted.refusal(&canonical, &trust::digest(&bytes), unknown)?;
            Some(Failure::new(Reason::Untrusted, detail).with_hint(hint))
        }),
    };
    let source = whose(&document.root).and_then(|file| {
        let lists = switches::beside(&file)?;
        Ok(Source { file, canonical, document, refusal, lists, listed_for: None })
    });
    read.push(source);
    read
}

/// What a file holds, and whether others could have written it.
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
    pub(super) exposure: Option<Exposure>,
}

impl Contents {
    pub(super) fn of(path: &Path, limit: u64) -> anyhow::Result<Self> {
        let shown = path.display();
        let opened = crate::fs::open_regular(path);
        let read = opened.and_then(|file| Ok((crate::fs::read_open(&file, limit)?, access::exposure(path, &file)?)));
        let (bytes, exposure) = read.map_err(|e| {
            let text = format!("{shown}: {}", explained(&e));
            anyhow::Error::new(e).context(text)
        })?;
        let document = document::parse(&bytes, Syntax::of(path))
            .map_err(|e| anyhow!("{shown}:{}:{}: {}", e.line, e.column, e.message))?;
        Ok(Contents { bytes, document, exposure })
    }
}
