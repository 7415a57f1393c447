//! Which files to look at: the table of clients, laid over this user's directories and projects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::clients::{self, Client, Location, Plugins, Scope};
use super::sources::{Contents, USER_LIMIT};
use crate::clock::Deadline;
use crate::config::environment::{HostEnvironment, Platform};
use crate::model::worktree::WorktreeTarget;
use crate::plan::worktrees::layout::{self, Repository};

#[derive(Debug, Clone)]
pub(super) struct ListFile {
    pub(super) client: &'static Client,
    pub(super) scope: Scope,
    /// The file, which need not exist. A last component `*` stands for every file of the directory.
    pub(super) path: PathBuf,
    pub(super) project: Option<Project>,
    pub(super) plugin: Option<Plugin>,
}

impl ListFile {
    /// The project it belongs to, if any: where its servers are started, and what `${workspaceFolder}` means.
    pub(super) fn workspace(&self) -> Option<&Path> {
        self.project.as_ref().map(|project| project.directory.as_path())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) directory: PathBuf,
    pub(super) kind: &'static Plugins,
    /// Set when it is switched off: by what.
    pub(super) off: Option<String>,
}

/// A directory whose files can come with a cloned repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Project {
    /// The directory itself: a worktree, or a directory in no repository.
    pub(super) directory: PathBuf,
    /// What all worktrees of one repository have in common: its common git directory; else the directory.
    pub(super) repository: PathBuf,
    /// Whether it is known only because it is the current directory, or its repository.
    pub(super) only_here: bool,
}

/// The places of the user and of the machine.
pub(super) fn own(environment: &HostEnvironment) -> Vec<ListFile> {
    let mut seen = BTreeSet::new();
    of_clients(None, |file| locate(file, environment).filter(|path| seen.insert(path.clone())))
}

/// The places in a project.
pub(super) fn of_project(project: &Project) -> Vec<ListFile> {
    of_clients(Some(project), |file| project.locate(file))
}

fn of_clients(project: Option<&Project>, mut locate: impl FnMut(&Location) -> Option<PathBuf>) -> Vec<ListFile> {
    let files = clients::all().iter().flat_map(|client| client.files().map(move |(scope, file)| (client, scope, file)));
    files
        .filter_map(|(client, scope, file)| {
            Some(ListFile { client, scope, path: locate(file)?, project: project.cloned(), plugin: None })
        })
        .collect()
}

impl Project {
    fn of(directory: &Path, repository: Option<&Repository>) -> Project {
        let repository = repository.map_or(directory, |repository| &repository.common_dir).to_owned();
        Project { directory: directory.to_owned(), repository, only_here: false }
    }

    /// Where a file of the project is; `None` for any other.
    pub(super) fn locate(&self, location: &Location) -> Option<PathBuf> {
        let (base, path) = location.split();
        (base == "PROJECT").then(|| self.directory.join(path))
    }
}

/// Where a file of the user or of the machine is; `None` for a project's, for another platform's, and where there is no home.
pub(super) fn locate(location: &Location, environment: &HostEnvironment) -> Option<PathBuf> {
    let home = environment.home.as_deref();
    let is_macos = environment.platform == Platform::MacOs;
    match location.split() {
        ("PROJECT", _) => None,
        // The administrator's files are elsewhere on each platform.
        ("", path) => (path.starts_with("Library/") == is_macos).then(|| environment.root.join(path)),
        ("~", path) => Some(home?.join(path)),
        ("APPLICATION", path) if is_macos => Some(home?.join("Library/Application Support").join(path)),
        // On macOS, too, for the clients that use it there.
        ("APPLICATION" | "CONFIG", path) => xdg(environment, "XDG_CONFIG_HOME", ".config", path),
        ("DATA", path) => xdg(environment, "XDG_DATA_HOME", ".local/share", path),
        (variable, path) => match variable.trim_matches(['$', '{', '}']).split_once(":-~") {
            Some((name, usual)) => {
                let usual = || Some(home?.join(usual.trim_start_matches('/')));
                Some(environment.path_var(name).or_else(usual)?.join(path))
            }
            None => environment.path_var(variable.trim_matches(['$', '{', '}'])),
        },
    }
}

/// The most that is looked at in a directory, which may hold anything.
pub(super) const MAX_FILES: usize = 1000;

/// What a path with a component `*` stands for, in order: every list in the directory, or every file of the rest's name in
/// the directories there. A path without one stands for itself.
pub(super) fn expanded(path: &Path) -> Vec<PathBuf> {
    let star = path.ancestors().find(|above| above.ends_with("*"));
    let Some((star, directory)) = star.and_then(|star| Some((star, star.parent()?))) else {
        return vec![path.to_owned()];
    };
    let below = path.strip_prefix(star).ok().filter(|below| !below.as_os_str().is_empty());
    // Whoever reads the path as it stands is told why not.
    let Ok(entries) = std::fs::read_dir(directory) else { return vec![path.to_owned()] };
    let entries = entries.take(MAX_FILES).flatten();
    let files = entries.filter_map(|entry| match below {
        Some(below) => Some(entry.path().join(below)).filter(|path| path.exists()),
        None => Some(entry.path()).filter(|path| is_list(path)),
    });
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

fn is_list(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && path.extension().is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
}

/// The directory that `variable` names, but the usual one in the home for a file that is only there: the variable may
/// have been set for lab-probe alone, or only in login shells.
fn xdg(environment: &HostEnvironment, variable: &str, usual: &str, below: &str) -> Option<PathBuf> {
    let usual = environment.home.as_ref().map(|home| home.join(usual).join(below));
    let moved = environment.path_var(variable).map(|directory| directory.join(below));
    moved.filter(|moved| moved.exists() || !usual.as_ref().is_some_and(|usual| usual.exists())).or(usual)
}

/// What lies at a directory: a worktree, or a project of its own.
pub(super) fn project_at(directory: &Path) -> Project {
    Project::of(directory, layout::find(directory, false).ok().as_ref())
}

/// The git repositories that clients list as projects, by absolute path, under `projects` of Claude Code's and Codex's own
/// files: of each its main worktree where it is known. Files that cannot be read list nothing.
pub fn listed_repositories(environment: &HostEnvironment) -> Vec<PathBuf> {
    let mut repositories = BTreeMap::new();
    for file in own(environment) {
        let Ok(contents) = Contents::of(&file.path, USER_LIMIT) else { continue };
        let listed = contents.document.root.get("projects").and_then(|projects| projects.as_object());
        let directories = listed.into_iter().flatten().map(|(path, _)| Path::new(path));
        for directory in directories.filter(|path| path.is_absolute()) {
            let Project { directory, repository, .. } = project_at(directory);
            // Its common git directory, unless it is in no repository.
            if repository != directory {
                let main = repository.parent().filter(|_| repository.ends_with(".git")).map(Path::to_owned);
                repositories.insert(repository, main.unwrap_or(directory));
            }
        }
    }
    repositories.into_values().collect()
}

/// The projects of the working directory: its repository, every directory from there up to the top, and the other worktrees.
/// The home is none unless it is a repository: what lies in it is the user's own.
pub(super) fn around(cwd: &Path, home: Option<&Path>, deadline: Deadline) -> Vec<Project> {
    let repository = layout::find(cwd, true).ok();
    if repository.is_none() && (Some(cwd) == home || cwd.parent().is_none()) {
        return Vec::new();
    }
    let top = repository.as_ref().and_then(|repository| repository.entrance.as_ref()).map_or(cwd, |(top, _)| top);
    let upwards = cwd.ancestors().take_while(|directory| directory.starts_with(top));
    let upwards = upwards.map(|directory| Project::of(directory, repository.as_ref()));
    let mut projects: Vec<Project> = upwards.chain(worktrees_of(repository.as_ref(), deadline)).collect();
    projects.iter_mut().for_each(|project| project.only_here = true);
    projects
}

/// Every worktree of the repository at a directory; what is no repository is a project of its own.
pub(super) fn worktrees(directory: &Path, deadline: Deadline) -> Vec<Project> {
    let repository = layout::find(directory, false).ok();
    let own = Project::of(directory, repository.as_ref());
    [own].into_iter().chain(worktrees_of(repository.as_ref(), deadline)).collect()
}

fn worktrees_of(repository: Option<&Repository>, deadline: Deadline) -> impl Iterator<Item = Project> {
    let template = WorktreeTarget::default();
    let worktrees = repository.map(|repository| layout::worktrees(repository, &template, deadline)).unwrap_or_default();
    worktrees.into_iter().map(move |worktree| Project::of(&worktree.path, repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(60))
    }

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().canonicalize().expect("canonical");
        (directory, path)
    }

    fn at(root: &Path, home: Option<&Path>, cwd: &str) -> Vec<PathBuf> {
        let mut found = around(&root.join(cwd), home, late());
        found.dedup();
        found.into_iter().map(|p| p.directory.strip_prefix(root).expect("below").to_owned()).collect()
    }

    #[test]
    fn the_projects_of_a_directory_are_those_up_to_the_top_of_its_repository() {
        let (_kept, root) = tree();
        std::fs::create_dir_all(root.join("a/repo/.git")).expect("directories");
        std::fs::create_dir_all(root.join("a/repo/b/c")).expect("directories");
        std::fs::create_dir_all(root.join("plain/d")).expect("directories");
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(at(&root, None, "a/repo/b/c"), paths(&["a/repo/b/c", "a/repo/b", "a/repo"]));
        assert_eq!(at(&root, None, "plain/d"), paths(&["plain/d"]));
        assert_eq!(at(&root, Some(&root.join("plain")), "plain"), paths(&[]), "the home is no project");
        assert_eq!(at(&root, Some(&root.join("a/repo")), "a/repo"), paths(&["a/repo"]), "unless it is a repository");
    }

    #[test]
    fn worktrees_are_found_from_the_repository_and_from_any_of_them() {
        let (_kept, root) = tree();
        for (worktree, name) in [("linked", "l1"), ("other", "l2")] {
            let admin = root.join("main/.git/worktrees").join(name);
            std::fs::create_dir_all(&admin).expect("directories");
            std::fs::create_dir_all(root.join(worktree)).expect("a directory");
            std::fs::write(admin.join("gitdir"), format!("{}\n", root.join(worktree).join(".git").display()))
                .expect("written");
            std::fs::write(admin.join("commondir"), "../..\n").expect("written");
            std::fs::write(root.join(worktree).join(".git"), format!("gitdir: {}\n", admin.display()))
                .expect("written");
        }
        for start in ["main", "linked"] {
            let mut found: Vec<PathBuf> =
                worktrees(&root.join(start), late()).into_iter().map(|p| p.directory).collect();
            found.sort();
            found.dedup();
            assert_eq!(found, ["linked", "main", "other"].map(|name| root.join(name)), "{start}");
        }
        let repositories: BTreeSet<PathBuf> =
            worktrees(&root.join("linked"), late()).into_iter().map(|project| project.repository).collect();
        assert_eq!(repositories, [root.join("main/.git")].into());
        assert_eq!(worktrees(&root.join("gone"), late()).len(), 1);
    }
}
