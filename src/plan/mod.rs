//! What there is to check: settings and client configs become targets; and which of them are due.
//!
//! Reads files, the environment and, for worktrees, git's own files; never the network, never the state.

use crate::clock::Deadline;
use crate::config::environment::HostEnvironment;
use crate::config::settings::Settings;
use crate::model::target::Target;

pub mod due;
mod fingerprint;
pub mod mcp;
pub mod services;
pub mod thunes;
mod timeout;
pub mod worktrees;

/// From where a plan is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As from anywhere: what is found only from the current directory stands beside the rest and changes nothing of it.
    Anywhere,
    /// As from the current directory: a trusted file of its project may complete or switch off what others define.
    Here,
}

pub fn all(settings: &Settings, view: View, deadline: Deadline) -> Plan {
    let environment = HostEnvironment::of_process();
    let mut plan = Plan::default();
    plan.add(mcp::plan(settings, &environment, view, deadline));
    plan.add(worktrees::plan(&settings.worktree, &settings.probe.records_dir(), deadline));
    plan.add(thunes::plan(settings));
    plan.add(services::plan(settings));
    plan
}

#[derive(Debug, Default)]
pub struct Plan {
    pub targets: Vec<Target>,
    /// Sentences about what could not be read or is ambiguous: each names the file. Warnings never end a pass.
    pub warnings: Vec<String>,
}

impl Plan {
    fn add(&mut self, other: Plan) {
        self.targets.extend(other.targets);
        for warning in other.warnings {
            // Two kinds of targets may have met the same file.
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}
