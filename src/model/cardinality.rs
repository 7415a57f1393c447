//! The series that foreign text has made of late: with a branch, a version, a symbol as a label.
//!
//! Prometheus keeps every series it has ever seen for its retention time, and each costs memory for hours. Text that
//! changes with every pass would make 20,160 of each a week.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many label sets may one target make in one family within [`DAYS`]. Real ones make a few.
pub const MOST: usize = 1_000;

/// A label set that was not there for so long is forgotten.
const DAYS: i64 = 7;

/// The label sets seen, each with the last day of it (days since 1970), by family and target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelSets(BTreeMap<String, BTreeMap<String, i64>>);

impl LabelSets {
    /// Whether a label set is known, or may be a new one.
    pub fn admits(&mut self, owner: &str, label_set: &str, day: i64) -> bool {
        let known = self.0.entry(owner.to_owned()).or_default();
        let admitted = known.len() < MOST || known.contains_key(label_set);
        if admitted {
            known.insert(label_set.to_owned(), day);
        }
        admitted
    }

    /// Forgets what was not there for a week. What was there on a day to come was seen under a wrong clock.
    pub fn forget(&mut self, day: i64) {
        for known in self.0.values_mut() {
            known.retain(|_, last| (day - DAYS..=day).contains(last));
        }
        self.0.retain(|_, known| !known.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_makes_so_many_label_sets_a_week_and_what_is_used_stays() {
        let mut label_sets = LabelSets::default();
        let mut new = |day: i64, name: String| {
            label_sets.forget(day);
            label_sets.admits("family of a", "steady", day);
            label_sets.admits("family of a", &name, day)
        };
        let passes = |day: i64| (0..2_880).map(move |pass| (day, format!("{day}.{pass}")));
        let made = (0..7).flat_map(passes).filter(|(day, name)| new(*day, name.clone())).count();
        assert_eq!(made, MOST - 1);
        assert!(new(6, "steady".to_owned()) && !new(6, "one more".to_owned()));
        assert!(new(8, "one more".to_owned()), "the first are a week old");
        assert!(label_sets.admits("family of b", "x", 8), "another target");
        label_sets.forget(-1);
        assert_eq!(label_sets, LabelSets::default());
    }
}
