//! Files of environment variables, as shells and editors write them.

use std::collections::BTreeMap;

use crate::redact::Secret;

/// `NAME=value` lines; `export` in front, quotes around the value and comments are allowed. Lines that are none of
/// this are skipped.
pub(super) fn dotenv(text: &str) -> BTreeMap<String, Secret> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line.split_once('=')?;
            let name = name.trim();
            (!name.is_empty() && !name.starts_with('#')).then(|| (name.to_owned(), Secret::new(unquoted(value.trim()))))
        })
        .collect()
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some(end) = rest.find(quote)
        {
            return &rest[..end];
        }
    }
    value.find(" #").map_or(value, |comment| value[..comment].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_read_as_shells_and_editors_write_them() {
        let text = "# c\n\nA=1\nexport B = two words \nC=\"quoted # kept\" # comment\nD='single'\nE=v # comment\nF=a#b\n\
                    G=\n=nameless\nnot a line\nH=a=b\nI=\"unclosed\n\u{feff}\n";
        let found: Vec<(String, String)> =
            dotenv(text).into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "quoted # kept"),
            ("D", "single"),
            ("E", "v"),
            ("F", "a#b"),
            ("G", ""),
            ("H", "a=b"),
            ("I", "\"unclosed"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
