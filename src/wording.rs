//! Counts and lists in sentences.

/// `1 target`, `2 targets`, `3 passes`, `4 repositories`.
pub fn plural(count: usize, one: &str) -> String {
    match one.strip_suffix('y') {
        _ if count == 1 || one == "series" => format!("{count} {one}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {one}{}", if one.ends_with('s') { "es" } else { "s" }),
    }
}

/// The first few names of a list, and how many more there are: a line has to be read by somebody.
pub fn first_of(names: &[impl AsRef<str>], most: usize) -> String {
    let (first, rest) = names.split_at(names.len().min(most));
    let mut text = first.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if !rest.is_empty() {
        text.push_str(&format!(" and {} more", rest.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_their_nouns_and_long_lists_end_in_a_number() {
        let shown = [(1, "pass"), (2, "pass"), (0, "target"), (2, "repository"), (3, "series")];
        let shown = shown.map(|(count, noun)| plural(count, noun));
        assert_eq!(shown, ["1 pass", "2 passes", "0 targets", "2 repositories", "3 series"]);
        assert_eq!([first_of(&["a", "b"], 2), first_of(&["a", "b", "c"], 1)], ["a, b", "a and 2 more"]);
    }
}
