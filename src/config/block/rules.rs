//! Rules between the keys of a block, and between blocks.

use std::collections::HashMap;

use super::{Block, Text};

impl Block<'_> {
    /// Whether the file has a key here that does not exist: it is mostly the misspelt form of one that is missed.
    pub(crate) fn has_unknown_key(&self) -> bool {
        let mut keys = self.table.iter().flat_map(|table| table.keys());
        keys.any(|key| self.section.form(key.get_ref()).is_none())
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
