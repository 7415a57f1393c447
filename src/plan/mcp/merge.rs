//! From everything that was found to targets with names of their own.
//!
//! One name, one server found twice: one target with two origins. One name, two servers: the first in the order of
//! [`Scope`] and the table of clients keeps the name; each other one is told apart as `name@client`, or
//! `name@client:directory` for a server of one project. What the user has set up in lab-probe itself (`[[mcp.server]]`,
//! health scripts) replaces what was discovered under the name; the discovered places stay listed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::clients::Scope;
use super::entry::Entry;
use super::places::ListFile;
use super::resolve::Identity;
use crate::model::mcp::Reach;
use crate::model::reason::Reason;
use crate::model::target::{Origin, Target};
use crate::plan::View;

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) entry: Entry,
    pub(super) file: ListFile,
    /// Whether nobody has allowed its file, whatever else keeps it from being asked.
    pub(super) is_untrusted: bool,
    pub(super) reach: Reach,
    pub(super) identity: Identity,
}

/// Gives every candidate its target and name; `taken` are names of lab-probe's own configuration. `made` makes a target of its name,
/// how it is reached, where it was found, and how long the most patient of its clients waits for it to start.
pub(super) fn merge(
    mut candidates: Vec<Candidate>,
    taken: BTreeSet<String>,
    view: View,
    made: impl Fn(String, Reach, Vec<Origin>, Option<Duration>) -> Target,
) -> Vec<Target> {
    absorb(&mut candidates, view);
    // Within one rank the order of reading holds: the table of clients, then the projects.
    candidates.sort_by(|a, b| a.entry.name.cmp(&b.entry.name).then_with(|| rank(a).cmp(&rank(b))));
    let groups = candidates.chunk_by(|a, b| a.entry.name == b.entry.name);
    let mut servers: Vec<_> = groups.flat_map(|group| same_servers(group).into_iter().enumerate()).collect();
    // What is found only from here takes no name that another would have elsewhere.
    let is_only_here = |members: &[&Candidate]| members.iter().all(|member| member.is_only_here());
    servers.sort_by_key(|(_, members)| is_only_here(members));
    let mut used = taken;
    used.extend(candidates.iter().filter(|c| !c.is_only_here()).map(|c| c.entry.name.clone()));
    let named = servers.into_iter().map(|(rank, members)| {
        let name = &members[0].entry.name;
        let is_free = rank == 0 && (!is_only_here(&members) || used.insert(name.clone()));
        let name = if is_free { name.clone() } else { distinct_name(members[0], &mut used) };
        let (reach, origins, limit) = united(&name, &members);
        Target { only_here: is_only_here(&members), ..made(name, reach, origins, limit) }
    });
    named.collect()
}

/// Takes out what parts complete or change: an allowed part stands for both. What the current directory adds changes nothing of
/// what is found elsewhere, unless that is what is asked for.
fn absorb(candidates: &mut Vec<Candidate>, view: View) {
    let key = |c: &Candidate| (c.file.client.name.as_str(), c.entry.name.clone());
    let absorbs = |c: &&Candidate| c.is_added_part() && !c.is_untrusted && (view == View::Here || !c.is_only_here());
    let absorbed: BTreeSet<(&str, String)> = candidates.iter().filter(absorbs).map(key).collect();
    candidates.retain(|candidate| !(candidate.file.scope.is_everywhere() && absorbed.contains(&key(candidate))));
}

impl Candidate {
    /// Where it was found, for the target `name`.
    pub(super) fn origin(&self, name: &str, note: Option<&str>) -> Origin {
        let notes: Vec<&str> = note.into_iter().chain(self.entry.notes.iter().map(String::as_str)).collect();
        Origin {
            source: self.file.client.name.clone(),
            path: self.file.path.clone(),
            scope: self.file.scope.as_str().to_owned(),
            name: (self.entry.name != name).then(|| self.entry.name.clone()),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }

    fn is_only_here(&self) -> bool {
        self.file.project.as_ref().is_some_and(|project| project.only_here)
    }

    /// Whether it completes or changes, for one project, what another file of its client defines.
    fn is_added_part(&self) -> bool {
        self.entry.is_part && self.file.project.is_some()
    }

    /// Whether it is such a part that nobody has allowed, so that it changes nothing.
    fn is_ignored(&self) -> bool {
        self.is_untrusted && self.is_added_part()
    }

    /// Whether this one stands for `other`, too: of a client's files that hold everywhere, the first one with the name counts.
    fn overrides(&self, other: &Candidate) -> bool {
        let both_everywhere = self.file.scope.is_everywhere() && other.file.scope.is_everywhere();
        std::ptr::eq(self.file.client, other.file.client) && (both_everywhere || other.is_ignored())
    }
}

/// The order among servers of one name. One that nobody has allowed goes behind those that are, whatever else is said
/// of it: a cloned repository does not take over the name of a server that is in use. So does one that is found only
/// from the current directory: names do not depend on where somebody stands. An extension's settings say nothing about how
/// its server is started: a real entry of the name goes first.
fn rank(candidate: &Candidate) -> (bool, bool, bool, Scope) {
    let is_unknown = matches!(&candidate.reach, Reach::Unreachable(failure) if failure.reason == Reason::NotConfigured);
    (candidate.is_untrusted, candidate.is_only_here(), is_unknown, candidate.file.scope)
}

/// The candidates of one name, put together where they are the same server.
fn same_servers(group: &[Candidate]) -> Vec<Vec<&Candidate>> {
    let mut servers: Vec<Vec<&Candidate>> = Vec::new();
    for candidate in group {
        let same = |members: &&mut Vec<&Candidate>| {
            members[0].identity == candidate.identity || members.iter().any(|member| member.overrides(candidate))
        };
        match servers.iter_mut().find(same) {
            Some(members) => members.push(candidate),
            None => servers.push(vec![candidate]),
        }
    }
    servers
}

/// One target for entries that are the same server. It is reached the way of the first that can be reached at all: a
/// server that one client has switched off, or that stands in a file nobody has allowed yet, is still asked where
/// another place allows it.
fn united(name: &str, members: &[&Candidate]) -> (Reach, Vec<Origin>, Option<Duration>) {
    let identity = &members[0].identity;
    let only_here = members.iter().all(|member| member.is_only_here());
    let counts = |c: &Candidate| c.identity == *identity && !c.is_ignored() && (only_here || !c.is_only_here());
    let usable = members.iter().position(|c| counts(c) && !matches!(c.reach, Reach::Unreachable(_)));
    let limit = members.iter().filter(|c| counts(c)).filter_map(|c| c.entry.limit).max();
    let first = usable.unwrap_or(0);
    let mut ordered = members.to_vec();
    ordered[..=first].rotate_right(1);
    let mut origins: Vec<Origin> = Vec::new();
    for member in ordered {
        // Why this place alone would not have had the server asked, where another one does.
        let note = match &member.reach {
            _ if member.is_ignored() => Some("untrusted: what it changes of this server is not followed"),
            _ if member.identity != *identity => Some("overridden by another file of this client"),
            Reach::Unreachable(failure) if usable.is_some() => Some(failure.reason.as_str()),
            _ => None,
        };
        let own = member.origin(name, note);
        let below = member.entry.below.iter().filter(|_| member.identity == *identity).map(|(scope, path)| Origin {
            path: path.clone(),
            scope: scope.as_str().to_owned(),
            note: Some("the file above is merged over it".into()),
            ..own.clone()
        });
        for origin in [own.clone()].into_iter().chain(below) {
            // A file that is merged into several has been listed already.
            if !origins.iter().any(|known| known.path == origin.path && known.source == origin.source) {
                origins.push(origin);
            }
        }
    }
    (members[first].reach.clone(), origins, limit)
}

/// The name of a server whose plain name went to another. It depends on nothing but the place, so it is the same in
/// the next pass whatever comes and goes beside it; only where even that is not enough, the whole path is added.
fn distinct_name(candidate: &Candidate, used: &mut BTreeSet<String>) -> String {
    let client = &candidate.file.client.name;
    let directory = candidate.file.workspace();
    let place =
        directory.and_then(|directory| directory.file_name()).map(|name| format!(":{}", name.to_string_lossy()));
    let plain = format!("{}@{client}", candidate.entry.name);
    let short = format!("{plain}{}", place.unwrap_or_default());
    let long = format!("{plain}:{}", directory.unwrap_or(&candidate.file.path).display());
    let numbered = (2..).map(|n| format!("{long}#{n}"));
    let free = [short, long.clone()].into_iter().chain(numbered).find(|name| used.insert(name.clone()));
    free.unwrap_or(long)
}
