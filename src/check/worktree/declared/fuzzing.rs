//! Any text as a `.worktree` file, and any edit of it.

use super::{Declared, MAX_NOTES, declared_in as read, edited, others, parse, says, valid};

/// What is set is read back, everything else stays, and what is taken out is gone. Where open quotes and last backslashes
/// make lines hang together an edit may be refused, as `worktree set` does, but never change anything else.
pub(crate) fn declared(text: &str, value: &str) {
    let Declared { notes, .. } = read(text);
    assert!(notes.len() <= MAX_NOTES);
    for (key, value) in [("status", "blocked"), ("test_status", "failing"), ("note", value)] {
        if valid(&format!("{key}={value}")).is_err() {
            continue;
        }
        for value in ["", value] {
            let set = edited(text, key, value);
            if !says(&set, key, value) || others(&set, key) != others(text, key) {
                assert!(text.contains(['\\', '"', '\'']), "{text:?} cannot be edited: {set:?}");
                continue;
            }
            let expected: Vec<String> = if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
            assert_eq!(values(&set, key), expected, "{set:?}");
            assert_eq!(edited(&set, key, value), set);
        }
    }
}

fn values(text: &str, key: &str) -> Vec<String> {
    parse(text).0.into_iter().filter(|a| a.key == key).map(|a| a.value).collect()
}
