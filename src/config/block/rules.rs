//! Rules between the keys of a block, and between blocks.

use std::collections::HashMap;

use super::{Block, Text};
use crate::config::diagnose::one_of;

impl Block<'_> {
    /// Whether the file has a key here that does not exist: it is mostly the misspelt form of one that is missed.
    pub(crate) fn has_unknown_key(&self) -> bool {
        let mut keys = self.table.iter().flat_map(|table| table.keys());
        keys.any(|key| self.section.form(key.get_ref()).is_none())
    }

    /// The one key of `ways` that the block has; complains about none and about more than one.
    pub(crate) fn exactly_one(&self, ways: &[&'static str]) -> Option<&'static str> {
        let header = self.section.header;
        let mut present: Vec<&'static str> = ways.iter().copied().filter(|way| self.has(way)).collect();
        present.sort_by_key(|way| self.place_of(way));
        match present.as_slice() {
            [] if self.has_unknown_key() => {}
            [] => self.complain(self.at, format!("{header} needs one of {}", one_of(ways))),
            [_] => {}
            [first, others @ ..] => {
                for other in others {
                    self.complain_in(other, self.place_of(other), format!("it cannot stand beside {first:?}"));
                }
            }
        }
        present.first().copied()
    }

    /// Complains about each of `keys` that the block has, since they only go with `wanted`.
    pub(crate) fn only_with(&self, keys: &[&'static str], wanted: &str) {
        for key in keys.iter().filter(|key| self.has(key)) {
            self.complain_in(key, self.place_of(key), format!("it only goes with {wanted}"));
        }
    }

    /// Complains where a name was taken before. `seen` keeps the byte offset of each first one.
    pub(crate) fn unique(&self, seen: &mut HashMap<String, usize>, text: &Text) {
        if let Some(&first) = seen.get(&text.value) {
            let line = self.context.lines.position(first).line;
            self.complain_in(text.key, text.at, format!("{:?} is taken since line {line}", &**text));
        } else {
            seen.insert(text.value.clone(), text.at);
        }
    }
}
