//! Files of environment variables (`.env`), as python-dotenv reads them: values may span lines in quotes, and a line of
//! such a value is no setting whatever it says.

/// What one line of a file says, or more lines where the value has more.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'t> {
    /// A key, and its value if an `=` follows it. References to other variables (`${…}`) stand as they are written.
    Binding(&'t str, Option<String>),
    /// What python-dotenv cannot parse and leaves out.
    Unreadable(&'t str),
}

/// Every line but blank ones and comments.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let after = match binding(rest) {
            Ok((key, value, after)) => {
                lines.extend((!key.is_empty()).then_some(Line::Binding(key, value)));
                after
            }
            Err(at) => {
                let after = &at[line_end(at)..];
                lines.push(Line::Unreadable(&rest[..rest.len() - after.len()]));
                after
            }
        };
        rest = after.trim_start();
    }
    lines
}

fn line_end(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}

/// Key, value and what follows. A comment has the key ``.
///
/// # Errors
/// From where on python-dotenv cannot parse it: it leaves the rest of that line out.
fn binding(text: &str) -> Result<(&str, Option<String>, &str), &str> {
    let mut rest = text;
    if let Some(exported) = rest.strip_prefix("export").filter(|after| after.starts_with(is_blank)) {
        rest = exported.trim_start_matches(is_blank);
    }
    let mut key = "";
    if let Some(quoted) = rest.strip_prefix('\'') {
        (key, rest) = quoted.split_once('\'').filter(|(key, _)| !key.is_empty()).ok_or(rest)?;
    } else if !rest.starts_with('#') {
        let end = rest.find(|c: char| c == '=' || c == '#' || c.is_whitespace()).unwrap_or(rest.len());
        (key, rest) = rest.split_at(end);
        if key.is_empty() {
            return Err(rest);
        }
    }
    rest = rest.trim_start_matches(is_blank);
    let mut value = None;
    if let Some(after) = rest.strip_prefix('=').filter(|_| !key.is_empty()) {
        let after = after.trim_start_matches(is_blank);
        let (text, after) = value_of(after).ok_or(after)?;
        (value, rest) = (Some(text), after);
    }
    rest = rest.trim_start_matches(is_blank);
    if rest.starts_with('#') {
        rest = &rest[line_end(rest)..];
    }
    if rest.is_empty() || rest.starts_with(['\n', '\r']) { Ok((key, value, rest)) } else { Err(rest) }
}

fn value_of(text: &str) -> Option<(String, &str)> {
    if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        return quoted(&text[1..], quote);
    }
    let (line, rest) = text.split_at(line_end(text));
    // A comment begins with a blank and `#`.
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with(char::is_whitespace));
    Some((line[..comment.unwrap_or(line.len())].trim_end().to_owned(), rest))
}

/// The text up to the closing quote, its escapes decoded: `\n`, `\r` and `\t` in double quotes, `\\` and quotes in both.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '\\' => match (quote, chars.next()?) {
                ('"', 'n') => value.push('\n'),
                ('"', 'r') => value.push('\r'),
                ('"', 't') => value.push('\t'),
                (_, c @ ('\\' | '\'' | '"')) => value.push(c),
                (_, c) => value.extend(['\\', c]),
            },
            c if c == quote => return Some((value, chars.as_str())),
            c => value.push(c),
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
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
