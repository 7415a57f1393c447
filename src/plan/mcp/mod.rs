//! MCP servers: what lab-probe's own configuration and the clients' configs name, as targets.
//!
//! ```text
//! places (table of clients × this user) → document → readers → resolve (variables, paths) → merge (names) → targets
//! ```
//!
//! Reads files and the environment. Starts nothing, sends nothing.

mod clients;
mod discover;
mod document;
mod entry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod inspect;
mod merge;
mod places;
mod plugins;
mod readers;
mod resolve;
mod scripts;
mod sources;
mod switches;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::places::listed_repositories;
use super::fingerprint::Key;
use super::{Plan, View};
use crate::clock::Deadline;
use crate::config::environment::HostEnvironment;
use crate::config::settings::{ServerSettings, Settings};
use crate::model::listing::ClientFile;
use crate::model::mcp::{McpTarget, Reach};
use crate::model::reason::{Failure, Reason};
use crate::model::target::{Origin, Probe, Schedule, Target};
use crate::trust::TrustStore;

pub fn files(settings: &Settings, environment: &HostEnvironment, deadline: Deadline) -> Vec<ClientFile> {
    if !settings.mcp.discover {
        return Vec::new();
    }
    let projects = sources::projects(environment, repositories(settings), deadline, &mut Vec::new());
    let of_projects = projects.iter().flat_map(places::of_project);
    let file = |file: places::ListFile| ClientFile {
        source: &file.client.name,
        scope: file.scope.as_str(),
        present: places::expanded(&file.path).iter().any(|path| path.exists()),
        path: file.path,
        problem: None,
    };
    places::own(environment).into_iter().chain(of_projects).map(file).collect()
}

/// Whether a project's file is looked at wherever a pass is started, and not only in its own directory.
pub fn is_found_from_anywhere(settings: &Settings, environment: &HostEnvironment, canonical: &Path) -> bool {
    let elsewhere = HostEnvironment { cwd: None, ..environment.clone() };
    let files = files(settings, &elsewhere, Deadline::after(settings.probe.deadline)).into_iter();
    let mut paths = files.map(|file| file.path).chain(settings.mcp.config_files.iter().cloned());
    paths.any(|path| std::fs::canonicalize(path).is_ok_and(|path| path == canonical))
}

/// The configured repositories. The default is the working directory's, which is looked at anyway.
fn repositories(settings: &Settings) -> &[PathBuf] {
    if settings.worktree.discovered { &[] } else { &settings.worktree.repos }
}

/// How long discovery may take in all where file systems do not answer; the checks need the rest of the pass.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(6);

/// Every MCP server to report on: by hand, by health script, discovered, and expected but found nowhere.
pub fn plan(settings: &Settings, environment: &HostEnvironment, view: View, deadline: Deadline) -> Plan {
    let mcp = &settings.mcp;
    let mut plan = Plan::default();
    let (trusted, warning) = TrustStore::load(&settings.probe.state_dir);
    plan.warnings.extend(warning);
    let deadline = deadline.sooner(DISCOVERY_LIMIT);
    let sources = sources::collect(settings, environment, trusted, deadline, &mut plan.warnings);
    let mut candidates = discover::servers(&sources, environment, mcp.ca_file.as_deref(), &mut plan.warnings);

    let key = Key::of(&settings.probe.state_dir, &mut plan.warnings);
    let target = |name: String, reach, origins, schedule: Schedule, list_tools| {
        let mcp = McpTarget { reach, list_tools };
        let fingerprint = key.fingerprint(&mcp, schedule.timeout);
        Target { name, fingerprint, probe: Probe::Mcp(mcp), schedule, origins, only_here: false }
    };
    // A client's own start limit wins over the schedule's.
    let usual = |name, reach, origins, limit: Option<Duration>| {
        let schedule = Schedule { timeout: limit.unwrap_or(mcp.schedule.timeout), ..mcp.schedule };
        target(name, reach, origins, schedule, mcp.list_tools)
    };
    let own = mcp.servers.iter().map(|server| {
        let (reach, origins) = (own_reach(server, mcp.ca_file.as_ref()), vec![own_origin(settings)]);
        target(server.name.clone(), reach, origins, server.schedule, server.list_tools)
    });
    // The user has put each script there by name, so it goes before what is discovered.
    let scripts = mcp.health_dir.as_ref().map(|directory| scripts::find(directory, &mut plan.warnings));
    let scripts = scripts.unwrap_or_default().into_iter().map(|(name, (path, reach))| {
        let origin = Origin { note: Some("health script".to_owned()), ..Origin::own(path, "config") };
        usual(name, reach, vec![origin], None)
    });
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for target in own.chain(scripts) {
        targets.entry(target.name.clone()).or_insert(target);
    }
    // What these replace stays listed beside them.
    let note = Some("replaced by lab-probe's own configuration");
    candidates.retain(|candidate| {
        let replaced = targets.get_mut(&candidate.entry.name);
        replaced.map(|target| target.origins.push(candidate.origin(&target.name, note))).is_none()
    });
    let discovered = merge::merge(candidates, targets.keys().cloned().collect(), view, usual).into_iter();
    let missing = mcp.expected.iter().map(|name| {
        let failure = Failure::new(Reason::NotConfigured, "expected, but named in no config");
        let origin = Origin { note: Some("only in `expected`".into()), ..own_origin(settings) };
        usual(name.clone(), Reach::Unreachable(failure), vec![origin], None)
    });
    for target in discovered.chain(missing) {
        targets.entry(target.name.clone()).or_insert(target);
    }
    plan.targets = targets.into_values().collect();
    plan
}

/// How a server by hand is reached; `default_ca_file` is for servers that name none.
fn own_reach(server: &ServerSettings, default_ca_file: Option<&PathBuf>) -> Reach {
    if server.disabled {
        let failure = Failure::new(Reason::Disabled, "switched off in lab-probe's config");
        return Reach::Unreachable(failure.with_hint("take `disabled = true` away from its [[mcp.server]]"));
    }
    let mut reach = server.reach.clone();
    if let Reach::Http(http) = &mut reach {
        http.ca_file = http.ca_file.take().or_else(|| default_ca_file.cloned());
    }
    reach
}

fn own_origin(settings: &Settings) -> Origin {
    let path = settings.source.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    Origin::own(path.unwrap_or_default(), "config")
}
