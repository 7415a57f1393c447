//! Which targets a pass checks, as they were typed.

use crate::config::diagnose::nearest;
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
    fn takes_kind(&self, target: &Target) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&target.kind())
    }

    pub fn takes(&self, target: &Target) -> bool {
        self.takes_kind(target) && (self.names.is_empty() || self.names.iter().any(|name| named(target, name)))
    }

    /// Errors: A name that no target has, or one of a kind that is not selected.
    pub fn refuse_unknown_names<'a>(&self, targets: impl Iterator<Item = &'a Target> + Clone) -> anyhow::Result<()> {
        let kinds = self.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        let of = if kinds.is_empty() { String::new() } else { format!(" of kind {kinds}") };
        for name in &self.names {
            let mut called = targets.clone().filter(|target| named(target, name));
            if called.clone().any(|target| self.takes_kind(target)) {
                continue;
            }
            if let Some(other) = called.next() {
                let what = format!("no target{of} is called {name:?}: it is {}", other.id());
                return Err(exit::usage(what, "leave out the kind (--only), or the name"));
            }
            let of_kind = targets.clone().filter(|target| self.takes_kind(target));
            let nearest = nearest(name, of_kind.map(|target| target.name.as_str()));
            let suggestion = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
            let what = format!("no target{of} is called {name:?}{suggestion}");
            return Err(exit::usage(what, "`lab-probe list` shows all targets"));
        }
        Ok(())
    }
}

/// Whether `text`, as typed, means this target.
pub fn named(target: &Target, text: &str) -> bool {
    target.name == text || target.id() == text
}
