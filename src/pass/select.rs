//! Which targets a pass checks, as they were typed.

use crate::exit;
use crate::model::target::{Kind, Target};

#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these kinds; empty means all.
    pub kinds: Vec<Kind>,
    /// Only these targets, as they were typed: `name` or `kind/name`; empty means all.
    pub names: Vec<String>,
    /// Whether targets are checked whether due or not.
    pub fresh: bool,
}

impl Selection {
    pub(super) fn takes(&self, target: &Target) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.contains(&target.kind());
        kind && (self.names.is_empty() || self.names.iter().any(|name| named(target, name)))
    }
}

/// Whether `text`, as typed, means this target.
pub fn named(target: &Target, text: &str) -> bool {
    target.name == text || target.id().to_string() == text
}

pub(super) fn refuse_unknown_names(targets: &[Target], selection: &Selection) -> anyhow::Result<()> {
    let of_kind = |target: &&Target| selection.kinds.is_empty() || selection.kinds.contains(&target.kind());
    for name in &selection.names {
        if targets.iter().filter(of_kind).any(|target| named(target, name)) {
            continue;
        }
        if let Some(other) = targets.iter().find(|target| named(target, name)) {
            let wanted: Vec<&str> = selection.kinds.iter().map(|kind| kind.as_str()).collect();
            return Err(exit::usage(
                format!("{name:?} is {}, and --only leaves no kind but {}", other.id(), wanted.join(", ")),
                "leave out --only, or the name",
            ));
        }
        let nearest = targets
            .iter()
            .filter(of_kind)
            .map(|target| target.name.as_str())
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
            .filter(|nearest| strsim::jaro_winkler(nearest, name) > 0.7);
        let suggestion = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
        return Err(exit::usage(
            format!("no target is called {name:?}{suggestion}"),
            "`lab-probe list` shows all targets",
        ));
    }
    Ok(())
}
