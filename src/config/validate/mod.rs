//! From the file as written to settings: one reader a section, every default in its section's reader.

mod mcp;
mod output;
mod people;
mod probe;
mod rules;
mod service;
mod thunes;
mod worktree;

use super::block::{Block, Context, Owner};
use super::settings::Settings;
use toml::de::DeTable;

/// Reads a whole file. What is wrong is in the context afterwards; the settings mean nothing if any problem is.
pub(crate) fn settings(context: &Context<'_>, table: &DeTable<'_>) -> Settings {
    let root = Block::root(context, table);
    let probe = probe::read(&root.child("probe"));
    let output = output::read(&root.child("output"), &probe);
    Settings {
        source: context.file.map(|file| context.environment.directory().join(file)),
        mcp: mcp::read(&root.child("mcp").owned_by(Owner::Nobody)),
        worktree: worktree::read(&root.child("worktree").owned_by(Owner::Nobody)),
        thunes: thunes::read(root.children("thunes")),
        services: service::read(root.children("service")),
        anomaly: people::anomaly(&root.child("anomaly")),
        output,
        telegram: people::telegram(&root.child("telegram")),
        receivers: people::RECEIVERS
            .iter()
            .map(|&name| (name, people::receiver(&root.child(name).owned_by(Owner::Nobody))))
            .collect(),
        doctor: people::doctor(&root.child("doctor")),
        probe,
        warnings: context.warnings.take(),
    }
}
