//! From everything that was found to targets with names of their own.
//!
//! One name, one server found twice: one target with two origins. One name, two servers: the first in the order of
//! [`Scope`] and the table of clients keeps the name; each other one is told apart as `name@client`, or
//! `name@client:directory` for a server of one project. What the user has set up in lab-probe itself (`[[mcp.server]]`,
//! health scripts) replaces what was discovered under the name; the discovered places stay listed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::clients::{Client, Scope};
use super::places::Project;
use super::resolve::Resolved;
use crate::model::mcp::Reach;
use crate::model::reason::Reason;
use crate::model::target::Origin;

/// A server found in a client's file.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The name in the file.
    pub(super) name: String,
    /// Whose file.
    pub(super) client: &'static Client,
    /// Whose list.
    pub(super) scope: Scope,
    /// The file.
    pub(super) path: PathBuf,
    /// The project it is for, if any.
    pub(super) project: Option<Project>,
    /// How to reach it, and what makes it the same as another.
    pub(super) resolved: Resolved,
    /// Things to say about it.
    pub(super) notes: Vec<String>,
}

/// A server with a name of its own.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The label value.
    pub(super) name: String,
    /// How to reach it, or why not.
    pub(super) reach: Reach,
    /// Where it was found, the place it is reached by first.
    pub(super) origins: Vec<Origin>,
}

/// Gives every candidate its target. `taken` are names that lab-probe's own configuration has given away: what was
/// discovered under one of them comes back as origins to list beside it.
pub(super) fn merge(
    mut candidates: Vec<Candidate>,
    taken: &BTreeSet<String>,
) -> (Vec<Named>, BTreeMap<String, Vec<Origin>>) {
    // Within one rank the order of reading holds: the table of clients, then the projects.
    candidates.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| rank(a).cmp(&rank(b))));
    let mut used: BTreeSet<String> = candidates.iter().map(|c| c.name.clone()).chain(taken.iter().cloned()).collect();
    let mut named = Vec::new();
    let mut replaced: BTreeMap<String, Vec<Origin>> = BTreeMap::new();
    for group in candidates.chunk_by(|a, b| a.name == b.name) {
        let name = &group[0].name;
        if taken.contains(name) {
            let note = "replaced by lab-probe's own configuration";
            replaced.insert(name.clone(), group.iter().map(|c| origin(c, name, Some(note))).collect());
            continue;
        }
        for (rank, members) in same_servers(group).into_iter().enumerate() {
            let name = if rank == 0 { name.clone() } else { told_apart(members[0], &mut used) };
            named.push(target(name, &members));
        }
    }
    (named, replaced)
}

/// The order among servers of one name. One that nobody has allowed goes behind those that are: a cloned repository
/// does not take over the name of a server that is in use.
fn rank(candidate: &Candidate) -> (bool, Scope) {
    (refused(candidate) == Some(Reason::Untrusted), candidate.scope)
}

fn refused(candidate: &Candidate) -> Option<Reason> {
    match &candidate.resolved.reach {
        Reach::Unreachable(failure) => Some(failure.reason),
        _ => None,
    }
}

/// The candidates of one name, put together where they are the same server.
fn same_servers(group: &[Candidate]) -> Vec<Vec<&Candidate>> {
    let mut servers: Vec<Vec<&Candidate>> = Vec::new();
    for candidate in group {
        let same = |members: &&mut Vec<&Candidate>| {
            members[0].resolved.identity == candidate.resolved.identity
                || members.iter().any(|member| overrides(member, candidate))
        };
        match servers.iter_mut().find(same) {
            Some(members) => members.push(candidate),
            None => servers.push(vec![candidate]),
        }
    }
    // An extension's settings say nothing about how its server is started: any real entry of the name goes first.
    let unknown = |members: &[&Candidate]| members.iter().all(|c| is_without_server(c));
    let (without, with): (Vec<_>, Vec<_>) = servers.into_iter().partition(|members| unknown(members));
    with.into_iter().chain(without).collect()
}

/// Whether `winner` keeps its client from ever using `loser`: of a client's files that hold everywhere, the first one
/// with the name counts.
fn overrides(winner: &Candidate, loser: &Candidate) -> bool {
    let everywhere = |scope| matches!(scope, Scope::Managed | Scope::User | Scope::Defaults);
    std::ptr::eq(winner.client, loser.client) && everywhere(winner.scope) && everywhere(loser.scope)
}

fn is_without_server(candidate: &Candidate) -> bool {
    refused(candidate) == Some(Reason::NotConfigured)
}

/// One target for entries that are the same server. It is reached the way of the first that can be reached at all: a
/// server that one client has switched off, or that stands in a file nobody has allowed yet, is still asked where
/// another place allows it.
fn target(name: String, members: &[&Candidate]) -> Named {
    let identity = &members[0].resolved.identity;
    let usable = members
        .iter()
        .position(|c| c.resolved.identity == *identity && !matches!(c.resolved.reach, Reach::Unreachable(_)));
    let first = usable.unwrap_or(0);
    let mut ordered = vec![members[first]];
    ordered.extend(members.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, member)| *member));
    let origins = ordered
        .iter()
        .map(|member| {
            let overridden =
                (member.resolved.identity != *identity).then_some("overridden by another file of this client");
            origin(member, &name, overridden.or(refusal(member, usable.is_some())))
        })
        .collect();
    Named { name, reach: members[first].resolved.reach.clone(), origins }
}

/// Why this place alone would not have had the server asked, where another place does.
fn refusal(member: &Candidate, asked_elsewhere: bool) -> Option<&'static str> {
    match &member.resolved.reach {
        Reach::Unreachable(failure) if asked_elsewhere => Some(failure.reason.as_str()),
        _ => None,
    }
}

fn origin(candidate: &Candidate, name: &str, note: Option<&str>) -> Origin {
    let notes: Vec<&str> = note.into_iter().chain(candidate.notes.iter().map(String::as_str)).collect();
    Origin {
        source: candidate.client.name.to_owned(),
        path: candidate.path.clone(),
        scope: candidate.scope.as_str().to_owned(),
        name: (candidate.name != name).then(|| candidate.name.clone()),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// The name of a server whose plain name went to another. It depends on nothing but the place, so it is the same in
/// the next pass whatever comes and goes beside it; only where even that is not enough, the whole path is added.
fn told_apart(candidate: &Candidate, used: &mut BTreeSet<String>) -> String {
    let client = candidate.client.name;
    let directory = candidate.project.as_ref().map(|project| &project.directory);
    let short = match directory.and_then(|directory| directory.file_name()) {
        Some(directory) => format!("{}@{client}:{}", candidate.name, directory.to_string_lossy()),
        None => format!("{}@{client}", candidate.name),
    };
    let long = format!("{}@{client}:{}", candidate.name, directory.unwrap_or(&candidate.path).display());
    let numbered = (2..).map(|n| format!("{long}#{n}"));
    let free = [short, long.clone()].into_iter().chain(numbered).find(|name| !used.contains(name));
    let name = free.unwrap_or(long);
    used.insert(name.clone());
    name
}
