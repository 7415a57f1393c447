//! Files of environment variables (`.env`), as python-dotenv reads them: values may span lines in quotes, and a line of
//! such a value is no setting whatever it says.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What one line of a file says, or more lines where the value has more.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'t> {
    /// A key, and its value if an `=` follows it. References to other variables (`${…}`) stand as they are written.
    Binding(&'t str, Option<String>),
    /// What python-dotenv cannot parse and leaves out.
    Unreadable(&'t str),
}

/// A setting, as far as it can be read: key (1 in quotes, 2 bare), value (3 and 4 in quotes, 5 bare), and whether its line
/// ends there (6). A comment has no key.
static BINDING: LazyLock<Regex> = LazyLock::new(|| {
    // Blanks are those of Unicode, without line ends.
    const BLANKS: &str = r"\t\v\f\x1c-\x20\x85\xa0\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
    let blank = format!("[{BLANKS}]");
    let key = format!(r"(?:'([^']+)'|([^=#'\r\n{BLANKS}][^=#\r\n{BLANKS}]*))");
    let value = r#"'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|((?:[^'"\r\n][^\r\n]*)?)"#;
    let end = format!(r"{blank}*(?:#[^\r\n]*)?([\r\n]|$)");
    let expression = format!(r"(?s)^(?:export{blank}+)?(?:{key}{blank}*(?:={blank}*(?:{value}))?)?(?:{end})?");
    Regex::new(&expression).unwrap_or_else(|error| unreachable!("{error}"))
});

/// Every line but blank ones and comments.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = text.trim_start();
    while let Some(found) = BINDING.captures(rest).filter(|_| !rest.is_empty()) {
        let at = found.get(0).map_or(0, |whole| whole.end());
        let key = found.get(1).or(found.get(2)).map(|key| key.as_str());
        let end = match (found.get(6), key) {
            (Some(_), key) => {
                lines.extend(key.map(|key| Line::Binding(key, value_of(&found))));
                at
            }
            // The rest of the line at which python-dotenv stops is left out.
            (None, _) => {
                let end = rest[at..].find(['\n', '\r']).map_or(rest.len(), |length| at + length);
                lines.push(Line::Unreadable(&rest[..end]));
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    lines
}

fn value_of(binding: &Captures<'_>) -> Option<String> {
    let group = |number| binding.get(number).map(|group| group.as_str());
    let single = group(3).map(|text| unescaped(text, false));
    let quoted = single.or_else(|| group(4).map(|text| unescaped(text, true)));
    quoted.or_else(|| {
        let text = group(5)?;
        // A comment begins with a blank and `#`.
        let comment = text.match_indices('#').map(|(at, _)| at).find(|at| text[..*at].ends_with(char::is_whitespace));
        Some(text[..comment.unwrap_or(text.len())].trim_end().to_owned())
    })
}

/// Decodes `\\` and quotes after a backslash, and in double quotes `\n`, `\r` and `\t`.
fn unescaped(text: &str, double: bool) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            (_, Some('n')) if double => value.push('\n'),
            (_, Some('r')) if double => value.push('\r'),
            (_, Some('t')) if double => value.push('\t'),
            (_, Some(c @ ('\\' | '\'' | '"'))) => value.push(c),
            (c, other) => value.extend(std::iter::once(c).chain(other)),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_python_dotenv_reads_it() {
        let text = "# c\n\nA=1\nexport B = two words \nC=\"quoted # kept\" # comment\nD='single'\nE=v # comment\nF=a#b\n\
                    G=\nnokey\nnot a line\n'H'=a=b\nI=\"a\\\"b\\n\\q\"\nJ='a\\'b\\n'\nK=\"two\nL=lines\"\n=nameless\nM=\"unclosed\nN=1\n";
        let bound = |key, value: &str| Line::Binding(key, Some(value.to_owned()));
        assert_eq!(
            lines(text),
            [
                bound("A", "1"),
                bound("B", "two words"),
                bound("C", "quoted # kept"),
                bound("D", "single"),
                bound("E", "v"),
                bound("F", "a#b"),
                bound("G", ""),
                Line::Binding("nokey", None),
                Line::Unreadable("not a line"),
                bound("H", "a=b"),
                bound("I", "a\"b\n\\q"),
                bound("J", "a'b\\n"),
                bound("K", "two\nL=lines"),
                Line::Unreadable("=nameless"),
                Line::Unreadable("M=\"unclosed"),
                bound("N", "1"),
            ]
        );
    }
}
