//! `lab-probe config`: write a starter file, validate one, print the effective configuration.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::cli::ConfigCommand;
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::config::show::show;
use crate::config::starter::STARTER;
use crate::exit::{self, Exit};
use crate::wording::plural;
use crate::{config, fs, log, plan};

/// Everybody may read it, since it holds no secret; nobody else may write it, since it names what to run.
const MODE: u32 = 0o644;

/// A THUNES has one of these below its root.
const OF_THUNES: &[&str] = &["data/positions.db", "logs/audit_trail.jsonl"];
/// A directory with more entries than this is no place for projects.
const MOST_ENTRIES: usize = 500;
/// The lines of the starter that proposals stand before and after.
const REPOSITORIES: &str = "#repos = [\"~/LAB\"] # example\n";
const THUNES: &str = "#[[thunes]]\n";

/// `explicit` is what `--config` names.
pub(super) fn run(command: &ConfigCommand, explicit: Option<&Path>) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Init { file } => init(file.as_deref().or(explicit)),
        ConfigCommand::Check { file } => check(file.as_deref().or(explicit)),
        ConfigCommand::Show => super::print(&show(&super::load_settings_aloud(explicit)?)?),
    }
}

fn init(file: Option<&Path>) -> anyhow::Result<Exit> {
    if file == Some(Path::new("-")) {
        return super::print(STARTER);
    }
    let nowhere = || {
        let what = "this user has no home to keep a configuration in";
        exit::trouble(what, "name a file: `lab-probe config init FILE`")
    };
    let path: PathBuf = file.map(Path::to_owned).or_else(config::place_for_new).ok_or_else(nowhere)?;
    let (text, repositories, roots) = starter(&HostEnvironment::of_process());
    fs::create(&path, text.as_bytes(), MODE).map_err(|error| match fs::kind(&error) {
        Some(io::ErrorKind::AlreadyExists) => exit::trouble(
            format!("{} is there already and stays as it is", path.display()),
            "`lab-probe config init -` prints the starter file; compare it with yours",
        ),
        _ => exit::refused("cannot write", &path, error),
    })?;
    log::info(format!("wrote {}; edit it, then run `lab-probe config check`", path.display()));
    if repositories + roots > 0 {
        let counts = format!("repositories: {repositories}, THUNES roots: {roots}");
        log::info(format!("it proposes what is on this machine: {counts}"));
    }
    Ok(Exit::Done)
}

/// The starter file with proposals, and how many repositories and THUNES roots they name.
fn starter(environment: &HostEnvironment) -> (String, usize, usize) {
    let repositories = plan::mcp::listed_repositories(environment);
    let roots = thunes(&repositories);
    let mut text = STARTER.to_owned();
    let shown = |path: &PathBuf| literal(path, environment.home.as_deref());
    if !repositories.is_empty() {
        let list: String = repositories.iter().map(|path| format!("#    {},\n", shown(path))).collect();
        let proposal = format!("# Projects of your AI clients that are git repositories:\n#repos = [\n{list}#]\n");
        text = text.replacen(REPOSITORIES, &format!("{REPOSITORIES}{proposal}"), 1);
    }
    let head = "# Found on this machine; name its environment.\n#[[thunes]]\n#environment = \"paper\"\n";
    let blocks: String = roots.iter().map(|root| format!("{head}#root = {}\n\n", shown(root))).collect();
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

fn check(file: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(file)?;
    let line = match &settings.source {
        Some(path) => format!("{}: ok ({})", path.display(), contents(&settings)),
        None => {
            let places: Vec<String> = config::usual_places().iter().map(|place| place.display().to_string()).collect();
            format!("no configuration file, defaults hold (looked for {})", places.join(", "))
        }
    };
    super::print(&format!("{line}\n"))
}

/// "2 MCP servers, 1 repository, …": enough to see that it was the right file.
fn contents(settings: &Settings) -> String {
    let output = &settings.output;
    let counts = [
        (settings.mcp.servers.len(), "MCP server"),
        (settings.mcp.config_files.len(), "client config"),
        (if settings.worktree.discovered { 0 } else { settings.worktree.repos.len() }, "repository"),
        (settings.thunes.len(), "trading environment"),
        (settings.services.len(), "service"),
        (usize::from(output.textfile.is_some()) + usize::from(output.pushgateway.is_some()), "output"),
    ];
    let counted = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| plural(count, noun));
    counted.collect::<Vec<_>>().join(", ")
}
