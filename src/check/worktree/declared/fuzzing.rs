//! Any text as a `.worktree` file, and any edit of it.

use super::{Declared, MAX_NOTES, declared as read, edited, others, parse, says, valid};

/// What is set is read back, everything else stays, and what is taken out is gone.
pub(crate) fn declared(text: &str, value: &str) {
    let Declared { notes, .. } = read(text);
    assert!(notes.len() <= MAX_NOTES);
    for (key, value) in [("status", "blocked"), ("test_status", "failing"), ("note", value)] {
        if valid(&format!("{key}={value}")).is_err() {
            continue;
        }
        let gone = edited(text, key, "");
        assert!(values(&gone, key).is_empty(), "{gone:?} still has {key}");
        assert_eq!(others(&gone, key), others(text, key), "{gone:?}");
        let set = edited(text, key, value);
        // An open quote swallows whatever is appended, in a shell too; it is refused then.
        if values(text, key).is_empty() && !is_closed(text) {
            let swallowed = !says(&set, key, value) || others(&set, key) != others(text, key);
            assert!(value.is_empty() || swallowed, "{set:?}");
            continue;
        }
        assert!(says(&set, key, value), "{set:?}");
        let expected: Vec<String> = if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
        assert_eq!(values(&set, key), expected, "{set:?}");
        assert_eq!(others(&set, key), others(text, key), "{set:?}");
        assert_eq!(edited(&set, key, value), set);
    }
}

/// Whether a line that is added is a line of its own.
fn is_closed(text: &str) -> bool {
    let end = match text {
        "" => "",
        _ if text.ends_with('\n') => "",
        _ if text.contains("\r\n") => "\r\n",
        _ => "\n",
    };
    let longer = format!("{text}{end}z9=1\n");
    let last = parse(&longer).assignments.pop().is_some_and(|last| last.key == "z9" && last.value == "1");
    last && others(&longer, "z9") == others(text, "z9")
}

fn values(text: &str, key: &str) -> Vec<String> {
    parse(text).assignments.into_iter().filter(|a| a.key == key).map(|a| a.value).collect()
}
