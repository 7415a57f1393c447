//! What `config init` proposes, commented out: repositories that clients list as projects, and THUNES beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::config::environment::HostEnvironment;
use crate::config::starter::STARTER;
use crate::plan;

/// A THUNES has one of these below its root.
const OF_THUNES: &[&str] = &["data/positions.db", "logs/audit_trail.jsonl"];
/// A directory with more entries than this is no place for projects.
const MOST_ENTRIES: usize = 500;
/// The lines of the starter that proposals stand before and after.
const REPOSITORIES: &str = "#repos = [\"~/LAB\"] # example\n";
const THUNES: &str = "#[[thunes]]\n";

/// The starter file with proposals, and how many repositories and THUNES roots they name.
pub(super) fn starter(environment: &HostEnvironment) -> (String, usize, usize) {
    let repositories = plan::mcp::listed_repositories(environment);
    let roots = thunes(&repositories);
    let mut text = STARTER.to_owned();
    let shown = |path: &PathBuf| literal(path, environment.home.as_deref());
    if !repositories.is_empty() {
        let list: String = repositories.iter().map(|path| format!("#    {},\n", shown(path))).collect();
        let proposal =
            format!("{REPOSITORIES}# Projects of your AI clients that are git repositories:\n#repos = [\n{list}#]\n");
        text = text.replacen(REPOSITORIES, &proposal, 1);
    }
    let blocks: String = roots
        .iter()
        .map(|root| {
            format!(
                "# Found on this machine; name its environment.\n#[[thunes]]\n#environment = \"paper\"\n#root = {}\n\n",
                shown(root)
            )
        })
        .collect();
    (text.replacen(THUNES, &format!("{blocks}{THUNES}"), 1), repositories.len(), roots.len())
}

/// THUNES roots: the repositories themselves, what lies in them or below their `projects`, and what lies beside them.
fn thunes(repositories: &[PathBuf]) -> BTreeSet<PathBuf> {
    let places = repositories.iter().flat_map(|repository| {
        [Some(repository.clone()), Some(repository.join("projects")), repository.parent().map(Path::to_owned)]
    });
    let places: BTreeSet<PathBuf> = places.flatten().collect();
    let below = places.into_iter().flat_map(|place| {
        let entries = std::fs::read_dir(&place).into_iter().flatten().take(MOST_ENTRIES).flatten();
        entries.map(|entry| entry.path()).chain([place.clone()]).collect::<Vec<_>>()
    });
    below.filter(|root| OF_THUNES.iter().any(|file| root.join(file).is_file())).collect()
}

/// A path as the configuration has it: a home as `~`, a `${` as it is.
fn literal(path: &Path, home: Option<&Path>) -> String {
    let below_home = home.and_then(|home| path.strip_prefix(home).ok()).map(|rest| Path::new("~").join(rest));
    let path = below_home.unwrap_or_else(|| path.to_owned()).display().to_string();
    // One line: another one would not be a comment.
    Value::String(path.replace("${", "$${")).to_string().replace('\n', "\\n")
}
