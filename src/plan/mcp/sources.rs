//! The clients' files, found and read: what each says, and whether what it names may be started.
//!
//! The user's own files are read where they lie. Everything else (files that the configuration names, projects) may
//! lie on a mount that never answers, and is looked at with [`timeout`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde_json::json;

use super::clients::{self, Scope, by_contents, by_path};
use super::document::{self, Document, Syntax, Table};
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
    let named = named_files(&settings.mcp.config_files, deadline);
    if !discover && named.is_empty() {
        return Vec::new();
    }
    let mut rules = Rules { discover, named: named.keys().cloned().collect(), own: BTreeSet::new(), trusted };
    let mut read: Read = places::own(environment).into_iter().flat_map(|file| rules.read(&file)).collect();
    let local: Vec<Source> = read.iter().flatten().flat_map(|source| local_lists(source, deadline)).collect();
    read.extend(local.into_iter().map(Ok));
    for client in clients::all().iter().filter(|_| discover) {
        let lists = plugins::lists(client, environment, deadline, warnings);
        read.extend(lists.iter().flat_map(|file| rules.read(file)));
    }
    let canonical = |read: &Read| read.iter().flatten().map(|source| source.canonical.clone()).collect::<BTreeSet<_>>();
    rules.own = canonical(&read);
    let projects = projects(environment, repositories(settings), deadline, warnings);
    for (project, found) in projects.iter().zip(rules.read_projects(&projects, deadline)) {
        read.extend(found.unwrap_or_else(|| vec![Err(does_not_answer(&project.directory))]));
    }
    // Where the table of clients knows a named file, it has been read as that client's, and allowed there.
    let known = canonical(&read);
    read.extend(named.into_iter().filter(|(path, _)| !known.contains(path)).flat_map(|(_, read)| read));
    let (sources, problems): (Read, Read) = read.into_iter().partition(Result::is_ok);
    warnings.extend(problems.into_iter().filter_map(Result::err).map(|problem| problem.to_string()));
    sources.into_iter().flatten().collect()
}

/// The files that lab-probe's configuration names, by their canonical paths, each read as what it seems to be.
fn named_files(files: &[PathBuf], deadline: Deadline) -> BTreeMap<PathBuf, Read> {
    let read = |path: &PathBuf| match std::fs::canonicalize(path) {
        Ok(canonical) => {
            let whose = |root: &Table| named_by_hand(path, root);
            (canonical.clone(), read_file(path, canonical, USER_LIMIT, None, whose))
        }
        Err(e) => (path.clone(), vec![Err(anyhow!("{}: {e} (named in mcp.config_files)", path.display()))]),
    };
    let found = timeout::each(files.to_vec(), timeout::LIMIT, deadline, |path| vec![path.clone()], read);
    let no_answer = |path: &PathBuf| (path.clone(), vec![Err(does_not_answer(path))]);
    files.iter().zip(found).map(|(path, found)| found.unwrap_or_else(|| no_answer(path))).collect()
}

/// Whose list a file seems to be that the configuration names.
fn named_by_hand(path: &Path, root: &Table) -> anyhow::Result<ListFile> {
    // An empty file is anybody's.
    let generic = || (root.is_empty() || readers::looks_flat(root)).then(clients::generic);
    let by_contents = || by_contents(Syntax::of(path), root).or_else(generic).map(|client| (client, 1));
    let Some((client, depth)) = by_path(path, |_| true).or_else(by_contents) else {
        bail!("{}: holds no list of MCP servers in a form lab-probe knows", path.display());
    };
    // What remains when the client's part of the path is taken away.
    let absolute = std::path::absolute(path)?;
    let project = Some(places::project_at(absolute.ancestors().nth(depth).unwrap_or(Path::new("/"))));
    Ok(ListFile { client, scope: Scope::Config, path: path.to_owned(), project, plugin: None })
}

/// The lists for single projects in the user's own file (Claude Code), each as a source of its own. A project's file with a
/// `projects` table must not speak for the user.
pub(super) fn local_lists(source: &Source, deadline: Deadline) -> Vec<Source> {
    let of_user = Some(source).filter(|source| source.file.client.has_local_lists && source.file.scope == Scope::User);
    let table = of_user.and_then(|source| source.document.root.get("projects")?.as_object());
    let says = |settings: &Table| {
        let keys = ["mcpServers", "disabledMcpServers", "disabledMcpjsonServers"];
        keys.iter().filter_map(|key| settings.get(*key)).any(|value| *value != json!({}) && *value != json!([]))
    };
    let listed = table.into_iter().flatten().filter_map(|(path, settings)| Some((path, settings.as_object()?)));
    let listed: Vec<(&String, &Table)> = listed.filter(|(_, settings)| says(settings)).collect();
    let directories: Vec<PathBuf> = listed.iter().map(|(path, _)| PathBuf::from(path)).collect();
    let files = timeout::files_of_repository;
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

/// The projects of the configured repositories and those around the working directory, each once. What both have comes first, as
/// found from anywhere: whose server keeps a name must not depend on where somebody stands.
pub(super) fn projects(
    environment: &HostEnvironment,
    repositories: &[PathBuf],
    deadline: Deadline,
    warnings: &mut Vec<String>,
) -> Vec<Project> {
    let (home, cwd) = (environment.home.clone(), environment.cwd.clone());
    let (files, limit) = (timeout::files_of_repository, timeout::FOR_REPOSITORY);
    let worktrees =
        timeout::each(repositories.to_vec(), limit, deadline, files, move |path| places::worktrees(path, deadline));
    let around = timeout::each(cwd.iter().cloned().collect(), limit, deadline, files, move |cwd| {
        places::around(cwd, home.as_deref(), deadline)
    });
    let mut projects: Vec<Project> = Vec::new();
    for (path, found) in repositories.iter().chain(&cwd).zip(worktrees.into_iter().chain(around)) {
        match found {
            Some(found) => projects.extend(found),
            None => warnings.push(does_not_answer(path).to_string()),
        }
    }
    let mut seen = BTreeSet::new();
    projects.retain(|project| seen.insert(project.directory.clone()));
    projects
}

fn does_not_answer(path: &Path) -> anyhow::Error {
    anyhow!("{}: the file system does not answer in time; its servers are left out", path.display())
}

impl Rules {
    fn read_projects(self, projects: &[Project], deadline: Deadline) -> Vec<Option<Read>> {
        let files = |project: &Project| {
            let lists = places::of_project(project).into_iter().map(|file| file.path);
            [project.directory.clone()].into_iter().chain(lists).collect()
        };
        timeout::each(projects.to_vec(), timeout::LIMIT, deadline, files, move |project| {
            places::of_project(project).iter().flat_map(|file| self.read(file)).collect()
        })
    }

    fn read(&self, file: &ListFile) -> Read {
        let paths = places::expanded(&file.path).into_iter();
        paths.flat_map(|path| self.read_one(ListFile { path, ..file.clone() })).collect()
    }

    fn read_one(&self, mut file: ListFile) -> Read {
        let shown = file.path.display().to_string();
        // Most files are not there: one lstat(2) tells. A link to nothing is there, and said.
        let canonical = match std::fs::symlink_metadata(&file.path) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Read::new(),
            found => found.and_then(|_| std::fs::canonicalize(&file.path)),
        };
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(e) if self.discover => {
                return vec![Err(anyhow!("{shown}: {}; its servers are left out", explained(&e)))];
            }
            Err(_) => return Read::new(),
        };
        let is_named = self.named.contains(&canonical);
        if !(self.discover || is_named) || self.own.contains(&canonical) {
            return Read::new();
        }
        if let Some(project) = &mut file.project {
            if file.plugin.is_none() && !is_named && !is_inside(&canonical, &project.directory) {
                return vec![Err(anyhow!(
                    "{shown}: a symbolic link out of its project is not followed; name the file in mcp.config_files"
                ))];
            }
            project.only_here &= !is_named;
        }
        let limit = if file.scope == Scope::Project { PROJECT_LIMIT } else { USER_LIMIT };
        let trusted = Some(&self.trusted).filter(|_| file.scope == Scope::Project && !is_named);
        read_file(&file.path.clone(), canonical, limit, trusted, |_| Ok(file))
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
    whose: impl FnOnce(&Table) -> anyhow::Result<ListFile>,
) -> Read {
    let shown = path.display();
    let Contents { bytes, document, exposure } = match Contents::of(path, limit) {
        Ok(contents) => contents,
        Err(e) => return vec![Err(anyhow!("{e}; its servers are left out"))],
    };
    let mut read = Read::new();
    let refusal = match exposure {
        Some(exposure) => {
            read.push(Err(anyhow!("{shown}: its servers are not started: {exposure}")));
            Some((exposure.finding, format!("run `{}`", exposure.remedy)))
        }
        None => trusted.and_then(|trusted| {
            let unknown = "is a project's file, and nobody has allowed its servers to be started";
            trusted.refusal(&canonical, &trust::digest(&bytes), unknown)
        }),
    };
    let refusal = refusal.map(|(why, hint)| Failure::new(Reason::Untrusted, why).with_hint(hint));
    read.push(whose(&document.root).and_then(|file| {
        let lists = switches::of_project(&file)?;
        Ok(Source { file, canonical, document, refusal, lists, listed_for: None })
    }));
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
        let (bytes, exposure) = read.map_err(|e| anyhow!("{shown}: {}", explained(&e)))?;
        let document = document::parse(&bytes, Syntax::of(path))
            .map_err(|e| anyhow!("{shown}:{}:{}: {}", e.line, e.column, e.message))?;
        Ok(Contents { bytes, document, exposure })
    }
}
